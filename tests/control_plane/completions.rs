//! What is offered while somebody types, of a real cluster.

use std::path::Path;

use serde_json::json;
use testbed::{
    Namespace, Wait,
    objects::create_suspended_job,
    scene::{ALL, exec_credential, program, with_plugin},
};

/// The candidates at the end of a line, in the form that bash gets. Nothing else is ever said.
#[track_caller]
fn offered(kubeconfig: &Path, line: &str) -> Vec<String> {
    let kubeconfig = kubeconfig.to_str().expect("a UTF-8 path");
    let words = ["--", "k8s-wait-for"].into_iter().chain(line.split(' '));
    let finished =
        Wait::start(program(), words, [("KUBECONFIG", kubeconfig), ("_K8S_WAIT_FOR_COMPLETE", "bash")]).finish();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{line}: {finished:#?}");
    finished.stdout.lines().map(str::to_owned).collect()
}

pub fn names_of_the_cluster_are_offered_by_one_request(namespace: &Namespace) {
    for name in ["migrate-1", "migrate-2"] {
        create_suspended_job(namespace, name);
    }
    let kubeconfig = namespace.kubeconfig_for_all_namespaces("waiter", ALL);
    assert_eq!(offered(&kubeconfig, "job "), ["migrate-1", "migrate-2"]);
    let asked = namespace.requests_by("waiter");
    let asked: Vec<(&str, &str)> = asked.iter().map(|it| (&*it.verb, &*it.resource)).collect();
    assert_eq!(asked, [("list", "jobs")]);
    let name = namespace.name();
    assert_eq!(offered(&kubeconfig, &format!("jobs -n {name} migrate-1 migrate-2")), ["migrate-2"]);
    assert_eq!(offered(&kubeconfig, "deploy/a job/"), ["job/migrate-1", "job/migrate-2"]);
    assert_eq!(offered(&kubeconfig, &format!("{name}:job/migrate-2")), [format!("{name}:job/migrate-2")]);
    assert_eq!(offered(&kubeconfig, "rbac sa/def"), ["sa/default"]);
    assert_eq!(offered(&kubeconfig, "-n kube-sys"), ["kube-system"]);
    assert_eq!(offered(&kubeconfig, "ns kube-sys"), ["kube-system"]);
    assert_eq!(offered(&kubeconfig, "job -n kube-system "), [""; 0]);
    assert_eq!(offered(&kubeconfig, "--context "), ["test"]);
    assert_eq!(offered(&kubeconfig, "--context nowhere job "), [""; 0]);
}

pub fn what_may_not_be_listed_is_not_offered(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let kubeconfig = namespace.kubeconfig_for("waiter", None);
    for line in ["job ", "job/", "-n "] {
        assert_eq!(offered(&kubeconfig, line), [""; 0], "{line}");
    }
    assert_eq!(offered(&kubeconfig, "cronj"), ["cronjob"]);
}

/// One that asks for something on the terminal gets no answer: it is not waited for.
pub fn exec_plugin_cannot_speak_into_the_line(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(ALL));
    let credential = exec_credential(&json!({"token": namespace.token_for("waiter")}));
    let speaking = with_plugin(&kubeconfig, "speaking", &format!("echo password: >&2\necho '{credential}'"));
    assert_eq!(offered(&speaking, "job "), ["migrate"]);
    let hanging = with_plugin(&kubeconfig, "hanging", "echo password: >&2\nexec sleep infinity");
    assert_eq!(offered(&hanging, "job "), [""; 0]);
}
