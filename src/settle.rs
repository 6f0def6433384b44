//! When a set of objects that is ready has been so, unchanged, for long enough.
//!
//! In a StatefulSet of three the first pod is Ready 3 ms before the second one exists, so a watch that let go at once
//! would always let go at one of three. Objects whose own conditions say that they have been ready for longer need not
//! wait again.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// One set's rest.
#[derive(Debug)]
pub struct Settling<S> {
    /// for how long it has to be unchanged; zero where one object is enough
    rest: Duration,
    /// what counts as a change: whatever is in here
    shape: Option<S>,
    due: Option<Instant>,
}

impl<S: PartialEq> Settling<S> {
    /// Nothing seen yet.
    pub fn new(rest: Duration) -> Self {
        Self { rest, shape: None, due: None }
    }

    /// Takes note of the set as it is. `since` is when its youngest member became ready, in whole seconds of the
    /// cluster's clock, `now` the same clock; it only counts for the first look, afterwards we know better.
    pub fn saw(&mut self, shape: S, since: Option<Timestamp>, now: Timestamp) {
        if self.shape.as_ref() == Some(&shape) {
            return;
        }
        let rested = if self.shape.is_none() { age(since, now) } else { Duration::ZERO };
        self.due = Some(Instant::now() + self.rest.saturating_sub(rested));
        self.shape = Some(shape);
    }

    /// The moment from which on the set counts as settled; `None` before anything was seen.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// How long it has to rest.
    pub fn rest(&self) -> Duration {
        self.rest
    }
}

/// The least age that two clock readings in whole seconds prove.
fn age(since: Option<Timestamp>, now: Timestamp) -> Duration {
    let seconds = since.map_or(0, |since| now.as_second() - since.as_second() - 1);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
