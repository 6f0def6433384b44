//! What `--for` demands of an object, compared with it: conditions and values, as `kubectl wait` compares them
//! (`pkg/cmd/wait/{condition,json}.go` in k8s.io/kubectl).

use serde::Deserialize;
use serde_json::Value;

use super::conditions::Condition as Told;
use super::existence::still_there;
use super::members::{Fact, State};
use super::object::Metadata;
use super::{Reading, of};
use crate::target::Demand;
use crate::target::goal::{Condition, Goal};
use crate::target::jsonpath::{Found, Path, equals};
use crate::target::verdict::{Code, Reason};
use crate::text::cut;

/// The facts about an object of any kind, and its version.
///
/// # Errors
/// It is none.
pub fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let object: Value = serde_json::from_str(json)?;
    let metadata = Metadata::deserialize(&object["metadata"])?;
    let Demand::Meets(goal) = &reading.demand else { return super::existence::read(json, reading) };
    let object = Object { value: &object, metadata: &metadata, is_confidential: of(&reading.kind).is_confidential };
    let (state, reason) = match object.lacks(goal) {
        None => (State::Ready, None),
        Some(lacks) => match failure(json, reading)? {
            Some(failure) => (State::Failed, Some(failure)),
            None => (State::Waiting, Some(Reason::new(Code::NotMet, lacks))),
        },
    };
    Ok((Fact::new(&metadata, reading, state, reason), metadata.resource_version))
}

/// That it has failed by the rules of its kind, as a whole sentence.
fn failure(json: &str, reading: &Reading) -> serde_json::Result<Option<Reason>> {
    let Some(plain) = &reading.plain else { return Ok(None) };
    let (fact, _) = (plain.read)(json, &plain.reading)?;
    let reason = fact.reason.filter(|_| fact.state == State::Failed);
    let sentence = |reason: Reason| {
        let text = if plain.has_sentences { reason.text } else { format!("it {}", reason.text) };
        Reason::new(reason.code, text)
    };
    Ok(reason.map(|reason| sentence(*reason)))
}

struct Object<'a> {
    value: &'a Value,
    metadata: &'a Metadata,
    /// its values are not for other eyes
    is_confidential: bool,
}

impl Object<'_> {
    /// Why no alternative is met.
    fn lacks(&self, goal: &Goal) -> Option<String> {
        let alternatives = goal.alternatives().iter();
        let lacks: Option<Vec<String>> = alternatives.map(|all| self.lacks_of(all)).collect();
        lacks.map(|lacks| lacks.join("; --or-for: "))
    }

    fn lacks_of(&self, all: &[Condition]) -> Option<String> {
        let lacks: Vec<String> = all.iter().filter_map(|condition| self.lack(condition)).collect();
        (!lacks.is_empty()).then(|| lacks.join(" and "))
    }

    fn lack(&self, condition: &Condition) -> Option<String> {
        match condition {
            Condition::Create => None,
            Condition::Delete => Some(still_there(self.metadata)),
            Condition::Status { r#type, status } => self.status(r#type, status),
            Condition::Path { path, value } => self.path(path, value.as_deref()),
        }
    }

    /// The first of that type that says anything decides. One that was written for an older spec says nothing of the
    /// present one.
    fn status(&self, kind: &str, wanted: &str) -> Option<String> {
        let status = &self.value["status"];
        let listed = status["conditions"].as_array().into_iter().flatten();
        let mut told = listed.filter_map(Told::of).filter(|told| !told.status.is_empty());
        let Some(told) = told.find(|told| is_same(&told.r#type, kind)) else {
            return Some(format!("it has no condition {kind} yet"));
        };
        let observed = told.observed_generation.or_else(|| status["observedGeneration"].as_i64());
        if self.metadata.has_changed_since(observed) {
            return Some(format!("condition {} is about an older spec", told.r#type));
        }
        (!is_same(&told.status, wanted)).then(|| format!("condition {} {}", told.r#type, told.said()))
    }

    fn path(&self, path: &Path, wanted: Option<&str>) -> Option<String> {
        let found = match path.find(self.value) {
            Ok(Found::One(found)) => found,
            Ok(Found::Nothing) => return Some(format!("{path} is not set yet")),
            Ok(Found::Several(number)) => return Some(format!("{path} yields {number} values instead of one")),
            Err(error) => return Some(format!("{path} {error}")),
        };
        let wanted = wanted?;
        match equals(found, wanted) {
            Ok(true) => None,
            Ok(false) if self.is_confidential => Some(format!("{path} has another value")),
            Ok(false) => Some(format!(
                "{path} is {}",
                cut(&found.as_str().map_or_else(|| found.to_string(), str::to_owned), 100)
            )),
            Err(error) => Some(format!("{path} {error}")),
        }
    }
}

/// Whatever the case of its letters.
fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
