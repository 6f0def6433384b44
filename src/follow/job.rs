//! A Job target over time: its Ready is kept once seen, and a deletion is decided by the object that it carries.

use std::collections::BTreeSet;
use std::rc::Rc;

use futures::stream::{LocalBoxStream, StreamExt};
use tokio::time::Instant;

use super::course::Course;
use super::sight::{Change, Sight};
use super::{Absent, Ended, Observer, Step, steps};
use crate::api::watch::Update;
use crate::kinds::members::{Fact, Key, Members, State};
use crate::kinds::{leaves_mark, of, set};
use crate::target::Demand;
use crate::target::verdict::{Code, Verdict};
use crate::text::count;

/// The steps of a Job target. It ends with `Ready`, which is kept once seen, even if the Job is then deleted.
pub fn jobs(course: Course, updates: LocalBoxStream<'static, Update<Fact>>) -> LocalBoxStream<'static, Step> {
    steps(Jobs {
        course,
        updates,
        members: Members::new(|state| state != State::Stale),
        sight: Sight::default(),
        kept: BTreeSet::new(),
        seen: false,
        last_seen: None,
        unreplaced: Vec::new(),
    })
}

struct Jobs {
    course: Course,
    updates: LocalBoxStream<'static, Update<Fact>>,
    /// those that are there and the ends of those that were
    members: Members,
    sight: Sight,
    /// which of them have ended and are gone since, until others take their names
    kept: BTreeSet<Rc<Key>>,
    /// there was one that is meant
    seen: bool,
    /// how things stood before the last of them went
    last_seen: Option<String>,
    /// those that are gone without a good end: others have to take their places
    unreplaced: Vec<Gone>,
}

/// A Job that is gone, undecided or failed.
struct Gone {
    key: Rc<Key>,
    uid: Box<str>,
    /// It was missing after a gap, undecided: nobody saw how it went. Else somebody deleted it before our eyes, so it
    /// is being run again, or it had failed.
    vanished: bool,
}

impl Observer for Jobs {
    async fn update(&mut self) -> Result<Option<Step>, Ended> {
        let update = self.updates.next().await.ok_or(Ended)?;
        Ok(self.take(update))
    }

    fn judge(&mut self) -> Vec<Step> {
        // What is kept is kept: nothing takes a Job's Ready back, not even its deletion.
        if !self.sight.has_looked() || self.is_over() {
            return Vec::new();
        }
        let has_changed = self.members.has_changed();
        self.course.settling.saw(has_changed, || self.members.youngest(), self.sight.now());
        let members = count(self.members.counted(), &self.course.target.kind.noun());
        let done = of(&self.course.target.kind).done(&self.course.target.demand);
        // Once for both: between two looks at the clock the set may come to rest, and its mark would be lost.
        let verdict = self.course.vouched(self.verdict(), &self.sight, &members, &done);
        let mut steps = Vec::new();
        if leaves_mark(&self.course.target) && verdict == Verdict::Ready {
            steps.push(Step::Mark(self.members.iter().map(|fact| fact.uid.to_string()).collect()));
        }
        let absent = verdict.is_missing().then(|| self.absent()).flatten();
        steps.extend(self.course.accepted(&verdict, &self.members));
        steps.extend(self.members.has_replaced().then_some(Step::Replaced));
        steps.extend(self.members.has_stirred().then_some(Step::Stirred));
        steps.extend(self.course.tell(verdict, &self.sight));
        steps.extend(self.course.absence(absent, &self.sight));
        steps
    }

    fn alarms(&self) -> Vec<Option<Instant>> {
        self.course.alarms().to_vec()
    }

    fn is_over(&self) -> bool {
        self.course.was_told() == Some(&Verdict::Ready)
    }
}

impl Jobs {
    fn take(&mut self, update: Update<Fact>) -> Option<Step> {
        match self.sight.take(update, &self.course.target.kind.resource) {
            Change::All(jobs) => self.listed(jobs),
            Change::One(job) => {
                let is_known = self.present().any(|known| known.uid == job.uid);
                self.appeared(job, is_known);
            }
            Change::Gone(job) => self.deleted(&job),
            Change::Told(step) => return Some(step),
            Change::Nothing => {}
        }
        None
    }

    /// A deletion is decided by the object that it carries: with ttlSecondsAfterFinished: 0 it may be the first to say
    /// that the Job is complete.
    fn deleted(&mut self, job: &Fact) {
        self.members.insert(job.clone(), self.sight.now());
        self.last_seen = Some(self.text());
        self.gone(job, false);
    }

    /// After a gap in the history Jobs may be missing without ever having been deleted before our eyes.
    fn listed(&mut self, jobs: Vec<Fact>) {
        let listed: BTreeSet<Box<str>> = jobs.iter().map(|job| job.uid.clone()).collect();
        let known: BTreeSet<Box<str>> = self.present().map(|job| job.uid.clone()).collect();
        let missing: Vec<Fact> = self.present().filter(|job| !listed.contains(&job.uid)).cloned().collect();
        if !missing.is_empty() {
            self.last_seen = Some(self.text());
        }
        for job in missing {
            self.gone(&job, true);
        }
        for job in jobs {
            let is_known = known.contains(&job.uid);
            self.appeared(job, is_known);
        }
    }

    fn accepts_failure(&self) -> bool {
        self.course.target.demand == Demand::EveryOrFailed
    }

    fn present(&self) -> impl Iterator<Item = &Fact> {
        self.members.iter().filter(|job| !self.kept.contains(&job.key))
    }

    /// A Job's end is kept beyond its deletion, but for a failure that is to be outlived.
    fn gone(&mut self, job: &Fact, unseen: bool) {
        let vanished = match job.state {
            State::Stale => {
                self.members.remove(&job.key);
                return;
            }
            State::Waiting => unseen,
            State::Failed if self.course.options.outlives_failure && !self.accepts_failure() => false,
            _ => {
                self.kept.insert(Rc::clone(&job.key));
                return;
            }
        };
        self.members.remove(&job.key);
        self.unreplaced.push(Gone { key: Rc::clone(&job.key), uid: job.uid.clone(), vanished });
    }

    /// One whose labels were others for a while is back; a new one takes the place of its namesake, or of any other.
    fn appeared(&mut self, job: Fact, is_known: bool) {
        self.seen |= job.state != State::Stale;
        self.kept.remove(&job.key);
        // In the order of likelihood: the very same, its namesake, anybody. Each takes one place only.
        let place = self.unreplaced.iter().position(|gone| gone.uid == job.uid);
        let place = place.or_else(|| self.unreplaced.iter().position(|gone| !is_known && gone.key == job.key));
        let place = place.or_else(|| (!is_known && !self.unreplaced.is_empty()).then_some(0));
        if let Some(place) = place {
            self.unreplaced.remove(place);
        }
        self.members.insert(job, self.sight.now());
    }

    /// What is known while no Job is there; nothing is looked for of one that is being run again.
    fn absent(&self) -> Option<Absent> {
        if !self.seen {
            return Some(Absent::Never);
        }
        let vanished = !self.unreplaced.is_empty() && self.unreplaced.iter().all(|gone| gone.vanished);
        vanished.then(|| Absent::Vanished(self.unreplaced.iter().map(|gone| gone.uid.to_string()).collect()))
    }

    fn verdict(&self) -> Verdict {
        let verdict = set::verdict(&self.course.target, self.course.options.min, &self.members);
        match (verdict, &self.last_seen) {
            (Verdict::Waiting(reason), Some(before)) if reason.code == Code::NotFound => {
                Verdict::waiting(Code::NotFound, format!("{} anymore; last seen: {before}", reason.text))
            }
            (Verdict::Ready, _) if !self.unreplaced.is_empty() => {
                let (_, name) = &*self.unreplaced[0].key;
                let text = format!("Job {name} was deleted before it completed and has not been replaced yet");
                Verdict::waiting(Code::NotReplaced, text)
            }
            (verdict, _) => verdict,
        }
    }

    /// How the Jobs stand that are still there.
    fn text(&self) -> String {
        let verdict = set::verdict(&self.course.target, self.course.options.min, &self.members);
        verdict.reason().map_or_else(|| "complete".to_owned(), |reason| reason.text.clone())
    }
}
