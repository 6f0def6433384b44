//! A Job that is gone: what is proof that it completed, and what is not.
//!
//! The pods are those that real controllers make. No node runs them: each test writes what their kubelet would have
//! written, and the binary is told by `POD_NAME` and its kin which of them it is. `node` has the whole story on a real
//! node.

use serde_json::{Value, json};
use testbed::{
    Namespace, Wait,
    enter::API_ADDRESS,
    objects::{
        WAITER, container, create_job, create_job_with, create_pod, create_pod_with, deployment, end_job, finish_wait,
        mark, pods, terminated, two_pods, write_wait,
    },
    scene::{JOBS, start_as, start_with, still_waits, succeeds},
};

const RULES: &str = "[{apiGroups: [batch], resources: [jobs], verbs: [get, list, watch]},
                      {apiGroups: [''], resources: [pods], verbs: [list, watch]}]";
const PROVEN: &str = "gone, but it completed: pod ";
const NONE_YET: &str = "cannot tell whether it completed earlier: no pod of this revision has finished this wait yet";

/// As the init container of this pod.
fn start(namespace: &Namespace, pod: &str) -> Wait {
    start_as(namespace, pod, RULES, "job-wr migrate")
}

/// The pod's wait for the Job `migrate` has succeeded.
fn finish(namespace: &Namespace, pod: &str) {
    finish_wait(namespace, pod, &mark(namespace, "migrate", "7f1c"));
}

#[track_caller]
fn assert_proven(wait: Wait, source: &str) {
    wait.line(source);
    succeeds(wait);
}

#[track_caller]
fn assert_waits(wait: Wait, remark: &str) {
    wait.line(remark);
    still_waits(wait);
}

fn assert_mark_in_sibling_is_proof(namespace: &Namespace, [own, sibling]: [String; 2]) {
    finish(namespace, &sibling);
    let wait = start(namespace, &own);
    assert_proven(wait, &format!("job/migrate: {PROVEN}{sibling} of the same revision waited for it"));
}

pub fn mark_in_a_sibling_of_a_deployment_is_proof(namespace: &Namespace) {
    assert_mark_in_sibling_is_proof(namespace, deployment(namespace));
}

pub fn mark_in_a_sibling_of_a_stateful_set_is_proof(namespace: &Namespace) {
    let pods = two_pods(namespace, "StatefulSet", ", podManagementPolicy: Parallel");
    assert_mark_in_sibling_is_proof(namespace, pods);
}

/// Its template may have changed under it: its pods' wait may have been another one.
pub fn mark_in_a_sibling_of_a_bare_replica_set_is_no_proof(namespace: &Namespace) {
    let [own, sibling] = two_pods(namespace, "ReplicaSet", "");
    finish(namespace, &sibling);
    let wait = start(namespace, &own);
    assert_waits(wait, "this pod's ReplicaSet does not label its revisions");
}

pub fn mark_in_a_sibling_of_a_job_is_proof(namespace: &Namespace) {
    create_job_with(namespace, "shop", "", "parallelism: 2", WAITER);
    assert_mark_in_sibling_is_proof(namespace, pods(namespace, "job-name=shop"));
}

/// Argo's Rollouts own `ReplicaSets`, others own pods; a `ConfigMap` stands for them: the owner's kind does not matter.
pub fn mark_in_a_sibling_of_another_kind_of_owner_is_proof_by_its_hash(namespace: &Namespace) {
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: rollout}}");
    let uid = namespace.get("configmap/rollout")["metadata"]["uid"].clone();
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "rollout", "uid": uid, "controller": true});
    for name in ["shop-1", "shop-2"] {
        create_pod_with(namespace, name, "rollouts-pod-template-hash: 6d5f", WAITER);
        namespace.patch(&format!("pod/{name}"), &json!({"metadata": {"ownerReferences": [owner]}}));
    }
    assert_mark_in_sibling_is_proof(namespace, ["shop-1".to_owned(), "shop-2".to_owned()]);
}

pub fn mark_in_a_sibling_that_is_being_deleted_is_proof(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish(namespace, &sibling);
    namespace.patch(&format!("pod/{sibling}"), &json!({"metadata": {"finalizers": ["example.com/keep"]}}));
    namespace.kubectl(&["delete", "pod", &sibling, "--wait=false"]);
    assert_proven(start(namespace, &own), &format!("{PROVEN}{sibling}"));
    namespace.patch(&format!("pod/{sibling}"), &json!({"metadata": {"finalizers": null}}));
}

pub fn mark_in_a_sibling_s_last_state_is_proof(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    let waiting = json!({"waiting": {"reason": "PodInitializing"}});
    write_wait(namespace, &sibling, &waiting, &terminated(0, &mark(namespace, "migrate", "7f1c")));
    assert_proven(start(namespace, &own), PROVEN);
}

pub fn sibling_that_finishes_later_is_seen(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    let wait = start(namespace, &own);
    wait.line(NONE_YET);
    finish(namespace, &sibling);
    assert_proven(wait, PROVEN);
}

pub fn this_pod_s_own_earlier_run_is_proof(namespace: &Namespace) {
    let [own, _] = deployment(namespace);
    let running = json!({"running": {"startedAt": null}});
    write_wait(namespace, &own, &running, &terminated(0, &mark(namespace, "migrate", "7f1c")));
    let wait = start(namespace, &own);
    assert_proven(wait, "gone, but it completed: this pod waited for it in an earlier run");
}

pub fn this_pod_being_initialized_is_proof_for_an_init_container_only(namespace: &Namespace) {
    let [init, ordinary] = deployment(namespace);
    let initialized = json!([{"type": "Initialized", "status": "True"}]);
    let status = |name: &str| [container(name, &json!({"running": {"startedAt": null}}))];
    let init_status = json!({"conditions": initialized, "initContainerStatuses": status("wait")});
    namespace.write_status(&format!("pod/{init}"), &init_status);
    assert_proven(start(namespace, &init), "this pod was already initialized");
    let ordinary_status = json!({"conditions": initialized, "containerStatuses": status("wait")});
    namespace.write_status(&format!("pod/{ordinary}"), &ordinary_status);
    assert_waits(start(namespace, &ordinary), NONE_YET);
}

/// The sibling's init container as given; this pod is not let through by it.
fn assert_no_proof(namespace: &Namespace, state: &Value) {
    let [own, sibling] = deployment(namespace);
    write_wait(namespace, &sibling, state, &json!({}));
    assert_waits(start(namespace, &own), NONE_YET);
}

pub fn sibling_without_a_mark_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &terminated(0, "done after 8s"));
}

pub fn mark_of_another_job_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &terminated(0, &mark(namespace, "migrate-2", "7f1c")));
}

pub fn mark_of_another_namespace_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &terminated(0, "k8s-wait-for/1 ready job/other/migrate uid=7f1c"));
}

pub fn mark_with_another_exit_code_than_0_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &terminated(1, &mark(namespace, "migrate", "7f1c")));
}

pub fn sibling_that_still_runs_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &json!({"running": {"startedAt": null}}));
}

pub fn sibling_of_another_revision_is_no_proof(namespace: &Namespace) {
    for pod in deployment(namespace) {
        finish(namespace, &pod);
    }
    let environment = json!([{"name": "web", "image": "busybox:1.37", "env": [{"name": "RELEASE", "value": "2"}]}]);
    namespace.patch("deployment/shop", &json!({"spec": {"template": {"spec": {"containers": environment}}}}));
    let new = namespace.eventually("a pod of the new revision", || {
        let pods = namespace.list("pod", "app=shop");
        let new = pods.into_iter().find(|pod| pod["spec"]["containers"][0]["env"][0]["value"] == "2")?;
        new["metadata"]["name"].as_str().map(str::to_owned)
    });
    assert_waits(start(namespace, &new), NONE_YET);
}

pub fn sibling_of_another_owner_is_no_proof(namespace: &Namespace) {
    let [own, _] = deployment(namespace);
    let hash = namespace.get(&format!("pod/{own}"))["metadata"]["labels"]["pod-template-hash"].clone();
    create_pod_with(namespace, "stranger", &format!("pod-template-hash: {hash}"), WAITER);
    finish(namespace, "stranger");
    assert_waits(start(namespace, &own), NONE_YET);
}

pub fn pod_without_a_controller_has_no_siblings(namespace: &Namespace) {
    create_pod(namespace, "bare", "");
    let wait = start(namespace, "bare");
    assert_waits(
        wait,
        "cannot tell whether it completed earlier: this pod has no controller, so no other pod shares its revision",
    );
}

/// Run again under the same name while the pods that waited for the first one live: the one that exists counts.
pub fn job_that_appears_always_wins(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish(namespace, &sibling);
    create_job(namespace, "migrate", "");
    let wait = start(namespace, &own);
    wait.line("job/migrate: waiting: ");
    end_job(namespace, "migrate", "Succeeded");
    let finished = succeeds(wait);
    assert!(!finished.stdout.contains(PROVEN), "{finished:#?}");
}

pub fn each_target_needs_a_proof_of_its_own(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish(namespace, &sibling);
    let wait = start_as(namespace, &own, RULES, "job migrate seed");
    wait.line(&format!("job/migrate: {PROVEN}"));
    assert_waits(wait, &format!("job/seed: {NONE_YET}"));
}

pub fn without_the_right_to_list_pods_it_says_so_and_waits(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish(namespace, &sibling);
    let wait = start_as(namespace, &own, JOBS, "job-wr migrate");
    assert_waits(wait, "the pods of this revision cannot be read without `list` on pods");
}

pub fn unknown_pod_says_so_and_waits(namespace: &Namespace) {
    let wait = start_with(namespace, RULES, "job-wr migrate", &[("KUBERNETES_SERVICE_HOST", API_ADDRESS)]);
    assert_waits(wait, "this pod's token does not name it; set POD_NAME and POD_NAMESPACE");
}

pub fn missing_fail_ends_with_1_without_proof(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    let finished = start_as(namespace, &own, RULES, "job migrate --missing fail").finish();
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("does not exist (--missing fail)"), "{finished:#?}");
    finish(namespace, &sibling);
    assert_proven(start_as(namespace, &own, RULES, "job migrate --missing fail"), PROVEN);
}

pub fn missing_ready_takes_a_missing_job_as_done(namespace: &Namespace) {
    let wait = start_with(namespace, RULES, "job migrate --missing=ready", &[]);
    assert_proven(wait, "does not exist: assumed complete (--missing ready)");
}

pub fn missing_ready_waits_for_a_job_that_exists(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    let [own, _] = deployment(namespace);
    let wait = start_as(namespace, &own, RULES, "job migrate --missing=ready");
    wait.line("job/migrate: waiting: running");
    still_waits(wait);
}
