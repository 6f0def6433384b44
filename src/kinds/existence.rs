//! Objects of which nothing counts but that they are there, by their metadata alone: no value of a Secret or ConfigMap
//! ever comes here.

use serde::Deserialize;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{Reading, in_transition};
use crate::target::Demand;
use crate::target::verdict::{Code, Reason};

/// A `meta.k8s.io/v1` `PartialObjectMetadata`, or any object.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Metadata,
}

/// The facts about an object, and its version.
///
/// # Errors
/// It is none.
pub fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let Object { metadata } = serde_json::from_str(json)?;
    let reason = match &reading.demand {
        Demand::Meets(goal) if goal.is_absence() => Some(Reason::new(Code::NotGone, still_there(&metadata))),
        Demand::Meets(_) => None,
        _ => in_transition(&metadata, None),
    };
    let state = if reason.is_some() { State::Waiting } else { State::Ready };
    Ok((Fact::new(&metadata, reading, state, reason), metadata.resource_version))
}

/// Finalizers are what most often keeps an object that is to go:
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>.
pub fn still_there(metadata: &Metadata) -> String {
    match metadata.finalizers.as_slice() {
        _ if metadata.deletion_timestamp.is_none() => "it still exists".to_owned(),
        [] => "it is being deleted".to_owned(),
        finalizers => format!("it is being deleted, held by the finalizers {}", finalizers.join(", ")),
    }
}
