//! When to find out why: after a reason has stood for a while, again when what is behind it has changed or is old, and
//! before the end.
//!
//! It runs beside the wait in the same select and never holds it up: what is not known in time is left out. With many
//! targets the questions become rarer, so that all of them together stay a handful of requests a minute.

pub mod explain;
pub mod gather;
#[cfg(test)]
mod scripts;

use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture, join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::explain::{Evidence, Explanation, explain};
use self::gather::{Depth, Inspector};
use crate::target::Target;
use crate::target::verdict::{Code, Verdict};

/// How long a reason has to stand: most are gone by then.
const STANDING: Duration = Duration::from_secs(5);
/// The same for a target of which nothing is there: it is created together with this pod, or was mistyped.
const MISSING: Duration = Duration::from_secs(2);
/// After this, something that is missing may never come.
const LONG_MISSING: Duration = Duration::from_mins(1);
/// How long something that has changed is left to come to rest before the next look.
const REST: Duration = Duration::from_secs(1);
/// How soon after a look a change leads to the next one, times the number of targets; twice as long each time, up to
/// `INTERVAL`.
const SOON: Duration = Duration::from_secs(5);
/// How long after its first look a target is looked at again, times the number of targets; twice as long each time, up
/// to `INTERVAL`. Most containers that crash do so in their first minute.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The least time between two questions about a target in the long run, times the number of targets.
const INTERVAL: Duration = Duration::from_secs(30);
/// The same where something was refused, or where the answer was the same as before.
const REFUSED: Duration = Duration::from_mins(1);
/// How long one round may take. The API's own limits are longer.
const ROUND: Duration = Duration::from_secs(20);
/// How long a closing report may take after a failure.
const CLOSING: Duration = Duration::from_secs(2);
/// How long before the deadline the closing report is begun, and by when it has to be there.
const BEFORE_DEADLINE: Duration = Duration::from_secs(3);
const SPARE: Duration = Duration::from_millis(200);
/// What a report gets at least on a failure just before the deadline.
pub const LATE_REPORT: Duration = Duration::from_millis(500);

/// Asks about all targets of a wait.
pub struct Schedule {
    inspector: Inspector,
    cases: Vec<Case>,
    rounds: FuturesUnordered<LocalBoxFuture<'static, Answer>>,
    /// those that are for a report
    closing_rounds: FuturesUnordered<LocalBoxFuture<'static, Answer>>,
    /// when to begin the closing report, until it has begun, and the end of the wait
    closing: Option<Instant>,
    deadline: Option<Instant>,
}

/// What a round has found out about the target of this index.
struct Answer {
    index: usize,
    depth: Depth,
    explanation: Explanation,
    /// nothing could be looked at in time, or nothing was left to be looked at
    is_blind: bool,
}

/// What has come to be known about the target of this index.
pub struct Learned {
    pub index: usize,
    pub explanation: Explanation,
    /// it is the report on a failure that does not end the wait
    pub is_report: bool,
}

/// What there is to ask about one target.
struct Case {
    target: Target,
    /// of the verdict, while it is not ready
    reason: Option<Code>,
    /// nothing is there since
    missing: Option<Instant>,
    due: Option<Instant>,
    looked: Option<Instant>,
    /// how long after that a change leads to the next look
    soon: Duration,
    /// how long after that the next look comes by itself
    pause: Duration,
    running: bool,
    /// something has changed while a look was under way
    is_outdated: bool,
    failed: bool,
    report: Report,
    /// how a container was last seen to end: pods that are deleted take that with them
    known: Option<Explanation>,
}

/// How far the report on a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    None,
    /// begun on a failure that does not end the wait
    Begun,
    /// begun at the end of the wait
    Closing,
}

impl Schedule {
    /// About these targets; `timeout` is the time left to the whole wait.
    pub fn new(inspector: Inspector, targets: impl IntoIterator<Item = Target>, timeout: Option<Duration>) -> Self {
        let now = Instant::now();
        let lead = timeout.map(|timeout| BEFORE_DEADLINE.min(timeout / 2));
        let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        Self {
            inspector,
            cases: targets.into_iter().map(Case::new).collect(),
            rounds: FuturesUnordered::new(),
            closing_rounds: FuturesUnordered::new(),
            closing: deadline.zip(lead).map(|(deadline, lead)| deadline - lead),
            deadline,
        }
    }

    /// Takes note of how a target stands; whether what was known about it is still about the same.
    pub fn note(&mut self, index: usize, verdict: &Verdict) -> bool {
        let interval = self.interval();
        self.cases[index].note(verdict, interval)
    }

    /// Takes note that something behind a target has changed.
    pub fn stirred(&mut self, index: usize) {
        let targets = self.targets();
        self.cases[index].stirred(targets);
    }

    /// Takes note that another object has taken the place of a target's: what was known is of the former.
    pub fn replaced(&mut self, index: usize) {
        self.cases[index].known = None;
    }

    /// Takes note of what a target has turned out to be.
    pub fn found(&mut self, index: usize, target: &Target) {
        self.cases[index].target = target.clone();
    }

    /// Begins the report on a target that has failed, where that is not the end.
    pub fn report(&mut self, index: usize) {
        self.interrupt();
        self.cases[index].report = Report::Begun;
        self.closing_rounds.push(self.round(index, Depth::Closing, Instant::now() + CLOSING));
    }

    /// The next answer. Pends while there is nothing to ask; may be dropped and called again.
    pub async fn next(&mut self) -> Learned {
        loop {
            // While a report is made nothing else is begun: it would take the report's connections.
            let due = self.cases.iter().filter_map(Case::due).filter(|_| self.closing_rounds.is_empty());
            let due = due.chain(self.closing).min();
            tokio::select! {
                biased;
                Some(answer) = self.closing_rounds.next() => if let Some(learned) = self.answered(answer) {
                    return learned;
                },
                Some(answer) = self.rounds.next() => if let Some(learned) = self.answered(answer) {
                    return learned;
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.begin(),
                else => std::future::pending().await,
            }
        }
    }

    fn answered(&mut self, answer: Answer) -> Option<Learned> {
        let Answer { index, depth, explanation, is_blind } = answer;
        let case = &mut self.cases[index];
        case.running = false;
        let closes = depth == Depth::Closing;
        // A round that was under way when a report was begun knows less.
        if case.report != Report::None && !closes {
            return None;
        }
        let explanation = case.with_what_was_known(explanation, closes, is_blind);
        let is_report = closes && case.report == Report::Begun;
        if is_report {
            case.report = Report::None;
        }
        Some(Learned { index, explanation, is_report })
    }

    /// Takes note that an answer was taken; one that says the same as before is asked for again less soon.
    pub fn learned(&mut self, index: usize, is_same: bool, has_gaps: bool) {
        let (interval, targets) = (self.interval(), self.targets());
        let case = &mut self.cases[index];
        case.learned(if is_same || has_gaps { interval.max(REFUSED) } else { interval }, targets);
        if std::mem::take(&mut case.is_outdated) {
            case.stirred(targets);
        }
    }

    fn begin(&mut self) {
        let now = Instant::now();
        let closing = self.closing.is_some_and(|at| at <= now);
        if closing {
            self.closing = None;
            self.interrupt();
            self.closing_rounds.clear();
        }
        for index in 0..self.cases.len() {
            let case = &mut self.cases[index];
            if closing && case.reason.is_some() {
                // Whatever else is under way about it, this is deeper and the last.
                case.report = Report::Closing;
                case.due = None;
                let limit = self.deadline.map_or(now + CLOSING, |deadline| deadline - SPARE);
                self.closing_rounds.push(self.round(index, Depth::Closing, limit));
            } else if case.due().is_some_and(|due| due <= now) {
                let long = case.missing.is_some_and(|since| now >= since + LONG_MISSING);
                case.running = true;
                self.rounds.push(self.round(index, if long { Depth::LongMissing } else { Depth::Reason }, now + ROUND));
            }
        }
    }

    /// What is known when the wait has failed, at most 2 s later, and not long after the deadline.
    pub async fn close(&mut self, failed: impl IntoIterator<Item = usize>) -> Vec<Learned> {
        let now = Instant::now();
        // A failure just before the deadline still gets a moment for its report: exit 1 without a reason helps nobody.
        let latest = self.deadline.map_or(now + CLOSING, |deadline| deadline.max(now + LATE_REPORT));
        let limit = latest.min(now + CLOSING);
        let failed: Vec<usize> = failed.into_iter().collect();
        self.interrupt();
        self.closing_rounds.clear();
        for index in &failed {
            self.cases[*index].report = Report::Closing;
        }
        let answers = join_all(failed.into_iter().map(|index| self.round(index, Depth::Closing, limit))).await;
        answers.into_iter().filter_map(|answer| self.answered(answer)).collect()
    }

    /// A report does not wait for what is under way: its connections are few, and its time is short. What was asked is
    /// asked again.
    fn interrupt(&mut self) {
        self.rounds.clear();
        for case in &mut self.cases {
            case.running = false;
        }
    }

    /// One answer; a part of one if the time is up.
    fn round(&self, index: usize, depth: Depth, limit: Instant) -> LocalBoxFuture<'static, Answer> {
        let case = &self.cases[index];
        let (inspector, target) = (self.inspector.clone(), case.target.clone());
        let (missing, failed) = (case.missing.is_some(), case.failed);
        async move {
            let mut evidence = Evidence::default();
            let _ = timeout_at(limit, async {
                // Nothing can be asked of a kind that is not installed; and why something is not ready says nothing of why
                // it is still there.
                if target.kind.is_sought() || target.demand.is_absence() {
                    return;
                }
                if missing {
                    inspector.instead(&target, depth, &mut evidence).await;
                } else {
                    inspector.behind(&target, depth, &mut evidence).await;
                }
            })
            .await;
            if !inspector.quotes {
                evidence.redact();
            }
            // It spoke of a Job that had failed, not of one that is run again.
            if !failed {
                evidence.earlier.clear();
            }
            let is_blind = evidence.pods.is_empty()
                && evidence.events.is_empty()
                && evidence.near.is_none()
                && evidence.missing.is_none();
            Answer { index, depth, explanation: explain(&target, &evidence), is_blind }
        }
        .boxed_local()
    }

    fn interval(&self) -> Duration {
        INTERVAL * self.targets()
    }

    fn targets(&self) -> u32 {
        u32::try_from(self.cases.len()).unwrap_or(u32::MAX)
    }
}

impl Case {
    fn new(target: Target) -> Self {
        Self {
            target,
            reason: None,
            missing: None,
            due: None,
            looked: None,
            soon: SOON,
            pause: FIRST_PAUSE,
            running: false,
            is_outdated: false,
            failed: false,
            report: Report::None,
            known: None,
        }
    }

    fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.running)
    }

    fn note(&mut self, verdict: &Verdict, interval: Duration) -> bool {
        let now = Instant::now();
        let Some(reason) = verdict.reason() else {
            (self.reason, self.missing, self.due, self.known) = (None, None, None, None);
            return false;
        };
        // With `--missing fail` it is none the less.
        let is_failure = matches!(verdict, Verdict::Failed(_));
        let missing = verdict.is_missing() || is_failure && !verdict.is_failure_of_its_own();
        let was_failed = std::mem::replace(&mut self.failed, is_failure);
        // Another one has taken its place.
        if was_failed && !self.failed {
            self.known = None;
        }
        // It came, or went: what was asked before was about something else.
        if missing != self.missing.is_some() {
            self.missing = missing.then_some(now);
            (self.looked, self.known) = (None, None);
        }
        let same = self.reason.replace(reason.code.clone()).as_ref() == Some(&reason.code);
        // The end is explained by a closing report of its own; so long, what was known still helps.
        if self.failed {
            self.due = None;
            return true;
        }
        // Something that is missing is asked about once; what is there soon after its reason has stood for a while,
        // then in the rhythm of all targets together.
        let next = match (self.missing, self.looked) {
            (Some(_), Some(_)) => return same,
            (Some(since), None) => since + MISSING,
            (None, None) => now + STANDING,
            (None, Some(looked)) => (looked + interval).max(now + STANDING),
        };
        // Numbers that change again and again are no new reason.
        self.due = Some(self.due.filter(|_| same).map_or(next, |due| due.min(next)));
        same
    }

    /// Brings the next look forward, the less the more often that was done.
    fn stirred(&mut self, targets: u32) {
        self.is_outdated = self.running;
        let (None, Some(looked), Some(due)) = (self.missing, self.looked, self.due) else { return };
        let next = (looked + self.soon * targets).max(Instant::now() + REST);
        if next < due {
            self.due = Some(next);
            self.soon = (self.soon * 2).min(INTERVAL);
        }
    }

    /// What a report says: of a failure the cause that was seen when there still was one to be seen.
    fn with_what_was_known(&mut self, found: Explanation, closes: bool, is_blind: bool) -> Explanation {
        let is_better = closes && !found.is_seen && (is_blind || self.failed);
        let found = match &self.known {
            Some(known) if is_better => known.as_remembered(found),
            Some(known) if found.is_end => found.with_log_of(known),
            _ => found,
        };
        // Of a selector it may be another object's.
        if found.is_end && self.target.is_named() {
            self.known = Some(found.clone());
        }
        found
    }

    fn learned(&mut self, pause: Duration, targets: u32) {
        let now = Instant::now();
        self.looked = Some(now);
        self.due = match self.missing {
            _ if self.reason.is_none() || self.report == Report::Closing || self.failed => None,
            // Names are asked for once; then only whether it is a hook that cannot run.
            Some(since) => Some(since + LONG_MISSING).filter(|at| *at > now),
            None => Some(now + pause.min(self.pause * targets)),
        };
        self.pause = (self.pause * 2).min(REFUSED);
    }
}
