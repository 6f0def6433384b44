//! Rights, on a real API server: the printed Role is enough, all of it is used, and each verb that is taken away from
//! it degrades the wait or denies it as documented. Modes come from the help and rules from what `rbac` prints; all
//! that is kept here is how a kind's objects are made.

use std::{process::Command, thread};

use serde_json::{Value, json};
use testbed::{
    AuditedRequest, Namespace, Wait,
    harness::in_namespace,
    objects::{self, ON_NO_NODE, await_gone, create_job_with, create_pod_with, create_service, deployment, end_job},
    scene::{ends, identity, program, still_waits, wait, wait_with},
};

/// How the objects of a kind come to be, all of them called `db` and labelled `app: db`. Who adds a kind adds one.
struct Maker {
    kind: &'static str,
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
        kind: "job",
        // One that is missing may be gone: the pods that have waited for it before are looked at.
        states: &[(|_| {}, "pods"), (|namespace| create_job_with(namespace, "db", "app: db", "", ON_NO_NODE), "jobs")],
        make_ready: |namespace| end_job(namespace, "db", "Succeeded"),
        objects: &["job/db"],
        needs: &["jobs"],
    },
    Maker {
        kind: "pod",
        states: &[(create_pod, "pods")],
        make_ready: make_pod_ready,
        objects: &["pod/db"],
        needs: &["pods"],
    },
    Maker {
        kind: "service",
        states: &[
            (|namespace| create_service(namespace, "db", "app: db", "ports: [{port: 80}]"), "endpointslices"),
            (select_pods, "pods"),
        ],
        make_ready: make_pod_ready,
        objects: &["service/db", "pod/db"],
        needs: &["services", "pods"],
    },
    Maker {
        kind: "pvc",
        states: &[(create_claim, "persistentvolumeclaims")],
        make_ready: |namespace| {
            let bound = json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}});
            namespace.write_status("persistentvolumeclaim/db", &bound);
        },
        objects: &["persistentvolumeclaim/db"],
        needs: &["persistentvolumeclaims"],
    },
];

/// Gone at once, and on no node: that is what is explained.
fn create_pod(namespace: &Namespace) {
    create_pod_with(namespace, "db", "app: db", "terminationGracePeriodSeconds: 0");
}

fn make_pod_ready(namespace: &Namespace) {
    objects::make_ready(namespace, "db");
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

impl Maker {
    fn of(mode: &str) -> &'static Self {
        let kind = mode.split('-').next().unwrap_or_default();
        let maker = MAKERS.iter().find(|maker| maker.kind == kind);
        maker.unwrap_or_else(|| panic!("no test makes a {kind}: add it to MAKERS in tests/control_plane/rbac.rs"))
    }

    fn create(&self, namespace: &Namespace) {
        self.states.iter().for_each(|(create, _)| create(namespace));
    }

    fn remove(&self, namespace: &Namespace) {
        for path in self.objects {
            namespace.delete(path);
            await_gone(namespace, path);
        }
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

/// The modes that the help names.
fn modes() -> Vec<String> {
    let help = print(&["--help"]);
    let block = help.split("Modes:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("help lists the modes");
    let modes: Vec<String> =
        block.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(!modes.is_empty(), "{help}");
    modes
}

/// Holds this of every mode, each in a namespace of its own.
fn in_every_mode(namespace: &Namespace, holds: fn(&Namespace, &str)) {
    let cluster = namespace.cluster();
    let modes = modes();
    let failures: Vec<String> = thread::scope(|scope| {
        let of_mode = |mode| scope.spawn(move || in_namespace(cluster, mode, |namespace| holds(namespace, mode)));
        let all: Vec<_> = modes.iter().map(|mode| (mode, of_mode(mode))).collect();
        let failure = |(mode, thread): (&String, thread::ScopedJoinHandle<Result<(), String>>)| {
            thread.join().expect("a panic is a failure").err().map(|failure| format!("{mode}: {failure}"))
        };
        all.into_iter().filter_map(failure).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The rules of the Role that is printed for these arguments.
fn printed_rules(arguments: &[&str]) -> Vec<Value> {
    let yaml = print(&[&["rbac"], arguments].concat());
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect("valid YAML");
    documents[0]["rules"].as_array().expect("a Role has rules").clone()
}

fn start(namespace: &Namespace, account: &str, rules: &[Value], arguments: &[&str]) -> Wait {
    let kubeconfig = namespace.kubeconfig_for(account, Some(&Value::from(rules).to_string()));
    let line = format!("{} --auth-grace=1s --settle=0s", arguments.join(" "));
    wait_with(&kubeconfig, &line, &[("WAIT_TIME", "0.1")])
}

/// A service account with a printed Role, and what it waits for.
struct Granted<'a> {
    namespace: &'a Namespace<'a>,
    account: &'static str,
    target: [String; 2],
    rules: Vec<Value>,
}

impl<'a> Granted<'a> {
    /// One that waits by name and one that waits by label.
    fn both(namespace: &'a Namespace, mode: &str, options: &[&str]) -> [Self; 2] {
        [("by-name", "db"), ("by-label", "-lapp=db")].map(|(account, selection)| {
            let arguments = [&[mode, selection, "--service-account", account], options].concat();
            namespace.apply(&print(&[&["rbac"], &arguments[..]].concat()));
            let target = [mode, selection].map(str::to_owned);
            Self { namespace, account, target, rules: printed_rules(&arguments) }
        })
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
            let is_covered = self.rules.iter().any(|rule| covers(rule, &request));
            let is_here = request.namespace == self.namespace.name();
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
        look();
        maker.remove(namespace);
        look();
        maker.create(namespace);
        (maker.make_ready)(namespace);
        all_end(to_the_end, 0);
        granted.iter().for_each(Granted::assert_covers);
        assert!(granted[0].requests().iter().any(|it| it.resource == "events"), "{mode}: nothing was explained");
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
    });
}

pub fn every_verb_that_a_mode_lacks_is_missed_as_documented(namespace: &Namespace) {
    in_every_mode(namespace, |namespace, mode| {
        let maker = Maker::of(mode);
        for (place, arguments) in [("name", [mode, "db"]), ("selector", [mode, "-lapp=db"])] {
            for (index, (rule, verb, less)) in reduced(&printed_rules(&arguments)).into_iter().enumerate() {
                maker.create(namespace);
                let wait = start(namespace, &format!("{place}-{index}"), &less, &arguments);
                if maker.needs(&rule) && verb == "list" {
                    ends(wait, 77, "");
                } else {
                    let resource = rule["resources"][0].as_str().expect("a rule has a resource");
                    let degraded = format!("not permitted to watch {resource}");
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
        wait.line("job/db: waiting: the Job is");
        drop(wait);
        ends(start(namespace, &account, &rules, &["job", "other"]), 77, "");
    }
    let rules = jobs(&["get"], &["db"]);
    let wait = start(namespace, "get", &rules, &["job", "db"]);
    wait.line("polling by get: not permitted to list jobs");
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
    wait.line("watching jobs now");
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
    wait.line("job/db: waiting: the Job is");
    still_waits(wait);
}
