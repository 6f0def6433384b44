//! Connections that do not come about, break, or only look alive.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use testbed::{
    Namespace, Wait,
    figures::{rate_below, shown, within},
    front::{Reply, head},
    objects::{complete_job, create_fleeting_job, create_suspended_job, run_fleeting_job},
    scene::{
        Fault, api_server, await_watch, await_watches, by_way_of, changed, let_pass, reader, refusing, since, succeeds,
        through, wait, wait_for_job, wire,
    },
    wire::{Cut, Faults, Wire},
};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// One attempt to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

pub fn api_server_comes_up_20_s_late(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let wire = wire(namespace, refusing());
    let kubeconfig = through(namespace, &wire);
    let waiting = wait(&kubeconfig, "job migrate");
    let server = format!("https://{} (context test)", wire.address());
    waiting.line(&format!("cannot reach the API server {server}: connection refused; retrying"));
    let_pass(Duration::from_secs(20));
    wire.set(Faults::default());
    let up = Instant::now();
    let finished = succeeds(waiting);
    within(LONGEST_PAUSE, "API server down at start, up 20 s later: exit after that", up.elapsed());
    // The pause that was the longest ends 35 s after the start, and a reminder comes after 30 s.
    let told = finished.stdout.matches("retrying").count();
    assert_eq!(told, if finished.stdout.contains("30s so far") { 2 } else { 1 }, "{finished:#?}");
    assert!(
        ["2", "3"].iter().any(|it| finished.stdout.contains(&format!("responds again after {it}"))),
        "{finished:#?}"
    );
}

pub fn outage_is_told_when_it_begins_every_30_s_and_when_it_ends(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    create_suspended_job(namespace, "index");
    let wire = wire(namespace, Faults::default());
    let waiting = wait(&through(namespace, &wire), "job migrate index");
    await_watches(namespace, 2);
    wire.set(refusing());
    wire.cut(Cut::Rst);
    let down = Instant::now();
    waiting.line("connection refused");
    within(Duration::from_secs(1), "API server gone: told after", down.elapsed());
    since(down, "two reminders", || waiting.so_far().matches("retrying").count() == 3);
    within(Duration::from_secs(61), "API server gone: second reminder after", down.elapsed());
    wire.set(Faults::default());
    let up = Instant::now();
    waiting.line("responds again after 1m");
    within(LONGEST_PAUSE, "API server back: told after", up.elapsed());
    complete_job(namespace, "migrate");
    complete_job(namespace, "index");
    let finished = succeeds(waiting);
    // Of the outage, not of each target.
    assert_eq!(finished.stdout.matches("retrying").count(), 3, "{finished:#?}");
    assert_eq!(finished.stdout.matches("responds again").count(), 1, "{finished:#?}");
}

/// Packets to `10.98.0.0/24` come back by `lo` and, as long as nobody has the address, are dropped without a word.
fn drop_packets() {
    static ROUTE: Once = Once::new();
    ROUTE.call_once(|| ip(&["route", "add", "10.98.0.0/24", "dev", "lo"]));
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip starts");
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
}

/// A kubeconfig whose server has this address, which its certificate does not know.
pub fn at_dropped_address(namespace: &Namespace, address: &str) -> PathBuf {
    drop_packets();
    changed(&reader(namespace), address, |cluster, _| {
        cluster["server"] = format!("https://{address}:443").into();
        cluster["tls-server-name"] = "localhost".into();
    })
}

fn wire_at(namespace: &Namespace, address: &str) -> Wire {
    ip(&["address", "add", &format!("{address}/32"), "dev", "lo"]);
    let address: SocketAddr = format!("{address}:443").parse().expect("an address");
    Wire::start(namespace.cluster(), address, vec![api_server()], Faults::default())
}

pub fn lost_syn_costs_5_s(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let kubeconfig = at_dropped_address(namespace, "10.98.0.2");
    let started = Instant::now();
    let waiting = wait_for_job(&kubeconfig);
    waiting.line("no connection within 5s");
    within(CONNECT_LIMIT, "SYN dropped: noticed after", started.elapsed());
    let _wire = wire_at(namespace, "10.98.0.2");
    let healed = Instant::now();
    succeeds(waiting);
    within(LONGEST_PAUSE + CONNECT_LIMIT, "SYN dropped: exit after it got through", healed.elapsed());
}

pub fn stalled_tls_handshake_costs_5_s(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let stalled = Faults { stall_answers: true, ..Faults::default() };
    let wire = wire(namespace, stalled);
    let kubeconfig = through(namespace, &wire);
    let started = Instant::now();
    let waiting = wait_for_job(&kubeconfig);
    waiting.line("no connection within 5s");
    within(CONNECT_LIMIT, "TLS handshake stalls: noticed after", started.elapsed());
    wire.set(Faults::default());
    succeeds(waiting);
}

pub fn half_open_watch_is_noticed(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let kubeconfig = at_dropped_address(namespace, "10.98.0.3");
    let _wire = wire_at(namespace, "10.98.0.3");
    let waiting = wait_for_job(&kubeconfig);
    await_watch(namespace);
    ip(&["address", "del", "10.98.0.3/32", "dev", "lo"]);
    let lost = Instant::now();
    since(lost, "the end of the watch", || waiting.so_far().contains("watch ended"));
    within(Duration::from_secs(40), "established watch half-open: noticed after", lost.elapsed());
    ip(&["address", "add", "10.98.0.3/32", "dev", "lo"]);
    complete_job(namespace, "migrate");
    succeeds(waiting);
}

/// Ends with the Job as it was, and the last event of it seen.
fn send_event(namespace: &Namespace, waiting: &Wait) {
    let suspensions = || waiting.so_far().matches("suspended").count();
    let before = suspensions();
    namespace.patch("job/migrate", &json!({"spec": {"suspend": false}}));
    waiting.line("running: 1 pod active");
    namespace.patch("job/migrate", &json!({"spec": {"suspend": true}}));
    since(Instant::now(), "the Job is suspended again", || suspensions() > before);
}

pub fn proxy_with_a_dead_backend_is_noticed(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let wire = wire(namespace, Faults::default());
    let waiting = wait_for_job(&through(namespace, &wire));
    await_watch(namespace);
    send_event(namespace, &waiting);
    wire.set(Faults { stall_answers: true, stall_requests: true, ..Faults::default() });
    let dead = Instant::now();
    since(dead, "the end of the watch", || waiting.so_far().contains("watch ended"));
    within(Duration::from_secs(100), "proxy alive with a dead backend: noticed after", dead.elapsed());
    wire.cut(Cut::Fin);
    wire.set(Faults::default());
    complete_job(namespace, "migrate");
    succeeds(waiting);
}

pub fn reset_and_closed_watches_are_resumed_at_once(namespace: &Namespace) {
    let kubeconfig = reader(namespace);
    for (name, cut) in [("reset", Cut::Rst), ("closed", Cut::Fin)] {
        create_suspended_job(namespace, name);
        let wire = wire(namespace, Faults::default());
        let server = format!("https://{}", wire.address());
        let waiting = wait(&by_way_of(&kubeconfig, &server), &format!("job {name} --log-level debug"));
        let is_open = || namespace.requests_by("waiter").into_iter().find(|it| it.open && it.name == name);
        namespace.eventually("the watch is open", is_open);
        wire.cut(cut);
        complete_job(namespace, name);
        let completed = Instant::now();
        succeeds(waiting);
        within(Duration::from_secs(1), &format!("watch {name}, Job completes: exit after"), completed.elapsed());
    }
}

/// What becomes of every watch, by the Job that is waited for.
fn ends_of_watches(namespace: &Namespace) -> [(&'static str, Reply); 4] {
    let opened = head(200, "Content-Type: application/json\r\n");
    let soon = Duration::from_millis(20);
    let stale = "closed-at-once-after-an-event";
    [
        ("reset-after-20-ms", Reply::SayThen(opened.clone(), soon, Cut::Rst)),
        ("closed-after-20-ms", Reply::SayThen(opened.clone(), soon, Cut::Fin)),
        ("closed-at-once", Reply::Say(opened.clone())),
        (stale, Reply::Say(opened + &old_event(namespace, stale))),
    ]
}

/// The same again and again, as a cache in between would.
fn old_event(namespace: &Namespace, job: &str) -> String {
    let job = json!({"metadata": {"name": job, "namespace": namespace.name(), "resourceVersion": "1"}});
    format!("{}\n", json!({"type": "MODIFIED", "object": job}))
}

pub fn watch_that_always_breaks_is_no_flood(namespace: &Namespace) {
    let kubeconfig = reader(namespace);
    thread::scope(|scope| {
        for (job, end) in ends_of_watches(namespace) {
            let kubeconfig = &kubeconfig;
            scope.spawn(move || steady_rate(namespace, kubeconfig, job, end));
        }
    });
}

fn steady_rate(namespace: &Namespace, kubeconfig: &Path, job: &str, end: Reply) {
    create_suspended_job(namespace, job);
    let fault = Fault::start(namespace, move |asked| asked.is_watch().then(|| end.clone()));
    let mut waiting = wait(&by_way_of(kubeconfig, &fault.front.url()), &format!("job {job} --log-level debug"));
    let started = Instant::now();
    let (settling, steady) = (Duration::from_secs(10), Duration::from_secs(50));
    let_pass(settling + steady);
    let asked = fault.front.asked();
    let (early, late): (Vec<_>, Vec<_>) = asked.iter().partition(|it| it.at < started + settling);
    // Polls come every second in the beginning, and some tries to watch beside them.
    rate_below(1.3, &format!("every watch {job}: requests"), late.len(), steady);
    shown(&format!("every watch {job}: requests in the first 10 s"), &early.len().to_string());
    assert!(waiting.is_running());
    fault.heal();
    complete_job(namespace, job);
    succeeds(waiting);
}

pub fn answer_cut_anywhere_is_asked_for_again(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    // From the middle of the handshake to the end of the list.
    for cut_after in (200..4000).step_by(400) {
        let wire = wire(namespace, Faults { cut_after: Some(cut_after), ..Faults::default() });
        let waiting = wait_for_job(&by_way_of(&kubeconfig, &format!("https://{}", wire.address())));
        let said = || waiting.so_far().contains("retrying") || waiting.so_far().contains("done after");
        since(Instant::now(), "a failure or a success", said);
        wire.set(Faults::default());
        succeeds(waiting);
    }
}

pub fn slow_line_is_no_fault(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let wire = wire(namespace, Faults { bytes_per_second: Some(2000), ..Faults::default() });
    let finished = succeeds(wait_for_job(&through(namespace, &wire)));
    assert!(!finished.stdout.contains("retrying"), "{finished:#?}");
    shown("a line of 2 kB/s: exit after", &format!("{:.2} s", finished.elapsed.as_secs_f64()));
}

pub fn job_deleted_while_partitioned_is_decided_by_its_deletion(namespace: &Namespace) {
    create_fleeting_job(namespace);
    let wire = wire(namespace, Faults::default());
    let waiting = wait_for_job(&through(namespace, &wire));
    await_watch(namespace);
    wire.set(refusing());
    wire.cut(Cut::Rst);
    run_fleeting_job(namespace);
    wire.set(Faults::default());
    let healed = Instant::now();
    succeeds(waiting);
    within(LONGEST_PAUSE, "Job gone by TTL 0 while partitioned: exit after it healed", healed.elapsed());
}
