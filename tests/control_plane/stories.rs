//! What happens to Jobs, pods and Services in the life of a cluster, and what the built binary makes of it, line by
//! line.

use serde_json::json;
use testbed::{
    Namespace,
    objects::{
        ON_A_NODE, ON_NO_NODE, await_condition, await_gone, container, create_job, create_job_with, create_pod,
        create_service, create_workload, end_job, end_pods, live_pods, make_ready, write_pods,
    },
    scene::{ends, looks, start, succeeds, wait},
};

const READER: &str = "[{apiGroups: [batch, '', discovery.k8s.io], resources: [jobs, pods, services, endpointslices], \
                      verbs: [get, list, watch]}]";

fn migrate(namespace: &Namespace, settings: &str) {
    create_job(namespace, "migrate", settings);
}

pub fn job_that_is_retried_and_completes_is_ready(namespace: &Namespace) {
    let wait = start(namespace, READER, "job migrate");
    wait.line("job/migrate: waiting: does not exist");
    migrate(namespace, "");
    wait.line("waiting: running: 1 pod active");
    end_job(namespace, "migrate", "Failed");
    wait.line("waiting: backing off: 1 pod failed (backoffLimit 6)");
    wait.line("waiting: running: 1 pod active, 1 pod failed (backoffLimit 6)");
    end_job(namespace, "migrate", "Succeeded");
    succeeds(wait);
}

pub fn job_without_retries_left_has_failed(namespace: &Namespace) {
    migrate(namespace, "backoffLimit: 1");
    let wait = start(namespace, READER, "job-wr migrate");
    end_job(namespace, "migrate", "Failed");
    wait.line("1 pod active, 1 pod failed (backoffLimit 1)");
    end_job(namespace, "migrate", "Failed");
    let why = "BackoffLimitExceeded: Job has reached the specified backoff limit; 2 pods failed (backoffLimit 1)";
    ends(wait, 1, &format!("job/migrate: {why}"));
}

pub fn job_past_its_deadline_has_failed(namespace: &Namespace) {
    let wait = start(namespace, READER, "job migrate");
    migrate(namespace, "activeDeadlineSeconds: 1");
    ends(wait, 1, "job/migrate: DeadlineExceeded: Job was active longer than specified deadline");
}

pub fn job_with_a_pointless_exit_code_has_failed(namespace: &Namespace) {
    migrate(namespace, "podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}");
    let wait = start(namespace, READER, "job migrate");
    wait.line("waiting: running");
    let container = container("main", &json!({"terminated": {"exitCode": 42, "reason": "Error"}}));
    write_pods(namespace, "job-name=migrate", &json!({"phase": "Failed", "containerStatuses": [container]}));
    ends(wait, 1, "failed with exit code 42 matching FailJob rule at index 0; 1 pod failed (backoffLimit 6)");
}

pub fn suspended_job_is_waited_for_until_it_was_resumed_and_completes(namespace: &Namespace) {
    migrate(namespace, "suspend: true");
    let wait = start(namespace, READER, "job migrate");
    wait.line("waiting: suspended");
    namespace.patch("job/migrate", &json!({"spec": {"suspend": false}}));
    wait.line("waiting: running: 1 pod active");
    end_job(namespace, "migrate", "Succeeded");
    succeeds(wait);
}

pub fn job_without_parallelism_is_waited_for(namespace: &Namespace) {
    migrate(namespace, "parallelism: 0, completions: 1");
    let wait = start(namespace, READER, "job migrate");
    wait.line("waiting: its parallelism is 0, so it cannot finish");
    namespace.patch("job/migrate", &json!({"spec": {"parallelism": 1}}));
    end_job(namespace, "migrate", "Succeeded");
    succeeds(wait);
}

const TWO_INDEXES: &str = "completionMode: Indexed, completions: 2, parallelism: 2";

/// Of the Job `migrate`.
fn index(number: u32) -> String {
    format!("job-name=migrate,batch.kubernetes.io/job-completion-index={number}")
}

pub fn indexed_job_needs_every_index(namespace: &Namespace) {
    migrate(namespace, TWO_INDEXES);
    let wait = start(namespace, READER, "job migrate");
    wait.line("2 pods active, 0 of 2 succeeded");
    end_pods(namespace, &index(1), "Succeeded");
    wait.line("1 pod active, 1 of 2 succeeded");
    end_pods(namespace, &index(0), "Succeeded");
    succeeds(wait);
}

pub fn indexed_job_with_a_failed_index_has_failed(namespace: &Namespace) {
    migrate(namespace, &format!("{TWO_INDEXES}, backoffLimitPerIndex: 0"));
    let (wait, lenient) = (start(namespace, READER, "job migrate"), start(namespace, READER, "job-we migrate"));
    end_pods(namespace, &index(1), "Failed");
    wait.line("1 pod active, 0 of 2 succeeded, index 1 failed permanently");
    end_pods(namespace, &index(0), "Succeeded");
    ends(wait, 1, "FailedIndexes: Job has failed indexes; index 1 failed permanently");
    succeeds(lenient);
}

pub fn job_is_not_done_while_pods_end_that_its_success_policy_spares(namespace: &Namespace) {
    let policy = format!("{TWO_INDEXES}, successPolicy: {{rules: [{{succeededIndexes: '0'}}]}}");
    create_job_with(namespace, "migrate", "", &policy, ON_A_NODE);
    let mut wait = start(namespace, READER, "job migrate");
    wait.line("2 pods active");
    end_pods(namespace, &index(0), "Succeeded");
    wait.line("waiting: succeeded; its last pods are stopping");
    assert!(wait.is_running(), "the other pod may still write");
    end_pods(namespace, &index(1), "Failed");
    succeeds(wait);
}

pub fn job_is_not_over_for_job_we_while_its_pods_end(namespace: &Namespace) {
    create_job_with(namespace, "migrate", "", "activeDeadlineSeconds: 1", ON_A_NODE);
    let mut wait = start(namespace, READER, "job-we migrate");
    wait.line("waiting: failed (DeadlineExceeded); its last pods are stopping");
    looks(namespace, READER, "job migrate", 1, "DeadlineExceeded");
    assert!(wait.is_running(), "its pod may still write");
    end_job(namespace, "migrate", "Failed");
    succeeds(wait);
}

pub fn job_deleted_while_it_runs_counts_for_nothing(namespace: &Namespace) {
    migrate(namespace, "");
    let wait = start(namespace, READER, "job migrate");
    wait.line("waiting: running: 1 pod active");
    namespace.delete("job/migrate");
    wait.line("waiting: does not exist anymore; last seen: running: 1 pod active");
    migrate(namespace, "backoffLimit: 0");
    wait.line("1 pod active");
    end_job(namespace, "migrate", "Failed");
    ends(wait, 1, "BackoffLimitExceeded");
}

pub fn job_deleted_as_soon_as_it_completes_is_ready(namespace: &Namespace) {
    migrate(namespace, "ttlSecondsAfterFinished: 0");
    let wait = start(namespace, READER, "job migrate");
    wait.line("waiting: running");
    end_job(namespace, "migrate", "Succeeded");
    succeeds(wait);
    await_gone(namespace, "job/migrate");
}

pub fn job_deleted_as_soon_as_it_fails_has_failed(namespace: &Namespace) {
    migrate(namespace, "ttlSecondsAfterFinished: 0, backoffLimit: 0");
    let (wait, lenient) = (start(namespace, READER, "job migrate"), start(namespace, READER, "job-we migrate"));
    wait.line("waiting: running");
    lenient.line("waiting: running");
    end_job(namespace, "migrate", "Failed");
    ends(wait, 1, "BackoffLimitExceeded");
    succeeds(lenient);
}

pub fn failed_job_is_an_end_for_job_we(namespace: &Namespace) {
    migrate(namespace, "backoffLimit: 0");
    let wait = start(namespace, READER, "job-we migrate");
    wait.line("waiting: running");
    end_job(namespace, "migrate", "Failed");
    wait.line("job-we/migrate: failed (job-we accepts that): BackoffLimitExceeded: ");
    succeeds(wait);
    looks(namespace, READER, "job migrate", 1, "BackoffLimitExceeded");
}

pub fn every_job_of_a_selector_has_to_complete(namespace: &Namespace) {
    let wait = start(namespace, READER, "job -lapp=shop");
    wait.line("job/app=shop: waiting: no Job matches app=shop");
    for job in ["a", "b"] {
        create_job_with(namespace, job, "app: shop", "", ON_NO_NODE);
    }
    end_job(namespace, "a", "Succeeded");
    wait.line("waiting: 1 of 2 Jobs complete; Job b: running: 1 pod active");
    looks(namespace, READER, "job-wr -lapp=shop --min 3", 124, "1 of 2 Jobs complete");
    end_job(namespace, "b", "Succeeded");
    succeeds(wait);
}

pub fn job_that_loses_its_label_is_waited_for_again(namespace: &Namespace) {
    create_job_with(namespace, "a", "app: shop", "", ON_NO_NODE);
    let wait = start(namespace, READER, "job -lapp=shop");
    wait.line("Job a: running");
    namespace.patch("job/a", &json!({"metadata": {"labels": {"app": "other"}}}));
    wait.line("waiting: no Job matches app=shop anymore; last seen: 0 of 1 Job complete; Job a: running");
    namespace.patch("job/a", &json!({"metadata": {"labels": {"app": "shop"}}}));
    end_job(namespace, "a", "Succeeded");
    succeeds(wait);
}

pub fn finished_job_of_the_last_release_is_stale(namespace: &Namespace) {
    create_job_with(namespace, "migrate", "release: '6'", "", ON_NO_NODE);
    end_job(namespace, "migrate", "Succeeded");
    await_condition(namespace, "migrate", "Complete");
    let wait = start(namespace, READER, "job migrate -lrelease=7");
    wait.line("job/migrate -lrelease=7: waiting: exists, but does not match release=7");
    namespace.delete("job/migrate");
    wait.line("does not exist anymore; last seen: exists, but does not match release=7");
    create_job_with(namespace, "migrate", "release: '7'", "", ON_NO_NODE);
    wait.line("waiting: running");
    end_job(namespace, "migrate", "Succeeded");
    succeeds(wait);
}

pub fn one_job_is_enough_for_any_and_none_left_is_a_failure(namespace: &Namespace) {
    for job in ["a", "b", "c"] {
        create_job_with(namespace, job, "", "backoffLimit: 0, ttlSecondsAfterFinished: 0", ON_NO_NODE);
    }
    let (good, bad) = (start(namespace, READER, "job/a job/b --any"), start(namespace, READER, "job/a job/c --any"));
    end_job(namespace, "a", "Failed");
    good.line("job/a: failed: BackoffLimitExceeded");
    bad.line("job/a: failed: BackoffLimitExceeded");
    await_gone(namespace, "job/a");
    end_job(namespace, "b", "Succeeded");
    succeeds(good);
    end_job(namespace, "c", "Failed");
    ends(bad, 1, "job/c: BackoffLimitExceeded");
}

/// The rest is long enough for the slowest StatefulSet controller; only the last pod's end is waited for in full.
pub fn stateful_set_is_ready_with_its_last_pod(namespace: &Namespace) {
    let wait = start(namespace, READER, "pod -lapp=db --settle 15s");
    wait.line("pod/app=db: waiting: no pod matches app=db");
    create_workload(namespace, "StatefulSet", "db", "replicas: 3, serviceName: db", ON_NO_NODE);
    make_ready(namespace, "db-0");
    wait.line("waiting: 1 of 2 pods ready; pod db-1 is Pending, not ready");
    make_ready(namespace, "db-1");
    wait.line("waiting: 2 of 3 pods ready; pod db-2 is Pending, not ready");
    make_ready(namespace, "db-2");
    wait.line("waiting: 3 pods ready; must stay ready for 15s");
    succeeds(wait);
}

pub fn unpullable_pod_beside_a_ready_one_is_enough_for_pod_wr(namespace: &Namespace) {
    for pod in ["db-0", "db-1"] {
        create_pod(namespace, pod, "app: db");
    }
    let wait = start(namespace, READER, "pod-wr -lapp=db");
    let container =
        container("main", &json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}));
    namespace.write_status("pod/db-0", &json!({"containerStatuses": [container]}));
    let stuck = "pod db-0 is Pending, not ready: container main: ImagePullBackOff";
    wait.line(&format!("waiting: 0 of 2 pods ready; {stuck}"));
    make_ready(namespace, "db-1");
    succeeds(wait);
    looks(namespace, READER, "pod -lapp=db", 124, &format!("1 of 2 pods ready; {stuck}"));
}

pub fn evicted_pod_counts_only_if_nobody_replaces_it(namespace: &Namespace) {
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "});
    create_pod(namespace, "bare", "app: bare");
    namespace.write_status("pod/bare", &evicted);
    looks(
        namespace,
        READER,
        "pod bare",
        1,
        "pod/bare: Evicted: The node was low on resource: memory; nothing replaces it",
    );
    create_workload(namespace, "ReplicaSet", "web", "", ON_NO_NODE);
    write_pods(namespace, "app=web", &evicted);
    let next = live_pods(namespace, "app=web").swap_remove(0);
    let wait = start(namespace, READER, "pod -lapp=web --settle 0");
    wait.line("waiting: 0 of 1 pod ready");
    make_ready(namespace, next.trim_start_matches("pod/"));
    succeeds(wait);
}

pub fn pod_on_its_way_out_is_not_ready(namespace: &Namespace) {
    create_pod(namespace, "db-0", "app: db");
    make_ready(namespace, "db-0");
    looks(namespace, READER, "pod db-0", 0, "done after");
    namespace.delete("pod/db-0");
    looks(namespace, READER, "pod db-0", 124, "pod/db-0: being deleted, with no replacement yet");
}

pub fn fewer_pods_than_the_least_number_are_waited_for(namespace: &Namespace) {
    create_pod(namespace, "db-0", "app: db");
    make_ready(namespace, "db-0");
    let wait = start(namespace, READER, "pod -lapp=db --min 2 --settle 100ms");
    wait.line("waiting: 1 pod ready, at least 2 needed");
    create_pod(namespace, "db-1", "app: db");
    wait.line("waiting: 1 of 2 pods ready");
    make_ready(namespace, "db-1");
    succeeds(wait);
}

pub fn pods_are_found_by_a_field_selector(namespace: &Namespace) {
    create_pod(namespace, "db-0", "app: db");
    create_pod(namespace, "db-1", "app: db");
    let wait = start(namespace, READER, "pod --field-selector metadata.name!=db-1 --settle 100ms");
    wait.line("pod/* --field-selector=metadata.name!=db-1: waiting: 0 of 1 pod ready; pod db-0");
    make_ready(namespace, "db-0");
    succeeds(wait);
}

pub fn pods_of_all_namespaces_have_to_be_ready(namespace: &Namespace) {
    let other = Namespace::create(namespace.cluster(), "pods-of-another-namespace");
    // A label of its own: other tests have pods too.
    let label = format!("app: {}", namespace.name());
    create_pod(namespace, "db-0", &label);
    create_pod(&other, "db-0", &label);
    let rules = "[{apiGroups: [''], resources: [pods], verbs: [list, watch]}]";
    let kubeconfig = namespace.kubeconfig_for_all_namespaces("waiter", rules);
    let wait = wait(&kubeconfig, &format!("pod -A -l {} --settle 100ms", label.replace(": ", "=")));
    wait.line("waiting: 0 of 2 pods ready; pod pods-of-a");
    make_ready(namespace, "db-0");
    wait.line(&format!("waiting: 1 of 2 pods ready; pod {}/db-0 is Pending", other.name()));
    make_ready(&other, "db-0");
    succeeds(wait);
}

pub fn failed_pod_of_a_job_points_to_the_job(namespace: &Namespace) {
    migrate(namespace, "backoffLimit: 0");
    end_job(namespace, "migrate", "Failed");
    await_condition(namespace, "migrate", "Failed");
    for mode in ["pod", "pod-wr", "pod-we"] {
        looks(
            namespace,
            READER,
            &format!("{mode} -ljob-name=migrate"),
            124,
            "it belongs to job/migrate: wait for that instead",
        );
    }
}

pub fn service_is_ready_with_the_pods_behind_it(namespace: &Namespace) {
    let wait = start(namespace, READER, "service db --settle 100ms");
    wait.line("service/db: waiting: does not exist");
    create_service(namespace, "db", "tier: data", "selector: {app: db}, ports: [{port: 5432}]");
    wait.line("service/db: waiting: no pod matches its selector");
    create_pod(namespace, "db-0", "app: db");
    create_pod(namespace, "db-1", "app: db");
    wait.line("waiting: 0 of 2 pods behind it ready; pod db-0 is Pending, not ready");
    make_ready(namespace, "db-0");
    wait.line("waiting: 1 of 2 pods behind it ready; pod db-1 is Pending, not ready");
    looks(namespace, READER, "service-wr db", 0, "done after");
    looks(namespace, READER, "service db", 124, "1 of 2 pods behind it ready");
    make_ready(namespace, "db-1");
    succeeds(wait);
}

pub fn service_without_a_selector_is_ready_with_its_slices(namespace: &Namespace) {
    create_service(namespace, "db", "tier: data", "ports: [{port: 5432}]");
    let wait = start(namespace, READER, "service db");
    wait.line("waiting: it has neither a selector nor endpoints");
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
    wait.line("waiting: 0 of 1 endpoint ready");
    slice(true);
    succeeds(wait);
}

/// The EndpointSlice mirroring controller makes slices of an Endpoints object.
pub fn service_without_a_selector_is_ready_with_its_endpoints(namespace: &Namespace) {
    create_service(namespace, "db", "tier: data", "ports: [{port: 5432}]");
    let wait = start(namespace, READER, "service-wr db");
    wait.line("waiting: it has neither a selector nor endpoints");
    namespace.apply(
        "
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{port: 5432}]}]
",
    );
    succeeds(wait);
}

pub fn service_of_a_name_elsewhere_is_ready(namespace: &Namespace) {
    create_service(namespace, "db", "tier: data", "type: ExternalName, externalName: db.example.com");
    looks(namespace, READER, "service db", 0, "done after");
    looks(namespace, READER, "service-wr db", 0, "done after");
}

pub fn every_service_of_a_label_has_to_be_ready(namespace: &Namespace) {
    create_service(namespace, "db", "tier: data", "selector: {app: db}, ports: [{port: 5432}]");
    create_service(namespace, "cache", "tier: data", "selector: {app: cache}, ports: [{port: 6379}]");
    create_service(namespace, "mail", "tier: data", "type: ExternalName, externalName: mail.example.com");
    create_pod(namespace, "db-0", "app: db");
    make_ready(namespace, "db-0");
    let wait = start(namespace, READER, "service -ltier=data --settle 100ms");
    wait.line("service/tier=data: waiting: 2 of 3 Services ready; Service cache: no pod matches its selector");
    create_pod(namespace, "cache-0", "app: cache");
    make_ready(namespace, "cache-0");
    succeeds(wait);
    looks(namespace, READER, "service-wr -ltier=data --min 4", 124, "3 Services ready, at least 4 needed");
}

pub fn service_with_another_selector_has_other_pods_behind_it(namespace: &Namespace) {
    create_service(namespace, "db", "tier: data", "selector: {app: db}, ports: [{port: 5432}]");
    create_pod(namespace, "db-0", "app: db");
    create_pod(namespace, "new-0", "app: new");
    make_ready(namespace, "new-0");
    let wait = start(namespace, READER, "service db --settle 100ms");
    wait.line("0 of 1 pod behind it ready; pod db-0");
    namespace.patch("service/db", &json!({"spec": {"selector": {"app": "new"}}}));
    succeeds(wait);
}

pub fn targets_of_all_kinds_have_to_be_ready_together(namespace: &Namespace) {
    migrate(namespace, "ttlSecondsAfterFinished: 0");
    create_service(namespace, "db", "tier: data", "selector: {app: db}, ports: [{port: 5432}]");
    create_pod(namespace, "db-0", "app: db");
    let wait =
        start(namespace, READER, &format!("job/migrate {}:service/db pod/app=db --settle 100ms", namespace.name()));
    for target in ["job/migrate: waiting", "service/db: waiting", "pod/app=db: waiting"] {
        wait.line(target);
    }
    end_job(namespace, "migrate", "Succeeded");
    wait.line("job/migrate: ready");
    await_gone(namespace, "job/migrate");
    make_ready(namespace, "db-0");
    succeeds(wait);
}
