//! The answer to "may it go on?", for one target and for all of them together.
//!
//! Three answers are an enum, never a bool; an API call that failed is no answer at all and never becomes one.

use std::borrow::Cow;

/// Why a target is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Machine-readable, CamelCase like the reasons of Kubernetes' own conditions: `NotFound`, `BackoffLimitExceeded`.
    pub code: Cow<'static, str>,
    /// One sentence with numbers, no full stop: `2 of 3 pods ready`.
    pub text: String,
}

impl Reason {
    /// A reason from its two parts.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        // Parts of it come from whoever may write a status: a line stays one line, and no terminal is driven by it.
        Self { code: code.into(), text: text.into().replace(char::is_control, " ") }
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
    pub fn waiting(code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self::Waiting(Reason::new(code, text))
    }

    /// `Failed` with its reason in one go.
    pub fn failed(code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self::Failed(Reason::new(code, text))
    }

    /// Why it is not ready.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Ready => None,
            Self::Waiting(reason) | Self::Failed(reason) => Some(reason),
        }
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
            'w' => Some(Verdict::waiting("NotFound", "")),
            'f' => Some(Verdict::failed("BackoffLimitExceeded", "")),
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
    fn reason_is_one_line_whatever_a_status_says() {
        assert_eq!(Reason::new("Evicted", "gone:\n\u{1b}[2Jlow on memory").text, "gone:  [2Jlow on memory");
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
