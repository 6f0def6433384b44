//! The objects of a query, each as the few facts that are kept of it, in an order that answers at once what a verdict
//! asks: how many are in this state, and which is the first of them.
//!
//! An event costs what has changed, however many objects there are. Who is meant by "now" is told by the caller.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use k8s_openapi::jiff::Timestamp;

use super::Reading;
use super::object::Metadata;
use crate::target::verdict::Reason;

/// Namespace and name.
pub type Key = (Box<str>, Box<str>);

/// What is kept of an object.
#[derive(Debug, Clone)]
pub struct Fact {
    pub key: Rc<Key>,
    pub uid: Box<str>,
    pub state: State,
    /// Why it is not ready; a predicate (`is Pending`), or a whole sentence where its kind has one.
    pub reason: Option<Box<Reason>>,
    pub created: Option<Timestamp>,
    /// when it came to its state, by the clock of whoever says so
    pub since: Option<Timestamp>,
    /// of one that is leaving: until when it holds its set
    pub release: Option<Timestamp>,
    /// How many of its pods are ready: when that changes, something has happened to one of them.
    pub pulse: Option<i32>,
}

impl Fact {
    /// About the object of this metadata.
    pub fn new(metadata: &Metadata, reading: &Reading, state: State, reason: Option<Reason>) -> Self {
        let is_meant = reading.labels.as_ref().is_none_or(|labels| labels.matches(&metadata.labels));
        let is_named = reading.name.as_ref().is_none_or(|name| *name == metadata.name);
        let is_owned =
            reading.owner.as_ref().is_none_or(|owner| metadata.controller().is_some_and(|it| *it.uid == **owner));
        Self {
            key: Rc::new((metadata.namespace.as_str().into(), metadata.name.as_str().into())),
            uid: metadata.uid.as_str().into(),
            state: match state {
                _ if !is_named || !is_owned => State::Foreign,
                _ if !is_meant && reading.name.is_some() => State::Stale,
                _ if !is_meant => State::Foreign,
                _ if reading.own_uid.as_ref() == Some(&metadata.uid) => State::Itself,
                state => state,
            },
            reason: reason.filter(|_| is_meant).map(Box::new),
            created: metadata.created(),
            since: None,
            release: None,
            pulse: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.key.1
    }
}

/// What an object means for the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// as its kind demands
    Ready,
    /// it has done what it is for
    Succeeded,
    Waiting,
    /// for good
    Failed,
    /// failed, with somebody who replaces it; does not count
    Replaced,
    /// does not count
    Deleting,
    /// on its way out, and only when it is gone its set makes another one: holds the set
    Leaving,
    /// the same, but it should have been gone for so long that nobody waits for it
    Overdue,
    /// the pod that this program runs in; does not count, else it would wait for itself
    Itself,
    /// of the name that is meant, but without the labels
    Stale,
    /// Not meant at all: of another name, which a server shows that knows no field selectors, of another owner, or
    /// without the labels of a selector that is not asked with. It is not kept.
    Foreign,
}

const ALL: [State; 11] = {
    use State::{Deleting, Failed, Foreign, Itself, Leaving, Overdue, Ready, Replaced, Stale, Succeeded, Waiting};
    [Ready, Succeeded, Waiting, Failed, Replaced, Deleting, Leaving, Overdue, Itself, Stale, Foreign]
};

impl State {
    /// Whether such an object is one of those that have to be ready.
    pub fn counts(self) -> bool {
        matches!(self, Self::Ready | Self::Succeeded | Self::Waiting | Self::Failed)
    }

    /// Whether such a pod answers behind a Service, or is to.
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Waiting)
    }
}

/// The objects of one query as they are now.
#[derive(Debug)]
pub struct Members {
    facts: BTreeMap<Rc<Key>, Fact>,
    by_state: [BTreeSet<Rc<Key>>; ALL.len()],
    counts: fn(State) -> bool,
    changed: bool,
    stirred: bool,
    replaced: bool,
}

impl Members {
    /// None yet; `counts` says which states make up the set, so that a change among the others is none.
    pub fn new(counts: fn(State) -> bool) -> Self {
        Self {
            facts: BTreeMap::new(),
            by_state: Default::default(),
            counts,
            changed: false,
            stirred: false,
            replaced: false,
        }
    }

    /// Takes an object in; what was known under its name comes back.
    pub fn insert(&mut self, mut fact: Fact, now: Timestamp) -> Option<Fact> {
        if fact.state == State::Leaving && fact.release.is_some_and(|release| release <= now) {
            fact.state = State::Overdue;
        }
        // By the shape of both: a heartbeat or a label that changes must not let the set settle anew.
        let earlier = self.take(&fact.key);
        self.changed |= self.shape(earlier.as_ref()) != self.shape(Some(&fact));
        self.stirred |= earlier.as_ref().is_some_and(|earlier| earlier.pulse != fact.pulse);
        self.replaced |= earlier.as_ref().is_some_and(|earlier| earlier.uid != fact.uid);
        self.by_state[fact.state as usize].insert(Rc::clone(&fact.key));
        self.facts.insert(Rc::clone(&fact.key), fact);
        earlier
    }

    /// Takes it out.
    pub fn remove(&mut self, key: &Key) -> Option<Fact> {
        let fact = self.take(key);
        self.changed |= self.shape(fact.as_ref()).is_some();
        fact
    }

    fn take(&mut self, key: &Key) -> Option<Fact> {
        let fact = self.facts.remove(key)?;
        self.by_state[fact.state as usize].remove(key);
        Some(fact)
    }

    /// What of an object makes two sets differ for the wait. A flap between two looks leaves its time behind.
    fn shape<'a>(&self, fact: Option<&'a Fact>) -> Option<(&'a str, State, Option<Timestamp>)> {
        let fact = fact.filter(|fact| (self.counts)(fact.state) || fact.state == State::Leaving)?;
        Some((&fact.uid, fact.state, fact.since))
    }

    /// Whether the set is another one than when this was asked last.
    pub fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether the pulse of one has changed since this was asked last.
    pub fn has_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    /// Whether one has taken the place of another since this was asked last.
    pub fn has_replaced(&mut self) -> bool {
        std::mem::take(&mut self.replaced)
    }

    /// Those that should have been gone by now: they hold their set no longer.
    pub fn give_up(&mut self, now: Timestamp) {
        let leaving = &self.by_state[State::Leaving as usize];
        let over = leaving.iter().filter(|key| self.facts[*key].release.is_some_and(|release| release <= now));
        for key in over.cloned().collect::<Vec<_>>() {
            let fact = self.facts[&key].clone();
            self.insert(fact, now);
        }
    }

    /// When the next of those on their way out should be gone.
    pub fn next_release(&self) -> Option<Timestamp> {
        self.of(State::Leaving).filter_map(|fact| fact.release).min()
    }

    pub fn get(&self, key: &Key) -> Option<&Fact> {
        self.facts.get(key)
    }

    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.facts.values()
    }

    /// Those in this state, in the order of their names.
    pub fn of(&self, state: State) -> impl Iterator<Item = &Fact> {
        self.by_state[state as usize].iter().map(|key| &self.facts[key])
    }

    pub fn first(&self, state: State) -> Option<&Fact> {
        self.of(state).next()
    }

    pub fn number(&self, state: State) -> usize {
        self.by_state[state as usize].len()
    }

    /// How many make up the set.
    pub fn counted(&self) -> usize {
        let states = ALL.into_iter().filter(|state| (self.counts)(*state));
        states.map(|state| self.number(state)).sum()
    }

    /// When the last of them came to its state; `None` if one does not say, or if one had to be given up.
    pub fn youngest(&self) -> Option<Timestamp> {
        // It may come back as another one at any moment, however long the others have been ready.
        if self.number(State::Overdue) > 0 {
            return None;
        }
        let counted = self.iter().filter(|fact| (self.counts)(fact.state));
        counted.map(|fact| fact.since).collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}
