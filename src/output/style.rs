//! One line, and how it is written: in groundnuty's `[time] text` look, or as JSON.
//!
//! This is the gate where text from elsewhere is made harmless: no line is made otherwise.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::target::Target;
use crate::target::verdict::Verdict;
use crate::text::{harmless, rounded, seconds};

/// One thing that is said.
#[derive(Debug, Clone)]
pub struct Line {
    pub topic: Topic,
    /// what it is about, none if it is the whole wait
    pub target: Option<Target>,
    pub state: State,
    pub reason: Option<String>,
    pub text: String,
    pub exit_code: Option<i32>,
    /// part of how it ended
    pub is_end: bool,
}

/// Why something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
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
    /// nothing unless the wait fails
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
/// | `message` | one line for people, never empty; with `log` a line as the container wrote it, with control characters replaced |
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
    state: State,
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
        let state = line.state.color(&line.state.to_string(), self.color);
        let text = match line.topic {
            Topic::Change if text.is_empty() => state,
            Topic::Change => format!("{state}: {text}"),
            Topic::Heartbeat => format!("still waiting after {}: {text}", seconds(elapsed)),
            Topic::End => line.state.color(&text, self.color),
            Topic::Log => format!("| {text}"),
            _ => text,
        };
        format!("[{time}] {about}{text}")
    }
}

/// How a target or the whole wait stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Unknown,
    Waiting,
    Ready,
    Failed,
    Denied,
    Invalid,
    Configuration,
    Deadline,
    Interrupted,
    Terminated,
}

impl State {
    /// Of a target.
    pub fn of(verdict: Option<&Verdict>) -> Self {
        match verdict {
            None => Self::Unknown,
            Some(Verdict::Ready) => Self::Ready,
            Some(Verdict::Waiting(_)) => Self::Waiting,
            Some(Verdict::Failed(_)) => Self::Failed,
        }
    }

    /// This text in the state's color: green is ready, yellow may become so, red will not.
    pub fn color(self, text: &str, is_wanted: bool) -> String {
        let code = match self {
            Self::Ready => 32,
            Self::Waiting | Self::Unknown => 33,
            _ => 31,
        };
        if is_wanted { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// As JSON has it.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

impl Line {
    /// Whether it tells how a wait ended badly.
    pub fn is_bad_end(&self) -> bool {
        self.is_end && self.exit_code != Some(0)
    }

    /// About the whole wait.
    pub fn of_wait(topic: Topic, state: State, text: &str) -> Self {
        Self { topic, target: None, state, reason: None, text: harmless(text), exit_code: None, is_end: false }
    }

    /// About one target.
    pub fn of(topic: Topic, target: &Target, verdict: Option<&Verdict>, text: impl AsRef<str>) -> Self {
        let reason = verdict.and_then(Verdict::reason).map(|reason| harmless(&reason.code.to_string()));
        Self {
            topic,
            target: Some(target.clone()),
            state: State::of(verdict),
            reason,
            text: harmless(text.as_ref()),
            exit_code: None,
            is_end: false,
        }
    }

    fn json(&self, now: SystemTime, elapsed: Duration) -> String {
        let state = self.state.to_string();
        let json = Json {
            time: humantime::format_rfc3339_millis(now).to_string(),
            event: self.topic,
            target: self.target.as_ref().map(Target::to_string),
            namespace: self.target.as_ref().and_then(Target::namespace),
            state: self.state,
            reason: self.reason.as_deref(),
            message: if self.text.is_empty() && self.topic != Topic::Log { &state } else { &self.text },
            elapsed: rounded(elapsed).as_secs_f64(),
            exit_code: self.exit_code,
        };
        serde_json::to_string(&json).expect("texts and numbers are JSON")
    }
}
