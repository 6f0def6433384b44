//! One target over time: its objects' updates → its verdicts.
//!
//! Here is what a verdict alone cannot know: that a Job was ready once, what a deletion means, how long a set has been
//! unchanged, and which pods stand behind a Service. Streams in, stream out; nothing is requested or printed here.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::evaluate::pod::{State, ready_since, state};
use crate::failure::Failure;
use crate::object::{Object, Pod};
use crate::resource::Resource;
use crate::settle::Settling;
use crate::target::{Mode, Target};
use crate::verdict::Verdict;
use crate::watch::{Update, Way};

mod job;
mod pod;
#[cfg(test)]
mod scripts;
mod service;

pub use self::job::jobs;
pub use self::pod::pods;
pub use self::service::{Behind, BehindUpdates, services};

/// What a target's observer has to say; only changes are told.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// How the target stands.
    Verdict(Verdict),
    /// The uids of the Jobs that the `Ready` which follows is about.
    Subjects(Vec<String>),
    /// Something worth a line that changes nothing.
    Remark(String),
    /// The API did not answer, or refused; the verdict stays as it was.
    Trouble(Failure),
    /// The API answers again.
    Recovered,
    /// By which means the objects of this resource are seen from now on.
    Way(Way, &'static Resource),
}

/// What is demanded of every set of objects.
#[derive(Debug, Clone)]
pub struct Demands {
    /// `--min`
    pub min: usize,
    /// `--settle`
    pub settle: Duration,
    /// the pod that this program runs in; it never counts
    pub own_uid: Option<String>,
}

/// The objects of one query as they are now, by namespace and name.
#[derive(Debug)]
struct Store<T> {
    objects: BTreeMap<(String, String), T>,
    /// the server's clock at the last list
    date: Timestamp,
    looked: bool,
    /// requests fail at present
    failing: bool,
}

impl<T: Object> Store<T> {
    fn new() -> Self {
        Self { objects: BTreeMap::new(), date: Timestamp::UNIX_EPOCH, looked: false, failing: false }
    }

    /// Takes an update in; what is none of the objects comes back.
    fn take(&mut self, update: Update<T>) -> Option<Step> {
        self.failing = matches!(update, Update::Failed(_));
        match update {
            Update::Listed(objects, date) => {
                self.objects = objects.into_iter().map(|object| (key(&object), object)).collect();
                self.date = date;
                self.looked = true;
            }
            Update::Applied(object) => {
                self.objects.insert(key(&object), object);
            }
            Update::Deleted(object) => {
                self.objects.remove(&key(&object));
            }
            Update::Failed(failure) => return Some(Step::Trouble(failure)),
            Update::Recovered => return Some(Step::Recovered),
            Update::Way(way) => return Some(Step::Way(way, T::RESOURCE)),
        }
        None
    }

    fn to_vec(&self) -> Vec<T> {
        self.objects.values().cloned().collect()
    }
}

fn key<T: Object>(object: &T) -> (String, String) {
    let metadata = object.metadata();
    (metadata.namespace.clone(), metadata.name.clone())
}

fn changed(told: &mut Option<Verdict>, verdict: Verdict) -> Option<Step> {
    if told.as_ref() == Some(&verdict) {
        return None;
    }
    *told = Some(verdict.clone());
    Some(Step::Verdict(verdict))
}

/// A name and "one is enough" cannot be let go too early by a set that is still growing.
fn rest(target: &Target, demands: &Demands) -> Duration {
    let every = matches!(target.mode, Mode::Pod | Mode::PodOrFailed | Mode::Service);
    let grows = target.selection.name.is_none() || target.mode == Mode::Service;
    if every && grows { demands.settle } else { Duration::ZERO }
}

/// The pods that count and what each is, by uid: what makes two sets of pods differ for the wait.
type Shape = BTreeMap<String, State>;

fn shape<'a>(pods: impl IntoIterator<Item = &'a Pod>, own_uid: Option<&str>) -> Shape {
    let states = pods.into_iter().map(|pod| (pod.metadata.uid.clone(), state(pod, own_uid)));
    states.filter(|(_, state)| state.counts()).collect()
}

/// When the last of the pods that count came to what it is; `None` if one does not say.
fn youngest<'a>(pods: impl IntoIterator<Item = &'a Pod>, own_uid: Option<&str>) -> Option<Timestamp> {
    let counted = pods.into_iter().filter(|pod| state(pod, own_uid).counts());
    counted.map(ready_since).collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn settled<S: PartialEq>(settling: &Settling<S>, verdict: Verdict, members: &str) -> Verdict {
    let rested = settling.due().is_some_and(|due| due <= Instant::now());
    if verdict == Verdict::Ready && !rested {
        let text = format!("{members} ready, waiting until that has been so for {:?}", settling.rest());
        return Verdict::waiting("Settling", text);
    }
    verdict
}

/// When to look again without an update.
fn due<S: PartialEq>(settling: &Settling<S>, told: Option<&Verdict>) -> Option<Instant> {
    let settles = told.and_then(Verdict::reason).is_some_and(|reason| reason.code == "Settling");
    settling.due().filter(|_| settles)
}
