//! What a person is told when a real node cannot run what is waited for: the lines of the waiting container's log and
//! of its termination message, word for word. What differs from run to run is written `POD` and `N restarts`.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testbed::{
    Namespace,
    objects::{await_event, await_gone, create_job_with, create_pod_with, create_script},
};

/// What a careful chart grants who shall be told why.
const RIGHTS: &str = "[
    {apiGroups: [batch], resources: [jobs], verbs: [get, list, watch]},
    {apiGroups: [''], resources: [pods, services], verbs: [get, list, watch]},
    {apiGroups: [''], resources: [pods/log], verbs: [get]},
    {apiGroups: [''], resources: [events], verbs: [list, create, patch]},
]";

/// Starts a pod whose only container waits.
fn start(namespace: &Namespace, arguments: &str, labels: &str) {
    start_with(namespace, arguments, labels, "Never");
}

fn start_with(namespace: &Namespace, arguments: &str, labels: &str, restarts: &str) {
    namespace.kubeconfig_for("waiter", Some(RIGHTS));
    let image = namespace.cluster().image();
    let container = format!("{{name: wait, image: {image}, imagePullPolicy: IfNotPresent, args: [{arguments}]}}");
    let spec = format!("serviceAccountName: waiter, restartPolicy: {restarts}, terminationGracePeriodSeconds: 0");
    create_pod_with(namespace, "waiter", labels, &format!("{spec}, containers: [{container}]"));
}

/// How a wait has ended.
#[derive(Debug)]
struct Told {
    code: i64,
    log: Vec<String>,
    /// the termination message
    message: Vec<String>,
}

fn wait(namespace: &Namespace, arguments: &str) -> Told {
    start(namespace, arguments, "");
    end(namespace)
}

fn end(namespace: &Namespace) -> Told {
    let end = namespace.eventually("the wait's end", || {
        namespace.get("pod/waiter").pointer("/status/containerStatuses/0/state/terminated").cloned()
    });
    let message = end["message"].as_str().unwrap_or_default();
    assert!(message.len() <= 4096, "{message}");
    Told {
        code: end["exitCode"].as_i64().expect("an end has an exit code"),
        log: lines(&namespace.pod_logs("waiter", "wait")),
        message: lines(message),
    }
}

/// Without times, and without what differs from run to run.
fn lines(text: &str) -> Vec<String> {
    let untimed = |line: &str| line.split_once("Z] ").map_or(line, |(_, text)| text).to_owned();
    text.lines().map(untimed).map(|line| restarts(&pods(&line))).collect()
}

/// `migrate-x7k2p` → `POD`
fn pods(line: &str) -> String {
    let mut parts = line.split("migrate-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| match part.get(..5) {
        Some(suffix) if suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()) => format!("{line}POD{}", &part[5..]),
        _ => format!("{line}migrate-{part}"),
    })
}

/// `, 3 restarts` → `, N restarts`
fn restarts(line: &str) -> String {
    let Some(at) = line.find(" restart") else { return line.to_owned() };
    let (before, after) = line.split_at(at);
    let number = before.rsplit(' ').next().unwrap_or_default();
    let rest = after.trim_start_matches(" restart").trim_start_matches('s');
    match number.parse::<u32>() {
        Ok(0) | Err(_) => line.to_owned(),
        Ok(_) => format!("{}N restarts{rest}", &before[..before.len() - number.len()]),
    }
}

/// These lines are in the log in this order, each about the target; before a deadline the first of them was said while
/// it waited, too. The message begins like the log's last line and has them, those of a container's log without the
/// target.
#[track_caller]
fn assert_told(told: &Told, code: i64, end: &str, target: &str, expected: &[&str]) {
    assert_eq!(told.code, code, "{told:#?}");
    let last = told.log.last().map_or("", String::as_str);
    assert!(last.starts_with(end), "the log ends with {end:?}: {told:#?}");
    assert_eq!(told.message.first().map_or("", String::as_str), last, "{told:#?}");
    let about = |line: &&str| format!("{target}: {line}");
    let before = expected.first().filter(|_| code == 124).map(about);
    assert_in_order(&told.log, &before.into_iter().chain(expected.iter().map(about)).collect::<Vec<_>>());
    let of_log = |line: &&str| line.starts_with("| ") || line.starts_with("last ");
    let of_message = |line: &&str| if of_log(line) { (*line).to_owned() } else { about(line) };
    assert_in_order(&told.message, &expected.iter().map(of_message).collect::<Vec<_>>());
}

#[track_caller]
fn assert_in_order(lines: &[String], expected: &[String]) {
    let mut rest = lines.iter();
    for line in expected {
        assert!(rest.any(|it| it == line), "missing or out of order: {line}\nin:\n{}", lines.join("\n"));
    }
}

/// The Job `migrate` with a container of the same name.
fn create_job(namespace: &Namespace, settings: &str, container: &str) {
    let container = format!("{{name: migrate, image: 'busybox:1.37', {container}}}");
    let pod = format!("terminationGracePeriodSeconds: 5, containers: [{container}]");
    create_job_with(namespace, "migrate", "", settings, &pod);
}

fn create_pod(namespace: &Namespace, settings: &str, container: &str) {
    let containers = format!("containers: [{{name: app, image: 'busybox:1.37', {container}}}]");
    create_pod_with(namespace, "app", "", &format!("terminationGracePeriodSeconds: 0, {containers}, {settings}"));
}

/// Waits until a container of the pod waits for this reason, so that the product finds it so.
fn await_waiting(namespace: &Namespace, pod: &str, reason: &str) {
    namespace.eventually(reason, || {
        let pod = namespace.get(&format!("pod/{pod}"));
        let lists = ["initContainerStatuses", "containerStatuses"].map(|list| pod["status"][list].as_array().cloned());
        let statuses: Vec<Value> = lists.into_iter().flatten().flatten().collect();
        statuses.iter().any(|status| status["state"]["waiting"]["reason"] == reason).then_some(())
    });
}

/// A registry that has nothing: no real one is at hand, and this is all that one says to that.
fn empty_registry() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(say_not_found(stream))));
    port
}

fn say_not_found(mut stream: TcpStream) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?;
    let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let length = body.len();
    let head = format!("HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n{body}")
}

/// Long enough to be told before the report is begun, 3 s before its end.
const AT_MOST: &str = "--timeout, 9s";

pub fn image_that_does_not_exist(namespace: &Namespace) {
    let image = format!("127.0.0.1:{}/app:v3", empty_registry());
    let pod = format!("containers: [{{name: migrate, image: '{image}'}}]");
    create_job_with(namespace, "migrate", "", "backoffLimit: 0", &pod);
    await_event(namespace, "BackOff");
    let told = wait(namespace, &format!("job, migrate, {AT_MOST}"));
    let pull = format!("pod POD cannot pull image {image}: not found");
    assert_told(&told, 124, "deadline passed after ", "job/migrate", &[&pull]);
}

pub fn command_not_found(namespace: &Namespace) {
    create_pod(namespace, "", "command: [migrate-it]");
    await_waiting(namespace, "app", "CrashLoopBackOff");
    let told = wait(namespace, &format!("pod, app, {AT_MOST}"));
    let start = "pod app cannot start container app: its image has no `migrate-it`";
    assert_told(&told, 124, "deadline passed after ", "pod/app", &[start]);
}

pub fn crash_loop(namespace: &Namespace) {
    // Without a probe it would be ready in the moment between its start and its end.
    let probe = "readinessProbe: {exec: {command: ['false']}}";
    create_pod(namespace, "", &format!("command: [sh, -c, 'echo there is no licence; exit 4'], {probe}"));
    await_waiting(namespace, "app", "CrashLoopBackOff");
    let told = wait(namespace, &format!("pod, app, {AT_MOST}"));
    let expected = [
        "container app of pod app failed with exit code 4 after N restarts",
        "container app of pod app, image docker.io/library/busybox:1.37: exit code 4 (Error) after N restarts",
        "last line from container app of pod app:",
        "| there is no licence",
    ];
    assert_told(&told, 124, "deadline passed after ", "pod/app", &expected);
}

pub fn out_of_memory(namespace: &Namespace) {
    let script = "command: [sh, -c, 'echo loading; exec tail /dev/zero']";
    create_job(namespace, "backoffLimit: 0", &format!("resources: {{limits: {{memory: 16Mi}}}}, {script}"));
    let told = wait(namespace, "job, migrate");
    let expected = [
        "container migrate of pod POD was killed for using more memory than its limit (OOMKilled, exit code 137)",
        "container migrate of pod POD, image docker.io/library/busybox:1.37: exit code 137 (OOMKilled)",
        "last line from container migrate of pod POD:",
        "| loading",
    ];
    let end = "failed after ";
    assert_told(&told, 1, end, "job/migrate", &expected);
    assert!(
        told.message[0].ends_with(
            "BackoffLimitExceeded: Job has reached the specified backoff limit; 1 pod failed (backoffLimit 0)"
        )
    );
}

pub fn unschedulable_by_node_selector(namespace: &Namespace) {
    create_pod(namespace, "nodeSelector: {disk: ssd}", "");
    await_event(namespace, "FailedScheduling");
    let told = wait(namespace, &format!("pod, app, {AT_MOST}"));
    let expected =
        "pod app cannot be scheduled: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector";
    assert_told(&told, 124, "deadline passed after ", "pod/app", &[expected]);
}

pub fn unschedulable_by_resources(namespace: &Namespace) {
    create_job(namespace, "", "resources: {requests: {cpu: 1000, memory: 100Ti}}");
    await_event(namespace, "FailedScheduling");
    let told = wait(namespace, &format!("job, migrate, {AT_MOST}"));
    let expected = "pod POD cannot be scheduled: 0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory";
    assert_told(&told, 124, "deadline passed after ", "job/migrate", &[expected]);
}

pub fn missing_config_map(namespace: &Namespace) {
    create_pod(namespace, "", "envFrom: [{configMapRef: {name: settings}}]");
    await_waiting(namespace, "app", "CreateContainerConfigError");
    let told = wait(namespace, &format!("pod, app, {AT_MOST}"));
    let expected = [
        "pod app cannot start container app: ConfigMap settings does not exist",
        "container app of pod app, image busybox:1.37: CreateContainerConfigError: configmap \"settings\" not found",
    ];
    assert_told(&told, 124, "deadline passed after ", "pod/app", &expected);
}

pub fn missing_secret(namespace: &Namespace) {
    let volume = "volumes: [{name: tls, secret: {secretName: shop-tls}}]";
    create_pod(namespace, volume, "volumeMounts: [{name: tls, mountPath: /tls}]");
    await_event(namespace, "FailedMount");
    let told = wait(namespace, &format!("pod, app, {AT_MOST}"));
    let expected = "pod app cannot mount volume tls: Secret shop-tls does not exist";
    assert_told(&told, 124, "deadline passed after ", "pod/app", &[expected]);
}

pub fn failing_init_container(namespace: &Namespace) {
    let init = "{name: prepare, image: 'busybox:1.37', command: [sh, -c, 'echo no route to db >&2; exit 7']}";
    create_pod(namespace, &format!("initContainers: [{init}]"), "");
    await_waiting(namespace, "app", "CrashLoopBackOff");
    let told = wait(namespace, &format!("pod, app, {AT_MOST}"));
    let expected = [
        "init container prepare of pod app failed with exit code 7 after N restarts",
        "init container prepare of pod app, image docker.io/library/busybox:1.37: exit code 7 (Error) after N restarts",
        "last line from container prepare of pod app:",
        "| no route to db",
    ];
    assert_told(&told, 124, "deadline passed after ", "pod/app", &expected);
}

pub fn failing_readiness_probe(namespace: &Namespace) {
    let probe = "readinessProbe: {periodSeconds: 1, exec: {command: [cat, /tmp/ready]}}";
    create_pod(namespace, "", &format!("command: [sh, -c, 'echo listening; sleep 600'], {probe}"));
    await_event(namespace, "Unhealthy");
    let told = wait(namespace, &format!("pod, app, {AT_MOST}"));
    let probe = "container app of pod app runs but is not ready: readiness probe failed: cat: can't open '/tmp/ready': \
                 No such file or directory";
    let expected = [probe, "last line from container app of pod app:", "| listening"];
    assert_told(&told, 124, "deadline passed after ", "pod/app", &expected);
}

pub fn job_out_of_quota(namespace: &Namespace) {
    // The waiting pod asks for nothing, so it is outside of this quota.
    namespace.apply(
        "{apiVersion: v1, kind: ResourceQuota, metadata: {name: few}, spec: {hard: {pods: 0}, scopes: [NotBestEffort]}}",
    );
    namespace.eventually("a quota", || namespace.get("resourcequota/few").pointer("/status/hard").cloned());
    create_job(namespace, "", "resources: {requests: {cpu: 1m}}");
    await_event(namespace, "FailedCreate");
    let told = wait(namespace, &format!("job, migrate, {AT_MOST}"));
    let expected = "its pods cannot be created: exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0";
    assert_told(&told, 124, "deadline passed after ", "job/migrate", &[expected]);
}

pub fn job_refused_by_admission(namespace: &Namespace) {
    let name = namespace.name();
    namespace.apply(&format!(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]
  validations: [{{expression: \"object.metadata.name == 'waiter'\", message: every pod needs a label team}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec:
  policyName: {name}
  validationActions: [Deny]
  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}}}
"
    ));
    // The API server takes a moment to know the policy; a Job that comes too early gets its pod.
    namespace.eventually("a refused Job", || {
        create_script(namespace, "migrate", "", "sleep 600");
        if namespace.list("event", "").iter().any(|event| event["reason"] == "FailedCreate") {
            return Some(());
        }
        if !namespace.list("pod", "job-name=migrate").is_empty() {
            namespace.delete("job/migrate");
            await_gone(namespace, "job/migrate");
        }
        None
    });
    let told = wait(namespace, &format!("job, migrate, {AT_MOST}"));
    let expected = format!(
        "its pods cannot be created: ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: every pod \
         needs a label team"
    );
    assert_told(&told, 124, "deadline passed after ", "job/migrate", &[&expected]);
}

pub fn migration_with_a_traceback(namespace: &Namespace) {
    let script = r#"exec >&2; i=1; while [ $i -le 30 ]; do echo "step $i"; i=$((i+1)); done
        printf 'Traceback (most recent call last):\n  File "/app/migrate.py", line 12, in <module>\n    main()\n'
        printf 'RuntimeError: column users.email already exists\n'; exit 1"#;
    create_script(namespace, "migrate", "backoffLimit: 0", script);
    let told = wait(namespace, "job, migrate");
    let expected = [
        "container migrate of pod POD failed with exit code 1",
        "container migrate of pod POD, image docker.io/library/busybox:1.37: exit code 1 (Error)",
        "last 20 lines from container migrate of pod POD:",
        "| step 15",
        "| step 30",
        "| Traceback (most recent call last):",
        "|   File \"/app/migrate.py\", line 12, in <module>",
        "|     main()",
        "| RuntimeError: column users.email already exists",
    ];
    assert_told(&told, 1, "failed after ", "job/migrate", &expected);
    assert!(!told.log.iter().any(|line| line.ends_with("step 14")), "{told:#?}");
}

pub fn log_with_escapes_and_long_lines(namespace: &Namespace) {
    let script = r"head -c 1000000 /dev/zero | tr '\0' x; echo; head -c 1000000 /dev/zero | tr '\0' y; echo
        printf '\033[31mred\033[0m and \033]0;title\007plain\n'; printf 'bell \a and \033[2Jclear\n'; exit 1";
    create_script(namespace, "migrate", "backoffLimit: 0", script);
    let told = wait(namespace, "job, migrate");
    let long = format!("| {} […]", "y".repeat(400));
    let expected = ["last 3 lines from container migrate of pod POD:", &long, "| red and plain", "| bell   and clear"];
    assert_told(&told, 1, "failed after ", "job/migrate", &expected);
    let controls = told.log.iter().chain(&told.message).any(|line| line.contains(char::is_control));
    assert!(!controls, "{told:#?}");
}

pub fn backoff_limit(namespace: &Namespace) {
    create_script(namespace, "migrate", "backoffLimit: 1", "echo attempt; exit 3");
    let told = wait(namespace, "job, migrate");
    let expected = [
        "container migrate of pod POD failed with exit code 3 (and 1 more pod)",
        "container migrate of pod POD, image docker.io/library/busybox:1.37: exit code 3 (Error)",
        "last line from container migrate of pod POD:",
        "| attempt",
    ];
    assert_told(&told, 1, "failed after ", "job/migrate", &expected);
    let other = "job/migrate: container migrate of pod POD failed with exit code 3";
    assert!(told.log.iter().any(|line| line == other), "the other pod comes later: {told:#?}");
    assert!(told.message[0].ends_with("; 2 pods failed (backoffLimit 1)"), "{told:#?}");
}

/// The commonest migration in published charts: its container is started again, and its pod deleted at the end.
fn restart_until_it_fails(namespace: &Namespace, grace: u32) {
    let script = "echo connecting; sleep 3; echo ERROR no such host; exit 3";
    let container = format!("{{name: migrate, image: 'busybox:1.37', command: [sh, -c, '{script}']}}");
    let pod = format!("restartPolicy: OnFailure, terminationGracePeriodSeconds: {grace}, containers: [{container}]");
    create_job_with(namespace, "migrate", "", "backoffLimit: 2", &pod);
}

const RESTARTED: [&str; 5] = [
    "container migrate of pod POD failed with exit code 3 after N restarts",
    "container migrate of pod POD, image docker.io/library/busybox:1.37: exit code 3 (Error) after N restarts",
    "last 2 lines from the previous run of container migrate of pod POD:",
    "| connecting",
    "| ERROR no such host",
];

pub fn migration_that_crashes_and_restarts(namespace: &Namespace) {
    restart_until_it_fails(namespace, 30);
    let told = wait(namespace, "job, migrate");
    assert_told(&told, 1, "failed after ", "job/migrate", &RESTARTED);
    let first = told.log.iter().position(|line| line.ends_with(RESTARTED[0])).expect("the cause");
    let failed = told.log.iter().position(|line| line.starts_with("job/migrate: failed: ")).expect("its end");
    assert!(first < failed, "it is named while it is retried: {told:#?}");
}

/// The pod is deleted with its log, and the waiting container is started again after that.
pub fn restarted_migration_whose_pod_is_gone_is_still_explained(namespace: &Namespace) {
    restart_until_it_fails(namespace, 0);
    start_with(namespace, "job, migrate", "", "OnFailure");
    let message = namespace.eventually("a second end of the wait", || {
        let status = namespace.get("pod/waiter").pointer("/status/containerStatuses/0").cloned()?;
        let ends = [&status["state"]["terminated"], &status["lastState"]["terminated"]];
        let second =
            ends.into_iter().find(|end| end["message"].as_str().is_some_and(|text| text.contains("earlier run")));
        second.map(|end| lines(end["message"].as_str().unwrap_or_default()))
    });
    let saw = format!("job/migrate: an earlier run of this container saw: {}", RESTARTED[0]);
    assert_in_order(&message, &[saw, format!("job/migrate: {}", RESTARTED[4])]);
}

/// What programs have written may hold secrets: with `--no-logs` none of it is in any output.
pub fn no_logs_quotes_nothing_that_a_program_wrote(namespace: &Namespace) {
    let canary = "canary-9f3c";
    let script = format!("echo {canary}; echo {canary} >/dev/termination-log; exit 3");
    create_script(namespace, "migrate", "backoffLimit: 0", &script);
    let pod = namespace.eventually("its pod", || namespace.list("pod", "job-name=migrate").first().cloned());
    let name = pod["metadata"]["name"].as_str().expect("a name");
    namespace.apply_object(&json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "secret"}, "type": "Warning", "reason": "Seen",
        "message": format!("a message with {canary}"), "lastTimestamp": "2026-01-01T00:00:00Z",
        "involvedObject": {"kind": "Pod", "namespace": namespace.name(), "name": name},
    }));
    let quoted = wait(namespace, "job, migrate");
    let said = format!("{quoted:?}");
    assert!(said.matches(canary).count() >= 5, "without it, logs, messages and events are quoted: {quoted:#?}");
    for (form, arguments) in [("plain", "job, migrate"), ("json", "job, migrate, --output, json")] {
        namespace.delete("pod/waiter");
        await_gone(namespace, "pod/waiter");
        let told = wait(namespace, &format!("{arguments}, --no-logs, --events, --log-level, trace"));
        assert!(!format!("{told:?}").contains(canary), "{form}: {told:#?}");
        assert!(format!("{told:?}").contains("failed with exit code 3"), "{form}: {told:#?}");
        let events = namespace.list("event", "").into_iter().filter(|event| event["reason"] == "Waiting");
        assert!(!events.map(|event| event.to_string()).collect::<String>().contains(canary), "{form}");
    }
}

pub fn active_deadline(namespace: &Namespace) {
    create_script(namespace, "migrate", "activeDeadlineSeconds: 8", "echo locking tables; sleep 600");
    namespace.eventually("a running pod", || {
        namespace.list("pod", "job-name=migrate").iter().any(|pod| pod["status"]["phase"] == "Running").then_some(())
    });
    let told = wait(namespace, "job, migrate");
    let expected = [
        "pod POD was still running and is being deleted",
        "last line from container migrate of pod POD:",
        "| locking tables",
    ];
    assert_told(&told, 1, "failed after ", "job/migrate", &expected);
    assert!(told.message[0].contains("DeadlineExceeded: Job was active longer than specified deadline"), "{told:#?}");
}

/// The hint comes after a minute, which is as long as `eventually` waits for anything.
pub fn hook_that_waits_for_itself(namespace: &Namespace) {
    start(namespace, "job, migrate", "helm.sh/chart: shop-1.2.3");
    let hint = "job/migrate: hint: Helm created this pod. If job/migrate is a post-install or post-upgrade hook and Helm \
                waits (--wait, --atomic), it runs only after this workload is ready, but this workload waits for it: make it a \
                pre-install and pre-upgrade hook, or no hook";
    let limit = Instant::now() + 3 * testbed::LIMIT;
    while !lines(&namespace.log_so_far("waiter", "wait")).iter().any(|line| line == hint) {
        assert!(Instant::now() < limit, "{}", namespace.log_so_far("waiter", "wait"));
        thread::sleep(Duration::from_millis(500));
    }
    let log = lines(&namespace.pod_logs("waiter", "wait"));
    assert_in_order(&log, &[format!("job/migrate: no Job exists in namespace {}", namespace.name()), hint.to_owned()]);
    let beat = log.iter().find(|line| line.starts_with("job/migrate: still waiting after ")).expect("a heartbeat");
    assert!(beat.contains("does not exist; no Job exists"), "{beat}");
}

pub fn event_on_the_waiting_pod(namespace: &Namespace) {
    start(namespace, "job, migrate, --events", "");
    await_event(namespace, "Waiting");
    let events: Vec<Value> =
        namespace.list("event", "").into_iter().filter(|event| event["reason"] == "Waiting").collect();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["involvedObject"]["uid"], namespace.get("pod/waiter")["metadata"]["uid"]);
    let message = format!("waiting for job/migrate: does not exist; no Job exists in namespace {}", namespace.name());
    assert_eq!(events[0]["message"], message);
    let described = namespace.kubectl(&["describe", "pod", "waiter"]);
    let line = described.lines().find(|line| line.contains(&message)).unwrap_or_else(|| panic!("{described}"));
    assert!(line.contains("Normal") && line.contains("Waiting") && line.contains("k8s-wait-for"), "{line}");
}
