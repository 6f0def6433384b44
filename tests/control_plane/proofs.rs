//! Jobs that are gone, where it is hard to say how they ended: they vanished unseen, came again under the same name, or
//! are too many for one mark each.

use std::time::Duration;

use testbed::{
    Namespace, Wait,
    objects::{
        complete_job, create_fleeting_job, create_pod, create_suspended_job, deployment, fail_job, finish_wait, mark,
        run_fleeting_job, set_ready, uid,
    },
    scene::{EVERYTHING, Fault, ends, identity, refusal, start, start_at, start_with, still_waits, succeeds},
};

const NONE_YET: &str = "no pod of this revision has finished this wait yet";

/// As this pod, with polls that come soon.
fn start_polling(namespace: &Namespace, pod: &str, rules: &str, line: &str) -> Wait {
    let variables = [&identity(namespace, pod)[..], &[("WAIT_TIME", "0.5")]].concat();
    start_with(namespace, rules, line, &variables)
}

/// Without a watch every deletion is a gap.
const POLLING: &str = "[{apiGroups: [batch], resources: [jobs], verbs: [list]},
                        {apiGroups: [''], resources: [pods, events], verbs: [list, watch]}]";

/// Completed and removed at once, between two polls: the job controller's event names it.
pub fn n3_job_that_vanished_unseen_is_proved_by_its_own_event(namespace: &Namespace) {
    create_fleeting_job(namespace);
    namespace.eventually("the Job's pod", || namespace.list("pod", "job-name=migrate").pop());
    let fault = Fault::start(namespace, |asked| {
        // The first list shows it running; then nobody looks until it is gone, and its history is forgotten.
        let fails = || if asked.is_watch() { refusal(410, "Expired") } else { refusal(503, "Down") };
        (asked.target.contains("/jobs") && (asked.is_watch() || asked.before > 0)).then(fails)
    });
    let wait = start_at(namespace, &fault.front.url(), "job migrate", &[]);
    wait.line("waiting: running");
    wait.line("retrying");
    run_fleeting_job(namespace);
    namespace.eventually("the Job's event", || {
        namespace.list("event", "").into_iter().find(|event| event["reason"] == "Completed")
    });
    fault.heal();
    wait.line("job/migrate: gone, but it completed: its `Completed` event says so");
    succeeds(wait);
}

pub fn n3_job_that_vanished_unseen_is_proved_by_a_mark_with_its_uid(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    create_suspended_job(namespace, "migrate");
    let uid = uid(&namespace.get("job/migrate")).to_owned();
    let wait = start_polling(namespace, &own, POLLING, "job-wr migrate");
    wait.line("waiting: suspended");
    namespace.delete("job/migrate");
    wait.line("does not exist anymore; last seen: suspended");
    wait.line(NONE_YET);
    finish_wait(namespace, &sibling, &mark(namespace, "migrate", &uid));
    wait.line(&format!("gone, but it completed: pod {sibling} saw this Job complete"));
    succeeds(wait);
}

/// The sibling's wait was for a run of before: of this one nobody knows how it ended.
pub fn n3_mark_of_an_earlier_job_says_nothing_of_one_that_was_seen(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish_wait(namespace, &sibling, &mark(namespace, "migrate", "7f1c"));
    create_suspended_job(namespace, "migrate");
    let wait = start_polling(namespace, &own, POLLING, "job-wr migrate");
    wait.line("waiting: suspended");
    namespace.delete("job/migrate");
    wait.line(NONE_YET);
    still_waits(wait);
}

/// Its list is forbidden when the proof is found; the other target is waited for without an end.
pub fn n6_kept_ready_has_no_trouble_left(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    create_pod(namespace, "db-0", "");
    let wait = start_polling(namespace, &own, POLLING, "job/migrate pod/db-0 --auth-grace 5s");
    wait.line(NONE_YET);
    let pods = "[{apiGroups: [''], resources: [pods], verbs: [list, watch]}]";
    namespace.kubeconfig_for("waiter", Some(pods));
    wait.line("cannot list resource \"jobs\"");
    finish_wait(namespace, &sibling, &mark(namespace, "migrate", "7f1c"));
    wait.line("job/migrate: ready");
    // Longer than the grace.
    std::thread::sleep(Duration::from_secs(7));
    set_ready(namespace, "db-0", true);
    succeeds(wait);
}

/// Any controller may write any reason; this one used to start the search for proof, and the sibling has one.
pub fn n7_reason_of_a_condition_steers_nothing(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    finish_wait(namespace, &sibling, &mark(namespace, "migrate", "7f1c"));
    for (job, reason) in [("migrate", "NotFound"), ("seed", "Settling")] {
        create_suspended_job(namespace, job);
        fail_job(namespace, job, reason);
    }
    create_suspended_job(namespace, "other");
    let wait = start_polling(namespace, &own, EVERYTHING, "job/migrate job/seed job/other --any");
    wait.line("job/migrate: failed: NotFound: as the test says");
    wait.line("job/seed: failed: Settling: as the test says");
    wait.line("job/other: waiting");
    // Longer than anything absent is given.
    std::thread::sleep(Duration::from_secs(4));
    fail_job(namespace, "other", "DeadlineExceeded");
    let finished = ends(wait, 1, "failed after");
    assert!(!finished.stdout.contains("is gone"), "{finished:#?}");
}

/// So many that one line stands for all of them: it proves each to a pod with the same list, and none to another.
pub fn n10_marks_of_many_targets_prove_each_of_them(namespace: &Namespace) {
    let [own, sibling] = deployment(namespace);
    let jobs: Vec<String> = (0..30).map(|number| format!("migrate-of-some-length-{number}")).collect();
    let line = format!("job {}", jobs.join(" "));
    let message = mark_of(namespace, &line, &jobs);
    assert!(message.starts_with("k8s-wait-for/1 all=") && message.len() < 1_024, "{message}");
    finish_wait(namespace, &sibling, &message);
    let wait = start_polling(namespace, &own, EVERYTHING, &line);
    wait.line(&format!("job/{}: gone, but it completed: pod {sibling}", jobs[29]));
    succeeds(wait);
    still_waits({
        let wait = start_polling(namespace, &own, EVERYTHING, &format!("job {}", jobs[1..].join(" ")));
        wait.line(NONE_YET);
        wait
    });
}

/// The message that the binary leaves when these Jobs are complete.
fn mark_of(namespace: &Namespace, line: &str, jobs: &[String]) -> String {
    for job in jobs {
        create_suspended_job(namespace, job);
        complete_job(namespace, job);
    }
    let message = crate::outcomes::message_of(namespace, line, 0);
    for job in jobs {
        namespace.delete(&format!("job/{job}"));
    }
    namespace.eventually("the Jobs are gone", || namespace.list("job", "").is_empty().then_some(()));
    message
}

pub fn n13_missing_fail_is_for_every_named_target(namespace: &Namespace) {
    for target in ["pod", "service", "job", "pod-wr", "job-we"] {
        let said = "does not exist (--missing fail)";
        for timeout in ["1h", "0"] {
            let wait = start(namespace, EVERYTHING, &format!("{target} db --missing fail --timeout {timeout}"));
            ends(wait, 1, said);
        }
    }
    create_pod(namespace, "db", "");
    let wait = start(namespace, EVERYTHING, "pod db --missing fail");
    wait.line("waiting: Pending, not ready");
    namespace.kubectl(&["delete", "pod", "db", "--grace-period=0", "--force"]);
    wait.line("waiting: does not exist");
    std::thread::sleep(Duration::from_secs(4));
    create_pod(namespace, "db", "");
    set_ready(namespace, "db", true);
    succeeds(wait);
}
