//! What keeps pods, from absent to rolled out, and to failed: real controllers, and a test that plays the kubelet.

use serde_json::json;
use testbed::{
    Namespace, Wait,
    objects::{
        ON_NO_NODE, create_job, create_node, create_workload, end_job, make_ready, name, on_node_of, pods, set_ready,
        uid,
    },
    scene::{ALL, ends, looks, start, start_with, still_waits, succeeds},
};

/// The one pod of these labels that is none of those.
fn other_pod(namespace: &Namespace, selector: &str, known: &[&str]) -> String {
    namespace.eventually("another pod", || {
        let pods = namespace.list("pod", selector);
        pods.iter().map(name).find(|name| !known.contains(name)).map(str::to_owned)
    })
}

/// Another template, as a new release has it.
fn change_template(namespace: &Namespace, path: &str, image: &str) {
    let container = json!({"name": "main", "image": image});
    namespace.patch(path, &json!({"spec": {"template": {"spec": {"containers": [container]}}}}));
}

pub fn deployment_is_rolled_out_with_its_last_pod(namespace: &Namespace) {
    let wait = start(namespace, ALL, "deployment web");
    wait.line("deployment/web: waiting: does not exist");
    create_workload(namespace, "Deployment", "web", "replicas: 2", ON_NO_NODE);
    wait.line("waiting: 0 of 2 pods available");
    let [one, two] = pods(namespace, "app=web");
    make_ready(namespace, &one);
    wait.line("waiting: 1 of 2 pods available");
    make_ready(namespace, &two);
    let finished = succeeds(wait);
    assert!(finished.stdout.contains("deployment/web: ready"), "{finished:#?}");
}

pub fn deployment_with_an_old_pod_is_still_rolling_out(namespace: &Namespace) {
    create_workload(namespace, "Deployment", "web", "replicas: 1", ON_NO_NODE);
    let [old] = pods(namespace, "app=web");
    make_ready(namespace, &old);
    succeeds(start(namespace, ALL, "deploy web"));
    change_template(namespace, "deployment/web", "busybox:1.38");
    let wait = start(namespace, ALL, "deploy/web");
    wait.line("1 pod still on an old template");
    make_ready(namespace, &other_pod(namespace, "app=web", &[&old]));
    succeeds(wait);
    assert_eq!(namespace.find(&format!("pod/{old}")), None, "the old pod is gone");
}

pub fn deployment_past_its_progress_deadline_has_failed(namespace: &Namespace) {
    let wait = start(namespace, ALL, "deployment web");
    wait.line("does not exist");
    create_workload(namespace, "Deployment", "web", "progressDeadlineSeconds: 1", ON_NO_NODE);
    let finished = ends(wait, 1, "ProgressDeadlineExceeded: ReplicaSet \"web-");
    assert!(finished.last_line().ends_with("has timed out progressing"), "{finished:#?}");
}

/// Rolls a release out that never comes up, and waits until its controller has given it up.
fn exceed_the_deadline(namespace: &Namespace) {
    create_workload(namespace, "Deployment", "web", "progressDeadlineSeconds: 2", ON_NO_NODE);
    let [old] = pods(namespace, "app=web");
    make_ready(namespace, &old);
    succeeds(start(namespace, ALL, "deployment web"));
    change_template(namespace, "deployment/web", "busybox:none");
    ends(start(namespace, ALL, "deployment web"), 1, "ProgressDeadlineExceeded");
}

/// The controller says so of the release before until it has removed that one's pods.
pub fn deployment_that_is_rolled_back_has_not_failed(namespace: &Namespace) {
    exceed_the_deadline(namespace);
    let wait = start(namespace, ALL, "deployment web --failed wait");
    wait.line("deployment/web: failed: ");
    namespace.kubectl(&["rollout", "undo", "deployment/web"]);
    let finished = succeeds(wait);
    assert_eq!(finished.stdout.matches("deployment/web: failed: ").count(), 1, "{finished:#?}");
}

/// Nothing of the present release is there yet, as with a failure, too.
pub fn deployment_that_is_recreated_and_rolled_back_has_not_failed(namespace: &Namespace) {
    let spec = "progressDeadlineSeconds: 2, strategy: {type: Recreate}";
    create_workload(namespace, "Deployment", "web", spec, ON_NO_NODE);
    let [old] = pods(namespace, "app=web");
    make_ready(namespace, &old);
    succeeds(start(namespace, ALL, "deployment web"));
    change_template(namespace, "deployment/web", "busybox:none");
    ends(start(namespace, ALL, "deployment web"), 1, "ProgressDeadlineExceeded");
    let known = namespace.list("pod", "app=web");
    let known: Vec<&str> = known.iter().map(name).collect();
    let wait = start(namespace, ALL, "deployment web --failed wait");
    wait.line("deployment/web: failed: ");
    namespace.kubectl(&["rollout", "undo", "deployment/web"]);
    make_ready(namespace, &other_pod(namespace, "app=web", &known));
    let finished = succeeds(wait);
    assert_eq!(finished.stdout.matches("deployment/web: failed: ").count(), 1, "{finished:#?}");
}

pub fn deployment_with_a_new_template_has_not_failed_by_its_old_one(namespace: &Namespace) {
    exceed_the_deadline(namespace);
    let known = namespace.list("pod", "app=web");
    let known: Vec<&str> = known.iter().map(name).collect();
    let wait = start(namespace, ALL, "deployment web --failed wait");
    wait.line("deployment/web: failed: ");
    let containers = json!([{"name": "main", "image": "busybox:1.38"}]);
    let template = json!({"spec": {"containers": containers}});
    namespace.patch("deployment/web", &json!({"spec": {"progressDeadlineSeconds": 600, "template": template}}));
    make_ready(namespace, &other_pod(namespace, "app=web", &known));
    let finished = succeeds(wait);
    assert_eq!(finished.stdout.matches("deployment/web: failed: ").count(), 1, "{finished:#?}");
}

pub fn deployment_whose_pods_are_refused_says_why(namespace: &Namespace) {
    create_workload(namespace, "Deployment", "web", "", "serviceAccountName: nobody");
    let wait = start(namespace, ALL, "deployment web");
    let line = wait.line("its pods cannot be created");
    assert!(line.contains("serviceaccount \"nobody\" not found"), "{line}");
}

pub fn deployment_that_is_paused_says_so(namespace: &Namespace) {
    create_workload(namespace, "Deployment", "web", "paused: true", ON_NO_NODE);
    let wait = start(namespace, ALL, "deployment web");
    wait.line("waiting: 0 of 1 pod updated: its rollout is paused");
    namespace.patch("deployment/web", &json!({"spec": {"paused": false}}));
    let [pod] = pods(namespace, "app=web");
    make_ready(namespace, &pod);
    succeeds(wait);
}

pub fn every_deployment_of_a_selector_has_to_be_rolled_out(namespace: &Namespace) {
    for name in ["web", "worker"] {
        create_workload(namespace, "Deployment", name, "", ON_NO_NODE);
        namespace.patch(&format!("deployment/{name}"), &json!({"metadata": {"labels": {"part-of": "shop"}}}));
    }
    let wait = start(namespace, ALL, "deployment -lpart-of=shop --settle 100ms");
    wait.line("0 of 2 Deployments rolled out; Deployment web has 0 of 1 pod available");
    let [web] = pods(namespace, "app=web");
    make_ready(namespace, &web);
    wait.line("1 of 2 Deployments rolled out; Deployment worker has 0 of 1 pod available");
    let [worker] = pods(namespace, "app=worker");
    make_ready(namespace, &worker);
    succeeds(wait);
}

pub fn stateful_set_is_rolled_out_pod_by_pod(namespace: &Namespace) {
    let wait = start(namespace, ALL, "sts db");
    wait.line("statefulset/db: waiting: does not exist");
    create_workload(namespace, "StatefulSet", "db", "replicas: 2", ON_NO_NODE);
    wait.line("waiting: 0 of 2 pods ready");
    make_ready(namespace, "db-0");
    wait.line("waiting: 1 of 2 pods ready");
    make_ready(namespace, "db-1");
    succeeds(wait);
}

pub fn stateful_set_is_rolled_out_from_its_partition_on(namespace: &Namespace) {
    let partition = "replicas: 2, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}";
    create_workload(namespace, "StatefulSet", "db", partition, ON_NO_NODE);
    make_ready(namespace, "db-0");
    make_ready(namespace, "db-1");
    succeeds(start(namespace, ALL, "statefulset db"));
    let before = ["pod/db-0", "pod/db-1"].map(|path| uid(&namespace.get(path)).to_owned());
    change_template(namespace, "statefulset/db", "busybox:1.38");
    let wait = start(namespace, ALL, "statefulset db");
    wait.line("waiting: 1 of 2 pods ready");
    namespace.eventually("another db-1", || namespace.find("pod/db-1").filter(|pod| uid(pod) != before[1]));
    make_ready(namespace, "db-1");
    succeeds(wait);
    assert_eq!(uid(&namespace.get("pod/db-0")), before[0], "the pod below the partition stays");
    // Now all are to be of the new template.
    namespace.patch("statefulset/db", &json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}));
    let wait = start(namespace, ALL, "statefulset db");
    wait.line("waiting: 1 of 2 pods");
    namespace.eventually("another db-0", || namespace.find("pod/db-0").filter(|pod| uid(pod) != before[0]));
    make_ready(namespace, "db-0");
    succeeds(wait);
}

pub fn daemon_set_is_rolled_out_with_its_pod_on_each_node(namespace: &Namespace) {
    let wait = start(namespace, ALL, "ds proxy");
    wait.line("daemonset/proxy: waiting: does not exist");
    let node = create_node(namespace);
    create_workload(namespace, "DaemonSet", "proxy", "", &on_node_of(namespace));
    wait.line("waiting: 0 of 1 pod available");
    let [pod] = pods(namespace, "app=proxy");
    make_ready(namespace, &pod);
    succeeds(wait);
    change_template(namespace, "daemonset/proxy", "busybox:1.38");
    let wait = start(namespace, ALL, "daemonset proxy");
    wait.line("waiting: 0 of 1 pod");
    namespace.kubectl(&["delete", "pod", &pod, "--grace-period=0", "--force"]);
    make_ready(namespace, &other_pod(namespace, "app=proxy", &[&pod]));
    succeeds(wait);
    namespace.delete(&format!("node/{node}"));
}

pub fn replica_set_is_complete_with_as_many_pods_as_it_is_to_keep(namespace: &Namespace) {
    let wait = start(namespace, ALL, "rs web");
    wait.line("replicaset/web: waiting: does not exist");
    create_workload(namespace, "ReplicaSet", "web", "replicas: 1", ON_NO_NODE);
    keeps_its_pods(namespace, "replicaset", wait);
}

pub fn replication_controller_is_complete_with_as_many_pods_as_it_is_to_keep(namespace: &Namespace) {
    let wait = start(namespace, ALL, "rc web");
    wait.line("replicationcontroller/web: waiting: does not exist");
    create_replication_controller(namespace);
    keeps_its_pods(namespace, "replicationcontroller", wait);
}

fn create_replication_controller(namespace: &Namespace) {
    namespace.apply(
        "
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 1
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec: {nodeSelector: {testbed: none}, containers: [{name: main, image: 'busybox:1.37'}]}
",
    );
}

fn keeps_its_pods(namespace: &Namespace, kind: &str, wait: Wait) {
    wait.line(&format!("{kind}/web: waiting: 0 of 1 pod ready"));
    let [one] = pods(namespace, "app=web");
    make_ready(namespace, &one);
    succeeds(wait);
    namespace.patch(&format!("{kind}/web"), &json!({"spec": {"replicas": 2}}));
    let wait = start(namespace, ALL, &format!("{kind} web"));
    wait.line(&format!("{kind}/web: waiting: 1 of 2 pods ready"));
    make_ready(namespace, &other_pod(namespace, "app=web", &[&one]));
    succeeds(wait);
}

/// A Job of this `CronJob`, as `kubectl create job --from` makes it.
fn create_job_of(namespace: &Namespace, cronjob: &str, job: &str) {
    namespace.kubectl(&["create", "job", job, &format!("--from=cronjob/{cronjob}")]);
    let owner = &namespace.get(&format!("job/{job}"))["metadata"]["ownerReferences"][0];
    assert_eq!(owner["controller"], json!(true), "as the controller of CronJobs does: {owner}");
}

/// Due once a year, so that all its Jobs are the test's.
fn create_cron_job(namespace: &Namespace, name: &str, spec: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: CronJob
metadata: {{name: {name}}}
spec:
  schedule: '0 0 1 1 *'
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          nodeSelector: {{testbed: none}}
          containers: [{{name: main, image: 'busybox:1.37'}}]
  {spec}
"
    ));
}

pub fn cron_job_is_as_its_newest_job_is(namespace: &Namespace) {
    let wait = start(namespace, ALL, "cj backup");
    wait.line("cronjob/backup: waiting: does not exist");
    // Neither somebody else's nor nobody's.
    create_cron_job(namespace, "other", "");
    create_job_of(namespace, "other", "other-1");
    create_job(namespace, "backup-0", "");
    end_job(namespace, "other-1", "Succeeded");
    end_job(namespace, "backup-0", "Succeeded");
    create_cron_job(namespace, "backup", "");
    wait.line("no Job created yet");
    create_job_of(namespace, "backup", "backup-1");
    wait.line("Job backup-1: running");
    end_job(namespace, "backup-1", "Succeeded");
    succeeds(wait);
    create_job_of(namespace, "backup", "backup-2");
    let wait = start(namespace, ALL, "cronjob backup");
    wait.line("Job backup-2: running");
    end_job(namespace, "backup-2", "Failed");
    ends(wait, 1, "Job backup-2: BackoffLimitExceeded");
}

pub fn suspended_cron_job_without_a_job_says_so(namespace: &Namespace) {
    create_cron_job(namespace, "backup", "suspend: true");
    looks(namespace, ALL, "cronjob backup", 124, "suspended; no Job created yet");
    create_job_of(namespace, "backup", "backup-1");
    end_job(namespace, "backup-1", "Succeeded");
    succeeds(start(namespace, ALL, "cronjob backup"));
}

/// With `--same-node` the pods elsewhere say nothing.
pub fn daemon_set_on_the_same_node_is_judged_by_its_pod_there(namespace: &Namespace) {
    let node = create_node(namespace);
    create_workload(namespace, "DaemonSet", "proxy", "", &on_node_of(namespace));
    let [pod] = pods(namespace, "app=proxy");
    let line = "daemonset proxy --same-node";
    let at = |node: &str| start_with(namespace, ALL, line, &[("NODE_NAME", node)]);
    let elsewhere = at("elsewhere");
    elsewhere.line("it has no pod on this node");
    let here = at(&node);
    here.line(&format!("pod {pod} on this node is Pending, not ready"));
    set_ready(namespace, &pod, true);
    succeeds(here);
    still_waits(elsewhere);
    namespace.delete(&format!("node/{node}"));
}

/// What runs elsewhere must not stand in for it.
pub fn same_node_has_to_be_known(namespace: &Namespace) {
    create_workload(namespace, "Deployment", "web", "", ON_NO_NODE);
    let [pod] = pods(namespace, "app=web");
    make_ready(namespace, &pod);
    for line in ["pod -lapp=web --same-node", "daemonset/proxy --same-node"] {
        let finished = start(namespace, ALL, line).finish();
        assert_eq!(finished.code, Some(78), "{finished:#?}");
        assert!(finished.stderr.contains("hint: ") && finished.stderr.contains("spec.nodeName"), "{finished:#?}");
    }
}
