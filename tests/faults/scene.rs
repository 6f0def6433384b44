//! What every row starts from: a Job, a service account that may read it, and a kubeconfig whose server is a fault.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testbed::{
    Cluster, Finished, Namespace, Wait,
    enter::API_ADDRESS,
    wire::{Faults, Wire},
};

/// The product under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_k8s-wait-for");
/// All that a wait for a Job needs.
pub const READER: &str = "[{apiGroups: [batch], resources: [jobs], verbs: [list, watch]}]";
/// No row takes longer; nothing waits for this to pass.
pub const PATIENCE: Duration = Duration::from_mins(4);
/// What any row may be late, on a machine with other things to do.
pub const SLACK: Duration = Duration::from_secs(2);

/// A suspended Job: its controller leaves it alone, so the test says when it is done.
pub fn create_job(namespace: &Namespace, name: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name:?}}}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {{testbed: none}}
      containers: [{{name: migrate, image: busybox:1.37}}]
"
    ));
}

/// What the controller would write.
pub fn complete_job(namespace: &Namespace, name: &str) {
    let now = "2026-01-02T03:04:05Z";
    let condition =
        |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now});
    let conditions = [condition("SuccessCriteriaMet"), condition("Complete")];
    let status = json!({"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions});
    namespace.write_status(&format!("job/{name}"), &status);
}

/// Where the real API server is.
pub fn api_server() -> SocketAddr {
    format!("{API_ADDRESS}:443").parse().expect("an address")
}

/// A proxy before the real API server, on a port of its own.
pub fn wire(cluster: &Cluster, faults: Faults) -> Wire {
    Wire::start(cluster, "127.0.0.1:0".parse().expect("an address"), vec![api_server()], faults)
}

/// The kubeconfig of the service account `waiter`, which may read Jobs.
pub fn reader(namespace: &Namespace) -> PathBuf {
    namespace.kubeconfig_for("waiter", Some(READER))
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
    let name = server.replace(['/', ':'], "-");
    changed(kubeconfig, &name, |cluster, _| cluster["server"] = server.into())
}

/// A kubeconfig whose way to the API server is this wire.
pub fn through(namespace: &Namespace, wire: &Wire) -> PathBuf {
    by_way_of(&reader(namespace), &format!("https://{}", wire.address()))
}

/// Starts to wait for the Job `migrate`, saying all that a person may want to know.
pub fn wait_for_job(kubeconfig: &Path) -> Wait {
    wait(kubeconfig, &["job", "migrate", "--log-level", "debug"])
}

/// Starts to wait with these arguments.
pub fn wait(kubeconfig: &Path, arguments: &[&str]) -> Wait {
    Wait::start(PROGRAM, arguments, [("KUBECONFIG", kubeconfig)])
}

/// Waits for the end, which has to be a success.
#[track_caller]
pub fn succeeds(wait: Wait) -> Finished {
    let finished = wait.finish_within(PATIENCE);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    finished
}

/// Asks until it says yes, and answers how long that took since `start`.
#[track_caller]
pub fn since(start: Instant, what: &str, mut has_happened: impl FnMut() -> bool) -> Duration {
    while !has_happened() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

/// Waits until the API server has accepted the watch of the service account `waiter`.
pub fn await_watch(namespace: &Namespace) {
    let is_open = || namespace.requests_by("waiter").into_iter().find(|it| it.verb == "watch" && it.open);
    namespace.eventually("the watch is open", is_open);
}

/// The fault's own length.
pub fn let_pass(duration: Duration) {
    thread::sleep(duration);
}
