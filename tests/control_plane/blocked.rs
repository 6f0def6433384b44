//! How it ends while it is blocked, whatever it is blocked in: by its deadline, by a signal; and what becomes of output
//! that nobody takes.

use std::{
    any::Any,
    fs::{self, File},
    io::{Write, pipe},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use testbed::{
    Namespace, Wait,
    figures::{not_before, within},
    front::{Front, Reply, head},
    machine::bound,
    objects::{complete_job, create_suspended_job},
    scene::{await_watches, by_way_of, changed, program, reader, since, through, wait, wire, with_plugin},
    wire::Faults,
};

use crate::connections::at_dropped_address;

/// A state to be blocked in.
struct Blocked {
    name: &'static str,
    kubeconfig: PathBuf,
    /// before the program and its arguments
    wrapper: Vec<String>,
    /// what shows that it is there
    sign: Sign,
    /// what makes it so, as long as it lives
    _cause: Box<dyn Any + Sync>,
}

enum Sign {
    Said(&'static str),
    File(PathBuf),
}

impl Blocked {
    fn new(name: &'static str, kubeconfig: PathBuf, said: &'static str, cause: impl Any + Sync) -> Self {
        Self { name, kubeconfig, wrapper: Vec::new(), sign: Sign::Said(said), _cause: Box::new(cause) }
    }

    fn start(&self, before: &[&str], arguments: &[&str]) -> Wait {
        let program = program();
        let program = program.to_str().expect("a UTF-8 path");
        let words = before.iter().copied().chain(self.wrapper.iter().map(String::as_str));
        let words: Vec<&str> =
            words.chain([program, "job", "migrate", "--log-level", "debug"]).chain(arguments.iter().copied()).collect();
        Wait::start(words[0], &words[1..], [("KUBECONFIG", &self.kubeconfig)])
    }

    fn await_sign(&self, waiting: &Wait) {
        match &self.sign {
            Sign::Said(text) => drop(waiting.line(text)),
            Sign::File(path) => drop(since(Instant::now(), self.name, || path.exists())),
        }
    }
}

fn blocked(namespace: &Namespace) -> Vec<Blocked> {
    let cluster = namespace.cluster();
    let kubeconfig = reader(namespace);
    let stalled = wire(namespace, Faults { stall_answers: true, ..Faults::default() });
    let slow = wire(namespace, Faults { bytes_per_second: Some(20), ..Faults::default() });
    let silent = Front::start(cluster, |_| Reply::SayAndHold(String::new()));
    let half = Front::start(cluster, |_| Reply::SayAndHold(head(200, "Content-Length: 5000\r\n") + "{"));
    let busy = Front::start(cluster, |_| Reply::Say(head(503, "Retry-After: 60\r\n")));
    let silent_watch =
        Front::start(cluster, |asked| if asked.is_watch() { Reply::SayAndHold(head(200, "")) } else { Reply::Pass });
    let way = |server: &str| by_way_of(&kubeconfig, server);
    let by_wire = |wire: &testbed::wire::Wire| way(&format!("https://{}", wire.address()));
    vec![
        Blocked::new("API server down", way("https://127.0.0.1:1"), "retrying", ()),
        Blocked::new("SYN dropped", at_dropped_address(namespace, "10.98.0.4"), "GET", ()),
        Blocked::new("TLS handshake stalls", by_wire(&stalled), "GET", stalled),
        Blocked::new("20 bytes a second", by_wire(&slow), "GET", slow),
        Blocked::new("no response headers", way(&silent.url()), "GET", silent),
        Blocked::new("response stalls half-way", way(&half.url()), "status=200", half),
        Blocked::new("503, back in a minute", way(&busy.url()), "pause=", busy),
        Blocked::new("watch of the API server", kubeconfig.clone(), "suspended", ()),
        Blocked::new("watch that says nothing", way(&silent_watch.url()), "suspended", silent_watch),
        hanging_plugin(&kubeconfig),
        silent_dns(&kubeconfig),
    ]
}

fn hanging_plugin(kubeconfig: &Path) -> Blocked {
    let started = kubeconfig.with_extension("hangs");
    let script = format!("touch {}; exec sleep 600", started.display());
    let kubeconfig = with_plugin(kubeconfig, "hanging", &script);
    let sign = Sign::File(started);
    Blocked { name: "exec plugin hangs", kubeconfig, wrapper: Vec::new(), sign, _cause: Box::new(()) }
}

/// The name server's address is one whose packets are dropped.
fn silent_dns(kubeconfig: &Path) -> Blocked {
    let resolver = kubeconfig.with_extension("resolv.conf");
    fs::write(&resolver, "nameserver 10.98.0.53\n").expect("the folder takes files");
    let script = format!("mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"", resolver.display());
    let kubeconfig = changed(kubeconfig, "dns", |cluster, _| cluster["server"] = "https://api.example.com".into());
    let wrapper = ["unshare", "--mount", "--", "sh", "-c", &script].map(str::to_owned).to_vec();
    Blocked { name: "DNS does not answer", kubeconfig, wrapper, sign: Sign::Said("GET"), _cause: Box::new(()) }
}

pub fn deadline_holds_in_every_fault(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let deadline = Duration::from_secs(5);
    let states = blocked(namespace);
    thread::scope(|scope| {
        for state in &states {
            scope.spawn(move || {
                let finished = state.start(&[], &["--timeout", "5s"]).finish();
                assert_eq!(finished.code, Some(124), "{}: {finished:#?}", state.name);
                assert!(finished.stderr.contains("deadline passed"), "{}: {finished:#?}", state.name);
                not_before(
                    deadline,
                    Duration::from_millis(500),
                    &format!("deadline, {}", state.name),
                    finished.elapsed,
                );
            });
        }
    });
}

pub fn signals_end_it_in_every_fault(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let states = blocked(namespace);
    for state in &states {
        for (signal, code) in [("TERM", 143), ("INT", 130)] {
            // In a PID namespace of its own it is the first process, as in a container.
            let waiting = state.start(&["unshare", "--pid", "--fork", "--kill-child=KILL", "--"], &[]);
            state.await_sign(&waiting);
            if let Sign::File(path) = &state.sign {
                fs::remove_file(path).expect("it was there");
            }
            let sent = Instant::now();
            send(signal, child_of(waiting.id()));
            let finished = waiting.finish();
            let name = format!("SIG{signal} as PID 1, {}", state.name);
            assert_eq!(finished.code, Some(code), "{name}: {finished:#?}");
            within(Duration::from_millis(200), &name, sent.elapsed());
        }
    }
}

/// `unshare --fork` has one child.
fn child_of(parent: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("Linux lists children");
    children.trim().parse().expect("one child")
}

fn send(signal: &str, process: u32) {
    let status = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status();
    assert!(status.expect("kill starts").success(), "SIG{signal} to {process}");
}

/// Somewhere to write to that takes nothing, and what keeps it so.
fn dead_ends() -> Vec<(&'static str, Stdio, Stdio, Option<std::io::PipeReader>)> {
    let (closed, writer) = pipe().expect("a pipe");
    drop(closed);
    let second = writer.try_clone().expect("a second end");
    let full_disk = || Stdio::from(File::options().write(true).open("/dev/full").expect("Linux has one"));
    let (reader, mut stuffed) = pipe().expect("a pipe");
    stuffed.write_all(&vec![b'.'; 64 * 1024]).expect("a pipe takes 64 KiB");
    let stuffed_too = stuffed.try_clone().expect("a second end");
    vec![
        ("closed pipe", writer.into(), second.into(), None),
        ("/dev/full", full_disk(), full_disk(), None),
        ("full pipe", stuffed.into(), stuffed_too.into(), Some(reader)),
    ]
}

pub fn outputs_that_take_nothing_hold_nothing_up(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let wire = wire(namespace, Faults::default());
    let kubeconfig = through(namespace, &wire);
    let mut children: Vec<_> = dead_ends()
        .into_iter()
        .map(|(name, stdout, stderr, reader)| {
            let mut command = bound(program());
            command.args(["job", "migrate", "--log-level", "trace"]).env("KUBECONFIG", &kubeconfig);
            (name, command.stdout(stdout).stderr(stderr).spawn().expect("it starts"), reader)
        })
        .collect();
    await_watches(namespace, children.len());
    complete_job(namespace, "migrate");
    let completed = Instant::now();
    for (name, child, _reader) in &mut children {
        since(completed, name, || child.try_wait().expect("a child").is_some());
        let status = child.wait().expect("a child");
        assert_eq!(status.code(), Some(0), "{name}");
        within(
            Duration::from_secs(1),
            &format!("{name} for all output, Job completes: exit after"),
            completed.elapsed(),
        );
    }
}

/// Quick enough to be told apart from a wait that goes on.
pub fn ends_at_once(kubeconfig: &Path, code: i32) -> testbed::Finished {
    let finished = wait(kubeconfig, "job migrate").finish();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    finished
}
