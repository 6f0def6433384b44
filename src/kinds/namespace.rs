//! Namespaces: active, or on their way out:
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>.

use serde::Deserialize;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{Judged, Mode, NEAR_NAMES, Reading, Row, in_transition};
use crate::target::names::dns_label;
use crate::target::verdict::{Code, Reason};
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::of_cluster("namespace", "Namespace", "", "v1", "namespaces"),
    aliases: &["ns"],
    modes: &[Mode { word: "namespace", demand: Demand::Every, help: "every namespace is active" }],
    options: &[],
    done: "active",
    rules: "Ready when its phase is Active and it is not being deleted.",
    check_name: dns_label,
    explained_by: &[NEAR_NAMES],
    judged: |_| Judged::Set(read),
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Namespace {
    metadata: Metadata,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
}

fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let Namespace { metadata, status } = serde_json::from_str(json)?;
    let transition = in_transition(&metadata, None);
    let (state, reason) = match status.phase.as_str() {
        _ if transition.is_some() => (State::Waiting, transition),
        "Active" => (State::Ready, None),
        "" => (State::Waiting, Some(Reason::new(Code::NotStarted, "has no phase yet"))),
        phase => (State::Waiting, Some(Reason::new(Code::Foreign(phase.to_owned()), format!("is {phase}")))),
    };
    Ok((Fact::new(&metadata, reading, state, reason), metadata.resource_version))
}
