//! Pods: which of them count, and whether enough of those are ready.
//!
//! Ready is the pod's own condition (`Unknown` is not ready):
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions>. A pod that succeeded has done
//! what it is for. A pod that failed under a controller does not count: it is replaced, or its owner is judged by its
//! own kind.

use k8s_openapi::jiff::Timestamp;

use super::{condition, count, described, named};
use crate::object::Pod;
use crate::target::{Mode, Target};
use crate::verdict::Verdict;

/// The verdict over the pods of a target.
///
/// `own_uid` is the pod that this program runs in; it never counts, else a pod would wait for itself. `min` is the
/// least number of pods that a selector has to match (for `pod-wr`: that have to be ready).
pub fn pods(target: &Target, min: usize, own_uid: Option<&str>, pods: &[Pod]) -> Verdict {
    let selection = &target.selection;
    if let Some(name) = &selection.name {
        return match named("pod", selection, name, pods) {
            Ok(pod) => judge(target.mode, 1, &Counted::of(std::slice::from_ref(pod), own_uid), name),
            Err(verdict) => verdict,
        };
    }
    judge(target.mode, min, &Counted::of(pods, own_uid), &described(selection))
}

/// Pods sorted by what they mean for the wait.
#[derive(Default)]
struct Counted<'a> {
    ready: Vec<&'a Pod>,
    succeeded: Vec<&'a Pod>,
    /// pending or running, not ready
    unready: Vec<&'a Pod>,
    /// failed, with nobody to replace them
    failed: Vec<&'a Pod>,
    /// failed, with a controller
    replaced: Vec<&'a Pod>,
    deleting: usize,
    own: usize,
}

impl<'a> Counted<'a> {
    fn of(pods: &'a [Pod], own_uid: Option<&str>) -> Self {
        let mut counted = Self::default();
        for pod in pods {
            counted.add(pod, own_uid);
        }
        counted
    }

    fn add(&mut self, pod: &'a Pod, own_uid: Option<&str>) {
        if own_uid.is_some_and(|own| own == pod.metadata.uid) {
            self.own += 1;
        } else if pod.metadata.deletion_timestamp.is_some() {
            self.deleting += 1;
        } else {
            self.class(pod).push(pod);
        }
    }

    fn class(&mut self, pod: &Pod) -> &mut Vec<&'a Pod> {
        match pod.status.phase.as_deref() {
            Some("Succeeded") => &mut self.succeeded,
            Some("Failed") if pod.metadata.controller().is_some() => &mut self.replaced,
            Some("Failed") => &mut self.failed,
            _ if is_ready(pod) => &mut self.ready,
            _ => &mut self.unready,
        }
    }

    fn total(&self) -> usize {
        self.ready.len() + self.succeeded.len() + self.unready.len() + self.failed.len()
    }
}

/// The pods that count, in whatever state.
pub fn counted<'a>(pods: &'a [Pod], own_uid: Option<&str>) -> Vec<&'a Pod> {
    let Counted { ready, succeeded, unready, failed, .. } = Counted::of(pods, own_uid);
    [ready, succeeded, unready, failed].concat()
}

/// Condition Ready is True.
pub fn is_ready(pod: &Pod) -> bool {
    condition!(pod.status.conditions, "Ready").is_some_and(|ready| ready.status == "True")
}

/// When the pod's Ready condition took its present state; whole seconds, as the API writes them.
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    condition!(pod.status.conditions, "Ready")?.last_transition_time.as_ref().map(|time| time.0)
}

fn judge(mode: Mode, min: usize, counted: &Counted, what: &str) -> Verdict {
    if counted.total() == 0 {
        return nothing_counts(counted, what);
    }
    match mode {
        Mode::AnyPod => any(min, counted),
        Mode::PodOrFailed => every(min, counted, counted.failed.len()),
        _ => match counted.failed.first() {
            Some(pod) => failed(pod),
            None => every(min, counted, 0),
        },
    }
}

fn every(min: usize, counted: &Counted, ended: usize) -> Verdict {
    let done = counted.ready.len() + counted.succeeded.len() + ended;
    if let Some(pod) = counted.unready.first() {
        let text = format!("{done} of {} ready; {}", count(counted.total(), "pod"), unready(pod));
        return Verdict::waiting("PodsNotReady", text);
    }
    enough(done, min)
}

fn any(min: usize, counted: &Counted) -> Verdict {
    let ready = counted.ready.len();
    if ready >= min.max(1) {
        return Verdict::Ready;
    }
    if let Some(pod) = counted.unready.first() {
        let text = format!("{ready} of {} ready; {}", count(counted.total(), "pod"), unready(pod));
        return Verdict::waiting("PodsNotReady", text);
    }
    match counted.failed.first() {
        Some(pod) if ready + counted.succeeded.len() == 0 => failed(pod),
        _ => enough(ready + counted.succeeded.len(), min),
    }
}

fn enough(ready: usize, min: usize) -> Verdict {
    if ready < min {
        return Verdict::waiting("TooFew", format!("{} ready, at least {min} needed", count(ready, "pod")));
    }
    Verdict::Ready
}

fn nothing_counts(counted: &Counted, what: &str) -> Verdict {
    if let Some(pod) = counted.replaced.first()
        && let Some(owner) = pod.metadata.controller()
    {
        let owner = format!("{}/{}", owner.kind.to_lowercase(), owner.name);
        let text = format!("pod {} has failed and is owned by {owner}: wait for that", pod.metadata.name);
        return Verdict::waiting("OwnedPodFailed", text);
    }
    if counted.deleting > 0 {
        return Verdict::waiting("BeingDeleted", format!("{} being deleted", count(counted.deleting, "pod")));
    }
    if counted.own > 0 {
        return Verdict::waiting("OnlyItself", format!("only this very pod matches {what}, and it does not count"));
    }
    Verdict::waiting("NotFound", format!("no pod matches {what}"))
}

fn failed(pod: &Pod) -> Verdict {
    let reason = pod.status.reason.clone().unwrap_or_else(|| "PodFailed".to_owned());
    let message = pod.status.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
    let text = format!("pod {} has failed ({reason}{message}) and nothing replaces it", pod.metadata.name);
    Verdict::failed(reason, text)
}

/// `pod db-0 is Pending`, `pod db-0 is Running, not ready: containers with unready status: [db]`
fn unready(pod: &Pod) -> String {
    let phase = pod.status.phase.as_deref().unwrap_or("Pending");
    let scheduled = condition!(pod.status.conditions, "PodScheduled").filter(|it| it.status == "False");
    let ready = condition!(pod.status.conditions, "Ready");
    let message = scheduled.or(ready).and_then(|condition| condition.message.as_deref());
    let detail = message.map(|message| format!(": {}", message.trim_end_matches('.'))).unwrap_or_default();
    format!("pod {} is {phase}, not ready{detail}", pod.metadata.name)
}
