//! How fast and how small, beside `kubectl wait` of the same cluster: `cargo bench`.
//!
//! A real API server on this machine; the shipped binary, static and optimised. Medians over all rounds, as both
//! programs take their turns under the same load. `cargo bench -- ROUNDS` sets the number of rounds. The kubectl is the
//! testbed's, one binary with the whole of Kubernetes: its size says nothing, and a smaller one starts faster and needs
//! less memory.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result};
use serde_json::json;
use testbed::{Cluster, Namespace, enter, harness, product, programs::Programs, setup};

fn main() -> ExitCode {
    let result = if enter::inside().is_none() {
        setup::enter(false, true).map(ExitCode::from)
    } else {
        setup::start_cluster(false).and_then(|cluster| bench(&cluster)).map(|()| ExitCode::SUCCESS)
    };
    result.unwrap_or_else(|error| {
        testbed::machine::progress(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Cargo adds `--bench` to the arguments.
fn rounds() -> usize {
    env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(50)
}

fn bench(cluster: &Cluster) -> Result<()> {
    let product = product::ready()?;
    let size = fs::metadata(&product).context("look at the binary")?.len();
    let product = product.to_str().context("a UTF-8 path")?.to_owned();
    let kubectl = Programs::ready()?.path("kubectl").to_str().context("a UTF-8 path")?.to_owned();
    harness::in_namespace(cluster, "bench", |namespace| {
        let ours = |job: &str| {
            vec![product.clone(), "job".to_owned(), job.to_owned(), "-n".to_owned(), namespace.name().to_owned()]
        };
        let theirs = |job: &str| {
            let job = format!("job/{job}");
            [&kubectl, "wait", "--for=condition=complete", &job, "-n", namespace.name()].map(str::to_owned).to_vec()
        };
        report(
            namespace,
            &[
                Program { name: "k8s-wait-for", command: &ours, megabytes: Some(megabytes(size)) },
                Program { name: "kubectl wait", command: &theirs, megabytes: None },
            ],
        );
    })
    .map_err(|report| anyhow::anyhow!(report))
}

struct Program<'a> {
    name: &'a str,
    /// its command line for a Job
    command: &'a dyn Fn(&str) -> Vec<String>,
    /// on disk, where that can be compared
    megabytes: Option<f64>,
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6
}

#[expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]
fn report(namespace: &Namespace, programs: &[Program]) {
    complete(namespace, "done");
    println!("{:<14} {:>16} {:>20} {:>14} {:>10}", "", "finished Job", "completion to exit", "peak memory", "on disk");
    let mut finished = vec![Vec::new(); programs.len()];
    let mut reaction = vec![Vec::new(); programs.len()];
    for round in 0..rounds() {
        for (index, program) in programs.iter().enumerate() {
            finished[index].push(time_of_exit(namespace, &(program.command)("done")));
            let job = format!("job-{round}-{index}");
            reaction[index].push(time_from_completion(namespace, &job, &(program.command)(&job)));
        }
    }
    for (index, program) in programs.iter().enumerate() {
        let memory = peak_memory_of_waiting(namespace, &(program.command)(&format!("never-{index}")), index);
        println!(
            "{:<14} {:>13.1} ms {:>17.1} ms {:>11.1} MB {:>10}",
            program.name,
            milliseconds(median(&mut finished[index])),
            milliseconds(median(&mut reaction[index])),
            memory,
            program.megabytes.map_or_else(|| "-".to_owned(), |megabytes| format!("{megabytes:.1} MB")),
        );
    }
}

fn start(namespace: &Namespace, arguments: &[String]) -> std::process::Child {
    let mut command = testbed::machine::bound(&arguments[0]);
    command.args(&arguments[1..]).env("KUBECONFIG", namespace.cluster().admin_kubeconfig());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the program starts")
}

fn time_of_exit(namespace: &Namespace, arguments: &[String]) -> Duration {
    // Not by setpriv here: its own start would count.
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).env("KUBECONFIG", namespace.cluster().admin_kubeconfig());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("the program starts");
    assert!(status.success(), "{arguments:?}: {status}");
    started.elapsed()
}

/// From the moment at which the API server has taken the Job's last status.
fn time_from_completion(namespace: &Namespace, job: &str, arguments: &[String]) -> Duration {
    create(namespace, job);
    let mut child = start(namespace, arguments);
    await_watch(namespace, job);
    write_completion(namespace, job);
    let completed = Instant::now();
    let status = child.wait().expect("a child can be waited for");
    assert!(status.success(), "{arguments:?}: {status}");
    completed.elapsed()
}

/// The audit log shows a watch when its answer begins.
fn await_watch(namespace: &Namespace, job: &str) {
    namespace.eventually("a watch on the Job", || {
        let requests = namespace.cluster().requests_by("admin");
        let ours = |uri: &str| {
            uri.contains(&format!("/namespaces/{}/", namespace.name())) && uri.contains(&format!("3D{job}&"))
        };
        requests.iter().find(|request| request.verb == "watch" && request.open && ours(&request.uri)).map(drop)
    });
}

/// The most that a waiting process has used, in megabytes.
fn peak_memory_of_waiting(namespace: &Namespace, arguments: &[String], index: usize) -> f64 {
    let job = format!("never-{index}");
    create(namespace, &job);
    let mut child = start(namespace, arguments);
    await_watch(namespace, &job);
    thread::sleep(Duration::from_secs(1));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it waits");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts memory");
    child.kill().expect("it waits");
    child.wait().expect("a child can be waited for");
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024.0 / 1e6
}

/// Suspended, so that the Job controller leaves it alone.
fn create(namespace: &Namespace, name: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  suspend: true
  template:
    spec: {{restartPolicy: Never, containers: [{{name: main, image: 'busybox:1.37'}}]}}
"
    ));
}

fn write_completion(namespace: &Namespace, name: &str) {
    let time = "2026-01-01T00:00:00Z";
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": time});
    let conditions = [condition("SuccessCriteriaMet"), condition("Complete")];
    let status = json!({"startTime": time, "completionTime": time, "succeeded": 1, "conditions": conditions});
    namespace.write_status(&format!("job/{name}"), &status);
}

fn complete(namespace: &Namespace, name: &str) {
    create(namespace, name);
    write_completion(namespace, name);
}

fn median(durations: &mut [Duration]) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
