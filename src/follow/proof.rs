//! A Job that is gone: what proves that *this very wait* has succeeded before, so that a pod that is scaled up or
//! rescheduled after the Job's TTL starts all the same.
//!
//! Proof is the mark (`mark`) of this very target in another pod of the same controller revision, or in this pod's own
//! earlier run. Nothing else is: a template says nothing of arguments like `seed-$(POD_NAME)`, and
//! `NewReplicaSetAvailable` and `currentRevision` are set at zero replicas, before any pod has run. Of Jobs that were
//! seen, only what names their uids is proof: another one of the name may have completed long ago. This half is pure;
//! `search` does the looking.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::identity::Identity;
use crate::kinds::condition;
use crate::kinds::object::Event;
use crate::kinds::pod::Pod;
use crate::target::mark::Sought;

/// That the Job has completed, for this revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// where it was found
    pub source: String,
    /// of the Job, as the mark tells; empty where it does not
    pub uids: Vec<String>,
}

/// The labels that tell the revisions of one controller apart: of Deployments, StatefulSets and DaemonSets, Argo
/// Rollouts.
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
            format!("pod {name} of the same revision waited for it")
        } else {
            format!("pod {name} saw this Job complete")
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
        return Some(Proof { source: "this pod waited for it in an earlier run".to_owned(), uids });
    }
    let sidecar = |name: &str| {
        let container = own.spec.init_containers.iter().find(|container| container.name == name);
        container.is_some_and(|container| container.restart_policy.as_deref() == Some("Always"))
    };
    let initialized = condition!(own.status.conditions, "Initialized").is_some_and(|it| it.status == "True");
    (claim.seen.is_empty() && initialized && !sidecar(container)).then(|| Proof {
        source: "this pod was already initialized, so this init container succeeded".to_owned(),
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
        .then(|| Proof { source: "its `Completed` event says so".to_owned(), uids: claim.seen.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::job;
    use crate::target::{Demand, Scope, Selection, Target};

    const MARK: &str = "k8s-wait-for/1 ready job/shop/migrate uid=7f1c\ndone after 8s";

    fn claim(seen: &[&str]) -> Claim {
        let selection = Selection { name: Some("migrate".to_owned()), ..Selection::default() };
        let target = Target {
            kind: job::ROW.kind.clone(),
            demand: Demand::Every,
            scope: Scope::Namespace("shop".to_owned()),
            selection,
        };
        let seen = seen.iter().map(|uid| (*uid).to_owned()).collect();
        Claim { mark: Sought::new(&target, [&target]), seen }
    }

    fn read(value: Value) -> Pod {
        serde_json::from_value(value).expect("a pod")
    }

    fn ended(exit_code: i32, message: &str) -> Value {
        json!({"terminated": {"exitCode": exit_code, "message": message}})
    }

    /// A pod of a Deployment's revision whose init container `wait` is in these states.
    fn pod(name: &str, state: &Value, last: &Value) -> Value {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-6d5f", "uid": "rs", "controller": true});
        json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name,
                "labels": {"app": "shop", "pod-template-hash": "6d5f"}, "ownerReferences": [owner]},
            "spec": {"initContainers": [{"name": "wait"}]},
            "status": {"initContainerStatuses": [{"name": "wait", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": state, "lastState": last}]},
        })
    }

    fn own() -> Value {
        pod("own", &json!({"running": {}}), &json!({}))
    }

    fn proves(claim: &Claim, other: Value) -> Option<String> {
        by_sibling(claim, &read(own()), [&read(other)])
            .map(|proof| format!("{}: {}", proof.source, proof.uids.join(" ")))
    }

    fn changed(mut pod: Value, pointer: &str, value: Value) -> Value {
        *pod.pointer_mut(pointer).expect(pointer) = value;
        pod
    }

    #[test]
    fn mark_of_a_sibling_is_proof() {
        let said = Some("pod other of the same revision waited for it: 7f1c".to_owned());
        assert_eq!(proves(&claim(&[]), pod("other", &ended(0, MARK), &json!({}))), said);
        assert_eq!(proves(&claim(&[]), pod("other", &json!({"waiting": {}}), &ended(0, MARK))), said);
        for state in [json!({"running": {}}), ended(1, MARK), ended(0, "done after 8s"), ended(0, "")] {
            assert_eq!(proves(&claim(&[]), pod("other", &state, &json!({}))), None, "{state}");
        }
        assert_eq!(proves(&claim(&[]), pod("own", &ended(0, MARK), &json!({}))), None, "that is no other");
    }

    #[test]
    fn sibling_is_of_the_same_controller_and_revision() {
        let other = || pod("other", &ended(0, MARK), &json!({}));
        for (pointer, value) in [
            ("/metadata/ownerReferences/0/uid", json!("another")),
            ("/metadata/ownerReferences", json!([])),
            ("/metadata/ownerReferences/0/controller", json!(false)),
            ("/metadata/labels/pod-template-hash", json!("77")),
            ("/metadata/labels", json!({})),
        ] {
            assert_eq!(proves(&claim(&[]), changed(other(), pointer, value)), None, "{pointer}");
        }
    }

    #[test]
    fn siblings_are_looked_for_by_their_revision() {
        let labels = |pod: Value, seen: &[&str]| sibling_labels(&read(pod), &claim(seen));
        assert_eq!(labels(own(), &[]).as_deref(), Some("pod-template-hash=6d5f"));
        let with = |labels: Value| changed(own(), "/metadata/labels", labels);
        let hash = with(json!({"controller-revision-hash": "db-1", "app": "db"}));
        assert_eq!(labels(hash, &[]).as_deref(), Some("controller-revision-hash=db-1"));
        let of_job = with(json!({"batch.kubernetes.io/controller-uid": "1", "app": "db"}));
        assert_eq!(labels(of_job, &[]).as_deref(), Some("batch.kubernetes.io/controller-uid=1"));
        let bare = || with(json!({"app": "db", "tier": "data"}));
        assert_eq!(labels(bare(), &[]), None, "a bare ReplicaSet does not tell its revisions apart");
        assert_eq!(labels(bare(), &["7f1c"]).as_deref(), Some("app=db,tier=data"), "but a uid is enough");
        assert_eq!(labels(with(json!({})), &["7f1c"]), None);
        assert_eq!(labels(changed(own(), "/metadata/ownerReferences", json!([])), &[]), None);
    }

    #[test]
    fn siblings_without_revisions_are_those_of_a_job_only() {
        let of = |kind: &str| {
            let make = |name: &str, state: Value| {
                let pod = changed(pod(name, &state, &json!({})), "/metadata/labels", json!({"app": "db"}));
                read(changed(pod, "/metadata/ownerReferences/0/kind", kind.into()))
            };
            by_sibling(&claim(&[]), &make("own", json!({})), [&make("other", ended(0, MARK))]).is_some()
        };
        assert!(of("Job") && !of("ReplicaSet"));
    }

    #[test]
    fn job_that_was_seen_is_proved_by_its_uid_alone() {
        let other = || pod("other", &ended(0, MARK), &json!({}));
        let said = Some("pod other saw this Job complete: 7f1c".to_owned());
        assert_eq!(proves(&claim(&["7f1c"]), other()), said);
        let another_revision = changed(other(), "/metadata/labels/pod-template-hash", json!("77"));
        assert_eq!(proves(&claim(&["7f1c"]), another_revision), said);
        assert_eq!(proves(&claim(&["1"]), other()), None);
        assert_eq!(proves(&claim(&["7f1c", "1"]), other()), None, "both have to be named");
    }

    #[test]
    fn own_earlier_run_is_proof() {
        let identity = Identity { container: Some("wait".to_owned()), ..Identity::default() };
        let proof = |pod: Value, seen: &[&str]| by_own_run(&claim(seen), &read(pod), &identity).map(|proof| proof.uids);
        let uids = Some(vec!["7f1c".to_owned()]);
        assert_eq!(proof(pod("own", &json!({"running": {}}), &ended(0, MARK)), &[]), uids);
        assert_eq!(proof(pod("own", &ended(0, MARK), &json!({})), &["7f1c"]), uids);
        assert_eq!(proof(pod("own", &ended(0, MARK), &json!({})), &["1"]), None);
        let initialized = |status: &str| {
            let mut pod = own();
            pod["status"]["conditions"] = json!([{"type": "Initialized", "status": status}]);
            pod
        };
        assert_eq!(proof(initialized("True"), &[]), Some(Vec::new()));
        assert_eq!(proof(initialized("True"), &["7f1c"]), None, "of another Job, perhaps");
        assert_eq!(proof(initialized("False"), &[]), None);
        assert_eq!(proof(own(), &[]), None);
        let sidecar =
            changed(initialized("True"), "/spec/initContainers/0", json!({"name": "wait", "restartPolicy": "Always"}));
        assert_eq!(proof(sidecar, &[]), None, "a sidecar has not ended");
        let elsewhere = changed(initialized("True"), "/status/initContainerStatuses/0/name", json!("other"));
        assert_eq!(proof(elsewhere, &[]), None, "an ordinary container");
        assert_eq!(by_own_run(&claim(&[]), &read(initialized("True")), &Identity::default()), None);
    }

    #[test]
    fn event_of_the_job_controller_is_proof_of_that_very_job() {
        let event = |uid: &str, reason: &str, source: &str| {
            let event = json!({"involvedObject": {"uid": uid}, "reason": reason, "source": {"component": source}});
            serde_json::from_value::<Event>(event).expect("an event")
        };
        let right = || event("7f1c", "Completed", "job-controller");
        let proof = |seen: &[&str], events: &[Event]| by_events(&claim(seen), events).map(|proof| proof.uids.join(" "));
        assert_eq!(proof(&["7f1c"], &[right()]).as_deref(), Some("7f1c"));
        assert_eq!(
            proof(&["7f1c", "1"], &[right(), event("1", "Completed", "job-controller")]).as_deref(),
            Some("7f1c 1")
        );
        assert_eq!(proof(&["7f1c", "1"], &[right()]), None);
        assert_eq!(proof(&[], &[right()]), None, "of a Job that nobody saw");
        for other in [
            event("1", "Completed", "job-controller"),
            event("7f1c", "Suspended", "job-controller"),
            event("7f1c", "Completed", "me"),
        ] {
            assert_eq!(proof(&["7f1c"], &[other]), None);
        }
    }
}
