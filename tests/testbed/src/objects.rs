//! Objects that tests make, and the controllers and kubelets that tests play: where no node runs the pods, a test
//! writes the status that its kubelet would have written. Settings are YAML as it stands within braces, `backoffLimit:
//! 0, parallelism: 2`; what they name replaces what an object has by default.
#![expect(clippy::missing_panics_doc, reason = "a test fails by a panic: everything here panics when it fails")]

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Namespace;

/// On no node, not even on one of a cluster that has some.
pub const ON_NO_NODE: &str = "nodeSelector: {testbed: none}";
/// On a node that is not there: nothing but a test says how such a pod fares.
pub const ON_A_NODE: &str = "nodeName: node-1";

/// A Job; its controller makes its pods, and no node runs them.
pub fn create_job(namespace: &Namespace, name: &str, spec: &str) {
    create_job_with(namespace, name, "", spec, ON_NO_NODE);
}

/// The same with labels and settings of its pods' spec.
pub fn create_job_with(namespace: &Namespace, name: &str, labels: &str, spec: &str, pod: &str) {
    let metadata = json!({"name": name, "labels": settings(labels)});
    let spec = with(json!({"template": {"spec": with(pod_spec(), "restartPolicy: Never")}}), spec);
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec});
    let pod_spec = &mut job["spec"]["template"]["spec"];
    *pod_spec = with(pod_spec.take(), pod);
    namespace.apply_object(&job);
}

/// Its controller leaves it alone, so the test says how it ends: [`complete_job`], [`fail_job`].
pub fn create_suspended_job(namespace: &Namespace, name: &str) {
    create_job(namespace, name, "suspend: true");
}

/// A pod on a node that nobody runs.
pub fn create_pod(namespace: &Namespace, name: &str, labels: &str) {
    create_pod_with(namespace, name, labels, ON_A_NODE);
}

/// A pod with these settings of its spec.
pub fn create_pod_with(namespace: &Namespace, name: &str, labels: &str, spec: &str) {
    let metadata = json!({"name": name, "labels": settings(labels)});
    namespace.apply_object(
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": with(pod_spec(), spec)}),
    );
}

/// A Deployment, `StatefulSet` and so on: settings of its spec, and of that of its pods. It selects them by `app:
/// NAME`, and `tier: NAME` stands beside it, for those of which only some are its own.
pub fn create_workload(namespace: &Namespace, kind: &str, name: &str, spec: &str, pod: &str) {
    let template = json!({"metadata": {"labels": {"app": name, "tier": name}}, "spec": with(pod_spec(), pod)});
    let spec = with(json!({"selector": {"matchLabels": {"app": name}}, "template": template}), spec);
    namespace.apply_object(&json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}));
}

/// A node of this namespace, `for: NAMESPACE`, that takes no pods of others. It is there only as an object, and never
/// goes by itself: [`Namespace::delete`] it.
pub fn create_node(namespace: &Namespace) -> String {
    let name = format!("node-of-{}", namespace.name());
    namespace.apply_object(&json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"for": namespace.name()}},
        "spec": {"taints": [{"key": "testbed", "effect": "NoSchedule"}]},
    }));
    let room = json!({"pods": "10"});
    namespace.write_status(&format!("node/{name}"), &json!({"capacity": room, "allocatable": room}));
    name
}

/// Puts the pods of a `DaemonSet` onto that node alone.
pub fn on_node_of(namespace: &Namespace) -> String {
    format!("nodeSelector: {{for: {}}}, tolerations: [{{operator: Exists}}]", namespace.name())
}

/// Of a kind of anything in version `v1` of `NAMESPACE.example.com`, with a status that its controller writes.
pub fn definition(namespace: &Namespace, plural: &str, kind: &str, scope: &str) -> Value {
    let group = format!("{}.example.com", namespace.name());
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": anything},
                "subresources": {"status": {}},
            }],
        },
    })
}

/// A Service.
pub fn create_service(namespace: &Namespace, name: &str, labels: &str, spec: &str) {
    let metadata = json!({"name": name, "labels": settings(labels)});
    namespace
        .apply_object(&json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": settings(spec)}));
}

fn pod_spec() -> Value {
    json!({"containers": [{"name": "main", "image": "busybox:1.37", "command": ["sleep", "600"]}]})
}

fn settings(yaml: &str) -> Map<String, Value> {
    serde_saphyr::from_str(&format!("{{{yaml}}}")).unwrap_or_else(|error| panic!("parse settings: {error}\n{yaml}"))
}

fn with(mut object: Value, yaml: &str) -> Value {
    object.as_object_mut().expect("settings are of an object").extend(settings(yaml));
    object
}

/// The object's name.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("an object has a name")
}

/// Its uid.
pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().expect("an object has a uid")
}

/// The pods that a controller makes, once it has made so many.
pub fn pods<const N: usize>(namespace: &Namespace, selector: &str) -> [String; N] {
    namespace.eventually("the controller's pods", || {
        let names: Vec<String> = namespace.list("pod", selector).iter().map(|pod| name(pod).to_owned()).collect();
        names.try_into().ok()
    })
}

/// The pods that have not ended, as soon as there is one: `pod/db-0`.
pub fn live_pods(namespace: &Namespace, selector: &str) -> Vec<String> {
    let pods = namespace.eventually(selector, || {
        let mut pods = namespace.list("pod", selector);
        pods.retain(is_live);
        Some(pods).filter(|pods| !pods.is_empty())
    });
    pods.iter().map(|pod| format!("pod/{}", name(pod))).collect()
}

/// Whether it is no pod, or one that has not ended.
pub(crate) fn is_live(object: &Value) -> bool {
    !matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Writes the status of the live pods, as a kubelet would.
pub fn write_pods(namespace: &Namespace, selector: &str, status: &Value) {
    for pod in live_pods(namespace, selector) {
        namespace.write_status(&pod, status);
    }
}

/// Ends the live pods in this phase.
pub fn end_pods(namespace: &Namespace, selector: &str, phase: &str) {
    write_pods(namespace, selector, &json!({"phase": phase}));
}

/// Ends the Job's pods in this phase; its controller draws the conclusion.
pub fn end_job(namespace: &Namespace, job: &str, phase: &str) {
    end_pods(namespace, &pods_of(namespace, job), phase);
}

/// Selects those of this very Job: the pods of one of the same name that was deleted go only some time after it.
pub fn pods_of(namespace: &Namespace, job: &str) -> String {
    format!("batch.kubernetes.io/controller-uid={}", uid(&namespace.get(&format!("job/{job}"))))
}

/// The one live pod of this Job.
pub fn pod_of(namespace: &Namespace, job: &str) -> String {
    live_pods(namespace, &pods_of(namespace, job)).swap_remove(0).split_off("pod/".len())
}

/// Writes what the Job's controller would.
pub fn complete_job(namespace: &Namespace, job: &str) {
    let conditions = [json!({"type": "SuccessCriteriaMet"}), json!({"type": "Complete"})];
    write_end(namespace, job, conditions, json!({"completionTime": now(), "succeeded": 1}));
}

/// The same for a Job that fails for this reason.
pub fn fail_job(namespace: &Namespace, job: &str, reason: &str) {
    let condition = |kind: &str| json!({"type": kind, "reason": reason, "message": "as the test says"});
    write_end(namespace, job, [condition("FailureTarget"), condition("Failed")], json!({"failed": 1}));
}

fn write_end(namespace: &Namespace, job: &str, conditions: [Value; 2], mut status: Value) {
    let conditions = conditions.map(|mut condition| {
        for key in ["lastProbeTime", "lastTransitionTime"] {
            condition[key] = now();
        }
        condition["status"] = "True".into();
        condition
    });
    status["startTime"] = now();
    status["conditions"] = conditions.into_iter().collect();
    namespace.write_status(&format!("job/{job}"), &status);
}

fn now() -> Value {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// As its kubelet would, just now.
pub fn set_ready(namespace: &Namespace, pod: &str, ready: bool) {
    write_ready(namespace, pod, if ready { "True" } else { "False" }, &now());
}

/// Ready long ago, so that nothing has to settle.
pub fn make_ready(namespace: &Namespace, pod: &str) {
    write_ready(namespace, pod, "True", &json!("2026-01-01T00:00:00Z"));
}

fn write_ready(namespace: &Namespace, pod: &str, status: &str, since: &Value) {
    let condition = json!({"type": "Ready", "status": status, "lastTransitionTime": since});
    let path = format!("pod/{pod}");
    namespace.eventually(&path, || namespace.find(&path));
    namespace.write_status(&path, &json!({"phase": "Running", "conditions": [condition]}));
}

/// The status of a container in this state.
pub fn container(name: &str, state: &Value) -> Value {
    let image = "busybox:1.37";
    json!({"name": name, "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

/// The state of a container that has ended.
pub fn terminated(exit_code: i32, message: &str) -> Value {
    json!({"terminated": {"exitCode": exit_code, "message": message, "startedAt": null, "finishedAt": null}})
}

/// A Job that runs this script on a node, in a container of its own name.
pub fn create_script(namespace: &Namespace, name: &str, spec: &str, script: &str) {
    let container = format!("{{name: {name}, image: 'busybox:1.37', command: [sh, -c, {script:?}]}}");
    let pod = format!("terminationGracePeriodSeconds: 5, containers: [{container}]");
    create_job_with(namespace, name, "", spec, &pod);
}

/// The spec of a pod whose init container `wait` runs on a node, under the limits of `manifests/`, as the service
/// account `shop`; the container's command and the like are given.
pub fn waiter(namespace: &Namespace, container: &str) -> String {
    let wait =
        format!("name: wait, image: '{}', imagePullPolicy: IfNotPresent, {container}", namespace.cluster().image());
    format!(
        "
        serviceAccountName: shop,
        terminationGracePeriodSeconds: 0,
        tolerations: [{{operator: Exists}}],
        securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}},
        initContainers: [{{
            {wait},
            resources: {{limits: {{memory: 16Mi, cpu: 50m}}}},
            securityContext: {{
                readOnlyRootFilesystem: true,
                allowPrivilegeEscalation: false,
                capabilities: {{drop: [ALL]}},
            }},
        }}],
        containers: [{{
            name: web, image: 'busybox:1.37', command: [sleep, '3600'], securityContext: {{runAsUser: 65532}},
        }}]
        "
    )
}

/// The spec of a pod whose init container `wait` no node runs.
pub const WAITER: &str = "nodeSelector: {testbed: none}, initContainers: [{name: wait, image: 'k8s-wait-for:dev'}]";

/// Two pods of a Deployment `shop` with a [`WAITER`].
pub fn deployment(namespace: &Namespace) -> [String; 2] {
    two_pods(namespace, "Deployment", "")
}

/// The same of another kind, with more settings: `, podManagementPolicy: Parallel`.
pub fn two_pods(namespace: &Namespace, kind: &str, spec: &str) -> [String; 2] {
    create_workload(namespace, kind, "shop", &format!("replicas: 2{spec}"), WAITER);
    pods(namespace, "app=shop")
}

/// What a kubelet says of the init container `wait`: its state now, and that of its run before.
pub fn write_wait(namespace: &Namespace, pod: &str, state: &Value, before: &Value) {
    let mut status = container("wait", state);
    status["lastState"] = before.clone();
    namespace.write_status(&format!("pod/{pod}"), &json!({"phase": "Pending", "initContainerStatuses": [status]}));
}

/// The pod's wait has succeeded and left this message.
pub fn finish_wait(namespace: &Namespace, pod: &str, message: &str) {
    write_wait(namespace, pod, &terminated(0, message), &json!({}));
}

/// What a wait leaves that has seen this Job complete.
pub fn mark(namespace: &Namespace, job: &str, uid: &str) -> String {
    format!("k8s-wait-for/1 ready job/{}/{job} uid={uid}\ndone after 8s", namespace.name())
}

/// Waits until the object is gone.
pub fn await_gone(namespace: &Namespace, path: &str) {
    namespace.eventually(&format!("{path} is gone"), || namespace.find(path).is_none().then_some(()));
}

/// Waits until the Job has this condition.
pub fn await_condition(namespace: &Namespace, job: &str, kind: &str) {
    namespace.eventually(kind, || {
        let conditions = namespace.get(&format!("job/{job}"))["status"]["conditions"].as_array()?.clone();
        conditions.into_iter().find(|condition| condition["type"] == kind && condition["status"] == "True")
    });
}

/// Waits for an event with this reason.
pub fn await_event(namespace: &Namespace, reason: &str) {
    namespace
        .eventually(reason, || namespace.list("event", "").iter().any(|event| event["reason"] == reason).then_some(()));
}

/// A Job that is gone as soon as it is done: its controller completes it when its pod has succeeded, and it is deleted
/// at once.
pub fn create_fleeting_job(namespace: &Namespace) {
    create_job(namespace, "migrate", "ttlSecondsAfterFinished: 0");
}

/// Completes the fleeting Job and waits until it is gone.
pub fn run_fleeting_job(namespace: &Namespace) {
    end_job(namespace, "migrate", "Succeeded");
    await_gone(namespace, "job/migrate");
}
