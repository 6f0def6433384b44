//! Services: is anything behind them that answers?
//!
//! With a selector the pods are judged, so that `get services` and `list pods` are all the rights that are needed;
//! without one, its EndpointSlices:
//! <https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors>.

use std::collections::BTreeMap;

use super::pod::is_ready;
use super::{count, described, named};
use crate::object::{EndpointSlice, Pod, Service};
use crate::target::{Mode, Target};
use crate::verdict::Verdict;

/// What stands behind one Service; `None` while it has not been looked at.
#[derive(Debug, Clone)]
pub enum Backing {
    /// the pods that its selector matches
    Pods(Vec<Pod>),
    /// the slices that carry its name
    Slices(Vec<EndpointSlice>),
}

/// The verdict over the Services of a target and what is behind each, by the Service's uid.
pub fn services(
    target: &Target,
    min: usize,
    own_uid: Option<&str>,
    services: &[Service],
    backings: &BTreeMap<String, Backing>,
) -> Verdict {
    let judge = |service: &Service| one(target.mode, min, own_uid, service, backings.get(&service.metadata.uid));
    if let Some(name) = &target.selection.name {
        return named("service", &target.selection, name, services).map_or_else(|verdict| verdict, judge);
    }
    if services.is_empty() {
        return Verdict::waiting("NotFound", format!("no service matches {}", described(&target.selection)));
    }
    let unmet = services.iter().map(judge).find(|verdict| *verdict != Verdict::Ready);
    unmet.unwrap_or(Verdict::Ready)
}

fn one(mode: Mode, min: usize, own_uid: Option<&str>, service: &Service, backing: Option<&Backing>) -> Verdict {
    let name = &service.metadata.name;
    if service.spec.r#type == "ExternalName" {
        return Verdict::Ready;
    }
    let (ready, total) = match backing {
        None => return Verdict::waiting("NotLookedYet", format!("what is behind service {name} is being looked up")),
        Some(Backing::Pods(pods)) => count_pods(own_uid, pods),
        Some(Backing::Slices(slices)) => count_endpoints(slices),
    };
    let needs_all = mode == Mode::Service && matches!(backing, Some(Backing::Pods(_)));
    if total == 0 {
        return Verdict::waiting("NoEndpoints", format!("nothing is behind service {name}"));
    }
    if ready == 0 || (needs_all && ready < total) {
        let text = format!("{ready} of {} behind service {name} ready", count(total, "endpoint"));
        return Verdict::waiting("EndpointsNotReady", text);
    }
    if ready < min {
        let text = format!("{} behind service {name} ready, at least {min} needed", count(ready, "endpoint"));
        return Verdict::waiting("TooFew", text);
    }
    Verdict::Ready
}

/// Ready and all of the pods that are neither ended nor leaving nor this very one.
fn count_pods(own_uid: Option<&str>, pods: &[Pod]) -> (usize, usize) {
    let ended = |pod: &Pod| matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let own = |pod: &Pod| own_uid.is_some_and(|own| own == pod.metadata.uid);
    let counts = |pod: &&Pod| !ended(pod) && pod.metadata.deletion_timestamp.is_none() && !own(pod);
    let counted = pods.iter().filter(counts);
    (counted.clone().filter(|pod| is_ready(pod)).count(), counted.count())
}

/// A missing `ready` means ready: <https://kubernetes.io/docs/reference/kubernetes-api/discovery/endpoint-slice-v1/>.
fn count_endpoints(slices: &[EndpointSlice]) -> (usize, usize) {
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = endpoints.clone().filter(|endpoint| endpoint.conditions.ready.unwrap_or(true)).count();
    (ready, endpoints.count())
}
