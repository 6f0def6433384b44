//! A Job that is gone: what proves that *this very wait* has succeeded before, so that a pod that is scaled up or
//! rescheduled after the Job's TTL starts all the same.
//!
//! Proof is the mark (`mark`) of this very target in another pod of the same controller revision, or in this pod's own
//! earlier run. Nothing else is: a template says nothing of arguments like `seed-$(POD_NAME)`, and
//! `NewReplicaSetAvailable` and `currentRevision` are set at zero replicas, before any pod has run. Of Jobs that were
//! seen, only what names their uids is proof: another one of the name may have completed long ago. This half is pure;
//! `gone` does the looking.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::evaluate::condition;
use crate::identity::Identity;
use crate::mark::Sought;
use crate::object::{Event, Pod};

/// That the Job has completed, for this revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// where it was found
    pub source: String,
    /// of the Job, as the mark tells; empty where it does not
    pub uids: Vec<String>,
}

/// The labels that tell the revisions of one controller apart: of Deployments, StatefulSets and DaemonSets, Argo Rollouts.
const REVISIONS: [&str; 3] = ["pod-template-hash", "controller-revision-hash", "rollouts-pod-template-hash"];
/// The label of the pods of one Job.
const JOB_UID: &str = "batch.kubernetes.io/controller-uid";

/// What has to be proved.
#[derive(Debug, Clone)]
pub struct Claim {
    pub mark: Sought,
    /// the uids of the Jobs that were seen; none where nobody saw any
    pub seen: Vec<String>,
}

impl Claim {
    fn is_met_by(&self, uids: &[String]) -> bool {
        self.seen.iter().all(|uid| uids.contains(uid))
    }
}

/// Which pods may have left a mark: label selector for the request; whose mark counts is decided by [`by_sibling`].
/// `None` for a pod without a controller, or with one that does not tell its revisions apart (a bare `ReplicaSet`): its
/// siblings may have waited for something else, so only a Job that was seen is proved by them.
pub fn sibling_labels(own: &Pod, claim: &Claim) -> Option<String> {
    own.metadata.controller()?;
    let labels = &own.metadata.labels;
    let key = REVISIONS.into_iter().chain([JOB_UID]).find(|key| labels.contains_key(*key));
    let pair = |(key, value): (&str, &str)| format!("{key}={value}");
    match key {
        Some(key) => Some(pair((key, &labels[key]))),
        None if claim.seen.is_empty() || labels.is_empty() => None,
        None => Some(labels.iter().map(|(key, value)| pair((key, value))).collect::<Vec<_>>().join(",")),
    }
}

/// Proof by another pod of the same revision. One that is being deleted is as good: its wait has succeeded.
pub fn by_sibling<'a>(claim: &Claim, own: &Pod, pods: impl IntoIterator<Item = &'a Pod>) -> Option<Proof> {
    // A uid is one Job's only: whoever has seen that one complete may be of any revision.
    let others = pods.into_iter().filter(|pod| pod.metadata.uid != own.metadata.uid);
    others.filter(|pod| !claim.seen.is_empty() || is_sibling(own, pod)).find_map(|pod| {
        let uids = init_statuses(pod).find_map(|status| uids_of_success(status, claim))?;
        let name = &pod.metadata.name;
        let source = if claim.seen.is_empty() {
            format!("pod {name} of the same revision has waited for it before")
        } else {
            format!("pod {name} has seen that very one complete")
        };
        Some(Proof { source, uids })
    })
}

fn is_sibling(own: &Pod, other: &Pod) -> bool {
    let owner_uid = |pod: &Pod| pod.metadata.controller().map(|owner| owner.uid.clone());
    let revision = |pod: &Pod| REVISIONS.map(|key| pod.metadata.labels.get(key).cloned());
    let tells_revisions_apart = |owner: &OwnerReference| {
        owner.kind == "Job" || REVISIONS.iter().any(|key| own.metadata.labels.contains_key(*key))
    };
    own.metadata.controller().is_some_and(tells_revisions_apart)
        && owner_uid(own) == owner_uid(other)
        && revision(own) == revision(other)
}

/// Proof by this pod's own earlier run: after a re-created sandbox its end is in `state` or `lastState`. A restart of
/// all containers erases both, but the pod stays Initialized.
pub fn by_own_run(claim: &Claim, own: &Pod, identity: &Identity) -> Option<Proof> {
    let container = identity.container.as_deref()?;
    let status = init_statuses(own).find(|status| status.name == container)?;
    if let Some(uids) = uids_of_success(status, claim) {
        return Some(Proof { source: "this pod has waited for it before, in an earlier run".to_owned(), uids });
    }
    let sidecar = |name: &str| {
        let container = own.spec.init_containers.iter().find(|container| container.name == name);
        container.is_some_and(|container| container.restart_policy.as_deref() == Some("Always"))
    };
    let initialized = condition!(own.status.conditions, "Initialized").is_some_and(|it| it.status == "True");
    (claim.seen.is_empty() && initialized && !sidecar(container)).then(|| Proof {
        source: "this pod was initialized before, so this init container has succeeded".to_owned(),
        uids: Vec::new(),
    })
}

fn init_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.init_container_statuses.iter().flatten()
}

fn uids_of_success(status: &ContainerStatus, claim: &Claim) -> Option<Vec<String>> {
    [&status.state, &status.last_state].into_iter().flatten().find_map(|state| uids_of_end(state, claim))
}

fn uids_of_end(state: &ContainerState, claim: &Claim) -> Option<Vec<String>> {
    let end = state.terminated.as_ref().filter(|end| end.exit_code == 0)?;
    claim.mark.uids_in(end.message.as_deref()?).filter(|uids| claim.is_met_by(uids))
}

/// Proof by what the Job controller said of the Jobs that were seen. Whoever may create events can forge it.
pub fn by_events<'a>(claim: &Claim, events: impl IntoIterator<Item = &'a Event>) -> Option<Proof> {
    let said = |event: &&Event| event.reason == "Completed" && event.source.component == "job-controller";
    let uids: Vec<String> = events.into_iter().filter(said).map(|event| event.involved_object.uid.clone()).collect();
    (!claim.seen.is_empty() && claim.is_met_by(&uids))
        .then(|| Proof { source: "the job controller has said that it completed".to_owned(), uids: claim.seen.clone() })
}
