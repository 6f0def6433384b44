//! The API server and etcd stop, die and come back under those who wait.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command},
    time::{Duration, Instant},
};

use testbed::{
    Cluster, Namespace, Signal,
    figures::{shown, within},
    objects::{complete_job, create_fleeting_job, create_suspended_job, run_fleeting_job},
    scene::{
        api_server, await_watch, by_way_of, let_pass, reader, since, still_waits, succeeds, through, wait,
        wait_for_job, wire,
    },
    wire::{Cut, Faults, Wire},
};

/// The longest pause between two attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Starts the API server, again or after its death. The controllers' own back-off would keep them away from it for
/// longer than the next row may take to get its service account, so they begin anew.
pub fn start_api_server(cluster: &Cluster) {
    cluster.process("kube-apiserver").restart().expect("the API server starts");
    cluster.await_api_server();
    cluster.process("kube-controller-manager").restart().expect("the controllers start");
}

pub fn etcd_stopped_for_20_s_is_survived(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let watching = wait_for_job(&kubeconfig);
    await_watch(namespace);
    let etcd = namespace.cluster().process("etcd");
    etcd.signal(Signal::STOP).expect("etcd is there");
    let listing = wait_for_job(&kubeconfig);
    let_pass(Duration::from_secs(20));
    etcd.signal(Signal::CONT).expect("etcd is there");
    let on = Instant::now();
    namespace.cluster().await_api_server();
    complete_job(namespace, "migrate");
    succeeds(watching);
    within(Duration::from_secs(1), "etcd stopped 20 s: exit of who watched", on.elapsed());
    succeeds(listing);
    within(LONGEST_PAUSE, "etcd stopped 20 s: exit of who began meanwhile", on.elapsed());
}

pub fn api_server_killed_and_restarted_45_s_later_is_survived(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let waiting = wait(&reader(namespace), "job migrate");
    await_watch(namespace);
    let server = namespace.cluster().process("kube-apiserver");
    server.kill().expect("the API server is there");
    let killed = Instant::now();
    waiting.line("retrying");
    within(Duration::from_secs(1), "kube-apiserver killed: told after", killed.elapsed());
    let_pass(Duration::from_secs(45));
    start_api_server(namespace.cluster());
    let back = Instant::now();
    waiting.line("responds again");
    within(LONGEST_PAUSE, "kube-apiserver restarted 45 s later: told after", back.elapsed());
    // A busy machine takes its time to start an API server.
    let reminders = usize::try_from(killed.elapsed().as_secs() / 30).expect("it is over");
    complete_job(namespace, "migrate");
    let finished = succeeds(waiting);
    let told = finished.stdout.matches("retrying").count();
    shown("kube-apiserver restarted 45 s later: lines on the outage", &told.to_string());
    assert!((2..=2 + reminders).contains(&told), "{reminders} times 30 s: {finished:#?}");
}

/// Another kube-apiserver beside the first, with its command line but an address and a log of its own.
struct SecondServer {
    command: Vec<String>,
    address: SocketAddr,
    child: Child,
}

impl SecondServer {
    fn start(namespace: &Namespace) -> Self {
        let first = namespace.cluster().process("kube-apiserver").id();
        let line = fs::read_to_string(format!("/proc/{first}/cmdline")).expect("Linux shows command lines");
        let other = |word: &str| match word.split('=').next() {
            Some("--bind-address" | "--advertise-address") => word.replace("10.96.0.1", "10.96.0.2"),
            Some("--audit-log-path") => format!("{word}.second"),
            _ => word.to_owned(),
        };
        let command: Vec<String> = line.split_terminator('\0').map(other).collect();
        let added = Command::new("ip").args(["address", "add", "10.96.0.2/32", "dev", "lo"]).status();
        assert!(added.expect("ip starts").success());
        let child = launch(&command);
        Self { command, address: "10.96.0.2:443".parse().expect("an address"), child }
    }

    fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("the second API server is there");
    }

    fn restart(&mut self, namespace: &Namespace) {
        self.child = launch(&self.command);
        self.await_ready(namespace);
    }

    fn await_ready(&self, namespace: &Namespace) {
        let admin = by_way_of(namespace.cluster().admin_kubeconfig(), &format!("https://{}", self.address));
        let kubeconfig = admin.to_str().expect("a UTF-8 path");
        since(Instant::now(), "the second API server is ready", || {
            namespace.run_kubectl(&["--kubeconfig", kubeconfig, "get", "--raw", "/readyz"]).is_ok()
        });
    }
}

impl Drop for SecondServer {
    fn drop(&mut self) {
        // It may be dead already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn launch(command: &[String]) -> Child {
    let log = fs::File::create("/run/testbed/logs/kube-apiserver-second.log").expect("the folder takes files");
    let errors = log.try_clone().expect("a second handle");
    Command::new(&command[0]).args(&command[1..]).stdout(log).stderr(errors).spawn().expect("it starts")
}

pub fn two_api_servers_restarted_in_turn_are_survived(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let mut second = SecondServer::start(namespace);
    second.await_ready(namespace);
    let address = "127.0.0.1:0".parse().expect("an address");
    let servers = vec![api_server(), second.address];
    let balancer = Wire::start(namespace.cluster(), address, servers, Faults::default());
    let mut waiting = wait_for_job(&through(namespace, &balancer));
    await_watch(namespace);
    let first = namespace.cluster().process("kube-apiserver");
    // Not attempts: one that fails may be followed by one at a server that is back by then.
    let answers = || waiting.so_far().matches("response status=200").count();
    for _ in 0..2 {
        let before = answers();
        first.kill().expect("the API server is there");
        since(Instant::now(), "the watch goes on at the second server", || answers() > before);
        // From before the first one is back: a watch that ended meanwhile was opened there already.
        let before = answers();
        start_api_server(namespace.cluster());
        second.kill();
        since(Instant::now(), "the watch goes on at the first server", || answers() > before);
        second.restart(namespace);
    }
    assert!(waiting.is_running());
    complete_job(namespace, "migrate");
    let completed = Instant::now();
    succeeds(waiting);
    within(LONGEST_PAUSE, "two API servers restarted in turn: exit after the Job completes", completed.elapsed());
}

pub fn job_gone_with_its_history_is_waited_for(namespace: &Namespace) {
    create_fleeting_job(namespace);
    let wire = wire(namespace, Faults::default());
    let waiting = wait_for_job(&through(namespace, &wire));
    await_watch(namespace);
    wire.set(Faults { refuse: true, ..Faults::default() });
    wire.cut(Cut::Rst);
    run_fleeting_job(namespace);
    // A new API server knows nothing of what was before it.
    start_api_server(namespace.cluster());
    wire.set(Faults::default());
    let line = waiting.line("last seen");
    shown("Job gone, history too", line.split("waiting: ").nth(1).unwrap_or_default().trim());
    still_waits(waiting);
}
