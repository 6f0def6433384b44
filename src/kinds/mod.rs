//! The kinds that can be waited for, one file and one row each: requests, printed Roles, help, completions, near names
//! and name checks all come from the row, so they cannot drift apart.
//!
//! Pure: an object's JSON in, the few facts about it out that a verdict and its sentence need. No clock, no client.
//! Verdicts follow kstatus' order (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>), unless the
//! contract says otherwise: first what holds for every object ([`in_transition`]), then the kind's own rules.

pub mod apiservice;
pub mod behind;
pub mod conditions;
pub mod configmap;
pub mod crd;
pub mod cronjob;
pub mod daemonset;
pub mod deployment;
pub mod endpointslice;
pub mod existence;
pub mod goal;
pub mod ingress;
pub mod job;
pub mod members;
pub mod namespace;
pub mod node;
pub mod object;
pub mod other;
pub mod phase;
pub mod pod;
pub mod pvc;
pub mod replicas;
pub mod replicaset;
pub mod replicationcontroller;
pub mod secret;
pub mod service;
pub mod serviceaccount;
pub mod set;
pub mod statefulset;

use std::rc::Rc;

use self::behind::Behind;
use self::members::Fact;
use self::object::Metadata;
use crate::target::goal::Condition;
use crate::target::selector::Selector;
use crate::target::verdict::{Code, Reason};
use crate::target::{Demand, Kind, Origin, Resource, Target};

/// Every kind, in the order in which help and errors name them.
pub static KINDS: &[&Row] = &[
    &job::ROW,
    &pod::ROW,
    &service::ROW,
    &deployment::ROW,
    &statefulset::ROW,
    &daemonset::ROW,
    &replicaset::ROW,
    &replicationcontroller::ROW,
    &cronjob::ROW,
    &configmap::ROW,
    &secret::ROW,
    &serviceaccount::ROW,
    &pvc::ROW,
    &ingress::ROW,
    &namespace::ROW,
    &node::ROW,
    &crd::ROW,
    &apiservice::ROW,
];

/// A kind.
pub struct Row {
    pub kind: Kind,
    /// other words for it, beside its plural
    pub aliases: &'static [&'static str],
    /// what can be demanded of its objects
    pub modes: &'static [Mode],
    /// options that say more of what is demanded
    pub options: &'static [Extra],
    /// what one is that is as demanded: `complete`
    pub done: &'static str,
    /// when it is, in sentences for `--help KIND`
    pub rules: &'static str,
    /// the API's rule for its names
    pub check_name: fn(&str) -> Result<(), String>,
    /// what an explanation reads
    pub explained_by: &'static [Read],
    /// how it comes to its verdict, where no `--for` says how
    pub judged: fn(&Target) -> Judged,
    /// where an explanation looks; `None` is for a kind of which only events tell
    pub causes: Option<Causes>,
    /// Whether it stays what it was once it was ready, even if it is then deleted: what it did is done.
    pub is_final: bool,
    /// the types of the conditions by which it fails
    pub failed_by: &'static [&'static str],
    /// Its being there is all that counts, so that only its metadata is asked for.
    pub is_existence: bool,
    /// what it holds is not for other eyes
    pub is_confidential: bool,
}

/// A demand and how it is typed.
pub struct Mode {
    pub word: &'static str,
    pub demand: Demand,
    pub help: &'static str,
}

/// An option that only some kinds take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    Key,
    By,
    SameNode,
}

/// What is read.
pub struct Read {
    /// `None` is the kind itself
    pub resource: Option<&'static Resource>,
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
pub static JOBS: Resource = Resource::namespaced("batch", "v1", "jobs");
pub static ENDPOINT_SLICES: Resource = Resource::namespaced("discovery.k8s.io", "v1", "endpointslices");
/// Read to explain; `--events` creates and patches them.
pub static EVENTS: Resource = Resource::namespaced("", "v1", "events");
/// A subresource, as Roles name it; the path of a log begins with that of its pod.
pub static POD_LOGS: Resource = Resource::namespaced("", "v1", "pods/log");

/// What is asked where a target is missing.
pub const NEAR_NAMES: Read = Read { resource: None, verbs: LIST, why: "similar names" };
/// What explains a kind that makes pods.
pub const ITS_PODS: Read = Read { resource: Some(&PODS), verbs: LIST, why: "its pods" };
pub const LOGS: Read = Read { resource: Some(&POD_LOGS), verbs: GET, why: "the log of a failed container" };
pub const WARNINGS: Read = Read { resource: Some(&EVENTS), verbs: LIST, why: "warning events" };
/// What explains a kind that makes none.
pub const ITS_EVENTS: Read = Read { resource: Some(&EVENTS), verbs: LIST, why: "events about it" };

/// How the objects of a target come to their verdict.
#[derive(Clone, Copy)]
pub enum Judged {
    /// each by itself and all of them together as a set: one query
    Set(ReadFact),
    /// the same, and beyond their deletion
    Jobs(ReadFact),
    /// by what is behind each of them
    Behind(&'static Behind),
}

/// Reads the facts out of an object's JSON, and its version: the watch resumes from there, and a pass of its own over
/// the JSON would cost as much as all else that an event costs.
pub type ReadFact = fn(&str, &Reading) -> serde_json::Result<(Fact, String)>;

/// For whom an object is read.
#[derive(Debug, Clone)]
pub struct Reading {
    pub demand: Demand,
    pub kind: Kind,
    /// the only name that is meant
    pub name: Option<String>,
    /// What it has to match, where the API server was not asked with that.
    pub labels: Option<Selector>,
    /// the pod that this program runs in
    pub own_uid: Option<String>,
    /// Only what this controller has made.
    pub owner: Option<Box<str>>,
    /// How the kind itself sees it, where something else is demanded and its failure is an end all the same.
    pub plain: Option<Plain>,
}

/// The reading of an object by the rules of its kind alone.
#[derive(Debug, Clone)]
pub struct Plain {
    pub read: ReadFact,
    pub reading: Rc<Reading>,
    pub has_sentences: bool,
}

impl Reading {
    /// For this target.
    pub fn of(target: &Target, own_uid: Option<String>) -> Self {
        let is_judged_here = target.is_named() || target.demand.is_met_by_absence();
        let labels = target.selection.labels.clone().filter(|_| is_judged_here);
        // What is asked of this very pod by name is no wait for itself, unless it has to go.
        let asks_itself = matches!(target.demand, Demand::Meets(_)) && target.is_named();
        let own_uid = own_uid.filter(|_| !asks_itself || target.demand.is_met_by_absence());
        let plain = plain(target, own_uid.as_ref());
        let name = target.selection.name.clone();
        Self { demand: target.demand.clone(), name, labels, plain, ..Self::every(&target.kind, own_uid) }
    }

    /// Of any object of the kind, for what it is by itself.
    pub fn every(kind: &Kind, own_uid: Option<String>) -> Self {
        Self { demand: Demand::Every, kind: kind.clone(), name: None, labels: None, own_uid, owner: None, plain: None }
    }
}

/// With `--for`, the kind's own failure is an end unless that is what is asked for: that very condition, or that the
/// object comes or goes.
fn plain(target: &Target, own_uid: Option<&String>) -> Option<Plain> {
    let Demand::Meets(goal) = &target.demand else { return None };
    let row = of(&target.kind);
    let is_asked_for = |condition: &Condition| match condition {
        Condition::Create | Condition::Delete => true,
        Condition::Status { r#type, .. } => row.failed_by.iter().any(|it| it.eq_ignore_ascii_case(r#type)),
        Condition::Path { .. } => false,
    };
    if goal.conditions().any(is_asked_for) {
        return None;
    }
    let every = Target { demand: Demand::Every, ..target.clone() };
    match (row.judged)(&every) {
        Judged::Set(read) | Judged::Jobs(read) => {
            let reading = Rc::new(Reading::every(&target.kind, own_uid.cloned()));
            Some(Plain { read, reading, has_sentences: has_sentences(&every) })
        }
        Judged::Behind(_) => None,
    }
}

/// The pods behind a target that can say why it is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Causes {
    /// those that its Jobs have made
    PodsOfJobs,
    /// its own
    Pods,
    /// those that its objects select
    PodsSelected,
    /// the same, which others make: the labels may be mistyped
    PodsServed,
    /// those of the newest Job
    PodsOfCronJobs,
}

/// The row of a kind.
pub fn of(kind: &Kind) -> &'static Row {
    match kind.origin {
        Origin::Table => known(kind).expect("a kind of the table comes from there"),
        Origin::Sought | Origin::Found { .. } => &other::ROW,
    }
}

fn known(kind: &Kind) -> Option<&'static Row> {
    KINDS.iter().copied().find(|row| row.kind.name == kind.name)
}

/// What a word means as a mode: `job-wr`, `pods`, `deploy`, `job.batch`, `deployments.v1.apps`.
pub fn mode(word: &str) -> Option<(&'static Row, &'static Mode)> {
    let word = word.to_lowercase();
    let (bare, place) = word.split_once('.').map_or((&*word, None), |(bare, place)| (bare, Some(place)));
    let rows = KINDS.iter().copied().filter(|row| place.is_none_or(|place| row.is_at(place)));
    let mut modes = rows.flat_map(|row| row.modes.iter().map(move |mode| (row, mode)));
    modes.find(|(row, mode)| row.calls(mode, bare))
}

/// Every mode, in the order of the table.
pub fn modes() -> impl Iterator<Item = &'static Mode> {
    KINDS.iter().copied().flat_map(|row| row.modes)
}

/// How the objects of this target come to their verdict.
pub fn judged(target: &Target) -> Judged {
    let plain = (of(&target.kind).judged)(target);
    let Demand::Meets(goal) = &target.demand else { return plain };
    let read = if target.demand.is_existence() { existence::read } else { goal::read };
    match plain {
        // What is done stays done; all else may change again.
        Judged::Jobs(_) if goal.conditions().all(job::is_end) => Judged::Jobs(read),
        _ => Judged::Set(read),
    }
}

/// What a wait reads beside the objects themselves.
pub fn reads(target: &Target) -> &'static [Read] {
    match judged(target) {
        Judged::Behind(behind) => behind.reads,
        Judged::Set(_) | Judged::Jobs(_) => &[],
    }
}

/// What an explanation of this target reads.
pub fn explained_by(target: &Target) -> &'static [Read] {
    // Whoever provides load balancers says by events why there is none.
    if target.demand == Demand::Address { ingress::ROW.explained_by } else { of(&target.kind).explained_by }
}

/// What is demanded of it, for people; without the values of what is not for all eyes.
pub fn demanded(target: &Target) -> String {
    match &target.demand {
        Demand::Meets(goal) if of(&target.kind).is_confidential => goal.without_values().to_string(),
        demand => demand.to_string(),
    }
}

/// Where an explanation of this target looks; `None` where only events tell.
pub fn causes(target: &Target) -> Option<Causes> {
    of(&target.kind).causes.filter(|_| target.demand != Demand::Address)
}

/// The kind whose controller makes the pods behind this target.
pub fn maker(target: &Target) -> &str {
    if causes(target) == Some(Causes::PodsOfCronJobs) { &job::ROW.kind.title } else { &target.kind.title }
}

/// Whether the metadata of the objects is all that is asked for.
pub fn asks_metadata(target: &Target) -> bool {
    target.demand.is_existence() || target.demand == Demand::Every && of(&target.kind).is_existence
}

/// Whether what objects of this resource hold is not for other eyes.
pub fn is_confidential(resource: &Resource) -> bool {
    KINDS.iter().any(|row| row.is_confidential && row.kind.resource == *resource)
}

/// Whether the reasons of its objects are whole sentences, not predicates.
pub fn has_sentences(target: &Target) -> bool {
    matches!(target.demand, Demand::Meets(_)) || !matches!(judged(target), Judged::Set(_))
}

/// Whether the success of this target is kept, come what may.
pub fn is_final(target: &Target) -> bool {
    of(&target.kind).is_final && matches!(judged(target), Judged::Jobs(_))
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
        let is_one = |name: &str| word.strip_prefix(name).is_some_and(|it| Some(it) == suffix);
        mode.word == word || self.words().any(is_one)
    }

    /// What the kind is called, beside its name.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().copied().chain([&*self.kind.resource.plural])
    }

    /// Whether it is served at `GROUP` or `VERSION.GROUP`.
    fn is_at(&self, place: &str) -> bool {
        let Resource { group, version, .. } = &self.kind.resource;
        let versioned = place.strip_prefix(&**version).and_then(|rest| rest.strip_prefix('.'));
        // The core group has no name: `pods.v1`, or `pods.v1.`.
        let is_core = group.is_empty() && place.trim_end_matches('.') == *version;
        is_core || !group.is_empty() && (place == *group || versioned == Some(group))
    }

    /// `ready or failed` where that is demanded
    pub fn done(&self, demand: &Demand) -> String {
        match demand {
            Demand::EveryOrFailed => format!("{} or failed", self.done),
            Demand::Meets(_) => "as required".to_owned(),
            _ => self.done.to_owned(),
        }
    }
}

/// What holds for every object before its kind is asked: it goes, or its controller has not seen its present spec.
pub fn in_transition(metadata: &Metadata, observed_generation: Option<i64>) -> Option<Reason> {
    if metadata.deletion_timestamp.is_some() {
        return Some(Reason::new(Code::BeingDeleted, "is being deleted"));
    }
    metadata.has_changed_since(observed_generation).then(not_observed)
}

fn not_observed() -> Reason {
    Reason::new(Code::NotObserved, "has changes that its controller has not seen yet")
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
        let mut words: Vec<&str> = KINDS.iter().flat_map(|row| row.words().chain([&*row.kind.name])).collect();
        words.sort_unstable();
        assert!(words.is_sorted_by(|one, two| one < two), "{words:?}");
    }

    #[test]
    fn kubectls_words_are_understood() {
        let named = |word: &str| mode(word).map_or("", |(_, mode)| mode.word);
        let table = [
            ("Job", "job"),
            ("jobs", "job"),
            ("jobs-we", "job-we"),
            ("job.batch", "job"),
            ("jobs.v1.batch", "job"),
            ("job.v2.batch", ""),
            ("job.apps", ""),
            ("po-wr", "pod-wr"),
            ("pods.", ""),
            ("secrets.v1", "secret"),
            ("pods.v1.", "pod"),
            ("pods.v2", ""),
            ("svc", "service"),
            ("deploy", "deployment"),
            ("deployments.apps", "deployment"),
            ("Deployment.v1.apps", "deployment"),
            ("sts", "statefulset"),
            ("ds", "daemonset"),
            ("rs", "replicaset"),
            ("rc", "replicationcontroller"),
            ("cj", "cronjob"),
            ("cm", "configmap"),
            ("secrets", "secret"),
            ("sa", "serviceaccount"),
            ("pvc", "pvc"),
            ("persistentvolumeclaims", "pvc"),
            ("ing", "ingress"),
            ("ingresses.networking.k8s.io", "ingress"),
            ("ns", "namespace"),
            ("no", "node"),
            ("customresourcedefinition", "crd"),
            ("crds", "crd"),
            ("apiservices.apiregistration.k8s.io", "apiservice"),
        ];
        for (word, kind) in table {
            assert_eq!(named(word), kind, "{word}");
        }
    }

    #[test]
    fn only_the_completion_of_jobs_leaves_a_mark() {
        let left: Vec<&str> = KINDS
            .iter()
            .flat_map(|row| row.modes.iter().map(|mode| (row.kind.clone(), mode)))
            .filter(|(kind, mode)| {
                let selection = crate::target::Selection::default();
                let scope = crate::target::Scope::Default;
                leaves_mark(&Target { kind: kind.clone(), demand: mode.demand.clone(), scope, selection })
            })
            .map(|(_, mode)| mode.word)
            .collect();
        assert_eq!(left, ["job", "job-wr"]);
    }
}
