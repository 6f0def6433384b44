//! What can be reached from outside: Ingresses, and Services by their load balancer.
//!
//! Both have the address in the same place, and whoever provides it writes it there:
//! <https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer>.

use serde::Deserialize;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{ITS_EVENTS, Judged, Mode, NEAR_NAMES, Reading, Row, in_transition};
use crate::target::names::dns_subdomain;
use crate::target::verdict::{Code, Reason};
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("ingress", "Ingress", "networking.k8s.io", "v1", "ingresses"),
    aliases: &["ing"],
    modes: &[Mode { word: "ingress", demand: Demand::Every, help: "every Ingress has an address" }],
    options: &[],
    done: "with an address",
    rules: "Ready when its load balancer has an IP address or a host name.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_EVENTS],
    judged: |_| Judged::Set(read),
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reachable {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    /// of a Service
    r#type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    load_balancer: LoadBalancer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LoadBalancer {
    ingress: Option<Vec<Address>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Address {
    ip: Option<String>,
    hostname: Option<String>,
}

impl Address {
    fn is_set(&self) -> bool {
        [&self.ip, &self.hostname].into_iter().flatten().any(|text| !text.is_empty())
    }
}

/// The facts about an Ingress or a Service, and its version.
///
/// # Errors
/// It is neither.
pub fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let Reachable { metadata, spec, status } = serde_json::from_str(json)?;
    let reason = in_transition(&metadata, None).or_else(|| unreachable(&spec, &status.load_balancer));
    let state = if reason.is_some() { State::Waiting } else { State::Ready };
    Ok((Fact::new(&metadata, reading, state, reason), metadata.resource_version))
}

fn unreachable(spec: &Spec, balancer: &LoadBalancer) -> Option<Reason> {
    if balancer.ingress.iter().flatten().any(Address::is_set) {
        return None;
    }
    Some(Reason::new(
        Code::NoAddress,
        match spec.r#type.as_deref() {
            None | Some("LoadBalancer") => "has no address yet".to_owned(),
            Some(other) => format!("is of type {other}, which gets no load balancer"),
        },
    ))
}
