//! The least that it does: a Job or some pods are waited for, to a good end, to a bad one or to none, with all the
//! rights that this takes or with few of them; and how often it asks for that.

use serde_json::json;
use testbed::{
    Namespace, Signal,
    objects::{await_condition, create_job, create_pod, end_job, make_ready},
    scene::{ends, start, start_with, succeeds},
};

/// Everything on Jobs and pods.
const READER: &str = "[{apiGroups: [batch, ''], resources: [jobs, pods], verbs: [get, list, watch]}]";

pub fn job_created_after_the_wait_began_is_waited_for(namespace: &Namespace) {
    let wait = start(namespace, READER, "job-wr migrate");
    wait.line("job/migrate: waiting: does not exist");
    create_job(namespace, "migrate", "");
    wait.line("job/migrate: waiting: running: 1 pod active");
    end_job(namespace, "migrate", "Succeeded");
    let finished = succeeds(wait);
    assert!(finished.stdout.contains("job/migrate: ready"), "{finished:#?}");
}

pub fn failed_job_ends_the_wait_with_1(namespace: &Namespace) {
    create_job(namespace, "migrate", "backoffLimit: 0");
    let wait = start(namespace, READER, "job migrate");
    wait.line("waiting: ");
    end_job(namespace, "migrate", "Failed");
    ends(wait, 1, "BackoffLimitExceeded: Job has reached the specified backoff limit");
}

pub fn job_that_never_ends_meets_the_deadline(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    ends(start(namespace, READER, "job migrate --timeout 1s"), 124, "deadline passed after 1s");
}

pub fn missing_job_is_waited_for_and_named(namespace: &Namespace) {
    ends(start(namespace, READER, "job nobody --timeout=1"), 124, "job/nobody: does not exist");
}

pub fn timeout_zero_looks_once(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    ends(start(namespace, READER, "job migrate --timeout 0"), 124, "not ready, checked once");
    end_job(namespace, "migrate", "Succeeded");
    await_condition(namespace, "migrate", "Complete");
    succeeds(start(namespace, READER, "job migrate --timeout 0"));
}

pub fn pods_of_a_selector_become_ready_one_by_one(namespace: &Namespace) {
    let wait = start(namespace, READER, "pod -lapp=db --settle 100ms");
    wait.line("no pod matches app=db");
    create_pod(namespace, "db-0", "app: db");
    create_pod(namespace, "db-1", "app: db");
    wait.line("0 of 2 pods ready");
    make_ready(namespace, "db-0");
    wait.line("1 of 2 pods ready; pod db-1 is Pending, not ready");
    make_ready(namespace, "db-1");
    succeeds(wait);
}

pub fn sigterm_and_sigint_end_it_with_their_codes(namespace: &Namespace) {
    for (signal, code, text) in
        [(Signal::TERM, 143, "terminated (SIGTERM)"), (Signal::INT, 130, "interrupted (SIGINT)")]
    {
        let wait = start(namespace, READER, "job migrate");
        wait.line("waiting: ");
        wait.signal(signal);
        ends(wait, code, text);
    }
}

pub fn unknown_context_is_a_configuration_error(namespace: &Namespace) {
    let finished = start(namespace, READER, "job migrate --context nowhere").finish();
    assert_eq!(finished.code, Some(78), "{finished:#?}");
    assert!(finished.stderr.contains("no context `nowhere`") && finished.stderr.contains("hint: "), "{finished:#?}");
}

const NOTHING: &str = "[]";

pub fn denied_wait_ends_with_77_after_the_grace(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    let finished = start(namespace, NOTHING, "job migrate --auth-grace 1s").finish();
    assert_eq!(finished.code, Some(77), "{finished:#?}");
    assert!(finished.stderr.contains("cannot list resource \"jobs\""), "{finished:#?}");
}

pub fn denied_wait_is_77_at_the_deadline_too(namespace: &Namespace) {
    let finished = start(namespace, NOTHING, "job migrate --timeout 1s").finish();
    assert_eq!(finished.code, Some(77), "{finished:#?}");
}

pub fn right_granted_within_the_grace_is_enough(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    end_job(namespace, "migrate", "Succeeded");
    let wait = start(namespace, NOTHING, "job migrate");
    wait.line("forbidden");
    namespace.kubeconfig_for("waiter", Some(READER));
    let finished = succeeds(wait);
    assert!(finished.stdout.contains("the API server responds again"), "{finished:#?}");
}

/// `WAIT_TIME` is the pause between polls.
fn poll(namespace: &Namespace, verbs: &str, says: &str) {
    let rules = format!("[{{apiGroups: [batch], resources: [jobs], verbs: {verbs}}}]");
    create_job(namespace, "migrate", "");
    let wait = start_with(namespace, &rules, "job migrate", &[("WAIT_TIME", "0.1")]);
    wait.line(says);
    end_job(namespace, "migrate", "Succeeded");
    succeeds(wait);
}

pub fn get_alone_is_enough_by_polling(namespace: &Namespace) {
    poll(namespace, "[get]", "polling by get");
}

pub fn get_and_list_are_enough_by_polling(namespace: &Namespace) {
    poll(namespace, "[get, list]", "polling by list");
}

pub fn job_beside_an_unready_pod_is_not_enough_for_all_but_for_any(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    create_pod(namespace, "db-0", "app: db");
    let wait = start(namespace, READER, "job/migrate pod/db-0 --any");
    wait.line("job/migrate: waiting");
    wait.line("pod/db-0: waiting");
    end_job(namespace, "migrate", "Succeeded");
    succeeds(wait);
    ends(start(namespace, READER, "job/migrate pod/db-0 --timeout=0"), 124, "pod/db-0: Pending, not ready");
}

pub fn complete_job_takes_one_request(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    end_job(namespace, "migrate", "Succeeded");
    await_condition(namespace, "migrate", "Complete");
    succeeds(start(namespace, READER, "job migrate"));
    let requests = namespace.requests_by("waiter");
    let verbs: Vec<&str> = requests.iter().map(|request| request.verb.as_str()).collect();
    assert_eq!(verbs, ["list"], "{requests:#?}");
    assert_eq!((requests[0].resource.as_str(), requests[0].name.as_str()), ("jobs", "migrate"), "{requests:#?}");
}

pub fn wait_takes_a_list_and_a_watch(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    let wait = start(namespace, READER, "job migrate");
    wait.line("waiting: ");
    end_job(namespace, "migrate", "Succeeded");
    succeeds(wait);
    let requests = namespace.requests_by("waiter");
    let verbs: Vec<&str> = requests.iter().map(|request| request.verb.as_str()).collect();
    assert_eq!(verbs, ["list", "watch"], "{requests:#?}");
}

/// Whatever it takes is taken, and whatever it refuses is a usage error, before any request.
pub fn names_are_those_that_a_real_api_server_takes(namespace: &Namespace) {
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
            let finished = start(namespace, READER, &format!("{mode}/{name} --timeout=0")).finish();
            assert_eq!(taken.is_ok(), finished.code != Some(2), "{kind} {name}: {taken:?} {finished:#?}");
        }
    }
    std::fs::remove_file(&file).expect("it was there");
}
