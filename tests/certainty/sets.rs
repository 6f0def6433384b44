//! Sets of objects that are not whole yet, although all that is there is ready.

use serde_json::{Value, json};
use testbed::Namespace;

use crate::scene::{EVERYTHING, complete_job, create_job, ends, set_ready, start};

const TEMPLATE: &str = "
    metadata: {labels: {app: db, tier: data}}
    spec: {nodeName: node-1, containers: [{name: db, image: 'busybox:1.37'}]}";

fn pods(namespace: &Namespace) -> Vec<Value> {
    namespace.list("pod", "tier=data")
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().expect("a pod has a name")
}

/// All have been ready for long; one is asked to go, and its node takes its time.
fn is_held_while_one_is_replaced(namespace: &Namespace, leaving: &str) {
    namespace.kubectl(&["delete", "pod", leaving, "--wait=false", "--grace-period=600"]);
    let wait = start(namespace, EVERYTHING, "pod -ltier=data");
    wait.line(&format!("pod {leaving} is being deleted and will be replaced after that"));
    let gone = namespace.get(&format!("pod/{leaving}"))["metadata"]["uid"].clone();
    namespace.kubectl(&["delete", "pod", leaving, "--wait=false", "--grace-period=0", "--force"]);
    let next = namespace.eventually("its replacement", || {
        let mut pods = pods(namespace);
        pods.retain(|pod| pod["status"]["phase"] == "Pending" && pod["metadata"]["uid"] != gone);
        pods.pop()
    });
    wait.line(&format!("pod {} is Pending, not ready", name(&next)));
    set_ready(namespace, name(&next), true, false);
    let finished = ends(wait, 0, "done after");
    assert!(finished.stdout.contains("waiting until that has been so for 2s"), "{finished:#?}");
}

pub fn n8_stateful_set_is_held_by_the_pod_that_is_being_replaced(namespace: &Namespace) {
    namespace.apply(&format!(
        "
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  replicas: 3
  serviceName: db
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: db}}}}
  template:{TEMPLATE}
"
    ));
    for pod in ["db-0", "db-1", "db-2"] {
        set_ready(namespace, pod, true, true);
    }
    is_held_while_one_is_replaced(namespace, "db-1");
}

/// Its controller binds each pod to its node, which is there only as an object.
pub fn n8_daemon_set_is_held_by_the_pod_that_is_being_replaced(namespace: &Namespace) {
    let node = format!("node-of-{}", namespace.name());
    let labels = json!({"for": namespace.name()});
    namespace.apply_object(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}}));
    let room = json!({"pods": "10"});
    let room = json!({"status": {"capacity": room, "allocatable": room}}).to_string();
    namespace.kubectl(&["patch", "node", &node, "--subresource=status", "--type=merge", "--patch", &room]);
    namespace.apply_object(&json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "db"},
        "spec": {
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db", "tier": "data"}},
                "spec": {
                    "nodeSelector": labels,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{"name": "db", "image": "busybox:1.37"}],
                },
            },
        },
    }));
    let pod = namespace.eventually("the node's pod", || {
        pods(namespace).into_iter().find(|pod| pod["spec"]["nodeName"] == node.as_str())
    });
    set_ready(namespace, name(&pod), true, true);
    // Another pod that is ready: else there would be none at all.
    crate::scene::create_pod(namespace, "extra", "tier: data");
    set_ready(namespace, "extra", true, true);
    is_held_while_one_is_replaced(namespace, name(&pod));
    namespace.kubectl(&["delete", "node", &node]);
}

/// Let go at the first complete Job, the release's second one came a moment later.
pub fn n9_selector_of_jobs_waits_for_one_that_comes_a_moment_later(namespace: &Namespace) {
    create_job(namespace, "schema", "release: r9");
    complete_job(namespace, "schema");
    let wait = start(namespace, EVERYTHING, "job-wr -lrelease=r9 --settle 10s");
    wait.line("1 job done, waiting until that has been so for 10s");
    create_job(namespace, "seed", "release: r9");
    wait.line("1 of 2 jobs complete; job seed: the Job is suspended");
    // Its end is kept.
    namespace.delete("job/schema");
    complete_job(namespace, "seed");
    wait.line("2 jobs done, waiting until that has been so for 10s");
    ends(wait, 0, "done after");
}
