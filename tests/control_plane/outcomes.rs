//! How it ends when something else comes between, and what it leaves: exit code, last line and termination message.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::{
    Namespace, Signal, Wait,
    front::Reply,
    objects::{complete_job, container, create_pod_with, create_suspended_job, fail_job, terminated, uid},
    scene::{EVERYTHING, Fault, ends, identity, program, refusal, start, start_at, succeeds},
};

/// A Job with a failed pod whose log never comes.
fn with_a_log_that_hangs(namespace: &Namespace, job: &str) -> Fault {
    create_suspended_job(namespace, job);
    let (pod, uid) = (format!("pod/{job}-1"), uid(&namespace.get(&format!("job/{job}"))).to_owned());
    create_pod_with(
        namespace,
        &format!("{job}-1"),
        &format!("job-name: {job}"),
        "nodeName: node-1, restartPolicy: Never",
    );
    let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": uid, "controller": true});
    namespace.patch(&pod, &json!({"metadata": {"ownerReferences": [owner]}}));
    let end = container("main", &terminated(3, ""));
    namespace.write_status(&pod, &json!({"phase": "Failed", "containerStatuses": [end]}));
    Fault::start(namespace, |asked| asked.target.contains("/log").then(|| Reply::SayAndHold(String::new())))
}

pub fn n4_failure_stays_one_when_the_deadline_passes_during_its_report(namespace: &Namespace) {
    for attempt in 0.. {
        let job = format!("migrate-{attempt}");
        let fault = with_a_log_that_hangs(namespace, &job);
        let started = Instant::now();
        let wait = start_at(namespace, &fault.front.url(), &format!("job {job} --timeout 8s"), &[]);
        wait.line("waiting: suspended");
        std::thread::sleep(Duration::from_millis(7_200).saturating_sub(started.elapsed()));
        fail_job(namespace, &job, "DeadlineExceeded");
        let finished = wait.finish();
        // A machine that was busy for longer shows nothing.
        if finished.stdout.contains("failed: DeadlineExceeded") {
            assert_eq!(finished.code, Some(1), "{finished:#?}");
            assert!(finished.last_line().contains("failed after"), "{finished:#?}");
            return;
        }
        assert!(attempt < 5, "the failure never came before the deadline: {finished:#?}");
    }
}

pub fn n4_failure_stays_one_when_a_signal_comes_during_its_report(namespace: &Namespace) {
    for (signal, job) in [(Signal::TERM, "migrate"), (Signal::INT, "seed")] {
        let fault = with_a_log_that_hangs(namespace, job);
        let wait = start_at(namespace, &fault.front.url(), &format!("job {job}"), &[]);
        wait.line("waiting: suspended");
        fail_job(namespace, job, "DeadlineExceeded");
        wait.line("failed: DeadlineExceeded");
        wait.signal(signal);
        ends(wait, 1, "failed after");
    }
}

pub fn n5_one_look_ends_although_the_search_for_proof_fails(namespace: &Namespace) {
    let identity = identity(namespace, "shop-1");
    let faults = [
        ("503", "/pods", refusal(503, "Down"), 124),
        ("no response", "/pods", Reply::SayAndHold(String::new()), 124),
        ("403 on pods", "/pods", refusal(403, "Forbidden"), 124),
        ("403 on jobs", "/jobs", refusal(403, "Forbidden"), 77),
        ("503 on jobs", "/jobs", refusal(503, "Down"), 124),
    ];
    std::thread::scope(|scope| {
        for (name, path, reply, code) in faults {
            scope.spawn(move || {
                let fault = Fault::start(namespace, move |asked| asked.target.contains(path).then(|| reply.clone()));
                let wait = start_at(namespace, &fault.front.url(), "job migrate --timeout 0", &identity);
                let finished = wait.finish();
                assert_eq!(finished.code, Some(code), "{name}: {finished:#?}");
                // One request may take 20 s.
                assert!(finished.elapsed < Duration::from_secs(50), "{name}: {finished:#?}");
            });
        }
    });
}

pub fn n13_failed_job_is_waited_for_where_that_is_asked_for(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    create_suspended_job(namespace, "seed");
    complete_job(namespace, "seed");
    let wait = start(namespace, EVERYTHING, "job migrate seed --failed wait");
    wait.line("job/seed: ready");
    fail_job(namespace, "migrate", "DeadlineExceeded");
    wait.line("job/migrate: failed: DeadlineExceeded");
    namespace.delete("job/migrate");
    wait.line("does not exist anymore; last seen: DeadlineExceeded");
    create_suspended_job(namespace, "migrate");
    wait.line("waiting: suspended");
    complete_job(namespace, "migrate");
    let finished = succeeds(wait);
    assert_eq!(finished.stdout.matches("job/migrate: failed").count(), 1, "told once: {finished:#?}");
}

pub fn n13_failed_target_is_named_at_the_deadline(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    create_suspended_job(namespace, "seed");
    for job in ["migrate", "seed"] {
        fail_job(namespace, job, "DeadlineExceeded");
    }
    for line in ["job migrate --failed wait --timeout 3s", "job migrate --failed wait --timeout 0"] {
        ends(start(namespace, EVERYTHING, line), 124, "job/migrate: DeadlineExceeded");
    }
    let both = "job migrate seed --any --failed wait --timeout 3s";
    ends(start(namespace, EVERYTHING, both), 124, "job/seed: DeadlineExceeded");
    ends(start(namespace, EVERYTHING, "job migrate seed --any"), 1, "job/seed: DeadlineExceeded");
}

/// What the container `wait` of some pod leaves; its message is mounted as the kubelet would, but elsewhere than usual.
pub fn message_of(namespace: &Namespace, line: &str, code: i32) -> String {
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(EVERYTHING));
    message_with(namespace, line, code, &[("KUBECONFIG", kubeconfig.to_str().expect("UTF-8"))])
}

fn message_with(namespace: &Namespace, line: &str, code: i32, variables: &[(&'static str, &str)]) -> String {
    let folder = std::env::temp_dir().join(format!("message-of-{}", namespace.name()));
    let pod = folder.join("pods/5c1e7a5e/containers/wait");
    fs::create_dir_all(&pod).expect("the folder takes folders");
    let (file, point) = (pod.join("6b0f9d3a"), folder.join("the end"));
    fs::write(&file, "of an earlier run").expect("the folder takes files");
    fs::write(&point, "").expect("the folder takes files");
    let script = format!("mount --bind {} '{}' && exec \"$0\" \"$@\"", file.display(), point.display());
    let wrapper = ["--mount", "--", "sh", "-c", &script, program().to_str().expect("UTF-8")].map(str::to_owned);
    let arguments = wrapper.into_iter().chain(line.split(' ').map(str::to_owned));
    let finished = Wait::start("unshare", arguments, variables.iter().copied()).finish();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    let message = fs::read_to_string(&file).expect("it is there");
    fs::remove_dir_all(&folder).expect("it is ours");
    message
}

pub fn n14_every_end_leaves_its_message_where_the_kubelet_reads_it(namespace: &Namespace) {
    let message = |line: &str, code| message_of(namespace, line, code);
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let uid = namespace.get("job/migrate")["metadata"]["uid"].clone();
    let mark = format!("k8s-wait-for/1 ready job/{}/migrate uid={}\n", namespace.name(), uid.as_str().expect("a uid"));
    assert!(message("job migrate", 0).starts_with(&mark));
    assert!(!message("job-we migrate", 0).contains("k8s-wait-for/1"), "only plain completion leaves a mark");
    assert!(
        !message("job other --missing ready", 0).contains("k8s-wait-for/1"),
        "nothing was seen that it could prove"
    );
    assert!(message("job other --missing fail", 1).contains("does not exist (--missing fail)"));
    assert!(message("job other --timeout 0", 124).contains("not ready"));
    assert!(message("jib migrate", 2).starts_with("error: unknown mode `jib`\nhint: did you mean `job`?"));
    assert!(message("job migrate --context nowhere", 78).contains("no context `nowhere`"));
    let forbidden = namespace.kubeconfig_for("nobody", Some("[]"));
    let denied = [("KUBECONFIG", forbidden.to_str().expect("UTF-8"))];
    assert!(message_with(namespace, "job migrate --timeout 1", 77, &denied).contains("kind: Role"));
}

pub fn n14_bad_end_goes_to_stderr_and_progress_to_stdout(namespace: &Namespace) {
    let finished = ends(start(namespace, EVERYTHING, "job migrate --timeout 1"), 124, "deadline passed");
    assert!(finished.stdout.contains("job/migrate: waiting: does not exist"), "{finished:#?}");
    assert!(!finished.stdout.contains("deadline passed") && !finished.stderr.contains("]: waiting"), "{finished:#?}");
    assert!(finished.stderr.lines().all(|line| line.starts_with('[')), "each line by itself: {finished:#?}");
    let json = start(namespace, EVERYTHING, "job migrate --timeout 1 --output json").finish();
    assert_eq!((json.code, json.stderr.as_str()), (Some(124), ""), "{json:#?}");
    let last: Value = serde_json::from_str(json.stdout.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!((&last["event"], &last["exit_code"]), (&json!("end"), &json!(124)));
    for (line, code, state) in [
        ("jib migrate --output json", 2, "invalid"),
        ("job migrate --output=json --context nowhere", 78, "configuration"),
    ] {
        let finished = start(namespace, EVERYTHING, line).finish();
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        assert_eq!(finished.stderr, "", "{finished:#?}");
        let last: Value = serde_json::from_str(finished.stdout.lines().last().unwrap_or_default()).expect("JSON");
        assert_eq!((&last["event"], &last["state"], &last["exit_code"]), (&json!("end"), &json!(state), &json!(code)));
        assert!(last["message"].as_str().is_some_and(|text| text.contains("error: ")), "{last}");
    }
}
