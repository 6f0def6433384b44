//! What is said while it waits, in every form, and what it costs: with real controllers, no pod runs.

use std::process::ExitCode;

use serde_json::{Value, json};
use testbed::{Finished, Namespace, Needs, Test, Wait, tests};

fn main() -> ExitCode {
    let anywhere = tests![
        mistyped_name_is_met_with_the_nearest_one,
        nearest_name_is_told_at_a_near_deadline_too,
        selector_that_matches_nothing_is_met_with_a_count,
        completed_job_of_before_is_told,
        names_that_may_not_be_listed_are_no_loss,
        refused_evidence_is_said_once_and_changes_nothing,
        json_is_one_object_a_line_with_the_documented_fields,
        quiet_says_nothing_but_a_bad_end,
        colors_come_when_they_are_asked_for,
        log_is_text_or_json,
        events_without_the_right_are_remarked_on,
    ];
    let of_own_cluster = tests![blocked_wait_beats_every_30_s_and_asks_seldom].map(Test::of_own_cluster);
    testbed::run_tests(Needs::ControlPlane, anywhere.into_iter().chain(of_own_cluster))
}

const JOBS: &str = "[{apiGroups: [batch], resources: [jobs], verbs: [get, list, watch]}]";
const EVERYTHING: &str = "[
    {apiGroups: [batch, ''], resources: [jobs, pods, services], verbs: [get, list, watch]},
    {apiGroups: [''], resources: [pods/log], verbs: [get]},
    {apiGroups: [''], resources: [events], verbs: [list]},
]";

fn start(namespace: &Namespace, rules: &str, arguments: &[&str]) -> Wait {
    start_with(namespace, rules, arguments, &[])
}

fn start_with(namespace: &Namespace, rules: &str, arguments: &[&str], environment: &[(&'static str, &str)]) -> Wait {
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(rules)).into_os_string();
    let environment = environment.iter().map(|(name, value)| (*name, (*value).into()));
    Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), arguments, environment.chain([("KUBECONFIG", kubeconfig)]))
}

fn run(namespace: &Namespace, rules: &str, arguments: &[&str]) -> Finished {
    start(namespace, rules, arguments).finish()
}

/// Its pod is never scheduled: there is no node.
fn create_job(namespace: &Namespace, name: &str, settings: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  {settings}
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: migrate, image: busybox:1.37}}]
"
    ));
}

fn job_pod(namespace: &Namespace) -> String {
    let pod = namespace.eventually("the Job's pod", || namespace.list("pod", "job-name=migrate").pop());
    pod["metadata"]["name"].as_str().expect("a pod has a name").to_owned()
}

fn await_event(namespace: &Namespace, reason: &str) {
    namespace
        .eventually(reason, || namespace.list("event", "").iter().any(|event| event["reason"] == reason).then_some(()));
}

fn mistyped_name_is_met_with_the_nearest_one(namespace: &Namespace) {
    for name in ["release1-reportportal-migrations", "release1-index", "backup"] {
        create_job(namespace, name, "suspend: true");
    }
    let wait = start(namespace, JOBS, &["job", "reportportal-migrations"]);
    let line = wait.line("did you mean");
    let said = "job/reportportal-migrations: did you mean `job/release1-reportportal-migrations`?";
    assert!(line.trim_end().ends_with(said), "{line}");
}

fn nearest_name_is_told_at_a_near_deadline_too(namespace: &Namespace) {
    create_job(namespace, "migrate-v2", "suspend: true");
    let finished = run(namespace, JOBS, &["job", "migrate-v3", "--timeout", "3s"]);
    assert_eq!(finished.code, Some(124), "{finished:#?}");
    assert!(finished.output().contains("job/migrate-v3: did you mean `job/migrate-v2`?"), "{finished:#?}");
}

fn selector_that_matches_nothing_is_met_with_a_count(namespace: &Namespace) {
    for name in ["db-0", "db-1"] {
        namespace.apply(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: db, image: db}}]}}}}"
        ));
    }
    let wait = start(namespace, EVERYTHING, &["pod", "-lapp=x"]);
    let said = format!("pod/app=x: none of 2 pods in namespace {} matches", namespace.name());
    wait.line(&said);
}

fn completed_job_of_before_is_told(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    namespace.write_status(&format!("pod/{}", job_pod(namespace)), &json!({"phase": "Succeeded"}));
    await_event(namespace, "Completed");
    namespace.delete("job/migrate");
    namespace.eventually("the Job's end", || namespace.find("job/migrate").is_none().then_some(()));
    let wait = start(namespace, EVERYTHING, &["job", "migrate"]);
    wait.line("job/migrate: there was one of this name before: job completed");
}

fn names_that_may_not_be_listed_are_no_loss(namespace: &Namespace) {
    let rules = "[{apiGroups: [batch], resources: [jobs], resourceNames: [migrate], verbs: [get, list, watch]}]";
    let finished = run(namespace, rules, &["job", "migrate", "--timeout", "4s"]);
    assert_eq!(finished.code, Some(124), "{finished:#?}");
    assert!(!finished.output().contains("permitted"), "{finished:#?}");
}

fn refused_evidence_is_said_once_and_changes_nothing(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    let wait = start(namespace, JOBS, &["job", "migrate"]);
    let said = format!("no more is known: not permitted to list pods in namespace {}", namespace.name());
    wait.line(&said);
    namespace.write_status(&format!("pod/{}", job_pod(namespace)), &json!({"phase": "Succeeded"}));
    let finished = wait.finish();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.stdout.matches("no more is known").count(), 2, "pods, then events: {finished:#?}");
}

fn json_is_one_object_a_line_with_the_documented_fields(namespace: &Namespace) {
    create_job(namespace, "migrate", "backoffLimit: 0");
    let pod = job_pod(namespace);
    let wait = start(namespace, EVERYTHING, &["job", "migrate", "--output", "json"]);
    wait.line("cannot be scheduled");
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "no\nluck \u{1b}[31m"}});
    let status = json!({"name": "migrate", "image": "busybox:1.37", "imageID": "", "ready": false, "restartCount": 0, "state": ended});
    let scheduled = json!({"type": "PodScheduled", "status": "True"});
    let status = json!({"phase": "Failed", "containerStatuses": [status], "conditions": [scheduled]});
    namespace.write_status(&format!("pod/{pod}"), &status);
    let finished = wait.finish();
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let lines: Vec<Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events.first(), Some(&"start"), "{lines:#?}");
    assert_eq!(events.last(), Some(&"end"), "{lines:#?}");
    for line in &lines {
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        assert!(line["message"].is_string() && line["elapsed"].is_f64() && line["state"].is_string(), "{line}");
        let whole = matches!(line["event"].as_str(), Some("start" | "end"));
        let target = (!whole).then_some("job/migrate");
        assert_eq!((line["target"].as_str(), line["namespace"].as_str()), (target, target.map(|_| namespace.name())));
    }
    let change = |state: &str| lines.iter().find(|line| line["event"] == "change" && line["state"] == state).cloned();
    assert_eq!(change("waiting").expect("a change")["reason"], "Running", "{lines:#?}");
    assert_eq!(change("failed").expect("a change")["reason"], "BackoffLimitExceeded", "{lines:#?}");
    let explained = lines.iter().find(|line| line["event"] == "explanation").expect("an explanation");
    assert_eq!(explained["message"], format!("pod {pod} cannot be scheduled: no nodes available to schedule pods"));
    let reports: Vec<&str> =
        lines.iter().filter(|line| line["event"] == "report").filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(reports[0], format!("container migrate of pod {pod} has failed with exit code 3"), "{lines:#?}");
    assert!(reports.contains(&"container migrate left the message: no luck"), "{reports:#?}");
    let end = lines.last().expect("lines");
    assert_eq!((&end["state"], &end["exit_code"]), (&json!("failed"), &json!(1)), "{end}");
}

fn quiet_says_nothing_but_a_bad_end(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    let mut wait = start(namespace, JOBS, &["-q", "job", "migrate"]);
    namespace.write_status(&format!("pod/{}", job_pod(namespace)), &json!({"phase": "Succeeded"}));
    assert!(wait.is_running() || wait.so_far().is_empty());
    let finished = wait.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:#?}");

    let finished = run(namespace, JOBS, &["job", "migrate-v2", "--timeout=3s", "--quiet"]);
    assert_eq!(finished.code, Some(124), "{finished:#?}");
    let lines: Vec<&str> = finished.stderr.lines().filter_map(|line| Some(line.split_once("Z] ")?.1)).collect();
    assert_eq!(lines.len(), 2, "{finished:#?}");
    assert_eq!(lines[0], "job/migrate-v2: did you mean `job/migrate`?");
    assert!(lines[1].starts_with("deadline passed after 3s"), "{finished:#?}");
}

fn colors_come_when_they_are_asked_for(namespace: &Namespace) {
    let said = |arguments: &[&str], environment: &[(&'static str, &str)]| {
        let arguments = [&["job", "migrate", "--timeout=0"], arguments].concat();
        start_with(namespace, JOBS, &arguments, environment).finish().stdout
    };
    assert!(said(&["--color=always"], &[]).contains("job/migrate: \u{1b}[33mwaiting\u{1b}[0m: job migrate does not"));
    assert!(said(&["--color=always"], &[("NO_COLOR", "1")]).contains("\u{1b}[33m"));
    assert!(said(&[], &[("K8S_WAIT_FOR_COLOR", "always")]).contains("\u{1b}[33m"));
    assert!(!said(&[], &[]).contains('\u{1b}'), "a pipe is no terminal");
}

fn log_is_text_or_json(namespace: &Namespace) {
    let run = |form: &str| {
        run(
            namespace,
            JOBS,
            &["job", "migrate", "--missing=ready", "--timeout=0", "--log-level=debug", "--log-format", form],
        )
    };
    let json = run("json");
    for line in json.stderr.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    assert!(json.stderr.contains("\"DEBUG\""), "{json:#?}");
    assert!(run("text").stderr.contains(" DEBUG "));
}

fn events_without_the_right_are_remarked_on(namespace: &Namespace) {
    let pod = [("POD_NAME", "shop-1"), ("POD_NAMESPACE", namespace.name())];
    let wait = start_with(namespace, JOBS, &["job", "migrate", "--events"], &pod);
    let line = wait.line("--events has no effect");
    assert!(line.contains("cannot patch resource \"events\""), "{line}");
    let elsewhere = run(namespace, JOBS, &["job", "migrate", "--events", "--timeout=0"]);
    assert!(elsewhere.stderr.contains("--events has no effect: this is no pod"), "{elsewhere:#?}");
}

fn blocked_wait_beats_every_30_s_and_asks_seldom(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    await_event(namespace, "FailedScheduling");
    let wait = start(namespace, EVERYTHING, &["job", "migrate"]);
    let explained = wait.line("cannot be scheduled: no nodes available to schedule pods");
    let beat = wait.line("still waiting after ");
    assert!(
        beat.contains(": the Job is running, 1 pod active, ")
            && beat.contains("; pod migrate-")
            && beat.contains("no nodes available"),
        "{beat}"
    );
    assert_eq!(wait.so_far().matches(explained.trim_end().rsplit("Z] ").next().expect("a line")).count(), 1);
    let requests = namespace.requests_by("waiter");
    let asked = |resource: &str| requests.iter().filter(|request| request.resource == resource).count();
    assert_eq!((asked("jobs"), asked("pods/log")), (2, 0), "a list and a watch: {requests:#?}");
    assert!((1..=2).contains(&asked("pods")) && asked("events") == asked("pods"), "once in 30 s: {requests:#?}");
}
