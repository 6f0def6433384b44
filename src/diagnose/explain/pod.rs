//! A pod's status → the sentence that says what keeps it.
//!
//! Init containers come first, as they do in the pod. The reasons are those of the kubelet
//! (`pkg/kubelet/container/sync_result.go` and `pkg/kubelet/images/types.go` in kubernetes) and of the runtimes; an
//! unknown one is passed on as it is.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus};
use k8s_openapi::jiff::Timestamp;

use super::cause;
use crate::kinds::condition;
use crate::kinds::object::Event;
use crate::kinds::pod::Pod;
use crate::text::count;

/// Why a container waits whose image cannot be had, or that cannot be started.
const IMAGE: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
const START: [&str; 3] = ["CreateContainerConfigError", "CreateContainerError", "RunContainerError"];

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
    /// somebody ends it
    Leaving,
    /// it runs again, and ended badly before
    Restarted,
    /// it runs and is not ready yet
    Unready,
    /// it has run, and ended badly
    Ended,
    /// it cannot even start
    Stuck,
}

impl Finding<'_> {
    /// Whether it says how a container ended: that stays true when the pod is deleted.
    pub fn is_end(&self) -> bool {
        matches!(self.weight, Weight::Restarted | Weight::Ended)
    }

    /// Whether it may need the newest warning beside it.
    pub fn is_weak(&self) -> bool {
        self.weight <= Weight::Unready
    }
}

/// Worst first; of those that ended the last one, which is what decided a Job; else the younger.
pub fn findings<'a>(pods: &'a [Pod], events: &[Event]) -> Vec<Finding<'a>> {
    let mut findings: Vec<Finding> = pods.iter().filter_map(|pod| finding(pod, events)).collect();
    findings.sort_by_key(|finding| Reverse((finding.weight, finished(finding.pod), finding.pod.metadata.created())));
    findings
}

/// Since when the youngest of its containers has been running.
pub fn running_since(pod: &Pod) -> Option<Timestamp> {
    let running = containers(pod).into_iter().filter_map(|it| it.status.state.as_ref()?.running.as_ref());
    running.filter_map(|running| running.started_at.as_ref()).map(|time| time.0).max()
}

/// When the last of its containers that failed did so.
fn finished(pod: &Pod) -> Option<Timestamp> {
    let ends = containers(pod).into_iter().filter_map(|container| failure(container.status, pod));
    ends.filter_map(|end| end.finished_at.as_ref()).map(|time| time.0).max()
}

/// The pod that explains most by its status alone, else the first: what to ask events and logs about.
pub fn subject(pods: &[Pod]) -> Option<&Pod> {
    findings(pods, &[]).first().map(|finding| finding.pod).or(pods.first())
}

fn finding<'a>(pod: &'a Pod, events: &[Event]) -> Option<Finding<'a>> {
    let (weight, text) = match pod.status.phase.as_deref() {
        Some("Succeeded") => None,
        Some("Failed") => gone(pod).or_else(|| worst(pod, events)),
        _ => unscheduled(pod)
            .or_else(|| worst(pod, events))
            .or_else(|| unprepared(pod, events))
            .or_else(|| leaving(pod))
            .or_else(|| unready_as_a_whole(pod)),
    }?;
    Some(Finding { pod, weight, text })
}

/// A reason of the pod itself: the kubelet or a controller acted on it as a whole.
fn gone(pod: &Pod) -> Option<(Weight, String)> {
    let reason = pod.status.reason.as_deref().filter(|reason| !reason.is_empty())?;
    let name = &pod.metadata.name;
    let message = pod.status.message.as_deref().map(cause::one_line).unwrap_or_default();
    let what = if reason == "Evicted" { "was evicted".to_owned() } else { format!("failed: {reason}") };
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
    let (_, found) = in_trouble(pod, events)?;
    Some(found)
}

/// The container that explains most. Of several that ended it is the first one: when one fails, others are often told
/// to end, and a sidecar always is.
fn in_trouble<'a>(pod: &'a Pod, events: &[Event]) -> Option<(Container<'a>, (Weight, String))> {
    let troubled = containers(pod).into_iter().filter_map(|it| trouble(&it, pod, events).map(|found| (it, found)));
    // The last of several that are alike wins, and the first container is meant to.
    let troubled: Vec<_> = troubled.collect();
    troubled.into_iter().rev().max_by_key(|(container, (weight, _))| {
        let end = failure(container.status, pod);
        let by_itself = end.is_some_and(|end| !matches!(end.exit_code, 137 | 143) || is_out_of_memory(end));
        let finished = end.and_then(|end| end.finished_at.as_ref()).map(|time| time.0);
        (*weight, container.noun != SIDECAR, by_itself, Reverse(finished))
    })
}

/// A container that runs beside the others, which end without it.
const SIDECAR: &str = "sidecar";

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
        Container { noun: if serves { SIDECAR } else { "init container" }, status, serves }
    });
    let main = pod.status.container_statuses.iter().flatten();
    init.chain(main.map(|status| Container { noun: "container", status, serves: true })).collect()
}

fn trouble(container: &Container, pod: &Pod, events: &[Event]) -> Option<(Weight, String)> {
    let state = container.status.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        return blocked(container, waiting, pod, events);
    }
    let failure = failure(container.status, pod);
    if state.running.is_none() || is_leaving(pod) {
        return failure.and_then(|end| ended(container, end, pod));
    }
    if container.serves && !container.status.ready {
        return Some(unready(container, pod, events));
    }
    // That of a Job is not meant to be ready: how it ended before is all that can be said.
    let is_of_job = pod.metadata.controller().is_some_and(|owner| owner.kind == "Job");
    let (_, text) = failure.filter(|_| is_of_job).and_then(|end| ended(container, end, pod))?;
    Some((Weight::Restarted, text))
}

/// How it ended at last. What ends with its pod was told to, which says nothing; how it ended before does.
fn failure<'a>(status: &'a ContainerStatus, pod: &Pod) -> Option<&'a ContainerStateTerminated> {
    let end = |state: &'a Option<ContainerState>| state.as_ref()?.terminated.as_ref();
    let was_told_to = |end: &ContainerStateTerminated| is_leaving(pod) && matches!(end.exit_code, 137 | 143);
    let present = end(&status.state).filter(|end| !was_told_to(end));
    present.or_else(|| end(&status.last_state))
}

fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
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
        "CrashLoopBackOff" => return failure(status, pod).and_then(|end| ended(container, end, pod)),
        reason if IMAGE.contains(&reason) => {
            let said = cause::image(message).or_else(|| pull_event(pod, events));
            let cause = said.map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("pod {pod_name} cannot pull image {}{cause}", status.image)
        }
        reason if START.contains(&reason) => unstarted(container, pod, message, reason),
        reason => {
            let separator = if message.is_empty() { "" } else { ": " };
            format!("{noun} {name} of pod {pod_name} does not start: {reason}{separator}{}", cause::one_line(message))
        }
    };
    Some((Weight::Stuck, text))
}

fn unstarted(container: &Container, pod: &Pod, message: &str, reason: &str) -> String {
    let what = format!("pod {} cannot start {} {}", pod.metadata.name, container.noun, container.status.name);
    if message.is_empty() { format!("{what} ({reason})") } else { format!("{what}: {}", cause::start(message)) }
}

/// Before 1.30 the reason `ImagePullBackOff` came without a cause, which only an event had.
fn pull_event(pod: &Pod, events: &[Event]) -> Option<String> {
    about(pod, events).filter(|event| event.reason == "Failed").find_map(|event| cause::image(&event.message))
}

fn about<'a>(pod: &'a Pod, events: &'a [Event]) -> impl Iterator<Item = &'a Event> {
    let name = &pod.metadata.name;
    events.iter().filter(move |event| event.involved_object.kind == "Pod" && event.involved_object.name == *name)
}

fn ended(container: &Container, end: &ContainerStateTerminated, pod: &Pod) -> Option<(Weight, String)> {
    let Container { noun, status, .. } = container;
    let (name, pod_name) = (&status.name, &pod.metadata.name);
    if is_start(end) {
        let (message, reason) = (end.message.as_deref().unwrap_or_default(), end.reason.as_deref().unwrap_or_default());
        return Some((Weight::Stuck, unstarted(container, pod, message, reason)));
    }
    let text = format!("{noun} {name} of pod {pod_name} {}{}", how(end), after_restarts(status));
    // A container that ends with 0 and is started again and again is crash looping too.
    (end.exit_code != 0 || status.restart_count > 0).then_some((Weight::Ended, text))
}

fn is_out_of_memory(end: &ContainerStateTerminated) -> bool {
    end.reason.as_deref() == Some("OOMKilled")
}

fn how(end: &ContainerStateTerminated) -> String {
    let code = end.exit_code;
    if is_out_of_memory(end) {
        return format!("was killed for using more memory than its limit (OOMKilled, exit code {code})");
    }
    // 128 plus the signal, as a shell counts.
    match code {
        0 => "exited with code 0 and is being restarted".to_owned(),
        134 => format!("aborted (SIGABRT, exit code {code})"),
        137 => format!("was killed (SIGKILL, exit code {code})"),
        139 => format!("crashed (SIGSEGV, exit code {code})"),
        143 => format!("was terminated (SIGTERM, exit code {code})"),
        _ => format!("failed with exit code {code}"),
    }
}

fn unready(container: &Container, pod: &Pod, events: &[Event]) -> (Weight, String) {
    let Container { noun, status, .. } = container;
    let (name, pod_name) = (&status.name, &pod.metadata.name);
    let newest = about(pod, events).filter(|event| event.reason == "Unhealthy").max_by_key(|event| event.when());
    let probe = newest.map(|event| cause::probe(&event.message)).filter(|message| !message.is_empty());
    let before = failure(status, pod)
        .filter(|_| status.restart_count > 0)
        .map(|end| format!("{}: it {}", restarts(status), how(end)));
    let starting = status.started == Some(false);
    // Killed for a probe it is the probe that explains it; what ends by itself explains why the probe fails.
    let ended_itself = failure(status, pod).is_some_and(|end| !matches!(end.exit_code, 0 | 137 | 143));
    let why = if ended_itself { before.or(probe) } else { probe.or(before) };
    let why = why.unwrap_or_else(|| {
        let probe = if starting { "startup" } else { "readiness" };
        format!("its {probe} probe has not succeeded yet")
    });
    let is = if starting { "is not started" } else { "is not ready" };
    (Weight::Unready, format!("{noun} {name} of pod {pod_name} runs but {is}: {why}"))
}

/// `, 2 restarts`, or nothing
fn after_restarts(status: &ContainerStatus) -> String {
    if status.restart_count == 0 { String::new() } else { format!(" after {}", restarts(status)) }
}

fn restarts(status: &ContainerStatus) -> String {
    count(usize::try_from(status.restart_count).unwrap_or_default(), "restart")
}

/// Volumes and the sandbox come before any container; only events tell of them.
fn unprepared(pod: &Pod, events: &[Event]) -> Option<(Weight, String)> {
    let has_run = |it: &Container| it.status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
    let begun =
        |it: &Container| it.status.state.as_ref().is_some_and(|it| it.running.is_some() || it.terminated.is_some());
    if containers(pod).iter().any(|it| begun(it) || has_run(it)) {
        return None;
    }
    let failed = |event: &&Event| event.r#type == "Warning" && event.reason.starts_with("Failed");
    let event = about(pod, events).filter(failed).max_by_key(|event| event.when())?;
    let name = &pod.metadata.name;
    let volume =
        event.message.strip_prefix("MountVolume.SetUp failed for volume \"").and_then(|rest| rest.split('"').next());
    let cause = cause::start(&event.message);
    let text = match volume {
        Some(volume) => format!("pod {name} cannot mount volume {volume}: {cause}"),
        None if cause.is_empty() => format!("pod {name} cannot be started ({})", event.reason),
        None => format!("pod {name} cannot be started: {cause}"),
    };
    Some((Weight::Stuck, text))
}

/// A Job that has failed ends the pods that are still at it.
fn leaving(pod: &Pod) -> Option<(Weight, String)> {
    let name = &pod.metadata.name;
    is_leaving(pod).then(|| (Weight::Leaving, format!("pod {name} was still running and is being deleted")))
}

/// Its containers are ready and it is not: a readiness gate, which the kubelet names, or a node that is lost, where the
/// node lifecycle controller takes the condition back and gives no reason
/// (`pkg/controller/util/node/controller_utils.go` in kubernetes).
fn unready_as_a_whole(pod: &Pod) -> Option<(Weight, String)> {
    let condition = condition!(pod.status.conditions, "Ready").filter(|it| it.status != "True")?;
    let is_complete = pod.status.container_statuses.as_ref().is_some_and(|all| all.iter().all(|it| it.ready));
    let message = condition.message.as_deref().map(cause::one_line).filter(|message| !message.is_empty());
    let (name, node) = (&pod.metadata.name, &pod.spec.node_name);
    let why = message.unwrap_or_else(|| format!("is its node {node} ready?"));
    is_complete.then(|| (Weight::Unready, format!("pod {name} is not ready, although its containers are: {why}")))
}

/// The raw state of every container that is not fine, as a person would look it up.
pub fn states(pod: &Pod) -> Vec<String> {
    containers(pod).iter().filter(|it| trouble(it, pod, &[]).is_some()).flat_map(|it| state(it, pod)).collect()
}

fn state(container: &Container, pod: &Pod) -> Vec<String> {
    let status = container.status;
    let whose = format!("{} {} of pod {}", container.noun, status.name, pod.metadata.name);
    let what = format!("{whose}, image {}", status.image);
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
    // How it ended says more than that it pauses now.
    let waiting = waiting.filter(|waiting| waiting.reason.as_deref() != Some("CrashLoopBackOff"));
    let waits = waiting.map(|waiting| {
        let message = waiting.message.as_deref().map(cause::one_line).unwrap_or_default();
        let separator = if message.is_empty() { "" } else { ": " };
        format!("{what}: {}{separator}{message}", waiting.reason.as_deref().unwrap_or("waiting"))
    });
    let end = failure(status, pod);
    let ends = end.map(|end| {
        let reason = end.reason.as_deref().unwrap_or("no reason given");
        format!("{what}: exit code {} ({reason}){}", end.exit_code, after_restarts(status))
    });
    let said = end.and_then(|end| end.message.as_deref()).map(cause::one_line).unwrap_or_default();
    let news = !said.is_empty() && !waits.as_ref().is_some_and(|waits| waits.contains(&said));
    let says = Some(said).filter(|_| news).map(|text| format!("{whose} left the message: {text}"));
    waits.into_iter().chain(ends).chain(says).collect()
}

/// Takes out what its containers left at their end, and what may quote their commands or the output of their hooks.
pub fn redact(pod: &mut Pod) {
    let status = &mut pod.status;
    let all = status.init_container_statuses.iter_mut().chain(&mut status.container_statuses).flatten();
    for state in all.flat_map(|status| [&mut status.state, &mut status.last_state]).flatten() {
        if let Some(end) = &mut state.terminated {
            end.message = None;
        }
        if let Some(waiting) = state.waiting.as_mut().filter(|waiting| !is_known(waiting)) {
            waiting.message = None;
        }
    }
}

/// Whether its message is the kubelet's own: about an image, or a ConfigMap or Secret that is missing.
fn is_known(waiting: &ContainerStateWaiting) -> bool {
    let reason = waiting.reason.as_deref().unwrap_or_default();
    IMAGE.contains(&reason) || reason == START[0]
}

/// Whether runc could not even begin: the exit code is made up.
fn is_start(end: &ContainerStateTerminated) -> bool {
    matches!(end.reason.as_deref(), Some("StartError" | "ContainerCannotRun"))
}

/// Whether one of its containers has ended badly.
pub fn has_crashed(pod: &Pod) -> bool {
    containers(pod).iter().any(|it| failure(it.status, pod).is_some_and(|end| end.exit_code != 0))
}

/// The run of a container whose log explains most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub pod: String,
    pub container: String,
    /// the one before the present one
    pub is_previous: bool,
}

/// That of the container in trouble, else of one that runs.
pub fn run_in_question(pod: &Pod) -> Option<Run> {
    let state = |it: &Container| it.status.state.clone().unwrap_or_default();
    let running = || containers(pod).into_iter().rev().find(|it| state(it).running.is_some());
    let found = in_trouble(pod, &[]).map(|(container, _)| container).or_else(running)?;
    let end = failure(found.status, pod);
    // While it waits to be started again, its last run counts as the present one.
    let is_previous = end.is_some() && state(&found).waiting.is_none() && state(&found).terminated.as_ref() != end;
    Some(Run { pod: pod.metadata.name.clone(), container: found.status.name.clone(), is_previous })
}
