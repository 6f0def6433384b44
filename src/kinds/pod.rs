//! Pods: which of them count, and whether enough of those are ready.
//!
//! Ready is the pod's own condition (`Unknown` is not ready):
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions>. A pod that succeeded has done
//! what it is for. A pod that failed under a controller does not count: it is replaced, or its owner is judged by its
//! own kind.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{Causes, Extra, ITS_PODS, Judged, LOGS, Mode, Reading, Row, WARNINGS, condition};
use crate::target::names::dns_subdomain;
use crate::target::verdict::{Code, Reason};
use crate::target::{Demand, Kind};
use crate::text::count;

pub static ROW: Row = Row {
    kind: Kind::namespaced("pod", "Pod", "", "v1", "pods"),
    aliases: &["po"],
    modes: &[
        Mode { word: "pod", demand: Demand::Every, help: "every pod is ready or has succeeded" },
        Mode { word: "pod-wr", demand: Demand::Any, help: "one pod is ready" },
        Mode { word: "pod-we", demand: Demand::EveryOrFailed, help: "every pod is ready, has succeeded or has failed" },
    ],
    options: &[Extra::SameNode],
    done: "ready",
    rules: "\
Ready when its condition Ready is True, or when it has succeeded (pod-wr: one of them; pod-we: a failed pod counts
too). Pods that are being deleted, pods that failed under a controller, and this pod itself do not count. Failed when it
has failed and nothing will replace it.
--same-node: only pods on this pod's node.",
    check_name: dns_subdomain,
    explained_by: &[ITS_PODS, LOGS, WARNINGS],
    judged: |_| Judged::Set(read),
    causes: Some(Causes::Pods),
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

/// `v1` Pod
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Metadata,
    pub spec: Spec,
    pub status: PodStatus,
}

/// Where it is, and what tells its init containers from its sidecars.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    pub node_name: String,
    pub init_containers: Vec<InitContainer>,
}

/// A container that runs before the others; a sidecar if it is always restarted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitContainer {
    pub name: String,
    pub restart_policy: Option<String>,
}

/// The facts about a pod, and its version.
///
/// # Errors
/// It is none.
pub fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let pod: Pod = serde_json::from_str(json)?;
    let state = state(&pod, reading.own_uid.as_deref());
    let reason = match state {
        State::Waiting => Some(Reason::new(Code::PodsNotReady, unready(&pod))),
        State::Failed => Some(failed(&pod)),
        State::Replaced => Some(replaced(&pod)),
        _ => None,
    };
    let fact = Fact::new(&pod.metadata, reading, state, reason);
    let fact = Fact { since: ready_since(&pod), release: release(&pod), ..fact };
    Ok((fact, pod.metadata.resource_version))
}

/// What the pod means for the wait; `own_uid` is the pod that this program runs in.
pub fn state(pod: &Pod, own_uid: Option<&str>) -> State {
    match pod.status.phase.as_deref() {
        // The order counts: an init container that waits for its own labels is never ready, deleted or not.
        _ if own_uid == Some(&pod.metadata.uid) => State::Itself,
        _ if release(pod).is_some() => State::Leaving,
        _ if pod.metadata.deletion_timestamp.is_some() => State::Deleting,
        Some("Succeeded") => State::Succeeded,
        Some("Failed") if pod.metadata.controller().is_some() => State::Replaced,
        Some("Failed") => State::Failed,
        _ if is_ready(pod) => State::Ready,
        _ => State::Waiting,
    }
}

/// Until when a pod that is being deleted holds its set; `None` where its replacement does not wait for its end.
///
/// A StatefulSet's or DaemonSet's controller makes the next pod of an ordinal or a node only when the last one is gone
/// (`pkg/controller/statefulset/stateful_set_control.go`, `pkg/controller/daemon/daemon_controller.go` in kubernetes).
/// `deletionTimestamp` is when the pod's grace ends; on a dead node nobody ends it.
fn release(pod: &Pod) -> Option<Timestamp> {
    let deleted = pod.metadata.deletion_timestamp.as_ref()?.0;
    let owner = pod.metadata.controller()?;
    let replaced_after = matches!(owner.kind.as_str(), "StatefulSet" | "DaemonSet");
    replaced_after.then(|| deleted.saturating_add(OVERDUE).unwrap_or(Timestamp::MAX))
}

/// How long after its grace a pod is still expected to go.
const OVERDUE: SignedDuration = SignedDuration::from_secs(60);

fn is_ready(pod: &Pod) -> bool {
    condition!(pod.status.conditions, "Ready").is_some_and(|ready| ready.status == "True")
}

/// When the pod's Ready condition took its present state; whole seconds, as the API writes them.
fn ready_since(pod: &Pod) -> Option<Timestamp> {
    condition!(pod.status.conditions, "Ready")?.last_transition_time.as_ref().map(|time| time.0)
}

fn failed(pod: &Pod) -> Reason {
    let reason = pod.status.reason.as_deref().filter(|reason| !reason.is_empty());
    let why = match (reason, &pod.status.message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {}", message.trim_end_matches(['.', ' ']))),
        (Some(reason), None) => Some(reason.to_owned()),
        // The kubelet gives a reason only where it acted itself: an eviction, a shutdown.
        (None, _) => containers(&pod.status).find_map(ended_badly),
    };
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    let code = reason.map_or(Code::PodFailed, |reason| Code::Foreign(reason.to_owned()));
    Reason::new(code, format!("has failed{why}; nothing replaces it"))
}

fn replaced(pod: &Pod) -> Reason {
    let owner = pod.metadata.controller();
    let owner = owner.map(|owner| format!("{}/{}", owner.kind.to_lowercase(), owner.name)).unwrap_or_default();
    Reason::new(Code::OwnedPodFailed, format!("has failed; it belongs to {owner}: wait for that instead"))
}

/// `is Pending, not ready: container db: ImagePullBackOff`
fn unready(pod: &Pod) -> String {
    let phase = pod.status.phase.as_deref().unwrap_or("Pending");
    let stuck = || containers(&pod.status).find_map(stuck);
    // In the order in which a pod gets through them.
    let why = unmet(&pod.status, "PodScheduled").or_else(stuck);
    let why = why.or_else(|| unmet(&pod.status, "Initialized")).or_else(|| unmet(&pod.status, "Ready"));
    let why = why.map_or_else(String::new, |why| format!(": {}", why.trim_end_matches('.')));
    format!("is {phase}, not ready{why}")
}

/// What a condition that is not True says of it, in its first sentence: the scheduler's others are about preemption.
fn unmet(status: &PodStatus, kind: &str) -> Option<String> {
    let condition = condition!(status.conditions, kind).filter(|condition| condition.status != "True")?;
    let message = condition.message.as_deref().filter(|message| !message.is_empty())?;
    let first = message.split_once(". ").map_or(message, |(first, _)| first);
    Some(in_question(first).unwrap_or_else(|| first.to_owned()))
}

/// `container db` of the kubelet's `containers with unready status: [db]` (`pkg/kubelet/status/generate.go`).
fn in_question(message: &str) -> Option<String> {
    let (noun, list) = [("container", "unready"), ("init container", "incomplete")]
        .into_iter()
        .find_map(|(noun, state)| Some((noun, message.strip_prefix(&format!("containers with {state} status: ["))?)))?;
    let names: Vec<&str> = list.strip_suffix(']')?.split(' ').collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    Some(format!("{noun}{plural} {}", names.join(", ")))
}

fn containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().chain(&status.container_statuses).flatten()
}

/// A container that waits for something else than its turn.
fn stuck(container: &ContainerStatus) -> Option<String> {
    let reason = container.state.as_ref()?.waiting.as_ref()?.reason.as_deref()?;
    let restarts = match container.restart_count {
        0 => String::new(),
        restarts => format!(" after {}", count(usize::try_from(restarts).ok()?, "restart")),
    };
    let in_turn = matches!(reason, "ContainerCreating" | "PodInitializing");
    (!in_turn).then(|| format!("container {}: {reason}{restarts}", container.name))
}

fn ended_badly(container: &ContainerStatus) -> Option<String> {
    let end = container.state.as_ref()?.terminated.as_ref().filter(|end| end.exit_code != 0)?;
    let reason = end.reason.as_deref().unwrap_or("Error");
    Some(format!("container {}: {reason}, exit code {}", container.name, end.exit_code))
}
