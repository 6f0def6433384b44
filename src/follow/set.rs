//! A target of one query over time, whatever its kind: the objects as they are now, and whether their set has settled.
//!
//! Where an object that is gone is as good as one that is as demanded (`--for delete`), those of the first look count,
//! by their uids: what comes under a name later is another one.

use futures::stream::{LocalBoxStream, StreamExt};
use tokio::time::Instant;

use super::course::Course;
use super::store::Store;
use super::{Absent, Ended, Observer, Step, steps};
use crate::api::watch::Update;
use crate::kinds::members::{Fact, State};
use crate::kinds::{self, set};
use crate::target::Demand;
use crate::target::verdict::{Code, Verdict};
use crate::text::count;

/// The steps of such a target.
pub fn objects(course: Course, updates: LocalBoxStream<'static, Update<Fact>>) -> LocalBoxStream<'static, Step> {
    let store = Store::new(&course.target.kind.resource, State::counts);
    let store = match &course.target.demand {
        Demand::Meets(goal) if goal.is_met_by_absence() => store.keeping_the_gone(goal.is_absence()),
        _ => store,
    };
    steps(Objects { course, updates, store, release: None, seen: false })
}

struct Objects {
    course: Course,
    updates: LocalBoxStream<'static, Update<Fact>>,
    store: Store,
    release: Option<Instant>,
    /// there was one at some time
    seen: bool,
}

impl Observer for Objects {
    async fn update(&mut self) -> Result<Option<Step>, Ended> {
        let update = self.updates.next().await.ok_or(Ended)?;
        Ok(self.store.take(update))
    }

    fn judge(&mut self) -> Vec<Step> {
        let Self { course, store, .. } = self;
        if !store.sight.has_looked() {
            return Vec::new();
        }
        let mut steps = store.give_up();
        self.release = store.next_release();
        let (members, sight) = (&mut store.members, &store.sight);
        self.seen |= !members.is_empty();
        // Also while it is not ready: the settling time counts from the last change, whatever the verdict was then.
        let has_changed = members.has_changed();
        course.settling.saw(has_changed, || members.youngest(), sight.now());
        let noun = course.target.kind.noun();
        let verdict = match set::verdict(&course.target, course.options.min, members) {
            Verdict::Ready if course.options.outlives_failure && store.unreplaced > 0 => {
                let text = format!("a failed {noun} was deleted and has not been replaced yet");
                Verdict::waiting(Code::NotReplaced, text)
            }
            verdict => verdict,
        };
        let done = kinds::of(&course.target.kind).done(&course.target.demand);
        let verdict = course.vouched(verdict, sight, &count(members.counted(), &noun), &done);
        steps.extend(course.accepted(&verdict, members));
        steps.extend(course.tell(verdict, sight));
        let may_be_absent = course.target.is_named() && !course.target.demand.is_met_by_absence();
        let absent = (may_be_absent && !self.seen).then_some(Absent::Never);
        steps.extend(course.absence(absent, sight));
        steps
    }

    /// What is gone does not come back: one that comes under its name is another.
    fn is_over(&self) -> bool {
        self.course.target.demand.is_absence() && self.course.was_told() == Some(&Verdict::Ready)
    }

    fn alarms(&self) -> Vec<Option<Instant>> {
        [&self.course.alarms()[..], &[self.release]].concat()
    }
}
