//! Who runs the pods of the demo: the cluster's node, or this process where there is none.
//! What is played is the kubelet's part alone. The init containers are the product's real binary with the pod's own
//! arguments and a token of its service account, found where a container finds it; a Job's container is its own
//! command; each status says what the exit codes deserve. A container that would serve is taken to be ready.

use std::{collections::BTreeMap, path::PathBuf};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use testbed::{Finished, Namespace, Wait, enter::API_ADDRESS};

/// Runs the pods, or leaves that to the node.
pub enum Stage {
    Node,
    Played { product: PathBuf, parts: BTreeMap<String, Part> },
}

/// A pod's first container, as it is played.
pub enum Part {
    Running(Wait, Timestamp),
    Over(Finished),
}

impl Stage {
    pub fn node() -> Self {
        Self::Node
    }

    pub fn played(product: PathBuf) -> Self {
        Self::Played { product, parts: BTreeMap::new() }
    }

    /// What a container has written so far; nothing if it has not started.
    pub fn log(&self, namespace: &Namespace, pod: &str, container: &str) -> String {
        match self {
            Self::Node => namespace.log_so_far(pod, container),
            Self::Played { parts, .. } => match parts.get(pod) {
                Some(Part::Running(wait, _)) => wait.so_far(),
                Some(Part::Over(end)) => format!("{}{}", end.stdout, end.stderr),
                None => String::new(),
            },
        }
    }

    /// Starts the containers of new pods and tells of those that have ended.
    pub fn advance(&mut self, namespace: &Namespace) {
        let Self::Played { product, parts } = self else { return };
        for pod in namespace.list("pod", "") {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let next = match parts.remove(&name) {
                None => start(namespace, &pod, product),
                Some(part) => part.next(namespace, &pod),
            };
            parts.insert(name, next);
        }
    }
}

impl Part {
    fn next(self, namespace: &Namespace, pod: &Value) -> Self {
        let Self::Running(mut wait, started) = self else { return self };
        if wait.is_running() { Self::Running(wait, started) } else { end(namespace, pod, wait, started) }
    }
}

fn start(namespace: &Namespace, pod: &Value, product: &PathBuf) -> Part {
    let started = Timestamp::now();
    let running = json!({"running": {"startedAt": started}});
    let waiting = json!({"waiting": {"reason": "PodInitializing"}});
    let (wait, status) = if let Some(container) = pod.pointer("/spec/initContainers/0") {
        let service_account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        namespace.mount_service_account(service_account);
        let environment = [("KUBERNETES_SERVICE_HOST", API_ADDRESS), ("KUBERNETES_SERVICE_PORT", "443")];
        let wait = Wait::start(product, words(&container["args"]), environment);
        (wait, status(pod, "Pending", false, Some(&running), &waiting))
    } else {
        let container = &pod["spec"]["containers"][0];
        let mut command = words(&container["command"]).into_iter().chain(words(&container["args"]));
        let program = command.next().expect("a container of the demo names its command");
        let none: [(&str, &str); 0] = [];
        (Wait::start(program, command, none), status(pod, "Running", true, None, &running))
    };
    write(namespace, pod, &status);
    Part::Running(wait, started)
}

fn end(namespace: &Namespace, pod: &Value, wait: Wait, started: Timestamp) -> Part {
    let end = wait.finish();
    let code = end.code.unwrap_or_else(|| 128 + end.signal.unwrap_or_default());
    let reason = if code == 0 { "Completed" } else { "Error" };
    let finished = json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": Timestamp::now()}});
    let running = json!({"running": {"startedAt": Timestamp::now()}});
    let waiting = json!({"waiting": {"reason": "PodInitializing"}});
    let status = match (pod.pointer("/spec/initContainers/0"), code) {
        (Some(_), 0) => status(pod, "Running", true, Some(&finished), &running),
        (Some(_), _) => status(pod, "Pending", false, Some(&finished), &waiting),
        (None, 0) => status(pod, "Succeeded", false, None, &finished),
        (None, _) => status(pod, "Failed", false, None, &finished),
    };
    write(namespace, pod, &status);
    Part::Over(end)
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// A pod's status as a kubelet writes it: with the states of its init container, if it has one, and its container.
fn status(pod: &Value, phase: &str, ready: bool, init: Option<&Value>, main: &Value) -> Value {
    let entry = |list: &str, state: &Value, ready: bool| {
        let container = &pod["spec"][list][0];
        json!([{"name": container["name"], "image": container["image"], "imageID": "", "ready": ready, "restartCount": 0, "state": state}])
    };
    let initialized = init.is_none_or(|state| state.pointer("/terminated/exitCode") == Some(&0.into()));
    let conditions = [("Initialized", initialized), ("ContainersReady", ready), ("Ready", ready)].map(|(kind, holds)| {
        json!({"type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": Timestamp::now()})
    });
    let mut status =
        json!({"phase": phase, "conditions": conditions, "containerStatuses": entry("containers", main, ready)});
    if let Some(state) = init {
        status["initContainerStatuses"] = entry("initContainers", state, initialized);
    }
    status
}

fn write(namespace: &Namespace, pod: &Value, status: &Value) {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    namespace.write_status(&format!("pod/{name}"), status);
}
