//! A pod's status → the sentence that says what keeps it.
//!
//! Init containers come first, as they do in the pod. The reasons are those of the kubelet
//! (`pkg/kubelet/container/sync_result.go` and `pkg/kubelet/images/types.go` in kubernetes) and of the runtimes; an
//! unknown one is passed on as it is.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus};

use super::cause;
use crate::kinds::condition;
use crate::kinds::object::Event;
use crate::kinds::pod::Pod;
use crate::text::count;

/// What keeps a pod.
#[derive(Debug)]
pub struct Finding<'a> {
    pub pod: &'a Pod,
    weight: Weight,
    pub text: String,
}

/// How much a finding explains, from the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// it runs and is not ready yet
    Unready,
    /// it has run, and ended badly
    Ended,
    /// it cannot even start
    Stuck,
}

/// Worst first, of two that are alike the younger.
pub fn findings<'a>(pods: &'a [Pod], events: &[Event]) -> Vec<Finding<'a>> {
    let mut findings: Vec<Finding> = pods.iter().filter_map(|pod| finding(pod, events)).collect();
    let born = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    findings.sort_by_key(|finding| Reverse((finding.weight, born(finding.pod))));
    findings
}

/// The pod that explains most by its status alone, else the first: what to ask events and logs about.
pub fn subject(pods: &[Pod]) -> Option<&Pod> {
    findings(pods, &[]).first().map(|finding| finding.pod).or(pods.first())
}

fn finding<'a>(pod: &'a Pod, events: &[Event]) -> Option<Finding<'a>> {
    let (weight, text) = match pod.status.phase.as_deref() {
        Some("Succeeded") => None,
        Some("Failed") => gone(pod).or_else(|| worst(pod, events)),
        _ => {
            unscheduled(pod).or_else(|| worst(pod, events)).or_else(|| unprepared(pod, events)).or_else(|| leaving(pod))
        }
    }?;
    Some(Finding { pod, weight, text })
}

/// A reason of the pod itself: the kubelet or a controller acted on it as a whole.
fn gone(pod: &Pod) -> Option<(Weight, String)> {
    let reason = pod.status.reason.as_deref().filter(|reason| !reason.is_empty())?;
    let name = &pod.metadata.name;
    let message = pod.status.message.as_deref().map(cause::one_line).unwrap_or_default();
    let what = if reason == "Evicted" { "was evicted".to_owned() } else { format!("has failed: {reason}") };
    let separator = if message.is_empty() { "" } else { ": " };
    Some((Weight::Ended, format!("pod {name} {what}{separator}{message}")))
}

fn unscheduled(pod: &Pod) -> Option<(Weight, String)> {
    let condition = condition!(pod.status.conditions, "PodScheduled").filter(|it| it.status == "False")?;
    let name = &pod.metadata.name;
    let message = condition.message.as_deref().map(cause::scheduling).unwrap_or_default();
    let text = match condition.reason.as_deref() {
        Some("SchedulingGated") => format!("pod {name} is held back by its scheduling gates"),
        _ if message.is_empty() => format!("pod {name} has not been scheduled yet"),
        _ => format!("pod {name} cannot be scheduled: {message}"),
    };
    Some((Weight::Stuck, text))
}

fn worst(pod: &Pod, events: &[Event]) -> Option<(Weight, String)> {
    // The last of several that are alike wins, and the first container is meant to.
    containers(pod).into_iter().rev().filter_map(|container| trouble(&container, pod, events)).max_by_key(|it| it.0)
}

/// A container's status and what it is called.
struct Container<'a> {
    noun: &'static str,
    status: &'a ContainerStatus,
    /// it is meant to go on, so that it can be unready
    serves: bool,
}

fn containers(pod: &Pod) -> Vec<Container<'_>> {
    let sidecar = |name: &str| {
        let spec = pod.spec.init_containers.iter().find(|container| container.name == name);
        spec.is_some_and(|container| container.restart_policy.as_deref() == Some("Always"))
    };
    let init = pod.status.init_container_statuses.iter().flatten().map(|status| {
        let serves = sidecar(&status.name);
        Container { noun: if serves { "sidecar" } else { "init container" }, status, serves }
    });
    let main = pod.status.container_statuses.iter().flatten();
    init.chain(main.map(|status| Container { noun: "container", status, serves: true })).collect()
}

fn trouble(container: &Container, pod: &Pod, events: &[Event]) -> Option<(Weight, String)> {
    let state = container.status.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        return blocked(container, waiting, pod, events);
    }
    if let Some(end) = &state.terminated {
        return ended(container, end, pod);
    }
    let serves = container.serves && !container.status.ready;
    serves.then(|| unready(container, pod, events))
}

fn blocked(
    container: &Container,
    waiting: &ContainerStateWaiting,
    pod: &Pod,
    events: &[Event],
) -> Option<(Weight, String)> {
    let message = waiting.message.as_deref().unwrap_or_default();
    let Container { noun, status, .. } = container;
    let (name, pod_name) = (&status.name, &pod.metadata.name);
    let text = match waiting.reason.as_deref().unwrap_or_default() {
        // Its turn has not come.
        "" | "ContainerCreating" | "PodInitializing" => return None,
        "CrashLoopBackOff" => return last_end(status).and_then(|end| ended(container, end, pod)),
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => {
            let said = cause::image(message).or_else(|| pull_event(pod, events));
            let cause = said.map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("pod {pod_name} cannot pull image {}{cause}", status.image)
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            format!("pod {pod_name} cannot start {noun} {name}: {}", cause::start(message))
        }
        reason => {
            let separator = if message.is_empty() { "" } else { ": " };
            format!("{noun} {name} of pod {pod_name} does not start: {reason}{separator}{}", cause::one_line(message))
        }
    };
    Some((Weight::Stuck, text))
}

/// Before 1.30 the reason `ImagePullBackOff` came without a cause, which only an event had.
fn pull_event(pod: &Pod, events: &[Event]) -> Option<String> {
    about(pod, events).filter(|event| event.reason == "Failed").find_map(|event| cause::image(&event.message))
}

fn about<'a>(pod: &'a Pod, events: &'a [Event]) -> impl Iterator<Item = &'a Event> {
    let name = &pod.metadata.name;
    events.iter().filter(move |event| event.involved_object.kind == "Pod" && event.involved_object.name == *name)
}

fn last_end(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let ended = |state: &'_ Option<ContainerState>| state.as_ref().is_some_and(|state| state.terminated.is_some());
    let state = if ended(&status.state) { &status.state } else { &status.last_state };
    state.as_ref()?.terminated.as_ref()
}

fn ended(container: &Container, end: &ContainerStateTerminated, pod: &Pod) -> Option<(Weight, String)> {
    let Container { noun, status, .. } = container;
    let (name, pod_name) = (&status.name, &pod.metadata.name);
    // runc could not even begin: the exit code is made up.
    if matches!(end.reason.as_deref(), Some("StartError" | "ContainerCannotRun")) {
        let cause = cause::start(end.message.as_deref().unwrap_or_default());
        return Some((Weight::Stuck, format!("pod {pod_name} cannot start {noun} {name}: {cause}")));
    }
    let restarts = match status.restart_count {
        0 => String::new(),
        restarts => format!(", {}", count(usize::try_from(restarts).unwrap_or_default(), "restart")),
    };
    let text = format!("{noun} {name} of pod {pod_name} {}{restarts}", how(end));
    // A container that ends with 0 and is started again and again is crash looping too.
    (end.exit_code != 0 || status.restart_count > 0).then_some((Weight::Ended, text))
}

fn how(end: &ContainerStateTerminated) -> String {
    let code = end.exit_code;
    if end.reason.as_deref() == Some("OOMKilled") {
        return format!("was killed because it used more memory than its limit (OOMKilled, exit code {code})");
    }
    // 128 plus the signal, as a shell counts.
    match code {
        0 => "has ended, though with exit code 0, and is started again".to_owned(),
        134 => format!("has aborted (SIGABRT, exit code {code})"),
        137 => format!("was killed (SIGKILL, exit code {code})"),
        139 => format!("has crashed (SIGSEGV, exit code {code})"),
        143 => format!("was told to end (SIGTERM, exit code {code})"),
        _ => format!("has failed with exit code {code}"),
    }
}

fn unready(container: &Container, pod: &Pod, events: &[Event]) -> (Weight, String) {
    let Container { noun, status, .. } = container;
    let (name, pod_name) = (&status.name, &pod.metadata.name);
    let newest = about(pod, events).filter(|event| event.reason == "Unhealthy").max_by_key(|event| event.when());
    let probe = newest.map(|event| cause::probe(&event.message));
    let before = last_end(status)
        .filter(|_| status.restart_count > 0)
        .map(|end| format!("{}: it {}", restarts(status), how(end)));
    let starting = status.started == Some(false);
    let why = probe.or(before).unwrap_or_else(|| {
        let probe = if starting { "startup" } else { "readiness" };
        format!("its {probe} probe has not succeeded")
    });
    let is = if starting { "is not started" } else { "is not ready" };
    (Weight::Unready, format!("{noun} {name} of pod {pod_name} runs but {is}: {why}"))
}

fn restarts(status: &ContainerStatus) -> String {
    count(usize::try_from(status.restart_count).unwrap_or_default(), "restart")
}

/// Volumes and the sandbox come before any container; only events tell of them.
fn unprepared(pod: &Pod, events: &[Event]) -> Option<(Weight, String)> {
    let failed = |event: &&Event| event.r#type == "Warning" && event.reason.starts_with("Failed");
    let event = about(pod, events).filter(failed).max_by_key(|event| event.when())?;
    let name = &pod.metadata.name;
    let volume =
        event.message.strip_prefix("MountVolume.SetUp failed for volume \"").and_then(|rest| rest.split('"').next());
    let cause = cause::start(&event.message);
    let text = match volume {
        Some(volume) => format!("pod {name} cannot mount volume {volume}: {cause}"),
        None => format!("pod {name} cannot be started: {cause}"),
    };
    Some((Weight::Stuck, text))
}

/// A Job that has failed ends the pods that are still at it.
fn leaving(pod: &Pod) -> Option<(Weight, String)> {
    pod.metadata.deletion_timestamp.as_ref()?;
    Some((Weight::Unready, format!("pod {} was still running and is being deleted", pod.metadata.name)))
}

/// The raw state of every container that is not fine, as a person would look it up.
pub fn states(pod: &Pod) -> Vec<String> {
    containers(pod).iter().filter(|it| trouble(it, pod, &[]).is_some()).flat_map(|it| state(it)).collect()
}

fn state(container: &Container) -> Vec<String> {
    let status = container.status;
    let what = format!("{} {}, image {}", container.noun, status.name, status.image);
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
    // How it ended says more than that it pauses now.
    let waiting = waiting.filter(|waiting| waiting.reason.as_deref() != Some("CrashLoopBackOff"));
    let waits = waiting.map(|waiting| {
        let message = waiting.message.as_deref().map(cause::one_line).unwrap_or_default();
        let separator = if message.is_empty() { "" } else { ": " };
        format!("{what}: {}{separator}{message}", waiting.reason.as_deref().unwrap_or("waiting"))
    });
    let end = last_end(status);
    let ends = end.map(|end| {
        let reason = end.reason.as_deref().unwrap_or("no reason given");
        format!("{what}: exit code {} ({reason}), {}", end.exit_code, restarts(status))
    });
    let said = end.and_then(|end| end.message.as_deref()).map(cause::one_line).unwrap_or_default();
    let news = !said.is_empty() && !waits.as_ref().is_some_and(|waits| waits.contains(&said));
    let says =
        Some(said).filter(|_| news).map(|text| format!("{} {} left the message: {text}", container.noun, status.name));
    waits.into_iter().chain(ends).chain(says).collect()
}

/// The container whose log explains most: the one in trouble, else one that runs.
pub fn container_in_question(pod: &Pod) -> Option<&str> {
    let containers = containers(pod);
    let rated = containers.iter().rev().filter_map(|it| Some((trouble(it, pod, &[])?.0, it)));
    let worst = rated.max_by_key(|(weight, _)| *weight).map(|(_, container)| container);
    let runs = |it: &&Container| it.status.state.as_ref().is_some_and(|state| state.running.is_some());
    let found = worst.or_else(|| containers.iter().rev().find(runs))?;
    Some(&found.status.name)
}
