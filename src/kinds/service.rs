//! Services: is anything behind them that answers?
//!
//! With a selector the pods are judged, so that `get services` and `list pods` are all the rights that are needed;
//! without one, its EndpointSlices:
//! <https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use k8s_openapi::api::discovery::v1::EndpointConditions;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::members::{Fact, Key, Members, State};
use super::object::Metadata;
use super::set;
use super::{
    Causes, ENDPOINT_SLICES, EVENTS, FOLLOW, GET, Judged, LIST, Mode, POD_LOGS, PODS, Read, Reading, Row, in_transition,
};
use crate::target::names::dns_label;
use crate::target::verdict::{Code, Reason, Verdict};
use crate::target::{Demand, Kind, Resource, Target};
use crate::text::count;

pub static ROW: Row = Row {
    kind: Kind { name: Cow::Borrowed("service"), resource: Resource::namespaced("", "v1", "services") },
    title: "Service",
    aliases: &[],
    modes: &[
        Mode { word: "service", demand: Demand::Every, help: "every pod behind the Service is ready" },
        Mode { word: "service-wr", demand: Demand::Any, help: "one pod behind the Service is ready" },
    ],
    done: "ready",
    check_name: dns_label,
    reads: &[
        Read { resource: &PODS, verbs: FOLLOW, why: ": the pods behind it" },
        Read { resource: &ENDPOINT_SLICES, verbs: FOLLOW, why: ", if it has no selector" },
    ],
    explained_by: &[
        Read { resource: &ROW.kind.resource, verbs: LIST, why: "near names" },
        Read { resource: &PODS, verbs: LIST, why: "its pods" },
        Read { resource: &POD_LOGS, verbs: GET, why: "the last words of a container that failed" },
        Read { resource: &EVENTS, verbs: LIST, why: "warnings" },
    ],
    judged: Judged::Services,
    causes: Some(Causes::PodsOfServices),
    is_final: false,
};

/// `v1` Service
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    pub metadata: Metadata,
    pub spec: Spec,
}

/// The label selector of the pods behind a Service: its `spec.selector` as the API is asked with it.
pub fn selector(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// What is behind it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    r#type: String,
    pub selector: BTreeMap<String, String>,
}

/// What is asked for behind a Service.
#[derive(Debug, Clone, PartialEq)]
pub enum Backend {
    /// the pods with these labels
    Pods(BTreeMap<String, String>),
    /// the EndpointSlices of the Service
    Slices,
    /// nothing: a name elsewhere
    External,
}

/// What is kept of a Service.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: Rc<Key>,
    pub uid: Box<str>,
    pub created: Option<Timestamp>,
    pub backend: Backend,
    /// of the name that is meant, but without the labels
    pub is_stale: bool,
    /// what keeps it whatever is behind it
    pub transition: Option<Reason>,
}

/// Reads a Service, and its version.
///
/// # Errors
/// It is none.
pub fn read(json: &str, reading: &Reading) -> serde_json::Result<(Entry, String)> {
    let Service { metadata, spec } = serde_json::from_str(json)?;
    let backend = match spec.r#type.as_str() {
        "ExternalName" => Backend::External,
        _ if spec.selector.is_empty() => Backend::Slices,
        _ => Backend::Pods(spec.selector),
    };
    let fact = Fact::new(&metadata, reading, State::Ready, None);
    let transition = in_transition(&metadata, None).map(|it| Reason::new(it.code, format!("the Service {}", it.text)));
    let (created, is_stale) = (metadata.created(), fact.state == State::Stale);
    let entry = Entry { key: fact.key, uid: fact.uid, created, backend, is_stale, transition };
    Ok((entry, metadata.resource_version))
}

/// What is kept of an EndpointSlice: how many endpoints it has, and how many of them are ready.
#[derive(Debug, Clone)]
pub struct Slice {
    pub key: Rc<Key>,
    pub ready: usize,
    pub total: usize,
}

/// Reads a slice, and its version. A missing `ready` means ready:
/// <https://kubernetes.io/docs/reference/kubernetes-api/discovery/endpoint-slice-v1/>.
///
/// # Errors
/// It is none.
pub fn read_slice(json: &str) -> serde_json::Result<(Slice, String)> {
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct EndpointSlice {
        metadata: Metadata,
        // Written as `null`, not left out, when there is none.
        endpoints: Option<Vec<Endpoint>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Endpoint {
        conditions: EndpointConditions,
    }
    let EndpointSlice { metadata, endpoints } = serde_json::from_str(json)?;
    let endpoints = endpoints.unwrap_or_default();
    let ready = endpoints.iter().filter(|endpoint| endpoint.conditions.ready.unwrap_or(true)).count();
    let key = Rc::new((metadata.namespace.into(), metadata.name.into()));
    Ok((Slice { key, ready, total: endpoints.len() }, metadata.resource_version))
}

/// What stands behind one Service, as it is now.
#[derive(Debug)]
pub enum Behind<'a> {
    Pods(&'a Members),
    Slices(&'a BTreeMap<Rc<Key>, Slice>),
    Nothing,
}

/// The verdict over the Services of a target; `min` is the least number of Services that a selector has to match.
pub fn verdict<'a>(
    target: &Target,
    min: usize,
    services: impl IntoIterator<Item = (&'a Entry, Behind<'a>)>,
) -> Verdict {
    let mut members = Members::new(State::counts);
    for (entry, behind) in services {
        let (state, reason) = match one(target.demand, entry, &behind) {
            _ if entry.is_stale => (State::Stale, None),
            Verdict::Ready => (State::Ready, None),
            Verdict::Waiting(reason) => (State::Waiting, Some(Box::new(reason))),
            Verdict::Failed(reason) => (State::Failed, Some(Box::new(reason))),
        };
        let (key, uid) = (Rc::clone(&entry.key), entry.uid.clone());
        members.insert(Fact { key, uid, state, reason, since: None, release: None }, Timestamp::UNIX_EPOCH);
    }
    // What is demanded of the pods was asked of each Service: each of them has to be ready.
    let each = Target { demand: Demand::Every, ..target.clone() };
    set::verdict(&each, min, &members)
}

fn one(demand: Demand, entry: &Entry, behind: &Behind) -> Verdict {
    if let Some(reason) = &entry.transition {
        return Verdict::Waiting(reason.clone());
    }
    match behind {
        // A name elsewhere: nothing of it is in this cluster.
        _ if entry.backend == Backend::External => Verdict::Ready,
        Behind::Slices(slices) => endpoints(slices.values()),
        Behind::Pods(pods) => by_pods(demand, pods),
        Behind::Nothing => Verdict::waiting(Code::NoPods, NO_POD),
    }
}

const NO_POD: &str = "no pod is behind the Service";

/// Only pods that may still serve: neither ended nor leaving, nor this very one.
fn by_pods(demand: Demand, pods: &Members) -> Verdict {
    let ready = pods.number(State::Ready);
    let total = ready + pods.number(State::Waiting);
    match pods.first(State::Waiting) {
        _ if total == 0 => leaving(pods).unwrap_or_else(|| Verdict::waiting(Code::NoPods, NO_POD)),
        // One that answers is enough for `-wr`, however many do not.
        Some(pod) if ready == 0 || demand == Demand::Every => {
            let why = pod.reason.as_ref().map(|reason| reason.text.as_str()).unwrap_or_default();
            let text = format!("{ready} of {} behind the Service ready; pod {} {why}", count(total, "pod"), pod.name());
            Verdict::waiting(Code::PodsNotReady, text)
        }
        _ => leaving(pods).filter(|_| demand == Demand::Every).unwrap_or(Verdict::Ready),
    }
}

fn leaving(pods: &Members) -> Option<Verdict> {
    let name = pods.first(State::Leaving)?.name();
    let text = format!("pod {name} behind the Service is being deleted and will be replaced after that");
    Some(Verdict::waiting(Code::BeingReplaced, text))
}

fn endpoints<'a>(slices: impl Iterator<Item = &'a Slice>) -> Verdict {
    let (ready, total) = slices.fold((0, 0), |(ready, total), slice| (ready + slice.ready, total + slice.total));
    match (ready, total) {
        (0, 0) => Verdict::waiting(Code::NoEndpoints, "the Service has no selector and no endpoint"),
        (0, total) => {
            let text = format!("0 of {} of the Service ready", count(total, "endpoint"));
            Verdict::waiting(Code::EndpointsNotReady, text)
        }
        _ => Verdict::Ready,
    }
}
