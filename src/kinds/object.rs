//! What is kept of an object from the API: the fields that a verdict or an explanation reads, and nothing else.
//!
//! Specs can be megabytes (a pod template holds whole environments) while this program lives in 16Mi, so everything
//! unnamed here is dropped while the JSON is read. The status types are k8s-openapi's. Absent is the same as empty.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::JobStatus;
use k8s_openapi::api::core::v1::{EventSeries, PodStatus};
use k8s_openapi::api::discovery::v1::EndpointConditions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::kinds::resource::{ENDPOINT_SLICES, EVENTS, JOBS, PODS, Resource, SERVICES};

/// An object kind that can be listed and watched.
pub trait Object: DeserializeOwned + Clone + 'static {
    /// Where the API serves it.
    const RESOURCE: &'static Resource;

    /// The part that all kinds share.
    fn metadata(&self) -> &Metadata;
}

/// `metadata`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub labels: BTreeMap<String, String>,
    pub creation_timestamp: Option<Time>,
    pub deletion_timestamp: Option<Time>,
    pub owner_references: Vec<OwnerReference>,
}

impl Metadata {
    /// The owner that acts on this object: the reference with `controller: true`.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }
}

/// `batch/v1` Job
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    pub metadata: Metadata,
    pub spec: JobSpec,
    pub status: JobStatus,
}

/// The part of a Job's spec that says how far it may go, and by whom it is run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSpec {
    pub suspend: bool,
    pub parallelism: Option<i32>,
    pub completions: Option<i32>,
    pub backoff_limit: Option<i32>,
    /// the controller that runs it, where that is not Kubernetes' own
    pub managed_by: Option<String>,
}

/// `v1` Pod
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Metadata,
    pub spec: PodSpec,
    pub status: PodStatus,
}

/// The part of a pod's spec that tells its init containers from its sidecars.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub init_containers: Vec<InitContainer>,
}

/// A container that runs before the others; a sidecar if it is always restarted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitContainer {
    pub name: String,
    pub restart_policy: Option<String>,
}

/// `v1` Service
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    pub metadata: Metadata,
    pub spec: ServiceSpec,
}

/// The part of a Service's spec that says what is behind it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    pub r#type: String,
    pub selector: BTreeMap<String, String>,
    pub external_name: Option<String>,
}

/// `discovery.k8s.io/v1` EndpointSlice
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EndpointSlice {
    pub metadata: Metadata,
    // Written as `null`, not left out, when there is none.
    pub endpoints: Option<Vec<Endpoint>>,
}

/// One address (or several of the same endpoint) in a slice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    pub conditions: EndpointConditions,
}

/// `v1` Event
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "`eventTime` is the API's word")]
pub struct Event {
    pub metadata: Metadata,
    pub involved_object: Involved,
    pub source: Source,
    pub reason: String,
    pub message: String,
    pub r#type: String,
    // One of these says how often, and one when, by which of two recorders wrote it; the others are null.
    pub count: Option<i32>,
    pub series: Option<EventSeries>,
    pub last_timestamp: Option<Time>,
    pub event_time: Option<MicroTime>,
}

impl Event {
    /// When it was last seen.
    pub fn when(&self) -> Option<Timestamp> {
        let by_series = self.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        let by_recorder = self.last_timestamp.as_ref().map(|time| time.0);
        by_series.or(by_recorder).or(self.event_time.as_ref().map(|time| time.0))
    }

    /// How often it was seen.
    pub fn times(&self) -> i32 {
        let by_series = self.series.as_ref().and_then(|series| series.count);
        by_series.or(self.count).unwrap_or(1)
    }
}

/// What an Event is about.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Involved {
    pub kind: String,
    pub name: String,
    pub uid: String,
}

/// Who says it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Source {
    pub component: String,
}

macro_rules! objects {
    ($($kind:ty => $resource:expr),* $(,)?) => {$(
        impl Object for $kind {
            const RESOURCE: &'static Resource = &$resource;

            fn metadata(&self) -> &Metadata {
                &self.metadata
            }
        }
    )*};
}
objects!(Job => JOBS, Pod => PODS, Service => SERVICES, EndpointSlice => ENDPOINT_SLICES, Event => EVENTS);
