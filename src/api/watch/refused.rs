//! What is refused or does not work, perhaps only for now, and when to try it again.
//!
//! An API server that has just started refuses for a moment what it will allow (it answers before it knows all Roles),
//! and a Role may come with the same installation.

use std::time::Duration;

use tokio::time::Instant;

/// How soon what is refused or does not work is tried again while a lower way does: this, then twice as long each time,
const FIRST_PROBE: Duration = Duration::from_secs(2);
/// and at last so often.
const PROBE: Duration = Duration::from_mins(1);
/// How soon watches are tried again that were opened and then stayed silent beyond their time.
pub const MUTE: Duration = Duration::from_hours(1);

/// A verb that is not permitted, or a way that does not work.
#[derive(Clone, Copy)]
pub struct Refused {
    at: Instant,
    wait: Duration,
}

impl Refused {
    /// Refused just now, once more if it was before; `wish` is the server's.
    pub fn after(earlier: Option<Self>, wish: Option<Duration>) -> Self {
        let wait = earlier.map_or(FIRST_PROBE, |earlier| (earlier.wait * 2).min(PROBE));
        Self { at: Instant::now(), wait: wait.max(wish.unwrap_or_default().min(MUTE)) }
    }

    pub fn next_try(self) -> Instant {
        self.at + self.wait
    }

    pub fn may_be_tried(self) -> bool {
        self.next_try() <= Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_verb_is_tried_again_soon_and_then_every_minute() {
        let mut refused = None;
        let waits = (0..8).map(|_| {
            refused = Some(Refused::after(refused, None));
            refused.unwrap().wait.as_secs()
        });
        assert_eq!(waits.collect::<Vec<_>>(), [2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!refused.is_some_and(Refused::may_be_tried));
    }
}
