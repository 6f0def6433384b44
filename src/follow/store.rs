//! The objects of one query as they are now, whether anybody looks at them, and which of them should have gone.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::Step;
use super::sight::{Change, Sight};
use crate::api::watch::Update;
use crate::kinds::members::{Fact, Key, Members, State};
use crate::target::Resource;

/// Members and what is seen of them.
pub struct Store {
    resource: Resource,
    pub members: Members,
    pub sight: Sight,
    /// how many are gone after they had failed, and no other has come since
    pub unreplaced: usize,
    /// the uids of those that are not waited for any more
    given_up: BTreeSet<Box<str>>,
    departures: Option<Departures>,
}

/// Where to be gone is as good as to be as demanded: those of the first look.
#[derive(Debug, Default)]
struct Departures {
    /// What was there at the first look; `None` before it.
    first: Option<BTreeMap<Rc<Key>, Box<str>>>,
    gone: BTreeSet<Rc<Key>>,
    /// Nothing else is: what comes later is not waited for.
    is_all: bool,
}

impl Store {
    /// Of this resource; `counts` says which states make up the set.
    pub fn new(resource: &Resource, counts: fn(State) -> bool) -> Self {
        Self {
            resource: resource.clone(),
            members: Members::new(counts),
            sight: Sight::default(),
            unreplaced: 0,
            given_up: BTreeSet::new(),
            departures: None,
        }
    }

    /// The same where one that is gone is as good as one that is as demanded; `is_all` says that nothing else is.
    #[must_use]
    pub fn keeping_the_gone(self, is_all: bool) -> Self {
        Self { departures: Some(Departures { is_all, ..Departures::default() }), ..self }
    }

    /// Takes an update in; what says nothing of the objects comes back.
    pub fn take(&mut self, update: Update<Fact>) -> Option<Step> {
        let change = self.sight.take(update, &self.resource);
        let now = self.sight.now();
        match change {
            Change::All(facts) => {
                let facts = self.meant_of(facts);
                self.replace(facts, now);
            }
            Change::One(fact) => {
                if let Some(fact) = self.meant(fact) {
                    self.insert(fact, now);
                }
            }
            Change::Gone(fact) if self.departures.as_mut().is_some_and(|it| it.departs(&fact)) => {
                self.insert(departed(fact), now);
            }
            Change::Gone(fact) if fact.state == State::Foreign => {}
            Change::Gone(fact) => {
                let gone = self.members.remove(&fact.key);
                self.note(gone.into_iter(), 0);
            }
            Change::Told(step) => return Some(step),
            Change::Nothing => {}
        }
        None
    }

    /// Those of a list that are meant; where the gone are kept, those of the first look, as they are or gone.
    fn meant_of(&mut self, mut facts: Vec<Fact>) -> Vec<Fact> {
        let Some(departures) = &mut self.departures else {
            facts.retain(|fact| fact.state != State::Foreign);
            return facts;
        };
        let listed: BTreeSet<Box<str>> = facts.iter().map(|fact| fact.uid.clone()).collect();
        let first = departures.first.get_or_insert_with(|| {
            let meant = facts.iter().filter(|fact| fact.state != State::Foreign);
            meant.map(|fact| (Rc::clone(&fact.key), fact.uid.clone())).collect()
        });
        departures.gone.extend(first.iter().filter(|(_, uid)| !listed.contains(*uid)).map(|(key, _)| Rc::clone(key)));
        let present = facts.into_iter().filter_map(|fact| departures.present(fact, &self.members)).collect::<Vec<_>>();
        let gone = self.members.iter().filter(|fact| departures.gone.contains(&fact.key)).cloned().map(departed);
        present.into_iter().chain(gone).collect()
    }

    /// The same for one: another one under a name of the first look shows that the first is gone.
    fn meant(&mut self, fact: Fact) -> Option<Fact> {
        let Some(departures) = &mut self.departures else {
            return Some(fact).filter(|fact| fact.state != State::Foreign);
        };
        let replaced = self.members.get(&fact.key).filter(|known| known.uid != fact.uid).cloned();
        if let Some(present) = departures.present(fact, &self.members) {
            return Some(present);
        }
        replaced.filter(|replaced| departures.departs(replaced)).map(departed)
    }

    fn insert(&mut self, fact: Fact, now: Timestamp) {
        let uid = fact.uid.clone();
        let earlier = self.members.insert(fact, now);
        let is_known = earlier.as_ref().is_some_and(|earlier| earlier.uid == uid);
        self.note(earlier.into_iter().filter(|_| !is_known), usize::from(!is_known));
    }

    fn replace(&mut self, facts: Vec<Fact>, now: Timestamp) {
        let listed: BTreeSet<Rc<Key>> = facts.iter().map(|fact| Rc::clone(&fact.key)).collect();
        let missing = self.members.iter().filter(|fact| !listed.contains(&fact.key)).map(|fact| Rc::clone(&fact.key));
        let mut gone: Vec<Fact> = Vec::new();
        for key in missing.collect::<Vec<_>>() {
            gone.extend(self.members.remove(&key));
        }
        // One that was made anew under its name is gone and new at once.
        let mut new = 0;
        for fact in facts {
            let uid = fact.uid.clone();
            match self.members.insert(fact, now) {
                Some(earlier) if earlier.uid == uid => {}
                earlier => {
                    gone.extend(earlier);
                    new += 1;
                }
            }
        }
        self.note(gone.into_iter(), new);
    }

    /// Each that comes takes the place of one that is gone.
    fn note(&mut self, gone: impl Iterator<Item = Fact>, new: usize) {
        self.unreplaced += gone.filter(|fact| fact.state == State::Failed).count();
        self.unreplaced = self.unreplaced.saturating_sub(new);
    }

    /// A remark for each that should have gone by now and is waited for no longer.
    pub fn give_up(&mut self) -> Vec<Step> {
        self.members.give_up(self.sight.now());
        let overdue = self.members.of(State::Overdue).filter(|fact| !self.given_up.contains(&fact.uid));
        let overdue: Vec<(Box<str>, String)> = overdue.map(|it| (it.uid.clone(), it.name().to_owned())).collect();
        let remark = |(uid, name)| {
            self.given_up.insert(uid);
            let text = "should have been gone a minute ago (is its node down?); no longer waited for";
            Step::Remark(format!("pod {name} {text}"))
        };
        overdue.into_iter().map(remark).collect()
    }

    /// When the next one should have gone.
    pub fn next_release(&self) -> Option<Instant> {
        // By the API server's clock, like the time stamps themselves.
        let left = self.members.next_release()?.duration_since(self.sight.now());
        Some(Instant::now() + std::time::Duration::try_from(left).unwrap_or_default())
    }
}

impl Departures {
    /// Takes note that one is gone; whether it was there at the first look.
    fn departs(&mut self, fact: &Fact) -> bool {
        let was_there = self.first.as_ref().is_some_and(|first| first.get(&fact.key) == Some(&fact.uid));
        was_there && {
            self.gone.insert(Rc::clone(&fact.key));
            true
        }
    }

    /// It as it counts; nothing where it is not waited for. One of the first look that has lost its labels is still
    /// there, as it was.
    fn present(&self, fact: Fact, known: &Members) -> Option<Fact> {
        match fact.state {
            _ if !self.counts(&fact) => None,
            State::Foreign => known.get(&fact.key).filter(|known| known.uid == fact.uid).cloned(),
            _ => Some(fact),
        }
    }

    /// Whether this one is waited for: not one that has come under a name that was there at the first look.
    fn counts(&self, fact: &Fact) -> bool {
        let first = self.first.as_ref().and_then(|first| first.get(&fact.key));
        first.map_or(!self.is_all, |uid| *uid == fact.uid && !self.gone.contains(&fact.key))
    }
}

fn departed(fact: Fact) -> Fact {
    Fact { state: State::Ready, reason: None, ..fact }
}
