//! Rights, on a real API server: the printed Role is enough, and each verb that is taken away from it degrades the
//! wait or denies it as documented. The cases are made from what `rbac` prints, mode by mode; no list is kept here.

use std::process::{Command, ExitCode};

use serde_json::{Value, json};
use testbed::{Finished, Namespace, Needs, Signal, Test, Wait, tests};

fn main() -> ExitCode {
    let anywhere = tests![
        modes_of_the_help_are_those_tested_here,
        role_limited_to_a_name_does_not_show_another,
        role_taken_away_while_polling_ends_with_77,
        denied_wait_prints_a_role_that_allows_it,
    ];
    let of_own_cluster = tests![
        job,
        job_wr,
        job_we,
        pod,
        pod_wr,
        pod_we,
        service,
        service_wr,
        explanations_stay_within_their_rules,
        cluster_role_is_enough_for_all_namespaces,
        polling_ends_by_watching_when_the_right_comes,
    ]
    .map(Test::of_own_cluster);
    testbed::run_tests(Needs::ControlPlane, anywhere.into_iter().chain(of_own_cluster))
}

const MODES: [&str; 8] = ["job", "job-wr", "job-we", "pod", "pod-wr", "pod-we", "service", "service-wr"];

fn job(namespace: &Namespace) {
    every_right_of(namespace, "job");
}

fn job_wr(namespace: &Namespace) {
    every_right_of(namespace, "job-wr");
}

fn job_we(namespace: &Namespace) {
    every_right_of(namespace, "job-we");
}

fn pod(namespace: &Namespace) {
    every_right_of(namespace, "pod");
}

fn pod_wr(namespace: &Namespace) {
    every_right_of(namespace, "pod-wr");
}

fn pod_we(namespace: &Namespace) {
    every_right_of(namespace, "pod-we");
}

fn service(namespace: &Namespace) {
    every_right_of(namespace, "service");
}

fn service_wr(namespace: &Namespace) {
    every_right_of(namespace, "service-wr");
}

fn modes_of_the_help_are_those_tested_here(_: &Namespace) {
    let help = print(&["--help"]);
    let block = help.split("Modes:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("help lists the modes");
    let modes: Vec<&str> = block.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(modes, MODES);
}

/// What the binary prints, without any cluster.
fn print(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_k8s-wait-for")).args(arguments).output().expect("the binary starts");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The rules of the Role that is printed for these arguments.
fn printed_rules(arguments: &[&str]) -> Vec<Value> {
    let yaml = print(&[&["rbac"], arguments].concat());
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect("valid YAML");
    documents[0]["rules"].as_array().expect("a Role has rules").clone()
}

fn start(namespace: &Namespace, account: &str, rules: &[Value], arguments: &[&str]) -> Wait {
    let kubeconfig = namespace.kubeconfig_for(account, Some(&Value::from(rules).to_string())).into_os_string();
    let environment = [("KUBECONFIG", kubeconfig), ("WAIT_TIME", "0.1".into())];
    let arguments = [arguments, &["--auth-grace=1s", "--settle=0s"]].concat();
    Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), arguments, environment)
}

#[track_caller]
fn assert_ends(finished: &Finished, code: i32) {
    assert_eq!(finished.code, Some(code), "{finished:#?}");
}

/// One verb less, for every verb of every rule.
fn reduced(rules: &[Value]) -> Vec<(Value, String, Vec<Value>)> {
    let mut all = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        for verb in rule["verbs"].as_array().expect("a rule has verbs") {
            let mut less = rules.to_vec();
            less[index]["verbs"].as_array_mut().expect("the same").retain(|other| other != verb);
            // A rule without verbs is invalid: it goes as a whole.
            less.retain(|rule| rule["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty()));
            all.push((rule.clone(), verb.as_str().expect("a verb is text").to_owned(), less));
        }
    }
    all
}

/// Whether the wait itself reads this: not what only a gone Job or a Service without selector needs.
fn is_needed(mode: &str, rule: &Value) -> bool {
    let resource = rule["resources"][0].as_str().expect("a rule has a resource");
    match mode.split('-').next() {
        Some("job") => resource == "jobs",
        Some("pod") => resource == "pods",
        _ => resource == "services" || resource == "pods",
    }
}

fn every_right_of(namespace: &Namespace, mode: &str) {
    for (place, arguments) in [("name", [mode, "db"]), ("selector", [mode, "-lapp=db"])] {
        let rules = printed_rules(&arguments);
        create(namespace, mode, "db");
        let blocked = start(namespace, &format!("{place}-whole"), &rules, &arguments);
        blocked.line("waiting: ");
        make_ready(namespace, mode, "db");
        assert_ends(&blocked.finish(), 0);
        assert_no_right_but(namespace, &format!("{place}-whole"), &rules);
        for (index, (rule, verb, less)) in reduced(&rules).into_iter().enumerate() {
            remove(namespace, mode, "db");
            create(namespace, mode, "db");
            let wait = start(namespace, &format!("{place}-{index}"), &less, &arguments);
            match (is_needed(mode, &rule), verb.as_str()) {
                (true, "list") => {
                    assert_ends(&wait.finish(), 77);
                    continue;
                }
                (true, _) => {
                    wait.line(&format!("not permitted to watch {}", rule["resources"][0].as_str().unwrap_or("?")))
                }
                (false, _) => wait.line("waiting: "),
            };
            make_ready(namespace, mode, "db");
            assert_ends(&wait.finish(), 0);
        }
        remove(namespace, mode, "db");
    }
}

/// With the printed Role, nothing was asked for that it does not hold, and nothing of it was refused.
fn assert_no_right_but(namespace: &Namespace, account: &str, rules: &[Value]) {
    let requests = namespace.requests_by(account);
    assert!(!requests.is_empty(), "the audit log knows {account}");
    for request in requests {
        let resource = [request.resource.as_str(), request.subresource.as_str()].join("/");
        let allowed = rules.iter().any(|rule| {
            rule["resources"][0] == resource.trim_end_matches('/')
                && rule["verbs"].as_array().is_some_and(|verbs| verbs.iter().any(|verb| *verb == request.verb.as_str()))
        });
        assert!(allowed && request.code != 403, "{request:#?}");
    }
}

fn explanations_stay_within_their_rules(namespace: &Namespace) {
    for mode in ["job", "pod", "service"] {
        create(namespace, mode, "db");
        for (arguments, says) in [([mode, "db"], "no nodes available"), ([mode, "dv"], "did you mean")] {
            let rules = printed_rules(&[&arguments[..], &["--explain"]].concat());
            let account = format!("{mode}-{}", arguments[1]);
            let wait = start(namespace, &account, &rules, &arguments);
            wait.line(says);
            drop(wait);
            assert_no_right_but(namespace, &account, &rules);
        }
        remove(namespace, mode, "db");
    }
}

/// The objects of a mode, none of them ready.
fn create(namespace: &Namespace, mode: &str, name: &str) {
    match mode.split('-').next() {
        Some("job") => create_job(namespace, name),
        Some("pod") => create_pod(namespace, name),
        _ => {
            create_pod(namespace, name);
            namespace.apply(&format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, labels: {{app: db}}}},
                   spec: {{selector: {{app: db}}, ports: [{{port: 80}}]}}}}"
            ));
        }
    }
}

fn create_job(namespace: &Namespace, name: &str) {
    namespace.apply(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, labels: {{app: db}}}}
spec:
  template:
    spec: {{restartPolicy: Never, containers: [{{name: main, image: 'busybox:1.37'}}]}}
"
    ));
}

fn create_pod(namespace: &Namespace, name: &str) {
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: db}}}}
spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: 'busybox:1.37'}}]}}
"
    ));
}

fn make_ready(namespace: &Namespace, mode: &str, name: &str) {
    if mode.starts_with("job") {
        // Not by the Job's name: the pods of the one that was deleted go only some time after it.
        let uid = namespace.get(&format!("job/{name}"))["metadata"]["uid"].clone();
        let selector = format!("batch.kubernetes.io/controller-uid={}", uid.as_str().expect("a Job has a uid"));
        let pod = namespace.eventually("the Job's pod", || namespace.list("pod", &selector).pop());
        let pod = pod["metadata"]["name"].as_str().expect("a pod has a name").to_owned();
        namespace.write_status(&format!("pod/{pod}"), &json!({"phase": "Succeeded"}));
    } else {
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        namespace.write_status(&format!("pod/{name}"), &json!({"phase": "Running", "conditions": [ready]}));
    }
}

fn remove(namespace: &Namespace, mode: &str, name: &str) {
    let kinds: &[&str] = match mode.split('-').next() {
        Some("job") => &["job"],
        Some("pod") => &["pod"],
        _ => &["service", "pod"],
    };
    for kind in kinds {
        let path = format!("{kind}/{name}");
        namespace.delete(&path);
        namespace.eventually("it is gone", || namespace.find(&path).is_none().then_some(()));
    }
}

fn jobs(verbs: &[&str], names: &[&str]) -> Vec<Value> {
    let mut rule = json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": verbs});
    if !names.is_empty() {
        rule["resourceNames"] = json!(names);
    }
    vec![rule]
}

fn role_limited_to_a_name_does_not_show_another(namespace: &Namespace) {
    create_job(namespace, "db");
    create_job(namespace, "other");
    for verbs in [&["get"][..], &["get", "list"], &["get", "list", "watch"]] {
        let account = verbs.join("-");
        let rules = jobs(verbs, &["db"]);
        let wait = start(namespace, &account, &rules, &["job", "db"]);
        wait.line("job/db: waiting: the Job is");
        drop(wait);
        let denied = start(namespace, &account, &rules, &["job", "other"]).finish();
        assert_ends(&denied, 77);
    }
    let rules = jobs(&["get"], &["db"]);
    let wait = start(namespace, "get", &rules, &["job", "db"]);
    wait.line("polling by get: not permitted to list jobs");
    make_ready(namespace, "job", "db");
    assert_ends(&wait.finish(), 0);
}

fn role_taken_away_while_polling_ends_with_77(namespace: &Namespace) {
    create_job(namespace, "db");
    let wait = start(namespace, "waiter", &jobs(&["get", "list"], &[]), &["job", "db"]);
    wait.line("polling by list");
    namespace.delete("role/waiter");
    assert_ends(&wait.finish(), 77);
}

fn polling_ends_by_watching_when_the_right_comes(namespace: &Namespace) {
    create_job(namespace, "db");
    let wait = start(namespace, "waiter", &jobs(&["get"], &[]), &["job", "db"]);
    wait.line("polling by get");
    let all = Value::from(jobs(&["get", "list", "watch"], &[])).to_string();
    namespace.kubeconfig_for("waiter", Some(&all));
    wait.line("watching jobs now");
    make_ready(namespace, "job", "db");
    assert_ends(&wait.finish(), 0);
}

fn cluster_role_is_enough_for_all_namespaces(namespace: &Namespace) {
    create_pod(namespace, "db");
    make_ready(namespace, "pod", "db");
    let selector = format!("-ltest={}", namespace.name());
    namespace.patch("pod/db", &json!({"metadata": {"labels": {"test": namespace.name()}}}));
    let arguments = ["pod", &selector, "-A"];
    let account = format!("{}:waiter", namespace.name());
    let rules = Value::from(printed_rules(&[&arguments[..], &["--service-account", &account]].concat()));
    let kubeconfig = namespace.kubeconfig_for_all_namespaces("waiter", &rules.to_string());
    let wait = Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), arguments, [("KUBECONFIG", kubeconfig)]);
    assert_ends(&wait.finish(), 0);
}

/// The log of a denied wait can be piped into kubectl, and then it works.
fn denied_wait_prints_a_role_that_allows_it(namespace: &Namespace) {
    create_job(namespace, "db");
    let denied = start(namespace, "waiter", &[], &["job", "db"]).finish();
    assert_ends(&denied, 77);
    let user = namespace.user("waiter");
    let said = format!("User \"{user}\" cannot list resource \"jobs\" in API group \"batch\" in the namespace");
    assert!(denied.stderr.contains(&said), "{denied:#?}");
    let role = denied.stderr.split("<<END\n").nth(1).and_then(|rest| rest.split("END\n").next());
    namespace.apply(role.expect("the Role stands between the marks"));
    let kubeconfig = namespace.kubeconfig_for("waiter", None);
    let wait = Wait::start(env!("CARGO_BIN_EXE_k8s-wait-for"), ["job", "db"], [("KUBECONFIG", kubeconfig)]);
    wait.line("job/db: waiting: the Job is");
    wait.signal(Signal::TERM);
    assert_ends(&wait.finish(), 143);
}
