//! What only has to be there, or to be in one state: from absent to ready, and to failed where there is such a thing.

use serde_json::{Value, json};
use testbed::{
    Namespace,
    front::{Asked, Front, Reply},
    objects::{await_gone, create_node, create_service, definition},
    scene::{ALL, ends, looks, refusal, start, start_at, start_everywhere, succeeds},
};

/// A wait that begins before its object is there, and ends as soon as it is.
fn exists_at_last(namespace: &Namespace, line: &str, noun: &str, object: &Value) {
    let wait = start(namespace, ALL, line);
    let name = object["metadata"]["name"].as_str().expect("an object has a name");
    wait.line(&format!("{noun}/{name}: waiting: does not exist"));
    namespace.apply_object(object);
    let finished = succeeds(wait);
    assert!(finished.stdout.contains(&format!("{noun}/{name}: ready")), "{finished:#?}");
}

pub fn config_map_secret_and_service_account_have_to_exist(namespace: &Namespace) {
    let object = |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    exists_at_last(namespace, "cm settings", "configmap", &object("ConfigMap", "settings"));
    exists_at_last(namespace, "secrets/tls", "secret", &object("Secret", "tls"));
    exists_at_last(namespace, "sa/shop", "serviceaccount", &object("ServiceAccount", "shop"));
}

pub fn config_map_that_is_being_deleted_is_not_there(namespace: &Namespace) {
    namespace
        .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, finalizers: [testbed.example.com/held]}}");
    namespace.delete("configmap/settings");
    let wait = start(namespace, ALL, "configmap settings");
    wait.line("waiting: being deleted");
    namespace.patch("configmap/settings", &json!({"metadata": {"finalizers": null}}));
    wait.line("does not exist");
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}");
    succeeds(wait);
}

pub fn config_map_and_secret_need_each_key_that_is_asked_for(namespace: &Namespace) {
    for (kind, word) in [("ConfigMap", "configmap"), ("Secret", "secret")] {
        let wait = start(namespace, ALL, &format!("{word} tls --key tls.crt --key tls.key"));
        wait.line("does not exist");
        namespace.apply(&format!("{{apiVersion: v1, kind: {kind}, metadata: {{name: tls}}, data: {{tls.crt: eA==}}}}"));
        wait.line(&format!("{word}/tls: waiting: no key tls.key"));
        // An empty value is one.
        namespace.patch(&format!("{word}/tls"), &json!({"data": {"tls.key": ""}}));
        succeeds(wait);
    }
    namespace.patch("configmap/tls", &json!({"binaryData": {"ca": "eA=="}}));
    succeeds(start(namespace, ALL, "configmap/tls --key ca"));
    ends(start(namespace, ALL, "serviceaccount/default --key ca"), 2, "");
}

/// Whole Secrets are neither listed nor watched where only their being there counts, nor to explain that one is not.
pub fn existence_is_asked_for_by_metadata_alone(namespace: &Namespace) {
    let kinds = [("configmap", "ConfigMap"), ("secret", "Secret"), ("serviceaccount", "ServiceAccount")];
    let create = |kind: &str, name: &str| {
        namespace.apply_object(&json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}));
    };
    create("Secret", "other");
    let front = Front::start(namespace.cluster(), |_| Reply::Pass);
    let wait = start_at(namespace, &front.url(), "configmap/tls secret/tls serviceaccount/tls", &[]);
    for (word, kind) in kinds {
        wait.line(&format!("{word}/tls: the only {kind} in namespace {} is ", namespace.name()));
        create(kind, "tls");
    }
    succeeds(wait);
    for (word, _) in kinds {
        let path = format!("/{word}s?");
        let asked: Vec<_> = front.asked().into_iter().filter(|it| it.target.contains(&path)).collect();
        assert!(asked.iter().any(Asked::is_watch), "{word}: {asked:#?}");
        for it in asked {
            let is_table = it.accept.contains(";as=Table") && it.target.contains("includeObject=None");
            assert!(is_table || it.accept.contains(";as=PartialObjectMetadata"), "{it:#?}");
        }
    }
}

/// The same by a get, where nothing else is allowed.
pub fn existence_is_polled_by_metadata_alone(namespace: &Namespace) {
    let front = Front::start(namespace.cluster(), |asked| {
        if asked.target.contains("/secrets?") { refusal(403, "Forbidden") } else { Reply::Pass }
    });
    let wait = start_at(namespace, &front.url(), "secret/tls", &[("WAIT_TIME", "0.1")]);
    wait.line("does not exist");
    namespace.apply("{apiVersion: v1, kind: Secret, metadata: {name: tls}}");
    succeeds(wait);
    let gets: Vec<_> = front.asked().into_iter().filter(|it| it.target.ends_with("/secrets/tls")).collect();
    assert!(!gets.is_empty() && gets.iter().all(|it| it.accept.contains(";as=PartialObjectMetadata;")), "{gets:#?}");
}

pub fn claim_is_ready_when_it_is_bound_and_has_failed_when_it_is_lost(namespace: &Namespace) {
    let wait = start(namespace, ALL, "pvc data");
    wait.line("pvc/data: waiting: does not exist");
    namespace.apply(
        "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: nobody, resources: {requests: {storage: 1Gi}}}
",
    );
    wait.line("pvc/data: waiting: Pending");
    namespace.write_status("persistentvolumeclaim/data", &json!({"phase": "Bound", "capacity": {"storage": "1Gi"}}));
    succeeds(wait);
    namespace.write_status("persistentvolumeclaim/data", &json!({"phase": "Lost"}));
    ends(start(namespace, ALL, "persistentvolumeclaims/data"), 1, "pvc/data: lost its volume");
}

pub fn namespace_is_ready_until_it_is_deleted(namespace: &Namespace) {
    let other = format!("{}-other", namespace.name());
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}});
    let wait = start_everywhere(namespace, ALL, &format!("ns {other}"));
    wait.line(&format!("namespace/{other}: waiting: does not exist"));
    namespace.apply_object(&object);
    succeeds(wait);
    // Something in it takes its time.
    let held = json!({"name": "held", "namespace": other, "finalizers": ["testbed.example.com/held"]});
    namespace.apply_object(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}));
    namespace.delete(&format!("namespace/{other}"));
    let wait = start_everywhere(namespace, ALL, &format!("namespace {other}"));
    wait.line(&format!("namespace/{other}: waiting: being deleted"));
    let gone = start_everywhere(namespace, ALL, &format!("namespace {other} --for delete"));
    gone.line("it is being deleted");
    namespace.kubectl(&["patch", "configmap", "held", "-n", &other, "-p", r#"{"metadata":{"finalizers":null}}"#]);
    succeeds(gone);
    wait.line(&format!("namespace/{other}: waiting: does not exist"));
    namespace.apply_object(&object);
    succeeds(wait);
    namespace.delete(&format!("namespace/{other}"));
}

pub fn node_is_ready_by_its_condition(namespace: &Namespace) {
    let name = format!("node-of-{}", namespace.name());
    let wait = start_everywhere(namespace, ALL, &format!("node {name}"));
    wait.line(&format!("node/{name}: waiting: does not exist"));
    create_node(namespace);
    wait.line(&format!("node/{name}: waiting: no condition Ready yet"));
    let ready = |status: &str, reason: &str, message: &str| {
        let condition = json!({"type": "Ready", "status": status, "reason": reason, "message": message});
        namespace.write_status(&format!("node/{name}"), &json!({"conditions": [condition]}));
    };
    ready("False", "KubeletNotReady", "container runtime is down");
    wait.line(&format!(
        "node/{name}: waiting: not Ready: its condition is False (KubeletNotReady: container runtime is down)"
    ));
    ready("True", "KubeletReady", "");
    succeeds(wait);
    namespace.delete(&format!("node/{name}"));
}

pub fn definition_is_established_and_its_group_served(namespace: &Namespace) {
    let group = format!("{}.example.com", namespace.name());
    let crd = start_everywhere(namespace, ALL, &format!("crd widgets.{group}"));
    crd.line(&format!("crd/widgets.{group}: waiting: does not exist"));
    let service = start_everywhere(namespace, ALL, &format!("apiservice v1.{group}"));
    service.line(&format!("apiservice/v1.{group}: waiting: does not exist"));
    namespace.apply_object(&definition(namespace, "widgets", "Widget", "Namespaced"));
    succeeds(crd);
    succeeds(service);
}

pub fn definition_whose_names_are_taken_has_failed(namespace: &Namespace) {
    let group = format!("{}.example.com", namespace.name());
    namespace.apply_object(&definition(namespace, "widgets", "Widget", "Namespaced"));
    succeeds(start_everywhere(namespace, ALL, &format!("crd/widgets.{group}")));
    let wait = start_everywhere(namespace, ALL, &format!("crd/gadgets.{group}"));
    wait.line("does not exist");
    let mut other = definition(namespace, "gadgets", "Widget", "Namespaced");
    other["spec"]["names"]["singular"] = "gadget".into();
    namespace.apply_object(&other);
    ends(wait, 1, "not accepted: ");
}

pub fn ingress_is_ready_with_an_address(namespace: &Namespace) {
    let wait = start(namespace, ALL, "ing web");
    wait.line("ingress/web: waiting: does not exist");
    namespace.apply(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
",
    );
    wait.line("waiting: no address yet");
    namespace.write_status("ingress/web", &json!({"loadBalancer": {"ingress": [{"hostname": "web.example.com"}]}}));
    succeeds(wait);
}

pub fn service_is_ready_with_the_address_of_its_load_balancer(namespace: &Namespace) {
    let wait = start(namespace, ALL, "svc web --by load-balancer");
    wait.line("service/web: waiting: does not exist");
    create_service(namespace, "web", "", "ports: [{port: 80}]");
    wait.line("waiting: of type ClusterIP, which gets no load balancer");
    namespace.patch("service/web", &json!({"spec": {"type": "LoadBalancer"}}));
    wait.line("waiting: no address yet");
    namespace.write_status("service/web", &json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}));
    succeeds(wait);
}

pub fn kinds_of_the_cluster_take_no_namespace(namespace: &Namespace) {
    let finished = start(namespace, ALL, "shop:node/a").finish();
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    looks(namespace, ALL, "configmap settings", 124, "does not exist");
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}");
    succeeds(start(namespace, ALL, &format!("{}:configmap/settings", namespace.name())));
    namespace.delete("configmap/settings");
    await_gone(namespace, "configmap/settings");
}
