//! Kinds whose whole state is one word, their phase.

use serde::Deserialize;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{Reading, in_transition};
use crate::target::verdict::{Code, Reason};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Metadata,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
}

/// The facts about an object that is ready in the phase `done`, and its version; in the phase that `lost` names it has
/// failed, for the reason beside.
///
/// # Errors
/// It is none.
pub fn read(
    json: &str,
    reading: &Reading,
    done: &str,
    lost: Option<(&str, &str)>,
) -> serde_json::Result<(Fact, String)> {
    let Object { metadata, status } = serde_json::from_str(json)?;
    let transition = in_transition(&metadata, None);
    let (state, reason) = match (status.phase.as_str(), lost) {
        _ if transition.is_some() => (State::Waiting, transition),
        (phase, _) if phase == done => (State::Ready, None),
        (phase, Some((lost, why))) if phase == lost => {
            (State::Failed, Some(Reason::new(Code::Foreign(lost.to_owned()), why)))
        }
        ("", _) => (State::Waiting, Some(Reason::new(Code::NotStarted, "has no phase yet"))),
        (phase, _) => (State::Waiting, Some(Reason::new(Code::Foreign(phase.to_owned()), format!("is {phase}")))),
    };
    Ok((Fact::new(&metadata, reading, state, reason), metadata.resource_version))
}
