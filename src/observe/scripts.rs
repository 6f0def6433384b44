//! Observers under a paused clock: updates come at their millisecond, and every step is told with its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Behind, BehindUpdates, Demands, Step, jobs, pods, services};
use crate::compat;
use crate::failure::{Class, Failure};
use crate::object::{EndpointSlice, Job, Object, Pod, Service};
use crate::target::Target;
use crate::verdict::Verdict;
use crate::watch::{Update, Way};

/// When the last step of a script is over for sure.
const END: Duration = Duration::from_mins(1);
/// The server's clock at every list, in seconds.
const DATE: i64 = 1_000;

fn target(line: &str) -> Target {
    let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
    let invocation = compat::parse(words, |_| None).expect(line);
    invocation.targets.into_iter().next().expect("a target")
}

fn demands() -> Demands {
    Demands { min: 1, settle: Duration::from_secs(2), own_uid: Some("itself".to_owned()) }
}

fn read<T: Object>(object: Value) -> T {
    serde_json::from_value(object).expect("an object")
}

fn applied<T: Object>(object: Value) -> Update<T> {
    Update::Applied(read(object))
}

fn deleted<T: Object>(object: Value) -> Update<T> {
    Update::Deleted(read(object))
}

fn listed<T: Object, const N: usize>(objects: [Value; N]) -> Update<T> {
    Update::Listed(objects.map(read).into(), Timestamp::from_second(DATE).expect("a time"))
}

fn failed<T>() -> Update<T> {
    Update::Failed(failure())
}

fn failure() -> Failure {
    Failure { class: Class::Transient, text: "no answer".to_owned(), retry_after: None }
}

/// The updates, each at its millisecond; then silence.
fn script<T: 'static, const N: usize>(updates: [(u64, Update<T>); N]) -> LocalBoxStream<'static, Update<T>> {
    let start = Instant::now();
    let timed = stream::iter(updates).then(move |(at, update)| async move {
        sleep_until(start + Duration::from_millis(at)).await;
        update
    });
    timed.chain(stream::pending()).boxed_local()
}

/// `2000 ready`: every step with its millisecond; `end` if the observer says that there is nothing more.
async fn told(mut steps: LocalBoxStream<'static, Step>) -> Vec<String> {
    let start = Instant::now();
    let mut told = Vec::new();
    while let Ok(step) = timeout_at(start + END, steps.next()).await {
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
        Step::Trouble(failure) => format!("trouble: {}", failure.text),
        Step::Recovered => "recovered".to_owned(),
        Step::Subjects(uids) => format!("subjects {}", uids.join(" ")),
        Step::Way(way, _) => format!("{way:?}"),
        other => format!("{other:?}"),
    }
}

/// A pod that has been in its state since this second.
fn pod(name: &str, phase: &str, ready: &str, since: i64) -> Value {
    let since = Timestamp::from_second(since).expect("a time").to_string();
    let ready = json!({"type": "Ready", "status": ready, "lastTransitionTime": since});
    let metadata = json!({"name": name, "namespace": "shop", "uid": name, "labels": {"app": "db"}});
    json!({"metadata": metadata, "status": {"phase": phase, "conditions": [ready]}})
}

fn ready(name: &str) -> Value {
    pod(name, "Running", "True", DATE)
}

fn unready(name: &str) -> Value {
    pod(name, "Pending", "False", DATE)
}

async fn pods_told<const N: usize>(line: &str, updates: [(u64, Update<Pod>); N]) -> Vec<String> {
    told(pods(target(line), demands(), script(updates))).await
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

#[tokio::test(start_paused = true)]
async fn pods_that_have_been_ready_for_long_need_no_rest() {
    let at = |second| pod("db-0", "Running", "True", second);
    // Both clocks are whole seconds: of two that differ by 3, one may be 2.001 s before the other.
    for (second, expected) in [(DATE - 3, vec!["0 ready"]), (DATE - 2, vec!["0 waiting Settling", "1000 ready"])] {
        assert_eq!(pods_told("pod -lapp=db", [(0, listed([at(second)]))]).await, expected, "{second}");
    }
    for second in [DATE - 1, DATE, DATE + 5] {
        let told = pods_told("pod -lapp=db", [(0, listed([at(second)]))]).await;
        assert_eq!(told, ["0 waiting Settling", "2000 ready"], "{second}");
    }
}

#[tokio::test(start_paused = true)]
async fn rest_is_told_with_its_length() {
    let step = pods(target("pod -lapp=db"), demands(), script([(0, listed([ready("db-0")]))])).next().await;
    let expected = Verdict::waiting("Settling", "1 pod ready, waiting until that has been so for 2s");
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
    let expected = ["0 waiting Settling", "1000 waiting Settling", "3000 waiting Settling", "6000 ready"];
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
        (400, Update::Way(Way::List)),
    ];
    let expected = [
        "0 trouble: no answer",
        "100 trouble: no answer",
        "200 recovered",
        "200 ready",
        "300 trouble: no answer",
        "400 List",
    ];
    assert_eq!(pods_told("pod db-0", updates).await, expected);
    let updates = [(0, failed()), (200, Update::Recovered), (300, Update::Way(Way::Get)), (400, listed([]))];
    let expected = ["0 trouble: no answer", "200 recovered", "300 Get", "400 waiting NotFound"];
    assert_eq!(jobs_told("job migrate", updates).await, expected);
}

fn job(uid: &str, condition: Option<&str>) -> Value {
    named_job("migrate", uid, condition)
}

fn named_job(name: &str, uid: &str, condition: Option<&str>) -> Value {
    let metadata = json!({"name": name, "namespace": "shop", "uid": uid});
    let conditions: Vec<Value> =
        condition.into_iter().map(|kind| json!({"type": kind, "status": "True", "reason": "Because"})).collect();
    json!({"metadata": metadata, "status": {"active": 1, "startTime": "2026-01-01T00:00:00Z", "conditions": conditions}})
}

async fn jobs_told<const N: usize>(line: &str, updates: [(u64, Update<Job>); N]) -> Vec<String> {
    told(jobs(target(line), 1, script(updates))).await
}

#[tokio::test(start_paused = true)]
async fn ready_job_is_ready_for_good() {
    let complete = || job("1", Some("Complete"));
    let updates = [(0, listed([job("1", None)])), (100, applied(complete())), (200, deleted(complete()))];
    let expected = ["0 waiting Running", "100 subjects 1", "100 ready", "100 end"];
    assert_eq!(jobs_told("job migrate", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn deletion_is_decided_by_the_object_that_it_carries() {
    let last = |condition| [(0, listed([job("1", None)])), (100, deleted(job("1", condition)))];
    let told = jobs_told("job migrate", last(Some("Complete"))).await;
    assert_eq!(told, ["0 waiting Running", "100 subjects 1", "100 ready", "100 end"]);
    let told = jobs_told("job migrate", last(Some("Failed"))).await;
    assert_eq!(told, ["0 waiting Running", "100 failed Because"], "until there is another one");
    let told = jobs_told("job-we migrate", last(Some("Failed"))).await;
    assert_eq!(told, ["0 waiting Running", "100 subjects 1", "100 ready", "100 end"]);
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
    let expected = ["0 failed Because", "200 waiting Running", "300 subjects 2", "300 ready", "300 end"];
    assert_eq!(jobs_told("job migrate", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn job_missing_after_a_gap_is_told_with_what_was_seen_last() {
    let updates = [(0, listed([job("1", None)])), (100, listed([])), (200, listed([job("2", Some("Complete"))]))];
    let steps = jobs(target("job migrate"), 1, script(updates)).take_until(sleep_until(Instant::now() + END));
    let steps: Vec<Step> = steps.collect().await;
    let Some(Step::Verdict(Verdict::Waiting(reason))) = steps.get(1) else { panic!("{steps:?}") };
    let last_seen = "the Job is running, 1 pod active, 0 succeeded, 0 failed";
    assert_eq!(reason.text, format!("job migrate does not exist any more; last seen: {last_seen}"));
    assert_eq!(steps[2..], [Step::Subjects(vec!["2".to_owned()]), Step::Verdict(Verdict::Ready)]);
}

#[tokio::test(start_paused = true)]
async fn job_that_was_never_seen_is_not_missing_any_more() {
    let updates = [(0, listed([])), (100, listed([]))];
    assert_eq!(jobs_told("job migrate", updates).await, ["0 waiting NotFound"], "and the words do not change");
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_selector_are_judged_with_the_one_that_is_deleted() {
    let a = |condition| named_job("a", "1", condition);
    let b = |condition| named_job("b", "2", condition);
    let updates =
        [(0, listed([a(None), b(None)])), (100, deleted(a(Some("Complete")))), (200, applied(b(Some("Complete"))))];
    let expected = ["0 waiting Running", "100 waiting Running", "200 subjects 2", "200 ready", "200 end"];
    assert_eq!(jobs_told("job -n shop", updates).await, expected);
    let updates = [(0, listed([a(None), b(Some("Complete"))])), (100, deleted(a(Some("Complete"))))];
    let expected = ["0 waiting Running", "100 subjects 1 2", "100 ready", "100 end"];
    assert_eq!(jobs_told("job -n shop", updates).await, expected);
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
    updates: [(u64, Update<Service>); N],
    behind: fn(&str) -> BehindUpdates,
) -> Vec<String> {
    let open = move |it: &Behind| match it {
        Behind::Pods { namespace, labels } => {
            assert_eq!(namespace, "shop");
            behind(&labels["app"])
        }
        Behind::Slices { service, .. } => behind(service),
    };
    told(services(target(line), demands(), script(updates), Box::new(open))).await
}

fn pods_behind<const N: usize>(updates: [(u64, Update<Pod>); N]) -> BehindUpdates {
    BehindUpdates::Pods(script(updates))
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
        let slice: Update<EndpointSlice> = listed([json!({"endpoints": [{"conditions": {}}]})]);
        let gone: Update<EndpointSlice> = listed([json!({"endpoints": null})]);
        BehindUpdates::Slices(script([(300, slice), (400, gone)]))
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
    let expected = ["0 waiting PodsNotReady", "1000 waiting Settling", "2000 waiting NotFound"];
    let told = services_told("service db", updates, behind).await;
    assert_eq!(told, expected, "and streams that are not of use any more are not heard");
}

#[tokio::test(start_paused = true)]
async fn outage_of_a_service_is_over_when_none_of_its_streams_fails() {
    let updates = [
        (0, listed([selecting("db", "db")])),
        (100, failed()),
        (300, Update::Recovered),
        (900, Update::Way(Way::List)),
    ];
    let behind = |_: &str| {
        pods_behind([
            (0, listed([unready("db-0")])),
            (200, failed()),
            (400, failed()),
            (500, Update::Recovered),
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
        "900 List",
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
fn behind_a_service_is_what_its_spec_says() {
    let of = |spec: Value| super::service::behind(&read(service("db", spec)));
    assert_eq!(of(json!({"type": "ExternalName", "selector": {"app": "db"}})), None);
    let (namespace, service) = ("shop".to_owned(), "db".to_owned());
    assert_eq!(of(json!({"type": "ClusterIP"})), Some(Behind::Slices { namespace: namespace.clone(), service }));
    let labels = BTreeMap::from([("app".to_owned(), "db".to_owned())]);
    assert_eq!(of(json!({"selector": {"app": "db"}})), Some(Behind::Pods { namespace, labels }));
}
