//! The objects of one query as they are now, whether anybody looks at them, and which of them should have gone.

use std::collections::BTreeSet;
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
        }
    }

    /// Takes an update in; what says nothing of the objects comes back.
    pub fn take(&mut self, update: Update<Fact>) -> Option<Step> {
        let change = self.sight.take(update, &self.resource);
        let now = self.sight.now();
        match change {
            Change::All(facts) => self.replace(facts, now),
            Change::One(fact) => self.insert(fact, now),
            Change::Gone(fact) => {
                let gone = self.members.remove(&fact.key);
                self.note(gone.into_iter(), 0);
            }
            Change::Told(step) => return Some(step),
            Change::Nothing => {}
        }
        None
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
            let text = "should have been gone a minute ago, its node may be dead: it is not waited for";
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
