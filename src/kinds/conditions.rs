//! The conditions of any object, which all have one shape:
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/condition-v1/>.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde_json::Value;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{Reading, in_transition};
use crate::target::verdict::{Code, Reason};

/// One of them; whoever writes it may leave out all but its type.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    pub r#type: String,
    pub status: String,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub observed_generation: Option<i64>,
    pub last_transition_time: Option<Time>,
}

/// An object of which they say all.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Conditioned {
    pub metadata: Metadata,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Option<Vec<Condition>>,
}

impl Conditioned {
    /// The one of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        of_type(self.status.conditions.as_deref().unwrap_or_default(), kind)
    }
}

impl Condition {
    /// Of an object of any kind: whoever defines it defines what stands beside the type, and what is of no use here
    /// does not make it none.
    pub fn of(json: &Value) -> Option<Self> {
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        Some(Self {
            r#type: text("type")?,
            status: text("status").unwrap_or_default(),
            reason: text("reason"),
            message: text("message"),
            observed_generation: json["observedGeneration"].as_i64(),
            last_transition_time: Time::deserialize(&json["lastTransitionTime"]).ok(),
        })
    }

    pub fn is_true(&self) -> bool {
        self.status == "True"
    }

    /// `is False (KubeletNotReady: container runtime is down)`
    pub fn said(&self) -> String {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let message = filled(&self.message).map(|text| text.trim_end_matches('.').to_owned());
        let why: Vec<String> = filled(&self.reason).into_iter().chain(message).collect();
        let status = if self.status.is_empty() { "not set" } else { &self.status };
        if why.is_empty() { format!("is {status}") } else { format!("is {status} ({})", why.join(": ")) }
    }

    /// For programs: its reason, or its type.
    pub fn code(&self) -> Code {
        let reason = self.reason.as_deref().filter(|reason| !reason.is_empty());
        Code::Foreign(reason.unwrap_or(&self.r#type).to_owned())
    }
}

/// The one of this type.
pub fn of_type<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.r#type == kind)
}

/// The facts about an object that is ready when its condition of this type is True, and its version.
///
/// # Errors
/// It is none.
pub fn read(json: &str, reading: &Reading, kind: &str) -> serde_json::Result<(Fact, String)> {
    let object: Conditioned = serde_json::from_str(json)?;
    let found = object.condition(kind);
    let reason = in_transition(&object.metadata, None).or_else(|| unmet(found, kind));
    let state = if reason.is_some() { State::Waiting } else { State::Ready };
    let since = found.and_then(|it| it.last_transition_time.as_ref()).map(|time| time.0);
    Ok((Fact { since, ..Fact::new(&object.metadata, reading, state, reason) }, object.metadata.resource_version))
}

/// Why the condition of this type is not met.
pub fn unmet(condition: Option<&Condition>, kind: &str) -> Option<Reason> {
    match condition {
        None => Some(Reason::new(Code::NotStarted, format!("has no condition {kind} yet"))),
        Some(condition) if condition.is_true() => None,
        Some(condition) => {
            Some(Reason::new(condition.code(), format!("is not {kind}: its condition {}", condition.said())))
        }
    }
}
