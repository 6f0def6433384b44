//! The testbed tests itself: what its users rely on, on a real cluster.

use std::process::ExitCode;

use serde_json::json;
use testbed::{Namespace, Needs, Test, tests};

fn main() -> ExitCode {
    let of_own_cluster = tests![audit_log_counts_one_request].map(Test::of_own_cluster);
    let tests = tests![job_controller_completes_a_job_with_a_written_pod_status];
    testbed::run_tests(4, Needs::ControlPlane, tests.into_iter().chain(of_own_cluster))
}

const JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec:
      restartPolicy: Never
      # No node takes it: the tests write its status.
      nodeSelector: {testbed: none}
      containers: [{name: migrate, image: busybox:1.37, command: [sleep, '8']}]
";

fn job_controller_completes_a_job_with_a_written_pod_status(namespace: &Namespace) {
    namespace.apply(JOB);
    let pod = namespace.eventually("the Job's pod", || namespace.list("pod", "job-name=migrate").pop());
    let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
    namespace.write_status(&format!("pod/{name}"), &json!({"phase": "Succeeded"}));
    let condition = namespace.eventually("Complete", || {
        let job = namespace.get("job/migrate");
        job["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Complete").cloned()
    });
    assert_eq!(condition["status"], "True");
}

fn audit_log_counts_one_request(namespace: &Namespace) {
    let rules = "[{apiGroups: [batch], resources: [jobs], verbs: [get]}]";
    let kubeconfig = namespace.kubeconfig_for("reader", Some(rules));
    namespace.apply(JOB);
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
