//! What was said of a target, and when: counts that change again and again are told once a second.

use std::time::Duration;

use tokio::time::Instant;

use crate::target::verdict::Verdict;

/// The least time between two lines of which only the numbers differ. A thousand pods that become ready would write a
/// thousand lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Of one target.
#[derive(Debug, Default)]
pub struct Spoken {
    at: Option<Instant>,
    /// the last verdict has not been told
    owes: bool,
}

impl Spoken {
    /// Whether a verdict may be told at once; if not, it is owed.
    pub fn may_say(&mut self, before: Option<&Verdict>, verdict: &Verdict) -> bool {
        let code = |verdict: &Verdict| verdict.reason().map(|reason| reason.code.clone());
        let differs = |before: &Verdict| {
            std::mem::discriminant(before) != std::mem::discriminant(verdict) || code(before) != code(verdict)
        };
        // What is owed is not this text but the state at its time: `catch_up` tells the last one.
        let says = before.is_none_or(differs) || self.at.is_none_or(|at| at.elapsed() >= PAUSE);
        self.owes = !says;
        if says {
            self.at = Some(Instant::now());
        }
        says
    }

    /// When what is owed is to be told.
    pub fn due(&self) -> Option<Instant> {
        self.at.filter(|_| self.owes).map(|at| at + PAUSE)
    }

    /// Whether to tell it now.
    pub fn catch_up(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            (self.at, self.owes) = (Some(now), false);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::verdict::Code;

    fn ready(number: usize) -> Verdict {
        Verdict::waiting(Code::PodsNotReady, format!("{number} of 1000 pods ready"))
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_are_told_once_a_second_and_the_last_of_them() {
        let mut spoken = Spoken::default();
        let mut said = Vec::new();
        let mut before = None;
        for number in 0..=250 {
            if spoken.may_say(before.as_ref(), &ready(number)) {
                said.push(number);
            }
            before = Some(ready(number));
            tokio::time::advance(Duration::from_millis(10)).await;
            if spoken.catch_up(Instant::now()) {
                said.push(number);
            }
        }
        assert_eq!(said, [0, 99, 199]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(spoken.catch_up(Instant::now()) && !spoken.catch_up(Instant::now()), "what is owed, once");
    }

    #[tokio::test(start_paused = true)]
    async fn another_reason_is_told_at_once() {
        let mut spoken = Spoken::default();
        assert!(spoken.may_say(None, &ready(1)) && !spoken.may_say(Some(&ready(1)), &ready(2)));
        assert!(spoken.may_say(Some(&ready(2)), &Verdict::waiting(Code::Settling, "")));
        assert!(spoken.due().is_none(), "and what was owed is out of date");
        assert!(spoken.may_say(Some(&ready(2)), &Verdict::Ready));
    }
}
