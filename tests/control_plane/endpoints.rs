//! Services by their EndpointSlices: real controllers make these of pods whose addresses and readiness the test writes,
//! on a node that is there only as an object.

use serde_json::json;
use testbed::{
    Namespace,
    objects::{create_node, create_pod_with, create_service},
    scene::{ends, start, succeeds},
};

/// No right on pods.
const READER: &str =
    "[{apiGroups: ['', discovery.k8s.io], resources: [services, endpointslices], verbs: [list, watch]}]";

fn create_pod(namespace: &Namespace, name: &str, node: &str) {
    let container = "containers: [{name: main, image: 'busybox:1.37', ports: [{name: http, containerPort: 80}]}]";
    create_pod_with(namespace, name, "app: db", &format!("nodeName: {node}, {container}"));
}

/// As its kubelet would.
fn write_pod(namespace: &Namespace, name: &str, address: &str, is_ready: bool) {
    let condition = json!({"type": "Ready", "status": if is_ready { "True" } else { "False" }});
    let status = json!({"phase": "Running", "conditions": [condition], "podIP": address, "podIPs": [{"ip": address}]});
    namespace.write_status(&format!("pod/{name}"), &status);
}

pub fn service_is_ready_with_as_many_endpoints_as_are_asked_for(namespace: &Namespace) {
    let wait = start(namespace, READER, "service db --by endpoints --min 2");
    wait.line("service/db: waiting: does not exist");
    create_service(namespace, "db", "", "selector: {app: db}, ports: [{port: 80}]");
    wait.line("it has no endpoints");
    let node = create_node(namespace);
    for (pod, address) in [("db-0", "192.0.2.1"), ("db-1", "192.0.2.2")] {
        create_pod(namespace, pod, &node);
        write_pod(namespace, pod, address, false);
    }
    wait.line("0 of 2 endpoints ready, at least 2 needed");
    write_pod(namespace, "db-0", "192.0.2.1", true);
    wait.line("1 of 2 endpoints ready, at least 2 needed");
    succeeds(start(namespace, READER, "service db --by endpoints"));
    write_pod(namespace, "db-1", "192.0.2.2", true);
    succeeds(wait);
    let resources = |verb: &str| {
        let requests = namespace.requests_by("waiter");
        requests.into_iter().filter(|it| it.verb == verb).map(|it| it.resource).collect::<Vec<_>>()
    };
    assert!(!resources("list").contains(&"pods".to_owned()), "{:?}", resources("list"));
    namespace.delete(&format!("node/{node}"));
}

pub fn port_that_no_pod_has_is_not_served(namespace: &Namespace) {
    let node = create_node(namespace);
    let ports = "ports: [{name: web, port: 80, targetPort: http}, {name: numbers, port: 90, targetPort: metrics}]";
    create_service(namespace, "db", "", &format!("selector: {{app: db}}, {ports}"));
    create_pod(namespace, "db-0", &node);
    write_pod(namespace, "db-0", "192.0.2.3", true);
    let wait = start(namespace, READER, "service db --by endpoints");
    wait.line("0 of 1 endpoint ready for port numbers");
    namespace.patch("service/db", &json!({"spec": {"ports": [{"name": "web", "port": 80, "targetPort": "http"}]}}));
    succeeds(wait);
    namespace.delete(&format!("node/{node}"));
}

/// It is called ready all the same; whether it serves is said beside that.
pub fn endpoint_that_is_published_before_it_is_ready_does_not_serve(namespace: &Namespace) {
    let node = create_node(namespace);
    let spec = "selector: {app: db}, ports: [{port: 80}], publishNotReadyAddresses: true, clusterIP: None";
    create_service(namespace, "db", "", spec);
    create_pod(namespace, "db-0", &node);
    write_pod(namespace, "db-0", "192.0.2.4", false);
    let wait = start(namespace, READER, "service db --by endpoints");
    wait.line("0 of 1 endpoint ready");
    write_pod(namespace, "db-0", "192.0.2.4", true);
    succeeds(wait);
    namespace.delete(&format!("node/{node}"));
}

pub fn endpoint_on_its_way_out_does_not_count(namespace: &Namespace) {
    let node = create_node(namespace);
    create_service(namespace, "db", "", "selector: {app: db}, ports: [{port: 80}]");
    create_pod(namespace, "db-0", &node);
    write_pod(namespace, "db-0", "192.0.2.5", true);
    succeeds(start(namespace, READER, "service db --by endpoints"));
    namespace.kubectl(&["delete", "pod", "db-0", "--wait=false", "--grace-period=600"]);
    let wait = start(namespace, READER, "service db --by endpoints");
    wait.line("0 of 1 endpoint ready, 1 terminating");
    create_pod(namespace, "db-1", &node);
    write_pod(namespace, "db-1", "192.0.2.6", true);
    succeeds(wait);
    namespace.delete(&format!("node/{node}"));
}

pub fn endpoints_are_asked_for_by_the_option_alone(namespace: &Namespace) {
    for line in ["deployment/web --by endpoints", "service/db --by magic", "service/db --min 2"] {
        ends(start(namespace, READER, line), 2, "hint: ");
    }
}
