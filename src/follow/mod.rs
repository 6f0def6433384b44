//! One target over time: its objects' updates → its verdicts.
//!
//! Here is what a verdict alone cannot know: that a Job was ready once, what a deletion means, how long a set has been
//! unchanged and whether anybody was looking, which pods stand behind a Service, and whether a Job that is gone had
//! completed. Nothing is printed here.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::api::failure::Failure;
use crate::api::watch::Method;
use crate::target::Target;
use crate::target::verdict::Verdict;

mod behind;
mod course;
#[cfg(test)]
mod departures;
pub mod gone;
mod job;
mod open;
mod proof;
#[cfg(test)]
mod scripts;
mod search;
mod set;
mod settling;
mod sight;
mod sought;
mod store;

pub use self::open::Setup;

/// What a target's observer has to say; only changes are told.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// How the target stands.
    Verdict(Verdict),
    /// How its present state is known.
    Known(Known),
    /// The `Ready` which follows leaves a mark, with the uids of the Jobs that it is about.
    Mark(Vec<String>),
    /// What is asked for is not there, as good looks over some time have shown.
    Absent(Absent),
    /// Something has happened to what is behind it, which its verdict does not say.
    Stirred,
    /// Another object has taken the place of the one of this name.
    Replaced,
    /// Something worth a line that changes nothing.
    Remark(String),
    /// The API did not answer, or refused; of a state that cannot be looked at nothing good is believed.
    Outage(Failure),
    /// The API answers again.
    Recovered,
    /// The cluster has told which kind this target is of: it is this one from now on.
    Found(Box<Target>),
    /// How the objects of this plural are seen from now on.
    Method(Method, Cow<'static, str>),
}

/// How a target's state is known at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// changes are seen as they happen
    Live,
    /// it held at this moment; later nobody looked
    Since(Instant),
}

/// What is known of a target that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// It was never seen.
    Never,
    /// Jobs with these uids were seen, undecided, and then not any more: nobody saw how they went.
    Vanished(Vec<String>),
}

/// The rules for every target of a wait.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--min`
    pub min: usize,
    /// `--settle`
    pub settle: Duration,
    /// how long a target has to be missing before that means something
    pub absence: Duration,
    /// `--failed wait`: what has failed is waited for until another one takes its place
    pub outlives_failure: bool,
    /// the pod that this program runs in; it never counts
    pub own_uid: Option<String>,
}

/// A kind's own part of an observer.
trait Observer {
    /// Takes the next update in; what says nothing of objects comes back. [`Ended`] if there are no more.
    async fn update(&mut self) -> Result<Option<Step>, Ended>;
    /// What is to be said now.
    fn judge(&mut self) -> Vec<Step>;
    /// When to judge again without an update; one that has passed is of no interest.
    fn alarms(&self) -> Vec<Option<Instant>>;
    /// Whether there is nothing more to say.
    fn is_over(&self) -> bool {
        false
    }
}

/// A query's stream is over, which it never is while somebody waits.
struct Ended;

/// The steps of an observer.
fn steps<O: Observer + 'static>(observer: O) -> LocalBoxStream<'static, Step> {
    stream::unfold((observer, VecDeque::new(), Instant::now()), |(mut observer, mut steps, mut judged)| async move {
        while steps.is_empty() {
            if observer.is_over() {
                return None;
            }
            // One that was judged already would spin: what is due then waits for an update.
            let alarm = observer.alarms().into_iter().flatten().filter(|alarm| *alarm > judged).min();
            let step = tokio::select! {
                step = observer.update() => step.ok()?,
                () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => None,
            };
            judged = Instant::now();
            steps.extend(step);
            steps.extend(observer.judge());
        }
        let step = steps.pop_front()?;
        Some((step, (observer, steps, judged)))
    })
    .boxed_local()
}
