//! A Job that is gone: what is proof and what is not, on a real API server with real controllers.
//!
//! The pods are those that real controllers make. No node runs them: each test writes what their kubelet would have
//! written, and the binary is told by `POD_NAME` and its kin which of them it is. `tests/gone_node.rs` has the whole
//! story on a real node.

use std::process::ExitCode;

use serde_json::{Value, json};
use testbed::{Namespace, Needs, Signal, Wait, tests};

fn main() -> ExitCode {
    testbed::run_tests(
        Needs::ControlPlane,
        tests![
            mark_in_a_sibling_of_a_deployment_is_proof,
            mark_in_a_sibling_of_a_stateful_set_is_proof,
            mark_in_a_sibling_of_a_bare_replica_set_is_no_proof,
            mark_in_a_sibling_of_a_job_is_proof,
            mark_in_a_sibling_of_another_kind_of_owner_is_proof_by_its_hash,
            mark_in_a_sibling_that_is_being_deleted_is_proof,
            mark_in_a_sibling_s_last_state_is_proof,
            sibling_that_finishes_later_is_seen,
            this_pod_s_own_earlier_run_is_proof,
            this_pod_being_initialized_is_proof_for_an_init_container_only,
            sibling_without_a_mark_is_no_proof,
            mark_of_another_job_is_no_proof,
            mark_of_another_namespace_is_no_proof,
            mark_with_another_exit_code_than_0_is_no_proof,
            sibling_that_still_runs_is_no_proof,
            sibling_of_another_revision_is_no_proof,
            sibling_of_another_owner_is_no_proof,
            pod_without_a_controller_has_no_siblings,
            job_that_appears_always_wins,
            each_target_needs_a_proof_of_its_own,
            without_the_right_to_list_pods_it_says_so_and_waits,
            unknown_pod_says_so_and_waits,
            missing_fail_ends_with_1_without_proof,
            missing_ready_takes_a_missing_job_as_done,
            missing_ready_waits_for_a_job_that_exists,
        ],
    )
}

const RULES: &str = "[{apiGroups: [batch], resources: [jobs], verbs: [get, list, watch]},
                      {apiGroups: [''], resources: [pods], verbs: [list, watch]}]";
const PROVEN: &str = "the Job is gone, but pod ";
const NONE_YET: &str = "no proof that it has completed before: no pod of this revision has finished this wait yet";

const TEMPLATE: &str = "
    metadata: {labels: {app: shop}}
    spec:
      initContainers: [{name: wait, image: 'k8s-wait-for:dev', args: [job-wr, migrate]}]
      containers: [{name: web, image: 'busybox:1.37'}]";

/// Starts the binary as the init container `wait` of this pod.
fn start(namespace: &Namespace, pod: &str, arguments: &[&str]) -> Wait {
    start_with(namespace, pod, RULES, arguments)
}

fn start_with(namespace: &Namespace, pod: &str, rules: &str, arguments: &[&str]) -> Wait {
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(rules)).into_os_string();
    let environment = [
        ("KUBECONFIG", kubeconfig),
        ("POD_NAME", pod.into()),
        ("POD_NAMESPACE", namespace.name().into()),
        ("CONTAINER_NAME", "wait".into()),
    ];
    Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), arguments, environment)
}

#[track_caller]
fn assert_proven(wait: Wait, source: &str) {
    wait.line(source);
    let finished = wait.finish();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[track_caller]
fn assert_waits(wait: Wait, remark: &str) {
    wait.line(remark);
    wait.signal(Signal::TERM);
    let finished = wait.finish();
    assert_eq!(finished.code, Some(143), "it was still waiting: {finished:#?}");
}

/// Two pods of one controller, as it made them: `kind` with the settings that it needs besides the template.
fn two_pods(namespace: &Namespace, kind: &str, settings: &str) -> [String; 2] {
    namespace.apply(&format!(
        "
apiVersion: apps/v1
kind: {kind}
metadata: {{name: shop}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: shop}}}}
  {settings}
  template:{TEMPLATE}
"
    ));
    pods(namespace, "app=shop")
}

fn pods<const N: usize>(namespace: &Namespace, selector: &str) -> [String; N] {
    namespace.eventually("the controller's pods", || {
        let pods = namespace.list("pod", selector);
        let names: Vec<String> =
            pods.iter().filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect();
        names.try_into().ok()
    })
}

fn deployment(namespace: &Namespace) -> [String; 2] {
    two_pods(namespace, "Deployment", "")
}

fn mark(namespace: &Namespace, job: &str) -> String {
    format!("k8s-wait-for/1 ready job/{}/{job} uid=7f1c\ndone after 8s", namespace.name())
}

fn terminated(exit_code: i32, message: &str) -> Value {
    json!({"terminated": {"exitCode": exit_code, "message": message, "startedAt": null, "finishedAt": null}})
}

/// What a kubelet would say of the init container `wait`.
fn write_init_status(namespace: &Namespace, pod: &str, state: &Value, last_state: &Value) {
    let status = json!({"name": "wait", "image": "k8s-wait-for:dev", "imageID": "", "ready": false, "restartCount": 0,
        "state": state, "lastState": last_state});
    namespace.write_status(&format!("pod/{pod}"), &json!({"phase": "Pending", "initContainerStatuses": [status]}));
}

fn finish_wait_of(namespace: &Namespace, pod: &str) {
    write_init_status(namespace, pod, &terminated(0, &mark(namespace, "migrate")), &json!({}));
}

fn assert_mark_in_sibling_is_proof(namespace: &Namespace, [own, sibling]: [String; 2]) {
    finish_wait_of(namespace, &sibling);
    let wait = start(namespace, &own, &["job-wr", "migrate"]);
    assert_proven(wait, &format!("job/migrate: {PROVEN}{sibling} of the same revision has waited for it before"));
}

fn mark_in_a_sibling_of_a_deployment_is_proof(namespace: &Namespace) {
    assert_mark_in_sibling_is_proof(namespace, deployment(namespace));
}

fn mark_in_a_sibling_of_a_stateful_set_is_proof(namespace: &Namespace) {
    let pods = two_pods(namespace, "StatefulSet", "podManagementPolicy: Parallel");
    assert_mark_in_sibling_is_proof(namespace, pods);
}

/// Its template may have changed under it: its pods' wait may have been another one.
fn mark_in_a_sibling_of_a_bare_replica_set_is_no_proof(namespace: &Namespace) {
    let [own, sibling] = two_pods(namespace, "ReplicaSet", "");
    finish_wait_of(namespace, &sibling);
    let wait = start(namespace, &own, &["job-wr", "migrate"]);
    assert_waits(wait, "this pod's ReplicaSet does not tell its revisions apart");
}

fn mark_in_a_sibling_of_a_job_is_proof(namespace: &Namespace) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: shop}}
spec:
  parallelism: 2
  template:{TEMPLATE}
      restartPolicy: Never
"
    ));
    assert_mark_in_sibling_is_proof(namespace, pods(namespace, "app=shop"));
}

/// Argo's Rollouts own `ReplicaSets`, others own pods; a `ConfigMap` stands for them: the owner's kind does not matter.
fn mark_in_a_sibling_of_another_kind_of_owner_is_proof_by_its_hash(namespace: &Namespace) {
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: rollout}}");
    let uid = namespace.get("configmap/rollout")["metadata"]["uid"].clone();
    for name in ["shop-1", "shop-2"] {
        namespace.apply(&format!(
            "
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{rollouts-pod-template-hash: 6d5f}}
  ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: rollout, uid: {uid}, controller: true}}]
spec:
  initContainers: [{{name: wait, image: 'k8s-wait-for:dev'}}]
  containers: [{{name: web, image: 'busybox:1.37'}}]
"
        ));
    }
    assert_mark_in_sibling_is_proof(namespace, ["shop-1".to_owned(), "shop-2".to_owned()]);
}

fn mark_in_a_sibling_that_is_being_deleted_is_proof(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish_wait_of(namespace, &sibling);
    namespace.patch(&format!("pod/{sibling}"), &json!({"metadata": {"finalizers": ["example.com/keep"]}}));
    namespace.kubectl(&["delete", "pod", &sibling, "--wait=false"]);
    assert_proven(start(namespace, &own, &["job-wr", "migrate"]), &format!("{PROVEN}{sibling}"));
    namespace.patch(&format!("pod/{sibling}"), &json!({"metadata": {"finalizers": null}}));
}

fn mark_in_a_sibling_s_last_state_is_proof(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    let waiting = json!({"waiting": {"reason": "PodInitializing"}});
    write_init_status(namespace, &sibling, &waiting, &terminated(0, &mark(namespace, "migrate")));
    assert_proven(start(namespace, &own, &["job-wr", "migrate"]), PROVEN);
}

fn sibling_that_finishes_later_is_seen(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    let wait = start(namespace, &own, &["job-wr", "migrate"]);
    wait.line(NONE_YET);
    finish_wait_of(namespace, &sibling);
    assert_proven(wait, PROVEN);
}

fn this_pod_s_own_earlier_run_is_proof(namespace: &Namespace) {
    let [own, _] = deployment(namespace);
    let running = json!({"running": {"startedAt": null}});
    write_init_status(namespace, &own, &running, &terminated(0, &mark(namespace, "migrate")));
    let wait = start(namespace, &own, &["job-wr", "migrate"]);
    assert_proven(wait, "the Job is gone, but this pod has waited for it before, in an earlier run");
}

fn this_pod_being_initialized_is_proof_for_an_init_container_only(namespace: &Namespace) {
    let [init, ordinary] = deployment(namespace);
    let initialized = json!([{"type": "Initialized", "status": "True"}]);
    let status = |name: &str| {
        json!([{"name": name, "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {"startedAt": null}}}])
    };
    let init_status = json!({"conditions": initialized, "initContainerStatuses": status("wait")});
    namespace.write_status(&format!("pod/{init}"), &init_status);
    assert_proven(start(namespace, &init, &["job-wr", "migrate"]), "but this pod was initialized before");
    let ordinary_status = json!({"conditions": initialized, "containerStatuses": status("wait")});
    namespace.write_status(&format!("pod/{ordinary}"), &ordinary_status);
    assert_waits(start(namespace, &ordinary, &["job-wr", "migrate"]), NONE_YET);
}

/// The sibling's init container as given; this pod is not let through by it.
fn assert_no_proof(namespace: &Namespace, state: &Value) {
    let [own, sibling] = deployment(namespace);
    write_init_status(namespace, &sibling, state, &json!({}));
    assert_waits(start(namespace, &own, &["job-wr", "migrate"]), NONE_YET);
}

fn sibling_without_a_mark_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &terminated(0, "done after 8s"));
}

fn mark_of_another_job_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &terminated(0, &mark(namespace, "migrate-2")));
}

fn mark_of_another_namespace_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &terminated(0, "k8s-wait-for/1 ready job/other/migrate uid=7f1c"));
}

fn mark_with_another_exit_code_than_0_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &terminated(1, &mark(namespace, "migrate")));
}

fn sibling_that_still_runs_is_no_proof(namespace: &Namespace) {
    assert_no_proof(namespace, &json!({"running": {"startedAt": null}}));
}

fn sibling_of_another_revision_is_no_proof(namespace: &Namespace) {
    for pod in deployment(namespace) {
        finish_wait_of(namespace, &pod);
    }
    let environment = json!([{"name": "web", "image": "busybox:1.37", "env": [{"name": "RELEASE", "value": "2"}]}]);
    namespace.patch("deployment/shop", &json!({"spec": {"template": {"spec": {"containers": environment}}}}));
    let new = namespace.eventually("a pod of the new revision", || {
        let pods = namespace.list("pod", "app=shop");
        let new = pods.into_iter().find(|pod| pod["spec"]["containers"][0]["env"][0]["value"] == "2")?;
        new["metadata"]["name"].as_str().map(str::to_owned)
    });
    assert_waits(start(namespace, &new, &["job-wr", "migrate"]), NONE_YET);
}

fn sibling_of_another_owner_is_no_proof(namespace: &Namespace) {
    let [own, _] = deployment(namespace);
    let hash = namespace.get(&format!("pod/{own}"))["metadata"]["labels"]["pod-template-hash"].clone();
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: stranger, labels: {{pod-template-hash: {hash}}}}}
spec:
  initContainers: [{{name: wait, image: 'k8s-wait-for:dev'}}]
  containers: [{{name: web, image: 'busybox:1.37'}}]
"
    ));
    finish_wait_of(namespace, "stranger");
    assert_waits(start(namespace, &own, &["job-wr", "migrate"]), NONE_YET);
}

fn pod_without_a_controller_has_no_siblings(namespace: &Namespace) {
    namespace.apply(
        "{apiVersion: v1, kind: Pod, metadata: {name: bare}, spec: {containers: [{name: wait, image: 'busybox:1.37'}]}}",
    );
    let wait = start(namespace, "bare", &["job-wr", "migrate"]);
    assert_waits(wait, "no proof that it has completed before: this pod has no controller, hence no siblings");
}

fn create_job(namespace: &Namespace) {
    namespace.apply(
        "
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    metadata: {labels: {app: migration}}
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: 'busybox:1.37'}]
",
    );
}

/// Run again under the same name while the pods that waited for the first one live: the one that exists counts.
fn job_that_appears_always_wins(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish_wait_of(namespace, &sibling);
    create_job(namespace);
    let wait = start(namespace, &own, &["job-wr", "migrate"]);
    wait.line("job/migrate: waiting: ");
    let [pod] = pods(namespace, "app=migration");
    namespace.write_status(&format!("pod/{pod}"), &json!({"phase": "Succeeded"}));
    let finished = wait.finish();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(!finished.stdout.contains(PROVEN), "{finished:#?}");
}

fn each_target_needs_a_proof_of_its_own(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish_wait_of(namespace, &sibling);
    let wait = start(namespace, &own, &["job", "migrate", "seed"]);
    wait.line(&format!("job/migrate: {PROVEN}"));
    assert_waits(wait, &format!("job/seed: {NONE_YET}"));
}

fn without_the_right_to_list_pods_it_says_so_and_waits(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish_wait_of(namespace, &sibling);
    let rules = "[{apiGroups: [batch], resources: [jobs], verbs: [get, list, watch]}]";
    let wait = start_with(namespace, &own, rules, &["job-wr", "migrate"]);
    assert_waits(wait, "the pods of this revision cannot be looked at without `list` on pods");
}

fn unknown_pod_says_so_and_waits(namespace: &Namespace) {
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(RULES)).into_os_string();
    let environment = [("KUBECONFIG", kubeconfig), ("KUBERNETES_SERVICE_HOST", "10.96.0.1".into())];
    let wait = Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), ["job-wr", "migrate"], environment);
    assert_waits(wait, "its token does not say which pod this is (POD_NAME and POD_NAMESPACE would)");
}

fn missing_fail_ends_with_1_without_proof(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    let finished = start(namespace, &own, &["job", "migrate", "--missing", "fail"]).finish();
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("job migrate does not exist (--missing fail)"), "{finished:#?}");
    finish_wait_of(namespace, &sibling);
    assert_proven(start(namespace, &own, &["job", "migrate", "--missing", "fail"]), PROVEN);
}

fn missing_ready_takes_a_missing_job_as_done(namespace: &Namespace) {
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(RULES));
    let arguments = ["job", "migrate", "--missing=ready"];
    let wait = Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), arguments, [("KUBECONFIG", kubeconfig)]);
    assert_proven(wait, "job migrate does not exist, taken as done (--missing ready)");
}

fn missing_ready_waits_for_a_job_that_exists(namespace: &Namespace) {
    create_job(namespace);
    let [own, _] = deployment(namespace);
    let wait = start(namespace, &own, &["job", "migrate", "--missing=ready"]);
    wait.line("job/migrate: waiting: the Job");
    let finished = {
        wait.signal(Signal::TERM);
        wait.finish()
    };
    assert_eq!(finished.code, Some(143), "{finished:#?}");
}
