//! What is not looked at is not known: lists without a watch, polls, requests that fail, and the rest that a set of
//! objects has to have before it is whole.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use testbed::{
    Namespace,
    front::{Reply, head},
    objects::{ON_NO_NODE, complete_job, create_job_with, create_pod, create_suspended_job, set_ready},
    scene::{EVERYTHING, Fault, refusal, start, start_at, start_with, still_waits, succeeds},
};

const LIST_ONLY: &str = "[{apiGroups: [batch, ''], resources: [jobs, pods], verbs: [list]}]";

/// The reproduced case: exit 0 after 2 s and a single list.
pub fn n1_rest_without_a_watch_is_proved_by_a_second_list(namespace: &Namespace) {
    create_pod(namespace, "db-0", "app: db");
    set_ready(namespace, "db-0", true);
    let wait = start(namespace, LIST_ONLY, "pod -lapp=db --settle 5s");
    wait.line("must stay ready for 5s");
    create_pod(namespace, "db-1", "app: db");
    wait.line("1 of 2 pods ready; pod db-1");
    set_ready(namespace, "db-1", true);
    succeeds(wait);
    let lists = namespace.requests_by("waiter").iter().filter(|it| it.verb == "list" && it.code == 200).count();
    assert!(lists >= 3, "db-1 was seen, then ready, then at rest: {lists} lists");
}

pub fn n1_rest_is_not_over_while_requests_fail(namespace: &Namespace) {
    create_pod(namespace, "db-0", "app: db");
    set_ready(namespace, "db-0", true);
    let fails = |asked: &testbed::front::Asked| (asked.is_watch() || asked.before > 0).then(|| refusal(503, "Down"));
    let fault = Fault::start(namespace, fails);
    let wait = start_at(namespace, &fault.front.url(), "pod -lapp=db --settle 3s", &[]);
    wait.line("must stay ready for 3s");
    wait.line("was ready when last checked");
    // Long after the rest.
    namespace.eventually("some more tries", || (fault.front.asked().len() >= 10).then_some(()));
    fault.heal();
    wait.line("responds again");
    succeeds(wait);
}

/// pod/a becomes unready where nobody sees it, and then pod/b ready.
pub fn n1_ready_of_one_target_does_not_outlive_its_stream(namespace: &Namespace) {
    for pod in ["a", "b"] {
        create_pod(namespace, pod, "");
    }
    set_ready(namespace, "a", true);
    let fault = Fault::start(namespace, |asked| {
        let again = asked.is_watch() || asked.before > 1;
        (asked.target.contains("metadata.name%3Da") && again).then(|| refusal(503, "Down"))
    });
    let wait = start_at(namespace, &fault.front.url(), "pod a b", &[]);
    wait.line("pod/a: ready");
    wait.line("pod/b: waiting");
    set_ready(namespace, "a", false);
    // Longer than what counts as the same moment.
    thread::sleep(Duration::from_secs(1));
    set_ready(namespace, "b", true);
    wait.line("pod/b: ready");
    wait.line("pod/a: waiting: was ready when last checked");
    fault.heal();
    wait.line("pod/a: waiting: Running, not ready");
    set_ready(namespace, "a", true);
    succeeds(wait);
}

/// It is polled every 30 s, and its pod becomes unready just after a poll.
pub fn n1_polled_target_is_looked_at_once_more_at_the_end(namespace: &Namespace) {
    create_pod(namespace, "a", "");
    set_ready(namespace, "a", true);
    create_suspended_job(namespace, "migrate");
    let rules = "[{apiGroups: [''], resources: [pods], verbs: [list]},
                  {apiGroups: [batch], resources: [jobs], verbs: [list, watch]}]";
    let wait = start_with(namespace, rules, "pod/a job/migrate", &[("WAIT_TIME", "30")]);
    wait.line("pod/a: ready");
    wait.line("job/migrate: waiting");
    wait.line("polling by list");
    set_ready(namespace, "a", false);
    thread::sleep(Duration::from_secs(2));
    complete_job(namespace, "migrate");
    wait.line("pod/a: waiting: Running, not ready");
    still_waits(wait);
}

/// Whatever watches are answered with, for as long as it lasts: lists get through.
pub fn n2_watch_that_cannot_be_opened_does_not_blind_the_wait(namespace: &Namespace) {
    let page =
        |code: u16| Reply::Say(format!("{}<html><body>no</body></html>", head(code, "Content-Type: text/html\r\n")));
    let faults = [
        ("unavailable", refusal(503, "ServiceUnavailable")),
        ("not-implemented", refusal(501, "NotImplemented")),
        ("gateway", page(502)),
        ("html", page(200)),
        ("no-such-page", page(404)),
        ("nothing", Reply::SayAndHold(String::new())),
        ("closed", Reply::Say(head(200, "Content-Type: application/json\r\n"))),
        ("later", Reply::Say(head(503, "Retry-After: 60\r\n"))),
    ];
    thread::scope(|scope| {
        for (name, reply) in faults {
            scope.spawn(move || {
                create_suspended_job(namespace, name);
                let fault = Fault::start(namespace, move |asked| asked.is_watch().then(|| reply.clone()));
                let wait = start_at(namespace, &fault.front.url(), &format!("job {name}"), &[]);
                let started = Instant::now();
                wait.line("jobs can be listed, but not watched");
                let blind = started.elapsed();
                assert!(blind < Duration::from_secs(20), "{name}: listed again after {blind:?}");
                complete_job(namespace, name);
                let finished = succeeds(wait);
                assert_eq!(finished.stdout.matches("but not watched").count(), 1, "{name}: {finished:#?}");
            });
        }
    });
}

/// A version from before all that the API server remembers: a GET brings the same one again.
pub fn n11_old_job_without_list_is_polled(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let gone =
        json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}});
    let gone = format!("{}{gone}\n", head(200, "Content-Type: application/json\r\n"));
    let fault = Fault::start(namespace, move |asked| {
        if asked.is_watch() {
            return Some(Reply::Say(gone.clone()));
        }
        asked.target.contains("fieldSelector").then(|| refusal(403, "Forbidden"))
    });
    let wait = start_at(namespace, &fault.front.url(), "job migrate", &[("WAIT_TIME", "0.2")]);
    wait.line("polling by get: jobs this old can be watched only with `list`");
    let is_get = |asked: &&testbed::front::Asked| asked.target.contains("/jobs/migrate");
    let gets = || fault.front.asked().iter().filter(is_get).count();
    let (before, watches) = (gets(), fault.front.asked().iter().filter(|asked| asked.is_watch()).count());
    namespace.eventually("polls", || (gets() >= before + 10).then_some(()));
    let more = fault.front.asked().iter().filter(|asked| asked.is_watch()).count() - watches;
    assert!(more <= 2, "{more} watches in the time of 10 polls");
    complete_job(namespace, "migrate");
    succeeds(wait);
}

pub fn n12_polls_are_frequent_in_the_beginning(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let wait = start(namespace, LIST_ONLY, "job migrate");
    wait.line("polling by list");
    let started = Instant::now();
    let lists = || namespace.requests_by("waiter").iter().filter(|it| it.verb == "list").count();
    let before = lists();
    namespace.eventually("ten polls", || (lists() >= before + 10).then_some(()));
    let pause = started.elapsed().as_secs_f64() / 10.0;
    assert!(
        (0.7..4.0).contains(&pause),
        "{pause:.2} s between two polls: a second in the beginning, but for its jitter"
    );
    complete_job(namespace, "migrate");
    succeeds(wait);
}

/// Let go at the first complete Job, the release's second one came a moment later.
pub fn n9_selector_of_jobs_waits_for_one_that_comes_a_moment_later(namespace: &Namespace) {
    create_job_with(namespace, "schema", "release: r9", "suspend: true", ON_NO_NODE);
    complete_job(namespace, "schema");
    let wait = start(namespace, EVERYTHING, "job-wr -lrelease=r9 --settle 10s");
    wait.line("1 Job complete; must stay complete for 10s");
    create_job_with(namespace, "seed", "release: r9", "suspend: true", ON_NO_NODE);
    wait.line("1 of 2 Jobs complete; Job seed: suspended");
    // Its end is kept.
    namespace.delete("job/schema");
    complete_job(namespace, "seed");
    wait.line("2 Jobs complete; must stay complete for 10s");
    succeeds(wait);
}
