//! A Job that is gone, the whole story on a real node: the Job is removed by its TTL, and every pod that is made or
//! restarted afterwards starts all the same and names its proof; where there is none, it waits.

use std::process::ExitCode;

use serde_json::{Value, json};
use testbed::{Namespace, Needs, Test, tests};

fn main() -> ExitCode {
    let own = tests![
        deployment_outlives_the_job_s_ttl,
        stateful_set_s_pod_whose_job_never_was_waits_alone,
        daemon_set_s_pod_proves_it_by_its_own_earlier_run,
    ]
    .map(Test::of_own_cluster);
    let anywhere = tests![
        deployment_made_at_zero_replicas_has_no_proof,
        new_revision_waits_for_its_own_job,
        cron_job_s_pods_prove_it_to_each_other,
    ];
    testbed::run_tests(Needs::Node, own.into_iter().chain(anywhere))
}

/// What may wait for Jobs and look at its siblings: the rules that `rbac` prints for `job -n NAMESPACE`.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: shop}
rules:
- {apiGroups: [batch], resources: [jobs], verbs: [list, watch]}
- {apiGroups: [''], resources: [pods], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: shop}
subjects: [{kind: ServiceAccount, name: shop}]
";

const PROVEN: &str = "of the same revision has waited for it before";
const NONE_YET: &str = "no pod of this revision has finished this wait yet";

/// A pod's spec whose init container `wait` waits for this Job.
fn pod_spec(namespace: &Namespace, job: &str) -> Value {
    let image = namespace.cluster().image();
    json!({
        "serviceAccountName": "shop",
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "initContainers": [{
            "name": "wait", "image": image, "imagePullPolicy": "IfNotPresent", "args": ["job-wr", job],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"memory": "16Mi"}},
            "securityContext": {"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false},
        }],
        "containers": [{"name": "web", "image": "busybox:1.37", "command": ["sleep", "3600"]}],
    })
}

fn create(namespace: &Namespace, kind: &str, job: &str, settings: &Value) {
    let labels = json!({"app": namespace.name()});
    let mut spec = json!({
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod_spec(namespace, job)},
    });
    let all = spec.as_object_mut().expect("a spec is an object");
    all.extend(settings.as_object().expect("settings are an object").clone());
    namespace.apply_object(&json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "shop"}, "spec": spec}));
}

/// A Job that completes and is removed by its TTL.
fn run_job_until_it_is_gone(namespace: &Namespace, name: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  ttlSecondsAfterFinished: 5
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{{name: migrate, image: 'busybox:1.37', command: ['true']}}]
"
    ));
    let path = format!("job/{name}");
    namespace.eventually("the TTL controller removes the Job", || namespace.find(&path).is_none().then_some(()));
}

fn pods(namespace: &Namespace) -> Vec<Value> {
    let pods = namespace.list("pod", &format!("app={}", namespace.name()));
    pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect()
}

fn name(pod: &Value) -> String {
    pod["metadata"]["name"].as_str().expect("a pod has a name").to_owned()
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
        assert_says(namespace, &name(pod), PROVEN);
    }
}

fn deployment_outlives_the_job_s_ttl(namespace: &Namespace) {
    namespace.apply(RIGHTS);
    create(namespace, "Deployment", "migrate", &json!({"replicas": 2}));
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

    drain_and_uncordon(namespace, &pods(namespace)[..2]);
    let drained = await_running(namespace, 4);
    assert_proven(namespace, &known);

    let survivor = &drained[0];
    kill_sandbox(survivor);
    assert_says(namespace, &name(survivor), "the Job is gone, but this pod");
    await_running(namespace, 4);
}

/// Evicts these pods only, as if the others were on another node; there are other tests' pods on this one, too.
fn drain_and_uncordon(namespace: &Namespace, evicted: &[Value]) {
    let label = format!("drain={}", namespace.name());
    for pod in evicted {
        namespace.kubectl(&["label", "pod", &name(pod), &label]);
    }
    namespace.kubectl(&["drain", "node", &format!("--pod-selector={label}"), "--force", "--ignore-daemonsets"]);
    namespace.kubectl(&["uncordon", "node"]);
    await_new_pod(namespace, evicted);
}

/// The kubelet makes a new sandbox and runs the init containers again.
fn kill_sandbox(pod: &Value) {
    testbed::kill_sandbox(pod["metadata"]["uid"].as_str().expect("a pod has a uid"));
}

/// One Job for each pod: the mark of one is no proof for another.
fn stateful_set_s_pod_whose_job_never_was_waits_alone(namespace: &Namespace) {
    namespace.apply(RIGHTS);
    for ordinal in [0, 1] {
        run_job_until_seen(namespace, &format!("seed-shop-{ordinal}"));
    }
    create(namespace, "StatefulSet", "seed-$(POD_NAME)", &json!({"replicas": 3, "podManagementPolicy": "Parallel"}));
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
    assert_says(namespace, "shop-0", "the Job is gone, but this pod");
    namespace.eventually("shop-0 runs again", || running("shop-0").then_some(()));
    assert_eq!(phase("shop-2"), Some(json!("Pending")));
}

fn run_job_until_seen(namespace: &Namespace, name: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{{name: seed, image: 'busybox:1.37', command: ['true']}}]
"
    ));
    namespace.eventually("the Job completes", || {
        namespace.get(&format!("job/{name}"))["status"]["completionTime"].as_str().map(str::to_owned)
    });
}

/// On one node a DaemonSet has one pod.
fn daemon_set_s_pod_proves_it_by_its_own_earlier_run(namespace: &Namespace) {
    namespace.apply(RIGHTS);
    create(namespace, "DaemonSet", "migrate", &json!({}));
    run_job_until_it_is_gone(namespace, "migrate");
    let old = await_running(namespace, 1);
    kill_sandbox(&old[0]);
    assert_says(namespace, &name(&old[0]), "the Job is gone, but this pod");
    await_running(namespace, 1);
}

fn deployment_made_at_zero_replicas_has_no_proof(namespace: &Namespace) {
    namespace.apply(RIGHTS);
    create(namespace, "Deployment", "migrate", &json!({"replicas": 0}));
    namespace.eventually("the Deployment calls itself available", || {
        let conditions = namespace.get("deployment/shop")["status"]["conditions"].as_array()?.clone();
        conditions.into_iter().find(|condition| condition["reason"] == "NewReplicaSetAvailable")
    });
    namespace.kubectl(&["scale", "deployment/shop", "--replicas=1"]);
    let pod = await_new_pod(namespace, &[]);
    assert_says(namespace, &name(&pod), NONE_YET);
    run_job_until_it_is_gone(namespace, "migrate");
    await_running(namespace, 1);
}

fn new_revision_waits_for_its_own_job(namespace: &Namespace) {
    namespace.apply(RIGHTS);
    create(namespace, "Deployment", "migrate-1", &json!({"replicas": 1}));
    run_job_until_it_is_gone(namespace, "migrate-1");
    let old = await_running(namespace, 1);
    create(namespace, "Deployment", "migrate-2", &json!({"replicas": 1}));
    let new = await_new_pod(namespace, &old);
    assert_says(namespace, &name(&new), NONE_YET);
    assert_eq!(namespace.get(&format!("pod/{}", name(&new)))["status"]["phase"], "Pending");
    run_job_until_it_is_gone(namespace, "migrate-2");
    namespace.eventually("the new revision runs", || {
        (namespace.get(&format!("pod/{}", name(&new)))["status"]["phase"] == "Running").then_some(())
    });
}

fn cron_job_s_pods_prove_it_to_each_other(namespace: &Namespace) {
    namespace.apply(RIGHTS);
    let mut pod = pod_spec(namespace, "migrate");
    pod["restartPolicy"] = json!("Never");
    pod["containers"][0]["command"] = json!(["sleep", "3600"]);
    let template = json!({"metadata": {"labels": {"app": namespace.name()}}, "spec": pod});
    let job = json!({"spec": {"parallelism": 1, "completions": 2, "template": template}});
    namespace.apply_object(&json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": job}}));
    namespace.kubectl(&["create", "job", "tonight", "--from=cronjob/nightly"]);
    namespace.eventually("its pod", || pods(namespace).pop());
    run_job_until_it_is_gone(namespace, "migrate");
    let first = await_running(namespace, 1);
    namespace.patch("job/tonight", &json!({"spec": {"parallelism": 2}}));
    let second = await_new_pod(namespace, &first);
    assert_says(namespace, &name(&second), PROVEN);
    await_running(namespace, 2);
}
