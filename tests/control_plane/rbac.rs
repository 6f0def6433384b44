//! Rights, on a real API server: the printed Role is enough, all of it is used, and each verb that is taken away from
//! it degrades the wait or denies it as documented. Modes come from the help and rules from what `rbac` prints; all
//! that is kept here is how a kind's objects are made.

use std::{path::Path, process::Command, thread};

use serde_json::{Value, json};
use testbed::{
    AuditedRequest, Namespace, Wait,
    harness::in_namespace,
    objects::{
        self, ON_NO_NODE, await_gone, complete_job, create_job_with, create_node, create_pod_with, create_service,
        create_workload, definition, deployment, end_job, on_node_of, pods,
    },
    scene::{ends, identity, program, still_waits, succeeds, wait, wait_with},
};

/// How the objects of a kind come to be. Who adds a kind adds one. A `*` is the name of the namespace: what is the
/// cluster's must not meet that of other tests.
struct Maker {
    kind: &'static str,
    /// of the object; those of the cluster itself are labelled `app: *`, others `app: db`
    name: &'static str,
    /// What happens until one is there that is not ready: every rule of the Role in its turn.
    states: &'static [State],
    make_ready: fn(&Namespace),
    /// what there is then
    objects: &'static [&'static str],
    /// What a wait for them cannot do without. The other rules are for cases that it does not always have.
    needs: &'static [&'static str],
}

/// A step, and what is watched after it.
type State = (fn(&Namespace), &'static str);

const MAKERS: &[Maker] = &[
    Maker {
        // One that is missing may be gone: the pods that have waited for it before are looked at.
        states: &[(|_| {}, "pods"), (|namespace| create_job_with(namespace, "db", "app: db", "", ON_NO_NODE), "jobs")],
        make_ready: |namespace| end_job(namespace, "db", "Succeeded"),
        ..Maker::of_kind("job", &["job/db"], &["jobs"])
    },
    Maker { states: &[(create_pod, "pods")], ..Maker::of_kind("pod", &["pod/db"], &["pods"]) },
    Maker {
        states: &[
            (|namespace| create_service(namespace, "db", "app: db", "ports: [{port: 80}]"), "endpointslices"),
            (select_pods, "pods"),
        ],
        ..Maker::of_kind("service", &["service/db", "pod/db"], &["services", "pods"])
    },
    Maker {
        states: &[(|namespace| create_set(namespace, "Deployment"), "deployments")],
        ..Maker::of_kind("deployment", &["deployment/db"], &["deployments"])
    },
    Maker {
        states: &[(|namespace| create_set(namespace, "StatefulSet"), "statefulsets")],
        ..Maker::of_kind("statefulset", &["statefulset/db"], &["statefulsets"])
    },
    Maker {
        states: &[(create_daemon_set, "daemonsets")],
        ..Maker::of_kind("daemonset", &["daemonset/db", "node/node-of-*"], &["daemonsets"])
    },
    Maker {
        states: &[(|namespace| create_set(namespace, "ReplicaSet"), "replicasets")],
        ..Maker::of_kind("replicaset", &["replicaset/db"], &["replicasets"])
    },
    Maker {
        states: &[(create_replication_controller, "replicationcontrollers")],
        ..Maker::of_kind("replicationcontroller", &["replicationcontroller/db"], &["replicationcontrollers"])
    },
    Maker {
        states: &[(create_cron_job, "cronjobs"), (create_job_of_cron_job, "jobs")],
        make_ready: |namespace| complete_job(namespace, "db-1"),
        ..Maker::of_kind("cronjob", &["cronjob/db", "job/db-1"], &["cronjobs", "jobs"])
    },
    Maker {
        states: &[(|_| {}, "configmaps")],
        make_ready: |namespace| create_bare(namespace, "ConfigMap"),
        ..Maker::of_kind("configmap", &["configmap/db"], &["configmaps"])
    },
    Maker {
        states: &[(|_| {}, "secrets")],
        make_ready: |namespace| create_bare(namespace, "Secret"),
        ..Maker::of_kind("secret", &["secret/db"], &["secrets"])
    },
    Maker {
        states: &[(|_| {}, "serviceaccounts")],
        make_ready: |namespace| create_bare(namespace, "ServiceAccount"),
        ..Maker::of_kind("serviceaccount", &["serviceaccount/db"], &["serviceaccounts"])
    },
    Maker {
        states: &[(create_claim, "persistentvolumeclaims")],
        make_ready: |namespace| {
            let bound = json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}});
            namespace.write_status("persistentvolumeclaim/db", &bound);
        },
        ..Maker::of_kind("pvc", &["persistentvolumeclaim/db"], &["persistentvolumeclaims"])
    },
    Maker {
        states: &[(create_ingress, "ingresses")],
        make_ready: |namespace| {
            namespace.write_status("ingress/db", &json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}));
        },
        ..Maker::of_kind("ingress", &["ingress/db"], &["ingresses"])
    },
    Maker {
        name: "*-db",
        states: &[(|_| {}, "namespaces")],
        make_ready: |namespace| create_of_cluster(namespace, "Namespace", &json!({})),
        ..Maker::of_kind("namespace", &["namespace/*-db"], &["namespaces"])
    },
    Maker {
        name: "*-db",
        states: &[(|namespace| create_of_cluster(namespace, "Node", &json!({"unschedulable": true})), "nodes")],
        make_ready: |namespace| {
            let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
            namespace.write_status(&format!("node/{}-db", namespace.name()), &ready);
        },
        ..Maker::of_kind("node", &["node/*-db"], &["nodes"])
    },
    Maker {
        name: "dbs.*.example.com",
        states: &[(|_| {}, "customresourcedefinitions")],
        make_ready: |namespace| create_definition(namespace, "dbs", "Db"),
        ..Maker::of_kind("crd", &["customresourcedefinition/dbs.*.example.com"], &["customresourcedefinitions"])
    },
    Maker {
        name: "v1.*.example.com",
        states: &[(|_| {}, "apiservices")],
        make_ready: create_api_service,
        ..Maker::of_kind(
            "apiservice",
            &["customresourcedefinition/dbs.*.example.com", "apiservice/v1.*.example.com"],
            &["apiservices"],
        )
    },
    Maker {
        states: &[(create_widget, "widgets")],
        make_ready: |namespace| {
            namespace.write_status(&format!("Widget.v1.{}.example.com/db", namespace.name()), &json!({"phase": "Up"}));
        },
        ..Maker::of_kind("KIND.GROUP", &["Widget.v1.*.example.com/db"], &["widgets"])
    },
];

/// Gone at once, and on no node: that is what is explained.
fn create_pod(namespace: &Namespace) {
    create_pod_with(namespace, "db", "app: db", "terminationGracePeriodSeconds: 0");
}

fn make_pod_ready(namespace: &Namespace) {
    objects::make_ready(namespace, "db");
}

/// The one that is there, whatever it is called.
fn make_pods_ready(namespace: &Namespace) {
    let [pod] = pods(namespace, "app=db");
    objects::make_ready(namespace, &pod);
}

fn select_pods(namespace: &Namespace) {
    create_pod(namespace);
    namespace.patch("service/db", &json!({"spec": {"selector": {"app": "db"}}}));
}

/// Of a class that nobody provides.
fn create_claim(namespace: &Namespace) {
    namespace.apply(
        "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: db, labels: {app: db}}
spec: {accessModes: [ReadWriteOnce], storageClassName: nobody, resources: {requests: {storage: 1Gi}}}
",
    );
}

/// As one of a kind that keeps pods, which is all that it waits for.
fn create_set(namespace: &Namespace, kind: &str) {
    create_workload(namespace, kind, "db", "", ON_NO_NODE);
    label(namespace, &format!("{}/db", kind.to_lowercase()), "db");
}

fn label(namespace: &Namespace, path: &str, app: &str) {
    namespace.patch(path, &json!({"metadata": {"labels": {"app": app}}}));
}

/// Without its node there would be nothing to wait for.
fn create_daemon_set(namespace: &Namespace) {
    create_node(namespace);
    let pod = format!("terminationGracePeriodSeconds: 0, {}", on_node_of(namespace));
    create_workload(namespace, "DaemonSet", "db", "", &pod);
    label(namespace, "daemonset/db", "db");
}

fn create_replication_controller(namespace: &Namespace) {
    let pod = json!({"nodeSelector": {"testbed": "none"}, "containers": [{"name": "main", "image": "busybox:1.37"}]});
    let labels = json!({"app": "db"});
    namespace.apply_object(&json!({
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "db", "labels": labels},
        "spec": {"selector": labels, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }));
}

/// Whose Jobs are the test's alone.
fn create_cron_job(namespace: &Namespace) {
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.37"}]});
    namespace.apply_object(&json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "db", "labels": {"app": "db"}},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"suspend": true, "template": {"spec": pod}}}},
    }));
}

fn create_job_of_cron_job(namespace: &Namespace) {
    namespace.kubectl(&["create", "job", "db-1", "--from=cronjob/db"]);
}

/// With nothing in it.
fn create_bare(namespace: &Namespace, kind: &str) {
    let metadata = json!({"name": "db", "labels": {"app": "db"}});
    namespace.apply_object(&json!({"apiVersion": "v1", "kind": kind, "metadata": metadata}));
}

fn create_ingress(namespace: &Namespace) {
    let backend = json!({"service": {"name": "db", "port": {"number": 80}}});
    namespace.apply_object(&json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "db", "labels": {"app": "db"}},
        "spec": {"defaultBackend": backend},
    }));
}

fn create_of_cluster(namespace: &Namespace, kind: &str, spec: &Value) {
    let metadata = json!({"name": format!("{}-db", namespace.name()), "labels": {"app": namespace.name()}});
    namespace.apply_object(&json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}));
}

fn create_definition(namespace: &Namespace, plural: &str, kind: &str) {
    let mut definition = definition(namespace, plural, kind, "Namespaced");
    definition["metadata"]["labels"] = json!({"app": namespace.name()});
    namespace.apply_object(&definition);
}

/// The API server makes it for a definition.
fn create_api_service(namespace: &Namespace) {
    create_definition(namespace, "dbs", "Db");
    let path = format!("apiservice/v1.{}.example.com", namespace.name());
    namespace.eventually(&path, || namespace.find(&path));
    label(namespace, &path, namespace.name());
}

fn create_widget(namespace: &Namespace) {
    create_definition(namespace, "widgets", "Widget");
    let group = format!("{}.example.com", namespace.name());
    namespace.eventually("widgets are served", || namespace.run_kubectl(&["get", &format!("widgets.{group}")]).ok());
    let metadata = json!({"name": "db", "labels": {"app": "db"}});
    namespace.apply_object(&json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": metadata}));
}

impl Maker {
    /// Called `db`, there from the start, and ready with its pods.
    const fn of_kind(kind: &'static str, objects: &'static [&'static str], needs: &'static [&'static str]) -> Self {
        Self { kind, name: "db", states: &[], make_ready: make_pods_ready, objects, needs }
    }

    fn of(mode: &str) -> &'static Self {
        let kind = mode.split('-').next().unwrap_or_default();
        let maker = MAKERS.iter().find(|maker| maker.kind == kind);
        maker.unwrap_or_else(|| panic!("no test makes a {kind}: add it to MAKERS in tests/control_plane/rbac.rs"))
    }

    /// What its objects are called, and by which labels they are found.
    fn selections(&self, namespace: &Namespace) -> [(&'static str, String); 2] {
        let app = if self.is_of_cluster() { namespace.name() } else { "db" };
        [("by-name", self.name.replace('*', namespace.name())), ("by-label", format!("-lapp={app}"))]
    }

    fn is_of_cluster(&self) -> bool {
        self.name.contains('*')
    }

    /// The mode as it is typed.
    fn word(namespace: &Namespace, mode: &str) -> String {
        mode.replace("KIND.GROUP", &format!("widget.{}.example.com", namespace.name()))
    }

    fn create(&self, namespace: &Namespace) {
        self.states.iter().for_each(|(create, _)| create(namespace));
    }

    fn is_there(&self, namespace: &Namespace) -> bool {
        self.paths(namespace).any(|path| namespace.find(&path).is_some())
    }

    fn paths(&self, namespace: &Namespace) -> impl Iterator<Item = String> {
        self.objects.iter().map(|path| path.replace('*', namespace.name()))
    }

    fn remove(&self, namespace: &Namespace) {
        for path in self.paths(namespace) {
            namespace.delete_if_there(&path);
            await_gone(namespace, &path);
        }
        // Those of a set go after it.
        namespace.eventually("its pods are gone", || namespace.list("pod", "app=db").is_empty().then_some(()));
    }

    fn needs(&self, rule: &Value) -> bool {
        self.needs.iter().any(|resource| rule["resources"][0] == *resource)
    }
}

/// What the binary prints, without any cluster.
fn print(arguments: &[&str]) -> String {
    let output = Command::new(program()).args(arguments).output().expect("the binary starts");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The modes that the help names: one a line with its sense, and lines of words for kinds that have but one.
fn modes() -> Vec<String> {
    let help = print(&["--help"]);
    let block = help.split("Modes:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("help lists the modes");
    let words = |line: &str| match line.split_once("  ") {
        Some((mode, _)) => vec![mode.to_owned()],
        None => line.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect(),
    };
    let modes: Vec<String> = block.lines().filter_map(|line| line.strip_prefix("  ")).flat_map(words).collect();
    assert!(modes.len() > MAKERS.len(), "{help}");
    modes
}

/// Holds this of every mode, each in a namespace of its own.
fn in_every_mode(namespace: &Namespace, holds: fn(&Namespace, &str)) {
    let cluster = namespace.cluster();
    let modes = modes();
    let failures: Vec<String> = thread::scope(|scope| {
        let all: Vec<_> = modes
            .iter()
            .map(|mode| {
                let stem = mode.to_lowercase().replace('.', "-");
                (mode, scope.spawn(move || in_namespace(cluster, &stem, |namespace| holds(namespace, mode))))
            })
            .collect();
        let failure = |(mode, thread): (&String, thread::ScopedJoinHandle<Result<(), String>>)| {
            thread.join().expect("a panic is a failure").err().map(|failure| format!("{mode}: {failure}"))
        };
        all.into_iter().filter_map(failure).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The rules of the Roles that are printed for these arguments.
fn printed_rules(arguments: &[&str]) -> Vec<Value> {
    let yaml = print(&[&["rbac"], arguments].concat());
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect("valid YAML");
    let rules: Vec<Value> = documents.iter().filter_map(|it| it["rules"].as_array()).flatten().cloned().collect();
    assert!(!rules.is_empty(), "a Role has rules: {yaml}");
    rules
}

fn start(namespace: &Namespace, account: &str, rules: &[Value], arguments: &[&str]) -> Wait {
    start_as(&namespace.kubeconfig_for(account, Some(&Value::from(rules).to_string())), arguments)
}

fn start_as(kubeconfig: &Path, arguments: &[&str]) -> Wait {
    let line = format!("{} --auth-grace=1s --settle=0s", arguments.join(" "));
    wait_with(kubeconfig, &line, &[("WAIT_TIME", "0.1")])
}

/// A service account with a printed Role, and what it waits for.
struct Granted<'a> {
    namespace: &'a Namespace<'a>,
    account: &'static str,
    target: Vec<String>,
    rules: Vec<Value>,
    is_of_cluster: bool,
}

impl<'a> Granted<'a> {
    /// One that waits by name and one that waits by label.
    fn both(namespace: &'a Namespace, mode: &str, options: &[&str]) -> [Self; 2] {
        let (maker, word) = (Maker::of(mode), Maker::word(namespace, mode));
        maker.selections(namespace).map(|(account, selection)| {
            let is_of_cluster = maker.is_of_cluster();
            Self { is_of_cluster, ..Self::new(namespace, account, &[&word, &selection], options) }
        })
    }

    /// Exactly what is printed for these words.
    fn new(namespace: &'a Namespace, account: &'static str, words: &[&str], options: &[&str]) -> Self {
        let subject = format!("{}:{account}", namespace.name());
        let arguments = [words, &["--service-account", &subject], options].concat();
        namespace.apply(&print(&[&["rbac"], &arguments[..]].concat()));
        let target = words.iter().map(|word| (*word).to_owned()).collect();
        Self { namespace, account, target, rules: printed_rules(&arguments), is_of_cluster: false }
    }

    /// As the container of this pod, if it is in one.
    fn start(&self, options: &str, pod: Option<&str>) -> Wait {
        let kubeconfig = self.namespace.kubeconfig_for(self.account, None);
        let line = format!("{} --settle=0s {options}", self.target.join(" "));
        let variables = pod.map(|pod| identity(self.namespace, pod));
        wait_with(&kubeconfig, line.trim_end(), variables.as_ref().map_or(&[], <[_; 3]>::as_slice))
    }

    fn requests(&self) -> Vec<AuditedRequest> {
        let requests = self.namespace.requests_by(self.account);
        assert!(!requests.is_empty(), "the audit log knows {}", self.account);
        requests
    }

    fn holds(&self, resource: &str) -> bool {
        self.rules.iter().any(|rule| rule["resources"][0] == resource)
    }

    fn watches(&self, resource: &str) -> bool {
        let requests = self.namespace.requests_by(self.account);
        requests.iter().any(|it| it.verb == "watch" && it.resource == resource && it.code == 200)
    }

    /// Nothing was asked for that the Role does not hold, and nothing of it was refused.
    fn assert_covers(&self) {
        for request in self.requests() {
            // Who is logged in may ask which kinds there are; and outside a pod it asks whether the namespace exists, which
            // no Role in it can allow.
            if request.resource.is_empty() || request.resource == "namespaces" && request.verb == "get" {
                continue;
            }
            let is_covered = self.rules.iter().any(|rule| covers(rule, &request));
            let is_here = self.is_of_cluster || request.namespace == self.namespace.name();
            assert!(is_covered && is_here && request.code != 403, "{:?}: {request:#?}", self.target);
        }
    }

    /// Every verb of every rule was used.
    fn assert_is_used(&self) {
        let requests = self.requests();
        for (rule, verb) in self.rules.iter().flat_map(|rule| verbs(rule).map(move |verb| (rule, verb))) {
            let is_use = |it: &AuditedRequest| it.verb == verb && it.code == 200 && covers(rule, it);
            assert!(requests.iter().any(is_use), "{:?} did not {verb} by {rule}: {requests:#?}", self.target);
        }
    }
}

fn all_end(waits: [Wait; 2], code: i32) {
    for wait in waits {
        ends(wait, code, "");
    }
}

fn verbs(rule: &Value) -> impl Iterator<Item = &str> {
    rule["verbs"].as_array().expect("a rule has verbs").iter().filter_map(Value::as_str)
}

fn covers(rule: &Value, request: &AuditedRequest) -> bool {
    let group = request.uri.strip_prefix("/apis/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let resource = [request.resource.as_str(), request.subresource.as_str()].join("/");
    let has = |field: &str, value: &str| {
        rule[field].as_array().is_some_and(|values| values.iter().any(|known| known == value))
    };
    has("apiGroups", group)
        && has("resources", resource.trim_end_matches('/'))
        && has("verbs", &request.verb)
        && (rule["resourceNames"].is_null() || has("resourceNames", &request.name))
}

/// While its objects are missing, are not ready, are gone again and at last ready, with all that explains it.
pub fn every_mode_stays_within_its_printed_role(namespace: &Namespace) {
    in_every_mode(namespace, |namespace, mode| {
        let maker = Maker::of(mode);
        let granted = Granted::both(namespace, mode, &["--explain"]);
        let to_the_end = granted.each_ref().map(|it| it.start("", None));
        // Before a deadline everything is looked at that explains it.
        let look = || all_end(granted.each_ref().map(|it| it.start("--timeout=4s", None)), 124);
        look();
        maker.create(namespace);
        let is_there = maker.is_there(namespace);
        look();
        maker.remove(namespace);
        look();
        maker.create(namespace);
        (maker.make_ready)(namespace);
        all_end(to_the_end, 0);
        granted.iter().for_each(Granted::assert_covers);
        let is_explained = |it: &Granted| it.requests().iter().any(|it| it.resource == "events");
        assert!(is_explained(&granted[0]) == (is_there && granted[0].holds("events")), "{mode}: is it explained?");
        maker.remove(namespace);
    });
}

/// By a wait that meets each case that it has a rule for.
pub fn every_mode_uses_all_of_its_printed_role(namespace: &Namespace) {
    in_every_mode(namespace, |namespace, mode| {
        let maker = Maker::of(mode);
        let [pod, _] = deployment(namespace);
        let granted = Granted::both(namespace, mode, &[]);
        let waits = granted.each_ref().map(|it| it.start("", Some(&pod)));
        for (create, resource) in maker.states {
            create(namespace);
            for it in granted.iter().filter(|it| it.holds(resource)) {
                let what = format!("{:?} watches {resource}", it.target);
                namespace.eventually(&what, || it.watches(resource).then_some(()));
            }
        }
        (maker.make_ready)(namespace);
        all_end(waits, 0);
        granted.iter().for_each(Granted::assert_is_used);
        maker.remove(namespace);
    });
}

pub fn every_verb_that_a_mode_lacks_is_missed_as_documented(namespace: &Namespace) {
    in_every_mode(namespace, |namespace, mode| {
        let (maker, word) = (Maker::of(mode), Maker::word(namespace, mode));
        for (place, selection) in maker.selections(namespace) {
            let arguments = [&*word, &*selection];
            let subject = format!("{}:{place}", namespace.name());
            let rules = printed_rules(&[&arguments[..], &["--service-account", &subject]].concat());
            for (index, (rule, verb, less)) in reduced(&rules).into_iter().enumerate() {
                maker.create(namespace);
                let (account, less) = (format!("{place}-{index}"), Value::from(less).to_string());
                let kubeconfig = if maker.is_of_cluster() {
                    namespace.kubeconfig_for_all_namespaces(&account, &less)
                } else {
                    namespace.kubeconfig_for(&account, Some(&less))
                };
                let wait = start_as(&kubeconfig, &arguments);
                if maker.needs(&rule) && verb == "list" {
                    ends(wait, 77, "");
                } else {
                    let resource = rule["resources"][0].as_str().expect("a rule has a resource");
                    let degraded = format!("watching {resource} is forbidden");
                    wait.line(if maker.needs(&rule) { &degraded } else { "waiting: " });
                    (maker.make_ready)(namespace);
                    ends(wait, 0, "");
                }
                maker.remove(namespace);
            }
        }
    });
}

/// One verb less, for every verb of every rule.
fn reduced(rules: &[Value]) -> Vec<(Value, String, Vec<Value>)> {
    let mut all = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        for verb in verbs(rule) {
            let mut less = rules.to_vec();
            less[index]["verbs"].as_array_mut().expect("the same").retain(|other| other != verb);
            // A rule without verbs is invalid: it goes as a whole.
            less.retain(|rule| verbs(rule).next().is_some());
            all.push((rule.clone(), verb.to_owned(), less));
        }
    }
    all
}

fn jobs(verbs: &[&str], names: &[&str]) -> Vec<Value> {
    let mut rule = json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": verbs});
    if !names.is_empty() {
        rule["resourceNames"] = json!(names);
    }
    vec![rule]
}

pub fn role_limited_to_a_name_does_not_show_another(namespace: &Namespace) {
    create_job_with(namespace, "db", "app: db", "", ON_NO_NODE);
    create_job_with(namespace, "other", "app: db", "", ON_NO_NODE);
    for verbs in [&["get"][..], &["get", "list"], &["get", "list", "watch"]] {
        let account = verbs.join("-");
        let rules = jobs(verbs, &["db"]);
        let wait = start(namespace, &account, &rules, &["job", "db"]);
        wait.line("job/db: waiting: running");
        drop(wait);
        ends(start(namespace, &account, &rules, &["job", "other"]), 77, "");
    }
    let rules = jobs(&["get"], &["db"]);
    let wait = start(namespace, "get", &rules, &["job", "db"]);
    wait.line("polling by get: listing jobs is forbidden");
    end_job(namespace, "db", "Succeeded");
    ends(wait, 0, "");
}

pub fn role_taken_away_while_polling_ends_with_77(namespace: &Namespace) {
    create_job_with(namespace, "db", "app: db", "", ON_NO_NODE);
    let wait = start(namespace, "waiter", &jobs(&["get", "list"], &[]), &["job", "db"]);
    wait.line("polling by list");
    namespace.delete("role/waiter");
    ends(wait, 77, "");
}

pub fn polling_ends_by_watching_when_the_right_comes(namespace: &Namespace) {
    create_job_with(namespace, "db", "app: db", "", ON_NO_NODE);
    let wait = start(namespace, "waiter", &jobs(&["get"], &[]), &["job", "db"]);
    wait.line("polling by get");
    let all = Value::from(jobs(&["get", "list", "watch"], &[])).to_string();
    namespace.kubeconfig_for("waiter", Some(&all));
    wait.line("now watching jobs");
    end_job(namespace, "db", "Succeeded");
    ends(wait, 0, "");
}

pub fn cluster_role_is_enough_for_all_namespaces(namespace: &Namespace) {
    create_pod(namespace);
    make_pod_ready(namespace);
    let selector = format!("-ltest={}", namespace.name());
    namespace.patch("pod/db", &json!({"metadata": {"labels": {"test": namespace.name()}}}));
    let arguments = ["pod", &selector, "-A"];
    let account = format!("{}:waiter", namespace.name());
    let rules = Value::from(printed_rules(&[&arguments[..], &["--service-account", &account]].concat()));
    let kubeconfig = namespace.kubeconfig_for_all_namespaces("waiter", &rules.to_string());
    ends(wait(&kubeconfig, &arguments.join(" ")), 0, "");
}

/// Six kinds and more, one of them the cluster's own, and one deadline.
pub fn many_kinds_are_waited_for_within_one_printed_role(namespace: &Namespace) {
    let (widget, node) =
        (format!("widget.{}.example.com/db", namespace.name()), format!("node/{}-db", namespace.name()));
    let targets = ["job/db", "deployment/web", "service/web", "secret/db", "pvc/db", "cronjob/db", &widget, &node];
    let words = [&targets[..], &["--timeout=2m"]].concat();
    let granted = Granted { is_of_cluster: true, ..Granted::new(namespace, "waiter", &words, &["--explain"]) };
    let wait = granted.start("", None);
    for target in &targets[..6] {
        wait.line(&format!("{target}: waiting: does not exist"));
    }
    wait.line(&format!("{widget}: waiting: the cluster has no "));
    for (mode, target) in [
        ("secret", "secret/db"),
        ("job", "job/db"),
        ("pvc", "pvc/db"),
        ("cronjob", "cronjob/db"),
        ("node", &*node),
        ("KIND.GROUP", &*widget),
    ] {
        make(namespace, mode);
        wait.line(&format!("{target}: ready"));
    }
    create_web(namespace);
    let finished = succeeds(wait);
    assert!(finished.stdout.contains("deployment/web: ready"), "{finished:#?}");
    granted.assert_covers();
    Maker::of("node").remove(namespace);
}

fn make(namespace: &Namespace, mode: &str) {
    let maker = Maker::of(mode);
    maker.create(namespace);
    (maker.make_ready)(namespace);
}

fn create_web(namespace: &Namespace) {
    create_service(namespace, "web", "", "selector: {app: web}, ports: [{port: 80}]");
    create_workload(namespace, "Deployment", "web", "", ON_NO_NODE);
    let [pod] = pods(namespace, "app=web");
    objects::make_ready(namespace, &pod);
}

/// The log of a denied wait can be piped into kubectl, and then it works.
pub fn denied_wait_prints_a_role_that_allows_it(namespace: &Namespace) {
    create_job_with(namespace, "db", "app: db", "", ON_NO_NODE);
    let denied = ends(start(namespace, "waiter", &[], &["job", "db"]), 77, "");
    let user = namespace.user("waiter");
    let said = format!("User \"{user}\" cannot list resource \"jobs\" in API group \"batch\" in the namespace");
    assert!(denied.stderr.contains(&said), "{denied:#?}");
    let role = denied.stderr.split("<<END\n").nth(1).and_then(|rest| rest.split("END\n").next());
    namespace.apply(role.expect("the Role stands between the marks"));
    let kubeconfig = namespace.kubeconfig_for("waiter", None);
    let wait = wait(&kubeconfig, "job db");
    wait.line("job/db: waiting: running");
    still_waits(wait);
}
