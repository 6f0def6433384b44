//! How each target stands: data only. `wait` keeps it, `output` puts it into words.

use tokio::time::Instant;

use crate::api::failure::Failure;
use crate::diagnose::explain::Explanation;
use crate::follow::Known;
use crate::kinds;
use crate::outcome::Outcome;
use crate::target::Target;
use crate::target::verdict::Verdict;

/// How one target stands.
#[derive(Debug, Clone)]
pub struct Status {
    pub target: Target,
    /// the last one, `None` before the first
    pub verdict: Option<Verdict>,
    /// the uids of the Jobs that its `Ready` is about, if that leaves a mark
    pub mark: Option<Vec<String>>,
    /// how its state is known
    pub known: Option<Known>,
    pub outage: Option<Outage>,
    /// why it is not ready
    pub explanation: Explanation,
}

/// What keeps its requests from being answered.
#[derive(Debug, Clone)]
pub struct Outage {
    /// the last one
    pub failure: Failure,
    pub since: Instant,
    /// since when the API refuses; other failures in between do not count as a success
    pub denied_since: Option<Instant>,
    /// whether lines speak of it; another target's may say the same
    pub told: bool,
    /// when lines speak of it again
    pub next_line: Instant,
    /// how many connections were refused in a row
    pub refusals: u32,
}

/// How things stand, for whoever ends the program.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// one for each target, none before the first request
    pub statuses: Vec<Status>,
    /// what the verdicts have decided; nothing changes it any more
    pub decided: Option<Outcome>,
}

impl Status {
    /// Nothing is known yet.
    pub fn new(target: Target) -> Self {
        Self { target, verdict: None, mark: None, known: None, outage: None, explanation: Explanation::default() }
    }

    pub fn is_ready(&self) -> bool {
        self.verdict == Some(Verdict::Ready)
    }

    pub fn is_failed(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Failed(_)))
    }

    /// Whether its Ready stays, whatever becomes of the object.
    pub fn is_kept(&self) -> bool {
        self.is_ready() && (kinds::is_final(&self.target) || self.target.demand.is_absence())
    }
}
