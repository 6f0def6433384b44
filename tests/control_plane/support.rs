//! The testbed tests itself: what its users rely on, on a real cluster.

use testbed::{
    Namespace,
    objects::{await_condition, create_job, end_job},
};

pub fn job_controller_completes_a_job_with_a_written_pod_status(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    end_job(namespace, "migrate", "Succeeded");
    await_condition(namespace, "migrate", "Complete");
}

pub fn audit_log_counts_one_request(namespace: &Namespace) {
    let rules = "[{apiGroups: [batch], resources: [jobs], verbs: [get]}]";
    let kubeconfig = namespace.kubeconfig_for("reader", Some(rules));
    create_job(namespace, "migrate", "");
    namespace.kubectl(&[
        "--kubeconfig",
        kubeconfig.to_str().expect("a UTF-8 path"),
        "get",
        "--raw",
        &format!("/apis/batch/v1/namespaces/{}/jobs/migrate", namespace.name()),
    ]);
    let requests = namespace.requests_by("reader");
    assert_eq!(requests.len(), 1, "{requests:#?}");
    assert_eq!((requests[0].verb.as_str(), requests[0].name.as_str(), requests[0].code), ("get", "migrate", 200));
}
