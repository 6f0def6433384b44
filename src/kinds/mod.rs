//! Objects → verdict. Pure: no clock, no client, no printing; absence is an ordinary input.
//!
//! Each rule returns at the first unmet requirement with a machine-readable reason and a sentence with numbers.
//! Whether a verdict has to settle, and what a deletion means, is decided where time is known (`observe`).
//! `table` evaluates the objects of a real API server: tests/fixtures/verdicts.

pub mod object;
pub mod resource;

#[cfg(test)]
mod fixtures;
pub mod job;
pub mod pod;
pub mod service;

use crate::kinds::object::Object;
use crate::target::verdict::{Code, Verdict};
use crate::target::{Scope, Selection, Target};

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
        return Err(Verdict::waiting(Code::NotFound, format!("{kind} {name} does not exist")));
    };
    match &selection.labels {
        Some(labels) if !labels.matches(&object.metadata().labels) => {
            Err(Verdict::waiting(Code::Stale, format!("{kind} {name} exists, but does not match {labels}")))
        }
        _ => Ok(object),
    }
}

/// The verdict where a selector matches nothing.
fn none(kind: &str, selection: &Selection) -> Verdict {
    let text =
        described(selection).map_or_else(|| format!("there is no {kind}"), |it| format!("no {kind} matches {it}"));
    Verdict::waiting(Code::NotFound, text)
}

/// What a selector is called in a sentence; `None` for every object.
fn described(selection: &Selection) -> Option<String> {
    let labels = selection.labels.as_ref().map(ToString::to_string);
    let parts: Vec<String> = labels.into_iter().chain(selection.fields.clone()).collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// The verdict over the objects of a selector by the verdicts of each: at least one and `min`, and all of them ready,
/// which they call `done`.
fn all<T: Object>(target: &Target, kind: &str, done: &str, min: usize, verdicts: &[(&T, Verdict)]) -> Verdict {
    let named = |object: &T, text: &str| format!("{kind} {}: {text}", called(target, object));
    for (object, verdict) in verdicts {
        if let Verdict::Failed(reason) = verdict {
            return Verdict::failed(reason.code.clone(), named(object, &reason.text));
        }
    }
    let ready = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Ready).count();
    if let Some((object, reason)) = verdicts.iter().find_map(|(object, verdict)| Some((object, verdict.reason()?))) {
        let text = format!("{ready} of {} {done}; {}", count(verdicts.len(), kind), named(object, &reason.text));
        return Verdict::waiting(reason.code.clone(), text);
    }
    enough(kind, done, ready, min)
}

/// The object's name, with its namespace where a target speaks of all of them.
fn called<T: Object>(target: &Target, object: &T) -> String {
    let metadata = object.metadata();
    if target.scope == Scope::All {
        return format!("{}/{}", metadata.namespace, metadata.name);
    }
    metadata.name.clone()
}

/// Ready, if it is `min` objects at least.
fn enough(kind: &str, done: &str, ready: usize, min: usize) -> Verdict {
    if ready < min {
        return Verdict::waiting(Code::TooFew, format!("{} {done}, at least {min} needed", count(ready, kind)));
    }
    Verdict::Ready
}

/// `1 pod`, `2 pods`
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
