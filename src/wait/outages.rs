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
    let has_turned = earlier.as_ref().is_none_or(|earlier| earlier.failure.is_refusal() != is_refusal);
    let tells = has_turned && (is_refusal || !is_told);
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
