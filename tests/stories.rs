//! What happens to Jobs, pods and Services in the life of a cluster, and what the built binary makes of it: real objects,
//! the real Job controller and its fellows. No pod runs: a test writes the status that a kubelet would have written.

use std::process::ExitCode;

use serde_json::{Value, json};
use testbed::{Finished, Namespace, Needs, Wait, tests};

fn main() -> ExitCode {
    let jobs = tests![
        job_that_is_retried_and_completes_is_ready,
        job_without_retries_left_has_failed,
        job_past_its_deadline_has_failed,
        job_with_a_pointless_exit_code_has_failed,
        suspended_job_is_waited_for_until_it_was_resumed_and_completes,
        job_without_parallelism_is_waited_for,
        indexed_job_needs_every_index,
        indexed_job_with_a_failed_index_has_failed,
        job_is_not_done_while_pods_end_that_its_success_policy_spares,
        job_is_not_over_for_job_we_while_its_pods_end,
        job_deleted_while_it_runs_counts_for_nothing,
        job_deleted_as_soon_as_it_completes_is_ready,
        job_deleted_as_soon_as_it_fails_has_failed,
        failed_job_is_an_end_for_job_we,
        every_job_of_a_selector_has_to_complete,
        job_that_loses_its_label_is_waited_for_again,
        finished_job_of_the_last_release_is_stale,
        one_job_is_enough_for_any_and_none_left_is_a_failure,
    ];
    let pods = tests![
        stateful_set_is_ready_with_its_last_pod,
        unpullable_pod_beside_a_ready_one_is_enough_for_pod_wr,
        evicted_pod_counts_only_if_nobody_replaces_it,
        pod_on_its_way_out_is_not_ready,
        fewer_pods_than_the_least_number_are_waited_for,
        pods_are_found_by_a_field_selector,
        pods_of_all_namespaces_have_to_be_ready,
        failed_pod_of_a_job_points_to_the_job,
    ];
    let services = tests![
        service_is_ready_with_the_pods_behind_it,
        service_without_a_selector_is_ready_with_its_slices,
        service_without_a_selector_is_ready_with_its_endpoints,
        service_of_a_name_elsewhere_is_ready,
        every_service_of_a_label_has_to_be_ready,
        service_with_another_selector_has_other_pods_behind_it,
        targets_of_all_kinds_have_to_be_ready_together,
    ];
    testbed::run_tests(Needs::ControlPlane, jobs.into_iter().chain(pods).chain(services))
}

const READER: &str = "[{apiGroups: [batch, '', discovery.k8s.io], resources: [jobs, pods, services, endpointslices], \
                      verbs: [get, list, watch]}]";

fn start(namespace: &Namespace, line: &str) -> Wait {
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(READER));
    Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), line.split(' '), [("KUBECONFIG", kubeconfig)])
}

/// Ends the wait with this code; the last line says so.
#[track_caller]
fn ends(wait: Wait, code: i32, text: &str) -> Finished {
    let finished = wait.finish();
    let last = finished.last_line();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    assert!(last.contains(text), "the last line has {text:?}: {finished:#?}");
    finished
}

/// What one look says.
#[track_caller]
fn looks(namespace: &Namespace, line: &str, code: i32, text: &str) {
    ends(start(namespace, &format!("{line} --timeout 0")), code, text);
}

fn create_job(namespace: &Namespace, name: &str, labels: &str, settings: &str, pod: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, labels: {{{labels}}}}}
spec:
  {settings}
  template:
    spec:
      restartPolicy: Never
      {pod}
      containers: [{{name: main, image: busybox:1.37, command: [sleep, '8']}}]
"
    ));
}

fn migrate(namespace: &Namespace, settings: &str) {
    create_job(namespace, "migrate", "", settings, "");
}

/// Pods on a node that is not there end only when a test says so.
const ON_A_NODE: &str = "nodeName: node-1";

fn live_pods(namespace: &Namespace, selector: &str) -> Vec<String> {
    let pods = namespace.eventually(selector, || {
        let mut pods = namespace.list("pod", selector);
        pods.retain(|pod| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")));
        Some(pods).filter(|pods| !pods.is_empty())
    });
    pods.iter().map(|pod| format!("pod/{}", pod["metadata"]["name"].as_str().expect("a pod has a name"))).collect()
}

/// As a kubelet would.
fn write(namespace: &Namespace, selector: &str, status: &Value) {
    for pod in live_pods(namespace, selector) {
        namespace.write_status(&pod, status);
    }
}

/// The status of the only container.
fn container(state: &Value) -> Value {
    let image = "busybox:1.37";
    json!({"name": "main", "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

fn end(namespace: &Namespace, selector: &str, phase: &str) {
    write(namespace, selector, &json!({"phase": phase}));
}

/// Those of this very Job: the pods of one of the same name that was deleted go only some time after it.
fn pods_of(namespace: &Namespace, job: &str) -> String {
    let uid = &namespace.get(&format!("job/{job}"))["metadata"]["uid"];
    format!("batch.kubernetes.io/controller-uid={}", uid.as_str().expect("a Job has a uid"))
}

fn end_job(namespace: &Namespace, job: &str, phase: &str) {
    end(namespace, &pods_of(namespace, job), phase);
}

fn await_condition(namespace: &Namespace, job: &str, kind: &str) {
    namespace.eventually(kind, || {
        let conditions = namespace.get(&format!("job/{job}"))["status"]["conditions"].as_array()?.clone();
        conditions.into_iter().find(|condition| condition["type"] == kind && condition["status"] == "True")
    });
}

fn job_that_is_retried_and_completes_is_ready(namespace: &Namespace) {
    let wait = start(namespace, "job migrate");
    wait.line("job/migrate: waiting: job migrate does not exist");
    migrate(namespace, "");
    wait.line("waiting: the Job is running, 1 pod active, 0 of 1 succeeded, 0 failed (backoffLimit 6)");
    end_job(namespace, "migrate", "Failed");
    wait.line("waiting: the Job will be retried, 0 pods active, 0 of 1 succeeded, 1 failed (backoffLimit 6)");
    wait.line("waiting: the Job is running, 1 pod active, 0 of 1 succeeded, 1 failed (backoffLimit 6)");
    end_job(namespace, "migrate", "Succeeded");
    ends(wait, 0, "done after");
}

fn job_without_retries_left_has_failed(namespace: &Namespace) {
    migrate(namespace, "backoffLimit: 1");
    let wait = start(namespace, "job-wr migrate");
    end_job(namespace, "migrate", "Failed");
    wait.line("1 pod active, 0 of 1 succeeded, 1 failed (backoffLimit 1)");
    end_job(namespace, "migrate", "Failed");
    let why = "BackoffLimitExceeded: Job has reached the specified backoff limit, 2 failed (backoffLimit 1)";
    ends(wait, 1, &format!("job/migrate: the Job has failed: {why}"));
}

fn job_past_its_deadline_has_failed(namespace: &Namespace) {
    let wait = start(namespace, "job migrate");
    migrate(namespace, "activeDeadlineSeconds: 1");
    ends(wait, 1, "job/migrate: the Job has failed: DeadlineExceeded: Job was active longer than specified deadline");
}

fn job_with_a_pointless_exit_code_has_failed(namespace: &Namespace) {
    migrate(namespace, "podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}");
    let wait = start(namespace, "job migrate");
    wait.line("waiting: the Job is running");
    let container = container(&json!({"terminated": {"exitCode": 42, "reason": "Error"}}));
    write(namespace, "job-name=migrate", &json!({"phase": "Failed", "containerStatuses": [container]}));
    ends(wait, 1, "failed with exit code 42 matching FailJob rule at index 0, 1 failed (backoffLimit 6)");
}

fn suspended_job_is_waited_for_until_it_was_resumed_and_completes(namespace: &Namespace) {
    migrate(namespace, "suspend: true");
    let wait = start(namespace, "job migrate");
    wait.line("waiting: the Job is suspended, 0 pods active");
    namespace.patch("job/migrate", &json!({"spec": {"suspend": false}}));
    wait.line("waiting: the Job is running, 1 pod active");
    end_job(namespace, "migrate", "Succeeded");
    ends(wait, 0, "done after");
}

fn job_without_parallelism_is_waited_for(namespace: &Namespace) {
    migrate(namespace, "parallelism: 0\n  completions: 1");
    let wait = start(namespace, "job migrate");
    wait.line("waiting: the Job has parallelism 0 and can never finish so, 0 pods active, 0 of 1 succeeded");
    namespace.patch("job/migrate", &json!({"spec": {"parallelism": 1}}));
    end_job(namespace, "migrate", "Succeeded");
    ends(wait, 0, "done after");
}

const TWO_INDEXES: &str = "completionMode: Indexed\n  completions: 2\n  parallelism: 2";

/// Of the Job `migrate`.
fn index(number: u32) -> String {
    format!("job-name=migrate,batch.kubernetes.io/job-completion-index={number}")
}

fn indexed_job_needs_every_index(namespace: &Namespace) {
    migrate(namespace, TWO_INDEXES);
    let wait = start(namespace, "job migrate");
    wait.line("2 pods active, 0 of 2 succeeded");
    end(namespace, &index(1), "Succeeded");
    wait.line("1 pod active, 1 of 2 succeeded");
    end(namespace, &index(0), "Succeeded");
    ends(wait, 0, "done after");
}

fn indexed_job_with_a_failed_index_has_failed(namespace: &Namespace) {
    migrate(namespace, &format!("{TWO_INDEXES}\n  backoffLimitPerIndex: 0"));
    let (wait, lenient) = (start(namespace, "job migrate"), start(namespace, "job-we migrate"));
    end(namespace, &index(1), "Failed");
    wait.line("1 pod active, 0 of 2 succeeded, 1 failed (for good: index 1)");
    end(namespace, &index(0), "Succeeded");
    ends(wait, 1, "FailedIndexes: Job has failed indexes, 1 failed (for good: index 1)");
    ends(lenient, 0, "done after");
}

fn job_is_not_done_while_pods_end_that_its_success_policy_spares(namespace: &Namespace) {
    let policy = format!("{TWO_INDEXES}\n  successPolicy: {{rules: [{{succeededIndexes: '0'}}]}}");
    create_job(namespace, "migrate", "", &policy, ON_A_NODE);
    let mut wait = start(namespace, "job migrate");
    wait.line("2 pods active");
    end(namespace, &index(0), "Succeeded");
    wait.line(
        "waiting: the Job has succeeded, but its pods are still ending, 0 pods active, 1 ending, 1 of 2 succeeded",
    );
    assert!(wait.is_running(), "the other pod may still write");
    end(namespace, &index(1), "Failed");
    ends(wait, 0, "done after");
}

fn job_is_not_over_for_job_we_while_its_pods_end(namespace: &Namespace) {
    create_job(namespace, "migrate", "", "activeDeadlineSeconds: 1", ON_A_NODE);
    let mut wait = start(namespace, "job-we migrate");
    wait.line("waiting: the Job has failed (DeadlineExceeded), but its pods are still ending, 0 pods active, 1 ending");
    looks(namespace, "job migrate", 1, "the Job has failed: DeadlineExceeded");
    assert!(wait.is_running(), "its pod may still write");
    end_job(namespace, "migrate", "Failed");
    ends(wait, 0, "done after");
}

fn job_deleted_while_it_runs_counts_for_nothing(namespace: &Namespace) {
    migrate(namespace, "");
    let wait = start(namespace, "job migrate");
    wait.line("waiting: the Job is running, 1 pod active");
    namespace.delete("job/migrate");
    wait.line("waiting: job migrate does not exist any more; last seen: the Job is running, 1 pod active");
    migrate(namespace, "backoffLimit: 0");
    wait.line("1 pod active, 0 of 1 succeeded, 0 failed (backoffLimit 0)");
    end_job(namespace, "migrate", "Failed");
    ends(wait, 1, "the Job has failed: BackoffLimitExceeded");
}

fn job_deleted_as_soon_as_it_completes_is_ready(namespace: &Namespace) {
    migrate(namespace, "ttlSecondsAfterFinished: 0");
    let wait = start(namespace, "job migrate");
    wait.line("waiting: the Job is running");
    end_job(namespace, "migrate", "Succeeded");
    ends(wait, 0, "done after");
    namespace.eventually("the Job's deletion", || namespace.find("job/migrate").is_none().then_some(()));
}

fn job_deleted_as_soon_as_it_fails_has_failed(namespace: &Namespace) {
    migrate(namespace, "ttlSecondsAfterFinished: 0\n  backoffLimit: 0");
    let (wait, lenient) = (start(namespace, "job migrate"), start(namespace, "job-we migrate"));
    wait.line("waiting: the Job is running");
    lenient.line("waiting: the Job is running");
    end_job(namespace, "migrate", "Failed");
    ends(wait, 1, "the Job has failed: BackoffLimitExceeded");
    ends(lenient, 0, "done after");
}

fn failed_job_is_an_end_for_job_we(namespace: &Namespace) {
    migrate(namespace, "backoffLimit: 0");
    let wait = start(namespace, "job-we migrate");
    wait.line("waiting: the Job is running");
    end_job(namespace, "migrate", "Failed");
    ends(wait, 0, "done after");
    looks(namespace, "job migrate", 1, "the Job has failed: BackoffLimitExceeded");
}

fn every_job_of_a_selector_has_to_complete(namespace: &Namespace) {
    let wait = start(namespace, "job -lapp=shop");
    wait.line("job/app=shop: waiting: no job matches app=shop");
    for job in ["a", "b"] {
        create_job(namespace, job, "app: shop", "", "");
    }
    end_job(namespace, "a", "Succeeded");
    wait.line("waiting: 1 of 2 jobs complete; job b: the Job is running, 1 pod active");
    looks(namespace, "job-wr -lapp=shop --min 3", 124, "1 of 2 jobs complete");
    end_job(namespace, "b", "Succeeded");
    ends(wait, 0, "done after");
}

fn job_that_loses_its_label_is_waited_for_again(namespace: &Namespace) {
    create_job(namespace, "a", "app: shop", "", "");
    let wait = start(namespace, "job -lapp=shop");
    wait.line("job a: the Job is running");
    namespace.patch("job/a", &json!({"metadata": {"labels": {"app": "other"}}}));
    wait.line("waiting: no job matches app=shop any more; last seen: 0 of 1 job complete; job a: the Job is running");
    namespace.patch("job/a", &json!({"metadata": {"labels": {"app": "shop"}}}));
    end_job(namespace, "a", "Succeeded");
    ends(wait, 0, "done after");
}

fn finished_job_of_the_last_release_is_stale(namespace: &Namespace) {
    create_job(namespace, "migrate", "release: '6'", "", "");
    end_job(namespace, "migrate", "Succeeded");
    await_condition(namespace, "migrate", "Complete");
    let wait = start(namespace, "job migrate -lrelease=7");
    wait.line("job/migrate -lrelease=7: waiting: job migrate exists, but does not match release=7");
    namespace.delete("job/migrate");
    wait.line("job migrate does not exist any more; last seen: job migrate exists, but does not match release=7");
    create_job(namespace, "migrate", "release: '7'", "", "");
    wait.line("waiting: the Job is running");
    end_job(namespace, "migrate", "Succeeded");
    ends(wait, 0, "done after");
}

fn one_job_is_enough_for_any_and_none_left_is_a_failure(namespace: &Namespace) {
    for job in ["a", "b", "c"] {
        create_job(namespace, job, "", "backoffLimit: 0\n  ttlSecondsAfterFinished: 0", "");
    }
    let (good, bad) = (start(namespace, "job/a job/b --any"), start(namespace, "job/a job/c --any"));
    end_job(namespace, "a", "Failed");
    good.line("job/a: failed: the Job has failed: BackoffLimitExceeded");
    bad.line("job/a: failed: the Job has failed: BackoffLimitExceeded");
    namespace.eventually("the Job's deletion", || namespace.find("job/a").is_none().then_some(()));
    end_job(namespace, "b", "Succeeded");
    ends(good, 0, "done after");
    end_job(namespace, "c", "Failed");
    ends(bad, 1, "job/c: the Job has failed: BackoffLimitExceeded");
}

fn create_pod(namespace: &Namespace, name: &str, labels: &str) {
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{labels}}}}}
spec: {{nodeName: node-1, containers: [{{name: main, image: busybox:1.37}}]}}
"
    ));
}

fn make_ready(namespace: &Namespace, pod: &str) {
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let path = format!("pod/{pod}");
    namespace.eventually(&path, || namespace.find(&path));
    namespace.write_status(&path, &json!({"phase": "Running", "conditions": [ready]}));
}

/// The rest is long enough for the slowest StatefulSet controller; only the last pod's end is waited for in full.
fn stateful_set_is_ready_with_its_last_pod(namespace: &Namespace) {
    let wait = start(namespace, "pod -lapp=db --settle 15s");
    wait.line("pod/app=db: waiting: no pod matches app=db");
    namespace.apply(
        "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: busybox:1.37}]}
",
    );
    make_ready(namespace, "db-0");
    wait.line("waiting: 1 of 2 pods ready; pod db-1 is Pending, not ready");
    make_ready(namespace, "db-1");
    wait.line("waiting: 2 of 3 pods ready; pod db-2 is Pending, not ready");
    make_ready(namespace, "db-2");
    wait.line("waiting: 3 pods ready, waiting until that has been so for 15s");
    ends(wait, 0, "done after");
}

fn unpullable_pod_beside_a_ready_one_is_enough_for_pod_wr(namespace: &Namespace) {
    for pod in ["db-0", "db-1"] {
        create_pod(namespace, pod, "app: db");
    }
    let wait = start(namespace, "pod-wr -lapp=db");
    let container = container(&json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}));
    namespace.write_status("pod/db-0", &json!({"containerStatuses": [container]}));
    let stuck = "pod db-0 is Pending, not ready: container main: ImagePullBackOff";
    wait.line(&format!("waiting: 0 of 2 pods ready; {stuck}"));
    make_ready(namespace, "db-1");
    ends(wait, 0, "done after");
    looks(namespace, "pod -lapp=db", 124, &format!("1 of 2 pods ready; {stuck}"));
}

fn evicted_pod_counts_only_if_nobody_replaces_it(namespace: &Namespace) {
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "});
    create_pod(namespace, "bare", "app: bare");
    namespace.write_status("pod/bare", &evicted);
    looks(namespace, "pod bare", 1, "pod bare has failed (Evicted: The node was low on resource: memory)");
    namespace.apply(
        "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: busybox:1.37}]}
",
    );
    write(namespace, "app=web", &evicted);
    let next = live_pods(namespace, "app=web").swap_remove(0);
    let wait = start(namespace, "pod -lapp=web --settle 0");
    wait.line("waiting: 0 of 1 pod ready");
    make_ready(namespace, next.trim_start_matches("pod/"));
    ends(wait, 0, "done after");
}

fn pod_on_its_way_out_is_not_ready(namespace: &Namespace) {
    create_pod(namespace, "db-0", "app: db");
    make_ready(namespace, "db-0");
    looks(namespace, "pod db-0", 0, "done after");
    namespace.delete("pod/db-0");
    looks(namespace, "pod db-0", 124, "pod db-0 is being deleted, and there is no other");
}

fn fewer_pods_than_the_least_number_are_waited_for(namespace: &Namespace) {
    create_pod(namespace, "db-0", "app: db");
    make_ready(namespace, "db-0");
    let wait = start(namespace, "pod -lapp=db --min 2 --settle 100ms");
    wait.line("waiting: 1 pod ready, at least 2 needed");
    create_pod(namespace, "db-1", "app: db");
    wait.line("waiting: 1 of 2 pods ready");
    make_ready(namespace, "db-1");
    ends(wait, 0, "done after");
}

fn pods_are_found_by_a_field_selector(namespace: &Namespace) {
    create_pod(namespace, "db-0", "app: db");
    create_pod(namespace, "db-1", "app: db");
    let wait = start(namespace, "pod --field-selector metadata.name!=db-1 --settle 100ms");
    wait.line("pod/* --field-selector=metadata.name!=db-1: waiting: 0 of 1 pod ready; pod db-0");
    make_ready(namespace, "db-0");
    ends(wait, 0, "done after");
}

fn pods_of_all_namespaces_have_to_be_ready(namespace: &Namespace) {
    let other = Namespace::create(namespace.cluster(), "pods-of-another-namespace");
    // A label of its own: other tests have pods too.
    let label = format!("app: {}", namespace.name());
    create_pod(namespace, "db-0", &label);
    create_pod(&other, "db-0", &label);
    let rules = "[{apiGroups: [''], resources: [pods], verbs: [list, watch]}]";
    let kubeconfig = namespace.kubeconfig_for_all_namespaces("waiter", rules);
    let arguments = ["pod", "-A", "-l", &label.replace(": ", "="), "--settle", "100ms"];
    let wait = Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), arguments, [("KUBECONFIG", kubeconfig)]);
    wait.line("waiting: 0 of 2 pods ready; pod pods-of-a");
    make_ready(namespace, "db-0");
    wait.line(&format!("waiting: 1 of 2 pods ready; pod {}/db-0 is Pending", other.name()));
    make_ready(&other, "db-0");
    ends(wait, 0, "done after");
}

fn failed_pod_of_a_job_points_to_the_job(namespace: &Namespace) {
    migrate(namespace, "backoffLimit: 0");
    end_job(namespace, "migrate", "Failed");
    await_condition(namespace, "migrate", "Failed");
    for mode in ["pod", "pod-wr", "pod-we"] {
        looks(namespace, &format!("{mode} -ljob-name=migrate"), 124, "is owned by job/migrate: wait for that");
    }
}

fn create_service(namespace: &Namespace, name: &str, spec: &str) {
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: {name}, labels: {{tier: data}}}}
spec: {spec}
"
    ));
}

fn service_is_ready_with_the_pods_behind_it(namespace: &Namespace) {
    let wait = start(namespace, "service db --settle 100ms");
    wait.line("service/db: waiting: service db does not exist");
    create_service(namespace, "db", "{selector: {app: db}, ports: [{port: 5432}]}");
    wait.line("service/db: waiting: no pod is behind the Service");
    create_pod(namespace, "db-0", "app: db");
    create_pod(namespace, "db-1", "app: db");
    wait.line("waiting: 0 of 2 pods behind the Service ready; pod db-0 is Pending, not ready");
    make_ready(namespace, "db-0");
    wait.line("waiting: 1 of 2 pods behind the Service ready; pod db-1 is Pending, not ready");
    looks(namespace, "service-wr db", 0, "done after");
    looks(namespace, "service db", 124, "1 of 2 pods behind the Service ready");
    make_ready(namespace, "db-1");
    ends(wait, 0, "done after");
}

fn service_without_a_selector_is_ready_with_its_slices(namespace: &Namespace) {
    create_service(namespace, "db", "{ports: [{port: 5432}]}");
    let wait = start(namespace, "service db");
    wait.line("waiting: the Service has no selector and no endpoint");
    let slice = |ready: bool| {
        namespace.apply(&format!(
            "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: db-a, labels: {{kubernetes.io/service-name: db}}}}
addressType: IPv4
endpoints: [{{addresses: [192.0.2.1], conditions: {{ready: {ready}}}}}]
"
        ));
    };
    slice(false);
    wait.line("waiting: 0 of 1 endpoint of the Service ready");
    slice(true);
    ends(wait, 0, "done after");
}

/// The EndpointSlice mirroring controller makes slices of an Endpoints object.
fn service_without_a_selector_is_ready_with_its_endpoints(namespace: &Namespace) {
    create_service(namespace, "db", "{ports: [{port: 5432}]}");
    let wait = start(namespace, "service-wr db");
    wait.line("waiting: the Service has no selector and no endpoint");
    namespace.apply(
        "
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{port: 5432}]}]
",
    );
    ends(wait, 0, "done after");
}

fn service_of_a_name_elsewhere_is_ready(namespace: &Namespace) {
    create_service(namespace, "db", "{type: ExternalName, externalName: db.example.com}");
    looks(namespace, "service db", 0, "done after");
    looks(namespace, "service-wr db", 0, "done after");
}

fn every_service_of_a_label_has_to_be_ready(namespace: &Namespace) {
    create_service(namespace, "db", "{selector: {app: db}, ports: [{port: 5432}]}");
    create_service(namespace, "cache", "{selector: {app: cache}, ports: [{port: 6379}]}");
    create_service(namespace, "mail", "{type: ExternalName, externalName: mail.example.com}");
    create_pod(namespace, "db-0", "app: db");
    make_ready(namespace, "db-0");
    let wait = start(namespace, "service -ltier=data --settle 100ms");
    wait.line("service/tier=data: waiting: 2 of 3 services ready; service cache: no pod is behind the Service");
    create_pod(namespace, "cache-0", "app: cache");
    make_ready(namespace, "cache-0");
    ends(wait, 0, "done after");
    looks(namespace, "service-wr -ltier=data --min 4", 124, "3 services ready, at least 4 needed");
}

fn service_with_another_selector_has_other_pods_behind_it(namespace: &Namespace) {
    create_service(namespace, "db", "{selector: {app: db}, ports: [{port: 5432}]}");
    create_pod(namespace, "db-0", "app: db");
    create_pod(namespace, "new-0", "app: new");
    make_ready(namespace, "new-0");
    let wait = start(namespace, "service db --settle 100ms");
    wait.line("0 of 1 pod behind the Service ready; pod db-0");
    namespace.patch("service/db", &json!({"spec": {"selector": {"app": "new"}}}));
    ends(wait, 0, "done after");
}

fn targets_of_all_kinds_have_to_be_ready_together(namespace: &Namespace) {
    migrate(namespace, "ttlSecondsAfterFinished: 0");
    create_service(namespace, "db", "{selector: {app: db}, ports: [{port: 5432}]}");
    create_pod(namespace, "db-0", "app: db");
    let wait = start(namespace, &format!("job/migrate {}:service/db pod/app=db --settle 100ms", namespace.name()));
    for target in ["job/migrate: waiting", "service/db: waiting", "pod/app=db: waiting"] {
        wait.line(target);
    }
    end_job(namespace, "migrate", "Succeeded");
    wait.line("job/migrate: ready");
    namespace.eventually("the Job's deletion", || namespace.find("job/migrate").is_none().then_some(()));
    make_ready(namespace, "db-0");
    ends(wait, 0, "done after");
}
