//! The built binary against a real API server and real controllers; no pod runs, tests write the status of pods.

use std::process::ExitCode;

use serde_json::json;
use testbed::{Finished, Namespace, Needs, Signal, Test, Wait, tests};

fn main() -> ExitCode {
    let anywhere = tests![
        job_created_after_the_wait_began_is_waited_for,
        failed_job_ends_the_wait_with_1,
        job_that_never_ends_meets_the_deadline,
        missing_job_is_waited_for_and_named,
        timeout_zero_looks_once,
        pods_of_a_selector_become_ready_one_by_one,
        sigterm_and_sigint_end_it_with_their_codes,
        unknown_context_is_a_configuration_error,
        denied_wait_ends_with_77_after_the_grace,
        denied_wait_is_77_at_the_deadline_too,
        right_granted_within_the_grace_is_enough,
        get_alone_is_enough_by_polling,
        get_and_list_are_enough_by_polling,
        job_beside_an_unready_pod_is_not_enough_for_all_but_for_any,
        names_are_those_that_a_real_api_server_takes,
    ];
    let of_own_cluster =
        tests![complete_job_takes_one_request, wait_takes_a_list_and_a_watch].map(Test::of_own_cluster);
    testbed::run_tests(Needs::ControlPlane, anywhere.into_iter().chain(of_own_cluster))
}

/// Everything on Jobs and pods.
const READER: &str = "[{apiGroups: [batch, ''], resources: [jobs, pods], verbs: [get, list, watch]}]";

/// The binary as the service account `waiter` with these rules.
fn start(namespace: &Namespace, rules: &str, arguments: &[&str]) -> Wait {
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(rules));
    Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), arguments, [("KUBECONFIG", kubeconfig)])
}

fn run(namespace: &Namespace, rules: &str, arguments: &[&str]) -> Finished {
    start(namespace, rules, arguments).finish()
}

#[track_caller]
fn assert_ends(finished: &Finished, code: i32, last_line: &str) {
    let last = finished.last_line();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    assert!(last.contains(last_line), "the last line has {last_line:?}: {finished:#?}");
}

fn create_job(namespace: &Namespace, settings: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: migrate}}
spec:
  {settings}
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: migrate, image: busybox:1.37, command: [sleep, '8']}}]
"
    ));
}

/// Ends the Job's pod as a kubelet would; the Job controller draws the conclusion.
fn end_job_pod(namespace: &Namespace, phase: &str) {
    let pod = namespace.eventually("the Job's pod", || namespace.list("pod", "job-name=migrate").pop());
    let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
    namespace.write_status(&format!("pod/{name}"), &json!({"phase": phase}));
}

fn await_condition(namespace: &Namespace, kind: &str) {
    namespace.eventually(kind, || {
        let conditions = namespace.get("job/migrate")["status"]["conditions"].as_array()?.clone();
        conditions.into_iter().find(|condition| condition["type"] == kind && condition["status"] == "True")
    });
}

fn job_created_after_the_wait_began_is_waited_for(namespace: &Namespace) {
    let wait = start(namespace, READER, &["job-wr", "migrate"]);
    wait.line("job/migrate: waiting: job migrate does not exist");
    create_job(namespace, "");
    wait.line("job/migrate: waiting: the Job is running, 1 pod active, 0 of 1 succeeded, 0 failed (backoffLimit 6)");
    end_job_pod(namespace, "Succeeded");
    let finished = wait.finish();
    assert_ends(&finished, 0, "done after ");
    assert!(finished.stdout.contains("job/migrate: ready"), "{finished:#?}");
}

fn failed_job_ends_the_wait_with_1(namespace: &Namespace) {
    create_job(namespace, "backoffLimit: 0");
    let wait = start(namespace, READER, &["job", "migrate"]);
    wait.line("waiting: ");
    end_job_pod(namespace, "Failed");
    let finished = wait.finish();
    assert_ends(&finished, 1, "BackoffLimitExceeded: Job has reached the specified backoff limit");
}

fn job_that_never_ends_meets_the_deadline(namespace: &Namespace) {
    create_job(namespace, "");
    let finished = run(namespace, READER, &["job", "migrate", "--timeout", "1s"]);
    assert_ends(&finished, 124, "deadline passed after 1s");
}

fn missing_job_is_waited_for_and_named(namespace: &Namespace) {
    let finished = run(namespace, READER, &["job", "nobody", "--timeout=1"]);
    assert_ends(&finished, 124, "job/nobody: job nobody does not exist");
}

fn timeout_zero_looks_once(namespace: &Namespace) {
    create_job(namespace, "");
    assert_ends(&run(namespace, READER, &["job", "migrate", "--timeout", "0"]), 124, "not ready, looked once");
    end_job_pod(namespace, "Succeeded");
    await_condition(namespace, "Complete");
    assert_ends(&run(namespace, READER, &["job", "migrate", "--timeout", "0"]), 0, "done");
}

fn create_pod(namespace: &Namespace, name: &str) {
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: db}}}}
spec: {{containers: [{{name: db, image: busybox:1.37}}]}}
"
    ));
}

fn make_ready(namespace: &Namespace, pod: &str) {
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    namespace.write_status(&format!("pod/{pod}"), &json!({"phase": "Running", "conditions": [ready]}));
}

fn pods_of_a_selector_become_ready_one_by_one(namespace: &Namespace) {
    let wait = start(namespace, READER, &["pod", "-lapp=db", "--settle", "100ms"]);
    wait.line("no pod matches app=db");
    create_pod(namespace, "db-0");
    create_pod(namespace, "db-1");
    wait.line("0 of 2 pods ready");
    make_ready(namespace, "db-0");
    wait.line("1 of 2 pods ready; pod db-1 is Pending, not ready");
    make_ready(namespace, "db-1");
    assert_ends(&wait.finish(), 0, "done");
}

fn sigterm_and_sigint_end_it_with_their_codes(namespace: &Namespace) {
    for (signal, code, text) in
        [(Signal::TERM, 143, "terminated (SIGTERM)"), (Signal::INT, 130, "interrupted (SIGINT)")]
    {
        let wait = start(namespace, READER, &["job", "migrate"]);
        wait.line("waiting: ");
        wait.signal(signal);
        assert_ends(&wait.finish(), code, text);
    }
}

fn unknown_context_is_a_configuration_error(namespace: &Namespace) {
    let finished = run(namespace, READER, &["job", "migrate", "--context", "nowhere"]);
    assert_eq!(finished.code, Some(78), "{finished:#?}");
    assert!(finished.stderr.contains("no context `nowhere`") && finished.stderr.contains("hint: "), "{finished:#?}");
}

const NOTHING: &str = "[]";

fn denied_wait_ends_with_77_after_the_grace(namespace: &Namespace) {
    create_job(namespace, "");
    let finished = run(namespace, NOTHING, &["job", "migrate", "--auth-grace", "1s"]);
    assert_eq!(finished.code, Some(77), "{finished:#?}");
    assert!(finished.stderr.contains("cannot list resource \"jobs\""), "{finished:#?}");
}

fn denied_wait_is_77_at_the_deadline_too(namespace: &Namespace) {
    let finished = run(namespace, NOTHING, &["job", "migrate", "--timeout", "1s"]);
    assert_eq!(finished.code, Some(77), "{finished:#?}");
}

fn right_granted_within_the_grace_is_enough(namespace: &Namespace) {
    create_job(namespace, "");
    end_job_pod(namespace, "Succeeded");
    let wait = start(namespace, NOTHING, &["job", "migrate"]);
    wait.line("forbidden");
    namespace.kubeconfig_for("waiter", Some(READER));
    let finished = wait.finish();
    assert_ends(&finished, 0, "done");
    assert!(finished.stdout.contains("the API server answers again"), "{finished:#?}");
}

/// `WAIT_TIME` is the pause between polls.
fn poll(namespace: &Namespace, verbs: &str, says: &str) {
    let rules = format!("[{{apiGroups: [batch], resources: [jobs], verbs: {verbs}}}]");
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(&rules));
    create_job(namespace, "");
    let environment = [("KUBECONFIG", kubeconfig.into_os_string()), ("WAIT_TIME", "0.1".into())];
    let wait = Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), ["job", "migrate"], environment);
    wait.line(says);
    end_job_pod(namespace, "Succeeded");
    assert_ends(&wait.finish(), 0, "done");
}

fn get_alone_is_enough_by_polling(namespace: &Namespace) {
    poll(namespace, "[get]", "polling by get");
}

fn get_and_list_are_enough_by_polling(namespace: &Namespace) {
    poll(namespace, "[get, list]", "polling by list");
}

fn job_beside_an_unready_pod_is_not_enough_for_all_but_for_any(namespace: &Namespace) {
    create_job(namespace, "");
    create_pod(namespace, "db-0");
    let wait = start(namespace, READER, &["job/migrate", "pod/db-0", "--any"]);
    wait.line("job/migrate: waiting");
    wait.line("pod/db-0: waiting");
    end_job_pod(namespace, "Succeeded");
    assert_ends(&wait.finish(), 0, "done");
    assert_ends(&run(namespace, READER, &["job/migrate", "pod/db-0", "--timeout=0"]), 124, "pod/db-0: 0 of 1 pod");
}

fn complete_job_takes_one_request(namespace: &Namespace) {
    create_job(namespace, "");
    end_job_pod(namespace, "Succeeded");
    await_condition(namespace, "Complete");
    assert_ends(&run(namespace, READER, &["job", "migrate"]), 0, "done");
    let requests = namespace.requests_by("waiter");
    let verbs: Vec<&str> = requests.iter().map(|request| request.verb.as_str()).collect();
    assert_eq!(verbs, ["list"], "{requests:#?}");
    assert_eq!((requests[0].resource.as_str(), requests[0].name.as_str()), ("jobs", "migrate"), "{requests:#?}");
}

fn wait_takes_a_list_and_a_watch(namespace: &Namespace) {
    create_job(namespace, "");
    let wait = start(namespace, READER, &["job", "migrate"]);
    wait.line("waiting: ");
    end_job_pod(namespace, "Succeeded");
    assert_ends(&wait.finish(), 0, "done");
    let requests = namespace.requests_by("waiter");
    let verbs: Vec<&str> = requests.iter().map(|request| request.verb.as_str()).collect();
    assert_eq!(verbs, ["list", "watch"], "{requests:#?}");
}

/// Whatever it takes is taken, and whatever it refuses is a usage error, before any request.
fn names_are_those_that_a_real_api_server_takes(namespace: &Namespace) {
    let long = |length: usize| "a".repeat(length);
    let names = ["a", "9lives", "2048", "db-0", "a.b", "a..b", "a.-b", "A", "a_b", "a-", "-a", ".a", "a.", "\u{e4}"]
        .map(str::to_owned)
        .into_iter()
        .chain([63, 64, 253, 254].map(long));
    let spec = |kind: &str| match kind {
        // Without this, its name is a label, too, and has to be shorter.
        "Job" => json!({"manualSelector": true, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]},
        }}),
        "Pod" => json!({"containers": [{"name": "x", "image": "x"}]}),
        _ => json!({"ports": [{"port": 1}]}),
    };
    let file = std::env::temp_dir().join(format!("{}.json", namespace.name()));
    for name in names {
        for (mode, kind, version) in [("job", "Job", "batch/v1"), ("pod", "Pod", "v1"), ("service", "Service", "v1")] {
            let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec(kind)});
            std::fs::write(&file, object.to_string()).expect("the folder takes files");
            let path = file.to_str().expect("UTF-8");
            let taken = namespace.run_kubectl(&["create", "--dry-run=server", "--validate=false", "--filename", path]);
            // What looks like an option or a selector is none of a name's business.
            let finished = run(namespace, READER, &[&format!("{mode}/{name}"), "--timeout=0"]);
            assert_eq!(taken.is_ok(), finished.code != Some(2), "{kind} {name}: {taken:?} {finished:#?}");
        }
    }
    std::fs::remove_file(&file).expect("it was there");
}
