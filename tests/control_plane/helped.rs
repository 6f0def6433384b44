//! Where someone stands helpless: what the first lines say of it, and what they leave out.

use serde_json::{Value, json};
use testbed::{
    Namespace,
    objects::{create_job, create_pod, create_service, end_job},
    scene::{ALL, EVERYTHING, JOBS, ends, identity, start, start_everywhere, start_with, succeeds},
};

pub fn service_without_pods_is_met_with_near_ones(namespace: &Namespace) {
    create_service(namespace, "db", "", "selector: {app: db, tier: back}, ports: [{port: 80}]");
    create_pod(namespace, "web-0", "app: web");
    create_pod(namespace, "db-0", "app: db, tier: front");
    let wait = start(namespace, EVERYTHING, "service db");
    wait.line("service/db: waiting: no pod matches its selector app=db,tier=back");
    wait.line("service/db: closest: pod db-0 with tier=front");
}

pub fn namespace_that_does_not_exist_is_told_to_whoever_may_know(namespace: &Namespace) {
    let mistyped = format!("{}x", namespace.name());
    let known = start_everywhere(namespace, ALL, &format!("job migrate -n {mistyped}"));
    known.line(&format!("job/migrate: namespace {mistyped} does not exist; did you mean `-n {}`?", namespace.name()));
}

pub fn pod_that_is_not_ready_for_a_reason_of_its_node_is_explained(namespace: &Namespace) {
    create_pod(namespace, "db-0", "");
    let container = json!({"name": "main", "image": "busybox:1.37", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {}}});
    let conditions = [json!({"type": "Ready", "status": "False"}), json!({"type": "PodScheduled", "status": "True"})];
    let status = json!({"phase": "Running", "conditions": conditions, "containerStatuses": [container]});
    namespace.write_status("pod/db-0", &status);
    namespace.apply_object(&json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "lost"}, "type": "Warning",
        "reason": "NodeNotReady", "message": "Node is not ready", "lastTimestamp": "2026-01-01T00:00:00Z",
        "involvedObject": {"kind": "Pod", "namespace": namespace.name(), "name": "db-0"},
    }));
    let wait = start(namespace, EVERYTHING, "pod db-0");
    let said = wait.line("although its containers are");
    assert!(said.contains("pod/db-0: pod db-0 is not ready, ") && said.contains(" ready?"), "{said}");
    assert!(said.trim_end().ends_with("; Node is not ready (NodeNotReady)"), "{said}");
    wait.line("still waiting after 30s: Running, not ready; pod db-0 is not ready, although");
}

/// Not those that nobody has heard of, and not those that still wait.
pub fn last_line_names_what_ended_the_wait_alone(namespace: &Namespace) {
    create_job(namespace, "bad", "backoffLimit: 0");
    end_job(namespace, "bad", "Failed");
    let finished = ends(start(namespace, EVERYTHING, "job/ok job/bad"), 1, "job/bad: BackoffLimitExceeded");
    assert!(!finished.last_line().contains("job/ok"), "{finished:#?}");
    let opening = finished.stdout.lines().next().unwrap_or_default();
    assert!(opening.ends_with(&format!("waiting for job/ok, job/bad in namespace {}", namespace.name())), "{opening}");
}

pub fn many_targets_beat_in_one_line(namespace: &Namespace) {
    let names: Vec<String> = (0..30).map(|number| format!("configmap/settings-{number}")).collect();
    for name in &names[..3] {
        let name = name.trim_start_matches("configmap/");
        namespace.apply(&format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}"));
    }
    let wait = start(namespace, ALL, &names.join(" "));
    let beat = wait.line("still waiting after 30s");
    let said = "3 of 30 ready; waiting for configmap/settings-3: does not exist";
    assert!(beat.contains(said) && beat.trim_end().ends_with("; and 26 more"), "{beat}");
    assert_eq!(wait.so_far().matches("still waiting").count(), 1);
}

pub fn right_that_would_tell_of_a_hook_is_named_once(namespace: &Namespace) {
    create_pod(namespace, "shop-0", "");
    let variables = identity(namespace, "shop-0");
    let wait = start_with(namespace, JOBS, "job migrate --timeout 70s", &variables);
    let hint = wait.line("hint: if job/migrate is a hook");
    assert!(hint.contains("each waits for the other forever"), "{hint}");
    let finished = ends(wait, 124, "deadline passed after 1m 10s: job/migrate: does not exist");
    let right = "`get` on pods would tell whether Helm or Argo CD created this pod";
    let said = [finished.stdout.matches(right).count(), finished.stderr.matches(right).count()];
    assert_eq!(said, [1, 0], "{finished:#?}");
}

/// `message` is never empty, a log's heading is no line of it, and its lines are as they were written.
pub fn json_says_as_much_as_the_lines(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    end_job(namespace, "migrate", "Succeeded");
    let finished = succeeds(start(namespace, JOBS, "job migrate --output json"));
    let lines: Vec<Value> =
        finished.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let said: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line["event"].as_str().unwrap_or_default(), line["message"].as_str().unwrap_or_default()))
        .collect();
    assert!(said.iter().all(|(_, message)| !message.is_empty()), "{said:?}");
    assert!(said.contains(&("change", "ready")), "{said:?}");
}
