//! No secret in any line, at any level: each way to log in, when it works and when it does not.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use testbed::{
    Namespace,
    objects::{complete_job, create_suspended_job},
    scene::{changed, exec_credential, reader, wait, with_plugin},
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
            let finished = wait(&kubeconfig, &format!("job migrate --timeout 2s --log-level {level}")).finish();
            let output = finished.output();
            let name = kubeconfig.display();
            assert_eq!(finished.code, Some(code), "{name}: {output}");
            assert!(!output.contains(&secret), "{name} at level {level}: {output}");
        }
    }
}
