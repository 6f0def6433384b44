//! The answer to "may it go on?", for one target and for all of them together.
//!
//! Three answers are an enum, never a bool; an API call that failed is no answer at all and never becomes one.

use std::fmt;

/// What stands in the way, for programs: CamelCase like the reasons of Kubernetes' own conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// nothing of this name, or that matches
    NotFound,
    /// one of this name whose labels do not match
    Stale,
    /// fewer than `--min`
    TooFew,
    /// ready, but not yet for as long as a set has to be
    Settling,
    /// ready when it was looked at last, which cannot be done at present
    NotSeen,
    /// a part of it was not looked at yet
    NotLookedYet,
    /// a Job that failed is gone and has no successor yet
    NotReplaced,
    /// on its way out
    BeingDeleted,
    /// changed, and its controller has not seen that yet
    NotObserved,
    /// a pod of a set is on its way out; only then its replacement can come
    BeingReplaced,
    Suspended,
    ParallelismZero,
    /// decided, but its pods still run
    PodsEnding,
    NotStarted,
    /// failed, to be tried again
    BackOff,
    NoPods,
    Running,
    PodsNotReady,
    /// a pod that failed without anybody to replace it, and without a reason
    PodFailed,
    /// a pod that failed and whose owner is what should be waited for
    OwnedPodFailed,
    /// only the pod that this program runs in
    OnlyItself,
    NoEndpoints,
    EndpointsNotReady,
    /// no load balancer has one for it yet
    NoAddress,
    /// more pods than it is to keep, or some of an old template
    OldPods,
    /// a CronJob that has made none yet
    NoJobs,
    /// a key that is asked for is missing
    NoKey,
    /// not as `--for` demands
    NotMet,
    /// still there, and it should be gone
    NotGone,
    /// a kind that the cluster does not know yet
    NotInstalled,
    /// As a condition or a status gives it. Anybody may have written it: it is shown and steers nothing, whatever it
    /// says.
    Foreign(String),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(code) => f.write_str(code),
            own => write!(f, "{own:?}"),
        }
    }
}

/// Why a target is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `NotFound`, `BackoffLimitExceeded`
    pub code: Code,
    /// One sentence with numbers, no full stop: `2 of 3 pods ready`.
    pub text: String,
}

impl Reason {
    /// A reason from its two parts.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// How one target stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The condition is met.
    Ready,
    /// Not yet; it may still become ready by itself.
    Waiting(Reason),
    /// It will not become ready without a person or a new object.
    Failed(Reason),
}

impl Verdict {
    /// `Waiting` with its reason in one go.
    pub fn waiting(code: Code, text: impl Into<String>) -> Self {
        Self::Waiting(Reason::new(code, text))
    }

    /// `Failed` with its reason in one go.
    pub fn failed(code: Code, text: impl Into<String>) -> Self {
        Self::Failed(Reason::new(code, text))
    }

    /// Why it is not ready.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Ready => None,
            Self::Waiting(reason) | Self::Failed(reason) => Some(reason),
        }
    }

    /// Whether the other one is no news: a failure is told once, whatever is counted in it later.
    pub fn says(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed(told), Self::Failed(reason)) => told.code == reason.code,
            _ => self == other,
        }
    }

    /// Whether it has failed for what it has done, not by its absence (`--missing fail`).
    pub fn is_failure_of_its_own(&self) -> bool {
        matches!(self, Self::Failed(reason) if reason.code != Code::NotFound)
    }

    /// Whether it is waited for something that is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Waiting(reason) if reason.code == Code::NotFound)
    }
}

/// How many of the targets have to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// All of them at the same moment.
    All,
    /// One of them (`--any`).
    Any,
}

/// What all verdicts together mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The wait is over and met.
    Ready,
    /// The wait is over: it cannot be met any more.
    Failed,
    /// Go on.
    Undecided,
}

impl Quorum {
    /// Folds the verdicts; `None` is a target that has not been seen yet. One `Ready` is looked at before the failures
    /// with `Any`, one `Failed` before everything else with `All`.
    pub fn decide<'a>(self, verdicts: impl Iterator<Item = Option<&'a Verdict>> + Clone) -> Decision {
        let mut ready = verdicts.clone().map(|verdict| matches!(verdict, Some(Verdict::Ready)));
        let mut failed = verdicts.map(|verdict| matches!(verdict, Some(Verdict::Failed(_))));
        match self {
            Self::All if failed.any(|it| it) => Decision::Failed,
            Self::All if ready.all(|it| it) => Decision::Ready,
            Self::Any if ready.any(|it| it) => Decision::Ready,
            Self::Any if failed.all(|it| it) => Decision::Failed,
            _ => Decision::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(quorum: Quorum, letters: &str) -> Decision {
        let verdicts: Vec<Option<Verdict>> = letters.chars().map(verdict).collect();
        quorum.decide(verdicts.iter().map(Option::as_ref))
    }

    fn verdict(letter: char) -> Option<Verdict> {
        match letter {
            'r' => Some(Verdict::Ready),
            'w' => Some(Verdict::waiting(Code::NotFound, "")),
            'f' => Some(Verdict::failed(Code::PodFailed, "")),
            _ => None,
        }
    }

    #[test]
    fn all_need_every_target_and_one_failure_ends_it() {
        let table =
            [("r", Decision::Ready), ("rr", Decision::Ready), ("rw", Decision::Undecided), ("rf", Decision::Failed)];
        for (letters, decision) in table {
            assert_eq!(decide(Quorum::All, letters), decision, "{letters}");
        }
        assert_eq!(decide(Quorum::All, "wf"), Decision::Failed);
        assert_eq!(decide(Quorum::All, "r?"), Decision::Undecided, "a target that was not seen yet is not ready");
    }

    #[test]
    fn any_needs_one_target_and_ends_when_none_can_win() {
        for (letters, decision) in [("wr", Decision::Ready), ("fr", Decision::Ready), ("fw", Decision::Undecided)] {
            assert_eq!(decide(Quorum::Any, letters), decision, "{letters}");
        }
        assert_eq!(decide(Quorum::Any, "ff"), Decision::Failed);
        assert_eq!(decide(Quorum::Any, "f?"), Decision::Undecided);
    }
}
