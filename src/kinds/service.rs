//! Services: is anything behind them that answers?
//!
//! With a selector the pods are judged, so that `get services` and `list pods` are all the rights that are needed;
//! without one, its EndpointSlices:
//! <https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors>.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Deserialize;

use super::behind::{Backend, Behind, Entry, Stand};
use super::endpointslice::{Port, Slice, number};
use super::members::{Key, Members, State};
use super::object::{LabelSelector, Metadata};
use super::{
    Causes, ENDPOINT_SLICES, Extra, FOLLOW, ITS_PODS, Judged, LOGS, Mode, NEAR_NAMES, PODS, Read, Reading, Row,
    WARNINGS, ingress,
};
use crate::target::names::dns_label;
use crate::target::verdict::{Code, Reason, Verdict};
use crate::target::{Demand, Kind};
use crate::text::count;

pub static ROW: Row = Row {
    kind: Kind::namespaced("service", "Service", "", "v1", "services"),
    aliases: &["svc"],
    modes: &[
        Mode { word: "service", demand: Demand::Every, help: "every pod behind the Service is ready" },
        Mode { word: "service-wr", demand: Demand::Any, help: "one pod behind the Service is ready" },
    ],
    options: &[Extra::By],
    done: "ready",
    rules: "\
Ready when at least one pod is behind it and all of them are ready (service-wr: one of them); without a selector, when
one of its endpoints is ready. An ExternalName is always ready.
--by endpoints asks its EndpointSlices instead of pods: ready when at least --min addresses serve every port.
--by load-balancer: ready when its load balancer has an IP address or a host name.",
    check_name: dns_label,
    explained_by: &[NEAR_NAMES, ITS_PODS, LOGS, WARNINGS],
    judged: |target| match target.demand {
        Demand::Endpoints => Judged::Behind(&BY_ENDPOINTS),
        Demand::Address => Judged::Set(ingress::read),
        _ => Judged::Behind(&BY_PODS),
    },
    causes: Some(Causes::PodsServed),
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

static BY_PODS: Behind = Behind {
    read,
    judge: |reading, _, entry, stand| match stand {
        // A name elsewhere: nothing of it is in this cluster.
        _ if entry.backend == Backend::External => Verdict::Ready,
        Stand::Slices(slices) => any_endpoint(slices),
        Stand::Objects(pods) => by_pods(&reading.demand, entry, pods),
        Stand::Nothing => Verdict::Waiting(entry.empty.clone()),
    },
    reads: &[
        Read { resource: Some(&PODS), verbs: FOLLOW, why: ": the pods behind it" },
        Read { resource: Some(&ENDPOINT_SLICES), verbs: FOLLOW, why: ", if it has no selector" },
    ],
    grows: true,
};

static BY_ENDPOINTS: Behind = Behind {
    read,
    judge: |_, min, entry, stand| match stand {
        _ if entry.backend == Backend::External => Verdict::Ready,
        Stand::Slices(slices) => endpoints(entry, min, slices),
        Stand::Objects(_) | Stand::Nothing => Verdict::Waiting(entry.empty.clone()),
    },
    reads: &[Read { resource: Some(&ENDPOINT_SLICES), verbs: FOLLOW, why: ": its endpoints" }],
    grows: false,
};

/// `v1` Service
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Service {
    metadata: Metadata,
    spec: Spec,
}

/// What is behind it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    r#type: String,
    selector: LabelSelector,
    ports: Vec<Port>,
}

fn read(json: &str, reading: &Reading) -> serde_json::Result<(Entry, String)> {
    let Service { metadata, spec } = serde_json::from_str(json)?;
    let no_pod = Reason::new(Code::NoPods, format!("no pod matches its selector {}", spec.selector));
    let no_endpoint = |text: &str| Reason::new(Code::NoEndpoints, text);
    let (backend, empty) = match spec.r#type.as_str() {
        "ExternalName" => (Backend::External, no_pod),
        _ if reading.demand == Demand::Endpoints => (Backend::Slices, no_endpoint("it has no endpoints")),
        _ if spec.selector.is_empty() => (Backend::Slices, no_endpoint("it has neither a selector nor endpoints")),
        _ => (Backend::Pods { labels: spec.selector.to_string(), owner: None }, no_pod),
    };
    let ports = spec.ports.into_iter().map(|port| port.name.unwrap_or_default()).collect();
    let entry = Entry { ports, ..Entry::new(&metadata, reading, backend, empty) };
    Ok((entry, metadata.resource_version))
}

/// Only pods that may still serve: neither ended nor leaving, nor this very one.
fn by_pods(demand: &Demand, entry: &Entry, pods: &Members) -> Verdict {
    let ready = pods.number(State::Ready);
    let total = ready + pods.number(State::Waiting);
    match pods.first(State::Waiting) {
        _ if total == 0 => leaving(pods).or_else(|| only_itself(pods)).unwrap_or(Verdict::Waiting(entry.empty.clone())),
        // One that answers is enough for `-wr`, however many do not.
        Some(pod) if ready == 0 || *demand == Demand::Every => {
            let why = pod.reason.as_ref().map(|reason| reason.text.as_str()).unwrap_or_default();
            let text = format!("{ready} of {} behind it ready; pod {} {why}", count(total, "pod"), pod.name());
            Verdict::waiting(Code::PodsNotReady, text)
        }
        _ => leaving(pods).filter(|_| *demand == Demand::Every).unwrap_or(Verdict::Ready),
    }
}

fn leaving(pods: &Members) -> Option<Verdict> {
    let name = pods.first(State::Leaving)?.name();
    let text = format!("pod {name} behind it is being deleted and will be replaced");
    Some(Verdict::waiting(Code::BeingReplaced, text))
}

fn only_itself(pods: &Members) -> Option<Verdict> {
    // One that goes, or is replaced, may have a successor.
    let is_alone = pods.number(State::Itself) > 0 && pods.iter().all(|pod| pod.state == State::Itself);
    is_alone.then(|| Verdict::waiting(Code::OnlyItself, "this pod is the only one behind it"))
}

fn any_endpoint(slices: &BTreeMap<Rc<Key>, Slice>) -> Verdict {
    let ready = number(slices.values(), |address| address.is_ready);
    match (ready, number(slices.values(), |_| true)) {
        (0, 0) => Verdict::waiting(Code::NoEndpoints, "it has neither a selector nor endpoints"),
        (0, total) => {
            let text = format!("0 of {} ready", count(total, "endpoint"));
            Verdict::waiting(Code::EndpointsNotReady, text)
        }
        _ => Verdict::Ready,
    }
}

/// Enough addresses behind every port: a pod without the named port stands in a slice without that port
/// (`pkg/controller/util/endpointslice` in kubernetes), and nobody is sent there.
fn endpoints(entry: &Entry, min: usize, slices: &BTreeMap<Rc<Key>, Slice>) -> Verdict {
    let total = number(slices.values(), |_| true);
    if total == 0 {
        return Verdict::Waiting(entry.empty.clone());
    }
    let behind = |port: &str| {
        let slices = slices.values().filter(|slice| slice.ports.iter().any(|it| **it == *port));
        number(slices, |address| address.serves)
    };
    let ports = entry.ports.iter().map(|port| (behind(port), &**port));
    // Without a port there is nothing to be found behind one.
    let any = || (number(slices.values(), |address| address.serves), "");
    let (served, port) = ports.min_by_key(|(served, _)| *served).unwrap_or_else(any);
    if served >= min {
        return Verdict::Ready;
    }
    let port = if port.is_empty() { String::new() } else { format!(" for port {port}") };
    let going = match number(slices.values(), |address| address.is_terminating) {
        0 => String::new(),
        terminating => format!(", {terminating} terminating"),
    };
    let needed = if min > 1 { format!(", at least {min} needed") } else { String::new() };
    let text = format!("{served} of {} ready{port}{going}{needed}", count(total, "endpoint"));
    Verdict::waiting(Code::EndpointsNotReady, text)
}
