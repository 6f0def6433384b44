//! Writing that never blocks the wait: one thread owns stdout and stderr, everybody else hands it whole texts.
//!
//! A log pipe that nobody reads, a closed one or a full disk must neither hold up the exit nor end the wait, so a text
//! that finds the queue full is dropped and every write error is ignored.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long an exit waits for the last lines to be written.
const FLUSH: Duration = Duration::from_millis(100);
/// Texts that wait to be written; more than any healthy reader lets pile up.
const QUEUE: usize = 1024;

enum Text {
    Out(Vec<u8>),
    Err(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Hands texts to the writing thread.
#[derive(Clone)]
pub struct Output {
    queue: SyncSender<Text>,
}

impl Output {
    /// Starts the thread; it ends with the program.
    pub fn start() -> Self {
        let (queue, texts) = sync_channel(QUEUE);
        thread::spawn(move || write_all(&texts));
        Self { queue }
    }

    /// A product line on stdout.
    pub fn line(&self, line: &str) {
        let _ = self.queue.try_send(Text::Out(format!("{line}\n").into_bytes()));
    }

    /// Text on stderr, as it is.
    pub fn error(&self, text: &str) {
        let _ = self.queue.try_send(Text::Err(text.as_bytes().to_vec()));
    }

    /// Waits until all that was said is written, but not for long.
    pub fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        if self.queue.try_send(Text::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH);
        }
    }
}

fn write_all(texts: &Receiver<Text>) {
    for text in texts {
        let _ = match text {
            Text::Out(bytes) => write(&mut io::stdout(), &bytes),
            Text::Err(bytes) => write(&mut io::stderr(), &bytes),
            Text::Flush(done) => {
                let _ = done.try_send(());
                Ok(())
            }
        };
    }
}

fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// One log line of tracing's, handed over when it is complete.
pub struct LogLine {
    output: Output,
    bytes: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let _ = self.output.queue.try_send(Text::Err(std::mem::take(&mut self.bytes)));
    }
}

impl MakeWriter<'_> for Output {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine { output: self.clone(), bytes: Vec::new() }
    }
}
