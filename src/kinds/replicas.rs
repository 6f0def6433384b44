//! What the kinds that keep pods have in common: the numbers in their specs and statuses, and how far they are.
//!
//! The rules follow `kubectl rollout status` (`pkg/polymorphichelpers/rollout_status.go` in k8s.io/kubectl) and
//! kstatus; each kind says which of them are its own.

use serde::Deserialize;

use super::conditions::{Condition, of_type};
use super::members::{Fact, State};
use super::object::Metadata;
use super::{Reading, in_transition};
use crate::target::verdict::{Code, Reason};
use crate::text::count;

/// One that keeps pods; absent numbers are 0.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Workload {
    pub metadata: Metadata,
    pub spec: Spec,
    pub status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    replicas: Option<usize>,
    pub paused: bool,
    pub min_ready_seconds: usize,
    pub update_strategy: Strategy,
}

/// How a StatefulSet or a DaemonSet replaces its pods.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    r#type: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RollingUpdate {
    partition: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    observed_generation: i64,
    pub replicas: usize,
    pub updated_replicas: usize,
    pub ready_replicas: usize,
    pub available_replicas: usize,
    pub fully_labeled_replicas: usize,
    pub desired_number_scheduled: usize,
    pub updated_number_scheduled: usize,
    pub number_available: usize,
    conditions: Option<Vec<Condition>>,
}

impl Workload {
    /// How many pods it is to keep. The API server fills in 1.
    pub fn wanted(&self) -> usize {
        self.spec.replicas.unwrap_or(1)
    }

    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        of_type(self.status.conditions.as_deref().unwrap_or_default(), kind)
    }

    /// Why the numbers say nothing yet: it goes, or its controller has not seen its present spec.
    pub fn unseen(&self) -> Option<Reason> {
        in_transition(&self.metadata, Some(self.status.observed_generation))
    }

    /// `has 1 of 3 pods updated`, unless there are as many as wanted.
    pub fn lacks(&self, number: usize, wanted: usize, word: &str) -> Option<Reason> {
        (number < wanted).then(|| {
            let why = self.why_none_comes().map_or_else(String::new, |why| format!(": {why}"));
            Reason::new(Code::PodsNotReady, format!("has {number} of {} {word}{why}", count(wanted, "pod")))
        })
    }

    /// Why the pods that it lacks do not come, where that is known.
    fn why_none_comes(&self) -> Option<String> {
        self.refused().or_else(|| self.spec.paused.then(|| "its rollout is paused".to_owned()))
    }

    /// That the API server takes no pod from it; the condition may be about deleting one, too.
    pub fn refused(&self) -> Option<String> {
        let failure = self.condition("ReplicaFailure").filter(|it| it.is_true())?;
        let message = failure.message.as_deref().filter(|_| failure.reason.as_deref() == Some("FailedCreate"))?;
        Some(format!("its pods cannot be created: {message}"))
    }
}

impl Strategy {
    /// Its pods are replaced when somebody deletes them, and not before.
    pub fn is_on_delete(&self) -> bool {
        self.r#type == "OnDelete"
    }

    /// The pods below this ordinal stay as they are.
    pub fn partition(&self) -> usize {
        self.rolling_update.as_ref().and_then(|update| update.partition).unwrap_or(0)
    }
}

/// The facts about a workload by the first rule that keeps it, and its version.
///
/// # Errors
/// It is none.
pub fn read(
    json: &str,
    reading: &Reading,
    unmet: fn(&Workload) -> Option<(State, Reason)>,
) -> serde_json::Result<(Fact, String)> {
    let workload: Workload = serde_json::from_str(json)?;
    let unseen = workload.unseen().map(|reason| (State::Waiting, reason));
    let (state, reason) = unseen.or_else(|| unmet(&workload)).unzip();
    let fact = Fact::new(&workload.metadata, reading, state.unwrap_or(State::Ready), reason);
    Ok((fact, workload.metadata.resource_version))
}

/// `has 1 pod too many`, unless there are no more than that.
pub fn surplus(number: usize, wanted: usize, which: &str) -> Option<Reason> {
    let surplus = number.checked_sub(wanted).filter(|surplus| *surplus > 0)?;
    Some(Reason::new(Code::OldPods, format!("has {} {which}", count(surplus, "pod"))))
}

/// It may still come to it.
pub fn waiting(reason: Option<Reason>) -> Option<(State, Reason)> {
    reason.map(|reason| (State::Waiting, reason))
}
