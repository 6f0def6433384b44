//! The testbed tests itself: a node that really runs pods, with what a pod may expect of one.

use serde_json::Value;
use testbed::Namespace;

fn run(namespace: &Namespace, name: &str, settings: &str, script: &str) {
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.37
    {settings}
    command: [sh, -c, {script:?}]
"
    ));
}

/// Waits until the pod's container has ended, and answers how.
fn end_of(namespace: &Namespace, pod: &str) -> Value {
    namespace.eventually("the container's end", || {
        let pod = namespace.get(&format!("pod/{pod}"));
        pod.pointer("/status/containerStatuses/0/state/terminated").cloned()
    })
}

pub fn node_runs_a_pod_and_serves_its_log(namespace: &Namespace) {
    run(namespace, "speaker", "", "echo hello from $(id -un); exit 3");
    assert_eq!(end_of(namespace, "speaker")["exitCode"], 3);
    assert_eq!(namespace.pod_logs("speaker", "main"), "hello from root\n");
}

pub fn memory_limit_is_enforced(namespace: &Namespace) {
    run(namespace, "eater", "resources: {limits: {memory: 16Mi}}", "exec tail /dev/zero");
    let end = end_of(namespace, "eater");
    assert_eq!((&end["reason"], &end["exitCode"]), (&"OOMKilled".into(), &137.into()), "{end}");
}

pub fn pod_reaches_the_api_server(namespace: &Namespace) {
    // Debian's busybox speaks no TLS (and dies with -T), so what it gets is the server's word that this port wants it.
    let script = "wget -O - http://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT 2>&1; ls /var/run/secrets/kubernetes.io/serviceaccount";
    run(namespace, "client", "", script);
    let end = end_of(namespace, "client");
    let log = namespace.pod_logs("client", "main");
    assert_eq!(end["exitCode"], 0, "{log}");
    assert!(log.contains("400 Bad Request") && log.contains("ca.crt") && log.contains("token"), "{log}");
}

pub fn failing_probe_keeps_a_pod_unready(namespace: &Namespace) {
    let probe = "readinessProbe: {periodSeconds: 1, exec: {command: [test, -e, /tmp/ready]}}";
    run(namespace, "server", probe, "httpd -p 8080 && sleep 1 && touch /tmp/ready && sleep 600");
    let is_ready = || {
        let pod = namespace.get("pod/server");
        let conditions = pod.pointer("/status/conditions")?.as_array()?.clone();
        conditions.into_iter().find(|condition| condition["type"] == "Ready").map(|ready| ready["status"] == "True")
    };
    namespace.eventually("not Ready at first", || is_ready().filter(|ready| !ready));
    namespace.eventually("Ready", || is_ready().filter(|ready| *ready));
}
