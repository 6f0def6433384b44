//! DaemonSets: rolled out as `kubectl rollout status` understands it; with `--same-node`, by their pod on this node.

use serde::Deserialize;

use super::behind::{Backend, Behind, Entry, Stand};
use super::members::{Members, State};
use super::object::{LabelSelector, Metadata};
use super::replicas::{self, Workload, waiting};
use super::{Causes, Extra, FOLLOW, ITS_PODS, Judged, LOGS, Mode, NEAR_NAMES, PODS, Read, Reading, Row, WARNINGS};
use crate::target::names::dns_subdomain;
use crate::target::verdict::{Code, Reason, Verdict};
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("daemonset", "DaemonSet", "apps", "v1", "daemonsets"),
    aliases: &["ds"],
    modes: &[Mode { word: "daemonset", demand: Demand::Every, help: "every DaemonSet is rolled out" }],
    options: &[Extra::SameNode],
    done: "rolled out",
    rules: "\
Ready when its controller has seen the current spec and every eligible node has an available pod of the current template
(with the strategy OnDelete: of any template).
--same-node: ready when its pod on this pod's node is ready.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_PODS, LOGS, WARNINGS],
    judged: |target| {
        if target.selection.same_node {
            return Judged::Behind(&ON_NODE);
        }
        Judged::Set(|json, reading| replicas::read(json, reading, |set| waiting(unfinished(set))))
    },
    causes: Some(Causes::PodsSelected),
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

static ON_NODE: Behind = Behind {
    read,
    judge: |_, _, entry, stand| match stand {
        Stand::Objects(pods) => on_node(entry, pods),
        Stand::Slices(_) | Stand::Nothing => Verdict::Waiting(entry.empty.clone()),
    },
    reads: &[Read { resource: Some(&PODS), verbs: FOLLOW, why: ": its pod on this node" }],
    grows: false,
};

fn unfinished(set: &Workload) -> Option<Reason> {
    let status = &set.status;
    let wanted = status.desired_number_scheduled;
    let updated = set.lacks(status.updated_number_scheduled, wanted, "updated");
    let available = || set.lacks(status.number_available, wanted, "available");
    updated.filter(|_| !set.spec.update_strategy.is_on_delete()).or_else(available)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DaemonSet {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    selector: LabelSelector,
}

fn read(json: &str, reading: &Reading) -> serde_json::Result<(Entry, String)> {
    let DaemonSet { metadata, spec } = serde_json::from_str(json)?;
    let backend = Backend::Pods { labels: spec.selector.to_string(), owner: Some(metadata.uid.as_str().into()) };
    let empty = Reason::new(Code::NoPods, "it has no pod on this node");
    Ok((Entry::new(&metadata, reading, backend, empty), metadata.resource_version))
}

/// While its pod is replaced there may be two.
fn on_node(entry: &Entry, pods: &Members) -> Verdict {
    let not_ready = [State::Waiting, State::Leaving].into_iter().find_map(|state| pods.first(state));
    match (pods.first(State::Ready), not_ready) {
        (Some(_), _) => Verdict::Ready,
        (None, Some(pod)) => {
            let why = pod.reason.as_ref().map_or("is being deleted", |reason| reason.text.as_str());
            Verdict::waiting(Code::PodsNotReady, format!("pod {} on this node {why}", pod.name()))
        }
        (None, None) => Verdict::Waiting(entry.empty.clone()),
    }
}
