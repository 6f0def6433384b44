//! Objects of one query → the verdict over all of them. Absence is an ordinary input; each rule returns at the first
//! unmet requirement with a machine-readable reason and a sentence with numbers.
//!
//! Whether a verdict has to settle, and what a deletion means, is decided where time is known (`follow`).

use std::borrow::Cow;

use super::members::{Fact, Members, State};
use super::{Row, has_sentences, of};
use crate::target::verdict::{Code, Reason, Verdict};
use crate::target::{Demand, Scope, Selection, Target};
use crate::text::count;

/// The verdict over the objects of a target. `min` is the least number that a selector has to match (with
/// [`Demand::Any`]: that have to be ready).
pub fn verdict(target: &Target, min: usize, members: &Members) -> Verdict {
    let judge = Judge { target, row: of(&target.kind), members };
    match &target.selection.name {
        Some(_) => judge.named(),
        None => judge.all(min),
    }
}

/// What failed of a target that takes failures for an end: `failed (job-we accepts that): BackoffLimitExceeded`.
pub fn accepted_failures(target: &Target, members: &Members) -> Option<String> {
    let first = members.first(State::Failed).filter(|_| target.demand == Demand::EveryOrFailed)?;
    let judge = Judge { target, row: of(&target.kind), members };
    let failed = match members.number(State::Failed) {
        1 => "failed".to_owned(),
        number => format!("{number} of {} failed", count(judge.counted(), &judge.noun())),
    };
    let why = judge.failed(first).reason().map_or_else(String::new, |reason| format!(": {}", reason.text));
    Some(format!("{failed} ({} accepts that){why}", target.mode()))
}

struct Judge<'a> {
    target: &'a Target,
    row: &'static Row,
    members: &'a Members,
}

impl Judge<'_> {
    /// One of that name whose labels do not match is stale: with `job migrate -lrelease=7` the finished Job of release
    /// 6 does not let release 7 through.
    fn named(&self) -> Verdict {
        let selection = &self.target.selection;
        if self.members.is_empty() && !self.target.demand.is_met_by_absence() {
            return Verdict::waiting(Code::NotFound, "does not exist");
        }
        if self.members.number(State::Stale) > 0 {
            let labels = selection.labels.as_ref().map(ToString::to_string).unwrap_or_default();
            return Verdict::waiting(Code::Stale, format!("exists, but does not match {labels}"));
        }
        self.all(1)
    }

    fn all(&self, min: usize) -> Verdict {
        let (members, demand) = (self.members, &self.target.demand);
        if self.counted() == 0 {
            return self.nothing_counts();
        }
        // A failure is final only where each has to be ready: with `Any` another one may be, and with `EveryOrFailed`
        // it is an end like any other.
        match (demand, members.first(State::Failed)) {
            (Demand::Any, _) => self.any(min),
            (Demand::EveryOrFailed, _) | (_, None) => self.every(min),
            (_, Some(failed)) => self.failed(failed),
        }
    }

    fn every(&self, min: usize) -> Verdict {
        let ended =
            [State::Ready, State::Succeeded, State::Failed].map(|state| self.members.number(state)).iter().sum();
        self.not_ready(ended).or_else(|| self.leaving(ended)).unwrap_or_else(|| self.enough(ended, min, &self.done()))
    }

    fn any(&self, min: usize) -> Verdict {
        let ready = self.members.number(State::Ready);
        if ready >= min {
            return Verdict::Ready;
        }
        if let Some(verdict) = self.not_ready(ready) {
            return verdict;
        }
        if ready > 0 {
            return self.enough(ready, min, &self.done());
        }
        // None is ready and none will be: what has succeeded is as good, unless all have failed.
        let succeeded = self.members.number(State::Succeeded);
        match self.members.first(State::Failed) {
            Some(failed) if succeeded == 0 => self.failed(failed),
            _ => self.enough(succeeded, min, "succeeded"),
        }
    }

    fn not_ready(&self, done: usize) -> Option<Verdict> {
        let first = self.members.first(State::Waiting)?;
        let Reason { code, text } = first.reason.as_deref()?;
        if self.target.is_named() {
            return Some(Verdict::waiting(code.clone(), self.of_the_only(text)));
        }
        let total = count(self.counted(), &self.noun());
        let text = format!("{done} of {total} {}; {}", self.done(), self.sentence(first, text));
        Some(Verdict::waiting(code.clone(), text))
    }

    fn leaving(&self, done: usize) -> Option<Verdict> {
        let first = self.members.first(State::Leaving)?;
        let (noun, name) = (self.noun(), self.called(first));
        let done = format!("{} {}", count(done, &noun), self.done());
        let text = format!("{done}; {noun} {name} is being deleted and will be replaced");
        Some(Verdict::waiting(Code::BeingReplaced, text))
    }

    fn failed(&self, fact: &Fact) -> Verdict {
        let Some(Reason { code, text }) = fact.reason.as_deref() else {
            return Verdict::failed(Code::PodFailed, self.sentence(fact, "has failed"));
        };
        let text = if self.target.is_named() { self.of_the_only(text) } else { self.sentence(fact, text) };
        Verdict::failed(code.clone(), text)
    }

    fn enough(&self, done: usize, min: usize, word: &str) -> Verdict {
        // However few have to go, more cannot.
        if done < min && !self.target.demand.is_absence() {
            let done = count(done, &self.noun());
            return Verdict::waiting(Code::TooFew, format!("{done} {word}, at least {min} needed"));
        }
        Verdict::Ready
    }

    fn nothing_counts(&self) -> Verdict {
        let (noun, members) = (self.noun(), self.members);
        let is_itself = self.target.is_named() && members.number(State::Itself) > 0;
        if self.target.demand.is_met_by_absence() && !is_itself {
            return Verdict::Ready;
        }
        let going = [State::Leaving, State::Deleting, State::Overdue];
        // The most telling first: who waits for pods of a Job should wait for the Job.
        if let Some((fact, reason)) = members.first(State::Replaced).and_then(|it| Some((it, it.reason.as_deref()?))) {
            return Verdict::waiting(reason.code.clone(), self.sentence(fact, &reason.text));
        }
        if let Some(fact) = going.into_iter().find_map(|state| members.first(state)) {
            let text = "is being deleted, with no replacement yet";
            let text = if self.target.is_named() { self.of_the_only(text) } else { self.sentence(fact, text) };
            return Verdict::waiting(Code::BeingDeleted, text);
        }
        if members.number(State::Itself) > 0 {
            return Verdict::waiting(Code::OnlyItself, "a pod cannot wait for itself, and no other matches");
        }
        let text = match described(&self.target.selection) {
            None => format!("no {noun} exists"),
            Some(selection) => format!("no {noun} matches {selection}"),
        };
        Verdict::waiting(Code::NotFound, text)
    }

    fn counted(&self) -> usize {
        [State::Ready, State::Succeeded, State::Waiting, State::Failed].map(|it| self.members.number(it)).iter().sum()
    }

    fn noun(&self) -> Cow<'_, str> {
        self.target.kind.noun()
    }

    fn done(&self) -> String {
        self.row.done(&self.target.demand)
    }

    /// What is said of a name: the line says which it is, and how it stands.
    fn of_the_only(&self, reason: &str) -> String {
        if has_sentences(self.target) {
            return reason.to_owned();
        }
        let heads = ["is ", "has failed: ", "has failed; ", "has "];
        heads.iter().find_map(|head| reason.strip_prefix(head)).unwrap_or(reason).to_owned()
    }

    /// `pod db-0 is Pending`, `Job a: suspended`
    fn sentence(&self, fact: &Fact, reason: &str) -> String {
        let joint = if has_sentences(self.target) { ":" } else { "" };
        format!("{} {}{joint} {reason}", self.noun(), self.called(fact))
    }

    /// The object's name, with its namespace where a target speaks of all of them.
    fn called(&self, fact: &Fact) -> String {
        let (namespace, name) = &*fact.key;
        if self.target.scope == Scope::All { format!("{namespace}/{name}") } else { name.to_string() }
    }
}

/// What a selector is called in a sentence; `None` for every object.
fn described(selection: &Selection) -> Option<String> {
    let labels = selection.labels.as_ref().map(ToString::to_string);
    let parts: Vec<String> = labels.into_iter().chain(selection.fields.clone()).collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}
