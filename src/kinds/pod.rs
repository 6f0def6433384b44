//! Pods: which of them count, and whether enough of those are ready.
//!
//! Ready is the pod's own condition (`Unknown` is not ready):
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions>. A pod that succeeded has done
//! what it is for. A pod that failed under a controller does not count: it is replaced, or its owner is judged by its
//! own kind.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{called, condition, count, enough, named, none};
use crate::kinds::object::Pod;
use crate::target::verdict::{Code, Verdict};
use crate::target::{Mode, Target};

/// What a pod means for the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Ready,
    Succeeded,
    /// pending or running, and not ready
    Unready,
    /// failed, with nobody to replace it
    Failed,
    /// failed, with a controller; does not count
    Replaced,
    /// does not count
    Deleting,
    /// on its way out, and only when it is gone its set makes another one: holds the set, see [`release`]
    Leaving,
    /// the pod that this program runs in; does not count, else it would wait for itself
    Itself,
}

impl State {
    /// Whether such a pod is one of those that have to be ready.
    pub fn counts(self) -> bool {
        matches!(self, Self::Ready | Self::Succeeded | Self::Unready | Self::Failed)
    }

    /// Whether a set with such a pod is another one than without it.
    pub fn shapes(self) -> bool {
        self.counts() || self == Self::Leaving
    }

    /// Whether such a pod answers behind a Service, or is to.
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Unready)
    }
}

/// From where pods are judged.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// `metadata.uid` of the pod that this program runs in
    pub own_uid: Option<&'a str>,
    /// by the API server's clock
    pub now: Timestamp,
}

impl View<'_> {
    /// The pod's state at this moment.
    pub fn state(self, pod: &Pod) -> State {
        match state(pod, self.own_uid) {
            State::Deleting if release(pod).is_some_and(|release| self.now < release) => State::Leaving,
            state => state,
        }
    }

    /// Whether it held its set until its time was over, and is still there.
    pub fn is_given_up(self, pod: &Pod) -> bool {
        state(pod, self.own_uid) == State::Deleting && release(pod).is_some_and(|release| release <= self.now)
    }
}

/// Until when a pod that is being deleted holds its set; `None` where its replacement does not wait for its end.
///
/// A StatefulSet's or DaemonSet's controller makes the next pod of an ordinal or a node only when the last one is gone
/// (`pkg/controller/statefulset/stateful_set_control.go`, `pkg/controller/daemon/daemon_controller.go` in kubernetes).
/// `deletionTimestamp` is when the pod's grace ends; on a dead node nobody ends it.
pub fn release(pod: &Pod) -> Option<Timestamp> {
    let deleted = pod.metadata.deletion_timestamp.as_ref()?.0;
    let owner = pod.metadata.controller()?;
    let replaced_after = matches!(owner.kind.as_str(), "StatefulSet" | "DaemonSet");
    replaced_after.then(|| deleted.saturating_add(OVERDUE).unwrap_or(Timestamp::MAX))
}

/// How long after its grace a pod is still expected to go.
const OVERDUE: SignedDuration = SignedDuration::from_secs(60);

/// The pod's state, whenever it is looked at; `own_uid` is the pod that this program runs in.
pub fn state(pod: &Pod, own_uid: Option<&str>) -> State {
    match pod.status.phase.as_deref() {
        _ if own_uid == Some(&pod.metadata.uid) => State::Itself,
        _ if pod.metadata.deletion_timestamp.is_some() => State::Deleting,
        Some("Succeeded") => State::Succeeded,
        Some("Failed") if pod.metadata.controller().is_some() => State::Replaced,
        Some("Failed") => State::Failed,
        _ if is_ready(pod) => State::Ready,
        _ => State::Unready,
    }
}

fn is_ready(pod: &Pod) -> bool {
    condition!(pod.status.conditions, "Ready").is_some_and(|ready| ready.status == "True")
}

/// When the pod's Ready condition took its present state; whole seconds, as the API writes them.
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    condition!(pod.status.conditions, "Ready")?.last_transition_time.as_ref().map(|time| time.0)
}

/// The verdict over the pods of a target. `min` is the least number of pods that a selector has to match (for `pod-wr`:
/// that have to be ready).
pub fn pods(target: &Target, min: usize, view: View, pods: &[Pod]) -> Verdict {
    let selection = &target.selection;
    let Some(name) = &selection.name else {
        return judge(target, min, &Sorted::new(pods, view));
    };
    match named("pod", selection, name, pods) {
        Ok(pod) => judge(target, 1, &Sorted::new([pod], view)),
        Err(verdict) => verdict,
    }
}

/// Pods by what they mean for the wait.
pub struct Sorted<'a>(Vec<(State, &'a Pod)>);

impl<'a> Sorted<'a> {
    pub fn new(pods: impl IntoIterator<Item = &'a Pod>, view: View) -> Self {
        Self(pods.into_iter().map(|pod| (view.state(pod), pod)).collect())
    }

    pub fn number(&self, wanted: State) -> usize {
        self.0.iter().filter(|(state, _)| *state == wanted).count()
    }

    pub fn first(&self, wanted: State) -> Option<&'a Pod> {
        self.0.iter().find(|(state, _)| *state == wanted).map(|(_, pod)| *pod)
    }

    fn counted(&self) -> usize {
        self.0.iter().filter(|(state, _)| state.counts()).count()
    }
}

fn judge(target: &Target, min: usize, pods: &Sorted) -> Verdict {
    if pods.counted() == 0 {
        return nothing_counts(target, pods);
    }
    match (target.mode, pods.first(State::Failed)) {
        (Mode::AnyPod, _) => any(target, min, pods),
        (Mode::PodOrFailed, _) => every(target, min, "ready or failed", pods),
        (_, Some(pod)) => failed(target, pod),
        (_, None) => every(target, min, "ready", pods),
    }
}

fn every(target: &Target, min: usize, done: &str, pods: &Sorted) -> Verdict {
    let ended = [State::Ready, State::Succeeded, State::Failed].map(|state| pods.number(state)).iter().sum();
    not_ready(target, ended, done, pods)
        .or_else(|| leaving(target, ended, done, pods))
        .unwrap_or_else(|| enough("pod", done, ended, min))
}

fn leaving(target: &Target, ended: usize, done: &str, pods: &Sorted) -> Option<Verdict> {
    let pod = pods.first(State::Leaving)?;
    let (ended, name) = (count(ended, "pod"), called(target, pod));
    let text = format!("{ended} {done}; pod {name} is being deleted and will be replaced after that");
    Some(Verdict::waiting(Code::BeingReplaced, text))
}

fn any(target: &Target, min: usize, pods: &Sorted) -> Verdict {
    let ready = pods.number(State::Ready);
    if ready >= min {
        return Verdict::Ready;
    }
    if let Some(verdict) = not_ready(target, ready, "ready", pods) {
        return verdict;
    }
    if ready > 0 {
        return enough("pod", "ready", ready, min);
    }
    let succeeded = pods.number(State::Succeeded);
    match pods.first(State::Failed) {
        Some(pod) if succeeded == 0 => failed(target, pod),
        _ => enough("pod", "succeeded", succeeded, min),
    }
}

fn not_ready(target: &Target, ready: usize, done: &str, pods: &Sorted) -> Option<Verdict> {
    let pod = pods.first(State::Unready)?;
    let why = unready(pod);
    let text = format!("{ready} of {} {done}; pod {} {why}", count(pods.counted(), "pod"), called(target, pod));
    Some(Verdict::waiting(Code::PodsNotReady, text))
}

fn nothing_counts(target: &Target, pods: &Sorted) -> Verdict {
    if let Some(pod) = pods.first(State::Replaced)
        && let Some(owner) = pod.metadata.controller()
    {
        let owner = format!("{}/{}", owner.kind.to_lowercase(), owner.name);
        let text = format!("pod {} has failed and is owned by {owner}: wait for that", called(target, pod));
        return Verdict::waiting(Code::OwnedPodFailed, text);
    }
    if let Some(pod) = pods.first(State::Leaving).or_else(|| pods.first(State::Deleting)) {
        let text = format!("pod {} is being deleted, and there is no other", called(target, pod));
        return Verdict::waiting(Code::BeingDeleted, text);
    }
    match pods.first(State::Itself) {
        Some(_) => Verdict::waiting(Code::OnlyItself, "a pod cannot wait for itself, and no other matches"),
        None => none("pod", &target.selection),
    }
}

fn failed(target: &Target, pod: &Pod) -> Verdict {
    let reason = pod.status.reason.as_deref().filter(|reason| !reason.is_empty());
    let why = match (reason, &pod.status.message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {}", message.trim_end_matches(['.', ' ']))),
        (Some(reason), None) => Some(reason.to_owned()),
        // The kubelet gives a reason only where it acted itself: an eviction, a shutdown.
        (None, _) => containers(&pod.status).find_map(ended_badly),
    };
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    let text = format!("pod {} has failed{why} and nothing replaces it", called(target, pod));
    Verdict::failed(reason.map_or(Code::PodFailed, |reason| Code::Foreign(reason.to_owned())), text)
}

/// `is Pending, not ready: container db: ImagePullBackOff`
pub fn unready(pod: &Pod) -> String {
    let phase = pod.status.phase.as_deref().unwrap_or("Pending");
    let stuck = || containers(&pod.status).find_map(stuck);
    // In the order in which a pod gets through them.
    let why = unmet(&pod.status, "PodScheduled").or_else(stuck);
    let why = why.or_else(|| unmet(&pod.status, "Initialized")).or_else(|| unmet(&pod.status, "Ready"));
    let why = why.map_or_else(String::new, |why| format!(": {}", why.trim_end_matches('.')));
    format!("is {phase}, not ready{why}")
}

/// What a condition that is not True says of it.
fn unmet(status: &PodStatus, kind: &str) -> Option<String> {
    let condition = condition!(status.conditions, kind).filter(|condition| condition.status != "True")?;
    condition.message.clone().filter(|message| !message.is_empty())
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
