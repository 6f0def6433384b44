//! Evidence → lines: why a target is not ready, in words for people who do not know this tool.
//!
//! Pure: no client, no clock. Every part of the evidence may be missing; what remains is said. Most important first,
//! because a termination message is cut at its end.

use std::collections::BTreeMap;

use crate::kinds;
use crate::kinds::object::Event;
use crate::kinds::pod::Pod;
use crate::target::{Scope, Target};
use crate::text::{count, cut, without_escapes};

mod cause;
mod missing;
mod pod;

pub use missing::{Instead, Names, Own};
pub use pod::{container_in_question, subject};

/// What could be found out about a target that is not ready.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// the pods behind it that are not fine
    pub pods: Vec<Pod>,
    /// about its [`subject`], about the Job where there is no pod, or about objects of which only events tell
    pub events: Vec<Event>,
    /// of the container that matters most
    pub log: Option<Log>,
    /// instead of all that, where nothing is there
    pub missing: Option<Instead>,
    /// what could not be looked at, and why
    pub gaps: Vec<String>,
}

/// The end of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub pod: String,
    pub container: String,
    /// as it came: control characters and lines of any length in it
    pub text: String,
}

/// What is said about a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// the reason in one sentence
    pub headline: Option<String>,
    /// what else helps to mend it
    pub details: Vec<String>,
    /// what can be done, and what could not be looked at
    pub hints: Vec<String>,
    /// the end of a log under its heading
    pub log: Vec<String>,
}

/// How many pods are described one by one.
const PODS: usize = 5;
/// How many kinds of events are told.
const EVENTS: usize = 5;
/// The longest text that is passed on from elsewhere, in characters.
const TEXT: usize = 500;
/// Lines of a log that are shown.
pub const LOG_LINES: usize = 20;
/// The longest line of a log that is shown, in characters, and all lines together in bytes.
const LOG_LINE: usize = 400;
const LOG_BYTES: usize = 4096;

/// Says what the evidence shows.
pub fn explain(target: &Target, evidence: &Evidence) -> Explanation {
    let log = evidence.log.as_ref().map(log_lines).unwrap_or_default();
    let mut hints = evidence.gaps.clone();
    if let Some(missing) = &evidence.missing {
        hints.splice(0..0, missing::hint(target, missing));
        return Explanation { headline: missing::headline(target, missing), details: Vec::new(), hints, log };
    }
    let findings = pod::findings(&evidence.pods, &evidence.events);
    let folded = fold(&evidence.events);
    let headline = match findings.as_slice() {
        [] if kinds::causes(target).is_none() => folded.first().map(|event| own_event(target, event)),
        [] => no_pods(target, evidence, &folded),
        [worst] => Some(worst.text.clone()),
        [worst, others @ ..] => Some(format!("{} (and {})", worst.text, count(others.len(), "more pod"))),
    };
    let mut details: Vec<String> = findings.iter().skip(1).take(PODS - 1).map(|finding| finding.text.clone()).collect();
    details.extend(findings.first().map(|worst| pod::states(worst.pod)).unwrap_or_default());
    // Events repeat what the status says, in other letters: only what is new is told.
    let said: Vec<String> = headline.iter().chain(&details).map(|text| text.to_lowercase()).collect();
    details.extend(folded.iter().filter(|event| event.adds_to(&said)).take(EVENTS).map(event_line));
    Explanation { headline, details, hints, log }
}

impl Explanation {
    /// What this one says that another did not: the sentence and hints, not the details.
    pub fn news<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a str> {
        let headline = self.headline.as_deref().filter(|_| self.headline != before.headline);
        let hints = self.hints.iter().filter(|hint| !before.hints.contains(hint)).map(String::as_str);
        headline.into_iter().chain(hints)
    }

    /// The whole of it, most important first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let parts = [self.headline.as_slice(), &self.details, &self.hints];
        parts.into_iter().flatten().map(String::as_str)
    }
}

/// A controller says by events why it cannot create pods: a quota, an admission policy, a missing account.
fn no_pods(target: &Target, evidence: &Evidence, folded: &[Folded]) -> Option<String> {
    let refused = folded.iter().find(|event| event.reason == "FailedCreate" && event.kind == kinds::maker(target));
    let refused = refused.filter(|_| evidence.pods.is_empty())?;
    Some(format!("its pods cannot be created: {}", refused.message))
}

/// What the newest event says of an object that nothing else explains.
fn own_event(target: &Target, event: &Folded) -> String {
    let place = if target.scope == Scope::All { format!("{}/", event.namespace) } else { String::new() };
    format!("{} {place}{}: {} ({})", target.kind.noun(), event.name, event.message, event.reason)
}

/// Events of one reason about one kind of object.
struct Folded<'a> {
    kind: &'a str,
    reason: &'a str,
    /// of the object that the newest is about
    namespace: &'a str,
    name: &'a str,
    times: i32,
    /// of the newest
    message: String,
}

/// One entry for each reason, the newest first.
fn fold(events: &[Event]) -> Vec<Folded<'_>> {
    let mut by_reason: BTreeMap<(&str, &str), Vec<&Event>> = BTreeMap::new();
    for event in events {
        by_reason.entry((&event.involved_object.kind, &event.reason)).or_default().push(event);
    }
    let mut folded: Vec<_> = by_reason
        .into_iter()
        .filter_map(|((kind, reason), events)| {
            let newest = *events.iter().max_by_key(|event| event.when())?;
            let times = events.iter().map(|event| event.times()).sum();
            Some((
                newest.when(),
                Folded {
                    kind,
                    reason,
                    namespace: &newest.involved_object.namespace,
                    name: &newest.involved_object.name,
                    times,
                    message: cause::event(&newest.reason, &newest.message),
                },
            ))
        })
        .collect();
    folded.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
    folded.into_iter().map(|(_, folded)| folded).collect()
}

impl Folded<'_> {
    /// Whether it says more than what is said already, in lower case: a container's state, a pause that goes with it. A
    /// message of one word is the state's reason again.
    fn adds_to(&self, said: &[String]) -> bool {
        let message = self.message.trim_start_matches("Error: ").to_lowercase();
        self.reason != "BackOff" && message.contains(' ') && !said.iter().any(|text| text.contains(&message))
    }
}

fn event_line(event: &Folded) -> String {
    let times = if event.times > 1 { format!(", {} times", event.times) } else { String::new() };
    format!("event {}{times}: {}", event.reason, event.message)
}

/// The last lines, and short ones.
fn log_lines(log: &Log) -> Vec<String> {
    let mut bytes = 0;
    let mut lines: Vec<String> = Vec::new();
    for line in log.text.lines().rev().take(LOG_LINES) {
        let line = format!("| {}", log_line(line));
        bytes += line.len();
        if bytes > LOG_BYTES {
            break;
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Vec::new();
    }
    let number = if lines.len() == 1 { "line".to_owned() } else { format!("{} lines", lines.len()) };
    lines.push(format!("last {number} of container {} of pod {}:", log.container, log.pod));
    lines.reverse();
    lines
}

/// What a progress bar overwrote with a carriage return is of no interest.
fn log_line(line: &str) -> String {
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    cut(&without_escapes(last), LOG_LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        log_lines(&Log { pod: "migrate-x7k2p".to_owned(), container: "migrate".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn a_log_is_its_last_lines_under_a_heading() {
        assert_eq!(shown(""), Vec::<String>::new());
        assert_eq!(shown("bye\n"), ["last line of container migrate of pod migrate-x7k2p:", "| bye"]);
        let many: Vec<String> = (1..=30).map(|number| format!("step {number}")).collect();
        let lines = shown(&many.join("\n"));
        assert_eq!(lines[0], "last 20 lines of container migrate of pod migrate-x7k2p:");
        assert_eq!((lines[1].as_str(), lines[20].as_str()), ("| step 11", "| step 30"));
    }

    #[test]
    fn a_log_is_short_however_long_its_lines_are() {
        let text = format!("{}\n", "ü".repeat(1_000_000)).repeat(3);
        let lines = shown(&text);
        assert!(lines.iter().all(|line| line.chars().count() < 420), "{lines:?}");
        let wide = format!("{}\n", "w".repeat(399)).repeat(20);
        let bytes: usize = shown(&wide)[1..].iter().map(String::len).sum();
        assert!(bytes <= LOG_BYTES && bytes > LOG_BYTES - 402, "{bytes}");
    }

    #[test]
    fn escapes_and_what_was_overwritten_are_taken_out() {
        let table = [
            ("\u{1b}[1;31merror\u{1b}[0m: no", "| error: no"),
            ("\u{1b}]0;title\u{7}text", "| text"),
            ("\u{1b}]8;;https://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "| link"),
            ("\u{1b}(Bplain\u{1b}7", "| plain"),
            ("10%\r20%\rdone\r", "| done"),
            ("broken\u{1b}[", "| broken"),
        ];
        for (line, plain) in table {
            assert_eq!(shown(line)[1], plain, "{line:?}");
        }
    }

    #[test]
    fn only_news_are_told_while_it_waits() {
        let before =
            Explanation { headline: Some("a".to_owned()), hints: vec!["h".to_owned()], ..Explanation::default() };
        let same = Explanation { details: vec!["d".to_owned()], ..before.clone() };
        assert_eq!(same.news(&before).count(), 0, "details are for the report");
        let other = Explanation { headline: Some("b".to_owned()), ..before.clone() };
        assert_eq!(other.news(&before).collect::<Vec<_>>(), ["b"]);
        assert_eq!(other.news(&Explanation::default()).collect::<Vec<_>>(), ["b", "h"]);
    }

    #[test]
    fn newest_event_explains_what_has_no_pods() {
        use crate::kinds::pvc;
        use crate::target::{Demand, Selection};

        let event = |reason: &str, at: &str, message: &str| -> Event {
            let about = serde_json::json!({"kind": "PersistentVolumeClaim", "name": "data"});
            let event = serde_json::json!({"involvedObject": about, "reason": reason, "message": message,
                "lastTimestamp": at, "count": 4});
            serde_json::from_value(event).expect("an event")
        };
        let events = vec![
            event("ProvisioningFailed", "2026-01-01T00:00:00Z", "storageclass \"none\" not found"),
            event("WaitForFirstConsumer", "2026-01-01T00:01:00Z", "waiting for first consumer to be created"),
        ];
        let (kind, scope) = (pvc::ROW.kind.clone(), Scope::Namespace("shop".to_owned()));
        let target = Target { kind, demand: Demand::Every, scope, selection: Selection::default() };
        let said = explain(&target, &Evidence { events, ..Evidence::default() });
        let headline = "pvc data: waiting for first consumer to be created (WaitForFirstConsumer)";
        assert_eq!(said.headline.as_deref(), Some(headline), "without numbers, which would make it news each time");
        assert_eq!(said.details, ["event ProvisioningFailed, 4 times: storageclass \"none\" not found"]);
        assert_eq!(explain(&target, &Evidence::default()), Explanation::default());
    }
}
