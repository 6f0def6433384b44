//! What is said while it waits, in every form, and what it costs.

use serde_json::{Value, json};
use testbed::{
    Namespace,
    objects::{
        ON_NO_NODE, await_event, await_gone, container, create_job, create_node, create_pod, create_suspended_job,
        create_workload, end_job, pod_of,
    },
    scene::{ALL, EVERYTHING, JOBS, start, start_everywhere, start_with},
};

pub fn mistyped_name_is_met_with_the_nearest_one(namespace: &Namespace) {
    for name in ["release1-reportportal-migrations", "release1-index", "backup"] {
        create_suspended_job(namespace, name);
    }
    let wait = start(namespace, JOBS, "job reportportal-migrations");
    let line = wait.line("did you mean");
    let said = "job/reportportal-migrations: did you mean `job/release1-reportportal-migrations`?";
    assert!(line.trim_end().ends_with(said), "{line}");
}

pub fn nearest_name_is_told_at_a_near_deadline_too(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate-v2");
    let finished = start(namespace, JOBS, "job migrate-v3 --timeout 3s").finish();
    assert_eq!(finished.code, Some(124), "{finished:#?}");
    assert!(finished.output().contains("job/migrate-v3: did you mean `job/migrate-v2`?"), "{finished:#?}");
}

pub fn selector_that_matches_nothing_is_met_with_a_count(namespace: &Namespace) {
    for name in ["db-0", "db-1"] {
        create_pod(namespace, name, "");
    }
    let wait = start(namespace, EVERYTHING, "pod -lapp=x");
    let said = format!("pod/app=x: none of the 2 pods in namespace {} matches", namespace.name());
    wait.line(&said);
}

pub fn completed_job_of_before_is_told(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    end_job(namespace, "migrate", "Succeeded");
    await_event(namespace, "Completed");
    namespace.delete("job/migrate");
    await_gone(namespace, "job/migrate");
    let wait = start(namespace, EVERYTHING, "job migrate");
    wait.line("job/migrate: an earlier Job of this name completed");
}

pub fn names_that_may_not_be_listed_are_no_loss(namespace: &Namespace) {
    let rules = "[{apiGroups: [batch], resources: [jobs], resourceNames: [migrate], verbs: [get, list, watch]}]";
    let finished = start(namespace, rules, "job migrate --timeout 4s").finish();
    assert_eq!(finished.code, Some(124), "{finished:#?}");
    assert!(!finished.output().contains("permitted"), "{finished:#?}");
}

pub fn refused_evidence_is_said_once_and_changes_nothing(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    let wait = start(namespace, JOBS, "job migrate");
    let said = format!(
        "cannot say why: listing pods in namespace {} is forbidden; `rbac --explain` prints the Role",
        namespace.name()
    );
    wait.line(&said);
    end_job(namespace, "migrate", "Succeeded");
    let finished = wait.finish();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.stdout.matches("is forbidden").count(), 2, "pods, then events: {finished:#?}");
}

pub fn json_is_one_object_a_line_with_the_documented_fields(namespace: &Namespace) {
    create_job(namespace, "migrate", "backoffLimit: 0");
    let pod = pod_of(namespace, "migrate");
    let wait = start(namespace, EVERYTHING, "job migrate --output json");
    wait.line("cannot be scheduled");
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "no\nluck \u{1b}[31m"}});
    let scheduled = json!({"type": "PodScheduled", "status": "True"});
    let status =
        json!({"phase": "Failed", "containerStatuses": [container("main", &ended)], "conditions": [scheduled]});
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
    let said = explained["message"].as_str().unwrap_or_default();
    assert!(said.starts_with(&format!("pod {pod} cannot be scheduled: ")), "{explained}");
    let reports: Vec<&str> =
        lines.iter().filter(|line| line["event"] == "report").filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(reports[0], format!("container main of pod {pod} failed with exit code 3"), "{lines:#?}");
    let left = format!("container main of pod {pod} left the message: no luck");
    assert!(reports.contains(&left.as_str()), "{reports:#?}");
    let end = lines.last().expect("lines");
    assert_eq!((&end["state"], &end["exit_code"]), (&json!("failed"), &json!(1)), "{end}");
}

pub fn quiet_says_nothing_but_a_bad_end(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    let mut wait = start(namespace, JOBS, "-q job migrate");
    end_job(namespace, "migrate", "Succeeded");
    assert!(wait.is_running() || wait.so_far().is_empty());
    let finished = wait.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:#?}");

    let finished = start(namespace, JOBS, "job migrate-v2 --timeout=3s --quiet").finish();
    assert_eq!(finished.code, Some(124), "{finished:#?}");
    let lines: Vec<&str> = finished.stderr.lines().filter_map(|line| Some(line.split_once("Z] ")?.1)).collect();
    assert_eq!(lines.len(), 2, "{finished:#?}");
    assert_eq!(lines[0], "job/migrate-v2: did you mean `job/migrate`?");
    assert!(lines[1].starts_with("deadline passed after 3s"), "{finished:#?}");
}

pub fn colors_come_when_they_are_asked_for(namespace: &Namespace) {
    let said =
        |line: &str, variables: &[(&'static str, &str)]| start_with(namespace, JOBS, line, variables).finish().stdout;
    let (plain, colored) = ("job migrate --timeout=0", "job migrate --timeout=0 --color=always");
    assert!(said(colored, &[]).contains("job/migrate: \u{1b}[33mwaiting\u{1b}[0m: does not"));
    assert!(said(colored, &[("NO_COLOR", "1")]).contains("\u{1b}[33m"));
    assert!(said(plain, &[("K8S_WAIT_FOR_COLOR", "always")]).contains("\u{1b}[33m"));
    assert!(!said(plain, &[]).contains('\u{1b}'), "a pipe is no terminal");
}

pub fn log_is_text_or_json(namespace: &Namespace) {
    let run = |form: &str| {
        let line = format!("job migrate --missing=ready --timeout=0 --log-level=debug --log-format {form}");
        start(namespace, JOBS, &line).finish()
    };
    let json = run("json");
    for line in json.stderr.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    assert!(json.stderr.contains("\"DEBUG\""), "{json:#?}");
    assert!(run("text").stderr.contains(" DEBUG "));
}

pub fn events_without_the_right_are_remarked_on(namespace: &Namespace) {
    let pod = [("POD_NAME", "shop-1"), ("POD_NAMESPACE", namespace.name())];
    let wait = start_with(namespace, JOBS, "job migrate --events", &pod);
    let line = wait.line("--events has no effect");
    assert!(line.contains("patching events is forbidden"), "{line}");
    let elsewhere = start(namespace, JOBS, "job migrate --events --timeout=0").finish();
    assert!(elsewhere.stderr.contains("--events has no effect: this is not a pod"), "{elsewhere:#?}");
}

pub fn blocked_wait_beats_every_30_s_and_asks_seldom(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    await_event(namespace, "FailedScheduling");
    let wait = start(namespace, EVERYTHING, "job migrate");
    let explained = wait.line("cannot be scheduled: ");
    let beat = wait.line("still waiting after ");
    assert!(
        beat.contains(": running: 1 pod active; ")
            && beat.contains("; pod migrate-")
            && beat.contains(" cannot be scheduled: "),
        "{beat}"
    );
    assert_eq!(wait.so_far().matches(explained.trim_end().rsplit("Z] ").next().expect("a line")).count(), 1);
    let requests = namespace.requests_by("waiter");
    let asked = |resource: &str| requests.iter().filter(|request| request.resource == resource).count();
    assert_eq!((asked("jobs"), asked("pods/log")), (2, 0), "a list and a watch: {requests:#?}");
    assert!((2..=3).contains(&asked("pods")) && asked("events") == asked("pods"), "seldom: {requests:#?}");
}

pub fn pod_that_holds_a_rollout_up_is_named(namespace: &Namespace) {
    for (kind, word) in [("Deployment", "deployment"), ("StatefulSet", "statefulset"), ("ReplicaSet", "replicaset")] {
        create_workload(namespace, kind, word, "", ON_NO_NODE);
    }
    let waits = ["deployment", "statefulset", "replicaset"].map(|it| start(namespace, ALL, &format!("{it}/{it}")));
    for (wait, word) in waits.iter().zip(["deployment", "statefulset", "replicaset"]) {
        let line = wait.line("cannot be scheduled: ");
        assert!(line.contains(&format!("{word}/{word}: pod {word}-")), "{line}");
    }
}

/// By what is there: of the kind, whatever its scope.
pub fn mistyped_names_of_other_kinds_are_met_with_near_ones(namespace: &Namespace) {
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}");
    namespace.apply("{apiVersion: v1, kind: Secret, metadata: {name: database-password}}");
    let node = create_node(namespace);
    let mistyped = node.replace("node-of", "nod-of");
    let targets = format!("configmap/setings secret/password node/{mistyped} serviceaccount/defualt");
    let wait = start_everywhere(namespace, ALL, &targets);
    wait.line("configmap/setings: did you mean `configmap/settings`?");
    wait.line("secret/password: did you mean `secret/database-password`?");
    wait.line(&format!("node/{mistyped}: did you mean `node/{node}`?"));
    wait.line("serviceaccount/defualt: did you mean `serviceaccount/default`?");
    namespace.delete(&format!("node/{node}"));
}

pub fn cron_job_is_explained_by_the_pod_of_its_newest_job(namespace: &Namespace) {
    let pod =
        "{restartPolicy: Never, nodeSelector: {testbed: none}, containers: [{name: main, image: 'busybox:1.37'}]}";
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: CronJob
metadata: {{name: backup}}
spec: {{schedule: '0 0 1 1 *', jobTemplate: {{spec: {{template: {{spec: {pod}}}}}}}}}
"
    ));
    let wait = start(namespace, ALL, "cronjob backup");
    wait.line("no Job created yet");
    namespace.kubectl(&["create", "job", "backup-1", "--from=cronjob/backup"]);
    let line = wait.line("cannot be scheduled: ");
    assert!(line.contains("cronjob/backup: pod backup-1-"), "{line}");
}
