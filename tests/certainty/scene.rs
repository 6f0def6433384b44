//! What the cases are made of: objects whose controllers leave them alone, and the built binary.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use testbed::front::{Asked, Front, Reply, head};
use testbed::{Finished, Namespace, Signal, Wait};

/// The product under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_k8s-wait-for");
/// All that any wait may want to read.
pub const EVERYTHING: &str = "[{apiGroups: [batch, '', discovery.k8s.io], resources: [jobs, pods, services, \
    endpointslices, events], verbs: [get, list, watch]}, {apiGroups: [''], resources: [pods/log], verbs: [get]}]";

/// A suspended Job: its controller leaves it alone, so the test says how it ends.
pub fn create_job(namespace: &Namespace, name: &str, labels: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, labels: {{{labels}}}}}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: migrate, image: 'busybox:1.37'}}]
"
    ));
}

fn end_job(namespace: &Namespace, name: &str, conditions: [Value; 2], more: &Value) {
    let now = jiff_now();
    let conditions = conditions.map(|condition| {
        let mut condition = condition;
        for key in ["lastProbeTime", "lastTransitionTime"] {
            condition[key] = now.clone();
        }
        condition["status"] = "True".into();
        condition
    });
    let mut status = json!({"startTime": now, "conditions": conditions});
    status.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    if !status["completionTime"].is_null() {
        status["completionTime"] = now;
    }
    namespace.write_status(&format!("job/{name}"), &status);
}

/// As its controller would.
pub fn complete_job(namespace: &Namespace, name: &str) {
    let conditions = [json!({"type": "SuccessCriteriaMet"}), json!({"type": "Complete"})];
    end_job(namespace, name, conditions, &json!({"completionTime": "now", "succeeded": 1}));
}

/// The same with any reason.
pub fn fail_job(namespace: &Namespace, name: &str, reason: &str) {
    let condition = |kind: &str| json!({"type": kind, "reason": reason, "message": "as the test says"});
    end_job(namespace, name, [condition("FailureTarget"), condition("Failed")], &json!({"failed": 1}));
}

fn jiff_now() -> Value {
    Value::from(k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A pod on a node that nobody runs.
pub fn create_pod(namespace: &Namespace, name: &str, labels: &str) {
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{labels}}}}}
spec: {{nodeName: node-1, containers: [{{name: main, image: 'busybox:1.37'}}]}}
"
    ));
}

/// As its kubelet would, long ago or just now.
pub fn set_ready(namespace: &Namespace, pod: &str, ready: bool, long_ago: bool) {
    let since = if long_ago { "2026-01-01T00:00:00Z".into() } else { jiff_now() };
    let status = if ready { "True" } else { "False" };
    let condition = json!({"type": "Ready", "status": status, "lastTransitionTime": since});
    let path = format!("pod/{pod}");
    namespace.eventually(&path, || namespace.find(&path));
    namespace.write_status(&path, &json!({"phase": "Running", "conditions": [condition]}));
}

/// Starts it with these rules.
pub fn start(namespace: &Namespace, rules: &str, line: &str) -> Wait {
    Wait::start(PROGRAM, line.split(' '), [("KUBECONFIG", namespace.kubeconfig_for("waiter", Some(rules)))])
}

/// Starts it with this server, a [`Front`], which has every right; with these variables too.
pub fn start_at(namespace: &Namespace, server: &str, line: &str, variables: &[(&'static str, &str)]) -> Wait {
    let kubeconfig = at(&namespace.kubeconfig_with(&server.replace(['/', ':'], "-"), "unused"), server);
    let variables = variables.iter().map(|(name, value)| (*name, (*value).into()));
    Wait::start(PROGRAM, line.split(' '), variables.chain([("KUBECONFIG", kubeconfig.into_os_string())]))
}

/// The same kubeconfig with this server, in its place.
fn at(kubeconfig: &Path, server: &str) -> PathBuf {
    let text = std::fs::read_to_string(kubeconfig).expect("a kubeconfig is readable");
    let mut value: Value = serde_json::from_str(&text).expect("the testbed writes JSON");
    value["clusters"][0]["cluster"]["server"] = server.into();
    std::fs::write(kubeconfig, value.to_string()).expect("the folder takes files");
    kubeconfig.to_owned()
}

/// A fault that lasts until somebody heals it, however often it was met.
pub struct Fault {
    pub front: Front,
    healed: Arc<AtomicBool>,
}

impl Fault {
    /// Before the real API server; what it has no answer for passes.
    pub fn start(namespace: &Namespace, answer: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let healed = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&healed);
        let front = Front::start(namespace.cluster(), move |asked| {
            let answer = if switch.load(Ordering::Relaxed) { None } else { answer(asked) };
            answer.unwrap_or(Reply::Pass)
        });
        Self { front, healed }
    }

    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }
}

/// A failure as the API server words it.
pub fn status(code: u16, reason: &str) -> Reply {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("scripted {reason}")});
    Reply::Say(format!("{}{body}", head(code, "Content-Type: application/json\r\n")))
}

#[track_caller]
pub fn ends(wait: Wait, code: i32, text: &str) -> Finished {
    let finished = wait.finish();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    assert!(finished.last_line().contains(text), "the last line has {text:?}: {finished:#?}");
    finished
}

/// It goes on: only a signal ends it.
#[track_caller]
pub fn still_waits(wait: Wait) -> Finished {
    wait.signal(Signal::TERM);
    let finished = wait.finish();
    assert_eq!(finished.code, Some(143), "it was still waiting: {finished:#?}");
    finished
}
