//! Many pods of one Deployment wait for one Job, and the API server goes away under all of them.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use testbed::{
    Namespace,
    figures::{shown, within},
    machine::bound,
    objects::{complete_job, create_suspended_job},
    scene::{await_watches, let_pass, program, since, through, wire},
    wire::Faults,
};

use crate::servers::{LONGEST_PAUSE, start_api_server};

const WAITERS: usize = 500;

struct Waiter {
    child: Child,
    log: PathBuf,
}

impl Waiter {
    fn start(kubeconfig: &PathBuf, number: usize) -> Self {
        let log = kubeconfig.with_extension(format!("{number}.log"));
        let file = File::create(&log).expect("the folder takes files");
        let errors = file.try_clone().expect("a second handle");
        let mut command = bound(program());
        command.args(["job", "migrate"]).env("KUBECONFIG", kubeconfig).stdout(file).stderr(errors);
        Self { child: command.spawn().expect("it starts"), log }
    }

    fn says(&self, text: &str) -> bool {
        fs::read_to_string(&self.log).is_ok_and(|log| log.contains(text))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn five_hundred_waiters_survive_a_restart(namespace: &Namespace) {
    allow_files();
    create_suspended_job(namespace, "migrate");
    let wire = wire(namespace, Faults::default());
    let kubeconfig = through(namespace, &wire);
    let mut crowd: Vec<Waiter> = (0..WAITERS).map(|number| Waiter::start(&kubeconfig, number)).collect();
    await_watches(namespace, WAITERS);
    let server = namespace.cluster().process("kube-apiserver");
    server.kill().expect("the API server is there");
    let killed = Instant::now();
    let_pass(Duration::from_secs(10));
    start_api_server(namespace.cluster());
    let back = Instant::now();
    since(back, "all are answered again", || crowd.iter().all(|waiter| waiter.says("responds again")));
    within(LONGEST_PAUSE, "500 waiters: the last is answered again after", back.elapsed());
    show_rate(&wire.accepted(), killed, back);
    assert!(crowd.iter_mut().all(|waiter| waiter.child.try_wait().expect("a child").is_none()), "one has left early");
    complete_job(namespace, "migrate");
    let mut left = leave(&mut crowd);
    left.sort();
    shown("500 waiters: half have left after", &format!("{:.2} s", left[WAITERS / 2].as_secs_f64()));
    within(LONGEST_PAUSE, "500 waiters: all have left after", left[WAITERS - 1]);
}

/// Waits until all have succeeded, and answers when each was seen to have left.
fn leave(crowd: &mut [Waiter]) -> Vec<Duration> {
    let started = Instant::now();
    let mut left = vec![None; crowd.len()];
    since(started, "all leave", || {
        for (waiter, left) in crowd.iter_mut().zip(&mut left).filter(|(_, left)| left.is_none()) {
            if let Some(status) = waiter.child.try_wait().expect("a child") {
                assert_eq!(status.code(), Some(0), "{}", fs::read_to_string(&waiter.log).unwrap_or_default());
                *left = Some(started.elapsed());
            }
        }
        left.iter().all(Option::is_some)
    });
    left.into_iter().flatten().collect()
}

/// Both ends of every connection are this program's, and the usual limit is 1024.
fn allow_files() {
    let own = std::process::id().to_string();
    let status = Command::new("prlimit").args(["--pid", &own, "--nofile=4096:"]).status();
    assert!(status.expect("util-linux has prlimit").success());
}

/// Attempts to connect, second by second.
fn show_rate(accepted: &[Instant], killed: Instant, back: Instant) {
    let second = |at: &Instant| usize::try_from(at.duration_since(killed).as_secs()).unwrap_or(usize::MAX);
    let after: Vec<usize> = accepted.iter().filter(|at| **at > killed).map(second).collect();
    let last = after.iter().copied().max().unwrap_or_default();
    let returned = second(&back);
    for number in 0..=last {
        let count = after.iter().filter(|it| **it == number).count();
        let mark = if number == returned { " API server ready" } else { "" };
        let bar = "#".repeat(count / 10);
        shown(&format!("500 waiters: attempts in second {number:02}"), &format!("{count:4} {bar}{mark}"));
    }
    // In step, they would all come within one.
    let most = (returned + 1..=last).map(|number| after.iter().filter(|it| **it == number).count()).max();
    assert!(most.unwrap_or_default() < WAITERS / 2, "they come in step: {after:?}");
}
