//! What a person sees while it waits: one line for every change, in groundnuty's `[time] text` look.
//!
//! Pure text: standings and changes in, lines out. Where they are written, and when, is not known here.

use std::time::{Duration, SystemTime};

use crate::observe::Step;
use crate::outcome::Outcome;
use crate::target::Target;
use crate::verdict::{Quorum, Verdict};
use crate::wait::Standing;
use crate::watch::Way;

/// A line with its time, in UTC.
pub fn stamped(now: SystemTime, text: &str) -> String {
    format!("[{}] {text}", humantime::format_rfc3339_seconds(now))
}

/// What is waited for, said once at the start.
pub fn opening(targets: &[Target], quorum: Quorum, timeout: Option<Duration>) -> String {
    let names: Vec<String> = targets.iter().map(placed).collect();
    let joint = if quorum == Quorum::Any { " or " } else { ", " };
    let limit = match timeout {
        None => String::new(),
        Some(Duration::ZERO) => ", looking once".to_owned(),
        Some(limit) => format!(", at most {}", humantime::format_duration(limit)),
    };
    format!("waiting for {}{limit}", names.join(joint))
}

/// `job/migrate in namespace shop`
fn placed(target: &Target) -> String {
    match target.namespace() {
        Some(namespace) => format!("{target} in namespace {namespace}"),
        None => format!("{target} in all namespaces"),
    }
}

/// A change of one target, if it is worth a line.
pub fn change(target: &Target, step: &Step) -> Option<String> {
    match step {
        Step::Verdict(Verdict::Ready) => Some(format!("{target}: ready")),
        Step::Verdict(Verdict::Waiting(reason)) => Some(format!("{target}: waiting: {}", reason.text)),
        Step::Verdict(Verdict::Failed(reason)) => Some(format!("{target}: failed: {}", reason.text)),
        Step::Way(way, resource) => Some(format!("{target}: {}", way_text(*way, resource.plural))),
        Step::Remark(text) => Some(format!("{target}: {text}")),
        // Outages are told by their beginning, their length and their end, not attempt by attempt.
        Step::Subjects(_) | Step::Trouble(_) | Step::Recovered => None,
    }
}

fn way_text(way: Way, plural: &str) -> String {
    match way {
        Way::Watch => format!("watching {plural} now, changes are seen at once"),
        Way::List => format!("polling by list: not permitted to watch {plural}; with `watch` changes are seen at once"),
        Way::Get => {
            format!("polling by get: not permitted to list {plural}; with `list` and `watch` changes are seen at once")
        }
    }
}

/// An outage of one target's requests: when it begins, and every 30 s.
pub fn outage(target: &Target, text: &str, lasted: Duration) -> String {
    if lasted < Duration::from_secs(1) {
        return format!("{target}: {text}; trying again");
    }
    format!("{target}: {text}; for {} now, trying again", seconds(lasted))
}

/// The end of an outage.
pub fn recovery(target: &Target, lasted: Duration) -> String {
    format!("{target}: the API server answers again, after {}", seconds(lasted))
}

/// `8s`, `2m 5s`: whole seconds, at least one.
pub fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs().max(1))).to_string()
}

/// The last line: how it ended, how long that took, and what every target was waiting for if it did not end well.
pub fn closing(outcome: &Outcome, standings: &[Standing], lasted: Duration) -> String {
    let after = format!("after {}", humantime::format_duration(rounded(lasted)));
    let text = match outcome {
        Outcome::Ready => return format!("done {after}"),
        Outcome::Failed => "failed",
        Outcome::Denied => "the API refuses what this wait needs",
        Outcome::Invalid(text) => return format!("error: {text}"),
        Outcome::Deadline => "deadline passed",
        Outcome::NotYet => "not ready, looked once",
        Outcome::Interrupted => "interrupted (SIGINT)",
        Outcome::Terminated => "terminated (SIGTERM)",
    };
    let open: Vec<String> = standings.iter().filter_map(unmet).collect();
    let list = if open.is_empty() { String::new() } else { format!(": {}", open.join("; ")) };
    format!("{text} {after}{list}")
}

/// Milliseconds are of interest in the first seconds only.
fn rounded(duration: Duration) -> Duration {
    let unit = if duration < Duration::from_secs(10) { 1 } else { 1000 };
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(milliseconds / unit * unit)
}

fn unmet(standing: &Standing) -> Option<String> {
    let target = &standing.target;
    let verdict = match &standing.verdict {
        Some(Verdict::Ready) => return None,
        Some(verdict) => verdict.reason().map(|reason| reason.text.clone()),
        None => None,
    };
    let trouble = standing.trouble.as_ref().map(|trouble| trouble.failure.text.clone());
    let texts: Vec<String> = verdict.into_iter().chain(trouble).collect();
    let text = if texts.is_empty() { "no answer from the API server yet".to_owned() } else { texts.join("; ") };
    Some(format!("{target}: {text}"))
}
