//! What a person or a program sees while it waits: lines with what they are about, in groundnuty's `[time] text` look or
//! as JSON.
//!
//! Pure: statuses and changes in, lines out. Where they are written, and when, is not known here.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::api::watch::{Method, NoWatch};
use crate::diagnose::explain::Explanation;
use crate::follow::Step;
use crate::outcome::{self, Outcome};
use crate::status::Status;
use crate::target::Target;
use crate::target::verdict::{Quorum, Verdict};
use crate::text::harmless;

/// One thing that is said.
#[derive(Debug, Clone)]
pub struct Line {
    topic: Topic,
    /// what it is about, none if it is the whole wait
    target: Option<Target>,
    state: &'static str,
    reason: Option<String>,
    text: String,
    exit_code: Option<i32>,
    /// part of how it ended
    is_end: bool,
}

/// Why something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Topic {
    /// what is waited for
    Start,
    /// a target stands otherwise than before
    Change,
    /// why it is not ready, in other words
    Explanation,
    /// every 30 s
    Heartbeat,
    /// something worth knowing that changes nothing
    Remark,
    /// the API does not answer, or answers again
    Outage,
    /// part of the report on a bad end
    Report,
    /// a line of a container's log, in that report
    Log,
    /// how it ended
    End,
    /// the Role that would have allowed it, after the end
    Remedy,
}

/// How lines are written.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// one object a line
    pub json: bool,
    /// only a bad end
    pub quiet: bool,
    /// states in colours; they are words, too
    pub color: bool,
}

/// A line of `--output json`. Fields are added, never changed; those that say nothing are left out.
///
/// | field | what it says |
/// | --- | --- |
/// | `time` | when, in UTC: `2026-11-21T12:00:00.123Z` |
/// | `event` | `start`, `change`, `explanation`, `heartbeat`, `remark`, `outage`, `report`, `log`, `end` or `remedy` |
/// | `target` | `job/migrate`; left out where the line is about the whole wait |
/// | `namespace` | of the target; left out for all namespaces |
/// | `state` | of the target: `ready`, `waiting`, `failed`, or `unknown` before the first answer; of the wait: `waiting`, and at its end `ready`, `failed`, `denied`, `invalid`, `configuration`, `deadline`, `interrupted` or `terminated` |
/// | `reason` | one word for programs, as in `NotFound` or `BackoffLimitExceeded`; not for `ready` |
/// | `message` | one line for people |
/// | `elapsed` | seconds since the start |
/// | `exit_code` | with `end` |
#[derive(Serialize)]
struct Json<'a> {
    time: String,
    event: Topic,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    message: &'a str,
    elapsed: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

impl Style {
    /// The line's text, without a line end; none if it is not to be said.
    pub fn write(self, line: &Line, now: SystemTime, elapsed: Duration) -> Option<String> {
        if self.quiet && !line.is_bad_end() {
            return None;
        }
        Some(if self.json { line.json(now, elapsed) } else { self.plain(line, now, elapsed) })
    }

    fn plain(self, line: &Line, now: SystemTime, elapsed: Duration) -> String {
        if line.topic == Topic::Remedy {
            return format!("hint: this would allow it: kubectl apply -f - <<END\n{}END", line.text);
        }
        let time = humantime::format_rfc3339_seconds(now);
        let about = line.target.as_ref().map(|target| format!("{target}: ")).unwrap_or_default();
        let text = line.text.clone();
        let state = colored(line.state, line.state, self.color);
        let text = match line.topic {
            Topic::Change if text.is_empty() => state,
            Topic::Change => format!("{state}: {text}"),
            Topic::Heartbeat => format!("still waiting after {}: {text}", seconds(elapsed)),
            Topic::End => colored(&text, line.state, self.color),
            _ => text,
        };
        format!("[{time}] {about}{text}")
    }
}

/// Green is ready, yellow may become so, red will not.
pub fn colored(text: &str, state: &str, color: bool) -> String {
    let code = match state {
        "ready" => 32,
        "waiting" | "unknown" => 33,
        _ => 31,
    };
    if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

impl Line {
    /// Whether it tells how a wait ended badly.
    pub fn is_bad_end(&self) -> bool {
        self.is_end && self.exit_code != Some(0)
    }

    fn of_wait(topic: Topic, state: &'static str, text: &str) -> Self {
        Self { topic, target: None, state, reason: None, text: harmless(text), exit_code: None, is_end: false }
    }

    fn of(topic: Topic, target: &Target, verdict: Option<&Verdict>, text: impl AsRef<str>) -> Self {
        let reason = verdict.and_then(Verdict::reason).map(|reason| harmless(&reason.code.to_string()));
        Self {
            topic,
            target: Some(target.clone()),
            state: state(verdict),
            reason,
            text: harmless(text.as_ref()),
            exit_code: None,
            is_end: false,
        }
    }

    fn json(&self, now: SystemTime, elapsed: Duration) -> String {
        let json = Json {
            time: humantime::format_rfc3339_millis(now).to_string(),
            event: self.topic,
            target: self.target.as_ref().map(Target::to_string),
            namespace: self.target.as_ref().and_then(Target::namespace),
            state: self.state,
            reason: self.reason.as_deref(),
            message: &self.text,
            elapsed: rounded(elapsed).as_secs_f64(),
            exit_code: self.exit_code,
        };
        serde_json::to_string(&json).expect("texts and numbers are JSON")
    }
}

fn state(verdict: Option<&Verdict>) -> &'static str {
    match verdict {
        None => "unknown",
        Some(Verdict::Ready) => "ready",
        Some(Verdict::Waiting(_)) => "waiting",
        Some(Verdict::Failed(_)) => "failed",
    }
}

/// What is waited for, said once at the start.
pub fn opening(targets: &[Target], quorum: Quorum, timeout: Option<Duration>) -> Line {
    let names: Vec<String> = targets.iter().map(placed).collect();
    let joint = if quorum == Quorum::Any { " or " } else { ", " };
    let limit = match timeout {
        None => String::new(),
        Some(Duration::ZERO) => ", looking once".to_owned(),
        Some(limit) => format!(", at most {}", humantime::format_duration(limit)),
    };
    Line::of_wait(Topic::Start, "waiting", &format!("waiting for {}{limit}", names.join(joint)))
}

/// `job/migrate in namespace shop`
fn placed(target: &Target) -> String {
    match target.namespace() {
        Some(namespace) => format!("{target} in namespace {namespace}"),
        None => format!("{target} in all namespaces"),
    }
}

/// A change of one target, if it is worth a line. Outages are told by their beginning, their length and their end, not
/// attempt by attempt.
pub fn change(status: &Status, step: &Step) -> Option<Line> {
    let target = &status.target;
    let remark = |text: &str| Line::of(Topic::Remark, target, status.verdict.as_ref(), text);
    match step {
        Step::Verdict(verdict) => Some(changed(target, verdict)),
        Step::Method(method, plural) => Some(remark(&method_text(method, plural))),
        Step::Remark(text) => Some(remark(text)),
        _ => None,
    }
}

/// How a target stands now.
pub fn present(status: &Status) -> Option<Line> {
    status.verdict.as_ref().map(|verdict| changed(&status.target, verdict))
}

fn changed(target: &Target, verdict: &Verdict) -> Line {
    let text = verdict.reason().map_or("", |reason| &reason.text);
    Line::of(Topic::Change, target, Some(verdict), text)
}

fn method_text(method: &Method, plural: &str) -> String {
    match method {
        Method::Watch => format!("watching {plural} now, changes are seen at once"),
        Method::List(NoWatch::Broken(failure)) => {
            format!("polling by list: {plural} can be listed, but not watched ({failure})")
        }
        Method::List(_) => {
            format!("polling by list: not permitted to watch {plural}; with `watch` changes are seen at once")
        }
        Method::Get(NoWatch::TooOld) => {
            let why = "are too old to be watched without `list`, with it changes are seen at once";
            format!("polling by get: these {plural} {why}")
        }
        Method::Get(_) => {
            format!("polling by get: not permitted to list {plural}; with `list` and `watch` changes are seen at once")
        }
    }
}

/// What has come to be known of the reason.
pub fn explanation(status: &Status, text: &str) -> Line {
    Line::of(Topic::Explanation, &status.target, status.verdict.as_ref(), text)
}

/// Something about the whole wait that changes nothing.
pub fn remark(text: impl AsRef<str>) -> Line {
    Line::of_wait(Topic::Remark, "waiting", text.as_ref())
}

/// That it still waits, and for what; one line however many targets there are. Nothing where their outage is told.
pub fn heartbeat(statuses: &[Status]) -> Option<Line> {
    let mut waiting = statuses.iter().filter(|status| status.outage.is_none() && !status.is_ready());
    let first = waiting.next()?;
    let others = waiting.count();
    if statuses.len() == 1 {
        return Some(Line::of(Topic::Heartbeat, &first.target, first.verdict.as_ref(), blockage(first)));
    }
    let ready = statuses.iter().filter(|status| status.is_ready()).count();
    let more = if others > 0 { format!("; and {others} more") } else { String::new() };
    let text = format!("{ready} of {} ready; waiting for {}: {}{more}", statuses.len(), first.target, blockage(first));
    Some(Line::of_wait(Topic::Heartbeat, "waiting", &text))
}

/// Why the whole wait goes on.
pub fn whole_blockage(statuses: &[Status]) -> Option<String> {
    let open = statuses.iter().filter(|status| !status.is_ready());
    let texts: Vec<String> = open.map(|it| format!("{}: {}", it.target, blockage(it))).collect();
    (!texts.is_empty()).then(|| harmless(&format!("waiting for {}", texts.join("; "))))
}

/// The reason and what is behind it, in one sentence.
pub fn blockage(status: &Status) -> String {
    joined([verdict_text(status), status.explanation.headline.clone(), outage_text(status)])
}

fn verdict_text(status: &Status) -> Option<String> {
    status.verdict.as_ref().and_then(Verdict::reason).map(|reason| reason.text.clone())
}

fn outage_text(status: &Status) -> Option<String> {
    status.outage.as_ref().map(|outage| outage.failure.text.clone())
}

fn joined(texts: impl IntoIterator<Item = Option<String>>) -> String {
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    if texts.is_empty() { "no answer from the API server yet".to_owned() } else { texts.join("; ") }
}

/// An outage of one target's requests: when it begins, and every 30 s.
pub fn outage(status: &Status, text: &str, lasted: Duration) -> Line {
    let lasts = if lasted < Duration::from_secs(1) { String::new() } else { format!("for {} now, ", seconds(lasted)) };
    let text = format!("{text}; {lasts}trying again");
    Line::of(Topic::Outage, &status.target, status.verdict.as_ref(), text)
}

/// The end of an outage.
pub fn recovery(status: &Status, lasted: Duration) -> Line {
    let text = format!("the API server answers again, after {}", seconds(lasted));
    Line::of(Topic::Outage, &status.target, status.verdict.as_ref(), text)
}

/// `8s`, `2m 5s`: whole seconds, at least one.
fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs().max(1))).to_string()
}

/// The report on a bad end: of each target in question what is known of the reason, and the end of a log.
pub fn report(outcome: &Outcome, statuses: &[Status]) -> Vec<Line> {
    let lines = in_question(outcome, statuses).into_iter().flat_map(of_failure);
    lines.map(|line| Line { is_end: true, ..line }).collect()
}

/// What is known of the reason of one target, and the end of a log.
pub fn of_failure(status: &Status) -> Vec<Line> {
    let line = |topic, text: &str| Line::of(topic, &status.target, status.verdict.as_ref(), text);
    let Explanation { log, .. } = &status.explanation;
    let lines = status.explanation.lines().map(|text| line(Topic::Report, text));
    lines.chain(log.iter().map(|text| line(Topic::Log, text))).collect()
}

/// The targets that have brought this end about.
fn in_question<'a>(outcome: &Outcome, statuses: &'a [Status]) -> Vec<&'a Status> {
    let blamed = |status: &&Status| match outcome {
        Outcome::Failed => status.is_failed(),
        Outcome::Deadline => !status.is_ready(),
        _ => false,
    };
    statuses.iter().filter(blamed).collect()
}

/// The report as the pod's own status has room for it: the closing line, every reason, the details; and the log.
pub fn message(outcome: &Outcome, statuses: &[Status], closing: &Line) -> (Vec<String>, Vec<String>) {
    let blamed = in_question(outcome, statuses);
    let about = |status: &Status, text: &str| harmless(&format!("{}: {text}", status.target));
    let mut lines = vec![closing.text.clone()];
    let headlines = blamed.iter().filter_map(|it| Some(about(it, it.explanation.headline.as_deref()?)));
    lines.extend(headlines);
    for status in &blamed {
        let Explanation { details, hints, .. } = &status.explanation;
        lines.extend(details.iter().chain(hints).map(|text| about(status, text)));
    }
    let logs = blamed.iter().flat_map(|status| status.explanation.log.iter().map(|line| harmless(line)));
    (lines, logs.collect())
}

/// The YAML of a Role for a wait that was denied. It is our own text: its lines stay lines.
pub fn role(yaml: &str) -> Line {
    Line { is_end: true, text: yaml.to_owned(), ..Line::of_wait(Topic::Remedy, "denied", "") }
}

/// The last line: how it ended, how long that took, and what every target was waiting for if it did not end well.
pub fn closing(outcome: &Outcome, statuses: &[Status], lasted: Duration) -> Line {
    let after = format!("after {}", humantime::format_duration(rounded(lasted)));
    // What is behind a reason has lines of its own in a report.
    let bare = unmet(statuses, |status| joined([verdict_text(status), outage_text(status)]));
    let (state, text) = match outcome {
        Outcome::Ready => ("ready", format!("done {after}")),
        Outcome::Failed => ("failed", format!("failed {after}{bare}")),
        Outcome::Denied => ("denied", format!("the API refuses what this wait needs {after}{bare}")),
        Outcome::Invalid(text) => ("invalid", format!("error: {text}")),
        Outcome::Deadline => ("deadline", format!("deadline passed {after}{bare}")),
        Outcome::NotYet => ("deadline", format!("not ready, looked once {after}{bare}")),
        Outcome::Interrupted => ("interrupted", format!("interrupted (SIGINT) {after}{}", unmet(statuses, blockage))),
        Outcome::Terminated => ("terminated", format!("terminated (SIGTERM) {after}{}", unmet(statuses, blockage))),
    };
    end(outcome.code(), state, &text)
}

/// The last line of a wait that never began: a usage error, or a configuration that a person has to mend.
pub fn refusal(code: i32, text: &str) -> Line {
    let state = if code == outcome::USAGE { "invalid" } else { "configuration" };
    end(code, state, &text.replace('\n', "; "))
}

fn end(code: i32, state: &'static str, text: &str) -> Line {
    Line { exit_code: Some(code), is_end: true, ..Line::of_wait(Topic::End, state, text) }
}

/// Milliseconds are of interest in the first seconds only.
fn rounded(duration: Duration) -> Duration {
    let unit = if duration < Duration::from_secs(10) { 1 } else { 1000 };
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(milliseconds / unit * unit)
}

fn unmet(statuses: &[Status], why: impl Fn(&Status) -> String) -> String {
    let unmet = statuses.iter().filter(|status| !status.is_ready());
    let texts: Vec<String> = unmet.map(|status| format!("{}: {}", status.target, why(status))).collect();
    if texts.is_empty() { String::new() } else { format!(": {}", texts.join("; ")) }
}

/// One line of the live view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `waiting`
    pub state: &'static str,
    /// `job/migrate`
    pub target: String,
    /// the reason, or nothing
    pub text: String,
}

/// The live view: one row for each target.
pub fn rows(statuses: &[Status]) -> Vec<Row> {
    let row = |status: &Status| {
        let text = if status.is_ready() { String::new() } else { harmless(&blockage(status)) };
        Row { state: state(status.verdict.as_ref()), target: status.target.to_string(), text }
    };
    statuses.iter().map(row).collect()
}
