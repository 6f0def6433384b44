//! `--for`: what is demanded of kinds that have rules of their own, and that nothing but its absence is a deletion.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::thread;

use serde_json::json;
use testbed::{
    Namespace, Wait,
    front::{Asked, Front, Reply, head},
    objects::{
        ON_NO_NODE, await_gone, create_fleeting_job, create_job, create_pod, create_workload, end_job, make_ready,
        pods, run_fleeting_job,
    },
    scene::{ALL, Fault, ends, looks, refusal, start, start_at, start_with, status, still_waits, succeeds, wait},
};

fn create(namespace: &Namespace) {
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: lock}}");
}

pub fn deletion_is_seen_and_so_is_creation(namespace: &Namespace) {
    let there = start(namespace, ALL, "configmap/lock --for create");
    there.line("does not exist");
    create(namespace);
    succeeds(there);
    let gone = start(namespace, ALL, "configmap/lock --for delete");
    gone.line("configmap/lock: waiting: it still exists");
    namespace.delete("configmap/lock");
    succeeds(gone);
}

pub fn refusal_is_no_deletion(namespace: &Namespace) {
    create(namespace);
    for (name, account) in [("lock", "one"), ("nobody", "two")] {
        let kubeconfig = namespace.kubeconfig_for(account, Some("[]"));
        let wait = wait(&kubeconfig, &format!("configmap/{name} --for delete --auth-grace 1s"));
        ends(wait, 77, "");
    }
    // Looking once decides nothing, either.
    let finished = start(namespace, "[]", "configmap/lock --for delete --timeout 0").finish();
    assert_ne!(finished.code, Some(0), "{finished:#?}");
}

/// One Role after another: what was seen before is no deletion when the right to see it goes.
pub fn right_that_is_taken_away_is_no_deletion(namespace: &Namespace) {
    create(namespace);
    let get = "[{apiGroups: [''], resources: [configmaps], verbs: [get]}]";
    let line = "configmap/lock --for delete --auth-grace 1s";
    let wait = start_with(namespace, get, line, &[("WAIT_TIME", "0.1")]);
    wait.line("it still exists");
    namespace.delete("role/waiter");
    ends(wait, 77, "");
}

pub fn get_alone_is_enough_to_see_a_deletion(namespace: &Namespace) {
    create(namespace);
    let get = "[{apiGroups: [''], resources: [configmaps], resourceNames: [lock], verbs: [get]}]";
    let wait = start_with(namespace, get, "configmap/lock --for delete", &[("WAIT_TIME", "0.1")]);
    wait.line("polling by get");
    wait.line("it still exists");
    namespace.delete("configmap/lock");
    succeeds(wait);
    succeeds(start(namespace, get, "configmap/lock --for delete --timeout 0"));
}

/// Deleted and made anew between two polls.
pub fn get_alone_is_enough_to_see_that_it_was_made_anew(namespace: &Namespace) {
    create(namespace);
    let get = "[{apiGroups: [''], resources: [configmaps], verbs: [get]}]";
    let wait = start_with(namespace, get, "configmap/lock --for delete", &[("WAIT_TIME", "2")]);
    wait.line("it still exists");
    namespace.delete("configmap/lock");
    await_gone(namespace, "configmap/lock");
    create(namespace);
    succeeds(wait);
}

fn page(code: u16, text: &str) -> Reply {
    Reply::Say(format!("{}<html>{text}</html>", head(code, "Content-Type: text/html\r\n")))
}

/// What a request is answered with.
type Answer = fn(&Asked) -> Option<Reply>;

/// Answers that say nothing of the object, to lists and to the gets that stand in for them.
fn troubles() -> Vec<(&'static str, Answer)> {
    vec![
        ("html-404", |_| Some(page(404, "not here"))),
        ("html-200", |_| Some(page(200, "please log in"))),
        ("503", |_| Some(refusal(503, "ServiceUnavailable"))),
        ("500", |_| Some(Reply::Say(status(500, "", "etcdserver: leader changed", "")))),
        ("empty", |_| Some(Reply::Say(head(200, "Content-Length: 0\r\n")))),
        ("nothing", |_| Some(Reply::Say(String::new()))),
        ("get-html-404", |asked| {
            Some(if asked.target.contains('?') { refusal(403, "Forbidden") } else { page(404, "not here") })
        }),
        ("get-503", |asked| {
            let answer = if asked.target.contains('?') { (403, "Forbidden") } else { (503, "ServiceUnavailable") };
            Some(refusal(answer.0, answer.1))
        }),
    ]
}

/// Neither before the first look nor after it.
pub fn failure_is_no_deletion(namespace: &Namespace) {
    create(namespace);
    thread::scope(|scope| {
        for (name, answer) in troubles() {
            scope.spawn(move || {
                let fault = Fault::start(namespace, answer);
                let wait = start_at(namespace, &fault.front.url(), "configmap/lock --for delete", &[]);
                namespace.eventually(name, || (fault.front.asked().len() >= 3).then_some(()));
                assert!(!wait.so_far().contains("configmap/lock: ready"), "{name}: {}", wait.so_far());
                fault.heal();
                wait.line("it still exists");
                still_waits(wait);
            });
        }
    });
}

/// It is deleted while nobody can see that; afterwards its absence is.
pub fn deletion_during_an_outage_is_seen_after_it(namespace: &Namespace) {
    create(namespace);
    let is_down = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_down);
    let front = Front::start(namespace.cluster(), move |asked| {
        let is_down = switch.load(Ordering::Relaxed);
        // Watches end at once, so that all depends on lists.
        if is_down || asked.is_watch() { refusal(503, "ServiceUnavailable") } else { Reply::Pass }
    });
    let wait = start_at(namespace, &front.url(), "configmap/lock --for delete", &[("WAIT_TIME", "0.1")]);
    wait.line("it still exists");
    wait.line("polling by list");
    is_down.store(true, Ordering::Relaxed);
    wait.line("scripted ServiceUnavailable; retrying");
    namespace.delete("configmap/lock");
    await_gone(namespace, "configmap/lock");
    assert!(!wait.so_far().contains("configmap/lock: ready"), "{}", wait.so_far());
    is_down.store(false, Ordering::Relaxed);
    succeeds(wait);
}

fn failing_job(namespace: &Namespace, lines: &[&str]) -> Vec<Wait> {
    create_job(namespace, "migrate", "backoffLimit: 0");
    let waits: Vec<Wait> = lines.iter().map(|line| start(namespace, ALL, line)).collect();
    for wait in &waits {
        wait.line("waiting: ");
    }
    end_job(namespace, "migrate", "Failed");
    waits
}

/// Its own failure is an end, unless that is what is asked for.
pub fn failed_job_ends_a_wait_for_something_else(namespace: &Namespace) {
    let waits = failing_job(
        namespace,
        &[
            "job/migrate --for condition=Complete",
            "job/migrate --for jsonpath={.status.succeeded}=1",
            "job/migrate --for condition=Complete --or-for condition=Failed",
            "job/migrate --for condition=failed",
            "job/migrate --for jsonpath={.status.failed}=1",
        ],
    );
    let ends_of: Vec<_> = waits.into_iter().map(Wait::finish).collect();
    let codes: Vec<_> = ends_of.iter().map(|it| it.code).collect();
    assert_eq!(codes[..4], [Some(1), Some(1), Some(0), Some(0)], "{ends_of:#?}");
    // It depends on what its controller writes first: the number or the verdict.
    assert!(matches!(codes[4], Some(0 | 1)), "{ends_of:#?}");
    for failed in &ends_of[..2] {
        assert!(failed.last_line().contains("BackoffLimitExceeded"), "{failed:#?}");
    }
}

pub fn built_in_kinds_are_waited_for_by_conditions_and_fields(namespace: &Namespace) {
    let available = start(namespace, ALL, "deploy/web --for condition=Available");
    let running = start(namespace, ALL, "pod/db --for jsonpath={.status.phase}=Running");
    let ready = start(namespace, ALL, "pod -lapp=db --for condition=Ready --settle 100ms");
    available.line("does not exist");
    running.line("does not exist");
    ready.line("no pod matches app=db");
    create_workload(namespace, "Deployment", "web", "", ON_NO_NODE);
    create_pod(namespace, "db", "app: db");
    available.line("condition Available is False (MinimumReplicasUnavailable");
    running.line("{.status.phase} is Pending");
    ready.line("no condition Ready yet");
    make_ready(namespace, "db");
    succeeds(running);
    succeeds(ready);
    let [pod] = pods(namespace, "app=web");
    make_ready(namespace, &pod);
    succeeds(available);
}

/// What leads to a list or to nothing is no value, as kubectl has it.
pub fn path_has_to_lead_to_one_value(namespace: &Namespace) {
    create_pod(namespace, "db", "");
    looks(
        namespace,
        ALL,
        "pod/db --for jsonpath={.spec.containers[*].image}=x",
        124,
        "{.spec.containers[*].image} is busybox:1.37",
    );
    looks(namespace, ALL, "pod/db --for jsonpath={.spec.tolerations[*].key}=x", 124, "yields 2 values instead of one");
    looks(namespace, ALL, "pod/db --for jsonpath={.spec.containers}=x", 124, "cannot be compared with a value");
    looks(namespace, ALL, "pod/db --for jsonpath={.spec.nothing}", 124, "{.spec.nothing} is not set yet");
    succeeds(start(namespace, ALL, "pod/db --for jsonpath={.spec.nodeName}"));
    succeeds(start(namespace, ALL, "pod/db --for jsonpath={.spec.containers[?(@.name==\"main\")].image}=busybox:1.37"));
}

pub fn deadline_of_a_goal_says_what_is_lacking(namespace: &Namespace) {
    namespace.apply_object(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "x"}]}}));
    let line = "pod/db --for condition=Ready --for jsonpath={.status.phase}=Running --timeout 1s";
    let finished = start(namespace, ALL, line).finish();
    assert_eq!(finished.code, Some(124), "{finished:#?}");
    let said = "no condition Ready yet and {.status.phase} is Pending";
    assert!(finished.last_line().contains(said), "{finished:#?}");
}

pub fn job_that_is_cleaned_up_is_deleted(namespace: &Namespace) {
    create_fleeting_job(namespace);
    let wait = start(namespace, ALL, "job/migrate --for delete");
    wait.line("it still exists");
    run_fleeting_job(namespace);
    succeeds(wait);
}

pub fn object_that_loses_its_labels_is_not_gone(namespace: &Namespace) {
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: lock, labels: {app: shop}}}");
    let mut gone = start(namespace, ALL, "configmap -lapp=shop --for delete");
    gone.line("0 of 1 ConfigMap as required; ConfigMap lock: it still exists");
    namespace.patch("configmap/lock", &json!({"metadata": {"labels": {"app": "other"}}}));
    // Whoever watches has heard of it.
    succeeds(start(namespace, ALL, "configmap -lapp=other --settle 2s"));
    assert!(gone.is_running(), "it has other labels, and is still there");
    namespace.delete("configmap/lock");
    succeeds(gone);
}
