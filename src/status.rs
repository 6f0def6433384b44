//! How one target stands: its last verdict, what keeps its requests from being answered and since when, and what is
//! known of the reason.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::failure::{Class, Failure};
use crate::diagnose::explain::Explanation;
use crate::follow::{Known, Step};
use crate::output::lines::{self, Line};
use crate::target::verdict::{Quorum, Verdict};
use crate::target::{Kind, Target};

/// How often what goes on is told again.
pub const REMINDER: Duration = Duration::from_secs(30);

/// How one target stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// what is waited for
    pub target: Target,
    /// the last verdict, `None` before the first
    pub verdict: Option<Verdict>,
    /// the uids of the Jobs that its `Ready` is about, if that leaves a mark
    pub mark: Option<Vec<String>>,
    /// how its state is known
    pub known: Option<Known>,
    /// what keeps its requests from being answered
    pub trouble: Option<Trouble>,
    /// what is known of the reason
    pub explanation: Explanation,
}

/// A failure that lasts.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// the last of it
    pub failure: Failure,
    /// since when
    pub since: Instant,
    /// since when the API refuses; other failures in between do not count as a success
    pub denied_since: Option<Instant>,
    /// whether lines speak of it; another target's may say the same
    pub told: bool,
    /// when lines speak of it again
    pub next_line: Instant,
    /// connections that were refused
    pub refusals: u32,
}

impl Trouble {
    fn new(failure: &Failure, now: Instant) -> Self {
        let failure = failure.clone();
        Self { failure, since: now, denied_since: None, told: false, next_line: now + REMINDER, refusals: 0 }
    }
}

/// Whether the API has refused for at least `grace`, and still does: one target is enough where all are needed; with
/// `Any` only when no target can win any more.
pub fn denied(quorum: Quorum, standings: &[Standing], grace: Duration, outlives_failure: bool) -> bool {
    let refused = |standing: &Standing| {
        let since = standing.trouble.as_ref().filter(|it| it.failure.is_refusal()).and_then(|it| it.denied_since);
        since.is_some_and(|since| since.elapsed() >= grace)
    };
    match quorum {
        Quorum::All => standings.iter().any(refused),
        Quorum::Any => {
            let lost = |it: &&Standing| match &it.verdict {
                Some(verdict @ Verdict::Failed(_)) => !(outlives_failure && verdict.is_failure_of_its_own()),
                _ => false,
            };
            !standings.is_empty() && standings.iter().filter(|it| !lost(it)).all(refused)
        }
    }
}

impl Standing {
    /// Whether its Ready stays, whatever becomes of the Job.
    pub fn is_kept(&self) -> bool {
        self.verdict == Some(Verdict::Ready) && self.target.mode.kind() == Kind::Job
    }

    /// Nothing is known yet.
    pub fn new(target: Target) -> Self {
        Self { target, verdict: None, mark: None, known: None, trouble: None, explanation: Explanation::default() }
    }

    /// Keeps the book of this target's outage; a line when it begins and when it ends.
    /// `known` says that another target's line tells of it.
    pub fn outage(&mut self, step: &Step, known: bool) -> Option<Line> {
        match step {
            Step::Trouble(failure) => self.troubled(failure, known),
            Step::Recovered => {
                let trouble = self.trouble.take().filter(|trouble| trouble.told)?;
                Some(lines::recovery(self, trouble.since.elapsed()))
            }
            _ => None,
        }
    }

    fn troubled(&mut self, failure: &Failure, known: bool) -> Option<Line> {
        let now = Instant::now();
        let refused = failure.is_refusal();
        let unconnected = u32::from(failure.class == Class::Unconnected { refused: true });
        let earlier = self.trouble.take();
        let turned = earlier.as_ref().is_none_or(|earlier| earlier.failure.is_refusal() != refused);
        let told = turned && (refused || !known);
        let trouble = earlier.unwrap_or_else(|| Trouble::new(failure, now));
        let since = trouble.since;
        self.trouble = Some(Trouble {
            failure: failure.clone(),
            denied_since: trouble.denied_since.or(refused.then_some(now)),
            told: told || trouble.told,
            refusals: (trouble.refusals + 1) * unconnected,
            ..trouble
        });
        told.then(|| lines::outage(self, &failure.text, now - since))
    }
}
