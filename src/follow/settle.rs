//! When a set of objects that is ready has been so, unchanged, for long enough.
//!
//! In a StatefulSet of three the first pod is Ready 3 ms before the second one exists, so a watch that let go at once
//! would always let go at one of three. Objects whose own conditions say that they have been ready for much longer need
//! not rest again. Whether anybody was looking while the set rested is not known here: see [`crate::follow::Sight`].

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// How much longer than the rest an object must have been ready to need none: its time was taken by the clock of a node
/// or a controller, and is compared with the API server's.
const SURE: Duration = Duration::from_mins(1);

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

    /// Takes note of the set as it is. `since` is when its youngest member became ready, `now` is the API server's
    /// time, both in whole seconds; they count for the first look only, afterwards we know better.
    pub fn saw(&mut self, shape: S, since: Option<Timestamp>, now: Timestamp) {
        if self.shape.as_ref() == Some(&shape) {
            return;
        }
        let rested = self.rest.is_zero() || self.shape.is_none() && age(since, now) >= self.rest + SURE;
        self.due = (!rested).then(|| Instant::now() + self.rest);
        self.shape = Some(shape);
    }

    /// When the rest ends, also if that was some time ago; `None` for a set that needs none.
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
