//! One target over time: its objects' updates → its verdicts.
//!
//! Here is what a verdict alone cannot know: that a Job was ready once, what a deletion means, how long a set has been
//! unchanged, and which pods stand behind a Service. Streams in, stream out; nothing is requested or printed here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use k8s_openapi::jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use crate::client::Failure;
use crate::evaluate;
use crate::evaluate::count;
use crate::evaluate::pod::{State, ready_since, state};
use crate::evaluate::service::Backing;
use crate::object::{EndpointSlice, Job, Object, Pod, Service};
use crate::resource::Resource;
use crate::settle::Settling;
use crate::target::{Mode, Target};
use crate::verdict::Verdict;
use crate::watch::{Update, Way};

#[cfg(test)]
mod scripts;

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

/// The steps of a Job target. It ends with `Ready`, which is kept once seen, even if the Job is then deleted.
pub fn jobs(
    target: Target,
    min: usize,
    updates: LocalBoxStream<'static, Update<Job>>,
) -> LocalBoxStream<'static, Step> {
    let jobs = Jobs { target, min, store: Store::new(), last_seen: None, told: None };
    let observer = (jobs, updates, VecDeque::new());
    stream::unfold(observer, |(mut jobs, mut updates, mut steps)| async {
        while steps.is_empty() {
            if jobs.told == Some(Verdict::Ready) {
                return None;
            }
            steps.extend(jobs.take(updates.next().await?));
        }
        let step = steps.pop_front()?;
        Some((step, (jobs, updates, steps)))
    })
    .boxed_local()
}

struct Jobs {
    target: Target,
    min: usize,
    store: Store<Job>,
    /// what was known of a Job when it went
    last_seen: Option<String>,
    told: Option<Verdict>,
}

impl Jobs {
    fn take(&mut self, update: Update<Job>) -> Vec<Step> {
        let mut steps = match &update {
            Update::Deleted(job) => self.last_words(job.clone()),
            Update::Listed(..) => self.keep_last_seen(),
            _ => Vec::new(),
        };
        if let Some(step) = self.store.take(update) {
            return vec![step];
        }
        let verdict = self.verdict();
        steps.extend(self.tell(verdict));
        steps
    }

    /// A deletion is decided by the object that it carries: with ttlSecondsAfterFinished: 0 it may be the first to say
    /// that the Job is complete.
    fn last_words(&mut self, job: Job) -> Vec<Step> {
        self.store.objects.insert(key(&job), job);
        let verdict = self.verdict();
        self.last_seen = verdict.reason().map(|reason| reason.text.clone());
        if matches!(verdict, Verdict::Waiting(_)) { Vec::new() } else { self.tell(verdict) }
    }

    /// After a gap in the history a Job may be missing without ever having been deleted before our eyes.
    fn keep_last_seen(&mut self) -> Vec<Step> {
        if !self.store.objects.is_empty() {
            self.last_seen = self.verdict().reason().map(|reason| reason.text.clone());
        }
        Vec::new()
    }

    fn verdict(&self) -> Verdict {
        let verdict = evaluate::job::jobs(&self.target, self.min, &self.store.to_vec());
        match (&verdict, &self.last_seen) {
            (Verdict::Waiting(reason), Some(seen)) if reason.code == "NotFound" => {
                Verdict::waiting("NotFound", format!("{} any more; last seen: {seen}", reason.text))
            }
            _ => verdict,
        }
    }

    /// What is kept is kept: nothing takes a Job's Ready back, not even its deletion.
    fn tell(&mut self, verdict: Verdict) -> Vec<Step> {
        if self.told == Some(Verdict::Ready) {
            return Vec::new();
        }
        let uids = || self.store.objects.values().map(|job| job.metadata.uid.clone()).collect();
        let subjects = (verdict == Verdict::Ready).then(|| Step::Subjects(uids()));
        subjects.into_iter().chain(changed(&mut self.told, verdict)).collect()
    }
}

fn changed(told: &mut Option<Verdict>, verdict: Verdict) -> Option<Step> {
    if told.as_ref() == Some(&verdict) {
        return None;
    }
    *told = Some(verdict.clone());
    Some(Step::Verdict(verdict))
}

/// The steps of a pod target.
pub fn pods(
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Pod>>,
) -> LocalBoxStream<'static, Step> {
    let settling = Settling::new(rest(&target, &demands));
    let pods = Pods { target, demands, store: Store::new(), settling, told: None };
    stream::unfold((pods, updates), |(mut pods, mut updates)| async {
        loop {
            let due = pods.due();
            let step = tokio::select! {
                update = updates.next() => pods.store.take(update?),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
            };
            let step = step.or_else(|| pods.judge());
            if let Some(step) = step {
                return Some((step, (pods, updates)));
            }
        }
    })
    .boxed_local()
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

struct Pods {
    target: Target,
    demands: Demands,
    store: Store<Pod>,
    settling: Settling<Shape>,
    told: Option<Verdict>,
}

impl Pods {
    fn judge(&mut self) -> Option<Step> {
        if !self.store.looked {
            return None;
        }
        let pods = self.store.to_vec();
        let own_uid = self.demands.own_uid.as_deref();
        let shape = shape(&pods, own_uid);
        let members = count(shape.len(), "pod");
        self.settling.saw(shape, youngest(&pods, own_uid), self.store.date);
        let verdict = evaluate::pod::pods(&self.target, self.demands.min, own_uid, &pods);
        changed(&mut self.told, settled(&self.settling, verdict, &members))
    }

    fn due(&self) -> Option<Instant> {
        due(&self.settling, self.told.as_ref())
    }
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

/// What is asked behind a Service.
#[derive(Debug, Clone, PartialEq)]
pub enum Behind {
    /// the pods with these labels
    Pods { namespace: String, labels: BTreeMap<String, String> },
    /// the EndpointSlices of the Service of this name
    Slices { namespace: String, service: String },
}

/// The updates of what is behind a Service.
pub enum BehindUpdates {
    /// of its pods
    Pods(LocalBoxStream<'static, Update<Pod>>),
    /// of its slices
    Slices(LocalBoxStream<'static, Update<EndpointSlice>>),
}

/// Opens the stream for what is behind a Service.
pub type Open = Box<dyn Fn(&Behind) -> BehindUpdates>;

/// The steps of a Service target; `open` is called for every Service that has something behind it.
pub fn services(
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Service>>,
    open: Open,
) -> LocalBoxStream<'static, Step> {
    let services = Services {
        settling: Settling::new(rest(&target, &demands)),
        target,
        demands,
        store: Store::new(),
        backings: BTreeMap::new(),
        open,
        troubled: false,
        told: None,
    };
    let observer = (services, updates, VecDeque::new());
    stream::unfold(observer, |(mut services, mut updates, mut steps)| async {
        while steps.is_empty() {
            let due = services.due();
            let step = tokio::select! {
                update = updates.next() => services.take(update?),
                step = services.next_behind() => step,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
            };
            steps.extend(services.advance(step));
        }
        let step = steps.pop_front()?;
        Some((step, (services, updates, steps)))
    })
    .boxed_local()
}

struct Services {
    target: Target,
    demands: Demands,
    store: Store<Service>,
    /// by the Service's uid
    backings: BTreeMap<String, Watched>,
    open: Open,
    /// by the uids of the Services, where a selector may come to match more of them, and the pods behind
    settling: Settling<(Vec<String>, Shape)>,
    /// an outage has been told and not yet its end
    troubled: bool,
    told: Option<Verdict>,
}

struct Watched {
    behind: Behind,
    source: Source,
}

enum Source {
    Pods(Store<Pod>, LocalBoxStream<'static, Update<Pod>>),
    Slices(Store<EndpointSlice>, LocalBoxStream<'static, Update<EndpointSlice>>),
}

impl Services {
    fn take(&mut self, update: Update<Service>) -> Option<Step> {
        let step = self.store.take(update);
        let wanted: BTreeMap<String, Behind> = self
            .store
            .objects
            .values()
            .filter_map(|service| Some((service.metadata.uid.clone(), behind(service)?)))
            .collect();
        // A Service whose selector was changed has other pods behind it: a new stream.
        self.backings.retain(|uid, watched| wanted.get(uid) == Some(&watched.behind));
        for (uid, behind) in wanted {
            self.backings.entry(uid).or_insert_with(|| Watched::new(behind, &self.open));
        }
        step
    }

    /// The next step of any stream behind a Service; pends for ever when there is none.
    async fn next_behind(&mut self) -> Option<Step> {
        let nexts = self.backings.values_mut().map(|watched| Box::pin(watched.source.next()));
        if nexts.len() == 0 {
            return std::future::pending().await;
        }
        futures::future::select_all(nexts).await.0
    }

    /// A target has one outage, whichever of its streams it is that fails: it is over when none does.
    fn advance(&mut self, step: Option<Step>) -> Vec<Step> {
        let failing = self.store.failing || self.backings.values().any(|watched| watched.source.failing());
        let over = self.troubled && !failing;
        self.troubled = failing;
        let step = step.filter(|step| *step != Step::Recovered);
        step.into_iter().chain(over.then_some(Step::Recovered)).chain(self.judge()).collect()
    }

    fn judge(&mut self) -> Option<Step> {
        if !self.store.looked {
            return None;
        }
        let backings = self.backings.iter().map(|(uid, watched)| Some((uid.clone(), watched.source.backing()?)));
        let Some(backings) = backings.collect::<Option<BTreeMap<_, _>>>() else {
            return self.not_looked();
        };
        let services = self.store.to_vec();
        let own_uid = self.demands.own_uid.as_deref();
        let verdict = evaluate::service::services(&self.target, self.demands.min, own_uid, &services, &backings);
        let verdict = self.rested(verdict, &services, &backings);
        changed(&mut self.told, verdict)
    }

    /// A look is not over before what is behind every Service was looked at, but Ready is not true any more.
    fn not_looked(&mut self) -> Option<Step> {
        let was_ready = self.told == Some(Verdict::Ready);
        let verdict = || Verdict::waiting("NotLookedYet", "another Service is there, what is behind it is looked up");
        was_ready.then(|| changed(&mut self.told, verdict())).flatten()
    }

    /// Pods behind a Service come one by one, and so do the Services of a selector. Endpoints that somebody else writes
    /// say nothing of their age and may come all at once: they need no rest.
    fn rested(&mut self, verdict: Verdict, services: &[Service], backings: &BTreeMap<String, Backing>) -> Verdict {
        let own_uid = self.demands.own_uid.as_deref();
        let pods: Vec<&Pod> = backings.values().flat_map(Backing::pods).collect();
        let serving = || pods.iter().copied().filter(|pod| state(pod, own_uid).serves());
        let is_named = self.target.selection.name.is_some();
        if is_named && pods.is_empty() {
            return verdict;
        }
        let growing = if is_named { &[] } else { services };
        let uids = growing.iter().map(|service| service.metadata.uid.clone()).collect();
        let made = growing.iter().map(|service| service.metadata.creation_timestamp.as_ref().map(|time| time.0));
        let since = serving().map(ready_since).chain(made).collect::<Option<Vec<_>>>();
        let date = self.backings.values().filter_map(|it| it.source.date()).max().unwrap_or(self.store.date);
        let shape = shape(serving(), own_uid);
        let members = if is_named { count(shape.len(), "pod") } else { count(services.len(), "service") };
        self.settling.saw((uids, shape), since.and_then(|since| since.into_iter().max()), date);
        settled(&self.settling, verdict, &members)
    }

    fn due(&self) -> Option<Instant> {
        due(&self.settling, self.told.as_ref())
    }
}

fn behind(service: &Service) -> Option<Behind> {
    let namespace = service.metadata.namespace.clone();
    match service.spec.r#type.as_str() {
        "ExternalName" => None,
        _ if service.spec.selector.is_empty() => {
            Some(Behind::Slices { namespace, service: service.metadata.name.clone() })
        }
        _ => Some(Behind::Pods { namespace, labels: service.spec.selector.clone() }),
    }
}

impl Watched {
    fn new(behind: Behind, open: &Open) -> Self {
        let source = match open(&behind) {
            BehindUpdates::Pods(updates) => Source::Pods(Store::new(), updates),
            BehindUpdates::Slices(updates) => Source::Slices(Store::new(), updates),
        };
        Self { behind, source }
    }
}

impl Source {
    async fn next(&mut self) -> Option<Step> {
        match self {
            Self::Pods(store, updates) => store.take(updates.next().await?),
            Self::Slices(store, updates) => store.take(updates.next().await?),
        }
    }

    fn backing(&self) -> Option<Backing> {
        match self {
            Self::Pods(store, _) => store.looked.then(|| Backing::Pods(store.to_vec())),
            Self::Slices(store, _) => store.looked.then(|| Backing::Slices(store.to_vec())),
        }
    }

    fn failing(&self) -> bool {
        match self {
            Self::Pods(store, _) => store.failing,
            Self::Slices(store, _) => store.failing,
        }
    }

    fn date(&self) -> Option<Timestamp> {
        match self {
            Self::Pods(store, _) => store.looked.then_some(store.date),
            Self::Slices(..) => None,
        }
    }
}
