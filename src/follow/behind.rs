//! A target over time that is judged by what is behind its objects: a stream of its own for what is behind each, and
//! one outage for all of them.

use std::collections::BTreeMap;
use std::rc::Rc;

use futures::stream::{LocalBoxStream, StreamExt};
use tokio::time::Instant;

use super::course::Course;
use super::sight::{Change, Sight};
use super::store::Store;
use super::{Absent, Ended, Observer, Step, steps};
use crate::api::watch::Update;
use crate::kinds::behind::{self, Behind, Entry, Stand};
use crate::kinds::endpointslice::Slice;
use crate::kinds::members::{Fact, Key, State};
use crate::kinds::{ENDPOINT_SLICES, JOBS, PODS, Reading, of};
use crate::target::Demand;
use crate::target::verdict::{Code, Verdict};
use crate::text::count;

/// The updates of what is behind an object.
pub enum BackendUpdates {
    Pods(LocalBoxStream<'static, Update<Fact>>),
    Jobs(LocalBoxStream<'static, Update<Fact>>),
    Slices(LocalBoxStream<'static, Update<Slice>>),
}

/// Opens the stream for what is behind an object; nothing for a name elsewhere.
pub type Open = Box<dyn Fn(&Entry) -> Option<BackendUpdates>>;

/// The steps of such a target; `open` is called for every object, and again when what is behind it is to be another.
pub fn objects_by_backend(
    course: Course,
    behind: &'static Behind,
    reading: Reading,
    updates: LocalBoxStream<'static, Update<Entry>>,
    open: Open,
) -> LocalBoxStream<'static, Step> {
    steps(Objects {
        course,
        behind,
        reading,
        updates,
        entries: BTreeMap::new(),
        sight: Sight::default(),
        open,
        has_changed: false,
        was_failing: false,
        release: None,
        seen: false,
    })
}

struct Objects {
    course: Course,
    behind: &'static Behind,
    reading: Reading,
    updates: LocalBoxStream<'static, Update<Entry>>,
    entries: BTreeMap<Rc<Key>, Watched>,
    /// of the objects themselves
    sight: Sight,
    open: Open,
    /// there are others, or others are behind one of them
    has_changed: bool,
    was_failing: bool,
    release: Option<Instant>,
    /// there was one at some time
    seen: bool,
}

/// An object and what is behind it.
struct Watched {
    entry: Entry,
    backend: Option<Source>,
}

enum Source {
    Objects(Box<Store>, LocalBoxStream<'static, Update<Fact>>),
    Slices(BTreeMap<Rc<Key>, Slice>, Sight, LocalBoxStream<'static, Update<Slice>>),
}

impl Observer for Objects {
    async fn update(&mut self) -> Result<Option<Step>, Ended> {
        let behind = next_behind(&mut self.entries);
        let step = tokio::select! {
            update = self.updates.next() => Ok(update.ok_or(Ended)?),
            step = behind => Err(step?),
        };
        let step = match step {
            Ok(update) => self.take(update),
            Err(step) => step,
        };
        // A target has one outage, whichever of its streams it is that fails.
        Ok(step.filter(|step| *step != Step::Recovered))
    }

    fn judge(&mut self) -> Vec<Step> {
        let sight = self.whole_sight();
        let was_failing = std::mem::replace(&mut self.was_failing, sight.is_failing);
        let mut steps: Vec<Step> = (was_failing && !sight.is_failing).then_some(Step::Recovered).into_iter().collect();
        if !self.sight.has_looked() {
            return steps;
        }
        self.seen |= !self.entries.is_empty();
        // Half of what is behind them says nothing of the whole.
        let is_whole = self.sources().all(|source| source.sight().has_looked());
        if is_whole {
            let stores = self.entries.values_mut().filter_map(Watched::store);
            steps.extend(stores.flat_map(Store::give_up));
            self.release = self.stores().filter_map(Store::next_release).min();
            let entries = self.entries.values().map(|watched| (&watched.entry, watched.stand()));
            let (target, min) = (&self.course.target, self.course.options.min);
            let verdict = behind::verdict(target, self.behind, &self.reading, min, entries);
            let members = self.settle(&sight);
            let done = of(&self.course.target.kind).done(&Demand::Every);
            let verdict = self.course.vouched(verdict, &sight, &members, &done);
            steps.extend(self.course.tell(verdict, &sight));
        } else if self.course.was_told().is_some() {
            // What was said before does not hold any more.
            let verdict = Verdict::waiting(Code::NotLookedYet, "the objects behind it have not been checked yet");
            steps.extend(self.course.tell(verdict, &sight));
        } else {
            // A first look is not over before what is behind every object was looked at.
            steps.extend(self.course.tell_known(&sight));
        }
        let absent = (self.course.target.is_named() && !self.seen).then_some(Absent::Never);
        steps.extend(self.course.absence(absent, &self.sight));
        steps
    }

    fn alarms(&self) -> Vec<Option<Instant>> {
        [&self.course.alarms()[..], &[self.release]].concat()
    }
}

/// The next step of any stream behind an object; pends for ever when there is none.
async fn next_behind(entries: &mut BTreeMap<Rc<Key>, Watched>) -> Result<Option<Step>, Ended> {
    let nexts = entries.values_mut().filter_map(|watched| watched.backend.as_mut());
    let nexts: Vec<_> = nexts.map(|source| Box::pin(source.next())).collect();
    if nexts.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(nexts).await.0
}

impl Objects {
    fn take(&mut self, update: Update<Entry>) -> Option<Step> {
        match self.sight.take(update, &self.course.target.kind.resource) {
            Change::All(entries) => {
                let is_there = |key: &Rc<Key>| entries.iter().any(|entry| entry.key == *key);
                let before = self.entries.len();
                self.entries.retain(|key, _| is_there(key));
                self.has_changed |= before != self.entries.len();
                for entry in entries {
                    self.insert(entry);
                }
            }
            Change::One(entry) => self.insert(entry),
            Change::Gone(entry) => self.has_changed |= self.entries.remove(&entry.key).is_some(),
            Change::Told(step) => return Some(step),
            Change::Nothing => {}
        }
        None
    }

    /// One whose selector was changed, or that was made anew, has others behind it: a new stream.
    fn insert(&mut self, entry: Entry) {
        if let Some(watched) = self.entries.get_mut(&entry.key)
            && watched.entry.uid == entry.uid
            && watched.entry.backend == entry.backend
        {
            watched.entry = entry;
            return;
        }
        self.has_changed = true;
        let backend = (self.open)(&entry).map(Source::new);
        self.entries.insert(Rc::clone(&entry.key), Watched { entry, backend });
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.entries.values().filter_map(|watched| watched.backend.as_ref())
    }

    fn stores(&self) -> impl Iterator<Item = &Store> {
        self.sources().filter_map(|source| match source {
            Source::Objects(store, _) => Some(&**store),
            Source::Slices(..) => None,
        })
    }

    /// Of all streams together.
    fn whole_sight(&self) -> Sight {
        self.sources().map(|source| *source.sight()).fold(self.sight, Sight::and)
    }

    /// Takes note of what has to settle, and what that is called. Pods behind a Service come one by one, and so do the
    /// objects of a selector. Endpoints that somebody else writes say nothing of their age and may come all at once:
    /// behind a name, they need no time.
    fn settle(&mut self, sight: &Sight) -> String {
        let is_named = self.course.target.is_named();
        if is_named && (!self.behind.grows || self.stores().all(|store| store.members.is_empty())) {
            self.course.settling.skip();
            return String::new();
        }
        let mut has_changed = std::mem::take(&mut self.has_changed);
        for store in self.entries.values_mut().filter_map(Watched::store) {
            has_changed |= store.members.has_changed();
        }
        // A name is one object, however young; those of a selector may be the first of several.
        let made = self.entries.values().filter(|_| !is_named).map(|watched| watched.entry.created);
        let has_some = |store: &&Store| store.members.counted() + store.members.number(State::Overdue) > 0;
        let pods = self.stores().filter(has_some).map(|store| store.members.youngest());
        let since: Vec<_> = pods.chain(made).collect();
        let youngest = || since.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max();
        self.course.settling.saw(has_changed, youngest, sight.now());
        if is_named {
            count(self.stores().map(|store| store.members.counted()).sum(), "pod")
        } else {
            count(self.entries.len(), &self.course.target.kind.noun())
        }
    }
}

impl Watched {
    fn store(&mut self) -> Option<&mut Store> {
        match &mut self.backend {
            Some(Source::Objects(store, _)) => Some(store),
            _ => None,
        }
    }

    fn stand(&self) -> Stand<'_> {
        match &self.backend {
            Some(Source::Objects(store, _)) => Stand::Objects(&store.members),
            Some(Source::Slices(slices, ..)) => Stand::Slices(slices),
            None => Stand::Nothing,
        }
    }
}

impl Source {
    fn new(updates: BackendUpdates) -> Self {
        match updates {
            BackendUpdates::Pods(updates) => Self::Objects(Box::new(Store::new(&PODS, State::serves)), updates),
            BackendUpdates::Jobs(updates) => Self::Objects(Box::new(Store::new(&JOBS, State::counts)), updates),
            BackendUpdates::Slices(updates) => Self::Slices(BTreeMap::new(), Sight::default(), updates),
        }
    }

    async fn next(&mut self) -> Result<Option<Step>, Ended> {
        match self {
            Self::Objects(store, updates) => Ok(store.take(updates.next().await.ok_or(Ended)?)),
            Self::Slices(slices, sight, updates) => {
                let keyed = |slice: Slice| (Rc::clone(&slice.key), slice);
                match sight.take(updates.next().await.ok_or(Ended)?, &ENDPOINT_SLICES) {
                    Change::All(all) => *slices = all.into_iter().map(keyed).collect(),
                    Change::One(slice) => slices.extend([keyed(slice)]),
                    Change::Gone(slice) => drop(slices.remove(&slice.key)),
                    Change::Told(step) => return Ok(Some(step)),
                    Change::Nothing => {}
                }
                Ok(None)
            }
        }
    }

    fn sight(&self) -> &Sight {
        match self {
            Self::Objects(store, _) => &store.sight,
            Self::Slices(_, sight, _) => sight,
        }
    }
}
