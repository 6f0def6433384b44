//! The book of outages: when one begins, how often it is told, and when a refusal is the end.
//!
//! One line for an outage, not one for each target: they all ask the same API server. A refusal is a target's own.

use std::time::Duration;

use tokio::time::Instant;

use super::REMINDER;
use crate::api::failure::{Class, Failure};
use crate::output::lines;
use crate::output::style::Line;
use crate::status::{Outage, Status};
use crate::target::rules::Rules;
use crate::target::verdict::{Quorum, Verdict};

/// Takes note of a failure; a line where it begins an outage. `is_told` says that another target's line tells of it.
pub fn note(status: &mut Status, failure: &Failure, is_told: bool) -> Option<Line> {
    let now = Instant::now();
    let is_refusal = failure.is_refusal();
    let unconnected = u32::from(failure.class == Class::Unconnected { refused: true });
    let earlier = status.outage.take();
    // From an outage to a refusal, or back, is another matter, which another person has to mend.
    let has_turned = earlier.as_ref().is_none_or(|earlier| earlier.failure.is_refusal() != is_refusal);
    // What is wrong for good is the end itself.
    let tells = has_turned && (is_refusal || !is_told) && failure.class != Class::Invalid;
    let outage = earlier.unwrap_or_else(|| Outage {
        failure: failure.clone(),
        since: now,
        denied_since: None,
        told: false,
        next_line: now + REMINDER,
        refusals: 0,
    });
    let since = outage.since;
    status.outage = Some(Outage {
        failure: failure.clone(),
        denied_since: outage.denied_since.or(is_refusal.then_some(now)),
        told: tells || outage.told,
        refusals: (outage.refusals + 1) * unconnected,
        ..outage
    });
    tells.then(|| lines::outage(status, &failure.text, now - since))
}

/// Takes note that the API answers again; a line where one told of the outage.
pub fn end(status: &mut Status) -> Option<Line> {
    let outage = status.outage.take().filter(|outage| outage.told)?;
    Some(lines::recovery(status, outage.since.elapsed()))
}

/// Whether a line tells of the outage that all have in common.
pub fn is_told(statuses: &[Status]) -> bool {
    outages(statuses).any(|outage| outage.told && !outage.failure.is_refusal())
}

/// The lines that are due now.
pub fn remind(statuses: &mut [Status]) -> Vec<Line> {
    let now = Instant::now();
    let mut is_told = is_told(statuses);
    let mut due = Vec::new();
    for status in statuses {
        let Some(outage) = status.outage.as_mut().filter(|outage| outage.next_line <= now) else { continue };
        outage.next_line = now + REMINDER;
        // Where the one that told of it has recovered, the next one does.
        outage.told |= !is_told || outage.failure.is_refusal();
        if outage.told {
            is_told = true;
            let (text, lasted) = (outage.failure.text.clone(), outage.since.elapsed());
            due.push(lines::outage(status, &text, lasted));
        }
    }
    due
}

/// When something is due without a step: a reminder, or the end of a grace.
pub fn alarm(statuses: &[Status], grace: Duration) -> Option<Instant> {
    let end = |outage: &Outage| outage.denied_since.map(|since| since + grace).filter(|at| *at > Instant::now());
    outages(statuses).flat_map(|outage| [Some(outage.next_line), end(outage)]).flatten().min()
}

/// Whether the API has refused for at least `grace`, and still does: one target is enough where all are needed; with
/// `Any` only when no target can win any more.
pub fn is_denied(rules: &Rules, statuses: &[Status], grace: Duration) -> bool {
    let refused = |status: &Status| {
        let since = status.outage.as_ref().filter(|it| it.failure.is_refusal()).and_then(|it| it.denied_since);
        since.is_some_and(|since| since.elapsed() >= grace)
    };
    match rules.quorum {
        Quorum::All => statuses.iter().any(refused),
        Quorum::Any => {
            let lost = |it: &&Status| match &it.verdict {
                Some(verdict @ Verdict::Failed(_)) => !(rules.outlives_failure() && verdict.is_failure_of_its_own()),
                _ => false,
            };
            !statuses.is_empty() && statuses.iter().filter(|it| !lost(it)).all(refused)
        }
    }
}

fn outages(statuses: &[Status]) -> impl Iterator<Item = &Outage> {
    statuses.iter().filter_map(|status| status.outage.as_ref())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli;

    fn statuses(line: &str) -> Vec<Status> {
        let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
        cli::wait(words).expect(line).targets.into_iter().map(Status::new).collect()
    }

    fn down() -> Failure {
        Failure::transient("the API server returned 503")
    }

    fn denied() -> Failure {
        Failure { class: Class::Denied, ..Failure::transient("forbidden") }
    }

    fn note_at(statuses: &mut [Status], index: usize, failure: &Failure) -> Option<String> {
        let is_told = is_told(statuses);
        note(&mut statuses[index], failure, is_told).map(|line| line.text)
    }

    #[tokio::test(start_paused = true)]
    async fn outage_of_many_targets_is_told_once_and_its_end_too() {
        let mut statuses = statuses("pod a b c");
        let said: Vec<_> = (0..3).map(|index| note_at(&mut statuses, index, &down())).collect();
        assert_eq!(said, [Some("the API server returned 503; retrying".to_owned()), None, None]);
        assert_eq!(note_at(&mut statuses, 0, &down()), None, "attempt by attempt");
        tokio::time::advance(Duration::from_secs(8)).await;
        let ends: Vec<_> = statuses.iter_mut().map(|status| end(status).map(|line| line.text)).collect();
        assert_eq!(ends, [Some("the API server responds again after 8s".to_owned()), None, None]);
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_is_a_targets_own() {
        let mut statuses = statuses("pod a b");
        let said: Vec<_> = (0..2).map(|index| note_at(&mut statuses, index, &denied())).collect();
        assert_eq!(said.iter().flatten().count(), 2);
        assert!(note_at(&mut statuses, 0, &down()).is_some(), "another matter than before");
    }

    #[tokio::test(start_paused = true)]
    async fn outage_is_told_again_every_30_s() {
        let mut statuses = statuses("pod a b");
        note_at(&mut statuses, 0, &down());
        note_at(&mut statuses, 1, &down());
        let mut told = Vec::new();
        for second in 1..=95 {
            tokio::time::advance(Duration::from_secs(1)).await;
            let due = alarm(&statuses, Duration::from_mins(1)).is_some_and(|alarm| alarm <= Instant::now());
            let lines = remind(&mut statuses);
            assert_eq!(due, second % 30 == 0, "the alarm rings when something is due: {second}");
            told.extend(lines.into_iter().map(|line| (second, line.text)));
        }
        let at =
            |second: u64, lasted: &str| (second, format!("the API server returned 503; retrying ({lasted} so far)"));
        assert_eq!(told, [at(30, "30s"), at(60, "1m"), at(90, "1m 30s")], "by one of them");
    }

    #[tokio::test(start_paused = true)]
    async fn grace_begins_with_the_first_refusal_and_rings() {
        let mut statuses = statuses("pod a");
        note_at(&mut statuses, 0, &down());
        tokio::time::advance(Duration::from_secs(20)).await;
        note_at(&mut statuses, 0, &denied());
        let grace = Duration::from_secs(5);
        assert_eq!(alarm(&statuses, grace), Some(Instant::now() + grace));
        tokio::time::advance(grace).await;
        // An outage in between is no success.
        note_at(&mut statuses, 0, &down());
        note_at(&mut statuses, 0, &denied());
        let rules = cli::wait(["k8s-wait-for", "pod", "a"].map(OsString::from)).expect("a wait").rules;
        assert!(is_denied(&rules, &statuses, grace));
        end(&mut statuses[0]);
        note_at(&mut statuses, 0, &denied());
        assert!(!is_denied(&rules, &statuses, grace), "a success begins it anew");
    }

    #[tokio::test(start_paused = true)]
    async fn refused_connections_are_counted_in_a_row() {
        let mut statuses = statuses("pod a");
        let refused = Failure { class: Class::Unconnected { refused: true }, ..down() };
        let mut counts = Vec::new();
        for failure in [&refused, &refused, &down(), &refused] {
            note_at(&mut statuses, 0, failure);
            counts.push(statuses[0].outage.as_ref().expect("an outage").refusals);
        }
        assert_eq!(counts, [1, 2, 0, 1]);
    }
}
