//! Jobs: complete, failed, or how far they are.
//!
//! The rules follow the Job controller (`pkg/controller/job/job_controller.go` in kubernetes) and
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/>: only `Complete` and `Failed` are final, and
//! `FailureTarget` never turns into success. `SuccessCriteriaMet` alone is not the end: a drained migration pod was
//! seen writing for 6 s after it.

use k8s_openapi::api::batch::v1::JobCondition;

use super::{condition, count, described, named};
use crate::object::Job;
use crate::target::{Mode, Selection, Target};
use crate::verdict::Verdict;

/// The verdict over the Jobs of a target; `min` is the least number of Jobs that a selector has to match.
pub fn jobs(target: &Target, min: usize, jobs: &[Job]) -> Verdict {
    if let Some(name) = &target.selection.name {
        return match named("job", &target.selection, name, jobs) {
            Ok(job) => one(target.mode, job),
            Err(verdict) => verdict,
        };
    }
    let verdicts: Vec<(&Job, Verdict)> = jobs.iter().map(|job| (job, one(target.mode, job))).collect();
    all(&target.selection, min, &verdicts)
}

/// The verdict over one Job, first row that matches.
pub fn one(mode: Mode, job: &Job) -> Verdict {
    if is_true(job, "Complete").is_some() {
        return Verdict::Ready;
    }
    if let Some(condition) = is_true(job, "Failed") {
        return if mode == Mode::JobOrFailed { Verdict::Ready } else { failed(job, condition) };
    }
    if let Some(condition) = is_true(job, "FailureTarget") {
        return if mode == Mode::JobOrFailed { ending(condition) } else { failed(job, condition) };
    }
    waiting(job)
}

fn is_true<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    condition!(job.status.conditions, kind).filter(|condition| condition.status == "True")
}

fn failed(job: &Job, condition: &JobCondition) -> Verdict {
    let code = condition.reason.clone().filter(|reason| !reason.is_empty()).unwrap_or_else(|| "Failed".to_owned());
    let message = condition.message.as_deref().unwrap_or_default().trim_end_matches('.');
    let retries = attempts(job);
    let text = match message {
        "" => format!("the Job has failed: {code}, {retries}"),
        message => format!("the Job has failed: {code}: {message}, {retries}"),
    };
    Verdict::failed(code, text)
}

/// `job-we` waits for the end of the pods, which is when `Failed` follows `FailureTarget`.
fn ending(condition: &JobCondition) -> Verdict {
    let why = condition.reason.as_deref().unwrap_or("FailureTarget");
    Verdict::waiting("FailureTarget", format!("the Job is failing ({why}), its pods are still ending"))
}

fn waiting(job: &Job) -> Verdict {
    if job.spec.suspend || is_true(job, "Suspended").is_some() {
        return Verdict::waiting("Suspended", "the Job is suspended");
    }
    if job.spec.parallelism == Some(0) {
        return Verdict::waiting("ParallelismZero", "the Job has parallelism 0: it can never finish so");
    }
    let progress = progress(job);
    if is_true(job, "SuccessCriteriaMet").is_some() {
        return Verdict::waiting("PodsEnding", format!("the Job has succeeded, its pods are still ending, {progress}"));
    }
    match (job.status.active.unwrap_or(0), job.status.failed.unwrap_or(0)) {
        (0, 0) if job.status.start_time.is_none() => Verdict::waiting("NotStarted", "the Job has no pod yet"),
        (0, 1..) => Verdict::waiting("BackOff", format!("the Job will be retried, {progress}")),
        _ => Verdict::waiting("Running", format!("the Job is running, {progress}")),
    }
}

/// `1 pod active, 0 of 1 succeeded, 2 failed of at most 6 retries`
fn progress(job: &Job) -> String {
    let active = usize::try_from(job.status.active.unwrap_or(0)).unwrap_or(0);
    let succeeded = job.status.succeeded.unwrap_or(0);
    // Without completions (a work queue), one success ends it: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#parallel-jobs>
    let completions = job.spec.completions.map_or_else(String::new, |completions| format!(" of {completions}"));
    format!("{} active, {succeeded}{completions} succeeded, {}", count(active, "pod"), attempts(job))
}

fn attempts(job: &Job) -> String {
    let failed = job.status.failed.unwrap_or(0);
    // The API server fills in 6, or i32::MAX where backoffLimitPerIndex is used: no limit worth naming.
    match job.spec.backoff_limit {
        Some(limit) if limit < i32::MAX => format!("{failed} failed (backoffLimit {limit})"),
        _ => format!("{failed} failed"),
    }
}

/// A selector needs at least one Job and all of them.
fn all(selection: &Selection, min: usize, verdicts: &[(&Job, Verdict)]) -> Verdict {
    let named = |job: &Job, text: &str| format!("job {}: {text}", job.metadata.name);
    for (job, verdict) in verdicts {
        if let Verdict::Failed(reason) = verdict {
            return Verdict::failed(reason.code.clone(), named(job, &reason.text));
        }
    }
    if verdicts.is_empty() {
        return Verdict::waiting("NotFound", format!("no job matches {}", described(selection)));
    }
    let ready = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Ready).count();
    let unmet = verdicts.iter().find_map(|(job, verdict)| Some((job, verdict.reason()?)));
    if let Some((job, reason)) = unmet {
        let text = format!("{ready} of {} complete; {}", count(verdicts.len(), "job"), named(job, &reason.text));
        return Verdict::waiting(reason.code.clone(), text);
    }
    if ready < min {
        return Verdict::waiting("TooFew", format!("{} complete, at least {min} needed", count(ready, "job")));
    }
    Verdict::Ready
}
