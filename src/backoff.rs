//! How long to pause: between retries, and between polls.
//!
//! Full jitter: thousands of pods that lose the same API server must not come back in step
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);
/// A server (or a proxy before it) that asks for more is asked again after this all the same.
const LONGEST_WISH: Duration = Duration::from_mins(1);

/// Pauses between retries: 0.25 s doubling to 15 s, each a random part of it.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause; `wish` is the server's `Retry-After`, a floor.
    pub fn next(&mut self, wish: Option<Duration>) -> Duration {
        let ceiling = LONGEST.min(FIRST * 2_u32.saturating_pow(self.failures));
        self.failures = (self.failures + 1).min(6);
        wish.unwrap_or_default().min(LONGEST_WISH) + ceiling.mul_f64(fastrand::f64())
    }

    /// Things work again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Pauses between polls: `WAIT_TIME` where it is set, else 5 s growing to 15 s, with jitter.
#[derive(Debug)]
pub struct Poll {
    fixed: Option<Duration>,
    next: Duration,
}

impl Poll {
    /// `fixed` is what the user wants; it is taken as it is.
    pub fn new(fixed: Option<Duration>) -> Self {
        Self { fixed, next: Duration::from_secs(5) }
    }

    /// The next pause.
    pub fn next(&mut self) -> Duration {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let pause = self.next.mul_f64(0.9 + 0.2 * fastrand::f64());
        self.next = (self.next + Duration::from_secs(2)).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_fifteen_seconds_and_no_further() {
        let mut backoff = Backoff::default();
        for failures in 0..40_u32 {
            let ceiling = LONGEST.min(FIRST * 2_u32.saturating_pow(failures.min(6)));
            assert!(backoff.next(None) <= ceiling, "after {failures} failures");
        }
        backoff.reset();
        assert!(backoff.next(None) <= FIRST);
    }

    #[test]
    fn a_server_s_wish_is_a_floor_with_jitter_on_top() {
        let wish = Duration::from_secs(3);
        let pause = Backoff::default().next(Some(wish));
        assert!(pause >= wish && pause <= wish + FIRST, "{pause:?}");
    }

    #[test]
    fn an_absurd_wish_is_cut() {
        assert!(Backoff::default().next(Some(Duration::from_hours(24))) <= LONGEST_WISH + FIRST);
    }
}
