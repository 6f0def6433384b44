//! A target that contains this very pod: an init container that waits for its own controller, for a Service that has
//! nothing but this pod behind it, or for the pod itself, waits for ever.
//!
//! Nothing is asked unless the names make it likely, and nothing follows where this pod cannot be read.

use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture};
use kube::api::{GetParams, ListParams};
use kube::core::Request;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use crate::api::client::Client;
use crate::identity::Identity;
use crate::kinds::PODS;
use crate::kinds::pod::Pod;
use crate::target::verdict::{Code, Verdict};
use crate::target::{Demand, Target};

/// How long it has to look so: at the start not everything is there yet.
const STANDING: Duration = Duration::from_secs(5);

/// Looks for such targets.
pub struct Trap {
    client: Client,
    identity: Identity,
    suspects: Vec<Suspect>,
    /// This pod's init container runs this program; `None` before that was asked.
    own: Option<Own>,
    asking: Option<LocalBoxFuture<'static, Own>>,
}

/// What is known of a target.
struct Suspect {
    target: Target,
    since: Option<Instant>,
}

/// This pod, where an init container of it waits that has to end; nothing where it does not, or cannot be read.
type Own = Option<Box<Pod>>;

impl Trap {
    /// For these targets.
    pub fn new(client: Client, identity: Identity, targets: &[Target]) -> Self {
        let suspects = targets.iter().map(|target| Suspect { target: target.clone(), since: None }).collect();
        Self { client, identity, suspects, own: None, asking: None }
    }

    /// Takes note of how a target stands.
    pub fn note(&mut self, index: usize, verdict: &Verdict) {
        let suspect = &mut self.suspects[index];
        let is_one = suspect.is_one(verdict, &self.identity);
        suspect.since = suspect.since.filter(|_| is_one).or(is_one.then(Instant::now));
    }

    /// Ends with why the wait can never be met, once that is known. May be dropped and called again.
    pub async fn run(&mut self) -> String {
        loop {
            if let Some(asking) = &mut self.asking {
                self.own = Some(asking.await);
                self.asking = None;
            }
            let Some(since) = self.suspects.iter().filter_map(|suspect| suspect.since).min() else {
                return std::future::pending().await;
            };
            sleep_until(since + STANDING).await;
            match &self.own {
                None => self.asking = Some(ask(self.client.clone(), self.identity.clone()).boxed_local()),
                Some(None) => self.suspects.iter_mut().for_each(|suspect| suspect.since = None),
                Some(Some(own)) => {
                    let due = |suspect: &&mut Suspect| suspect.since.is_some_and(|since| since.elapsed() >= STANDING);
                    for suspect in self.suspects.iter_mut().filter(due) {
                        if suspect.is_caught(own) {
                            return said(&suspect.target, own, &self.identity);
                        }
                        suspect.since = None;
                    }
                }
            }
        }
    }
}

fn said(target: &Target, own: &Pod, identity: &Identity) -> String {
    let container = identity.container.as_deref().unwrap_or_default();
    let name = &own.metadata.name;
    let why =
        format!("it includes this pod, {name}, which cannot become ready until its init container {container} ends");
    format!("{target} cannot become ready: {why}")
}

impl Suspect {
    /// Whether it may contain this pod, by what is known without asking.
    fn is_one(&self, verdict: &Verdict, identity: &Identity) -> bool {
        let Target { demand, selection, .. } = &self.target;
        let is_near = self.target.namespace() == identity.namespace.as_deref() && identity.container.is_some();
        let (Some(name), Verdict::Waiting(reason), true) = (&selection.name, verdict, is_near) else { return false };
        if is_by_verdict(&self.target) {
            return reason.code == Code::OnlyItself;
        }
        let starts_so = identity.pod.as_ref().and_then(|pod| pod.strip_prefix(name.as_str()));
        *demand == Demand::Every && starts_so.is_some_and(|rest| rest.starts_with('-'))
    }

    fn is_caught(&self, own: &Pod) -> bool {
        is_by_verdict(&self.target) || is_made_by(own, &self.target)
    }
}

/// Whether its verdict says that there is nothing but this pod.
fn is_by_verdict(target: &Target) -> bool {
    matches!(&*target.kind.name, "service" | "pod")
}

/// Whether the target is the pod's controller, or has made that: a Deployment's ReplicaSets have its name and the hash
/// of their template (`pkg/controller/deployment/sync.go` in kubernetes).
fn is_made_by(own: &Pod, target: &Target) -> bool {
    let (Some(owner), Some(name)) = (own.metadata.controller(), &target.selection.name) else { return false };
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    if group != target.kind.resource.group {
        return false;
    }
    let ending = owner.name.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('-'));
    match (&*target.kind.name, ending) {
        ("deployment", Some(ending)) => {
            let hash = own.metadata.labels.get("pod-template-hash");
            owner.kind == "ReplicaSet" && hash.is_some_and(|hash| hash == ending)
        }
        _ => owner.kind == *target.kind.title && owner.name == *name,
    }
}

/// This pod, if its init container of that name has to end.
async fn ask(client: Client, identity: Identity) -> Own {
    let (namespace, name) = (identity.namespace?, identity.pod?);
    let path = Request::new(PODS.path(Some(&namespace)));
    // A Role that allows the one need not allow the other.
    let listed = path.list(&ListParams::default().fields(&format!("metadata.name={name}"))).ok()?;
    let own: Pod = if let Ok(answer) = client.read_aside(listed).await {
        serde_json::from_slice::<Pods>(&answer.body).ok()?.items.into_iter().next()?
    } else {
        let got = client.read_aside(path.get(&name, &GetParams::default()).ok()?).await.ok()?;
        serde_json::from_slice(&got.body).ok()?
    };
    has_to_end(&own, identity.container.as_deref()?).then(|| Box::new(own))
}

#[derive(Deserialize)]
struct Pods {
    #[serde(default)]
    items: Vec<Pod>,
}

/// Whether all else waits for this container: an init container that is no sidecar.
fn has_to_end(own: &Pod, container: &str) -> bool {
    let found = own.spec.init_containers.iter().find(|it| it.name == container);
    found.is_some_and(|it| it.restart_policy.as_deref() != Some("Always"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use serde_json::json;

    use super::*;
    use crate::cli;

    fn target(line: &str) -> Target {
        let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
        cli::wait(words).expect(line).targets.remove(0)
    }

    fn pod(kind: &str, owner: &str) -> Pod {
        let group = if kind == "Job" || kind == "CronJob" { "batch/v1" } else { "apps/v1" };
        let owner = json!({"apiVersion": group, "kind": kind, "name": owner, "uid": "1", "controller": true});
        let metadata =
            json!({"name": "web-6d5f-x7k2p", "labels": {"pod-template-hash": "6d5f"}, "ownerReferences": [owner]});
        let containers = json!([{"name": "wait"}, {"name": "proxy", "restartPolicy": "Always"}]);
        serde_json::from_value(json!({"metadata": metadata, "spec": {"initContainers": containers}})).expect("a pod")
    }

    #[test]
    fn own_controller_is_known_by_name_and_kind() {
        let table = [
            ("deployment web", "ReplicaSet", "web-6d5f", true),
            ("deployment web", "ReplicaSet", "web-77", false),
            ("deployment web", "StatefulSet", "web", false),
            ("deployment we", "ReplicaSet", "web-6d5f", false),
            ("replicaset web-6d5f", "ReplicaSet", "web-6d5f", true),
            ("statefulset web", "StatefulSet", "web", true),
            ("statefulset web", "StatefulSet", "web-2", false),
            ("daemonset web", "DaemonSet", "web", true),
            ("job web", "Job", "web", true),
            ("cronjob web", "Job", "web-29384756", false),
            ("job web", "CronJob", "web", false),
        ];
        for (line, kind, owner, is) in table {
            assert_eq!(is_made_by(&pod(kind, owner), &target(line)), is, "{line} and {kind} {owner}");
        }
    }

    #[test]
    fn only_an_init_container_that_ends_keeps_its_pod() {
        let own = pod("StatefulSet", "web");
        assert_eq!(["wait", "proxy", "main"].map(|name| has_to_end(&own, name)), [true, false, false]);
    }

    #[test]
    fn nothing_is_suspected_without_a_reason() {
        let identity = Identity {
            namespace: Some("shop".to_owned()),
            pod: Some("web-6d5f-x7k2p".to_owned()),
            container: Some("wait".to_owned()),
            ..Identity::default()
        };
        let suspected = |line: &str, verdict: Verdict| {
            Suspect { target: target(line).resolve("shop"), since: None }.is_one(&verdict, &identity)
        };
        let waiting = |code| Verdict::waiting(code, "");
        assert!(suspected("deployment web", waiting(Code::PodsNotReady)));
        assert!(!suspected("deployment web", Verdict::Ready));
        assert!(!suspected("deployment web -n other", waiting(Code::PodsNotReady)));
        assert!(!suspected("deployment db", waiting(Code::PodsNotReady)));
        assert!(!suspected("deployment web --for create", waiting(Code::NotFound)));
        assert!(!suspected("service web", waiting(Code::NoPods)));
        assert!(suspected("service db", waiting(Code::OnlyItself)));
        assert!(suspected("pod web-6d5f-x7k2p", waiting(Code::OnlyItself)));
        assert!(!suspected("pod -lapp=web", waiting(Code::OnlyItself)), "another one may come");
    }
}
