//! Services: is anything behind them that answers?
//!
//! With a selector the pods are judged, so that `get services` and `list pods` are all the rights that are needed;
//! without one, its EndpointSlices:
//! <https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors>.

use std::collections::BTreeMap;

use super::pod::{Sorted, State, View, unready};
use super::{all, count, named, none};
use crate::kinds::object::{EndpointSlice, Pod, Service};
use crate::target::verdict::{Code, Verdict};
use crate::target::{Mode, Target};

/// What stands behind one Service.
#[derive(Debug, Clone)]
pub enum Backing {
    /// the pods that its selector matches
    Pods(Vec<Pod>),
    /// the slices that carry its name
    Slices(Vec<EndpointSlice>),
}

impl Backing {
    /// The pods, if it is pods.
    pub fn pods(&self) -> &[Pod] {
        match self {
            Self::Pods(pods) => pods,
            Self::Slices(_) => &[],
        }
    }
}

/// The verdict over the Services of a target and what is behind each, by the Service's uid; `min` is the least number of
/// Services that a selector has to match.
pub fn services(
    target: &Target,
    min: usize,
    view: View,
    services: &[Service],
    backings: &BTreeMap<String, Backing>,
) -> Verdict {
    let selection = &target.selection;
    let judge = |service: &Service| one(target.mode, view, service, backings.get(&service.metadata.uid));
    if let Some(name) = &selection.name {
        return named("service", selection, name, services).map_or_else(|verdict| verdict, judge);
    }
    if services.is_empty() {
        return none("service", selection);
    }
    let verdicts: Vec<(&Service, Verdict)> = services.iter().map(|service| (service, judge(service))).collect();
    all(target, "service", "ready", min, &verdicts)
}

fn one(mode: Mode, view: View, service: &Service, backing: Option<&Backing>) -> Verdict {
    match backing {
        // A name elsewhere: nothing of it is in this cluster.
        _ if service.spec.r#type == "ExternalName" => Verdict::Ready,
        Some(Backing::Slices(slices)) => endpoints(slices),
        Some(Backing::Pods(pods)) => by_pods(mode, &Sorted::new(pods, view)),
        None => by_pods(mode, &Sorted::new([], view)),
    }
}

/// Only pods that may still serve: neither ended nor leaving, nor this very one.
fn by_pods(mode: Mode, pods: &Sorted) -> Verdict {
    let ready = pods.number(State::Ready);
    let total = ready + pods.number(State::Unready);
    match pods.first(State::Unready) {
        _ if total == 0 => nobody(pods),
        Some(pod) if ready == 0 || mode == Mode::Service => {
            let (total, name, why) = (count(total, "pod"), &pod.metadata.name, unready(pod));
            let text = format!("{ready} of {total} behind the Service ready; pod {name} {why}");
            Verdict::waiting(Code::PodsNotReady, text)
        }
        _ => leaving(pods).filter(|_| mode == Mode::Service).unwrap_or(Verdict::Ready),
    }
}

fn nobody(pods: &Sorted) -> Verdict {
    leaving(pods).unwrap_or_else(|| Verdict::waiting(Code::NoPods, "no pod is behind the Service"))
}

fn leaving(pods: &Sorted) -> Option<Verdict> {
    let name = &pods.first(State::Leaving)?.metadata.name;
    let text = format!("pod {name} behind the Service is being deleted and will be replaced after that");
    Some(Verdict::waiting(Code::BeingReplaced, text))
}

/// A missing `ready` means ready: <https://kubernetes.io/docs/reference/kubernetes-api/discovery/endpoint-slice-v1/>.
fn endpoints(slices: &[EndpointSlice]) -> Verdict {
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = endpoints.clone().filter(|endpoint| endpoint.conditions.ready.unwrap_or(true)).count();
    match (ready, endpoints.count()) {
        (0, 0) => Verdict::waiting(Code::NoEndpoints, "the Service has no selector and no endpoint"),
        (0, total) => {
            let text = format!("0 of {} of the Service ready", count(total, "endpoint"));
            Verdict::waiting(Code::EndpointsNotReady, text)
        }
        _ => Verdict::Ready,
    }
}
