//! The kinds that can be waited for, one file and one row each: requests, printed Roles, help, completions, near names
//! and name checks all come from the row, so they cannot drift apart.
//!
//! Pure: an object's JSON in, the few facts about it out that a verdict and its sentence need. No clock, no client.
//! Verdicts follow kstatus' order (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>), unless the
//! contract says otherwise: first what holds for every object ([`in_transition`]), then the kind's own rules.

pub mod job;
pub mod members;
pub mod object;
pub mod pod;
pub mod pvc;
pub mod service;
pub mod set;

use self::members::Fact;
use self::object::Metadata;
use crate::target::selector::Selector;
use crate::target::verdict::{Code, Reason};
use crate::target::{Demand, Kind, Resource, Target};

/// Every kind, in the order in which help and errors name them.
pub static KINDS: &[&Row] = &[&job::ROW, &pod::ROW, &service::ROW, &pvc::ROW];

/// A kind.
pub struct Row {
    pub kind: Kind,
    /// as the API writes it: `Job`
    pub title: &'static str,
    /// other words for it
    pub aliases: &'static [&'static str],
    /// what can be demanded of its objects
    pub modes: &'static [Mode],
    /// what one is that is as demanded: `complete`
    pub done: &'static str,
    /// the API's rule for its names
    pub check_name: fn(&str) -> Result<(), String>,
    /// what a wait reads beside the objects themselves
    pub reads: &'static [Read],
    /// what an explanation reads
    pub explained_by: &'static [Read],
    /// how it comes to its verdict
    pub judged: Judged,
    /// where an explanation looks; `None` is for a kind of which only events tell
    pub causes: Option<Causes>,
    /// Whether it stays what it was once it was ready, even if it is then deleted: what it did is done.
    pub is_final: bool,
}

/// A demand and how it is typed.
pub struct Mode {
    pub word: &'static str,
    pub demand: Demand,
    pub help: &'static str,
}

/// What is read.
pub struct Read {
    pub resource: &'static Resource,
    pub verbs: &'static [&'static str],
    /// a clause for people
    pub why: &'static str,
}

/// To see objects come and go; without `watch` they are polled.
pub const FOLLOW: &[&str] = &["list", "watch"];
pub const LIST: &[&str] = &["list"];
pub const GET: &[&str] = &["get"];
pub const WRITE: &[&str] = &["create", "patch"];

pub static PODS: Resource = Resource::namespaced("", "v1", "pods");
pub static ENDPOINT_SLICES: Resource = Resource::namespaced("discovery.k8s.io", "v1", "endpointslices");
/// Read to explain; `--events` creates and patches them.
pub static EVENTS: Resource = Resource::namespaced("", "v1", "events");
/// A subresource, as Roles name it; the path of a log begins with that of its pod.
pub static POD_LOGS: Resource = Resource::namespaced("", "v1", "pods/log");

/// How the objects of a kind come to their verdict.
#[derive(Clone, Copy)]
pub enum Judged {
    /// each by itself and all of them together as a set: one query
    Set(ReadFact),
    /// the same, and beyond their deletion
    Jobs(ReadFact),
    /// by what is behind them
    Services,
}

/// Reads the facts out of an object's JSON, and its version: the watch resumes from there, and a pass of its own over
/// the JSON would cost as much as all else that an event costs.
pub type ReadFact = fn(&str, &Reading) -> serde_json::Result<(Fact, String)>;

/// For whom an object is read.
#[derive(Debug, Clone)]
pub struct Reading {
    pub demand: Demand,
    /// What a named object has to match; what a selector matches was matched by the API server.
    pub labels: Option<Selector>,
    /// the pod that this program runs in
    pub own_uid: Option<String>,
}

impl Reading {
    /// For this target.
    pub fn of(target: &Target, own_uid: Option<String>) -> Self {
        let labels = target.selection.labels.clone().filter(|_| target.is_named());
        Self { demand: target.demand, labels, own_uid }
    }
}

/// The pods behind a target that can say why it is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Causes {
    /// those that its Jobs have made
    PodsOfJobs,
    /// its own
    Pods,
    /// those that its Services select
    PodsOfServices,
}

/// The row of a kind.
pub fn of(kind: &Kind) -> &'static Row {
    KINDS.iter().copied().find(|row| row.kind == *kind).expect("a target's kind comes from the table")
}

/// What a word means as a mode: `job-wr`, `pod`.
pub fn mode(word: &str) -> Option<(&'static Row, &'static Mode)> {
    KINDS.iter().copied().find_map(|row| Some((row, row.modes.iter().find(|mode| row.calls(mode, word))?)))
}

/// Every mode, in the order of the table.
pub fn modes() -> impl Iterator<Item = &'static Mode> {
    KINDS.iter().copied().flat_map(|row| row.modes)
}

/// Whether the success of this target is kept, come what may.
pub fn is_final(target: &Target) -> bool {
    of(&target.kind).is_final
}

/// Whether its success is worth a mark, which later pods take as proof: only plain completion is, every other state may
/// change again.
pub fn leaves_mark(target: &Target) -> bool {
    is_final(target) && target.demand == Demand::Every
}

impl Row {
    /// By its own word, or by one for the kind: `svc-wr`.
    fn calls(&self, mode: &Mode, word: &str) -> bool {
        let suffix = mode.word.strip_prefix(&*self.kind.name);
        mode.word == word
            || self.aliases.iter().any(|alias| word.strip_prefix(alias).is_some_and(|it| Some(it) == suffix))
    }

    /// `ready or failed` where that is demanded
    pub fn done(&self, demand: Demand) -> String {
        if demand == Demand::EveryOrFailed { format!("{} or failed", self.done) } else { self.done.to_owned() }
    }
}

/// What holds for every object before its kind is asked: it goes, or its controller has not seen its present spec.
pub fn in_transition(metadata: &Metadata, observed_generation: Option<i64>) -> Option<Reason> {
    if metadata.deletion_timestamp.is_some() {
        return Some(Reason::new(Code::BeingDeleted, "is being deleted"));
    }
    let unseen = metadata.generation.zip(observed_generation).is_some_and(|(wanted, observed)| observed < wanted);
    unseen.then(|| Reason::new(Code::NotObserved, "has changed, and its controller has not seen that yet"))
}

/// A condition type's status in a list of conditions, all of which have the same shape but a type of their own.
macro_rules! condition {
    ($conditions:expr, $kind:expr) => {
        $conditions.iter().flatten().find(|condition| condition.type_ == $kind)
    };
}
pub(crate) use condition;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unambiguous_and_what_is_shown_is_understood() {
        for shown in modes() {
            let (row, mode) = mode(shown.word).expect("a mode");
            assert!(std::ptr::eq(mode, shown), "{}", shown.word);
            assert!(mode.word.starts_with(&*row.kind.name) && row.modes[0].word == row.kind.name, "{}", shown.word);
        }
        assert!(mode("job-we-wr").is_none() && mode("").is_none() && mode("service-we").is_none());
    }

    #[test]
    fn only_the_completion_of_jobs_leaves_a_mark() {
        let left: Vec<&str> = KINDS
            .iter()
            .flat_map(|row| row.modes.iter().map(|mode| (row.kind.clone(), mode)))
            .filter(|(kind, mode)| {
                let selection = crate::target::Selection::default();
                let scope = crate::target::Scope::Default;
                leaves_mark(&Target { kind: kind.clone(), demand: mode.demand, scope, selection })
            })
            .map(|(_, mode)| mode.word)
            .collect();
        assert_eq!(left, ["job", "job-wr"]);
    }
}
