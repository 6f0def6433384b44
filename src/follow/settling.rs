//! When a set of objects that is ready has been so, unchanged, for long enough.
//!
//! In a StatefulSet of three the first pod is Ready 3 ms before the second one exists, so a watch that let go at once
//! would always let go at one of three. Whether anybody was looking meanwhile is not known here: see [`super::sight`].

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// How much longer than the settling time an object must have been ready to need none: its time was taken by the clock
/// of a node or a controller, and is compared with the API server's.
const SURE: Duration = Duration::from_mins(1);

/// How long one set has been unchanged.
#[derive(Debug)]
pub struct Settling {
    /// zero where one object is enough
    time: Duration,
    looked: bool,
    due: Option<Instant>,
}

impl Settling {
    /// Nothing seen yet; the set has to be unchanged for so long.
    pub fn new(time: Duration) -> Self {
        Self { time, looked: false, due: None }
    }

    /// Takes note of the set as it is. `youngest` is when its youngest member came to its state, `now` is the API
    /// server's time, both in whole seconds. They count at the first look only: afterwards changes were seen, and what
    /// a new pod says of itself may be of another life (a restarted node sets old times).
    pub fn saw(&mut self, has_changed: bool, youngest: impl FnOnce() -> Option<Timestamp>, now: Timestamp) {
        let first = !std::mem::replace(&mut self.looked, true);
        if !first && !has_changed {
            return;
        }
        let settled = self.time.is_zero() || first && age(youngest(), now) >= self.time + SURE;
        self.due = (!settled).then(|| Instant::now() + self.time);
    }

    /// Takes note that there is nothing at present that has to settle.
    pub fn skip(&mut self) {
        self.due = None;
    }

    /// When the set has settled, also if that was some time ago; `None` for one that needs no time.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    pub fn time(&self) -> Duration {
        self.time
    }
}

/// The least age that two clock readings in whole seconds prove.
fn age(since: Option<Timestamp>, now: Timestamp) -> Duration {
    let seconds = since.map_or(0, |since| now.as_second() - since.as_second() - 1);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
