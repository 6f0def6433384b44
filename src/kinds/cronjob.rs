//! CronJobs, by the newest Job that they have made:
//! <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/>.
//!
//! A Job of theirs is one whose controller they are: whoever makes one by hand (`kubectl create job --from`) sets that,
//! too.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::behind::{Backend, Behind, Entry, Stand};
use super::members::{Fact, Members, State};
use super::object::Metadata;
use super::{Causes, FOLLOW, ITS_PODS, JOBS, Judged, LOGS, Mode, NEAR_NAMES, Read, Reading, Row, WARNINGS};
use crate::target::names::dns_subdomain;
use crate::target::verdict::{Code, Reason, Verdict};
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("cronjob", "CronJob", "batch", "v1", "cronjobs"),
    aliases: &["cj"],
    modes: &[Mode { word: "cronjob", demand: Demand::Every, help: "the newest Job of every CronJob is complete" }],
    options: &[],
    done: "complete",
    rules: "Takes the state of its newest Job; waiting while it has none.",
    check_name: dns_subdomain,
    explained_by: &[
        NEAR_NAMES,
        Read { resource: Some(&JOBS), verbs: super::LIST, why: "its Jobs" },
        ITS_PODS,
        LOGS,
        WARNINGS,
    ],
    judged: |_| Judged::Behind(&NEWEST),
    causes: Some(Causes::PodsOfCronJobs),
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

static NEWEST: Behind = Behind {
    read,
    judge: |_, _, entry, stand| match stand {
        Stand::Objects(jobs) => match newest(jobs) {
            Some(job) if entry.scheduled.zip(job.created).is_some_and(|(last, made)| last > made) => gone(job),
            Some(job) => verdict(job),
            None => Verdict::Waiting(entry.empty.clone()),
        },
        Stand::Slices(_) | Stand::Nothing => Verdict::Waiting(entry.empty.clone()),
    },
    reads: &[Read { resource: Some(&JOBS), verbs: FOLLOW, why: ": its Jobs" }],
    grows: false,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct CronJob {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    last_schedule_time: Option<Time>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    suspend: bool,
}

fn read(json: &str, reading: &Reading) -> serde_json::Result<(Entry, String)> {
    let CronJob { metadata, spec, status } = serde_json::from_str(json)?;
    let backend = Backend::Jobs { owner: metadata.uid.as_str().into() };
    let empty = if spec.suspend {
        Reason::new(Code::Suspended, "suspended; no Job created yet")
    } else {
        Reason::new(Code::NoJobs, "no Job created yet")
    };
    let scheduled = status.last_schedule_time.map(|time| time.0);
    let entry = Entry { scheduled, ..Entry::new(&metadata, reading, backend, empty) };
    Ok((entry, metadata.resource_version))
}

/// By the time of its making; of two of one second, the one that is named later: names end with the scheduled minute.
fn newest(jobs: &Members) -> Option<&Fact> {
    let own = jobs.iter().filter(|job| job.state.counts());
    own.max_by_key(|job| (job.created.unwrap_or(Timestamp::MIN), &job.key))
}

/// A Job is never made before its scheduled time: there was a newer one, replaced or cleaned up by now. What an older
/// one came to says nothing of it.
fn gone(job: &Fact) -> Verdict {
    let text = format!("its newest Job is gone; Job {} is an older one", job.name());
    Verdict::waiting(Code::NotReplaced, text)
}

fn verdict(job: &Fact) -> Verdict {
    let text = |reason: &Reason| Reason::new(reason.code.clone(), format!("Job {}: {}", job.name(), reason.text));
    match (job.state, job.reason.as_deref()) {
        (State::Failed, Some(reason)) => Verdict::Failed(text(reason)),
        (_, Some(reason)) => Verdict::Waiting(text(reason)),
        _ => Verdict::Ready,
    }
}
