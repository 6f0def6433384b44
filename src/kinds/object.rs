//! What is read of every object, and of events. What is not named here is dropped while the JSON is read: specs can be
//! megabytes (a pod template holds whole environments), and this program lives in 16Mi. Absent is the same as empty.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::EventSeries;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelectorRequirement, MicroTime, OwnerReference, Time};
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
    pub finalizers: Vec<String>,
}

impl Metadata {
    /// The owner that acts on this object: the reference with `controller: true`.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }

    /// Whether what is said of this generation of it is about an older spec; of none, nobody knows.
    pub fn has_changed_since(&self, observed_generation: Option<i64>) -> bool {
        self.generation.zip(observed_generation).is_some_and(|(present, observed)| observed < present)
    }

    pub fn created(&self) -> Option<Timestamp> {
        self.creation_timestamp.as_ref().map(|time| time.0)
    }
}

/// `meta/v1` `LabelSelector`, or the plain labels of a Service or a replication controller; as text it is what the API
/// is asked with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<LabelSelectorRequirement>,
    #[serde(flatten)]
    plain: BTreeMap<String, String>,
}

impl LabelSelector {
    /// The labels that have to be so.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.plain.clone().into_iter().chain(self.match_labels.clone()).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty() && self.plain.is_empty()
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equal = self.plain.iter().chain(&self.match_labels).map(|(key, value)| format!("{key}={value}"));
        let requirement = |it: &LabelSelectorRequirement| {
            let (key, values) = (&it.key, it.values.iter().flatten().cloned().collect::<Vec<_>>().join(","));
            match it.operator.as_str() {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "DoesNotExist" => format!("!{key}"),
                _ => key.clone(),
            }
        };
        let parts: Vec<String> = equal.chain(self.match_expressions.iter().map(requirement)).collect();
        f.write_str(&parts.join(","))
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
