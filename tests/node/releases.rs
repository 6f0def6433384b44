//! All that a release waits for, in pods on a real node: rollouts that come to an end or do not, one wait for many
//! kinds with exactly the printed Role, what runs on the same node, and a pod that waits for itself.

use std::process::Command;

use serde_json::{Value, json};
use testbed::{
    Namespace,
    objects::{await_gone, create_pod_with, create_script, create_service, create_workload, waiter},
    scene::program,
};

/// What those below read.
const RIGHTS: &str = "[
    {apiGroups: [apps], resources: [deployments, daemonsets], verbs: [list, watch]},
    {apiGroups: [''], resources: [pods, services, events], verbs: [list, watch]},
    {apiGroups: [''], resources: [pods/log], verbs: [get]},
]";

/// How a container has ended.
struct End {
    code: i64,
    log: String,
    /// the termination message
    message: String,
}

/// Runs the image to its end as the only container of the pod `waiter`, as this service account.
fn run(namespace: &Namespace, service_account: &str, arguments: &str) -> End {
    start(namespace, service_account, arguments);
    end(namespace)
}

fn start(namespace: &Namespace, service_account: &str, arguments: &str) {
    let image = namespace.cluster().image();
    let container = format!("{{name: wait, image: {image}, imagePullPolicy: IfNotPresent, args: [{arguments}]}}");
    let spec = format!("serviceAccountName: {service_account}, restartPolicy: Never, terminationGracePeriodSeconds: 0");
    create_pod_with(namespace, "waiter", "", &format!("{spec}, containers: [{container}]"));
}

fn end(namespace: &Namespace) -> End {
    let end = namespace.eventually("the wait's end", || {
        namespace.get("pod/waiter").pointer("/status/containerStatuses/0/state/terminated").cloned()
    });
    let log = namespace.pod_logs("waiter", "wait");
    namespace.delete("pod/waiter");
    await_gone(namespace, "pod/waiter");
    End { code: end["exitCode"].as_i64().expect("an end has an exit code"), log, message: text(&end["message"]) }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A rollout that cannot end, is given up by its controller, and is taken back: that it had failed is over then.
pub fn rollout_of_an_image_that_does_not_exist_fails_until_it_is_taken_back(namespace: &Namespace) {
    namespace.kubeconfig_for("waiter", Some(RIGHTS));
    let pod = "terminationGracePeriodSeconds: 0";
    create_workload(namespace, "Deployment", "web", "replicas: 2, progressDeadlineSeconds: 12", pod);
    let good = run(namespace, "waiter", "deployment/web, --timeout, 60s");
    assert_eq!(good.code, 0, "{}", good.log);

    namespace.kubectl(&["set", "image", "deployment/web", "main=nowhere.invalid/web:2"]);
    let bad = run(namespace, "waiter", "deployment/web");
    assert_eq!(bad.code, 1, "{}", bad.log);
    let said = "ProgressDeadlineExceeded: ReplicaSet";
    assert!(bad.message.starts_with("failed after ") && bad.message.contains(said), "{}", bad.message);
    let why = "cannot pull image nowhere.invalid/web:2";
    let waiting = bad.log.lines().take_while(|line| !line.contains("ProgressDeadlineExceeded"));
    assert!(waiting.into_iter().any(|line| line.contains(why)), "while it waits: {}", bad.log);
    assert!(bad.message.contains(why), "{}", bad.message);

    namespace.kubectl(&["rollout", "undo", "deployment/web"]);
    let undone = run(namespace, "waiter", "deployment/web, --timeout, 60s");
    assert_eq!(undone.code, 0, "{}", undone.log);
}

/// The Role that it prints for this wait, applied as it is.
fn grant_what_is_printed(namespace: &Namespace, targets: &str) {
    namespace.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: mixed}}");
    let account = format!("{}:mixed", namespace.name());
    let arguments = ["rbac", "--service-account", &account, "-n", namespace.name()];
    let printed = Command::new(program()).args(arguments).args(targets.split(", ")).output().expect("it starts");
    assert!(printed.status.success(), "{printed:?}");
    namespace.apply(&String::from_utf8_lossy(&printed.stdout));
}

pub fn six_kinds_are_waited_for_with_the_printed_role_alone(namespace: &Namespace) {
    let targets = "job/migrate, deploy/web, service/web, configmap/settings, secret/tls, cronjob/tick";
    grant_what_is_printed(namespace, targets);
    start(namespace, "mixed", &format!("{targets}, --timeout, 120s"));
    namespace.eventually("the wait begins", || {
        namespace.log_so_far("waiter", "wait").contains("secret/tls: waiting: does not exist").then_some(())
    });
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {colour: red}}");
    namespace.apply("{apiVersion: v1, kind: Secret, metadata: {name: tls}, stringData: {tls.crt: hunter2}}");
    create_script(namespace, "migrate", "", "true");
    create_workload(namespace, "Deployment", "web", "", "terminationGracePeriodSeconds: 0");
    create_service(namespace, "web", "", "selector: {app: web}, ports: [{port: 80}]");
    let job = json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "containers":
        [{"name": "main", "image": "busybox:1.37", "command": ["true"]}]}}}});
    let spec = json!({"schedule": "0 0 1 1 *", "jobTemplate": job});
    namespace.apply_object(
        &json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"}, "spec": spec}),
    );
    namespace.kubectl(&["create", "job", "--from=cronjob/tick", "tick-by-hand"]);
    let end = end(namespace);
    assert_eq!(end.code, 0, "{}", end.log);
    for target in targets.split(", ").map(|target| target.replace("deploy/", "deployment/")) {
        assert!(end.log.contains(&format!("] {target}: ready")), "{target}: {}", end.log);
    }
    assert!(!end.log.contains("is forbidden: ") && !end.log.contains("polling"), "{}", end.log);
    assert!(!end.log.contains("hunter2") && !end.message.contains("hunter2"), "{}", end.log);
}

/// The pod's token names its node.
pub fn daemon_set_is_waited_for_on_this_node(namespace: &Namespace) {
    namespace.kubeconfig_for("waiter", Some(RIGHTS));
    start(namespace, "waiter", "daemonset/agent, --same-node, --timeout, 60s");
    let probe = "readinessProbe: {periodSeconds: 1, exec: {command: ['true']}}";
    let container = format!("{{name: main, image: 'busybox:1.37', command: [sleep, '600'], {probe}}}");
    let pod =
        format!("terminationGracePeriodSeconds: 0, tolerations: [{{operator: Exists}}], containers: [{container}]");
    create_workload(namespace, "DaemonSet", "agent", "", &pod);
    let end = end(namespace);
    assert_eq!(end.code, 0, "{}", end.log);
    assert!(end.log.contains("daemonset/agent --same-node: ready"), "{}", end.log);
}

/// What an init container of a Deployment's pod leaves that waits for something that can never be.
fn last_words(namespace: &Namespace, arguments: &str) -> String {
    namespace.kubeconfig_for("shop", Some(RIGHTS));
    create_workload(namespace, "Deployment", "shop", "", &waiter(namespace, &format!("args: [{arguments}]")));
    let end = namespace.eventually("the init container's end", || {
        let pods = namespace.list("pod", "app=shop");
        pods.first()?.pointer("/status/initContainerStatuses/0/lastState/terminated").cloned()
    });
    assert_eq!(end["exitCode"], 2, "{end}");
    text(&end["message"])
}

pub fn pod_that_waits_for_its_own_deployment_is_told_so(namespace: &Namespace) {
    let said = last_words(namespace, "deployment/shop");
    assert!(said.starts_with("error: deployment/shop cannot become ready: it includes this pod, shop-"), "{said}");
}

pub fn pod_that_waits_for_a_service_with_only_itself_is_told_so(namespace: &Namespace) {
    create_service(namespace, "shop", "", "selector: {app: shop}, ports: [{port: 80}]");
    let said = last_words(namespace, "service, shop");
    assert!(said.starts_with("error: service/shop cannot become ready: it includes this pod, shop-"), "{said}");
}
