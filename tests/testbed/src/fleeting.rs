//! A Job that is gone as soon as it is done: what `ttlSecondsAfterFinished: 0` does, by the real controllers.

use serde_json::json;

use crate::Namespace;

/// The controller completes this Job when its pod has succeeded, and deletes it at once.
pub const FLEETING_JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {testbed: none}
      containers: [{name: migrate, image: busybox:1.37}]
";

/// Completes the fleeting Job and waits until it is gone.
///
/// # Panics
/// It has no pod within the limit, or is still there then.
pub fn run_fleeting_job(namespace: &Namespace) {
    let pod = namespace.eventually("the Job's pod", || namespace.list("pod", "job-name=migrate").pop());
    let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
    namespace.write_status(&format!("pod/{name}"), &json!({"phase": "Succeeded"}));
    namespace.eventually("the Job is gone", || namespace.find("job/migrate").is_none().then_some(()));
}
