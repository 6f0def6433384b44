//! The shipped image in init containers that a real Job releases, under the limits of `manifests/`.

use serde_json::Value;
use testbed::{
    Namespace,
    objects::{create_script, create_workload, waiter},
    scene::JOBS,
};

/// Two replicas whose init container waits under the limits and rights that a careful chart gives.
fn create_deployment(namespace: &Namespace, container: &str) {
    namespace.kubeconfig_for("shop", Some(JOBS));
    create_workload(namespace, "Deployment", "shop", "replicas: 2", &waiter(namespace, container));
}

/// What `pointer` leads to in each of the Deployment's two pods, once it is there in both.
fn of_both_pods(namespace: &Namespace, what: &str, pointer: &str) -> [Value; 2] {
    namespace.eventually(what, || {
        let pods = namespace.list("pod", "app=shop");
        let found: Vec<Value> = pods.iter().filter_map(|pod| pod.pointer(pointer).cloned()).collect();
        <[Value; 2]>::try_from(found).ok()
    })
}

const RUNNING: &str = "/status/initContainerStatuses/0/state/running";
const TERMINATED: &str = "/status/initContainerStatuses/0/state/terminated";
const EXIT_CODE: &str = "/status/initContainerStatuses/0/lastState/terminated/exitCode";

pub fn both_pods_stay_in_init_until_the_job_completes(namespace: &Namespace) {
    // Once the init containers have been seen running, the Job has 8 s to go: it is not complete by then.
    create_deployment(namespace, "args: [job-wr, migrate]");
    of_both_pods(namespace, "running init containers", RUNNING);
    create_script(namespace, "migrate", "backoffLimit: 0", "sleep 8");
    namespace.eventually("the Job's active pod", || namespace.get("job/migrate")["status"]["ready"].as_i64());
    let pods = of_both_pods(namespace, "phases", "/status/phase");
    assert_eq!(pods, ["Pending", "Pending"], "the Job has not completed");
    for end in of_both_pods(namespace, "ended init containers", TERMINATED) {
        let job = namespace.get("job/migrate");
        let completed = job["status"]["completionTime"].as_str().expect("the Job has completed first").to_owned();
        assert_eq!(end["exitCode"], 0, "{end}");
        assert!(end["finishedAt"].as_str() >= Some(&completed), "{end} after {completed}");
    }
    namespace.eventually("an available Deployment", || {
        (namespace.get("deployment/shop")["status"]["availableReplicas"] == 2).then_some(())
    });
}

pub fn failed_job_ends_the_init_containers_with_1(namespace: &Namespace) {
    create_script(namespace, "migrate", "backoffLimit: 0", "exit 3");
    create_deployment(namespace, "args: [job-wr, migrate]");
    let codes = of_both_pods(namespace, "ended init containers", EXIT_CODE);
    assert_eq!(codes, [1, 1]);
}

pub fn deadline_on_a_job_that_never_ends_gives_124(namespace: &Namespace) {
    create_script(namespace, "migrate", "backoffLimit: 0", "sleep 600");
    create_deployment(namespace, "args: [job-wr, migrate, --timeout, 5s]");
    let codes = of_both_pods(namespace, "ended init containers", EXIT_CODE);
    assert_eq!(codes, [124, 124]);
}

pub fn image_answers_to_groundnutys_name(namespace: &Namespace) {
    create_script(namespace, "migrate", "backoffLimit: 0", "true");
    create_deployment(namespace, "command: [/wait_for.sh, job, migrate]");
    for end in of_both_pods(namespace, "ended init containers", TERMINATED) {
        assert_eq!(end["exitCode"], 0, "{end}");
    }
}

pub fn denied_container_leaves_the_role_in_its_message(namespace: &Namespace) {
    create_deployment(namespace, "args: [pod/db-0, --auth-grace, 1s]");
    assert_eq!(of_both_pods(namespace, "ended init containers", EXIT_CODE), [77, 77]);
    for message in of_both_pods(namespace, "messages", "/status/initContainerStatuses/0/lastState/terminated/message") {
        let message = message.as_str().expect("a message is text");
        let user = format!("User \"{}\" cannot list resource \"pods\"", namespace.user("shop"));
        assert!(message.contains(&user) && message.contains("kind: Role\n") && message.contains("db-0"), "{message}");
    }
}

pub fn n10_message_goes_where_the_container_wants_it(namespace: &Namespace) {
    create_script(namespace, "migrate", "backoffLimit: 0", "true");
    create_deployment(namespace, "args: [job-wr, migrate], terminationMessagePath: /tmp/messages/end");
    let mark = format!("k8s-wait-for/1 ready job/{}/migrate uid=", namespace.name());
    for end in of_both_pods(namespace, "ended init containers", TERMINATED) {
        assert!(end["message"].as_str().is_some_and(|message| message.starts_with(&mark)), "{end}");
    }
}

pub fn n14_usage_error_leaves_its_message(namespace: &Namespace) {
    create_deployment(namespace, "args: [job-wr, migrate, --timeout, soon]");
    assert_eq!(of_both_pods(namespace, "ended init containers", EXIT_CODE), [2, 2]);
    for message in of_both_pods(namespace, "messages", "/status/initContainerStatuses/0/lastState/terminated/message") {
        let said = "error: `--timeout`: `soon` is not a time\nhint: ";
        assert!(message.as_str().is_some_and(|message| message.starts_with(said)), "{message}");
    }
}
