//! The product's main job on a real Kubernetes, told step by step: a Deployment that starts only after its migration.
//! It applies the manifests as they are. A step that does not happen in time ends the demo with what there is to know.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use testbed::{Cluster, Namespace, harness, product, setup};

use crate::stage::Stage;

const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests");
/// Of one step. A node that has to fetch its images takes longest.
const PATIENCE: Duration = Duration::from_mins(3);

/// Tells the story on a cluster that is there.
///
/// # Errors
/// A step did not happen; the report is in the error.
pub fn run(cluster: &Cluster) -> Result<()> {
    let mut stage = Stage::node();
    if cluster.is_own() && !setup::may_have_node() {
        say("Without root there is no node: this machine runs what a node would, and writes the statuses of the pods.");
        stage = Stage::played(product::ready().context("the demo needs the product")?);
    }
    let told = harness::in_namespace(cluster, "demo", |namespace| {
        Story { namespace, stage, started: Instant::now(), shown: 0 }.tell();
    });
    told.map_err(|report| anyhow!("the demo failed\n{report}"))
}

#[expect(clippy::print_stdout, reason = "the demo is what a person reads")]
fn say(text: &str) {
    println!("{text}");
}

struct Story<'a> {
    namespace: &'a Namespace<'a>,
    stage: Stage,
    started: Instant,
    /// How many lines of the Job's log have been shown.
    shown: usize,
}

impl Story<'_> {
    fn tell(&mut self) {
        self.apply();
        let job = name(&self.only("job"));
        let deployment = self.only("deployment");
        self.step("the Job's pod runs", |story| story.migration_runs(&job));
        self.step("the Deployment's pods wait in their init containers", |story| story.pods_wait(&job, &deployment));
        let completed = self.step("the Job completes", |story| story.job_completes(&job));
        self.step("the init containers are released", |story| story.pods_are_released(&deployment, &completed));
        self.step("the Deployment is available", |story| story.deployment_is_available(&name(&deployment)));
        self.at("The demo ends, and everything that it started with it.");
    }

    /// The very files of the repository. Only a cluster of the user's may have the image under another name.
    fn apply(&self) {
        let image = self.namespace.cluster().image();
        let result = if image == "k8s-wait-for:dev" {
            self.at("$ kubectl apply -k manifests");
            self.namespace.kubectl(&["apply", "-k", MANIFESTS])
        } else {
            self.at(&format!("$ kubectl kustomize manifests | sed s=k8s-wait-for:dev={image}= | kubectl apply -f -"));
            self.namespace
                .apply(&self.namespace.kubectl(&["kustomize", MANIFESTS]).replace("k8s-wait-for:dev", &image));
            String::new()
        };
        for line in result.lines() {
            aside(line);
        }
    }

    fn migration_runs(&self, job: &str) -> Option<()> {
        let pods = self.namespace.list("pod", &format!("job-name={job}"));
        let pod = pods.iter().find(|pod| pod["status"]["phase"] == "Running")?;
        self.at(&format!("The migration runs: Job {job}, pod {}", name(pod)));
        Some(())
    }

    fn pods_wait(&self, job: &str, deployment: &Value) -> Option<()> {
        let pods = self.pods_of(deployment)?;
        let lines: Vec<String> = pods.iter().map(|pod| self.waiting_line(pod)).collect::<Option<_>>()?;
        let running = condition(&self.namespace.get(&format!("job/{job}")), "Complete").is_none();
        assert!(running, "the pods began to wait only after the Job had completed");
        self.at(&format!(
            "Meanwhile {} pods of Deployment {} wait in their init container, which says:",
            pods.len(),
            name(deployment)
        ));
        for (pod, line) in pods.iter().zip(lines) {
            aside(&format!("{}: {line}", name(pod)));
        }
        Some(())
    }

    /// What a pod's init container has said last, if it runs and has said something.
    fn waiting_line(&self, pod: &Value) -> Option<String> {
        init_state(pod)?.get("running")?;
        let container = pod.pointer("/spec/initContainers/0/name")?.as_str()?;
        self.stage.log(self.namespace, &name(pod), container).lines().last().map(str::to_owned)
    }

    /// Shows the Job's log as it grows, and answers when the Job was complete.
    fn job_completes(&mut self, job: &str) -> Option<String> {
        for pod in self.namespace.list("pod", &format!("job-name={job}")) {
            let container = pod.pointer("/spec/containers/0/name")?.as_str()?;
            let log = self.stage.log(self.namespace, &name(&pod), container);
            log.lines().skip(self.shown).for_each(aside);
            self.shown = self.shown.max(log.lines().count());
        }
        let job = self.namespace.get(&format!("job/{job}"));
        assert!(condition(&job, "Failed").is_none(), "the Job failed");
        condition(&job, "Complete")?;
        self.at(&format!("The migration is complete: Job {}", name(&job)));
        job.pointer("/status/completionTime")?.as_str().map(str::to_owned)
    }

    fn pods_are_released(&self, deployment: &Value, completed: &str) -> Option<()> {
        let pods = self.pods_of(deployment)?;
        let ends: Vec<&Value> = pods.iter().map(|pod| init_state(pod)?.get("terminated")).collect::<Option<_>>()?;
        for end in &ends {
            assert_eq!(end["exitCode"], 0, "an init container failed: {end}");
            // Both are in whole seconds of UTC, so their text sorts as they do.
            assert!(end["finishedAt"].as_str() >= Some(completed), "an init container ended before the Job: {end}");
        }
        let codes: Vec<String> = ends.iter().map(|end| format!("exit code {}", end["exitCode"])).collect();
        self.at(&format!("The init containers are released: {}", codes.join(", ")));
        for pod in &pods {
            let container = pod.pointer("/spec/initContainers/0/name")?.as_str()?;
            let log = self.stage.log(self.namespace, &name(pod), container);
            aside(&format!("{}: {}", name(pod), log.lines().last().unwrap_or_default()));
        }
        Some(())
    }

    fn deployment_is_available(&self, deployment: &str) -> Option<()> {
        let deployment = self.namespace.get(&format!("deployment/{deployment}"));
        let (wanted, available) = (&deployment["spec"]["replicas"], deployment.pointer("/status/availableReplicas")?);
        (wanted == available && condition(&deployment, "Available")? == "True").then_some(())?;
        self.at(&format!("Deployment {} is available: {available} of {wanted} pods", name(&deployment)));
        Some(())
    }

    /// All pods of the Deployment, as soon as it has as many as it wants.
    fn pods_of(&self, deployment: &Value) -> Option<Vec<Value>> {
        let labels = deployment.pointer("/spec/selector/matchLabels")?.as_object()?;
        let selector: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default())).collect();
        let pods = self.namespace.list("pod", &selector.join(","));
        (deployment["spec"]["replicas"] == pods.len()).then_some(pods)
    }

    /// The one object of its kind in the manifests.
    fn only(&self, kind: &str) -> Value {
        let mut objects = self.namespace.list(kind, "");
        assert!(objects.len() == 1, "the manifests have {} objects of kind {kind}, not one", objects.len());
        objects.remove(0)
    }

    fn step<T>(&mut self, what: &str, mut probe: impl FnMut(&mut Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            self.stage.advance(self.namespace);
            if let Some(answer) = probe(self) {
                return answer;
            }
            self.refuse_failed_init_containers();
            let seconds = PATIENCE.as_secs();
            assert!(started.elapsed() < PATIENCE, "not within {seconds} s: {what}\n{}", self.logs());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// One that failed is started again by the kubelet, and could yet succeed: but that is not the story.
    fn refuse_failed_init_containers(&self) {
        for pod in self.namespace.list("pod", "") {
            let status = pod.pointer("/status/initContainerStatuses/0").unwrap_or(&Value::Null);
            let end = ["/state/terminated", "/lastState/terminated"].iter().find_map(|state| status.pointer(state));
            let failed = end.is_some_and(|end| end["exitCode"] != 0);
            assert!(!failed, "the init container of {} failed: {status}\n{}", name(&pod), self.logs());
        }
    }

    fn logs(&self) -> String {
        let pods = self.namespace.list("pod", "");
        pods.iter().flat_map(|pod| containers(pod).map(|container| (name(pod), container))).fold(
            String::new(),
            |text, (pod, container)| {
                text + &format!("log of {pod}/{container}:\n{}\n", self.stage.log(self.namespace, &pod, &container))
            },
        )
    }

    fn at(&self, text: &str) {
        say(&format!("{:5.1} s  {text}", self.started.elapsed().as_secs_f32()));
    }
}

/// A line of somebody else's, below what the demo says.
fn aside(line: &str) {
    say(&format!("             {line}"));
}

fn name(object: &Value) -> String {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn containers(pod: &Value) -> impl Iterator<Item = String> {
    let lists = ["/spec/initContainers", "/spec/containers"].map(|list| pod.pointer(list).and_then(Value::as_array));
    lists.into_iter().flatten().flatten().filter_map(|container| container["name"].as_str().map(str::to_owned))
}

fn init_state(pod: &Value) -> Option<&Value> {
    pod.pointer("/status/initContainerStatuses/0/state")
}

/// The status of a condition, `True` for example.
fn condition(object: &Value, kind: &str) -> Option<String> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)?["status"].as_str().map(str::to_owned)
}
