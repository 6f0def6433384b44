//! Every other kind, which only the cluster knows: by the rules of kstatus
//! (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus#conditions>), and its `Stalled` and `Failed`
//! end the wait.
//!
//! kstatus takes an object without a status for current. Where controllers write one, that is only an object that no
//! controller has seen yet.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::conditions::{Condition, of_type};
use super::members::{Fact, State};
use super::object::Metadata;
use super::{ITS_EVENTS, Judged, NEAR_NAMES, Reading, Row, conditions, in_transition, not_observed};
use crate::target::names::any_name;
use crate::target::verdict::{Code, Reason};
use crate::target::{Kind, Origin};

/// Its kind is of no account.
pub static ROW: Row = Row {
    kind: Kind::namespaced("KIND.GROUP", "", "", "", ""),
    aliases: &[],
    modes: &[],
    options: &[],
    done: "ready",
    rules: "\
Ready when its controller has seen the current spec and its condition Ready is True; without such a condition, when it
has a status and neither Reconciling nor Stalled is True. Failed when Stalled or Failed is True.",
    check_name: any_name,
    explained_by: &[NEAR_NAMES, ITS_EVENTS],
    judged: |_| Judged::Set(read),
    causes: None,
    is_final: false,
    failed_by: &["Stalled", "Failed"],
    is_existence: false,
    is_confidential: false,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Metadata,
    status: Option<Map<String, Value>>,
}

fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let Object { metadata, status } = serde_json::from_str(json)?;
    let status = status.unwrap_or_default();
    let observed = status.get("observedGeneration").and_then(Value::as_i64);
    let seen = in_transition(&metadata, observed).or_else(|| unseen(&status, &reading.kind));
    let (state, reason) =
        seen.map(|reason| (State::Waiting, reason)).or_else(|| unmet(&metadata, conditions_of(&status))).unzip();
    let fact = Fact::new(&metadata, reading, state.unwrap_or(State::Ready), reason);
    Ok((fact, metadata.resource_version))
}

fn unseen(status: &Map<String, Value>, kind: &Kind) -> Option<Reason> {
    let is_awaited = kind.origin == Origin::Found { has_status: true };
    (is_awaited && status.is_empty()).then(|| Reason::new(Code::NotStarted, "has no status yet"))
}

/// What is none is passed over.
fn conditions_of(status: &Map<String, Value>) -> Vec<Condition> {
    let listed = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(Condition::of).collect()
}

/// A condition may say of itself that it is of an older spec, where the status as a whole does not.
fn unmet(metadata: &Metadata, all: Vec<Condition>) -> Option<(State, Reason)> {
    let is_older = |condition: &Condition| metadata.has_changed_since(condition.observed_generation);
    let (older, present): (Vec<_>, Vec<_>) = all.into_iter().partition(is_older);
    let is_true = |kind: &str| of_type(&present, kind).filter(|condition| condition.is_true());
    if let Some(failed) = is_true("Stalled").or_else(|| is_true("Failed")) {
        let text = format!("has failed: {} {}", failed.r#type, failed.said());
        return Some((State::Failed, Reason::new(failed.code(), text)));
    }
    if let Some(busy) = is_true("Reconciling") {
        return Some((State::Waiting, Reason::new(busy.code(), format!("is not ready: Reconciling {}", busy.said()))));
    }
    let is_seen = older.is_empty() || present.iter().any(|condition| condition.observed_generation.is_some());
    let reason = match of_type(&present, "Ready") {
        Some(ready) => conditions::unmet(Some(ready), "Ready"),
        None => (!is_seen || of_type(&older, "Ready").is_some()).then(not_observed),
    };
    reason.map(|reason| (State::Waiting, reason))
}
