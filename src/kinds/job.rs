//! Jobs: complete, failed, or how far they are.
//!
//! The rules follow the Job controller (`pkg/controller/job/job_controller.go` in kubernetes) and
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/>: only `Complete` and `Failed` are final, and
//! `FailureTarget` never turns into success: the API server refuses `Complete` beside it, whoever writes the status
//! (`pkg/apis/batch/validation`). `SuccessCriteriaMet` alone is not the end: a drained migration pod was seen writing
//! for 6 s after it.

use k8s_openapi::api::batch::v1::{JobCondition, JobStatus, UncountedTerminatedPods};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{Causes, ITS_PODS, Judged, LOGS, Mode, NEAR_NAMES, Reading, Row, WARNINGS, condition};
use crate::target::goal::Condition as Demanded;
use crate::target::names::dns_subdomain;
use crate::target::verdict::{Code, Verdict};
use crate::target::{Demand, Kind};
use crate::text::count;

pub static ROW: Row = Row {
    kind: Kind::namespaced("job", "Job", "batch", "v1", "jobs"),
    aliases: &[],
    modes: &[
        Mode { word: "job", demand: Demand::Every, help: "every Job is complete" },
        // A retried Job that completes is complete.
        Mode { word: "job-wr", demand: Demand::Every, help: "same as job" },
        Mode { word: "job-we", demand: Demand::EveryOrFailed, help: "every Job is complete or has failed" },
    ],
    options: &[],
    done: "complete",
    rules: "\
Ready when it is complete, no matter how often it was retried (job-we: also when it has failed). Failed when its
condition Failed or FailureTarget is True. Once ready, it stays ready, even if it is deleted.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_PODS, LOGS, WARNINGS],
    judged: |_| Judged::Jobs(read),
    causes: Some(Causes::PodsOfJobs),
    is_final: true,
    failed_by: &["Failed", "FailureTarget"],
    is_existence: false,
    is_confidential: false,
};

/// `batch/v1` Job
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    pub metadata: Metadata,
    spec: Spec,
    status: JobStatus,
}

/// How far it may go, and by whom it is run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    suspend: bool,
    parallelism: Option<i32>,
    completions: Option<i32>,
    backoff_limit: Option<i32>,
    /// the controller that runs it, where that is not Kubernetes' own
    managed_by: Option<String>,
}

/// Whether this, once it is true of a Job, stays so whatever becomes of it.
pub fn is_end(condition: &Demanded) -> bool {
    let ends = ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"];
    match condition {
        Demanded::Status { r#type, status } => {
            status.eq_ignore_ascii_case("true") && ends.iter().any(|end| end.eq_ignore_ascii_case(r#type))
        }
        Demanded::Create => true,
        Demanded::Path { .. } | Demanded::Delete => false,
    }
}

impl Job {
    pub fn is_complete(&self) -> bool {
        is_true(self, "Complete").is_some()
    }

    pub fn has_failed(&self) -> bool {
        ["Failed", "FailureTarget"].into_iter().any(|kind| is_true(self, kind).is_some())
    }
}

/// The facts about a Job, and its version.
///
/// # Errors
/// It is none.
pub fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let job: Job = serde_json::from_str(json)?;
    let (state, reason) = match one(&reading.demand, &job) {
        Verdict::Ready => (State::Ready, None),
        Verdict::Waiting(reason) => (State::Waiting, Some(reason)),
        Verdict::Failed(reason) => (State::Failed, Some(reason)),
    };
    let fact =
        Fact { since: ended_at(&job), pulse: job.status.ready, ..Fact::new(&job.metadata, reading, state, reason) };
    Ok((fact, job.metadata.resource_version))
}

/// By its controller's clock; `None` where that is not said.
fn ended_at(job: &Job) -> Option<Timestamp> {
    let condition = is_true(job, "Complete").or_else(|| is_true(job, "Failed"))?;
    condition.last_transition_time.as_ref().map(|time| time.0)
}

/// The verdict over one Job, first row that matches.
fn one(demand: &Demand, job: &Job) -> Verdict {
    if is_true(job, "Complete").is_some() {
        return Verdict::Ready;
    }
    if let Some(condition) = is_true(job, "Failed") {
        return failed(job, condition);
    }
    if let Some(condition) = is_true(job, "FailureTarget") {
        return if *demand == Demand::EveryOrFailed { ending(condition) } else { failed(job, condition) };
    }
    waiting(job)
}

fn is_true<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    condition!(job.status.conditions, kind).filter(|condition| condition.status == "True")
}

fn failed(job: &Job, condition: &JobCondition) -> Verdict {
    let code = code(condition);
    let message = condition.message.as_deref().unwrap_or_default().trim_end_matches('.');
    let attempts = attempts(job);
    let said = if message.is_empty() { code.clone() } else { format!("{code}: {message}") };
    let parts: Vec<String> = [said].into_iter().chain(attempts).collect();
    Verdict::failed(Code::Foreign(code), parts.join("; "))
}

/// A controller of somebody else may leave the reason out.
fn code(condition: &JobCondition) -> String {
    condition.reason.clone().filter(|reason| !reason.is_empty()).unwrap_or_else(|| condition.type_.clone())
}

/// `job-we` waits for the end of the pods, which is when `Failed` follows `FailureTarget`.
fn ending(condition: &JobCondition) -> Verdict {
    let why = code(condition);
    Verdict::waiting(Code::PodsEnding, format!("failed ({why}); its last pods are stopping"))
}

fn waiting(job: &Job) -> Verdict {
    let (code, state) = state(job);
    let progress = if code == Code::PodsEnding { Vec::new() } else { progress(job) };
    let text = if progress.is_empty() { state } else { format!("{state}: {}", progress.join(", ")) };
    Verdict::waiting(code, text)
}

fn state(job: &Job) -> (Code, String) {
    let (active, failed) = (number(job.status.active), failures(job));
    let (code, state) = match job {
        // Its pods are deleted with it, or left to themselves: nothing makes it complete any more.
        _ if job.metadata.deletion_timestamp.is_some() => (Code::BeingDeleted, "being deleted"),
        _ if job.spec.suspend => (Code::Suspended, "suspended"),
        _ if job.spec.parallelism == Some(0) => (Code::ParallelismZero, "its parallelism is 0, so it cannot finish"),
        _ if is_true(job, "SuccessCriteriaMet").is_some() => {
            (Code::PodsEnding, "succeeded; its last pods are stopping")
        }
        _ if job.status.start_time.is_none() => return (Code::NotStarted, not_started(job)),
        _ if active == 0 && failed > 0 => (Code::BackOff, "backing off"),
        _ if active == 0 => (Code::NoPods, "no pod has started yet"),
        _ => (Code::Running, "running"),
    };
    (code, state.to_owned())
}

/// Where `managedBy` names another controller, the Job waits for that one.
fn not_started(job: &Job) -> String {
    match job.spec.managed_by.as_deref() {
        None | Some("kubernetes.io/job-controller") => "not started yet".to_owned(),
        Some(controller) => format!("not started yet by {controller}"),
    }
}

/// `1 pod active`, `1 of 3 succeeded`, `2 failed (backoffLimit 6)`; what is zero says nothing.
fn progress(job: &Job) -> Vec<String> {
    let active = number(job.status.active);
    let active = (active > 0).then(|| format!("{} active", count(active, "pod")));
    let stopping = number(job.status.terminating);
    let stopping = (stopping > 0).then(|| format!("{} stopping", count(stopping, "pod")));
    let succeeded = number(job.status.succeeded) + uncounted(job, |uncounted| &uncounted.succeeded);
    // Without completions (a work queue), one success ends it:
    // <https://kubernetes.io/docs/concepts/workloads/controllers/job/#parallel-jobs>
    let of = job.spec.completions.map_or_else(String::new, |completions| format!(" of {completions}"));
    let is_of_interest = succeeded > 0 || job.spec.completions.is_some_and(|completions| completions > 1);
    let succeeded = is_of_interest.then(|| format!("{succeeded}{of} succeeded"));
    [active, stopping, succeeded, attempts(job)].into_iter().flatten().collect()
}

/// `2 failed (backoffLimit 6)`, `index 1,3 failed permanently`
fn attempts(job: &Job) -> Option<String> {
    let failed = failures(job);
    if let Some(indexes) = job.status.failed_indexes.as_deref().filter(|indexes| !indexes.is_empty()) {
        let noun = if indexes.contains([',', '-']) { "indexes" } else { "index" };
        return Some(format!("{noun} {indexes} failed permanently"));
    }
    // The API server fills in 6, or i32::MAX where backoffLimitPerIndex is used: no limit worth naming.
    let limit = job.spec.backoff_limit.filter(|limit| *limit < i32::MAX);
    let limit = limit.map_or_else(String::new, |limit| format!(" (backoffLimit {limit})"));
    (failed > 0).then(|| format!("{} failed{limit}", count(failed, "pod")))
}

/// The pod that used up the last retry is often still uncounted when `FailureTarget` comes.
fn failures(job: &Job) -> usize {
    number(job.status.failed) + uncounted(job, |uncounted| &uncounted.failed)
}

fn number(status: Option<i32>) -> usize {
    usize::try_from(status.unwrap_or(0)).unwrap_or(0)
}

/// Pods that have ended and that the controller is about to count.
fn uncounted(job: &Job, which: fn(&UncountedTerminatedPods) -> &Option<Vec<String>>) -> usize {
    job.status.uncounted_terminated_pods.as_ref().and_then(|pods| which(pods).as_ref()).map_or(0, Vec::len)
}
