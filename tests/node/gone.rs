//! A Job that is gone, the whole story on a real node: the Job is removed by its TTL, and every pod that is made or
//! restarted afterwards starts all the same and names its proof; where there is none, it waits.

use serde_json::{Value, json};
use testbed::{
    Namespace,
    objects::{await_gone, create_script, create_workload, name, uid, waiter},
};

/// What may wait for Jobs and look at its siblings: the rules that `rbac` prints for `job -n NAMESPACE`.
const RULES: &str = "[{apiGroups: [batch], resources: [jobs], verbs: [list, watch]},
                      {apiGroups: [''], resources: [pods], verbs: [list, watch]}]";

const PROVEN: &str = "of the same revision waited for it";
const NONE_YET: &str = "no pod of this revision has finished this wait yet";

/// The spec of a pod whose init container waits for this Job and knows which pod it is in.
fn pod_spec(namespace: &Namespace, job: &str) -> String {
    let name = "{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}";
    waiter(namespace, &format!("args: [job-wr, {job}], env: [{name}]"))
}

fn create(namespace: &Namespace, kind: &str, job: &str, settings: &str) {
    namespace.kubeconfig_for("shop", Some(RULES));
    create_workload(namespace, kind, "shop", settings, &pod_spec(namespace, job));
}

/// A Job that completes and is removed by its TTL.
fn run_job_until_it_is_gone(namespace: &Namespace, name: &str) {
    create_script(namespace, name, "ttlSecondsAfterFinished: 5", "true");
    await_gone(namespace, &format!("job/{name}"));
}

fn pods(namespace: &Namespace) -> Vec<Value> {
    let pods = namespace.list("pod", "app=shop");
    pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect()
}

/// So many running pods, none of them on its way out.
fn await_running(namespace: &Namespace, number: usize) -> Vec<Value> {
    namespace.eventually(&format!("{number} running pods"), || {
        let pods = pods(namespace);
        let running = pods.iter().filter(|pod| pod["status"]["phase"] == "Running").count();
        (running == number && pods.len() == number).then_some(pods)
    })
}

/// The first pod that is not among those.
fn await_new_pod(namespace: &Namespace, old: &[Value]) -> Value {
    let uids: Vec<&Value> = old.iter().map(|pod| &pod["metadata"]["uid"]).collect();
    namespace
        .eventually("a new pod", || pods(namespace).into_iter().find(|pod| !uids.contains(&&pod["metadata"]["uid"])))
}

#[track_caller]
fn assert_says(namespace: &Namespace, pod: &str, text: &str) {
    namespace
        .eventually(&format!("{pod} says: {text}"), || namespace.log_so_far(pod, "wait").contains(text).then_some(()));
}

fn assert_proven(namespace: &Namespace, old: &[Value]) {
    let uids: Vec<&Value> = old.iter().map(|pod| &pod["metadata"]["uid"]).collect();
    for pod in pods(namespace).iter().filter(|pod| !uids.contains(&&pod["metadata"]["uid"])) {
        assert_says(namespace, name(pod), PROVEN);
    }
}

pub fn deployment_outlives_the_job_s_ttl(namespace: &Namespace) {
    create(namespace, "Deployment", "migrate", "replicas: 2");
    namespace.eventually("the pods", || (pods(namespace).len() == 2).then_some(()));
    run_job_until_it_is_gone(namespace, "migrate");
    let first = await_running(namespace, 2);

    namespace.kubectl(&["scale", "deployment/shop", "--replicas=4"]);
    let mut known = await_running(namespace, 4);
    assert_proven(namespace, &first);

    for pod in known.clone() {
        namespace.delete(&format!("pod/{}", name(&pod)));
        await_new_pod(namespace, &known);
        let now = await_running(namespace, 4);
        assert_proven(namespace, &known);
        known.extend(now);
    }

    drain(namespace, &pods(namespace)[..2]);
    let drained = await_running(namespace, 4);
    assert_proven(namespace, &known);

    let survivor = &drained[0];
    kill_sandbox(survivor);
    assert_says(namespace, name(survivor), "gone, but it completed: this pod");
    await_running(namespace, 4);
}

/// As `kubectl drain` does, but of these pods only, and without a word to the node: it has other tests' pods, too.
fn drain(namespace: &Namespace, evicted: &[Value]) {
    for pod in evicted {
        namespace.evict(name(pod));
    }
    await_new_pod(namespace, evicted);
}

/// The kubelet makes a new sandbox and runs the init containers again.
fn kill_sandbox(pod: &Value) {
    testbed::kill_sandbox(uid(pod));
}

/// One Job for each pod: the mark of one is no proof for another.
pub fn stateful_set_s_pod_whose_job_never_was_waits_alone(namespace: &Namespace) {
    for ordinal in [0, 1] {
        run_job_until_seen(namespace, &format!("seed-shop-{ordinal}"));
    }
    create(namespace, "StatefulSet", "'seed-$(POD_NAME)'", "replicas: 3, podManagementPolicy: Parallel");
    let phase = |pod: &str| namespace.find(&format!("pod/{pod}")).map(|pod| pod["status"]["phase"].clone());
    let running = |pod: &str| phase(pod).is_some_and(|phase| phase == "Running");
    for pod in ["shop-0", "shop-1"] {
        namespace.eventually(pod, || running(pod).then_some(()));
    }
    assert_says(namespace, "shop-2", NONE_YET);
    for ordinal in [0, 1] {
        namespace.delete(&format!("job/seed-shop-{ordinal}"));
    }
    kill_sandbox(&namespace.get("pod/shop-0"));
    assert_says(namespace, "shop-0", "gone, but it completed: this pod");
    namespace.eventually("shop-0 runs again", || running("shop-0").then_some(()));
    assert_eq!(phase("shop-2"), Some(json!("Pending")));
}

fn run_job_until_seen(namespace: &Namespace, name: &str) {
    create_script(namespace, name, "", "true");
    namespace.eventually("the Job completes", || {
        namespace.get(&format!("job/{name}"))["status"]["completionTime"].as_str().map(str::to_owned)
    });
}

/// On one node a DaemonSet has one pod.
pub fn daemon_set_s_pod_proves_it_by_its_own_earlier_run(namespace: &Namespace) {
    create(namespace, "DaemonSet", "migrate", "");
    run_job_until_it_is_gone(namespace, "migrate");
    let old = await_running(namespace, 1);
    kill_sandbox(&old[0]);
    assert_says(namespace, name(&old[0]), "gone, but it completed: this pod");
    await_running(namespace, 1);
}

pub fn deployment_made_at_zero_replicas_has_no_proof(namespace: &Namespace) {
    create(namespace, "Deployment", "migrate", "replicas: 0");
    namespace.eventually("the Deployment calls itself available", || {
        let conditions = namespace.get("deployment/shop")["status"]["conditions"].as_array()?.clone();
        conditions.into_iter().find(|condition| condition["reason"] == "NewReplicaSetAvailable")
    });
    namespace.kubectl(&["scale", "deployment/shop", "--replicas=1"]);
    let pod = await_new_pod(namespace, &[]);
    assert_says(namespace, name(&pod), NONE_YET);
    run_job_until_it_is_gone(namespace, "migrate");
    await_running(namespace, 1);
}

pub fn new_revision_waits_for_its_own_job(namespace: &Namespace) {
    create(namespace, "Deployment", "migrate-1", "replicas: 1");
    run_job_until_it_is_gone(namespace, "migrate-1");
    let old = await_running(namespace, 1);
    create(namespace, "Deployment", "migrate-2", "replicas: 1");
    let new = await_new_pod(namespace, &old);
    assert_says(namespace, name(&new), NONE_YET);
    assert_eq!(namespace.get(&format!("pod/{}", name(&new)))["status"]["phase"], "Pending");
    run_job_until_it_is_gone(namespace, "migrate-2");
    namespace.eventually("the new revision runs", || {
        (namespace.get(&format!("pod/{}", name(&new)))["status"]["phase"] == "Running").then_some(())
    });
}

pub fn cron_job_s_pods_prove_it_to_each_other(namespace: &Namespace) {
    namespace.kubeconfig_for("shop", Some(RULES));
    let pod = pod_spec(namespace, "migrate");
    let template = format!("{{metadata: {{labels: {{app: shop}}}}, spec: {{restartPolicy: Never, {pod}}}}}");
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly}}
spec:
  schedule: 0 0 1 1 *
  suspend: true
  jobTemplate: {{spec: {{parallelism: 1, completions: 2, template: {template}}}}}
"
    ));
    namespace.kubectl(&["create", "job", "tonight", "--from=cronjob/nightly"]);
    namespace.eventually("its pod", || pods(namespace).pop());
    run_job_until_it_is_gone(namespace, "migrate");
    let first = await_running(namespace, 1);
    namespace.patch("job/tonight", &json!({"spec": {"parallelism": 2}}));
    let second = await_new_pod(namespace, &first);
    assert_says(namespace, name(&second), PROVEN);
    await_running(namespace, 2);
}
