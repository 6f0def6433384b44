//! What a person or a program sees while it waits: statuses and changes in, lines out.
//!
//! Pure. How lines are written is `style`'s, where and when they are is not known here.

use std::time::Duration;

use super::style::{Line, State, Topic};
use crate::api::watch::{Method, NoWatch};
use crate::diagnose::explain::{Explanation, LogLines};
use crate::follow::Step;
use crate::kinds;
use crate::outcome::{self, Outcome};
use crate::status::Status;
use crate::target::verdict::{Quorum, Verdict};
use crate::target::{Scope, Target};
use crate::text::{brief, harmless, seconds};

/// How many targets are named where all of them are meant.
const NAMED: usize = 20;
/// The same where the reason of each stands beside it.
const REASONS: usize = 5;

/// What is waited for, said once at the start; each namespace once.
pub fn opening(targets: &[Target], quorum: Quorum, timeout: Option<Duration>) -> Line {
    let joint = if quorum == Quorum::Any { " or " } else { ", " };
    let shown = &targets[..targets.len().min(NAMED)];
    let scopes = shown.iter().map(|target| &target.scope).fold(Vec::new(), |mut scopes, scope| {
        scopes.extend(Some(scope).filter(|scope| !scopes.contains(scope)));
        scopes
    });
    let groups = scopes.into_iter().map(|scope| {
        let names = shown.iter().filter(|target| target.scope == *scope).map(named);
        format!("{}{}", names.collect::<Vec<_>>().join(joint), place(scope))
    });
    let more = targets.len() - shown.len();
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let names = groups.collect::<Vec<_>>().join(if quorum == Quorum::Any { "; or " } else { "; " });
    let limit = match timeout {
        None => String::new(),
        Some(Duration::ZERO) => ", checking once".to_owned(),
        Some(limit) => format!(", for at most {}", humantime::format_duration(limit)),
    };
    Line::of_wait(Topic::Start, State::Waiting, &format!("waiting for {names}{more}{limit}"))
}

fn place(scope: &Scope) -> String {
    match scope {
        Scope::Namespace(namespace) => format!(" in namespace {namespace}"),
        Scope::Default | Scope::All => " in all namespaces".to_owned(),
        Scope::Cluster => String::new(),
    }
}

/// `job/migrate`, `secret/tls (--key tls.crt)`
fn named(target: &Target) -> String {
    let demand = kinds::demanded(target);
    if demand.is_empty() { target.to_string() } else { format!("{target} ({demand})") }
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
        Method::Watch => format!("now watching {plural}: changes show immediately"),
        Method::List(NoWatch::Broken(failure)) => {
            format!("polling by list: {plural} can be listed, but not watched ({failure})")
        }
        Method::List(_) => {
            format!("polling by list: watching {plural} is forbidden; `watch` would show changes immediately")
        }
        Method::Get(NoWatch::TooOld) => {
            format!(
                "polling by get: {plural} this old can be watched only with `list`, which would show changes immediately"
            )
        }
        Method::Get(_) => {
            format!("polling by get: listing {plural} is forbidden; `list` and `watch` would show changes immediately")
        }
    }
}

/// What has come to be known of the reason.
pub fn explanation(status: &Status, text: &str) -> Line {
    Line::of(Topic::Explanation, &status.target, status.verdict.as_ref(), text)
}

/// Something about the whole wait that changes nothing.
pub fn remark(text: impl AsRef<str>) -> Line {
    Line::of_wait(Topic::Remark, State::Waiting, text.as_ref())
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
    Some(Line::of_wait(Topic::Heartbeat, State::Waiting, &text))
}

/// Why the whole wait goes on.
pub fn whole_blockage(statuses: &[Status]) -> Option<String> {
    let open: Vec<&Status> = statuses.iter().filter(|status| !status.is_ready()).collect();
    (!open.is_empty()).then(|| harmless(&format!("waiting for {}", reasons(&open, blockage))))
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
    if texts.is_empty() { "no response from the API server yet".to_owned() } else { texts.join("; ") }
}

/// An outage of one target's requests: when it begins, and every 30 s.
pub fn outage(status: &Status, text: &str, lasted: Duration) -> Line {
    let lasts = if lasted < Duration::from_secs(1) { String::new() } else { format!(" ({} so far)", seconds(lasted)) };
    let text = format!("{text}; retrying{lasts}");
    Line::of(Topic::Outage, &status.target, status.verdict.as_ref(), text)
}

/// The end of an outage.
pub fn recovery(status: &Status, lasted: Duration) -> Line {
    let text = format!("the API server responds again after {}", seconds(lasted));
    Line::of(Topic::Outage, &status.target, status.verdict.as_ref(), text)
}

/// The report on a bad end: of each target in question what is known of the reason, and the end of a log.
pub fn report(outcome: &Outcome, statuses: &[Status]) -> Vec<Line> {
    let lines = reported(outcome, statuses).into_iter().flat_map(of_failure);
    lines.map(|line| Line { is_end: true, ..line }).collect()
}

/// What is known of the reason of one target, and the end of a log.
pub fn of_failure(status: &Status) -> Vec<Line> {
    let line = |topic, text: &str| Line::of(topic, &status.target, status.verdict.as_ref(), text);
    let explanation = &status.explanation;
    let mut lines: Vec<Line> = explanation.head().map(|text| line(Topic::Report, text)).collect();
    if let Some(LogLines { heading, lines: log }) = &explanation.log {
        lines.push(line(Topic::Report, heading));
        lines.extend(log.iter().map(|text| line(Topic::Log, text)));
    }
    lines.extend(explanation.tail().map(|text| line(Topic::Report, &text)));
    lines
}

/// The targets that have brought this end about.
fn in_question<'a>(outcome: &Outcome, statuses: &'a [Status]) -> Vec<&'a Status> {
    let blamed = |status: &&Status| match outcome {
        Outcome::Failed => status.is_failed(),
        Outcome::Denied => status.outage.as_ref().is_some_and(|outage| outage.failure.is_refusal()),
        Outcome::Ready | Outcome::Invalid(_) => false,
        _ => !status.is_ready(),
    };
    statuses.iter().filter(blamed).collect()
}

/// Those with a report: a signal and a single look leave no time for one.
fn reported<'a>(outcome: &Outcome, statuses: &'a [Status]) -> Vec<&'a Status> {
    let has_report = matches!(outcome, Outcome::Failed | Outcome::Deadline);
    if has_report { in_question(outcome, statuses) } else { Vec::new() }
}

/// The report as the pod's own status has room for it: the closing line, every reason, the details; and the log.
pub fn message(outcome: &Outcome, statuses: &[Status], closing: &Line) -> (Vec<String>, Vec<String>) {
    let blamed = reported(outcome, statuses);
    let about = |status: &Status, text: &str| harmless(&format!("{}: {text}", status.target));
    let mut lines = vec![closing.text.clone()];
    let headlines = blamed.iter().filter_map(|it| Some(about(it, it.explanation.headline.as_deref()?)));
    lines.extend(headlines);
    for status in &blamed {
        let Explanation { states, .. } = &status.explanation;
        lines.extend(states.iter().cloned().chain(status.explanation.tail()).map(|text| about(status, &text)));
    }
    let logs = blamed.iter().filter_map(|status| status.explanation.log.as_ref());
    let log = logs.flat_map(|LogLines { heading, lines }| {
        [harmless(heading)].into_iter().chain(lines.iter().map(|line| harmless(&format!("| {line}"))))
    });
    (lines, log.collect())
}

/// The YAML of a Role for a wait that was denied. It is our own text: its lines stay lines.
pub fn role(yaml: &str) -> Line {
    Line { is_end: true, text: yaml.to_owned(), ..Line::of_wait(Topic::Remedy, State::Denied, "") }
}

/// The last line: how it ended, how long that took, and what every target was waiting for if it did not end well.
pub fn closing(outcome: &Outcome, statuses: &[Status], lasted: Duration) -> Line {
    let after = format!("after {}", brief(lasted));
    let blamed = in_question(outcome, statuses);
    let why = |why: fn(&Status) -> String| match blamed.as_slice() {
        [] => String::new(),
        blamed => format!(": {}", reasons(blamed, why)),
    };
    // What is behind a reason has lines of its own in a report.
    let bare = why(|status| joined([verdict_text(status), outage_text(status)]));
    let (state, text) = match outcome {
        Outcome::Ready => (State::Ready, format!("done {after}")),
        Outcome::Failed => (State::Failed, format!("failed {after}{bare}")),
        Outcome::Denied => {
            (State::Denied, format!("access denied for {}{bare}", brief(denied(&blamed).unwrap_or(lasted))))
        }
        Outcome::Invalid(text) => (State::Invalid, format!("error: {text}")),
        Outcome::Deadline => (State::Deadline, format!("deadline passed {after}{}", why(blockage))),
        Outcome::NotYet => (State::Deadline, format!("not ready, checked once{bare}")),
        Outcome::Interrupted => (State::Interrupted, format!("interrupted (SIGINT) {after}{}", why(blockage))),
        Outcome::Terminated => (State::Terminated, format!("terminated (SIGTERM) {after}{}", why(blockage))),
    };
    end(outcome.code(), state, &text)
}

/// The last line of a wait that never began: a usage error, or a configuration that a person has to mend.
pub fn refusal(code: i32, text: &str) -> Line {
    let state = if code == outcome::USAGE { State::Invalid } else { State::Configuration };
    end(code, state, &text.replace('\n', "; "))
}

fn end(code: i32, state: State, text: &str) -> Line {
    Line { exit_code: Some(code), is_end: true, ..Line::of_wait(Topic::End, state, text) }
}

/// `job/a: does not exist; job/b: suspended; and 3 more`
fn reasons(statuses: &[&Status], why: impl Fn(&Status) -> String) -> String {
    let texts = statuses.iter().take(REASONS).map(|status| format!("{}: {}", status.target, why(status)));
    let more = statuses.len().saturating_sub(REASONS);
    let more = (more > 0).then(|| format!("and {more} more"));
    texts.chain(more).collect::<Vec<_>>().join("; ")
}

/// For how long these have been refused, at most.
fn denied(statuses: &[&Status]) -> Option<Duration> {
    let since = statuses.iter().filter_map(|status| status.outage.as_ref()?.denied_since);
    since.map(|since| since.elapsed()).max()
}

/// One line of the live view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub state: State,
    /// `job/migrate`
    pub target: String,
    /// the reason, or nothing
    pub text: String,
}

/// The live view: one row for each target.
pub fn rows(statuses: &[Status]) -> Vec<Row> {
    let row = |status: &Status| {
        let text = if status.is_ready() { String::new() } else { harmless(&blockage(status)) };
        Row { state: State::of(status.verdict.as_ref()), target: status.target.to_string(), text }
    };
    statuses.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli;
    use crate::target::verdict::Code;

    /// These targets, each as it stands.
    fn statuses(line: &str, verdicts: &[Option<Verdict>]) -> Vec<Status> {
        let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
        let targets = cli::wait(words).expect(line).targets;
        let status =
            |(target, verdict): (Target, &Option<Verdict>)| Status { verdict: verdict.clone(), ..Status::new(target) };
        targets.into_iter().zip(verdicts).map(status).collect()
    }

    fn waiting(text: &str) -> Verdict {
        Verdict::waiting(Code::NoPods, text)
    }

    #[test]
    fn heartbeat_is_one_line_however_many_there_are() {
        let said =
            |line: &str, verdicts: &[Option<Verdict>]| heartbeat(&statuses(line, verdicts)).map(|line| line.text);
        assert_eq!(said("job a", &[Some(waiting("x"))]).as_deref(), Some("x"), "the line names the only target itself");
        let three = [Some(Verdict::Ready), Some(waiting("x")), Some(waiting("y"))];
        assert_eq!(said("job a b c", &three).as_deref(), Some("1 of 3 ready; waiting for job/b: x; and 1 more"));
        assert_eq!(
            said("job a b", &[Some(Verdict::Ready), None]).as_deref(),
            Some("1 of 2 ready; waiting for job/b: no response from the API server yet")
        );
        assert_eq!(said("job a b", &[Some(Verdict::Ready), Some(Verdict::Ready)]), None);
    }

    #[test]
    fn report_is_about_those_that_brought_the_end_about() {
        let failed = Verdict::failed(Code::PodFailed, "it has failed");
        let mut statuses = statuses("job a b c", &[Some(failed), Some(waiting("x")), Some(Verdict::Ready)]);
        for status in &mut statuses {
            status.explanation = Explanation {
                headline: Some(format!("why {}", status.target)),
                states: vec!["more".to_owned()],
                hints: vec!["hint: try".to_owned()],
                log: Some(LogLines {
                    heading: "last line:".to_owned(),
                    lines: vec!["last \u{1b}[31mwords".to_owned()],
                }),
                ..Explanation::default()
            };
        }
        let said = |outcome: &Outcome| report(outcome, &statuses).into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(said(&Outcome::Failed), ["why job/a", "more", "last line:", "last  [31mwords", "hint: try"]);
        assert_eq!(said(&Outcome::Deadline).len(), 10, "all that are not ready");
        assert!(said(&Outcome::Ready).is_empty() && said(&Outcome::Denied).is_empty());
        let closing = closing(&Outcome::Deadline, &statuses, Duration::from_secs(5));
        let (lines, log) = message(&Outcome::Deadline, &statuses, &closing);
        assert_eq!(lines[1..3], ["job/a: why job/a", "job/b: why job/b"], "every reason before any detail");
        assert_eq!(
            (lines.len(), log),
            (7, ["last line:", "| last  [31mwords"].repeat(2).iter().map(ToString::to_string).collect())
        );
    }
}
