//! The schedule before a scripted API server, under a paused clock: what is asked, each with its second.

use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use kube::client::Body;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tower::{BoxError, service_fn};

use super::gather::Inspector;
use super::{Explanation, Learned, Schedule};
use crate::api::client::Client;
use crate::cli;
use crate::identity::Identity;
use crate::target::verdict::{Code, Verdict};

type Log = Arc<Mutex<Vec<(u64, String)>>>;

/// How the server answers at this second, or not at all.
type Answer = fn(u64) -> Option<serde_json::Value>;

/// A schedule for these targets, and what it asks for: `5 pods`, with the seconds since the start.
fn schedule(line: &str, timeout: Option<Duration>, answer: Answer) -> (Schedule, Log) {
    let log = Log::default();
    let (start, asked) = (Instant::now(), Arc::clone(&log));
    let service = service_fn(move |request: Request<Body>| {
        let at = start.elapsed().as_secs();
        let what = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let is_log = what == "log";
        asked.lock().expect("nobody panicked").push((at, what));
        async move {
            match answer(at) {
                Some(_) if is_log => Ok::<_, BoxError>(Response::new(Full::new(Bytes::from("ERROR no such host\n")))),
                Some(answer) => Ok(Response::new(Full::new(Bytes::from(answer.to_string())))),
                None => std::future::pending().await,
            }
        }
    });
    let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
    let targets = cli::wait(words).expect(line).targets.into_iter().map(|target| target.resolve("shop"));
    let inspector = Inspector { client: Client::of_service(service), identity: Identity::default(), quotes: true };
    (Schedule::new(inspector, targets, timeout), log)
}

#[expect(clippy::unnecessary_wraps, reason = "it is an `Answer`")]
fn nothing(_: u64) -> Option<serde_json::Value> {
    Some(json!({"items": [], "columnDefinitions": [], "rows": []}))
}

/// A pod that cannot be scheduled, for another reason each time.
#[expect(clippy::unnecessary_wraps, reason = "it is an `Answer`")]
fn unscheduled(at: u64) -> Option<serde_json::Value> {
    let condition = json!({"type": "PodScheduled", "status": "False", "message": format!("at {at}")});
    let pod = json!({"metadata": {"name": "db-0"}, "status": {"phase": "Pending", "conditions": [condition]}});
    Some(json!({"items": [pod]}))
}

fn waiting() -> Verdict {
    Verdict::waiting(Code::PodsNotReady, "0 of 1 pod ready")
}

fn missing() -> Verdict {
    Verdict::waiting(Code::NotFound, "there is none")
}

/// Runs it until this second, as the wait does: every answer is taken.
async fn run(schedule: &mut Schedule, until: Instant) {
    // Nothing is known at first.
    let mut before = None;
    loop {
        tokio::select! {
            learned = schedule.next() => {
                let text = text(&learned);
                schedule.learned(learned.index, before == text, false);
                before = text;
            }
            () = sleep_until(until) => return,
        }
    }
}

fn text(learned: &Learned) -> Option<String> {
    learned.explanation.headline.clone()
}

fn seconds(log: &Log, wanted: &str) -> Vec<u64> {
    let log = log.lock().expect("nobody panicked");
    log.iter().filter(|(_, what)| what == wanted).map(|(at, _)| *at).collect()
}

#[tokio::test(start_paused = true)]
async fn reason_is_asked_about_after_5_s_and_then_in_the_rhythm_of_all_targets() {
    let start = Instant::now();
    let at = |second| start + Duration::from_secs(second);
    let (mut schedule, log) = schedule("pod/db-0 pod/db-1", None, unscheduled);
    schedule.note(0, &waiting());
    run(&mut schedule, at(3)).await;
    schedule.note(0, &Verdict::waiting(Code::PodsNotReady, "numbers that change are no new reason"));
    run(&mut schedule, at(200)).await;
    assert_eq!(seconds(&log, "pods"), [5, 25, 65, 125, 185], "more often at first, then 30 s for each target");
}

#[tokio::test(start_paused = true)]
async fn same_answer_is_asked_for_less_often() {
    let start = Instant::now();
    let (mut schedule, log) = schedule("pod/db-0", None, nothing);
    schedule.note(0, &waiting());
    run(&mut schedule, start + Duration::from_secs(200)).await;
    assert_eq!(seconds(&log, "pods"), [5, 15, 35, 75, 135, 195]);
}

#[tokio::test(start_paused = true)]
async fn target_that_is_ready_is_not_asked_about() {
    let start = Instant::now();
    let (mut schedule, log) = schedule("pod/db-0", None, unscheduled);
    schedule.note(0, &waiting());
    run(&mut schedule, start + Duration::from_secs(12)).await;
    assert!(!schedule.note(0, &Verdict::Ready), "and what was known of it is out of date");
    run(&mut schedule, start + Duration::from_secs(200)).await;
    assert_eq!(seconds(&log, "pods"), [5]);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_asked_about_after_2_s_and_once_more_after_a_minute() {
    let start = Instant::now();
    let (mut schedule, log) = schedule("job/migrate", None, nothing);
    schedule.note(0, &missing());
    run(&mut schedule, start + Duration::from_mins(5)).await;
    assert_eq!(seconds(&log, "jobs"), [2, 60]);
    assert_eq!(seconds(&log, "events"), [2, 60], "was there one of this name?");
}

/// Whatever is under way, and however slow it is.
#[tokio::test(start_paused = true)]
async fn report_on_a_failure_does_not_wait_for_other_questions() {
    let start = Instant::now();
    let line = "pod/a pod/b pod/c pod/d";
    let (mut schedule, log) = schedule(line, None, |at| if at < 10 { None } else { unscheduled(at) });
    for index in 0..4 {
        schedule.note(index, &waiting());
    }
    run(&mut schedule, start + Duration::from_secs(10)).await;
    assert_eq!(seconds(&log, "pods"), [5, 5], "two connections, and nobody answers");
    schedule.note(0, &Verdict::failed(Code::PodFailed, "failed"));
    let closed = schedule.close([0]).await;
    assert_eq!((start.elapsed().as_secs(), closed.len()), (10, 1));
    assert_eq!(text(&closed[0]).as_deref(), Some("pod db-0 cannot be scheduled: at 10"));
}

#[tokio::test(start_paused = true)]
async fn report_on_a_failure_that_is_outlived_does_not_wait_either() {
    let start = Instant::now();
    let line = "pod/a pod/b pod/c pod/d";
    let (mut schedule, _) = schedule(line, None, |at| if at < 10 { None } else { unscheduled(at) });
    for index in 0..4 {
        schedule.note(index, &waiting());
    }
    run(&mut schedule, start + Duration::from_secs(10)).await;
    schedule.note(3, &Verdict::failed(Code::PodFailed, "failed"));
    schedule.report(3);
    let learned = schedule.next().await;
    assert!(learned.is_report && learned.index == 3, "before anything else");
    assert_eq!(text(&learned).as_deref(), Some("pod db-0 cannot be scheduled: at 10"));
    run(&mut schedule, start + Duration::from_secs(20)).await;
    assert!(schedule.cases.iter().all(|case| !case.running), "and what was under way was asked again");
}

#[tokio::test(start_paused = true)]
async fn report_on_a_failure_that_is_outlived_is_told_as_one() {
    let (mut schedule, _) = schedule("pod/a", None, unscheduled);
    schedule.note(0, &Verdict::failed(Code::PodFailed, "failed"));
    schedule.report(0);
    let learned = schedule.next().await;
    assert!(learned.is_report && text(&learned).is_some());
}

#[tokio::test(start_paused = true)]
async fn report_takes_2_s_at_most() {
    let start = Instant::now();
    let (mut schedule, _) = schedule("pod/a", None, |_| None);
    schedule.note(0, &Verdict::failed(Code::PodFailed, "failed"));
    let closed = schedule.close([0]).await;
    assert_eq!((start.elapsed().as_millis(), text(&closed[0])), (2_000, None));
}

#[tokio::test(start_paused = true)]
async fn closing_report_is_begun_3_s_before_the_deadline() {
    let start = Instant::now();
    let (mut schedule, log) = schedule("pod/a", Some(Duration::from_mins(1)), unscheduled);
    schedule.note(0, &waiting());
    run(&mut schedule, start + Duration::from_mins(1)).await;
    assert_eq!(seconds(&log, "pods"), [5, 15, 35, 57]);
}

/// A change of what is behind it brings the next look forward, the less the more often there are changes.
#[tokio::test(start_paused = true)]
async fn change_behind_a_target_is_looked_at_soon_and_a_restless_one_seldom() {
    let start = Instant::now();
    let at = |second| start + Duration::from_secs(second);
    let (mut schedule, log) = schedule("job/migrate", None, nothing);
    schedule.note(0, &waiting());
    run(&mut schedule, at(80)).await;
    assert_eq!(seconds(&log, "pods"), [5, 15, 35, 75]);
    for second in 80..300 {
        schedule.stirred(0);
        run(&mut schedule, at(second + 1)).await;
    }
    assert_eq!(seconds(&log, "pods")[4..], [81, 91, 111, 141, 171, 201, 231, 261, 291]);
}

/// An answer of pods that failed, and after a while none are left: their Job is deleting them.
#[tokio::test(start_paused = true)]
async fn cause_and_log_are_told_when_the_pod_is_gone() {
    let start = Instant::now();
    let (mut schedule, _) = schedule("job/migrate", None, crashed);
    schedule.note(0, &waiting());
    run(&mut schedule, start + Duration::from_secs(20)).await;
    schedule.note(0, &Verdict::failed(Code::PodFailed, "failed"));
    let closed = schedule.close([0]).await;
    let Explanation { headline, log, .. } = closed.into_iter().next().expect("a report").explanation;
    assert_eq!(
        headline.as_deref(),
        Some("container main of pod migrate-x7k2p failed with exit code 3 after 1 restart")
    );
    assert_eq!(log.expect("a log").lines, ["ERROR no such host"]);
}

/// A Job's pod that has crashed and runs again, for 10 s.
fn crashed(at: u64) -> Option<serde_json::Value> {
    if at > 10 {
        return nothing(at);
    }
    let last = json!({"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z"}});
    let status = json!({"name": "main", "image": "busybox:1.37", "imageID": "", "ready": true, "restartCount": 1,
        "state": {"running": {}}, "lastState": last});
    let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "migrate", "uid": "1", "controller": true});
    let metadata = json!({"name": "migrate-x7k2p", "namespace": "shop", "ownerReferences": [owner]});
    Some(json!({"items": [{"metadata": metadata, "status": {"phase": "Running", "containerStatuses": [status]}}]}))
}
