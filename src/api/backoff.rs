//! How long to pause: between retries, and between polls.
//!
//! Full jitter: thousands of pods that lose the same API server must not come back in step
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);
/// A server (or a proxy before it) that asks for more is asked again after this all the same.
const LONGEST_WISH: Duration = Duration::from_mins(1);
/// Between polls.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
const LONGEST_POLL: Duration = Duration::from_secs(10);

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

/// Pauses between polls: `WAIT_TIME` where it is set, else a share of the time waited so far, with jitter.
#[derive(Debug)]
pub struct Poll {
    fixed: Option<Duration>,
    started: Instant,
}

/// What the last list of a selector has cost the API server.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// until it was read
    pub took: Duration,
    /// of the answer
    pub bytes: usize,
}

impl Poll {
    /// `fixed` is what the user wants; it is taken as it is.
    pub fn new(fixed: Option<Duration>) -> Self {
        Self { fixed, started: Instant::now() }
    }

    /// The next pause: nobody waits more than 3 % longer for it. A list that is large or slow is asked for less often.
    pub fn next(&self, cost: Option<Cost>) -> Duration {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let share = self.started.elapsed().mul_f64(0.03).clamp(SHORTEST_POLL, LONGEST_POLL);
        let least = cost.map_or(Duration::ZERO, |cost| {
            let megabytes = u32::try_from(cost.bytes >> 20).unwrap_or(u32::MAX);
            (cost.took * 20).max(Duration::from_secs(megabytes.into()))
        });
        share.max(least).mul_f64(0.9 + 0.2 * fastrand::f64())
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

    /// The pause that would be without its jitter, after so many seconds.
    async fn polls_after(seconds: u64, cost: Option<Cost>) -> f64 {
        let poll = Poll::new(None);
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let pauses: Vec<f64> = (0..1_000).map(|_| poll.next(cost).as_secs_f64()).collect();
        let (least, most) = pauses.iter().fold((f64::MAX, 0.0_f64), |(a, b), it| (a.min(*it), b.max(*it)));
        assert!(most / least < 1.23 && most / least > 1.15, "a jitter of 10 % either way: {least} to {most}");
        f64::midpoint(least, most)
    }

    #[tokio::test(start_paused = true)]
    async fn polls_cost_3_percent_of_the_wait() {
        for (waited, pause) in [(0, 1.0), (30, 1.0), (60, 1.8), (200, 6.0), (333, 10.0), (3_600, 10.0)] {
            let got = polls_after(waited, None).await;
            assert!((got - pause).abs() < 0.05 * pause, "after {waited} s: {got}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn large_and_slow_lists_are_asked_for_less_often() {
        let cost = |milliseconds, bytes| Some(Cost { took: Duration::from_millis(milliseconds), bytes });
        let table = [(cost(10, 1 << 20), 1.0), (cost(400, 0), 8.0), (cost(400, 35 << 20), 35.0), (cost(0, 0), 1.0)];
        for (cost, pause) in table {
            let got = polls_after(0, cost).await;
            assert!((got - pause).abs() < 0.05 * pause, "{cost:?}: {got}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn wait_time_is_taken_as_it_is() {
        let poll = Poll::new(Some(Duration::from_millis(300)));
        assert_eq!(poll.next(Some(Cost { took: Duration::from_secs(9), bytes: 9 << 20 })), Duration::from_millis(300));
    }
}
