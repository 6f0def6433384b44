//! One target over time: its objects' updates → its verdicts.
//!
//! Here is what a verdict alone cannot know: that a Job was ready once, what a deletion means, how long a set has been
//! unchanged and whether anybody was looking, and which pods stand behind a Service. Streams in, stream out; nothing is
//! requested or printed here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};

use crate::api::failure::Failure;
use crate::api::watch::{LookBy, Update, Way};
use crate::follow::settle::Settling;
use crate::kinds::object::{Object, Pod};
use crate::kinds::pod::{State, View, ready_since};
use crate::kinds::resource::Resource;
use crate::target::verdict::{Code, Verdict};
use crate::target::{Mode, Target};

pub mod gone;
mod job;
pub mod open;
pub mod proof;
#[cfg(test)]
mod scripts;
mod service;
mod set;
pub mod settle;

pub use self::job::jobs;
pub use self::service::{Behind, BehindUpdates, services};
pub use self::set::pods;

/// What a target's observer has to say; only changes are told.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// How the target stands.
    Verdict(Verdict),
    /// How its present state is known.
    Known(Known),
    /// The `Ready` which follows leaves a mark, with the uids of the Jobs that it is about.
    Mark(Vec<String>),
    /// What is asked for is not there, as good looks over some time have shown.
    Absent(Absent),
    /// Something worth a line that changes nothing.
    Remark(String),
    /// The API did not answer, or refused; of a state that cannot be looked at nothing good is believed.
    Trouble(Failure),
    /// The API answers again.
    Recovered,
    /// By which means the objects of this resource are seen from now on.
    Way(Way, &'static Resource),
}

/// How a target's state is known at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// changes are seen as they happen
    Live,
    /// it held at this moment; later nobody looked
    Since(Instant),
}

/// What is known of a target that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// It was never seen.
    Never,
    /// Jobs with these uids were seen, undecided, and then not any more: nobody saw how they went.
    Vanished(Vec<String>),
}

/// What is demanded of every set of objects.
#[derive(Debug, Clone)]
pub struct Demands {
    /// `--min`
    pub min: usize,
    /// `--settle`
    pub settle: Duration,
    /// how long a target has to be missing before that means something
    pub absence: Duration,
    /// `--failed wait`: a Job that has failed is waited for until another one takes its place
    pub outlives_failure: bool,
    /// the pod that this program runs in; it never counts
    pub own_uid: Option<String>,
}

/// A kind's own part of an observer.
trait Observer {
    /// Takes the next update in; what is no object comes back.
    async fn update(&mut self) -> Option<Step>;
    /// What is to be said now.
    fn judge(&mut self) -> Vec<Step>;
    /// When to judge again without an update; one that has passed is of no interest.
    fn alarms(&self) -> [Option<Instant>; 3];
    /// Whether there is nothing more to say.
    fn over(&self) -> bool {
        false
    }
}

/// The steps of an observer.
fn steps<O: Observer + 'static>(observer: O) -> LocalBoxStream<'static, Step> {
    stream::unfold((observer, VecDeque::new(), Instant::now()), |(mut observer, mut steps, mut judged)| async move {
        while steps.is_empty() {
            if observer.over() {
                return None;
            }
            // One that was judged already would spin: what is due then waits for an update.
            let alarm = observer.alarms().into_iter().flatten().filter(|alarm| *alarm > judged).min();
            let step = tokio::select! {
                step = observer.update() => step,
                () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => None,
            };
            judged = Instant::now();
            steps.extend(step);
            steps.extend(observer.judge());
        }
        let step = steps.pop_front()?;
        Some((step, (observer, steps, judged)))
    })
    .boxed_local()
}

/// The next update. A query's stream does not end; one that does has nothing more to say.
async fn coming<T>(updates: &mut LocalBoxStream<'static, Update<T>>) -> Update<T> {
    match updates.next().await {
        Some(update) => update,
        None => std::future::pending().await,
    }
}

/// The objects of one query as they are now, by namespace and name.
#[derive(Debug)]
struct Store<T> {
    objects: BTreeMap<Key, T>,
    sight: Sight,
}

/// Namespace and name.
type Key = (String, String);

/// Whether anybody looks at a query's objects, and since when.
#[derive(Debug, Clone, Copy, Default)]
struct Sight {
    /// changes are seen as they happen
    live: bool,
    /// requests fail, and nobody has looked since
    failing: bool,
    /// until when the present state is known to have held, unless somebody looks right now; `None` before the first look
    held: Option<Instant>,
    /// the API server's clock at some moment
    clock: Option<(Timestamp, Instant)>,
}

impl Sight {
    /// Whether the present state is known to have held at this moment, or later.
    fn covers(&self, moment: Instant) -> bool {
        let held = self.live || self.held.is_some_and(|held| held >= moment);
        !self.failing && moment <= Instant::now() && held
    }

    /// The sight of two queries together: what is seen live does not limit what is known of the other.
    fn and(self, other: Self) -> Self {
        let held = self.held.zip(other.held).map(|(one, two)| match (self.live, other.live) {
            (true, false) => two,
            (false, true) => one,
            _ => one.min(two),
        });
        Self {
            live: self.live && other.live,
            failing: self.failing || other.failing,
            held,
            clock: self.clock.or(other.clock),
        }
    }

    /// The API server's time, as far as it is known.
    fn now(&self) -> Timestamp {
        self.clock.map_or(Timestamp::UNIX_EPOCH, |(date, answered)| {
            let since = SignedDuration::try_from(answered.elapsed()).unwrap_or_default();
            date.saturating_add(since).unwrap_or(date)
        })
    }

    fn known(&self) -> Option<Known> {
        if self.live { Some(Known::Live) } else { self.held.map(Known::Since) }
    }
}

impl<T: Object> Store<T> {
    fn new() -> Self {
        Self { objects: BTreeMap::new(), sight: Sight::default() }
    }

    fn looked(&self) -> bool {
        self.sight.held.is_some()
    }

    /// Takes an update in; what is none of the objects comes back.
    fn take(&mut self, update: Update<T>) -> Option<Step> {
        match update {
            Update::Listed(listed) => {
                self.objects = listed.objects.into_iter().map(|object| (key(&object), object)).collect();
                self.sight.held = Some(listed.asked);
                self.sight.clock = Some((listed.date, Instant::now()));
                self.sight.failing = false;
            }
            Update::Applied(object) => {
                self.objects.insert(key(&object), object);
            }
            Update::Deleted(object) => {
                self.objects.remove(&key(&object));
            }
            Update::Live => (self.sight.live, self.sight.failing) = (true, false),
            Update::Blind => (self.sight.live, self.sight.held) = (false, Some(Instant::now())),
            Update::Failed(failure) => {
                self.sight.failing = true;
                return Some(Step::Trouble(failure));
            }
            // Only what comes next shows how things stand.
            Update::Recovered => return Some(Step::Recovered),
            Update::Way(way) => return Some(Step::Way(way, T::RESOURCE)),
        }
        None
    }

    fn to_vec(&self) -> Vec<T> {
        self.objects.values().cloned().collect()
    }
}

fn key<T: Object>(object: &T) -> Key {
    let metadata = object.metadata();
    (metadata.namespace.clone(), metadata.name.clone())
}

/// What was said already.
#[derive(Debug, Default)]
struct Told {
    verdict: Option<Verdict>,
    known: Option<Known>,
}

impl Told {
    /// What is new of both. A Ready comes after how it is known, everything else before: at no moment the two together
    /// promise more than they should.
    fn news(&mut self, verdict: Option<Verdict>, known: Option<Known>) -> Vec<Step> {
        let new_known = known.filter(|_| self.known != known).map(Step::Known);
        let new_verdict = verdict.filter(|verdict| !self.verdict.as_ref().is_some_and(|told| told.says(verdict)));
        self.known = known;
        if let Some(verdict) = &new_verdict {
            self.verdict = Some(verdict.clone());
        }
        let ready = new_verdict == Some(Verdict::Ready);
        let mut steps: Vec<Step> = new_verdict.map(Step::Verdict).into_iter().chain(new_known).collect();
        if ready {
            steps.reverse();
        }
        steps
    }
}

/// A name and "one is enough" cannot be let go too early by a set that is still growing.
fn rest(target: &Target, demands: &Demands) -> Duration {
    let grows = match target.mode {
        Mode::Service => true,
        Mode::AnyPod | Mode::AnyService => false,
        Mode::Job | Mode::JobOrFailed | Mode::Pod | Mode::PodOrFailed => target.selection.name.is_none(),
    };
    if grows { demands.settle } else { Duration::ZERO }
}

/// Takes back a Ready that nobody can vouch for: of a set that has not been at rest, as somebody saw, or of a target
/// whose requests fail.
fn vouched(verdict: Verdict, rest: &Rest, sight: &Sight, look_by: &LookBy) -> Verdict {
    if verdict != Verdict::Ready {
        return verdict;
    }
    if sight.failing {
        return Verdict::waiting(Code::NotSeen, "was ready when last seen, which is not possible at present");
    }
    match rest.until {
        Some(until) if !sight.covers(until) => {
            look_by.at(until);
            let text = format!("{}, waiting until that has been so for {:?}", rest.state, rest.length);
            Verdict::waiting(Code::Settling, text)
        }
        _ => Verdict::Ready,
    }
}

/// The rest that a set needs.
struct Rest {
    /// `None` if it needs none
    until: Option<Instant>,
    length: Duration,
    /// that has to last: `3 pods ready`
    state: String,
}

impl Rest {
    fn of<S: PartialEq>(settling: &Settling<S>, state: String) -> Self {
        Self { until: settling.due(), length: settling.rest(), state }
    }
}

/// Since when a target has been missing.
#[derive(Debug)]
struct Absence {
    /// how long it has to be
    least: Duration,
    since: Option<Instant>,
    told: bool,
}

impl Absence {
    fn new(demands: &Demands) -> Self {
        Self { least: demands.absence, since: None, told: false }
    }

    /// Whether it has become known by now that the target is not there; once for each time.
    fn proved(&mut self, missing: bool, sight: &Sight, look_by: &LookBy) -> bool {
        if !missing {
            (self.since, self.told) = (None, false);
            return false;
        }
        let due = *self.since.get_or_insert_with(Instant::now) + self.least;
        if self.told {
            return false;
        }
        // One look is enough where no time has to pass.
        self.told = self.least.is_zero() || sight.covers(due);
        if !self.told {
            look_by.at(due);
        }
        self.told
    }

    fn due(&self) -> Option<Instant> {
        self.since.filter(|_| !self.told).map(|since| since + self.least)
    }
}

/// The pods that make up a set, and what each is since when, by uid: what makes two sets of pods differ for the wait.
type Shape = BTreeMap<String, (State, Option<Timestamp>)>;

fn shape<'a>(pods: impl IntoIterator<Item = &'a Pod>, view: View) -> Shape {
    let states = pods.into_iter().map(|pod| (pod.metadata.uid.clone(), (view.state(pod), ready_since(pod))));
    states.filter(|(_, (state, _))| state.shapes()).collect()
}

/// When the last of the pods that count came to what it is; `None` if one does not say, or if one had to be given up.
fn youngest<'a>(pods: impl IntoIterator<Item = &'a Pod> + Clone, view: View) -> Option<Timestamp> {
    if pods.clone().into_iter().any(|pod| view.is_given_up(pod)) {
        return None;
    }
    let counted = pods.into_iter().filter(|pod| view.state(pod).counts());
    counted.map(ready_since).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The pods on their way out that hold a set, and those that have done so for too long.
#[derive(Debug, Default)]
struct Leaving {
    given_up: Vec<String>,
    /// when the next one is
    next: Option<Instant>,
}

impl Leaving {
    /// Takes note of the pods as they are; a remark for each that is waited for no longer.
    fn note<'a>(&mut self, pods: impl IntoIterator<Item = &'a Pod> + Clone, view: View) -> Vec<Step> {
        let until = |pod: &Pod| crate::kinds::pod::release(pod).filter(|release| *release > view.now);
        let next = pods.clone().into_iter().filter_map(until).min();
        self.next = next.map(|release| {
            let left = release.duration_since(view.now);
            Instant::now() + Duration::try_from(left).unwrap_or_default()
        });
        let mut remarks = Vec::new();
        for pod in pods.into_iter().filter(|pod| view.is_given_up(pod)) {
            if !self.given_up.contains(&pod.metadata.uid) {
                self.given_up.push(pod.metadata.uid.clone());
                let name = &pod.metadata.name;
                remarks.push(Step::Remark(format!(
                    "pod {name} should have been gone a minute ago, its node may be dead: it is not waited for"
                )));
            }
        }
        remarks
    }
}
