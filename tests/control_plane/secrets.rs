//! No secret in any line, at any level: each way to log in, when it works and when it does not, and what Secrets and
//! config maps hold.

use std::{fs, path::PathBuf, thread};

use serde_json::{Value, json};
use testbed::{
    Finished, Namespace,
    front::{Asked, Front, Reply, head},
    objects::{complete_job, create_suspended_job},
    scene::{ALL, changed, exec_credential, reader, start_at, wait, with_plugin},
};

/// In a text it would be seen; nothing else contains it.
const SECRET: &str = "hunter2hunter2hunter2";

/// A kubeconfig, the exit code, and the secret that must not be seen.
type Case = (PathBuf, i32, String);

fn cases(namespace: &Namespace) -> Vec<Case> {
    let kubeconfig = reader(namespace);
    let token = namespace.token_for("waiter");
    let file = kubeconfig.with_extension("token");
    fs::write(&file, &token).expect("the folder takes files");
    let with_user = |name: &str, user: Value| changed(&kubeconfig, name, |_, it| *it = user);
    let plugin = |name: &str, script: &str| with_plugin(&kubeconfig, name, script);
    let echo = |status: Value| format!("echo '{}'", exec_credential(&status));
    let broken = kubeconfig.with_extension("broken");
    fs::write(&broken, format!("users:\n- name: a\n  user:\n    token: \"{SECRET}\n  - [\n")).expect("it takes files");
    let proxy = format!("http://user:{SECRET}@127.0.0.1:1");
    let secret = || SECRET.to_owned();
    vec![
        (kubeconfig.clone(), 0, token.clone()),
        (with_user("file", json!({"tokenFile": file})), 0, token.clone()),
        (plugin("right", &echo(json!({"token": token}))), 0, token),
        (with_user("refused", json!({"token": SECRET})), 77, secret()),
        (with_user("no-header", json!({"token": format!("{SECRET}\u{7}")})), 78, secret()),
        (with_user("basic", json!({"username": "me", "password": SECRET})), 77, secret()),
        (with_user("key", json!({"client-certificate-data": "eA==", "client-key-data": SECRET})), 78, secret()),
        (plugin("refused-token", &echo(json!({"token": SECRET}))), 77, secret()),
        (plugin("fails", &format!("echo {SECRET}; exit 1")), 78, secret()),
        (plugin("garbage", &format!("echo '{{\"token\": \"{SECRET}\", [}}'")), 78, secret()),
        (plugin("bad-key", &echo(json!({"clientCertificateData": "x", "clientKeyData": SECRET}))), 78, secret()),
        (broken, 78, secret()),
        (changed(&kubeconfig, "proxy", |cluster, _| cluster["proxy-url"] = proxy.into()), 124, secret()),
    ]
}

pub fn secrets_are_in_no_line_at_any_level(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    for (kubeconfig, code, secret) in cases(namespace) {
        for level in ["error", "warn", "info", "debug", "trace"] {
            // What is to work has all the time that a busy machine may take.
            let timeout = if code == 0 { "1m" } else { "2s" };
            let line = format!("job migrate --timeout {timeout} --log-level {level}");
            let finished = wait(&kubeconfig, &line).finish();
            let output = finished.output();
            let name = kubeconfig.display();
            assert_eq!(finished.code, Some(code), "{name}: {output}");
            assert!(!output.contains(&secret), "{name} at level {level}: {output}");
        }
    }
}

/// A Secret and a ConfigMap `tls` that hold it: as a value, in base64, and as `kubectl apply` leaves it in an annotation.
fn hide(namespace: &Namespace) {
    for kind in ["Secret", "ConfigMap"] {
        let annotations =
            json!({"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"data\":\"{SECRET}\"}}")});
        let finalizers = ["testbed.example.com/held"];
        let metadata =
            json!({"name": "tls", "labels": {"app": "shop"}, "annotations": annotations, "finalizers": finalizers});
        let data = json!({"x": encoded(), "y": encoded()});
        namespace.apply_object(&json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}));
    }
}

/// It in base64.
fn encoded() -> String {
    "aHVudGVyMmh1bnRlcjJodW50ZXIy".to_owned()
}

#[track_caller]
fn tells_nothing(line: &str, finished: &Finished) {
    let output = finished.output();
    let tells = [SECRET, &encoded()].into_iter().any(|secret| output.contains(secret));
    assert!(!tells, "{line}: {output}");
}

/// All that can be demanded of them, met and not.
const DEMANDS: [(&str, i32); 14] = [
    ("--timeout 1s", 0),
    ("--key x", 0),
    ("--key x --key z --timeout 1s", 124),
    ("--for jsonpath={.data.x}=other --timeout 1s", 124),
    ("--for jsonpath={.data.x}", 0),
    ("--for jsonpath={.data.*}=other --timeout 1s", 124),
    ("--for jsonpath={.data}=other --timeout 1s", 124),
    ("--for jsonpath={.data.x[0]}=other --timeout 1s", 124),
    ("--for jsonpath={.data[?(@.x==1)]}=other --timeout 1s", 124),
    ("--for jsonpath={.metadata.annotations}=other --timeout 1s", 124),
    (
        "--for jsonpath={.metadata.annotations['kubectl\\.kubernetes\\.io/last-applied-configuration']}=a --timeout 1s",
        124,
    ),
    ("--for condition=Ready --timeout 1s", 124),
    ("--for delete --timeout 1s", 124),
    ("--for create", 0),
];

pub fn values_of_secrets_and_config_maps_are_in_no_line(namespace: &Namespace) {
    hide(namespace);
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(ALL));
    thread::scope(|scope| {
        for (demand, code) in DEMANDS {
            let kubeconfig = &kubeconfig;
            scope.spawn(move || {
                for objects in ["secret/tls", "configmap/tls", "secret -lapp=shop --settle=0"] {
                    let line = format!("{objects} {demand} --log-level trace --output json");
                    let finished = wait(kubeconfig, &line).finish();
                    assert_eq!(finished.code, Some(code), "{line}: {finished:#?}");
                    tells_nothing(&line, &finished);
                }
            });
        }
    });
}

/// What the API server says of a Secret, mangled on its way.
fn mangled() -> Vec<(&'static str, String)> {
    let json = |code: u16, body: &str| format!("{}{body}", head(code, "Content-Type: application/json\r\n"));
    let annotations = format!(r#""annotations":{{"a":"{SECRET}"}}"#);
    let whole = |metadata: &str, data: &str| {
        let object = format!(r#"{{"metadata":{{"name":"tls","resourceVersion":"1",{metadata}}},"data":{data}}}"#);
        format!(r#"{{"kind":"SecretList","metadata":{{"resourceVersion":"1"}},"items":[{object}]}}"#)
    };
    let first = format!(r#"{{"data":{{"x":"{SECRET}"}}}}"#);
    let good = whole(&annotations, &format!(r#"{{"x":"{SECRET}"}}"#));
    vec![
        ("cut", json(200, good.split_at(good.len() - 6).0)),
        ("data is a text", json(200, &whole(&annotations, &format!(r#""{SECRET}""#)))),
        ("labels are a text", json(200, &whole(&format!(r#""labels":"{SECRET}""#), "{}"))),
        ("generation is a text", json(200, &whole(&format!(r#""generation":"{SECRET}""#), "{}"))),
        ("owners are a text", json(200, &whole(&format!(r#""ownerReferences":"{SECRET}""#), "{}"))),
        ("items are a text", json(200, &format!(r#"{{"metadata":{{"resourceVersion":"1"}},"items":"{SECRET}"}}"#))),
        ("list has no metadata", json(200, &format!(r#"{{"metadata":"{SECRET}","items":[]}}"#))),
        ("one is a text", json(200, &format!(r#"{{"metadata":{{"resourceVersion":"1"}},"items":["{SECRET}"]}}"#))),
        ("no json", json(200, SECRET)),
        ("500", json(500, &first)),
        ("404", json(404, &first)),
        ("403", json(403, &first)),
    ]
}

fn events() -> Vec<(&'static str, String)> {
    let event = |object: &str| format!("{}{{\"type\":\"ADDED\",\"object\":{object}}}\n", head(200, ""));
    vec![
        ("event with a text", event(&format!("\"{SECRET}\""))),
        ("event with labels that are a text", event(&format!(r#"{{"metadata":{{"labels":"{SECRET}"}}}}"#))),
        (
            "event with data that is a text",
            event(&format!(r#"{{"metadata":{{"resourceVersion":"2"}},"data":"{SECRET}"}}"#)),
        ),
        ("event that is cut", event(&format!(r#"{{"data":{{"x":"{SECRET}"#))),
        ("event that is none", format!("{}{SECRET}\n", head(200, ""))),
        ("event of another form", format!("{} {{\"type\":\"{SECRET}\",\"object\":\"{SECRET}\"}}\n", head(200, ""))),
        ("bookmark", format!("{}{{\"type\":\"BOOKMARK\",\"object\":\"{SECRET}\"}}\n", head(200, ""))),
        ("error", format!("{}{{\"type\":\"ERROR\",\"object\":{{\"data\":\"{SECRET}\"}}}}\n", head(200, ""))),
    ]
}

pub fn values_in_mangled_answers_are_in_no_line(namespace: &Namespace) {
    hide(namespace);
    // So that it is explained, too: it is going, and does not go.
    namespace.delete("secret/tls");
    let met_by =
        |cases: Vec<(&'static str, String)>, is_meant: fn(&Asked) -> bool, demands: &'static [&'static str]| {
            let met_by =
                move |(name, text)| demands.iter().map(move |demand| (name, String::clone(&text), is_meant, *demand));
            cases.into_iter().flat_map(met_by)
        };
    let demands: &'static [&'static str] = &[" --key z", " --for jsonpath={.data.x}=other"];
    let all = met_by(mangled(), |asked| !asked.is_watch(), demands)
        .chain(met_by(events(), Asked::is_watch, demands))
        // What explains comes after the first look.
        .chain(met_by(mangled(), |asked| !asked.is_watch() && asked.before > 0, &[""]));
    let told: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = all
            .map(|(name, text, is_meant, demand)| {
                scope.spawn(move || {
                    let front = Front::start(namespace.cluster(), move |asked| {
                        let is_meant = asked.target.contains("/secrets") && is_meant(asked);
                        if is_meant { Reply::Say(text.clone()) } else { Reply::Pass }
                    });
                    let line = format!("secret/tls{demand} --timeout 4s --log-level trace");
                    let finished = start_at(namespace, &front.url(), &line, &[]).finish();
                    let output = finished.output();
                    let told = output.lines().find(|line| line.contains(SECRET) || line.contains(&encoded()));
                    told.map(|told| format!("{name}: {line}: {told}"))
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("a wait ends")).collect()
    });
    assert!(told.is_empty(), "{}", told.join("\n"));
}
