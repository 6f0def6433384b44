//! Claims for volumes: bound, or why not.
//!
//! The rule is kstatus' own; a claim whose volume is gone never comes back by itself:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/>.

use serde::Deserialize;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{ITS_EVENTS, Judged, Mode, NEAR_NAMES, Reading, Row, in_transition};
use crate::target::names::dns_subdomain;
use crate::target::verdict::{Code, Reason};
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("pvc", "PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    aliases: &["persistentvolumeclaim"],
    modes: &[Mode { word: "pvc", demand: Demand::Every, help: "every claim is bound to a volume" }],
    options: &[],
    done: "bound",
    rules: "Ready when its phase is Bound. Failed when it is Lost: its volume is gone.",
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
struct Claim {
    metadata: Metadata,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
}

fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let Claim { metadata, status } = serde_json::from_str(json)?;
    let transition = in_transition(&metadata, None);
    let (state, reason) = match status.phase.as_str() {
        _ if transition.is_some() => (State::Waiting, transition),
        "Bound" => (State::Ready, None),
        "Lost" => (State::Failed, Some(Reason::new(Code::Foreign("Lost".to_owned()), "has lost its volume"))),
        "" => (State::Waiting, Some(Reason::new(Code::NotStarted, "has no phase yet"))),
        phase => (State::Waiting, Some(Reason::new(Code::Foreign(phase.to_owned()), format!("is {phase}")))),
    };
    Ok((Fact::new(&metadata, reading, state, reason), metadata.resource_version))
}
