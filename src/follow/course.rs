//! What all observers have in common: a verdict counts only as far as somebody saw that it held, a set has to settle,
//! something missing has to be so for a while, and only what is new is told.

use std::time::Duration;

use tokio::time::Instant;

use super::settling::Settling;
use super::sight::Sight;
use super::{Absent, Known, Options, Step};
use crate::api::watch::LookBy;
use crate::kinds::members::Members;
use crate::kinds::{self, Judged, set};
use crate::target::verdict::{Code, Verdict};
use crate::target::{Demand, Target};

/// The course of one target.
pub struct Course {
    pub target: Target,
    pub options: Options,
    look_by: LookBy,
    pub settling: Settling,
    missing: Absence,
    told: Told,
}

/// Since when a target has been missing.
#[derive(Debug, Default)]
struct Absence {
    since: Option<Instant>,
    told: bool,
}

/// What was said already.
#[derive(Debug, Default)]
struct Told {
    verdict: Option<Verdict>,
    known: Option<Known>,
}

impl Course {
    /// Of this target; `look_by` asks for a look at its objects.
    pub fn new(target: Target, options: Options, look_by: LookBy) -> Self {
        let settling = Settling::new(if grows(&target) { options.settle } else { Duration::ZERO });
        Self { target, options, look_by, settling, missing: Absence::default(), told: Told::default() }
    }

    /// What failed among the objects of a target that is ready all the same, once.
    pub fn accepted(&self, verdict: &Verdict, members: &Members) -> Option<Step> {
        let is_news = *verdict == Verdict::Ready && self.was_told() != Some(verdict);
        set::accepted_failures(&self.target, members).filter(|_| is_news).map(Step::Remark)
    }

    /// What is new of a verdict that is vouched for.
    pub fn tell(&mut self, verdict: Verdict, sight: &Sight) -> Vec<Step> {
        self.told.news(Some(verdict), sight.known())
    }

    /// The same where there is nothing to say of the target itself.
    pub fn tell_known(&mut self, sight: &Sight) -> Vec<Step> {
        self.told.news(None, sight.known())
    }

    pub fn was_told(&self) -> Option<&Verdict> {
        self.told.verdict.as_ref()
    }

    /// Takes back a Ready that nobody can vouch for: of a set that has not settled, as somebody saw, or of a target
    /// whose requests fail. `members` and `done` are what has to last: `3 pods`, `ready`.
    pub fn vouched(&self, verdict: Verdict, sight: &Sight, members: &str, done: &str) -> Verdict {
        if verdict != Verdict::Ready {
            return verdict;
        }
        // Whatever it was: while requests fail it may have changed, and nobody would know.
        if sight.is_failing {
            return Verdict::waiting(Code::NotSeen, "was ready when last checked; cannot be checked now");
        }
        match self.settling.due() {
            Some(due) if !sight.covers(due) => {
                // A watch shows it anyway; where there is none, one list at that very moment does.
                self.look_by.at(due);
                let text = format!("{members} {done}; must stay {done} for {:?}", self.settling.time());
                Verdict::waiting(Code::Settling, text)
            }
            _ => Verdict::Ready,
        }
    }

    /// That the target is not there, once that has become known; once for each time. One look is enough where no time
    /// has to pass.
    pub fn absence(&mut self, absent: Option<Absent>, sight: &Sight) -> Option<Step> {
        let Some(absent) = absent else {
            self.missing = Absence::default();
            return None;
        };
        let least = self.options.absence;
        // From the first look that lacked it, not from the start: what is created together with this pod comes late.
        let due = *self.missing.since.get_or_insert_with(Instant::now) + least;
        if self.missing.told {
            return None;
        }
        self.missing.told = least.is_zero() || sight.covers(due);
        if !self.missing.told {
            self.look_by.at(due);
            return None;
        }
        Some(Step::Absent(absent))
    }

    /// When to judge again without an update.
    pub fn alarms(&self) -> [Option<Instant>; 2] {
        let missing = self.missing.since.filter(|_| !self.missing.told).map(|since| since + self.options.absence);
        [self.settling.due(), missing]
    }
}

/// Whether more objects may come to it: a name and "one is enough" cannot be let go too early by a set that still
/// grows.
fn grows(target: &Target) -> bool {
    let has_several = matches!(kinds::judged(target), Judged::Behind(behind) if behind.grows);
    // Who waits for others only to be gone does not wait for more of them.
    let may_grow = has_several || !target.is_named() && !target.demand.is_absence();
    target.demand != Demand::Any && may_grow
}

impl Told {
    /// What is new of both. A Ready comes after how it is known, everything else before: at no moment the two together
    /// promise more than they should.
    fn news(&mut self, verdict: Option<Verdict>, known: Option<Known>) -> Vec<Step> {
        let new_known = known.filter(|_| self.known != known).map(Step::Known);
        let new_verdict = verdict.filter(|verdict| !self.verdict.as_ref().is_some_and(|told| told.says(verdict)));
        self.known = known;
        if let Some(verdict) = &new_verdict {
            self.verdict = Some(verdict.clone());
        }
        let ready = new_verdict == Some(Verdict::Ready);
        let mut steps: Vec<Step> = new_verdict.map(Step::Verdict).into_iter().chain(new_known).collect();
        if ready {
            steps.reverse();
        }
        steps
    }
}
