//! What a test does in a cluster: objects, tokens, logs, in a namespace that it has for itself.
//! All methods block and panic with what failed on which object: in a test that is the report.
#![expect(clippy::missing_panics_doc, reason = "a test fails by a panic: every method here panics when it fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{self as core, Pod, ServiceAccount},
};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, EvictParams, LogParams, Patch, PatchParams, PostParams},
    config::{AuthInfo, Context as KubeContext, Kubeconfig, NamedAuthInfo, NamedContext},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{audit::AuditedRequest, cluster::Cluster, credentials::write};

/// A thing that takes longer than this is taken to have failed. Nothing waits for it to pass.
pub const LIMIT: Duration = Duration::from_mins(3);

/// The kinds that tests name, as in `job/migrate`; `apply` knows any. A custom one is named in full, with its kind as it
/// is written: `Widget.v1.example.com/a`.
const KINDS: &[(&str, &str, &str)] = &[
    ("job", "batch/v1", "Job"),
    ("cronjob", "batch/v1", "CronJob"),
    ("pod", "v1", "Pod"),
    ("service", "v1", "Service"),
    ("event", "v1", "Event"),
    ("configmap", "v1", "ConfigMap"),
    ("resourcequota", "v1", "ResourceQuota"),
    ("secret", "v1", "Secret"),
    ("serviceaccount", "v1", "ServiceAccount"),
    ("endpoints", "v1", "Endpoints"),
    ("persistentvolumeclaim", "v1", "PersistentVolumeClaim"),
    ("endpointslice", "discovery.k8s.io/v1", "EndpointSlice"),
    ("deployment", "apps/v1", "Deployment"),
    ("replicaset", "apps/v1", "ReplicaSet"),
    ("statefulset", "apps/v1", "StatefulSet"),
    ("daemonset", "apps/v1", "DaemonSet"),
    ("role", "rbac.authorization.k8s.io/v1", "Role"),
    ("rolebinding", "rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("replicationcontroller", "v1", "ReplicationController"),
    ("ingress", "networking.k8s.io/v1", "Ingress"),
    ("namespace", "v1", "Namespace"),
    ("node", "v1", "Node"),
    ("customresourcedefinition", "apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("apiservice", "apiregistration.k8s.io/v1", "APIService"),
    ("validatingadmissionpolicy", "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("validatingadmissionpolicybinding", "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
    ("widget", "testbed.example/v1", "Widget"),
    ("note", "testbed.example/v1", "Note"),
];

/// Kinds whose objects are in no namespace.
const CLUSTER_SCOPED: &[&str] = &[
    "Namespace",
    "Node",
    "PersistentVolume",
    "ClusterRole",
    "ClusterRoleBinding",
    "StorageClass",
    "PriorityClass",
    "CustomResourceDefinition",
    "RuntimeClass",
    "APIService",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

/// A namespace of a test's own, deleted after it.
pub struct Namespace<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Namespace<'a> {
    /// Makes one whose name begins with `stem` and waits for its `default` service account.
    pub fn create(cluster: &'a Cluster, stem: &str) -> Self {
        let stem: String = stem.replace('_', "-").chars().take(40).collect();
        let namespace: core::Namespace =
            serde_json::from_value(json!({"metadata": {"generateName": format!("{stem}-")}}))
                .expect("this is a namespace");
        let api = Api::<core::Namespace>::all(cluster.client.clone());
        let made = cluster.wait_for(api.create(&PostParams::default(), &namespace));
        let made = made.unwrap_or_else(|error| panic!("create a namespace for {stem}: {error:#}"));
        let name = made.metadata.name.expect("a created namespace has a name");
        let namespace = Self { cluster, name };
        namespace.eventually("the default ServiceAccount", || namespace.find("serviceaccount/default"));
        namespace
    }

    /// The cluster that it is in.
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates or changes the objects of one or more YAML documents, here unless they name another namespace.
    pub fn apply(&self, yaml: &str) {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("parse YAML: {error}\n{yaml}"));
        for document in documents.into_iter().filter(|document| !document.is_null()) {
            self.apply_object(&document);
        }
    }

    /// The same for one object that is no text.
    pub fn apply_object(&self, object: &Value) {
        let field = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (field("/kind"), field("/metadata/name"));
        let resource = resource(field("/apiVersion"), kind);
        let client = self.cluster.client.clone();
        let api: Api<DynamicObject> = match field("/metadata/namespace") {
            _ if is_of_cluster(kind) => Api::all_with(client, &resource),
            "" => Api::namespaced_with(client, &self.name, &resource),
            other => Api::namespaced_with(client, other, &resource),
        };
        let parameters = PatchParams::apply("testbed").force();
        self.demand(&format!("apply {kind} {name}"), api.patch(name, &parameters, &Patch::Apply(object)));
    }

    /// The object at `KIND/NAME`, such as `job/migrate`.
    pub fn get(&self, path: &str) -> Value {
        self.find(path).unwrap_or_else(|| panic!("there is no {path} in namespace {}", self.name))
    }

    /// The same, or `None` if there is none.
    pub fn find(&self, path: &str) -> Option<Value> {
        let (api, name) = self.api(path);
        let object = self.demand(&format!("get {path}"), api.get_opt(name))?;
        Some(serde_json::to_value(object).expect("an object is JSON"))
    }

    /// The objects of this kind (`pod`) that have these labels; all for an empty selector.
    pub fn list(&self, kind: &str, selector: &str) -> Vec<Value> {
        let (api, _) = self.api(kind);
        let objects =
            self.demand(&format!("list {kind}"), api.list(&kube::api::ListParams::default().labels(selector)));
        objects.into_iter().map(|object| serde_json::to_value(object).expect("an object is JSON")).collect()
    }

    /// Deletes without waiting for the end. What depends on it goes as well, in the background.
    pub fn delete(&self, path: &str) {
        let (api, name) = self.api(path);
        self.demand(&format!("delete {path}"), api.delete(name, &DeleteParams::background()));
    }

    /// The same where others may have deleted it before, or it was never there.
    pub fn delete_if_there(&self, path: &str) {
        let (api, name) = self.api(path);
        let answer = self.cluster.wait_for(api.delete(name, &DeleteParams::background()));
        if let Err(error) = answer {
            assert!(self.find(path).is_none(), "delete {path} in namespace {}: {error:#}", self.name);
        }
    }

    /// Asks for the pod's eviction, as a drain does.
    pub fn evict(&self, pod: &str) {
        let api = Api::<Pod>::namespaced(self.cluster.client.clone(), &self.name);
        self.demand(&format!("evict {pod}"), api.evict(pod, &EvictParams::default()));
    }

    /// Merges into the object.
    pub fn patch(&self, path: &str, change: &Value) {
        let (api, name) = self.api(path);
        self.demand(&format!("patch {path}"), api.patch(name, &PatchParams::default(), &Patch::Merge(change)));
    }

    /// Merges `status` into the object's status, as the controller or kubelet would that the test plays.
    pub fn write_status(&self, path: &str, status: &Value) {
        let (api, name) = self.api(path);
        let change = json!({"status": status});
        self.demand(
            &format!("write the status of {path}"),
            api.patch_status(name, &PatchParams::default(), &Patch::Merge(&change)),
        );
    }

    /// What a container has written so far.
    pub fn pod_logs(&self, pod: &str, container: &str) -> String {
        let api = Api::<Pod>::namespaced(self.cluster.client.clone(), &self.name);
        let parameters = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
        self.demand(&format!("read the log of {pod}/{container}"), api.logs(pod, &parameters))
    }

    /// The same, or nothing where the container has not started.
    pub fn log_so_far(&self, pod: &str, container: &str) -> String {
        let api = Api::<Pod>::namespaced(self.cluster.client.clone(), &self.name);
        let parameters = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
        self.cluster.wait_for(api.logs(pod, &parameters)).unwrap_or_default()
    }

    /// Polls until there is an answer; fails after [`LIMIT`] with the state of the namespace.
    pub fn eventually<T>(&self, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(answer) = probe() {
                return answer;
            }
            assert!(started.elapsed() < LIMIT, "not within {} s: {what}\n{}", LIMIT.as_secs(), self.describe());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Pods, Jobs and events as kubectl shows them: what a person would look at first.
    pub fn describe(&self) -> String {
        let objects = self.run_kubectl(&["get", "jobs,pods,deployments,services", "--output=wide"]);
        let events = self.run_kubectl(&["get", "events", "--sort-by=.metadata.creationTimestamp"]);
        [objects, events].map(|part| part.unwrap_or_else(|error| format!("{error:#}"))).join("\n")
    }

    /// What kubectl writes to stdout, with every right, in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.run_kubectl(arguments).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The same where it may fail.
    ///
    /// # Errors
    /// It did: its exit code and all that it wrote.
    pub fn run_kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.cluster.kubectl);
        command.arg("--kubeconfig").arg(self.cluster.admin_kubeconfig()).args(["--namespace", &self.name]);
        let output = command.args(arguments).output().context("start kubectl")?;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "kubectl {}: {}\n{stdout}{stderr}", arguments.join(" "), output.status);
        Ok(stdout.into_owned())
    }

    /// The user name of a service account of this namespace, as the API server knows it.
    pub fn user(&self, service_account: &str) -> String {
        format!("system:serviceaccount:{}:{service_account}", self.name)
    }

    /// What a service account of this namespace has asked the API server for.
    pub fn requests_by(&self, service_account: &str) -> Vec<AuditedRequest> {
        self.cluster.requests_by(&self.user(service_account))
    }

    /// A token of this service account, good for an hour.
    pub fn token_for(&self, service_account: &str) -> String {
        let api = Api::<ServiceAccount>::namespaced(self.cluster.client.clone(), &self.name);
        let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let what = format!("request a token for {service_account}");
        let answer = self.demand(&what, api.create_token_request(service_account, &PostParams::default(), &request));
        answer.status.and_then(|status| status.token).expect("an answered TokenRequest has a token")
    }

    /// Makes a service account that has these rules (a YAML list, as in a Role) in this namespace, and a kubeconfig
    /// with its token whose context names this namespace.
    pub fn kubeconfig_for(&self, service_account: &str, rules: Option<&str>) -> PathBuf {
        self.apply_object(
            &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": service_account}}),
        );
        if let Some(rules) = rules {
            self.bind(service_account, rules, "Role", service_account);
        }
        self.kubeconfig_with(service_account, &self.token_for(service_account))
    }

    /// The same with a `ClusterRole`: the rules count in all namespaces.
    pub fn kubeconfig_for_all_namespaces(&self, service_account: &str, rules: &str) -> PathBuf {
        self.apply_object(
            &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": service_account}}),
        );
        self.bind(service_account, rules, "ClusterRole", &format!("{}-{service_account}", self.name));
        self.kubeconfig_with(service_account, &self.token_for(service_account))
    }

    /// A kubeconfig with any token; its context names this namespace.
    pub fn kubeconfig_with(&self, file: &str, token: &str) -> PathBuf {
        let path = self.cluster.folder.join(format!("{}.{file}.kubeconfig", self.name));
        let admin = Kubeconfig::read_from(self.cluster.admin_kubeconfig()).expect("the admin kubeconfig is readable");
        write(&path, &with_token(admin, token, &self.name)).unwrap_or_else(|error| panic!("{error:#}"));
        path
    }

    /// Puts token, CA and namespace where a container finds those of its service account. Only in a cluster of our own,
    /// whose mount namespace keeps them from the machine.
    pub fn mount_service_account(&self, service_account: &str) {
        assert!(self.cluster.is_own(), "this machine is no container of an existing cluster");
        let folder = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
        let ca = fs::read_to_string(self.cluster.credentials().join("ca.crt")).expect("the CA is readable");
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("create {}: {error}", folder.display()));
        for (file, text) in
            [("token", self.token_for(service_account)), ("ca.crt", ca), ("namespace", self.name.clone())]
        {
            write(&folder.join(file), &text).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }

    fn bind(&self, service_account: &str, rules: &str, kind: &str, name: &str) {
        let rules: Value =
            serde_saphyr::from_str(rules).unwrap_or_else(|error| panic!("parse rules: {error}\n{rules}"));
        let group = "rbac.authorization.k8s.io";
        let version = format!("{group}/v1");
        self.apply_object(&json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "rules": rules}));
        self.apply_object(&json!({
            "apiVersion": version,
            "kind": format!("{kind}Binding"),
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": service_account, "namespace": self.name}],
        }));
    }

    fn api<'p>(&self, path: &'p str) -> (Api<DynamicObject>, &'p str) {
        let (kind, name) = path.split_once('/').unwrap_or((path, ""));
        let client = self.cluster.client.clone();
        if let Some((kind, (version, group))) =
            kind.split_once('.').and_then(|(kind, rest)| Some((kind, rest.split_once('.')?)))
        {
            return (Api::namespaced_with(client, &self.name, &resource(&format!("{group}/{version}"), kind)), name);
        }
        let (_, version, kind) = KINDS
            .iter()
            .find(|(short, _, _)| *short == kind)
            .unwrap_or_else(|| panic!("{path}: add {kind} to the testbed's kinds"));
        let (client, resource) = (self.cluster.client.clone(), resource(version, kind));
        let namespaced = |client| Api::namespaced_with(client, &self.name, &resource);
        (if is_of_cluster(kind) { Api::all_with(client, &resource) } else { namespaced(client) }, name)
    }

    fn demand<T>(&self, what: &str, request: impl Future<Output = kube::Result<T>>) -> T {
        self.cluster.wait_for(request).unwrap_or_else(|error| panic!("{what} in namespace {}: {error:#}", self.name))
    }
}

impl Drop for Namespace<'_> {
    /// Frees the node for the next test. A cluster that no longer answers is on its way out, so errors do not matter.
    fn drop(&mut self) {
        let api = Api::<core::Namespace>::all(self.cluster.client.clone());
        drop(self.cluster.wait_for(api.delete(&self.name, &DeleteParams::background())));
    }
}

/// Whether the objects of this kind are in no namespace.
pub(crate) fn is_of_cluster(kind: &str) -> bool {
    CLUSTER_SCOPED.contains(&kind)
}

/// The API's path of a kind: its plural is regular for all that tests use.
fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn with_token(admin: Kubeconfig, token: &str, namespace: &str) -> String {
    let cluster = admin.clusters.first().map(|cluster| cluster.name.clone()).unwrap_or_default();
    let context =
        KubeContext { cluster, user: Some("test".into()), namespace: Some(namespace.into()), ..KubeContext::default() };
    let user: AuthInfo = serde_json::from_value(json!({"token": token})).expect("a token is a way to log in");
    let kubeconfig = Kubeconfig {
        auth_infos: vec![NamedAuthInfo { name: "test".into(), auth_info: Some(user), ..NamedAuthInfo::default() }],
        contexts: vec![NamedContext { name: "test".into(), context: Some(context), ..NamedContext::default() }],
        current_context: Some("test".into()),
        ..admin
    };
    let mut text = serde_json::to_value(kubeconfig).expect("a kubeconfig is JSON");
    // The token goes out as it came in: the type keeps it secret when it is written.
    text["users"][0]["user"]["token"] = token.into();
    text.to_string()
}
