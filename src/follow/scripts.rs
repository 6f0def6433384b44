//! Observers under a paused clock: updates come at their millisecond, and every step is told with its own.

use std::ffi::OsString;
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::behind::{BackendUpdates, objects_by_backend};
use super::course::Course;
use super::{Absent, Known, Options, Step, job, set};
use crate::api::failure::{Class, Failure};
use crate::api::watch::{Listed, LookBy, Method, NoWatch, Update};
use crate::cli;
use crate::kinds::behind::{Backend, Entry};
use crate::kinds::{self, Judged, Reading, endpointslice, job as job_kind, pod as pods_kind, service as services_kind};
use crate::target::Target;
use crate::target::verdict::{Code, Verdict};

/// When the last step of a script is over for sure.
const END: Duration = Duration::from_mins(1);
/// The server's clock at every list, in seconds.
const DATE: i64 = 1_000;

pub(super) fn target(line: &str) -> Target {
    let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
    cli::wait(words).expect(line).targets.remove(0)
}

pub(super) fn options() -> Options {
    let (settle, absence) = (Duration::from_secs(2), Duration::from_secs(2));
    Options { min: 1, settle, absence, outlives_failure: false, own_uid: Some("itself".to_owned()) }
}

pub(super) fn applied(object: Value) -> Update<Value> {
    Update::Applied(object)
}

pub(super) fn deleted(object: Value) -> Update<Value> {
    Update::Deleted(object)
}

pub(super) fn listed<const N: usize>(objects: [Value; N]) -> Update<Value> {
    let date = Timestamp::from_second(DATE).expect("a time");
    Update::Listed(Listed { objects: objects.into(), date, asked: Instant::now() })
}

/// As the watch hands it on: with what is kept of the objects.
fn kept<T: 'static>(
    updates: LocalBoxStream<'static, Update<Value>>,
    read: impl Fn(&str) -> serde_json::Result<(T, String)> + 'static,
) -> LocalBoxStream<'static, Update<T>> {
    let read = move |object: Value| read(&object.to_string()).expect("an object").0;
    let kept = updates.map(move |update| match update {
        Update::Listed(Listed { objects, date, asked }) => {
            Update::Listed(Listed { objects: objects.into_iter().map(&read).collect(), date, asked })
        }
        Update::Applied(object) => Update::Applied(read(object)),
        Update::Deleted(object) => Update::Deleted(read(object)),
        Update::Live => Update::Live,
        Update::Blind => Update::Blind,
        Update::Failed(failure) => Update::Failed(failure),
        Update::Recovered => Update::Recovered,
        Update::Method(method) => Update::Method(method),
    });
    kept.boxed_local()
}

/// The steps of a target of pods or Jobs.
pub(super) fn followed(
    target: Target,
    options: Options,
    updates: LocalBoxStream<'static, Update<Value>>,
    look_by: LookBy,
) -> LocalBoxStream<'static, Step> {
    let reading = Reading::of(&target, options.own_uid.clone());
    let judged = kinds::judged(&target);
    let course = Course::new(target, options, look_by);
    match judged {
        Judged::Set(read) => set::objects(course, kept(updates, move |json| read(json, &reading))),
        Judged::Jobs(read) => job::jobs(course, kept(updates, move |json| read(json, &reading))),
        Judged::Behind(_) => panic!("followed by `behind`"),
    }
}

/// What is asked behind a Service, and the updates that are the answer.
type Answers = Box<dyn Fn(&Entry) -> LocalBoxStream<'static, Update<Value>>>;

/// The steps of a target that is judged by what is behind it.
fn followed_behind(
    target: Target,
    updates: LocalBoxStream<'static, Update<Value>>,
    answers: Answers,
) -> LocalBoxStream<'static, Step> {
    let Judged::Behind(behind) = kinds::judged(&target) else { panic!("{target} is judged by itself") };
    let reading = Reading::of(&target, options().own_uid);
    let course = Course::new(target, options(), LookBy::default());
    let open = move |entry: &Entry| {
        let every = |kind| Reading::every(kind, options().own_uid);
        Some(match &entry.backend {
            Backend::Pods { .. } => {
                let reading = every(&pods_kind::ROW.kind);
                BackendUpdates::Pods(kept(answers(entry), move |json| pods_kind::read(json, &reading)))
            }
            Backend::Jobs { .. } => {
                let reading = every(&job_kind::ROW.kind);
                BackendUpdates::Jobs(kept(answers(entry), move |json| job_kind::read(json, &reading)))
            }
            Backend::Slices => BackendUpdates::Slices(kept(answers(entry), endpointslice::read)),
            Backend::External => return None,
        })
    };
    let for_entries = reading.clone();
    let entries = kept(updates, move |json| (behind.read)(json, &for_entries));
    objects_by_backend(course, behind, reading, entries, Box::new(open))
}

pub(super) fn failed() -> Update<Value> {
    Update::Failed(failure())
}

fn failure() -> Failure {
    Failure { class: Class::Transient, text: "no answer".to_owned(), retry_after: None }
}

/// The updates, each at its millisecond; then silence. A watch is open from the first list on.
pub(super) fn script<const N: usize>(updates: [(u64, Update<Value>); N]) -> LocalBoxStream<'static, Update<Value>> {
    let mut listed = false;
    let watched = updates.into_iter().flat_map(move |(at, update)| {
        let opens = !listed && matches!(update, Update::Listed(_));
        listed |= opens;
        [Some((at, update)), opens.then_some((at, Update::Live))].into_iter().flatten()
    });
    blind_script(watched)
}

/// The same without a watch, but for the one that the updates speak of.
pub(super) fn blind_script(
    updates: impl IntoIterator<Item = (u64, Update<Value>)>,
) -> LocalBoxStream<'static, Update<Value>> {
    let start = Instant::now();
    let updates: Vec<_> = updates.into_iter().collect();
    let timed = stream::iter(updates).then(move |(at, update)| async move {
        sleep_until(start + Duration::from_millis(at)).await;
        match update {
            Update::Listed(listed) => Update::Listed(Listed { asked: Instant::now(), ..listed }),
            update => update,
        }
    });
    timed.chain(stream::pending()).boxed_local()
}

/// `2000 ready`: every step with its millisecond; `end` if the observer says that there is nothing more.
pub(super) async fn told(mut steps: LocalBoxStream<'static, Step>) -> Vec<String> {
    let start = Instant::now();
    let mut told = Vec::new();
    while let Ok(step) = timeout_at(start + END, steps.next()).await {
        if matches!(step, Some(Step::Known(_))) {
            continue;
        }
        let text = step.as_ref().map_or("end".to_owned(), text);
        told.push(format!("{} {text}", start.elapsed().as_millis()));
        if step.is_none() {
            break;
        }
    }
    told
}

fn text(step: &Step) -> String {
    match step {
        Step::Verdict(Verdict::Ready) => "ready".to_owned(),
        Step::Verdict(Verdict::Waiting(reason)) => format!("waiting {}", reason.code),
        Step::Verdict(Verdict::Failed(reason)) => format!("failed {}", reason.code),
        Step::Outage(failure) => format!("trouble: {}", failure.text),
        Step::Recovered => "recovered".to_owned(),
        Step::Mark(uids) => format!("mark {}", uids.join(" ")),
        Step::Absent(Absent::Never) => "absent".to_owned(),
        Step::Absent(Absent::Vanished(uids)) => format!("vanished {}", uids.join(" ")),
        Step::Remark(text) => format!("remark: {text}"),
        Step::Method(method, _) => format!("{method:?}"),
        other => format!("{other:?}"),
    }
}

/// A pod that has been in its state since this second.
pub(super) fn pod(name: &str, phase: &str, ready: &str, since: i64) -> Value {
    let since = Timestamp::from_second(since).expect("a time").to_string();
    let ready = json!({"type": "Ready", "status": ready, "lastTransitionTime": since});
    let metadata = json!({"name": name, "namespace": "shop", "uid": name, "labels": {"app": "db"}});
    json!({"metadata": metadata, "status": {"phase": phase, "conditions": [ready]}})
}

pub(super) fn ready(name: &str) -> Value {
    pod(name, "Running", "True", DATE)
}

pub(super) fn unready(name: &str) -> Value {
    pod(name, "Pending", "False", DATE)
}

async fn pods_told<const N: usize>(line: &str, updates: [(u64, Update<Value>); N]) -> Vec<String> {
    told(followed(target(line), options(), script(updates), LookBy::default())).await
}

#[tokio::test(start_paused = true)]
async fn growing_stateful_set_is_not_let_go_at_one_of_three() {
    let updates = [
        (0, listed([unready("db-0")])),
        (1_000, applied(ready("db-0"))),
        (1_003, applied(unready("db-1"))),
        (5_000, applied(ready("db-1"))),
        (5_003, applied(unready("db-2"))),
        (9_000, applied(ready("db-2"))),
    ];
    let expected = [
        "0 waiting PodsNotReady",
        "1000 waiting Settling",
        "1003 waiting PodsNotReady",
        "5000 waiting Settling",
        "5003 waiting PodsNotReady",
        "9000 waiting Settling",
        "11000 ready",
    ];
    assert_eq!(pods_told("pod -lapp=db", updates).await, expected);
}

/// The readiness time is taken by the node's clock, which may be behind: only a minute more than the rest is sure.
#[tokio::test(start_paused = true)]
async fn n8_only_pods_that_have_been_ready_for_much_longer_need_no_rest() {
    let at = |second| pod("db-0", "Running", "True", second);
    // Both clocks are whole seconds: of two that differ by 63, one may be 62.001 s before the other.
    assert_eq!(pods_told("pod -lapp=db", [(0, listed([at(DATE - 63)]))]).await, ["0 ready"]);
    for second in [DATE - 62, DATE - 3, DATE, DATE + 5] {
        let told = pods_told("pod -lapp=db", [(0, listed([at(second)]))]).await;
        assert_eq!(told, ["0 waiting Settling", "2000 ready"], "{second}");
    }
}

#[tokio::test(start_paused = true)]
async fn rest_is_told_with_its_length() {
    let step = followed(target("pod -lapp=db"), options(), script([(0, listed([ready("db-0")]))]), LookBy::default());
    let step = step.filter(|step| std::future::ready(matches!(step, Step::Verdict(_)))).next().await;
    let expected = Verdict::waiting(Code::Settling, "1 pod ready; must stay ready for 2s");
    assert_eq!(step, Some(Step::Verdict(expected)));
}

#[tokio::test(start_paused = true)]
async fn youngest_pod_decides_how_long_the_set_has_rested() {
    let old = pod("db-0", "Running", "True", DATE - 100);
    let told = pods_told("pod -lapp=db", [(0, listed([old.clone(), ready("db-1")]))]).await;
    assert_eq!(told, ["0 waiting Settling", "2000 ready"]);
    let mut silent = pod("db-1", "Succeeded", "False", DATE);
    silent["status"]["conditions"] = json!([]);
    let told = pods_told("pod -lapp=db", [(0, listed([old, silent]))]).await;
    assert_eq!(told, ["0 waiting Settling", "2000 ready"], "a pod that does not say how long may be young");
}

#[tokio::test(start_paused = true)]
async fn ages_count_at_the_first_look_only() {
    let old = |name| pod(name, "Running", "True", DATE - 100);
    let updates = [(0, listed([])), (1_000, applied(old("db-0"))), (1_500, listed([old("db-0"), old("db-1")]))];
    let expected = ["0 waiting NotFound", "1000 waiting Settling", "1500 waiting Settling", "3500 ready"];
    assert_eq!(pods_told("pod -lapp=db", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn any_change_of_the_set_begins_the_rest_anew() {
    let succeeded = pod("db-0", "Succeeded", "False", DATE);
    let failed = pod("db-1", "Failed", "False", DATE);
    let updates = [
        (0, listed([ready("db-0"), ready("db-1")])),
        (1_000, deleted(ready("db-1"))),
        (2_000, applied(succeeded)),
        (3_000, applied(ready("db-1"))),
        (4_000, applied(failed)),
    ];
    let told = pods_told("pod-we -lapp=db", updates).await;
    let remark = "6000 remark: failed (pod-we accepts that): pod db-1 has failed; nothing replaces it";
    let expected = ["0 waiting Settling", "1000 waiting Settling", "3000 waiting Settling", remark, "6000 ready"];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn pod_that_succeeds_begins_the_rest_anew() {
    let updates = [(0, listed([unready("db-0")])), (9_000, applied(pod("db-0", "Succeeded", "False", DATE)))];
    let expected = ["0 waiting PodsNotReady", "9000 waiting Settling", "11000 ready"];
    assert_eq!(pods_told("pod -lapp=db", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn pod_that_is_only_touched_does_not_disturb_the_rest() {
    let mut touched = ready("db-0");
    touched["metadata"]["resourceVersion"] = "7".into();
    let leaving =
        json!({"metadata": {"name": "db-1", "namespace": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let itself = json!({"metadata": {"name": "web-0", "namespace": "shop", "uid": "itself"}});
    let updates =
        [(0, listed([ready("db-0")])), (1_000, applied(touched)), (1_200, applied(leaving)), (1_400, applied(itself))];
    assert_eq!(pods_told("pod -lapp=db", updates).await, ["0 waiting Settling", "2000 ready"]);
}

#[tokio::test(start_paused = true)]
async fn names_and_one_that_is_enough_need_no_rest() {
    for line in ["pod db-0", "pod-we db-0", "pod-wr db-0", "pod-wr -lapp=db"] {
        assert_eq!(pods_told(line, [(0, listed([ready("db-0")]))]).await, ["0 ready"], "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn pods_count_as_they_are_now() {
    let updates = [
        (0, listed([ready("db-0")])),
        (100, applied(unready("db-0"))),
        (200, listed([])),
        (300, applied(ready("db-0"))),
        (400, deleted(ready("db-0"))),
    ];
    let expected = ["0 ready", "100 waiting PodsNotReady", "200 waiting NotFound", "300 ready", "400 waiting NotFound"];
    assert_eq!(pods_told("pod db-0", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn trouble_its_end_and_ways_are_passed_on() {
    let updates = [
        (0, failed()),
        (100, failed()),
        (200, Update::Recovered),
        (200, listed([ready("db-0")])),
        (300, failed()),
        (400, Update::Method(Method::List(NoWatch::Forbidden))),
    ];
    let expected = [
        "0 trouble: no answer",
        "100 trouble: no answer",
        "200 recovered",
        "200 ready",
        "300 trouble: no answer",
        "300 waiting NotSeen",
        "400 List(Forbidden)",
    ];
    assert_eq!(pods_told("pod db-0", updates).await, expected);
    let updates = [
        (0, failed()),
        (200, Update::Recovered),
        (300, Update::Method(Method::Get(NoWatch::Forbidden))),
        (400, listed([])),
    ];
    let expected =
        ["0 trouble: no answer", "200 recovered", "300 Get(Forbidden)", "400 waiting NotFound", "2400 absent"];
    assert_eq!(jobs_told("job migrate", updates).await, expected);
}

/// With `list` alone; the second list comes when the rest is over.
async fn polled_pods_told(line: &str, updates: impl IntoIterator<Item = (u64, Update<Value>)>) -> Vec<String> {
    told(followed(target(line), options(), blind_script(updates), LookBy::default())).await
}

#[tokio::test(start_paused = true)]
async fn n1_rest_that_nobody_saw_is_no_rest() {
    let grown = [(0, listed([ready("db-0")])), (5_000, listed([ready("db-0"), unready("db-1")]))];
    assert_eq!(polled_pods_told("pod -lapp=db", grown).await, ["0 waiting Settling", "5000 waiting PodsNotReady"]);
    let same = [(0, listed([ready("db-0")])), (1_999, listed([ready("db-0")])), (2_500, listed([ready("db-0")]))];
    assert_eq!(polled_pods_told("pod -lapp=db", same).await, ["0 waiting Settling", "2500 ready"]);
    assert_eq!(polled_pods_told("pod -lapp=db", [(0, listed([ready("db-0")]))]).await, ["0 waiting Settling"]);
}

#[tokio::test(start_paused = true)]
async fn n1_rest_ends_by_a_look_that_is_asked_for_at_its_end() {
    let look_by = LookBy::default();
    let steps =
        followed(target("pod -lapp=db"), options(), blind_script([(0, listed([ready("db-0")]))]), look_by.clone());
    let start = Instant::now();
    told(steps.take_until(sleep_until(start + Duration::from_secs(1))).boxed_local()).await;
    assert_eq!(look_by.wanted(), Some(start + Duration::from_secs(2)));
}

/// With how each state is known.
async fn known(steps: LocalBoxStream<'static, Step>) -> Vec<String> {
    let start = Instant::now();
    let steps = steps.take_until(sleep_until(start + END)).map(|step| match step {
        Step::Known(Known::Live) => "live".to_owned(),
        Step::Known(Known::Since(held)) => format!("as of {}", (held - start).as_millis()),
        step => text(&step),
    });
    steps.collect().await
}

/// At no moment the two together promise more than they should.
#[tokio::test(start_paused = true)]
async fn n1_how_it_is_known_is_told_before_a_ready_and_after_all_else() {
    let updates = [
        (0, listed([ready("db-0")])),
        (100, Update::Live),
        (1_000, applied(unready("db-0"))),
        (2_000, Update::Blind),
        (3_000, listed([ready("db-0")])),
        (4_000, listed([unready("db-0")])),
    ];
    let told = known(followed(target("pod db-0"), options(), blind_script(updates), LookBy::default())).await;
    let expected = [
        "as of 0",
        "ready",
        "live",
        "waiting PodsNotReady",
        "as of 2000",
        "as of 3000",
        "ready",
        "waiting PodsNotReady",
        "as of 4000",
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn n1_service_is_known_as_its_less_known_half_is() {
    let updates = || blind_script([(0, listed([selecting("db", "db")])), (0, Update::Live), (3_000, Update::Blind)]);
    let polled = |_: &Entry| blind_script([(1_000, listed([old("db-0")])), (2_000, listed([old("db-0")]))]);
    let told = known(followed_behind(target("service db"), updates(), Box::new(polled))).await;
    assert_eq!(told, ["as of 1000", "ready", "as of 2000"], "of two that nobody looks at, the older");
    let watched = |_: &Entry| blind_script([(1_000, listed([old("db-0")])), (1_500, Update::Live)]);
    let told = known(followed_behind(target("service db"), updates(), Box::new(watched))).await;
    assert_eq!(told, ["as of 1000", "ready", "live", "as of 3000"]);
}

/// A flap between two looks leaves its time behind.
#[tokio::test(start_paused = true)]
async fn n1_pod_that_was_ready_since_another_time_begins_the_rest_anew() {
    let since = |second| listed([pod("db-0", "Running", "True", second)]);
    let told = polled_pods_told("pod -lapp=db", [(0, since(DATE)), (2_000, since(DATE + 1)), (4_000, since(DATE + 1))]);
    assert_eq!(told.await, ["0 waiting Settling", "4000 ready"]);
}

#[tokio::test(start_paused = true)]
async fn n1_rest_without_answers_does_not_count() {
    let updates = [
        (0, listed([ready("db-0")])),
        (0, Update::Live),
        (100, Update::Blind),
        (100, failed()),
        (9_000, failed()),
        (9_500, Update::Recovered),
        (9_500, listed([ready("db-0")])),
    ];
    let expected = [
        "0 waiting Settling",
        "100 trouble: no answer",
        "100 waiting NotSeen",
        "9000 trouble: no answer",
        "9500 recovered",
        "9500 ready",
    ];
    assert_eq!(polled_pods_told("pod -lapp=db", updates).await, expected);
}

/// What has happened meanwhile comes somewhat after a watch was resumed.
#[tokio::test(start_paused = true)]
async fn n1_watch_that_was_resumed_counts_once_it_has_caught_up() {
    let updates = |last| {
        [(0, listed([ready("db-0")])), (0, Update::Live), (1_000, Update::Blind), (2_500, last), (2_600, Update::Live)]
    };
    let same = polled_pods_told("pod -lapp=db", updates(applied(ready("db-0")))).await;
    assert_eq!(same, ["0 waiting Settling", "2600 ready"]);
    let grown = polled_pods_told("pod -lapp=db", updates(applied(unready("db-1")))).await;
    assert_eq!(grown, ["0 waiting Settling", "2500 waiting PodsNotReady"]);
}

#[tokio::test(start_paused = true)]
async fn n1_ready_that_cannot_be_looked_at_is_taken_back() {
    let updates = [(0, listed([ready("db-0")])), (500, failed()), (900, Update::Recovered), (1_400, Update::Live)];
    let expected = ["0 ready", "500 trouble: no answer", "500 waiting NotSeen", "900 recovered", "1400 ready"];
    assert_eq!(pods_told("pod db-0", updates).await, expected);
}

/// The clock stands still unless somebody sleeps: a loop that spins would never end.
#[tokio::test(start_paused = true)]
async fn n1_no_loop_spins_while_the_pods_of_a_second_service_are_not_seen() {
    let updates = [(0, listed([selecting("db", "db")])), (1_000, applied(selecting("cache", "cache")))];
    let behind = |app: &str| match app {
        "db" => pods_behind([(0, listed([ready("db-0")]))]),
        _ => pods_behind([]),
    };
    let told = services_told("service -n shop", updates, behind).await;
    assert_eq!(told, ["0 waiting Settling", "1000 waiting NotLookedYet"], "and what is said is what holds now");
}

/// A StatefulSet's pod that is asked to go within so many seconds of the last list.
fn leaving(name: &str, kind: &str, within: i64) -> Value {
    let mut pod = pod(name, "Running", "True", DATE - 1_000);
    pod["metadata"]["deletionTimestamp"] = Timestamp::from_second(DATE + within).expect("a time").to_string().into();
    pod["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": kind, "name": "db", "uid": "set", "controller": true}]);
    pod
}

fn old(name: &str) -> Value {
    pod(name, "Running", "True", DATE - 1_000)
}

#[tokio::test(start_paused = true)]
async fn n8_set_is_held_by_a_pod_whose_replacement_cannot_exist_yet() {
    for kind in ["StatefulSet", "DaemonSet"] {
        let updates = [
            (0, listed([old("db-0"), old("db-1"), leaving("db-2", kind, 30)])),
            (5_000, deleted(leaving("db-2", kind, 30))),
            (5_100, applied(unready("db-2"))),
            (8_000, applied(ready("db-2"))),
        ];
        let expected = [
            "0 waiting BeingReplaced",
            "5000 waiting Settling",
            "5100 waiting PodsNotReady",
            "8000 waiting Settling",
            "10000 ready",
        ];
        assert_eq!(pods_told("pod -lapp=db", updates).await, expected, "{kind}");
    }
    let updates = [(0, listed([old("db-0"), leaving("db-1", "ReplicaSet", 30)]))];
    assert_eq!(pods_told("pod -lapp=db", updates).await, ["0 ready"], "it has its replacement already");
    let updates = [(0, listed([old("db-0"), leaving("db-1", "StatefulSet", 30)]))];
    assert_eq!(pods_told("pod-wr -lapp=db", updates).await, ["0 ready"], "one is enough");
}

#[tokio::test(start_paused = true)]
async fn n8_pod_of_a_dead_node_holds_its_set_for_a_minute_after_its_grace() {
    let updates = || [(0, listed([old("db-0"), leaving("db-1", "StatefulSet", -30)]))];
    let remark = "remark: pod db-1 should have been gone a minute ago (is its node down?); no longer waited for";
    let expected = [
        "0 waiting BeingReplaced".to_owned(),
        format!("30000 {remark}"),
        "30000 waiting Settling".to_owned(),
        "32000 ready".to_owned(),
    ];
    assert_eq!(pods_told("pod -lapp=db", updates()).await, expected);
    // However long its pods have been ready: one that was given up may come back as another one.
    let late = [(0, listed([old("db-0"), leaving("db-1", "StatefulSet", -61)]))];
    let expected = [format!("0 {remark}"), "0 waiting Settling".to_owned(), "2000 ready".to_owned()];
    assert_eq!(pods_told("pod -lapp=db", late).await, expected);
}

#[tokio::test(start_paused = true)]
async fn n8_service_is_held_by_a_pod_behind_it_that_will_be_replaced() {
    let behind = |_: &str| {
        pods_behind([
            (0, listed([old("db-0"), leaving("db-1", "StatefulSet", 30)])),
            (4_000, deleted(leaving("db-1", "StatefulSet", 30))),
        ])
    };
    let updates = || [(0, listed([selecting("db", "db")]))];
    let expected = ["0 waiting BeingReplaced", "4000 waiting Settling", "6000 ready"];
    assert_eq!(services_told("service db", updates(), behind).await, expected);
    assert_eq!(services_told("service-wr db", updates(), behind).await, ["0 ready"]);
}

#[tokio::test(start_paused = true)]
async fn n13_named_target_is_absent_once_good_looks_have_lacked_it_for_2_s() {
    let told = pods_told("pod db-0", [(0, listed([]))]).await;
    assert_eq!(told, ["0 waiting NotFound", "2000 absent"]);
    let polled = polled_pods_told("pod db-0", [(0, listed([])), (1_000, listed([])), (6_000, listed([]))]).await;
    assert_eq!(polled, ["0 waiting NotFound", "6000 absent"]);
    let blind = polled_pods_told("pod db-0", [(0, listed([])), (1_000, failed())]).await;
    assert_eq!(blind, ["0 waiting NotFound", "1000 trouble: no answer"]);
    let seen = pods_told("pod db-0", [(0, listed([ready("db-0")])), (100, deleted(ready("db-0")))]).await;
    assert_eq!(seen, ["0 ready", "100 waiting NotFound"], "one that was seen is waited for");
    assert_eq!(pods_told("pod -lapp=db", [(0, listed([]))]).await, ["0 waiting NotFound"]);
    let never = |_: &str| panic!("there is no Service");
    let service = services_told("service db", [(0, listed([]))], never).await;
    assert_eq!(service, ["0 waiting NotFound", "2000 absent"]);
}

#[tokio::test(start_paused = true)]
async fn n13_absence_is_proved_by_a_look_that_is_asked_for() {
    let look_by = LookBy::default();
    let updates = [(0, listed([])), (2_000, listed([]))];
    let start = Instant::now();
    let steps = followed(target("pod db-0"), options(), blind_script(updates), look_by.clone());
    told(steps.take_until(sleep_until(start + Duration::from_secs(1))).boxed_local()).await;
    assert_eq!(look_by.wanted(), Some(start + Duration::from_secs(2)));
}

pub(super) fn job(uid: &str, condition: Option<&str>) -> Value {
    named_job("migrate", uid, condition)
}

pub(super) fn named_job(name: &str, uid: &str, condition: Option<&str>) -> Value {
    let metadata = json!({"name": name, "namespace": "shop", "uid": uid});
    let conditions: Vec<Value> =
        condition.into_iter().map(|kind| json!({"type": kind, "status": "True", "reason": "Because"})).collect();
    json!({"metadata": metadata, "status": {"active": 1, "startTime": "2026-01-01T00:00:00Z", "conditions": conditions}})
}

async fn jobs_told<const N: usize>(line: &str, updates: [(u64, Update<Value>); N]) -> Vec<String> {
    told(followed(target(line), options(), script(updates), LookBy::default())).await
}

#[tokio::test(start_paused = true)]
async fn ready_job_is_ready_for_good() {
    let complete = || job("1", Some("Complete"));
    let updates = [(0, listed([job("1", None)])), (100, applied(complete())), (200, deleted(complete()))];
    let expected = ["0 waiting Running", "100 mark 1", "100 ready", "100 end"];
    assert_eq!(jobs_told("job migrate", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn deletion_is_decided_by_the_object_that_it_carries() {
    let last = |condition| [(0, listed([job("1", None)])), (100, deleted(job("1", condition)))];
    let told = jobs_told("job migrate", last(Some("Complete"))).await;
    assert_eq!(told, ["0 waiting Running", "100 mark 1", "100 ready", "100 end"]);
    let told = jobs_told("job migrate", last(Some("Failed"))).await;
    assert_eq!(told, ["0 waiting Running", "100 failed Because"], "until there is another one");
    let told = jobs_told("job-we migrate", last(Some("Failed"))).await;
    let remark = "100 remark: failed (job-we accepts that): Because";
    assert_eq!(told, ["0 waiting Running", remark, "100 ready", "100 end"], "an end that leaves no mark");
    let told = jobs_told("job migrate", last(None)).await;
    assert_eq!(told, ["0 waiting Running", "100 waiting NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn job_created_again_is_another_one() {
    let updates = [
        (0, listed([job("1", Some("Failed"))])),
        (100, deleted(job("1", Some("Failed")))),
        (200, applied(job("2", None))),
        (300, applied(job("2", Some("Complete")))),
    ];
    let expected = ["0 failed Because", "200 Replaced", "200 waiting Running", "300 mark 2", "300 ready", "300 end"];
    assert_eq!(jobs_told("job migrate", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn job_missing_after_a_gap_is_told_with_what_was_seen_last() {
    let updates = [(0, listed([job("1", None)])), (100, listed([])), (200, listed([job("2", Some("Complete"))]))];
    let steps = followed(target("job migrate"), options(), script(updates), LookBy::default())
        .take_until(sleep_until(Instant::now() + END));
    let steps: Vec<Step> = steps.filter(|step| std::future::ready(!matches!(step, Step::Known(_)))).collect().await;
    let Some(Step::Verdict(Verdict::Waiting(reason))) = steps.get(1) else { panic!("{steps:?}") };
    let last_seen = "running: 1 pod active";
    assert_eq!(reason.text, format!("does not exist anymore; last seen: {last_seen}"));
    assert_eq!(steps[2..], [Step::Mark(vec!["2".to_owned()]), Step::Verdict(Verdict::Ready)]);
}

#[tokio::test(start_paused = true)]
async fn job_that_was_never_seen_is_not_missing_any_more() {
    let updates = [(0, listed([])), (100, listed([]))];
    let told = jobs_told("job migrate", updates).await;
    assert_eq!(told, ["0 waiting NotFound", "2000 absent"], "and the words do not change");
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_selector_are_judged_with_the_one_that_is_deleted() {
    let a = |condition| named_job("a", "1", condition);
    let b = |condition| named_job("b", "2", condition);
    let updates =
        [(0, listed([a(None), b(None)])), (100, deleted(a(Some("Complete")))), (200, applied(b(Some("Complete"))))];
    // The end of the one that is gone is kept.
    let expected =
        ["0 waiting Running", "100 waiting Running", "200 waiting Settling", "2200 mark 1 2", "2200 ready", "2200 end"];
    assert_eq!(jobs_told("job -n shop", updates).await, expected);
    let updates = [(0, listed([a(None), b(Some("Complete"))])), (100, deleted(a(Some("Complete"))))];
    let expected = ["0 waiting Running", "100 waiting Settling", "2100 mark 1 2", "2100 ready", "2100 end"];
    assert_eq!(jobs_told("job -n shop", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn n3_job_that_vanished_unseen_is_not_one_that_was_deleted() {
    let gap = [(0, listed([job("1", None)])), (100, listed([])), (200, listed([]))];
    assert_eq!(jobs_told("job migrate", gap).await, ["0 waiting Running", "100 waiting NotFound", "2100 vanished 1"]);
    let deleted = [(0, listed([job("1", None)])), (100, deleted(job("1", None)))];
    assert_eq!(jobs_told("job migrate", deleted).await, ["0 waiting Running", "100 waiting NotFound"]);
    let back = [(0, listed([job("1", None)])), (100, listed([])), (900, applied(job("2", None)))];
    let expected = ["0 waiting Running", "100 waiting NotFound", "900 waiting Running"];
    assert_eq!(jobs_told("job migrate", back).await, expected);
}

#[tokio::test(start_paused = true)]
async fn n9_selector_of_jobs_waits_for_those_that_come_a_moment_later() {
    let a = |condition| named_job("a", "1", condition);
    let b = |condition| named_job("b", "2", condition);
    let updates = [
        (0, listed([a(Some("Complete"))])),
        (1_500, applied(b(None))),
        (1_600, deleted(a(Some("Complete")))),
        (5_000, applied(b(Some("Complete")))),
    ];
    let expected = [
        "0 waiting Settling",
        "1500 waiting Running",
        "5000 waiting Settling",
        "7000 mark 1 2",
        "7000 ready",
        "7000 end",
    ];
    for line in ["job -lrelease=r9", "job-wr -lrelease=r9"] {
        assert_eq!(jobs_told(line, updates.clone()).await, expected, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn n9_jobs_that_finished_long_ago_need_no_rest() {
    let at = |second: i64| {
        let mut job = named_job("a", "1", Some("Complete"));
        let time = Timestamp::from_second(second).expect("a time").to_string();
        job["status"]["conditions"][0]["lastTransitionTime"] = time.into();
        job
    };
    assert_eq!(jobs_told("job -lapp=x", [(0, listed([at(DATE - 63)]))]).await[1..], ["0 ready", "0 end"]);
    let told = jobs_told("job -lapp=x", [(0, listed([at(DATE - 62)]))]).await;
    assert_eq!(told, ["0 waiting Settling", "2000 mark 1", "2000 ready", "2000 end"]);
    let never = jobs_told("job -lapp=x", [(0, listed([named_job("a", "1", Some("Complete"))]))]).await;
    assert_eq!(never[0], "0 waiting Settling", "one that does not say when may be young");
}

#[tokio::test(start_paused = true)]
async fn n9_min_counts_jobs_too_and_those_that_are_gone() {
    let complete = |name: &str, uid: &str| named_job(name, uid, Some("Complete"));
    let updates =
        [(0, listed([complete("a", "1")])), (4_000, deleted(complete("a", "1"))), (6_000, applied(complete("b", "2")))];
    let two = Options { min: 2, ..options() };
    let told = told(followed(target("job -lapp=x"), two, script(updates), LookBy::default())).await;
    assert_eq!(told[..2], ["0 waiting TooFew", "6000 waiting Settling"]);
    assert_eq!(told[3..], ["8000 ready", "8000 end"]);
}

#[tokio::test(start_paused = true)]
async fn n9_rest_of_jobs_counts_only_as_far_as_it_was_seen() {
    let complete = || named_job("a", "1", Some("Complete"));
    let updates = [(0, listed([complete()])), (5_000, listed([complete(), named_job("b", "2", None)]))];
    let steps = followed(target("job -lapp=x"), options(), blind_script(updates), LookBy::default());
    assert_eq!(told(steps).await, ["0 waiting Settling", "5000 waiting Running"]);
}

async fn outliving_jobs_told<const N: usize>(line: &str, updates: [(u64, Update<Value>); N]) -> Vec<String> {
    let options = Options { outlives_failure: true, ..options() };
    told(followed(target(line), options, script(updates), LookBy::default())).await
}

#[tokio::test(start_paused = true)]
async fn n13_failed_job_is_waited_for_until_another_takes_its_place() {
    let failed = || job("1", Some("Failed"));
    let updates = [
        (0, listed([failed()])),
        (100, deleted(failed())),
        (5_000, applied(job("2", None))),
        (6_000, applied(job("2", Some("Complete")))),
    ];
    let expected =
        ["0 failed Because", "100 waiting NotFound", "5000 waiting Running", "6000 mark 2", "6000 ready", "6000 end"];
    assert_eq!(outliving_jobs_told("job migrate", updates).await, expected, "and it is never absent");
    let gap = [(0, listed([failed()])), (100, listed([]))];
    assert_eq!(outliving_jobs_told("job migrate", gap).await, ["0 failed Because", "100 waiting NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn n13_selector_whose_failed_job_is_gone_needs_another_one() {
    let failed = || named_job("a", "1", Some("Failed"));
    let done = |name: &str, uid: &str| named_job(name, uid, Some("Complete"));
    let updates = [(0, listed([failed(), done("b", "2")])), (100, deleted(failed())), (9_000, applied(done("c", "3")))];
    let expected = [
        "0 failed Because",
        "100 waiting NotReplaced",
        "9000 waiting Settling",
        "11000 mark 2 3",
        "11000 ready",
        "11000 end",
    ];
    assert_eq!(outliving_jobs_told("job -lapp=x", updates).await, expected);
}

/// One of the last release is none of this target: neither its end nor its going says anything.
#[tokio::test(start_paused = true)]
async fn n3_stale_job_that_vanished_is_nothing_to_be_proved() {
    let of = |release: &str, condition| {
        let mut job = job("1", condition);
        job["metadata"]["labels"] = json!({"release": release});
        job
    };
    let updates = [(0, listed([of("r8", Some("Complete"))])), (1_000, listed([]))];
    let told = jobs_told("job migrate -lrelease=r9", updates).await;
    assert_eq!(told, ["0 waiting Stale", "1000 waiting NotFound", "3000 absent"], "it was never seen");
    let updates = [(0, listed([of("r9", None)])), (1_000, listed([]))];
    let told = jobs_told("job migrate -lrelease=r9", updates).await;
    assert_eq!(told, ["0 waiting Running", "1000 waiting NotFound", "3000 vanished 1"]);
}

#[tokio::test(start_paused = true)]
async fn n3_several_jobs_that_vanished_have_all_to_be_proved() {
    let running = |name: &str, uid: &str| named_job(name, uid, None);
    let updates = [
        (0, listed([running("a", "1"), running("b", "2")])),
        (1_000, listed([running("b", "2")])),
        (2_000, listed([])),
    ];
    let told = jobs_told("job -lapp=x", updates).await;
    assert_eq!(told, ["0 waiting Running", "1000 waiting Running", "2000 waiting NotFound", "4000 vanished 1 2"]);
}

#[tokio::test(start_paused = true)]
async fn n9_job_of_a_selector_that_is_gone_undecided_needs_another_one() {
    let a = || named_job("a", "1", None);
    let b = || named_job("b", "2", Some("Complete"));
    for gone in [deleted(a()), listed([b()])] {
        let updates = [(0, listed([a(), b()])), (1_000, gone), (9_000, applied(named_job("a", "3", Some("Complete"))))];
        let expected = [
            "0 waiting Running",
            "1000 waiting NotReplaced",
            "9000 waiting Settling",
            "11000 mark 3 2",
            "11000 ready",
            "11000 end",
        ];
        let told = jobs_told("job -lapp=x", updates).await;
        assert_eq!(told.len(), expected.len(), "{told:?}");
        assert_eq!([&told[..3], &told[4..]].concat(), [&expected[..3], &expected[4..]].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn n13_each_job_that_is_gone_needs_one_in_its_place() {
    let failed = |name: &str, uid: &str| named_job(name, uid, Some("Failed"));
    let updates = [
        (0, listed([failed("a", "1"), failed("b", "2")])),
        (1_000, deleted(failed("a", "1"))),
        (1_001, deleted(failed("b", "2"))),
        (2_000, applied(named_job("c", "3", Some("Complete")))),
        (6_000, applied(named_job("d", "4", Some("Complete")))),
    ];
    let told = outliving_jobs_told("job -lapp=x", updates).await;
    assert_eq!(
        told[..4],
        ["0 failed Because", "1001 waiting NotFound", "2000 waiting NotReplaced", "6000 waiting Settling"]
    );
}

#[tokio::test(start_paused = true)]
async fn n13_namesake_takes_the_place_of_its_own() {
    let failed = |name: &str, uid: &str| named_job(name, uid, Some("Failed"));
    let updates = [
        (0, listed([failed("a", "1"), failed("b", "2"), named_job("z", "9", Some("Complete"))])),
        (1_000, deleted(failed("a", "1"))),
        (1_001, deleted(failed("b", "2"))),
        (2_000, applied(named_job("b", "3", Some("Complete")))),
    ];
    let options = Options { outlives_failure: true, ..options() };
    let steps = followed(target("job -lapp=x"), options, script(updates), LookBy::default());
    let steps: Vec<Step> = steps.take_until(sleep_until(Instant::now() + END)).collect().await;
    let mut texts = steps.iter().filter_map(|step| match step {
        Step::Verdict(verdict) => verdict.reason().map(|reason| reason.text.as_str()),
        _ => None,
    });
    let expected = "Job a was deleted before it completed and has not been replaced yet";
    assert_eq!(texts.next_back(), Some(expected), "{steps:#?}");
}

#[tokio::test(start_paused = true)]
async fn n13_failed_pod_of_a_selector_that_is_gone_needs_another_one() {
    let failed = || pod("db-1", "Failed", "False", DATE);
    let updates =
        || [(0, listed([old("db-0"), failed()])), (1_000, deleted(failed())), (5_000, applied(ready("db-2")))];
    let options = Options { outlives_failure: true, ..options() };
    let outliving = told(followed(target("pod -lapp=db"), options, script(updates()), LookBy::default())).await;
    let expected = ["0 failed PodFailed", "1000 waiting NotReplaced", "5000 waiting Settling", "7000 ready"];
    assert_eq!(outliving, expected);
}

/// First `FailureTarget`, then `Failed` with another count.
#[tokio::test(start_paused = true)]
async fn n13_failure_is_told_once() {
    let mut later = job("1", Some("Failed"));
    later["status"]["failed"] = 1.into();
    let updates = [(0, listed([job("1", Some("FailureTarget"))])), (100, applied(later))];
    assert_eq!(outliving_jobs_told("job migrate", updates).await, ["0 failed Because"]);
}

fn service(name: &str, spec: Value) -> Value {
    let created = Timestamp::from_second(DATE - 100).expect("a time").to_string();
    let metadata = json!({"name": name, "namespace": "shop", "uid": name, "creationTimestamp": created});
    let mut service = json!({"metadata": metadata});
    service["spec"] = spec;
    service
}

fn selecting(name: &str, app: &str) -> Value {
    service(name, json!({"type": "ClusterIP", "selector": {"app": app}}))
}

/// The steps of Services; `behind` by the value of the label `app`, or the name of the Service with slices.
async fn services_told<const N: usize>(
    line: &str,
    updates: [(u64, Update<Value>); N],
    behind: fn(&str) -> LocalBoxStream<'static, Update<Value>>,
) -> Vec<String> {
    let open = move |entry: &Entry| match &entry.backend {
        Backend::Pods { labels, .. } => behind(labels.trim_start_matches("app=")),
        _ => behind(&entry.key.1),
    };
    told(followed_behind(target(line), script(updates), Box::new(open))).await
}

fn pods_behind<const N: usize>(updates: [(u64, Update<Value>); N]) -> LocalBoxStream<'static, Update<Value>> {
    script(updates)
}

#[tokio::test(start_paused = true)]
async fn service_says_nothing_before_its_pods_were_looked_at() {
    let updates = || [(0, listed([selecting("db", "db")]))];
    let old = |_: &str| pods_behind([(500, listed([pod("db-0", "Running", "True", DATE - 100)]))]);
    assert_eq!(services_told("service db", updates(), old).await, ["500 ready"]);
    let young = |_: &str| pods_behind([(500, listed([ready("db-0")]))]);
    assert_eq!(services_told("service db", updates(), young).await, ["500 waiting Settling", "2500 ready"]);
    assert_eq!(services_told("service-wr db", updates(), young).await, ["500 ready"]);
}

#[tokio::test(start_paused = true)]
async fn service_rests_as_its_pods_do() {
    let behind = |_: &str| {
        pods_behind([
            (0, listed([unready("db-0")])),
            (1_000, applied(ready("db-0"))),
            (1_003, applied(unready("db-1"))),
            (5_000, applied(ready("db-1"))),
            (6_000, applied(pod("db-2", "Succeeded", "False", DATE))),
            (9_000, deleted(ready("db-1"))),
        ])
    };
    let expected = [
        "0 waiting PodsNotReady",
        "1000 waiting Settling",
        "1003 waiting PodsNotReady",
        "5000 waiting Settling",
        "7000 ready",
        "9000 waiting Settling",
        "11000 ready",
    ];
    assert_eq!(services_told("service db", [(0, listed([selecting("db", "db")]))], behind).await, expected);
}

#[tokio::test(start_paused = true)]
async fn service_without_pods_behind_it_needs_no_rest() {
    let elsewhere = || [(0, listed([service("db", json!({"type": "ExternalName"}))]))];
    let never = |_: &str| panic!("nothing is behind a name elsewhere");
    assert_eq!(services_told("service db", elsewhere(), never).await, ["0 ready"]);
    let behind = |_: &str| {
        let slice = listed([json!({"endpoints": [{"addresses": ["192.0.2.1"], "conditions": {}}]})]);
        let gone = listed([json!({"endpoints": null})]);
        script([(300, slice), (400, gone)])
    };
    let updates = [(0, listed([service("db", json!({"type": "ClusterIP"}))]))];
    assert_eq!(services_told("service db", updates, behind).await, ["300 ready", "400 waiting NoEndpoints"]);
}

#[tokio::test(start_paused = true)]
async fn another_service_of_the_selector_takes_ready_back_until_it_was_looked_at() {
    let updates = [(0, listed([selecting("db", "db")])), (1_000, applied(selecting("cache", "cache")))];
    let behind = |app: &str| match app {
        "db" => pods_behind([(0, listed([pod("db-0", "Running", "True", DATE - 100)]))]),
        _ => pods_behind([(500, listed([pod("cache-0", "Running", "True", DATE - 100)]))]),
    };
    let expected = ["0 ready", "1000 waiting NotLookedYet", "1500 waiting Settling", "3500 ready"];
    assert_eq!(services_told("service -n shop", updates, behind).await, expected);
}

#[tokio::test(start_paused = true)]
async fn young_service_of_a_selector_has_to_rest() {
    let mut young = service("db", json!({"type": "ExternalName"}));
    young["metadata"]["creationTimestamp"] = Timestamp::from_second(DATE).expect("a time").to_string().into();
    let old = service("db", json!({"type": "ExternalName"}));
    let never = |_: &str| panic!("nothing is behind a name elsewhere");
    let told = services_told("service -n shop", [(0, listed([young]))], never).await;
    assert_eq!(told, ["0 waiting Settling", "2000 ready"]);
    assert_eq!(services_told("service -n shop", [(0, listed([old]))], never).await, ["0 ready"]);
}

#[tokio::test(start_paused = true)]
async fn service_with_another_selector_has_other_pods() {
    let updates = [
        (0, listed([selecting("db", "old")])),
        (1_000, applied(selecting("db", "new"))),
        (2_000, deleted(selecting("db", "new"))),
    ];
    let behind = |app: &str| match app {
        "old" => pods_behind([(0, listed([unready("old-0")])), (1_500, failed())]),
        _ => pods_behind([(0, listed([pod("new-0", "Running", "True", DATE - 100)])), (2_500, failed())]),
    };
    let expected =
        ["0 waiting PodsNotReady", "1000 waiting NotLookedYet", "1000 waiting Settling", "2000 waiting NotFound"];
    let told = services_told("service db", updates, behind).await;
    assert_eq!(told, expected, "and streams that are not of use any more are not heard");
}

/// `get services` without `watch`, and every right on pods, or the other way round.
#[tokio::test(start_paused = true)]
async fn n1_service_of_which_one_half_is_polled_comes_to_rest() {
    let services_updates = || [(0, listed([selecting("db", "db")])), (2_000, listed([selecting("db", "db")]))];
    let open = |_: &Entry| pods_behind([(0, listed([ready("db-0")]))]);
    let polled = followed_behind(target("service db"), blind_script(services_updates()), Box::new(open));
    assert_eq!(told(polled).await, ["0 waiting Settling", "2000 ready"]);
    let behind = |_: &Entry| blind_script([(0, listed([ready("db-0")])), (2_000, listed([ready("db-0")]))]);
    let updates = script([(0, listed([selecting("db", "db")]))]);
    let watched = followed_behind(target("service db"), updates, Box::new(behind));
    assert_eq!(told(watched).await, ["0 waiting Settling", "2000 ready"]);
}

#[tokio::test(start_paused = true)]
async fn outage_of_a_service_is_over_when_none_of_its_streams_fails() {
    let updates = [
        (0, listed([selecting("db", "db")])),
        (100, failed()),
        (300, Update::Recovered),
        (300, Update::Live),
        (900, Update::Method(Method::List(NoWatch::Forbidden))),
    ];
    let behind = |_: &str| {
        pods_behind([
            (0, listed([unready("db-0")])),
            (200, failed()),
            (400, failed()),
            (500, Update::Recovered),
            (500, Update::Live),
            (600, failed()),
            (700, listed([unready("db-0")])),
        ])
    };
    let expected = [
        "0 waiting PodsNotReady",
        "100 trouble: no answer",
        "200 trouble: no answer",
        "400 trouble: no answer",
        "500 recovered",
        "600 trouble: no answer",
        "700 recovered",
        "900 List(Forbidden)",
    ];
    assert_eq!(services_told("service db", updates, behind).await, expected);
}

#[tokio::test(start_paused = true)]
async fn outage_ends_with_the_service_that_it_was_about() {
    let updates = [(0, listed([selecting("db", "db")])), (200, deleted(selecting("db", "db")))];
    let behind = |_: &str| pods_behind([(100, failed())]);
    let expected = ["100 trouble: no answer", "200 recovered", "200 waiting NotFound"];
    assert_eq!(services_told("service db", updates, behind).await, expected);
}

#[test]
fn backend_of_a_service_is_what_its_spec_says() {
    let reading = Reading::every(&services_kind::ROW.kind, None);
    let Judged::Behind(behind) = kinds::judged(&target("service db")) else { panic!("by what is behind it") };
    let of = |spec: Value| (behind.read)(&service("db", spec).to_string(), &reading).expect("a Service").0.backend;
    assert_eq!(of(json!({"type": "ExternalName", "selector": {"app": "db"}})), Backend::External);
    assert_eq!(of(json!({"type": "ClusterIP"})), Backend::Slices);
    let pods = Backend::Pods { labels: "app=db".to_owned(), owner: None };
    assert_eq!(of(json!({"selector": {"app": "db"}})), pods);
}
