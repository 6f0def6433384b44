//! What a test starts from: the built binary, who it is in the cluster, and by which way it reaches the API server.
#![expect(clippy::missing_panics_doc, reason = "a test fails by a panic: everything here panics when it fails")]

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Finished, LIMIT, Namespace, Wait,
    enter::API_ADDRESS,
    front::{Asked, Front, Reply, head},
    wire::{Faults, Wire},
};

/// All that a wait for a Job needs, and what it polls by where it may not list or watch.
pub const JOBS: &str = "[{apiGroups: [batch], resources: [jobs], verbs: [get, list, watch]}]";
/// All that any wait may want to read, with all that explains it.
pub const EVERYTHING: &str = "[{apiGroups: [batch, '', discovery.k8s.io], resources: [jobs, pods, services, \
    endpointslices, events], verbs: [get, list, watch]}, {apiGroups: [''], resources: [pods/log], verbs: [get]}]";
/// All that a wait for any kind may want to read.
pub const ALL: &str = "[{apiGroups: ['*'], resources: ['*'], verbs: [get, list, watch]}]";

/// The binary under test.
pub fn program() -> PathBuf {
    env::var_os("CARGO_BIN_EXE_k8s-wait-for").expect("Cargo tells a test of the product where its binary is").into()
}

/// Starts it as the service account `waiter` with these rules.
pub fn start(namespace: &Namespace, rules: &str, line: &str) -> Wait {
    start_with(namespace, rules, line, &[])
}

/// The same with these rules in all namespaces, and for what is in none.
pub fn start_everywhere(namespace: &Namespace, rules: &str, line: &str) -> Wait {
    wait(&namespace.kubeconfig_for_all_namespaces("waiter", rules), line)
}

/// The same as [`start`] with these variables.
pub fn start_with(namespace: &Namespace, rules: &str, line: &str, variables: &[(&'static str, &str)]) -> Wait {
    wait_with(&namespace.kubeconfig_for("waiter", Some(rules)), line, variables)
}

/// The same as the init container `wait` of this pod.
pub fn start_as(namespace: &Namespace, pod: &str, rules: &str, line: &str) -> Wait {
    start_with(namespace, rules, line, &identity(namespace, pod))
}

/// What tells it that it is the container `wait` of this pod.
pub fn identity<'a>(namespace: &'a Namespace, pod: &'a str) -> [(&'static str, &'a str); 3] {
    [("POD_NAME", pod), ("POD_NAMESPACE", namespace.name()), ("CONTAINER_NAME", "wait")]
}

/// Starts it with this server, a [`Front`], which has every right.
pub fn start_at(namespace: &Namespace, server: &str, line: &str, variables: &[(&'static str, &str)]) -> Wait {
    // A file for each server: many may be started at once.
    let kubeconfig = namespace.kubeconfig_with(&server.replace(['/', ':'], "-"), "unused");
    wait_with(&by_way_of(&kubeconfig, server), line, variables)
}

/// Starts it with this kubeconfig.
pub fn wait(kubeconfig: &Path, line: &str) -> Wait {
    wait_with(kubeconfig, line, &[])
}

/// The same with these variables.
pub fn wait_with(kubeconfig: &Path, line: &str, variables: &[(&'static str, &str)]) -> Wait {
    let kubeconfig = ("KUBECONFIG", kubeconfig.to_str().expect("a UTF-8 path"));
    Wait::start(program(), line.split(' '), variables.iter().copied().chain([kubeconfig]))
}

/// Waits for the Job `migrate`, saying all that a person may want to know.
pub fn wait_for_job(kubeconfig: &Path) -> Wait {
    wait(kubeconfig, "job migrate --log-level debug")
}

/// Waits for the end, which has this code; the last line says so.
#[track_caller]
pub fn ends(wait: Wait, code: i32, text: &str) -> Finished {
    let finished = wait.finish();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    assert!(finished.last_line().contains(text), "the last line has {text:?}: {finished:#?}");
    finished
}

/// Waits for the end, which has to be a success.
#[track_caller]
pub fn succeeds(wait: Wait) -> Finished {
    ends(wait, 0, "done after")
}

/// It goes on: only a signal ends it.
#[track_caller]
pub fn still_waits(wait: Wait) -> Finished {
    wait.signal(crate::Signal::TERM);
    ends(wait, 143, "")
}

/// What one look says.
#[track_caller]
pub fn looks(namespace: &Namespace, rules: &str, line: &str, code: i32, text: &str) {
    ends(start(namespace, rules, &format!("{line} --timeout 0")), code, text);
}

/// Asks until it says yes, and answers how long that took since `start`.
#[track_caller]
pub fn since(start: Instant, what: &str, mut has_happened: impl FnMut() -> bool) -> Duration {
    while !has_happened() {
        assert!(start.elapsed() < LIMIT, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

/// The fault's own length.
pub fn let_pass(duration: Duration) {
    thread::sleep(duration);
}

/// Waits until the API server has accepted so many watches of the service account `waiter`.
pub fn await_watches(namespace: &Namespace, number: usize) {
    let watches = || namespace.requests_by("waiter").iter().filter(|it| it.verb == "watch" && it.open).count();
    namespace.eventually(&format!("{number} watches are open"), || (watches() >= number).then_some(()));
}

/// Waits until it has accepted one.
pub fn await_watch(namespace: &Namespace) {
    await_watches(namespace, 1);
}

/// The kubeconfig of the service account `waiter`, which may read Jobs.
pub fn reader(namespace: &Namespace) -> PathBuf {
    namespace.kubeconfig_for("waiter", Some("[{apiGroups: [batch], resources: [jobs], verbs: [list, watch]}]"))
}

/// Another kubeconfig like this one, with other settings of its cluster and user.
pub fn changed(kubeconfig: &Path, name: &str, change: impl FnOnce(&mut Value, &mut Value)) -> PathBuf {
    let text = fs::read_to_string(kubeconfig).expect("a kubeconfig is readable");
    let mut value: Value = serde_json::from_str(&text).expect("the testbed writes JSON");
    let (mut cluster, mut user) = (value["clusters"][0]["cluster"].take(), value["users"][0]["user"].take());
    change(&mut cluster, &mut user);
    value["clusters"][0]["cluster"] = cluster;
    value["users"][0]["user"] = user;
    let path = kubeconfig.with_extension(format!("{name}.kubeconfig"));
    fs::write(&path, value.to_string()).expect("the folder takes files");
    path
}

/// The same by way of another server.
pub fn by_way_of(kubeconfig: &Path, server: &str) -> PathBuf {
    changed(kubeconfig, &server.replace(['/', ':'], "-"), |cluster, _| cluster["server"] = server.into())
}

/// A kubeconfig whose way to the API server is this wire.
pub fn through(namespace: &Namespace, wire: &Wire) -> PathBuf {
    by_way_of(&reader(namespace), &format!("https://{}", wire.address()))
}

/// A kubeconfig whose credentials come from this shell script.
pub fn with_plugin(kubeconfig: &Path, name: &str, script: &str) -> PathBuf {
    let command = kubeconfig.with_extension(format!("{name}.sh"));
    write_script(&command, script);
    changed(kubeconfig, name, |_, user| {
        *user = plugin(&command.to_string_lossy(), "Never");
        user["exec"]["env"] = json!([{"name": "WHO", "value": name}]);
    })
}

/// A user whose credentials come from this command.
pub fn plugin(command: &str, interactive: &str) -> Value {
    json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": command,
        "interactiveMode": interactive,
        "installHint": "install it from the shop",
    }})
}

/// What a plugin writes.
pub fn exec_credential(status: &Value) -> String {
    json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}).to_string()
}

/// A script that can be run.
pub fn write_script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("the folder takes files");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("it is ours");
}

/// Where the real API server is.
pub fn api_server() -> SocketAddr {
    format!("{API_ADDRESS}:443").parse().expect("an address")
}

/// A proxy before the real API server, on a port of its own.
pub fn wire(namespace: &Namespace, faults: Faults) -> Wire {
    Wire::start(namespace.cluster(), "127.0.0.1:0".parse().expect("an address"), vec![api_server()], faults)
}

/// Nobody listens.
pub fn refusing() -> Faults {
    Faults { refuse: true, ..Faults::default() }
}

/// A [`Front`] with a fault that lasts until somebody heals it, however often it was met.
pub struct Fault {
    /// what stands before the real API server
    pub front: Front,
    healed: Arc<AtomicBool>,
}

impl Fault {
    /// What it has no answer for passes.
    pub fn start(namespace: &Namespace, answer: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let healed = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&healed);
        let front = Front::start(namespace.cluster(), move |asked| {
            let answer = if switch.load(Ordering::Relaxed) { None } else { answer(asked) };
            answer.unwrap_or(Reply::Pass)
        });
        Self { front, healed }
    }

    /// From now on everything passes.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }
}

/// A failure as the API server words it.
pub fn status(code: u16, reason: &str, message: &str, lines: &str) -> String {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message});
    format!("{}{body}", head(code, &format!("Content-Type: application/json\r\n{lines}")))
}

/// The same as an answer, in a word.
pub fn refusal(code: u16, reason: &str) -> Reply {
    Reply::Say(status(code, reason, &format!("scripted {reason}"), ""))
}
