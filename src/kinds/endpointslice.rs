//! The endpoints behind a Service, as its EndpointSlices have them:
//! <https://kubernetes.io/docs/reference/kubernetes-api/discovery/endpoint-slice-v1/>.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use k8s_openapi::api::discovery::v1::EndpointConditions;
use serde::Deserialize;

use super::members::Key;
use super::object::Metadata;

/// What is kept of an EndpointSlice.
#[derive(Debug, Clone)]
pub struct Slice {
    pub key: Rc<Key>,
    /// `IPv4`; one with addresses of both families has slices of its own for each
    family: Box<str>,
    pub ports: Vec<Box<str>>,
    addresses: Vec<Address>,
}

/// Where an endpoint is reached, and how it stands.
#[derive(Debug, Clone)]
pub struct Address {
    text: Box<str>,
    pub is_ready: bool,
    /// ready, and not only called so, and not on its way out
    pub serves: bool,
    pub is_terminating: bool,
}

/// A port of a Service or of a slice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Port {
    /// empty where it is the only one
    pub name: Option<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EndpointSlice {
    metadata: Metadata,
    address_type: Box<str>,
    // Written as `null`, not left out, when there are none.
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    addresses: Vec<Box<str>>,
    conditions: EndpointConditions,
}

impl Endpoint {
    /// Missing means ready: <https://kubernetes.io/docs/reference/kubernetes-api/discovery/endpoint-slice-v1/>.
    fn is_ready(&self) -> bool {
        self.conditions.ready.unwrap_or(true)
    }

    /// With `publishNotReadyAddresses` all are called ready; whether they serve is said beside it.
    fn serves(&self) -> bool {
        self.is_ready() && self.conditions.serving.unwrap_or(true) && !self.is_terminating()
    }

    fn is_terminating(&self) -> bool {
        self.conditions.terminating.unwrap_or(false)
    }
}

/// Reads a slice, and its version.
///
/// # Errors
/// It is none.
pub fn read(json: &str) -> serde_json::Result<(Slice, String)> {
    let EndpointSlice { metadata, address_type, endpoints, ports } = serde_json::from_str(json)?;
    let addresses = |endpoint: Endpoint| {
        let (is_ready, serves, is_terminating) = (endpoint.is_ready(), endpoint.serves(), endpoint.is_terminating());
        endpoint.addresses.into_iter().map(move |text| Address { text, is_ready, serves, is_terminating })
    };
    let slice = Slice {
        key: Rc::new((metadata.namespace.into(), metadata.name.into())),
        family: address_type,
        ports: ports.into_iter().flatten().map(|port| port.name.unwrap_or_default()).collect(),
        addresses: endpoints.into_iter().flatten().flat_map(addresses).collect(),
    };
    Ok((slice, metadata.resource_version))
}

/// How many addresses are so, of the family that has most: a pod may have one of each. One may stand in two slices
/// while it moves from one to the other.
pub fn number<'a>(slices: impl Iterator<Item = &'a Slice>, is: fn(&Address) -> bool) -> usize {
    let mut by_family: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for slice in slices {
        let addresses = slice.addresses.iter().filter(|address| is(address));
        by_family.entry(&slice.family).or_default().extend(addresses.map(|address| &*address.text));
    }
    by_family.values().map(BTreeSet::len).max().unwrap_or(0)
}
