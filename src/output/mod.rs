//! Writing that never blocks the wait: one thread owns stdout and stderr, everybody else hands it whole texts.
//!
//! A log pipe that nobody reads, a closed one or a full disk must neither hold up the exit nor end the wait, so a text
//! that finds the queue full is dropped and every write error is ignored.

mod layout;
pub mod lines;
mod live;
pub mod style;
pub mod termination;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tracing_subscriber::fmt::MakeWriter;

use crate::text::harmless;

use self::lines::Row;
use self::style::{Line, Style};
use crate::output::live::Live;

/// A write that takes so long will not end: nobody reads the pipe.
const STUCK: Duration = Duration::from_millis(100);
/// How long an exit waits for the last lines of a thread that is not stuck: a container may have little CPU.
const FLUSH: Duration = Duration::from_secs(2);
/// Texts that wait to be written; more than any healthy reader lets pile up.
const QUEUE: usize = 1024;

/// How often the live view counts its seconds.
const TICK: Duration = Duration::from_millis(500);

enum Text {
    Out(Vec<u8>),
    Err(Vec<u8>),
    /// and whether in colours
    Rows(Vec<Row>, bool),
    /// nothing comes after it
    Flush(SyncSender<()>),
}

/// Hands texts to the writing thread.
#[derive(Clone)]
pub struct Output {
    queue: SyncSender<Text>,
    /// counts beginnings and ends of writes, so that it is odd during one
    writes: Arc<AtomicU64>,
    started: Instant,
    style: Style,
    live: bool,
}

impl Output {
    /// Starts the thread; it ends with the program. Plain, until it is known what is wanted.
    pub fn start() -> Self {
        let (queue, texts) = sync_channel(QUEUE);
        let writes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&writes);
        thread::spawn(move || write_all(&texts, &counter));
        let style = Style { json: false, quiet: false, color: false };
        Self { queue, writes, started: Instant::now(), style, live: false }
    }

    /// The same in this style; `live` on a terminal that can be drawn on.
    #[must_use]
    pub fn styled(self, style: Style, live: bool) -> Self {
        Self { style, live, ..self }
    }

    /// Whether [`Output::rows`] are of use.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// A product line, now: on stdout, but on stderr how a wait has ended badly, so that it is seen wherever progress
    /// goes. Programs read one stream of JSON.
    pub fn say(&self, line: &Line) {
        if line.is_end && self.live {
            // Drawn once more, the live view would push the end off the screen.
            self.rows(Vec::new());
        }
        if let Some(text) = self.style.write(line, SystemTime::now(), self.started.elapsed()) {
            if line.is_bad_end() && !self.style.json {
                self.send(Text::Err(format!("{text}\n").into_bytes()));
            } else {
                self.line(&text);
            }
        }
    }

    /// How the targets stand, for the live view.
    pub fn rows(&self, rows: Vec<Row>) {
        self.send(Text::Rows(rows, self.style.color));
    }

    /// Text on stdout in no style: help, completions.
    pub fn line(&self, line: &str) {
        self.send(Text::Out(format!("{line}\n").into_bytes()));
    }

    /// Why there is no wait, and a hint, each on a line of stderr.
    pub fn error(&self, text: &str) {
        let lines: String = text.lines().map(|line| harmless(line) + "\n").collect();
        self.send(Text::Err(lines.into_bytes()));
    }

    fn send(&self, text: Text) {
        let _ = self.queue.try_send(text);
    }

    /// Waits until all that was said is written, but not for long.
    pub fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        if self.queue.try_send(Text::Flush(done)).is_err() {
            return;
        }
        // A write that does not get on is stuck for good (nobody reads the pipe); one that does may take its time.
        let begun = Instant::now();
        let mut before = self.writes.load(Ordering::Relaxed);
        while flushed.recv_timeout(STUCK) == Err(RecvTimeoutError::Timeout) && begun.elapsed() < FLUSH {
            let now = self.writes.load(Ordering::Relaxed);
            if now == before && now % 2 == 1 {
                return;
            }
            before = now;
        }
    }
}

fn write_all(texts: &Receiver<Text>, writes: &AtomicU64) {
    let mut live: Option<Live> = None;
    loop {
        let text = texts.try_recv().or_else(|_| next(texts, live.as_mut(), writes));
        if let (Ok(Text::Out(_) | Text::Err(_) | Text::Flush(_)), Some(live)) = (&text, &mut live) {
            write(&mut io::stdout(), live.erase(live::size()).as_bytes(), writes);
        }
        match text {
            Ok(Text::Out(bytes)) => write(&mut io::stdout(), &bytes, writes),
            Ok(Text::Err(bytes)) => write(&mut io::stderr(), &bytes, writes),
            Ok(Text::Rows(rows, color)) => live.get_or_insert_with(|| Live::start(color)).show(rows),
            Ok(Text::Flush(done)) => {
                live = None;
                let _ = done.try_send(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The live view is drawn when there is nothing else to write.
fn next(texts: &Receiver<Text>, live: Option<&mut Live>, writes: &AtomicU64) -> Result<Text, RecvTimeoutError> {
    let Some(live) = live else { return Ok(texts.recv()?) };
    write(&mut io::stdout(), live.draw(live::size()).as_bytes(), writes);
    texts.recv_timeout(TICK)
}

fn write(to: &mut impl Write, bytes: &[u8], writes: &AtomicU64) {
    writes.fetch_add(1, Ordering::Relaxed);
    let _ = to.write_all(bytes).and_then(|()| to.flush());
    writes.fetch_add(1, Ordering::Relaxed);
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
        // Failures are quoted in it.
        let line = harmless(String::from_utf8_lossy(&self.bytes).trim_end_matches('\n')) + "\n";
        self.output.send(Text::Err(line.into_bytes()));
    }
}

impl MakeWriter<'_> for Output {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine { output: self.clone(), bytes: Vec::new() }
    }
}
