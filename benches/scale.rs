//! What a wait needs where there is much to wait for: `cargo bench --bench scale -- pods` (5,000 behind one selector,
//! in the cell of an init container: 16Mi, 50m) and `-- targets` (200 in one process). As root, for the cell.
//!
//! A real API server; no kubelet has the pods, their statuses are written as one would. The shipped binary, or the
//! static one that `TESTBED_PRODUCT` names, so that two can be compared. Nothing is asserted; what was not reached is
//! `-`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};
use testbed::{Cluster, Namespace, Wait, cell::Cell, enter, harness, machine, product, setup, usage::Usage};

/// For each step; what takes longer is given up, so that a run ends within 10 minutes.
const PATIENCE: Duration = Duration::from_mins(2);
/// What a set that is ready must stand: the product's default.
const SETTLE: Duration = Duration::from_secs(2);
/// The API server of two processors answers as many requests at a time without a queue.
const WRITERS: u32 = 8;

/// What a wait needs where there is much to wait for
#[derive(Parser)]
struct Options {
    scenario: Scenario,
    /// How many pods [default: 5000] or targets [default: 200]
    count: Option<u32>,
    /// MiB that the program may use, 0 for any [default: 16 with pods, 0 with targets]
    #[arg(long)]
    memory: Option<u64>,
    /// Thousandths of a processor, 0 for all [default: 50 with pods, 0 with targets]
    #[arg(long)]
    cpu: Option<u64>,
    /// How many changes of pods that make none ready
    #[arg(long, default_value_t = 1000)]
    events: u32,
    /// Changes a second, these and those that make a pod ready
    #[arg(long, default_value_t = 150)]
    rate: u32,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Cargo adds it
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    Pods,
    Targets,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = if enter::inside().is_none() {
        setup::enter(false, true).map(ExitCode::from)
    } else {
        setup::start_cluster(false).and_then(|cluster| bench(&cluster, &options)).map(|()| ExitCode::SUCCESS)
    };
    result.unwrap_or_else(|error| {
        machine::progress(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

type Figures = Vec<(&'static str, Option<f64>)>;

fn bench(cluster: &Cluster, options: &Options) -> Result<()> {
    ensure!(setup::may_have_node(), "only root can make control groups");
    let mut figures = None;
    let scenario = |namespace: &Namespace| {
        figures = Some(match options.scenario {
            Scenario::Pods => pods(namespace, options),
            Scenario::Targets => targets(namespace, options),
        });
    };
    harness::in_namespace(cluster, "scale", scenario).map_err(|report| anyhow!(report))?;
    print(&figures.context("the scenario has run")??, options.json);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]
fn print(figures: &Figures, as_json: bool) {
    if as_json {
        let object: Map<String, Value> =
            figures.iter().map(|(name, figure)| ((*name).to_owned(), json!(figure))).collect();
        return println!("{}", Value::Object(object));
    }
    for (name, figure) in figures {
        let figure = figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"));
        println!("{name:<46} {figure:>12}");
    }
}

fn pods(namespace: &Namespace, options: &Options) -> Result<Figures> {
    let Options { events, rate, .. } = *options;
    let count = options.count.unwrap_or(5000);
    let created = in_parallel(count, None, |index| namespace.apply_object(&pod(index)));
    let size = u32::try_from(namespace.get("pod/crowd-0").to_string().len())?;
    machine::progress(&format!("{count} pods of {size} bytes in {:.0} s", created.as_secs_f64()));

    let cell = Cell::create("pods", options.memory.unwrap_or(16) << 20, options.cpu.unwrap_or(50))?;
    let (mut wait, started) = start(namespace, &cell, &["pod".into(), "-lapp=crowd".into(), "--timeout=20m".into()])?;
    let usage = Usage::watch(wait.id());
    let first = await_looks(&mut wait, 1).then(|| started.elapsed().as_secs_f64());
    let look = cell.cpu().filter(|_| first.is_some());
    // The first explanation is due after 5 s: its cost is not that of an event.
    thread::sleep(Duration::from_secs(8));
    await_quiet(&mut wait, &cell);
    machine::progress(&format!("first look: {first:?} s"));

    let before = cell.cpu().unwrap_or_default();
    let changed = in_parallel(if wait.is_running() { events } else { 0 }, Some(rate), |index| {
        namespace.write_status(&format!("pod/crowd-{}", index % count), &status(index / count, false));
    });
    let caught_up = await_quiet(&mut wait, &cell);
    let spent = cell.cpu().filter(|_| wait.is_running()).map(|after| milliseconds(after.saturating_sub(before)));
    machine::progress(&format!("{events} events: {spent:?} ms"));

    let survived = wait.is_running();
    let ready = in_parallel(if survived { count } else { 0 }, Some(rate), |index| {
        namespace.write_status(&format!("pod/crowd-{index}"), &status(events / count, true));
    });
    let written = Instant::now();
    let ended = until(&mut wait, |wait| !wait.is_running());
    let release = (survived && ended).then(|| written.elapsed().as_secs_f64() - SETTLE.as_secs_f64());
    let output = wait.so_far();
    let code = if ended {
        wait.finish().code
    } else {
        drop(wait);
        None
    };
    let per_second = |count: u32, time: Duration| survived.then(|| f64::from(count) / time.as_secs_f64());
    let mut figures = vec![
        ("pods", Some(count.into())),
        ("JSON of one, bytes", Some(size.into())),
        ("their creation, s", Some(created.as_secs_f64())),
        ("first look after, s", first),
        ("CPU until then, ms", look.map(milliseconds)),
        ("events", Some(events.into())),
        ("events a second, as written", per_second(events, changed)),
        ("quiet after the last one, s", caught_up.map(|time| time.as_secs_f64())),
        ("CPU an event, ms", spent.map(|spent| spent / f64::from(events))),
        ("ready pods a second, as written", per_second(count, ready)),
        ("exit after the last one and 2 s, s", release),
        ("exit code", code.map(f64::from)),
    ];
    figures.extend(used(&cell, usage, &output)?);
    Ok(figures)
}

fn targets(namespace: &Namespace, options: &Options) -> Result<Figures> {
    let count = options.count.unwrap_or(200);
    in_parallel(count, None, |index| namespace.apply_object(&job(index)));
    let cell = Cell::create("targets", options.memory.unwrap_or(0) << 20, options.cpu.unwrap_or(0))?;
    let arguments: Vec<String> = (0..count).map(|index| format!("job/a-{index}")).collect();
    let (mut wait, started) = start(namespace, &cell, &arguments)?;
    let usage = Usage::watch(wait.id());
    let looks = await_looks(&mut wait, count as usize).then(|| started.elapsed().as_secs_f64());
    thread::sleep(Duration::from_secs(20).saturating_sub(started.elapsed()));
    let late = Usage::of(wait.id());
    let output = wait.so_far();
    drop(wait);
    let mut figures = vec![
        ("targets", Some(count.into())),
        ("first look at all of them after, s", looks),
        ("resident after 20 s, MB", late.map(|late| megabytes(late.resident))),
        ("connections after 20 s", late.map(|late| late.connections.into())),
        ("threads after 20 s", late.map(|late| late.threads.into())),
    ];
    figures.extend(used(&cell, usage, &output)?);
    Ok(figures)
}

/// What both scenarios tell of a program that has ended.
fn used(cell: &Cell, usage: JoinHandle<Usage>, output: &str) -> Result<Figures> {
    let usage = usage.join().map_err(|_| anyhow!("the watch over the program has failed"))?;
    Ok(vec![
        ("CPU in all, ms", cell.cpu().map(milliseconds)),
        ("peak of the cell, MB", cell.peak().map(megabytes)),
        ("peak of the process (VmHWM), MB", Some(megabytes(usage.peak))),
        ("connections, at most", Some(usage.connections.into())),
        ("threads, at most", Some(usage.threads.into())),
        ("killed for want of memory", cell.out_of_memory().map(f64::from)),
        ("lines written", Some(f64::from(u32::try_from(output.lines().count())?))),
        ("load of the machine, 1 min", load()),
    ])
}

/// As in a container: with the token of a service account, which may read everything.
fn start(namespace: &Namespace, cell: &Cell, arguments: &[String]) -> Result<(Wait, Instant)> {
    namespace.kubeconfig_for("waiter", Some("[{apiGroups: ['*'], resources: ['*'], verbs: [get, list, watch]}]"));
    namespace.mount_service_account("waiter");
    let environment = [("KUBERNETES_SERVICE_HOST", enter::API_ADDRESS), ("KUBERNETES_SERVICE_PORT", "443")];
    let (product, started) = (product::ready()?, Instant::now());
    Ok((cell.start(&product, arguments, environment), started))
}

/// Whether it comes to say of so many targets that they wait.
fn await_looks(wait: &mut Wait, count: usize) -> bool {
    until(wait, |wait| !wait.is_running() || wait.so_far().matches(": waiting: ").count() >= count) && wait.is_running()
}

/// Until a second costs less than a hundredth of it. Answers how long that took, unless it is not to be waited for:
/// then the program has not caught up, and has spent less than what the events will cost.
fn await_quiet(wait: &mut Wait, cell: &Cell) -> Option<Duration> {
    let started = Instant::now();
    let quiet = until(wait, |wait| {
        let before = cell.cpu();
        thread::sleep(Duration::from_secs(1));
        let busy = cell
            .cpu()
            .zip(before)
            .is_none_or(|(after, before)| after.saturating_sub(before) > Duration::from_millis(10));
        !busy || !wait.is_running()
    });
    (quiet && wait.is_running()).then(|| started.elapsed().saturating_sub(Duration::from_secs(1)))
}

fn until(wait: &mut Wait, mut done: impl FnMut(&mut Wait) -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if done(wait) {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Does it for each index, no sooner than the rate says. Answers how long all took.
fn in_parallel(count: u32, rate: Option<u32>, action: impl Fn(u32) + Sync) -> Duration {
    let (started, next) = (Instant::now(), AtomicU32::new(0));
    let writer = || {
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && index < count
        {
            let due = rate.map(|rate| Duration::from_secs(index.into()) / rate).unwrap_or_default();
            thread::sleep(due.saturating_sub(started.elapsed()));
            action(index);
        }
    };
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(writer);
        }
    });
    started.elapsed()
}

/// Of 7 KB with its managed fields. No controller minds it, as it waits for a scheduler that nobody runs.
fn pod(index: u32) -> Value {
    let variable =
        |number| json!({"name": format!("SETTING_{number}"), "value": "of no use but for its length ".repeat(2)});
    let environment: Vec<Value> = (100..133).map(variable).collect();
    let container = json!({"name": "main", "image": "registry.example.com/crowd:1.2.3", "env": environment});
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": format!("crowd-{index}"), "labels": {"app": "crowd"}},
        "spec": {"schedulerName": "nobody", "containers": [container]},
    })
}

/// Of a pod that runs.
fn status(restarts: u32, ready: bool) -> Value {
    let time = "2026-01-01T00:00:00Z";
    let truth = |true_or_not| if true_or_not { "True" } else { "False" };
    let condition = |(kind, state)| json!({"type": kind, "status": truth(state), "lastTransitionTime": time});
    let conditions = [("PodScheduled", true), ("Initialized", true), ("ContainersReady", ready), ("Ready", ready)];
    let container = json!({
        "name": "main",
        "image": "registry.example.com/crowd:1.2.3",
        "imageID": "",
        "ready": ready,
        "restartCount": restarts,
        "state": {"running": {"startedAt": time}},
    });
    json!({
        "phase": "Running",
        "startTime": time,
        "conditions": conditions.map(condition),
        "containerStatuses": [container],
    })
}

/// Suspended, so that it never ends.
fn job(index: u32) -> Value {
    let container = json!({"name": "main", "image": "busybox:1.37"});
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": format!("a-{index}")},
        "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    })
}

/// Other work on the machine makes every time longer.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn megabytes(bytes: u32) -> f64 {
    f64::from(bytes) / 1e6
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
