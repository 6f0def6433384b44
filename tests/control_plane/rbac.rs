//! Rights, on a real API server: the printed Role is enough, and each verb that is taken away from it degrades the
//! wait or denies it as documented. The cases are made from what `rbac` prints, mode by mode; no list is kept here.

use std::process::Command;

use serde_json::{Value, json};
use testbed::{
    Namespace, Wait,
    objects::{self, ON_NO_NODE, await_gone, create_job_with, create_pod_with, create_service, end_job},
    scene::{ends, program, still_waits, wait, wait_with},
};

const MODES: [&str; 8] = ["job", "job-wr", "job-we", "pod", "pod-wr", "pod-we", "service", "service-wr"];

pub fn job(namespace: &Namespace) {
    every_right_of(namespace, "job");
}

pub fn job_wr(namespace: &Namespace) {
    every_right_of(namespace, "job-wr");
}

pub fn job_we(namespace: &Namespace) {
    every_right_of(namespace, "job-we");
}

pub fn pod(namespace: &Namespace) {
    every_right_of(namespace, "pod");
}

pub fn pod_wr(namespace: &Namespace) {
    every_right_of(namespace, "pod-wr");
}

pub fn pod_we(namespace: &Namespace) {
    every_right_of(namespace, "pod-we");
}

pub fn service(namespace: &Namespace) {
    every_right_of(namespace, "service");
}

pub fn service_wr(namespace: &Namespace) {
    every_right_of(namespace, "service-wr");
}

pub fn modes_of_the_help_are_those_tested_here(_: &Namespace) {
    let help = print(&["--help"]);
    let block = help.split("Modes:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("help lists the modes");
    let modes: Vec<&str> = block.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(modes, MODES);
}

/// What the binary prints, without any cluster.
fn print(arguments: &[&str]) -> String {
    let output = Command::new(program()).args(arguments).output().expect("the binary starts");
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
    let kubeconfig = namespace.kubeconfig_for(account, Some(&Value::from(rules).to_string()));
    let line = format!("{} --auth-grace=1s --settle=0s", arguments.join(" "));
    wait_with(&kubeconfig, &line, &[("WAIT_TIME", "0.1")])
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
        ends(blocked, 0, "");
        assert_no_right_but(namespace, &format!("{place}-whole"), &rules);
        for (index, (rule, verb, less)) in reduced(&rules).into_iter().enumerate() {
            remove(namespace, mode, "db");
            create(namespace, mode, "db");
            let wait = start(namespace, &format!("{place}-{index}"), &less, &arguments);
            match (is_needed(mode, &rule), verb.as_str()) {
                (true, "list") => {
                    ends(wait, 77, "");
                    continue;
                }
                (true, _) => {
                    wait.line(&format!("not permitted to watch {}", rule["resources"][0].as_str().unwrap_or("?")))
                }
                (false, _) => wait.line("waiting: "),
            };
            make_ready(namespace, mode, "db");
            ends(wait, 0, "");
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

pub fn explanations_stay_within_their_rules(namespace: &Namespace) {
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
        Some("job") => create_job_with(namespace, name, "app: db", "", ON_NO_NODE),
        Some("pod") => create_pod(namespace, name),
        _ => {
            create_pod(namespace, name);
            create_service(namespace, name, "app: db", "selector: {app: db}, ports: [{port: 80}]");
        }
    }
}

/// Gone at once, and on no node: that is what is explained.
fn create_pod(namespace: &Namespace, name: &str) {
    create_pod_with(namespace, name, "app: db", "terminationGracePeriodSeconds: 0");
}

fn make_ready(namespace: &Namespace, mode: &str, name: &str) {
    if mode.starts_with("job") { end_job(namespace, name, "Succeeded") } else { objects::make_ready(namespace, name) }
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
        await_gone(namespace, &path);
    }
}

fn jobs(verbs: &[&str], names: &[&str]) -> Vec<Value> {
    let mut rule = json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": verbs});
    if !names.is_empty() {
        rule["resourceNames"] = json!(names);
    }
    vec![rule]
}

pub fn role_limited_to_a_name_does_not_show_another(namespace: &Namespace) {
    create_job_with(namespace, "db", "app: db", "", ON_NO_NODE);
    create_job_with(namespace, "other", "app: db", "", ON_NO_NODE);
    for verbs in [&["get"][..], &["get", "list"], &["get", "list", "watch"]] {
        let account = verbs.join("-");
        let rules = jobs(verbs, &["db"]);
        let wait = start(namespace, &account, &rules, &["job", "db"]);
        wait.line("job/db: waiting: the Job is");
        drop(wait);
        ends(start(namespace, &account, &rules, &["job", "other"]), 77, "");
    }
    let rules = jobs(&["get"], &["db"]);
    let wait = start(namespace, "get", &rules, &["job", "db"]);
    wait.line("polling by get: not permitted to list jobs");
    make_ready(namespace, "job", "db");
    ends(wait, 0, "");
}

pub fn role_taken_away_while_polling_ends_with_77(namespace: &Namespace) {
    create_job_with(namespace, "db", "app: db", "", ON_NO_NODE);
    let wait = start(namespace, "waiter", &jobs(&["get", "list"], &[]), &["job", "db"]);
    wait.line("polling by list");
    namespace.delete("role/waiter");
    ends(wait, 77, "");
}

pub fn polling_ends_by_watching_when_the_right_comes(namespace: &Namespace) {
    create_job_with(namespace, "db", "app: db", "", ON_NO_NODE);
    let wait = start(namespace, "waiter", &jobs(&["get"], &[]), &["job", "db"]);
    wait.line("polling by get");
    let all = Value::from(jobs(&["get", "list", "watch"], &[])).to_string();
    namespace.kubeconfig_for("waiter", Some(&all));
    wait.line("watching jobs now");
    make_ready(namespace, "job", "db");
    ends(wait, 0, "");
}

pub fn cluster_role_is_enough_for_all_namespaces(namespace: &Namespace) {
    create_pod(namespace, "db");
    make_ready(namespace, "pod", "db");
    let selector = format!("-ltest={}", namespace.name());
    namespace.patch("pod/db", &json!({"metadata": {"labels": {"test": namespace.name()}}}));
    let arguments = ["pod", &selector, "-A"];
    let account = format!("{}:waiter", namespace.name());
    let rules = Value::from(printed_rules(&[&arguments[..], &["--service-account", &account]].concat()));
    let kubeconfig = namespace.kubeconfig_for_all_namespaces("waiter", &rules.to_string());
    ends(wait(&kubeconfig, &arguments.join(" ")), 0, "");
}

/// The log of a denied wait can be piped into kubectl, and then it works.
pub fn denied_wait_prints_a_role_that_allows_it(namespace: &Namespace) {
    create_job_with(namespace, "db", "app: db", "", ON_NO_NODE);
    let denied = ends(start(namespace, "waiter", &[], &["job", "db"]), 77, "");
    let user = namespace.user("waiter");
    let said = format!("User \"{user}\" cannot list resource \"jobs\" in API group \"batch\" in the namespace");
    assert!(denied.stderr.contains(&said), "{denied:#?}");
    let role = denied.stderr.split("<<END\n").nth(1).and_then(|rest| rest.split("END\n").next());
    namespace.apply(role.expect("the Role stands between the marks"));
    let kubeconfig = namespace.kubeconfig_for("waiter", None);
    let wait = wait(&kubeconfig, "job db");
    wait.line("job/db: waiting: the Job is");
    still_waits(wait);
}
