//! The product's program under test: started as a person or a container runtime would, its output read as it comes.
#![expect(clippy::missing_panics_doc, reason = "a test fails by a panic: every method here panics when it fails")]

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{machine, namespace::LIMIT};

/// A running program; killed when it is dropped, and when the thread ends that started it.
pub struct Wait {
    child: Child,
    started: Instant,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    /// The number of that signal.
    pub signal: Option<i32>,
    /// All of it.
    pub stdout: String,
    /// All of it.
    pub stderr: String,
    /// From its start until it was seen to be gone.
    pub elapsed: Duration,
}

impl Finished {
    /// Both streams, one after the other.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The last line of the stream that tells how it ended: a bad end is told on stderr.
    pub fn last_line(&self) -> &str {
        let stream = if self.code == Some(0) { &self.stdout } else { &self.stderr };
        stream.lines().last().unwrap_or_default()
    }
}

/// The lines of both streams, and a bell for who waits for more.
#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    all: Vec<(Stream, String)>,
    open: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

impl Wait {
    /// Starts it with this environment and nothing but it, so that the machine's own settings decide nothing.
    pub fn start<A: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: impl AsRef<Path>,
        arguments: impl IntoIterator<Item = A>,
        environment: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        let program = program.as_ref();
        let mut command =
            if machine::find("setpriv").is_some() { machine::bound(program) } else { Command::new(program) };
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(arguments).env_clear().env("PATH", path).envs(environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
        let output = Arc::new(Output::default());
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let readers = vec![output.read(Stream::Stdout, stdout), output.read(Stream::Stderr, stderr)];
        Self { child, started, output, readers }
    }

    /// Waits for a line with this text, on either stream, and answers the first one.
    pub fn line(&self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut lines = self.output.lock();
        loop {
            if let Some((_, line)) = lines.all.iter().find(|(_, line)| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.open == 0 || left.is_zero() {
                let end = if lines.open == 0 { "its output ended" } else { "nothing came in time" };
                drop(lines);
                panic!("no line with {text:?}, {end}; so far:\n{}", self.so_far());
            }
            lines = self.output.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything that it has written so far, both streams in the order of arrival.
    pub fn so_far(&self) -> String {
        self.output.text(|_| true)
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked for").is_none()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, `Signal::TERM` for example.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id is positive");
        kill_process(pid, signal).expect("the program is there to be signalled");
    }

    /// Waits for its end.
    pub fn finish(self) -> Finished {
        self.finish_within(LIMIT)
    }

    /// The same with a limit of the test's own. A limit is a detector of failure: choose it generously.
    pub fn finish_within(mut self, limit: Duration) -> Finished {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "still running after {} s; so far:\n{}", limit.as_secs(), self.so_far());
            thread::sleep(Duration::from_millis(5));
        };
        let elapsed = self.started.elapsed();
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader ends with its stream");
        }
        let of = |wanted| self.output.text(|stream| stream == wanted);
        Finished {
            code: status.code(),
            signal: status.signal(),
            stdout: of(Stream::Stdout),
            stderr: of(Stream::Stderr),
            elapsed,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Both fail only when it has been waited for, which is what they are to bring about.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Output {
    fn read(self: &Arc<Self>, stream: Stream, source: impl Read + Send + 'static) -> JoinHandle<()> {
        let output = Arc::clone(self);
        output.lock().open += 1;
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                output.lock().all.push((stream, String::from_utf8_lossy(&line).into_owned()));
                output.more.notify_all();
                line.clear();
            }
            output.lock().open -= 1;
            output.more.notify_all();
        })
    }

    fn text(&self, wanted: impl Fn(Stream) -> bool) -> String {
        self.lock().all.iter().filter(|(stream, _)| wanted(*stream)).map(|(_, line)| line.as_str()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
