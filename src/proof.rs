//! A Job that is gone: what proves that *this very wait* has succeeded before, so that a pod that is scaled up or
//! rescheduled after the Job's TTL starts all the same.
//!
//! Proof is the mark (`termination`) of this very target in another pod of the same controller revision, or in this
//! pod's own earlier run. Nothing else is: a template says nothing of arguments like `seed-$(POD_NAME)`, and
//! `NewReplicaSetAvailable` and `currentRevision` are set at zero replicas, before any pod has run. This half is pure;
//! `gone` does the looking.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus};

use crate::evaluate::condition;
use crate::identity::Identity;
use crate::object::Pod;
use crate::target::Target;
use crate::termination::uids_in_mark;

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

/// Which pods are siblings: label selector for the request; who really is one is decided by [`by_sibling`].
///
/// `None` for a pod without a controller. A bare ReplicaSet's pods have no revision: they share whatever labels they have.
pub fn sibling_labels(own: &Pod) -> Option<String> {
    let owner = own.metadata.controller()?;
    let labels = &own.metadata.labels;
    let key = REVISIONS.into_iter().chain([JOB_UID]).find(|key| labels.contains_key(*key));
    let pair = |(key, value): (&str, &str)| format!("{key}={value}");
    match key {
        Some(key) => Some(pair((key, &labels[key]))),
        None if matches!(owner.kind.as_str(), "ReplicaSet" | "ReplicationController") => {
            Some(labels.iter().map(|(key, value)| pair((key, value))).collect::<Vec<_>>().join(","))
        }
        None => None,
    }
}

/// Proof by another pod of the same revision. One that is being deleted is as good: its wait has succeeded.
pub fn by_sibling<'a>(target: &Target, own: &Pod, pods: impl IntoIterator<Item = &'a Pod>) -> Option<Proof> {
    pods.into_iter().filter(|pod| is_sibling(own, pod)).find_map(|pod| {
        let uids = init_statuses(pod).find_map(|status| uids_of_success(status, target))?;
        let source = format!("pod {} of the same revision has waited for it before", pod.metadata.name);
        Some(Proof { source, uids })
    })
}

fn is_sibling(own: &Pod, other: &Pod) -> bool {
    let owner_uid = |pod: &Pod| pod.metadata.controller().map(|owner| owner.uid.clone());
    let revision = |pod: &Pod| REVISIONS.map(|key| pod.metadata.labels.get(key).cloned());
    own.metadata.uid != other.metadata.uid
        && own.metadata.controller().is_some()
        && owner_uid(own) == owner_uid(other)
        && revision(own) == revision(other)
}

/// Proof by this pod's own earlier run: after a re-created sandbox its end is in `state` or `lastState`. A restart of
/// all containers erases both, but the pod stays Initialized.
pub fn by_own_run(target: &Target, own: &Pod, identity: &Identity) -> Option<Proof> {
    let container = identity.container.as_deref()?;
    let status = init_statuses(own).find(|status| status.name == container)?;
    if let Some(uids) = uids_of_success(status, target) {
        return Some(Proof { source: "this pod has waited for it before, in an earlier run".to_owned(), uids });
    }
    let sidecar = |name: &str| {
        let container = own.spec.init_containers.iter().find(|container| container.name == name);
        container.is_some_and(|container| container.restart_policy.as_deref() == Some("Always"))
    };
    let initialized = condition!(own.status.conditions, "Initialized").is_some_and(|it| it.status == "True");
    (initialized && !sidecar(container)).then(|| Proof {
        source: "this pod was initialized before, so this init container has succeeded".to_owned(),
        uids: Vec::new(),
    })
}

fn init_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.init_container_statuses.iter().flatten()
}

fn uids_of_success(status: &ContainerStatus, target: &Target) -> Option<Vec<String>> {
    [&status.state, &status.last_state].into_iter().flatten().find_map(|state| uids_of_end(state, target))
}

fn uids_of_end(state: &ContainerState, target: &Target) -> Option<Vec<String>> {
    let end = state.terminated.as_ref().filter(|end| end.exit_code == 0)?;
    uids_in_mark(end.message.as_deref()?, target)
}
