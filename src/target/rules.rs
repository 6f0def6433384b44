//! The rules of a wait: when it ends, and how.

use std::time::Duration;

use clap::ValueEnum;

use super::verdict::Quorum;

/// All of them, as they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub quorum: Quorum,
    pub missing: Missing,
    pub failed: Failed,
    /// zero looks once; none waits for ever
    pub timeout: Option<Duration>,
    /// how long the API may refuse
    pub auth_grace: Duration,
    /// how long the objects of a selector have to be ready and the same
    pub settle: Duration,
    /// the least number of objects of a selector, 1 or more
    pub min: u32,
    /// the pause between polls that was asked for (`WAIT_TIME`), never zero
    pub poll_pause: Option<Duration>,
}

impl Rules {
    /// Do not wait, only look.
    pub fn is_one_look(&self) -> bool {
        self.timeout == Some(Duration::ZERO)
    }

    /// Whether a failed target is waited for all the same.
    pub fn outlives_failure(&self) -> bool {
        self.failed == Failed::Wait
    }
}

// `ValueEnum`: these words are typed as they are.

/// What an object means that does not exist, was never seen, and of which nothing proves that it completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Missing {
    /// it is still to come
    Wait,
    /// the wait has failed
    Fail,
    /// it is done and was cleaned up; for Jobs only
    Ready,
}

/// What a target means that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Failed {
    /// the wait has failed
    Exit,
    /// a new object may take its place
    Wait,
}
