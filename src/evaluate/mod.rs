//! Objects → verdict. Pure: no clock, no client, no printing; absence is an ordinary input.
//!
//! Each rule returns at the first unmet requirement with a machine-readable reason and a sentence with numbers.
//! Whether a verdict has to settle, and what a deletion means, is decided where time is known (`observe`).

pub mod job;
pub mod pod;
pub mod service;

use crate::object::Object;
use crate::target::Selection;
use crate::verdict::Verdict;

/// A condition type's status in a list of conditions, all of which have the same shape but a type of their own.
macro_rules! condition {
    ($conditions:expr, $kind:expr) => {
        $conditions.iter().flatten().find(|condition| condition.type_ == $kind)
    };
}
pub(crate) use condition;

/// The one object of a named selection, or why there is none to judge.
///
/// One of that name whose labels do not match is stale: with `job migrate -lrelease=7` the finished Job of release 6
/// does not let release 7 through.
fn named<'a, T: Object>(kind: &str, selection: &Selection, name: &str, objects: &'a [T]) -> Result<&'a T, Verdict> {
    let Some(object) = objects.iter().find(|object| object.metadata().name == name) else {
        return Err(Verdict::waiting("NotFound", format!("{kind} {name} does not exist")));
    };
    match &selection.labels {
        Some(labels) if !labels.matches(&object.metadata().labels) => {
            Err(Verdict::waiting("Stale", format!("{kind} {name} exists, but does not match {labels}")))
        }
        _ => Ok(object),
    }
}

/// What a selection is called in a sentence: `app=db`, `in the namespace` for every object.
fn described(selection: &Selection) -> String {
    let labels = selection.labels.as_ref().map(ToString::to_string);
    let parts: Vec<String> = labels.into_iter().chain(selection.fields.clone()).collect();
    if parts.is_empty() { "the namespace".to_owned() } else { parts.join(" and ") }
}

/// `1 pod`, `2 pods`
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
