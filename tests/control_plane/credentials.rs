//! Credentials that come late, run out, are refused or have to be asked for.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use testbed::{
    Namespace, Wait,
    enter::API_ADDRESS,
    figures::within,
    objects::{complete_job, create_suspended_job},
    scene::{
        JOBS, await_watch, by_way_of, changed, exec_credential, let_pass, program, reader, since, succeeds, wait,
        wait_for_job, wire, with_plugin,
    },
    wire::{Cut, Faults},
};

use crate::blocked::ends_at_once;

const LONGEST_PAUSE: Duration = Duration::from_secs(15);

pub fn token_replaced_in_its_file_is_used(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let token = kubeconfig.with_extension("token");
    fs::write(&token, namespace.token_for("waiter")).expect("the folder takes files");
    let wire = wire(namespace, Faults::default());
    let server = format!("https://{}", wire.address());
    let kubeconfig = changed(&by_way_of(&kubeconfig, &server), "file", |_, user| *user = json!({"tokenFile": token}));
    let waiting = wait(&kubeconfig, "job migrate");
    await_watch(namespace);
    // Another account of the same name: the old one's tokens are worthless, as soon as the server's cache has gone.
    namespace.delete("serviceaccount/waiter");
    namespace.eventually("the account is gone", || namespace.find("serviceaccount/waiter").is_none().then_some(()));
    namespace.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: waiter}}");
    since(Instant::now(), "401", || {
        wire.cut(Cut::Rst);
        let_pass(Duration::from_secs(1));
        waiting.so_far().contains("the token is not accepted (expired?); user test of context test")
    });
    let recoveries = || waiting.so_far().matches("responds again").count();
    let before = recoveries();
    fs::write(&token, namespace.token_for("waiter")).expect("the folder takes files");
    let used = since(Instant::now(), "the new token is accepted", || recoveries() > before);
    within(LONGEST_PAUSE, "token invalid, then replaced in its file: used after", used);
    complete_job(namespace, "migrate");
    succeeds(waiting);
}

/// The product in a mount namespace of its own, with this folder where the kubelet would put one.
fn in_pod(folder: &Path) -> Wait {
    let host = [("KUBERNETES_SERVICE_HOST", API_ADDRESS), ("KUBERNETES_SERVICE_PORT", "443")];
    let proxy = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("https_proxy", "http://127.0.0.1:1")];
    let mount = "mkdir -p $0 && mount --bind \"$1\" $0 && shift && exec \"$@\"";
    let mount = ["--mount", "--", "sh", "-c", mount, "/run/secrets/kubernetes.io/serviceaccount"].map(Into::into);
    let product: [OsString; 4] = [folder.into(), program().into(), "job".into(), "migrate".into()];
    Wait::start("unshare", mount.into_iter().chain(product), host.into_iter().chain(proxy))
}

pub fn service_account_of_the_pod_is_used_without_a_proxy(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let folder = reader(namespace).with_extension("serviceaccount");
    fs::create_dir(&folder).expect("the folder takes folders");
    let finished = in_pod(&folder).finish();
    assert_eq!(finished.code, Some(78), "{finished:#?}");
    assert!(finished.stderr.contains("hint: ") && finished.stderr.contains("automount"), "{finished:#?}");
    let ca = namespace.cluster().credentials().join("ca.crt");
    fs::copy(ca, folder.join("ca.crt")).expect("the folder takes files");
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).expect("the folder takes files");
    write("namespace", &format!("{}\n", namespace.name()));
    write("token", "wrong");
    let waiting = in_pod(&folder);
    waiting.line("the service account's token is not accepted (expired?); retrying");
    write("token", &namespace.token_for("waiter"));
    succeeds(waiting);
}

pub fn right_granted_10_s_late_is_enough(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let waiting = wait(&namespace.kubeconfig_for("waiter", None), "job migrate");
    waiting.line("403 Forbidden");
    let_pass(Duration::from_secs(10));
    namespace.kubeconfig_for("waiter", Some(JOBS));
    let granted = Instant::now();
    succeeds(waiting);
    within(LONGEST_PAUSE, "RBAC granted 10 s late: exit after that", granted.elapsed());
}

/// A plugin that counts its runs in `$0.runs`, and answers these in turn, the last one again and again.
fn counting_plugin(kubeconfig: &Path, name: &str, answers: &[Value]) -> (PathBuf, impl Fn() -> usize + use<>) {
    let last = answers.len();
    let cases = answers.iter().zip(1..).map(|(answer, number)| {
        let run = if number == last { "*".to_owned() } else { number.to_string() };
        format!("{run}) echo '{}' ;;", exec_credential(answer))
    });
    let cases: Vec<String> = cases.collect();
    let script = format!("echo \"$WHO\" >> \"$0.runs\"\ncase $(wc -l < \"$0.runs\") in\n{}\nesac", cases.join("\n"));
    let runs = kubeconfig.with_extension(format!("{name}.sh.runs"));
    let count = move || fs::read_to_string(&runs).unwrap_or_default().lines().count();
    (with_plugin(kubeconfig, name, &script), count)
}

pub fn exec_plugin_runs_once(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let answer = json!({"token": namespace.token_for("waiter"), "expirationTimestamp": in_seconds(3600)});
    let (kubeconfig, runs) = counting_plugin(&kubeconfig, "once", &[answer]);
    let waiting = wait_for_job(&kubeconfig);
    await_watch(namespace);
    complete_job(namespace, "migrate");
    succeeds(waiting);
    assert_eq!(runs(), 1);
}

fn in_seconds(seconds: u64) -> String {
    let then = SystemTime::now() + Duration::from_secs(seconds);
    let since_1970 = then.duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs();
    let at = k8s_openapi::jiff::Timestamp::from_second(i64::try_from(since_1970).expect("not that late"));
    at.expect("within the calendar").to_string()
}

pub fn exec_plugin_runs_again_when_its_token_expires(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let token = namespace.token_for("waiter");
    let answers = [json!({"token": token, "expirationTimestamp": in_seconds(8)}), json!({"token": token})];
    let wire = wire(namespace, Faults::default());
    let kubeconfig = by_way_of(&kubeconfig, &format!("https://{}", wire.address()));
    let (kubeconfig, runs) = counting_plugin(&kubeconfig, "expiring", &answers);
    let waiting = wait_for_job(&kubeconfig);
    await_watch(namespace);
    let_pass(Duration::from_secs(8));
    assert_eq!(runs(), 1, "a watch that is open needs no new token");
    wire.cut(Cut::Rst);
    since(Instant::now(), "a second run", || runs() == 2);
    complete_job(namespace, "migrate");
    succeeds(waiting);
    assert_eq!(runs(), 2);
}

pub fn exec_plugin_runs_again_after_a_401(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let answers = [json!({"token": "revoked"}), json!({"token": namespace.token_for("waiter")})];
    let (kubeconfig, runs) = counting_plugin(&kubeconfig, "refused", &answers);
    let finished = succeeds(wait_for_job(&kubeconfig));
    assert!(finished.stdout.contains("the credentials of the exec plugin "), "{finished:#?}");
    assert_eq!(runs(), 2);
}

pub fn exec_plugin_gives_a_certificate(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let folder = namespace.cluster().credentials();
    let read = |file: &str| fs::read_to_string(folder.join(file)).expect("the testbed makes a client certificate");
    let answer = json!({"clientCertificateData": read("client.crt"), "clientKeyData": read("client.key")});
    let script = format!("cat <<'END'\n{}\nEND\necho x >> \"$0.runs\"", exec_credential(&answer));
    let kubeconfig = with_plugin(&reader(namespace), "certificate", &script);
    ends_at_once(&kubeconfig, 0);
    let runs =
        fs::read_to_string(kubeconfig.with_file_name(format!("{}.waiter.certificate.sh.runs", namespace.name())));
    assert_eq!(runs.expect("it has run"), "x\n");
}

pub fn exec_plugin_ends_with_the_wait(namespace: &Namespace) {
    let kubeconfig = reader(namespace);
    let number = kubeconfig.with_extension("number");
    // It has a child, and that one too.
    let script = format!(
        "sh -c 'sleep 600 & echo $$ $! > {}.new; wait' & echo $$ $! >> {0}.new; sleep 1; mv {0}.new {0}; wait",
        number.display()
    );
    let kubeconfig = with_plugin(&kubeconfig, "sleeper", &script);
    let finished = wait(&kubeconfig, "job migrate --timeout 3s").finish();
    assert_eq!(finished.code, Some(124), "{finished:#?}");
    assert!(finished.stderr.contains("waiting for the exec plugin"), "{finished:#?}");
    let family = fs::read_to_string(number).expect("the plugin has started");
    assert!(family.split_whitespace().count() >= 2, "{family}");
    for member in family.split_whitespace() {
        // Dead, though perhaps nobody has asked for its exit code.
        let words = || fs::read_to_string(format!("/proc/{member}/cmdline")).unwrap_or_default();
        since(Instant::now(), "the plugin is gone", || words().is_empty());
    }
}

/// What it gave is not accepted, and it gives nothing else: that is a refusal still.
pub fn exec_plugin_that_fails_after_a_401_is_a_refusal(namespace: &Namespace) {
    let kubeconfig = reader(namespace);
    let revoked = exec_credential(&json!({"token": "revoked"}));
    let script = format!("echo x >> \"$0.runs\"; [ $(wc -l < \"$0.runs\") = 1 ] && echo '{revoked}'");
    let kubeconfig = with_plugin(&kubeconfig, "failing", &script);
    for line in ["job migrate --auth-grace 3s", "job migrate --timeout 3s"] {
        let runs = kubeconfig.with_file_name(format!("{}.waiter.failing.sh.runs", namespace.name()));
        drop(fs::remove_file(runs));
        let finished = wait(&kubeconfig, line).finish();
        assert_eq!(finished.code, Some(77), "{finished:#?}");
    }
}
