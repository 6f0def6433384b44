//! Evidence → lines: why a target is not ready, in words for people who do not know this tool.
//!
//! Pure: no client, no clock. Every part of the evidence may be missing; what remains is said. Most important first,
//! because a termination message is cut at its end.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use crate::kinds;
use crate::kinds::object::Event;
use crate::kinds::pod::Pod;
use crate::target::{Scope, Target};
use crate::text::{count, cut, without_escapes};

mod cause;
mod earlier;
mod missing;
mod near;
mod pod;

use self::pod::Finding;

pub use earlier::last_words;
pub use missing::{Instead, Names, NoNamespace, Own};
pub use near::Near;
pub use pod::{Run, has_crashed, run_in_question, subject};

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
    /// where no pod is behind a Service, what its selector may have meant
    pub near: Option<Near>,
    /// what an earlier run of this very container left as its last words about the target
    pub earlier: Vec<String>,
    /// what could not be looked at, and why
    pub gaps: Vec<String>,
}

/// The end of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub run: Run,
    /// as it came: control characters and lines of any length in it
    pub text: String,
}

impl Evidence {
    /// Without what programs have written: logs, events, and what other containers leave at their end may hold secrets.
    pub fn redact(&mut self) {
        (self.log, self.earlier) = (None, Vec::new());
        self.events.iter_mut().for_each(|event| event.message.clear());
        self.pods.iter_mut().for_each(pod::redact);
    }
}

/// What is said about a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// the reason in one sentence
    pub headline: Option<String>,
    /// whether it is about a pod that was seen
    pub is_seen: bool,
    /// whether it says how a container ended, which stays true when its pod is gone
    pub is_end: bool,
    /// the raw state of what the headline is about
    pub states: Vec<String>,
    /// the end of its log
    pub log: Option<LogLines>,
    /// other pods, and the newest warnings
    pub others: Vec<String>,
    /// what can be done
    pub hints: Vec<String>,
    /// what could not be looked at, and what would allow it
    pub gaps: Vec<String>,
}

/// The end of a container's log, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLines {
    pub heading: String,
    /// without escape sequences, and short
    pub lines: Vec<String>,
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
    let log = evidence.log.as_ref().and_then(log_lines);
    let gaps = evidence.gaps.clone();
    if let Some(missing) = &evidence.missing {
        let hints = missing::hint(target, missing).into_iter().collect();
        let headline = missing::headline(target, missing);
        return Explanation { headline, hints, gaps, ..Explanation::default() };
    }
    let findings = pod::findings(&evidence.pods, &evidence.events);
    let mut folded = fold(&evidence.events);
    // What a Job's controller says of the Job itself is its condition again, unless it cannot create pods.
    folded.retain(|event| !kinds::is_final(target) || event.kind != "Job" || event.reason == "FailedCreate");
    // What was said before the present run began is of an earlier one.
    let since = pod::subject(&evidence.pods).and_then(pod::running_since);
    let newest = folded.iter().find(|event| event.is_news_beside(&[]) && event.when >= since);
    let headline = match findings.as_slice() {
        [] if kinds::causes(target).is_none() => folded.first().map(|event| own_event(target, event)),
        [] => no_pods(target, evidence, &folded, newest).or_else(|| evidence.near.as_ref().and_then(near::headline)),
        [worst, others @ ..] => Some(worst_of(worst, others.len(), newest)),
    };
    if let (None, Some((first, more))) = (&headline, evidence.earlier.split_first()) {
        let headline = Some(format!("{}{first}", earlier::SAW));
        return Explanation { headline, states: more.to_vec(), gaps, ..Explanation::default() };
    }
    let states = findings.first().map_or_else(Vec::new, |worst| pod::states(worst.pod));
    let mut others: Vec<String> = findings.iter().skip(1).take(PODS - 1).map(|finding| finding.text.clone()).collect();
    // Events repeat what the status says, in other letters: only what is new is told.
    let said: Vec<String> = headline.iter().chain(&states).chain(&others).map(|text| text.to_lowercase()).collect();
    others.extend(folded.iter().filter(|event| event.adds_to(&said)).take(EVENTS).map(event_line));
    let (is_seen, is_end) = (!findings.is_empty(), findings.first().is_some_and(Finding::is_end));
    Explanation { headline, is_seen, is_end, states, log, others, hints: Vec::new(), gaps }
}

impl Explanation {
    /// What this one says that another did not: the sentence and hints, not the details.
    pub fn news<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a str> {
        let headline = self.headline.as_deref().filter(|_| self.headline != before.headline);
        let hints = self.hints.iter().filter(|hint| !before.hints.contains(hint)).map(String::as_str);
        headline.into_iter().chain(hints)
    }

    /// What a gap leaves unsaid: all, or what is beside the sentence.
    pub fn without(&self, gap: &str) -> String {
        let what = if self.headline.is_some() { "more" } else { "why" };
        format!("cannot say {what}: {gap}")
    }

    /// The lines about what it names, before its log.
    pub fn head(&self) -> impl Iterator<Item = &String> {
        self.headline.iter().chain(&self.states)
    }

    /// Those after its log. What could not be looked at is told while it waits; in a report only where nothing else is
    /// known.
    pub fn tail(&self) -> impl Iterator<Item = String> {
        let gaps = self.gaps.iter().filter(|_| self.headline.is_none()).map(|gap| self.without(gap));
        self.others.iter().chain(&self.hints).cloned().chain(gaps)
    }

    /// This one, about what is gone by now, with the hints of a later one.
    pub fn as_remembered(&self, later: Self) -> Self {
        Self { hints: later.hints, gaps: later.gaps, ..self.clone() }
    }

    /// This one with the log of an earlier one, where its own is gone by now.
    pub fn with_log_of(self, earlier: &Self) -> Self {
        Self { log: self.log.or_else(|| earlier.log.clone()), ..self }
    }
}

/// The worst pod, how many more there are, and the newest warning where the pod's status alone explains little.
fn worst_of(worst: &Finding, others: usize, newest: Option<&Folded>) -> String {
    let more = if others > 0 { format!(" (and {})", count(others, "more pod")) } else { String::new() };
    let said = [worst.text.to_lowercase()];
    let newest = newest.filter(|event| worst.is_weak() && event.is_news_beside(&said));
    let warning = newest.map_or_else(String::new, |event| format!("; {}", event.said()));
    format!("{}{more}{warning}", worst.text)
}

/// A controller says by events why it cannot create pods: a quota, an admission policy, a missing account. Else the
/// newest warning is the best that there is.
fn no_pods(target: &Target, evidence: &Evidence, folded: &[Folded], newest: Option<&Folded>) -> Option<String> {
    let is_refusal = |event: &&Folded| event.reason == "FailedCreate" && event.kind == kinds::maker(target);
    let refused = folded.iter().find(is_refusal).filter(|_| evidence.pods.is_empty());
    if let Some(refused) = refused {
        return Some(format!("its pods cannot be created{}", refused.after(": ")));
    }
    let newest = newest?;
    let noun = if newest.kind == "Pod" { "pod" } else { newest.kind };
    Some(format!("{noun} {}: {}", newest.name, newest.said()))
}

/// What the newest event says of an object that nothing else explains.
fn own_event(target: &Target, event: &Folded) -> String {
    let place = if target.scope == Scope::All { format!("{}/", event.namespace) } else { String::new() };
    format!("{} {place}{}: {}", target.kind.noun(), event.name, event.said())
}

/// Events of one reason about one kind of object.
struct Folded<'a> {
    kind: &'a str,
    reason: &'a str,
    /// of the object that the newest is about
    namespace: &'a str,
    name: &'a str,
    times: i32,
    when: Option<Timestamp>,
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
                    when: newest.when(),
                    message: cause::event(&newest.reason, &newest.message),
                },
            ))
        })
        .collect();
    folded.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
    folded.into_iter().map(|(_, folded)| folded).collect()
}

impl Folded<'_> {
    /// `Node is not ready (NodeNotReady)`, or the reason alone.
    fn said(&self) -> String {
        if self.message.is_empty() { self.reason.to_owned() } else { format!("{} ({})", self.message, self.reason) }
    }

    /// The message behind these characters, if there is one.
    fn after(&self, separator: &str) -> String {
        if self.message.is_empty() { String::new() } else { format!("{separator}{}", self.message) }
    }

    /// Whether it is a warning that no rule over a pod's status knows.
    fn is_news_beside(&self, said: &[String]) -> bool {
        self.reason != "Unhealthy" && self.adds_to(said)
    }

    /// Whether it says more than what is said already, in lower case: a container's state, a pause that goes with it. A
    /// message of one word is the state's reason again.
    fn adds_to(&self, said: &[String]) -> bool {
        let message = self.message.trim_start_matches("Error: ").to_lowercase();
        let is_sentence = message.contains(' ') || message.is_empty();
        !matches!(self.reason, "" | "BackOff")
            && is_sentence
            && !said.iter().any(|text| !message.is_empty() && text.contains(&message))
    }
}

fn event_line(event: &Folded) -> String {
    let times = if event.times > 1 { format!(", {} times", event.times) } else { String::new() };
    let noun = if event.kind == "Pod" { "pod" } else { event.kind };
    format!("event {} of {noun} {}{times}{}", event.reason, event.name, event.after(": "))
}

/// The last lines, and short ones; nothing of an empty log.
fn log_lines(log: &Log) -> Option<LogLines> {
    let mut bytes = 0;
    let mut lines: Vec<String> = Vec::new();
    for line in log.text.lines().rev().take(LOG_LINES) {
        let line = log_line(line);
        bytes += line.len();
        if bytes > LOG_BYTES {
            break;
        }
        lines.push(line);
    }
    lines.reverse();
    let number = match lines.len() {
        0 => return None,
        1 => "line".to_owned(),
        number => format!("{number} lines"),
    };
    let Run { pod, container, is_previous } = &log.run;
    let run = if *is_previous { "the previous run of " } else { "" };
    Some(LogLines { heading: format!("last {number} from {run}container {container} of pod {pod}:"), lines })
}

/// What a progress bar overwrote with a carriage return is of no interest.
fn log_line(line: &str) -> String {
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    cut(&without_escapes(last), LOG_LINE)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use serde_json::{Value, json};

    use super::*;
    use crate::cli;

    fn shown(text: &str) -> Vec<String> {
        let run = Run { pod: "migrate-x7k2p".to_owned(), container: "migrate".to_owned(), is_previous: false };
        let log = log_lines(&Log { run, text: text.to_owned() });
        log.map_or_else(Vec::new, |log| [vec![log.heading], log.lines].concat())
    }

    #[test]
    fn a_log_is_its_last_lines_under_a_heading() {
        assert_eq!(shown(""), Vec::<String>::new());
        assert_eq!(shown("bye\n"), ["last line from container migrate of pod migrate-x7k2p:", "bye"]);
        let many: Vec<String> = (1..=30).map(|number| format!("step {number}")).collect();
        let lines = shown(&many.join("\n"));
        assert_eq!(lines[0], "last 20 lines from container migrate of pod migrate-x7k2p:");
        assert_eq!((lines[1].as_str(), lines[20].as_str()), ("step 11", "step 30"));
    }

    #[test]
    fn a_log_is_short_however_long_its_lines_are() {
        let text = format!("{}\n", "ü".repeat(1_000_000)).repeat(3);
        let lines = shown(&text);
        assert!(lines.iter().all(|line| line.chars().count() < 420), "{lines:?}");
        let wide = format!("{}\n", "w".repeat(399)).repeat(20);
        let bytes: usize = shown(&wide)[1..].iter().map(String::len).sum();
        assert!(bytes <= LOG_BYTES && bytes > LOG_BYTES - 400, "{bytes}");
    }

    #[test]
    fn escapes_and_what_was_overwritten_are_taken_out() {
        let table = [
            ("\u{1b}[1;31merror\u{1b}[0m: no", "error: no"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;https://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Bplain\u{1b}7", "plain"),
            ("10%\r20%\rdone\r", "done"),
            ("broken\u{1b}[", "broken"),
        ];
        for (line, plain) in table {
            assert_eq!(shown(line)[1], plain, "{line:?}");
        }
    }

    #[test]
    fn only_news_are_told_while_it_waits() {
        let before =
            Explanation { headline: Some("a".to_owned()), hints: vec!["h".to_owned()], ..Explanation::default() };
        let same = Explanation { others: vec!["d".to_owned()], ..before.clone() };
        assert_eq!(same.news(&before).count(), 0, "details are for the report");
        let other = Explanation { headline: Some("b".to_owned()), ..before.clone() };
        assert_eq!(other.news(&before).collect::<Vec<_>>(), ["b"]);
        assert_eq!(other.news(&Explanation::default()).collect::<Vec<_>>(), ["b", "h"]);
    }

    /// Name, exit code, second of its end.
    type Ended = (&'static str, i32, u32);

    /// A Job's pod with a container or sidecar for each of these.
    fn ended(containers: &[Ended]) -> Pod {
        let status = |(name, exit_code, second): &Ended| {
            let finished = format!("2026-01-01T00:00:{second:02}Z");
            json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated":
                {"exitCode": exit_code, "reason": "Error", "finishedAt": finished, "message": "canary"}}})
        };
        let (sidecars, main): (Vec<&Ended>, Vec<&Ended>) =
            containers.iter().partition(|(name, ..)| name.starts_with("proxy"));
        let list = |of: Vec<&Ended>| of.into_iter().map(status).collect::<Vec<Value>>();
        let init: Vec<Value> =
            sidecars.iter().map(|(name, ..)| json!({"name": name, "restartPolicy": "Always"})).collect();
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": "1", "controller": true});
        let pod = json!({"metadata": {"name": "a-x", "ownerReferences": [owner]}, "spec": {"initContainers": init},
            "status": {"phase": "Failed", "initContainerStatuses": list(sidecars), "containerStatuses": list(main)}});
        serde_json::from_value(pod).expect("a pod")
    }

    fn said(evidence: &Evidence) -> Explanation {
        explain(&cli::wait(["k8s-wait-for", "job", "a"].map(OsString::from)).expect("a wait").targets[0], evidence)
    }

    #[test]
    fn container_that_failed_by_itself_comes_before_those_that_were_told_to_end() {
        let table: [(&[Ended], &str); 3] = [
            (&[("proxy", 137, 9), ("migrate", 41, 5)], "migrate"),
            (&[("agent", 143, 6), ("migrate", 1, 5)], "migrate"),
            (&[("a", 1, 8), ("b", 2, 5)], "b"),
        ];
        for (containers, named) in table {
            let pods = vec![ended(containers)];
            let run = subject(&pods).and_then(run_in_question).expect("a run");
            let headline = said(&Evidence { pods, ..Evidence::default() }).headline.expect("a cause");
            assert!(headline.starts_with(&format!("container {named} of pod a-x failed")), "{headline}");
            assert_eq!(run.container, named);
        }
    }

    #[test]
    fn redacted_evidence_quotes_nothing_that_a_program_wrote() {
        let waiting = |reason: &str| {
            let status = json!({"name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 1,
                "state": {"waiting": {"reason": reason, "message": "canary"}},
                "lastState": {"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: \"canary\": no"}}});
            let pod =
                json!({"metadata": {"name": "a-x"}, "status": {"phase": "Running", "containerStatuses": [status]}});
            serde_json::from_value::<Pod>(pod).expect("a pod")
        };
        let event: Event = serde_json::from_value(json!({"reason": "Seen", "message": "a canary",
            "involvedObject": {"kind": "Pod", "name": "a-x"}, "type": "Warning"}))
        .expect("an event");
        for pod in [ended(&[("main", 1, 5)]), waiting("PostStartHookError"), waiting("RunContainerError")] {
            let mut evidence = Evidence { pods: vec![pod], events: vec![event.clone()], ..Evidence::default() };
            assert!(format!("{:?}", said(&evidence)).contains("canary"));
            evidence.redact();
            let told = said(&evidence);
            assert!(told.headline.is_some() && !format!("{told:?}").contains("canary"), "{told:?}");
        }
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
        let headline = "PersistentVolumeClaim data: waiting for first consumer to be created (WaitForFirstConsumer)";
        assert_eq!(said.headline.as_deref(), Some(headline), "without numbers, which would make it news each time");
        let event = "event ProvisioningFailed of PersistentVolumeClaim data, 4 times: storageclass \"none\" not found";
        assert_eq!(said.others, [event]);
        assert_eq!(explain(&target, &Evidence::default()), Explanation::default());
    }
}
