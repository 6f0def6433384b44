//! Sets of pods that are not whole yet, although all that is there is ready. A DaemonSet needs a node for that, which
//! is an object only: no other pod must meet it.

use serde_json::Value;
use testbed::{
    Namespace,
    objects::{ON_A_NODE, create_node, create_pod, create_workload, make_ready, name, on_node_of, set_ready},
    scene::{EVERYTHING, start, succeeds},
};

fn pods(namespace: &Namespace) -> Vec<Value> {
    namespace.list("pod", "tier=db")
}

/// All have been ready for long; one is asked to go, and its node takes its time.
fn is_held_while_one_is_replaced(namespace: &Namespace, leaving: &str) {
    namespace.kubectl(&["delete", "pod", leaving, "--wait=false", "--grace-period=600"]);
    let wait = start(namespace, EVERYTHING, "pod -ltier=db");
    wait.line(&format!("pod {leaving} is being deleted and will be replaced"));
    let gone = namespace.get(&format!("pod/{leaving}"))["metadata"]["uid"].clone();
    namespace.kubectl(&["delete", "pod", leaving, "--wait=false", "--grace-period=0", "--force"]);
    let next = namespace.eventually("its replacement", || {
        let mut pods = pods(namespace);
        pods.retain(|pod| pod["status"]["phase"] == "Pending" && pod["metadata"]["uid"] != gone);
        pods.pop()
    });
    wait.line(&format!("pod {} is Pending, not ready", name(&next)));
    set_ready(namespace, name(&next), true);
    let finished = succeeds(wait);
    assert!(finished.stdout.contains("must stay ready for 2s"), "{finished:#?}");
}

pub fn n8_stateful_set_is_held_by_the_pod_that_is_being_replaced(namespace: &Namespace) {
    let settings = "replicas: 3, serviceName: db, podManagementPolicy: Parallel";
    create_workload(namespace, "StatefulSet", "db", settings, ON_A_NODE);
    for pod in ["db-0", "db-1", "db-2"] {
        make_ready(namespace, pod);
    }
    is_held_while_one_is_replaced(namespace, "db-1");
}

/// Its controller binds each pod to its node, which is there only as an object.
pub fn n8_daemon_set_is_held_by_the_pod_that_is_being_replaced(namespace: &Namespace) {
    let node = create_node(namespace);
    create_workload(namespace, "DaemonSet", "db", "", &on_node_of(namespace));
    let pod = namespace.eventually("the node's pod", || {
        pods(namespace).into_iter().find(|pod| pod["spec"]["nodeName"] == node.as_str())
    });
    make_ready(namespace, name(&pod));
    // Another pod that is ready: else there would be none at all.
    create_pod(namespace, "extra", "tier: db");
    make_ready(namespace, "extra");
    is_held_while_one_is_replaced(namespace, name(&pod));
    namespace.delete(&format!("node/{node}"));
}
