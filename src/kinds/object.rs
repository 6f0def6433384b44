//! What is read of every object, and of events. What is not named here is dropped while the JSON is read: specs can be
//! megabytes (a pod template holds whole environments), and this program lives in 16Mi. Absent is the same as empty.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::EventSeries;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub generation: Option<i64>,
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

    pub fn created(&self) -> Option<Timestamp> {
        self.creation_timestamp.as_ref().map(|time| time.0)
    }
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
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Who says it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Source {
    pub component: String,
}
