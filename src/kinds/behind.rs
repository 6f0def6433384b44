//! Kinds that are judged by what is behind their objects: pods behind a Service, the Jobs of a CronJob.
//!
//! An object says here what is behind it ([`Entry`]); who looks at that is `follow`.

use std::collections::BTreeMap;
use std::rc::Rc;

use k8s_openapi::jiff::Timestamp;

use super::endpointslice::Slice;
use super::members::{Fact, Key, Members, State};
use super::object::Metadata;
use super::{Read, Reading, in_transition, set};
use crate::target::verdict::{Reason, Verdict};
use crate::target::{Demand, Target};

/// How such a kind is read and judged.
pub struct Behind {
    pub read: fn(&str, &Reading) -> serde_json::Result<(Entry, String)>,
    /// One object, by what is behind it as it is now.
    pub judge: fn(&Reading, usize, &Entry, &Stand) -> Verdict,
    /// what a wait reads beside the objects themselves
    pub reads: &'static [Read],
    /// what is behind it comes one by one, so that it has to settle
    pub grows: bool,
}

/// What is asked for behind an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// the pods with these labels
    Pods { labels: String, owner: Option<Box<str>> },
    /// the Jobs of this controller
    Jobs { owner: Box<str> },
    /// the EndpointSlices of a Service
    Slices,
    /// nothing: a name elsewhere
    External,
}

/// What is kept of an object.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: Rc<Key>,
    pub uid: Box<str>,
    pub created: Option<Timestamp>,
    pub backend: Backend,
    /// the names of a Service's ports
    pub ports: Vec<Box<str>>,
    /// when a CronJob made a Job last
    pub scheduled: Option<Timestamp>,
    /// of the name that is meant, but without the labels
    pub is_stale: bool,
    /// what keeps it whatever is behind it
    pub transition: Option<Reason>,
    /// what to say where nothing is behind it
    pub empty: Reason,
}

impl Entry {
    /// About the object of this metadata.
    pub fn new(metadata: &Metadata, reading: &Reading, backend: Backend, empty: Reason) -> Self {
        let fact = Fact::new(metadata, reading, State::Ready, None);
        let transition = in_transition(metadata, None);
        Self {
            is_stale: fact.state == State::Stale,
            key: fact.key,
            uid: fact.uid,
            created: metadata.created(),
            backend,
            ports: Vec::new(),
            scheduled: None,
            transition: transition.map(|it| Reason::new(it.code, format!("it {}", it.text))),
            empty,
        }
    }
}

/// What stands behind one object, as it is now.
#[derive(Debug)]
pub enum Stand<'a> {
    Objects(&'a Members),
    Slices(&'a BTreeMap<Rc<Key>, Slice>),
    Nothing,
}

/// The verdict over the objects of a target. `min` is the least number of objects that a selector has to match, or of
/// endpoints that each has to have.
pub fn verdict<'a>(
    target: &Target,
    behind: &Behind,
    reading: &Reading,
    min: usize,
    entries: impl IntoIterator<Item = (&'a Entry, Stand<'a>)>,
) -> Verdict {
    let mut members = Members::new(State::counts);
    for (entry, stand) in entries {
        let verdict = match &entry.transition {
            Some(reason) => Verdict::Waiting(reason.clone()),
            None => (behind.judge)(reading, min, entry, &stand),
        };
        let (state, reason) = match verdict {
            _ if entry.is_stale => (State::Stale, None),
            Verdict::Ready => (State::Ready, None),
            Verdict::Waiting(reason) => (State::Waiting, Some(Box::new(reason))),
            Verdict::Failed(reason) => (State::Failed, Some(Box::new(reason))),
        };
        let (key, uid) = (Rc::clone(&entry.key), entry.uid.clone());
        members.insert(
            Fact { key, uid, state, reason, created: entry.created, since: None, release: None, pulse: None },
            Timestamp::UNIX_EPOCH,
        );
    }
    // What is demanded of what is behind was asked of each object: each of them has to be ready.
    let each = Target { demand: Demand::Every, ..target.clone() };
    set::verdict(&each, if target.demand == Demand::Endpoints { 1 } else { min }, &members)
}
