//! One target over time: its objects' updates → its verdicts.
//!
//! Here is what a verdict alone cannot know: that a Job was ready once, what a deletion means, how long a set has been
//! unchanged, and which pods stand behind a Service. Streams in, stream out; nothing is requested or printed here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use k8s_openapi::jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use crate::client::Failure;
use crate::evaluate;
use crate::evaluate::count;
use crate::evaluate::pod::{counted, is_ready, ready_since};
use crate::evaluate::service::Backing;
use crate::object::{EndpointSlice, Job, Object, Pod, Service};
use crate::settle::Settling;
use crate::target::{Mode, Target};
use crate::verdict::Verdict;
use crate::watch::{Update, Way};

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
    /// By which means the objects are seen from now on.
    Way(Way),
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
}

impl<T: Object> Store<T> {
    fn new() -> Self {
        Self { objects: BTreeMap::new(), date: Timestamp::UNIX_EPOCH, looked: false }
    }

    /// Takes an update in; what is none of the objects comes back.
    fn take(&mut self, update: Update<T>) -> Option<Step> {
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
            Update::Way(way) => return Some(Step::Way(way)),
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
    let jobs = Jobs { target, min, store: Store::new(), last_seen: None, subjects: Vec::new(), told: None };
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
    last_seen: Option<Verdict>,
    /// the uids of the Jobs that were there last
    subjects: Vec<String>,
    told: Option<Verdict>,
}

impl Jobs {
    fn take(&mut self, update: Update<Job>) -> Vec<Step> {
        // A deletion is decided by the object that it carries: with ttlSecondsAfterFinished: 0 it may be the first to
        // say that the Job is complete.
        let last_words = match &update {
            Update::Deleted(job) => self.last_words(job.clone()),
            Update::Listed(..) => self.keep_last_seen(),
            _ => None,
        };
        if let Some(step) = self.store.take(update) {
            return vec![step];
        }
        self.note_subjects();
        let mut steps = Vec::new();
        for verdict in last_words.into_iter().chain([self.verdict()]) {
            // What is kept is kept: nothing takes a Job's Ready back, not even its deletion.
            if self.told != Some(Verdict::Ready) {
                steps.extend((verdict == Verdict::Ready).then(|| Step::Subjects(self.subjects.clone())));
                steps.extend(changed(&mut self.told, verdict));
            }
        }
        steps
    }

    fn last_words(&mut self, job: Job) -> Option<Verdict> {
        self.store.objects.insert(key(&job), job);
        self.note_subjects();
        let verdict = self.verdict();
        self.last_seen = Some(verdict.clone());
        (!matches!(verdict, Verdict::Waiting(_))).then_some(verdict)
    }

    fn note_subjects(&mut self) {
        if !self.store.objects.is_empty() {
            self.subjects = self.store.objects.values().map(|job| job.metadata.uid.clone()).collect();
        }
    }

    /// After a gap in the history a Job may be missing without ever having been deleted before our eyes.
    fn keep_last_seen(&mut self) -> Option<Verdict> {
        if !self.store.objects.is_empty() {
            self.last_seen = Some(self.verdict());
        }
        None
    }

    fn verdict(&self) -> Verdict {
        let verdict = evaluate::job::jobs(&self.target, self.min, &self.store.to_vec());
        match (&verdict, &self.last_seen) {
            (Verdict::Waiting(reason), Some(seen)) if reason.code == "NotFound" => {
                let seen = seen.reason().map_or("complete", |reason| reason.text.as_str());
                Verdict::waiting("NotFound", format!("{} any more; last seen: {seen}", reason.text))
            }
            _ => verdict,
        }
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

/// What makes two sets of pods differ for the wait.
type Shape = BTreeSet<(String, bool)>;

fn shape(pods: &[&Pod]) -> Shape {
    pods.iter().map(|pod| (pod.metadata.uid.clone(), is_ready(pod))).collect()
}

fn youngest(pods: &[&Pod]) -> Option<Timestamp> {
    pods.iter().filter_map(|pod| ready_since(pod)).max()
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
        let counted = counted(&pods, own_uid);
        self.settling.saw(shape(&counted), youngest(&counted), self.store.date);
        let verdict = evaluate::pod::pods(&self.target, self.demands.min, own_uid, &pods);
        changed(&mut self.told, settled(&self.settling, verdict, counted.len()))
    }

    fn due(&self) -> Option<Instant> {
        due(&self.settling, self.told.as_ref())
    }
}

fn settled(settling: &Settling<Shape>, verdict: Verdict, members: usize) -> Verdict {
    let rested = settling.due().is_some_and(|due| due <= Instant::now());
    if verdict == Verdict::Ready && !rested {
        let pods = count(members, "pod");
        let text = format!("{pods} ready, waiting until that has been so for {:?}", settling.rest());
        return Verdict::waiting("Settling", text);
    }
    verdict
}

/// When to look again without an update.
fn due(settling: &Settling<Shape>, told: Option<&Verdict>) -> Option<Instant> {
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
    let settling = Settling::new(rest(&target, &demands));
    let services =
        Services { target, demands, store: Store::new(), backings: BTreeMap::new(), open, settling, told: None };
    stream::unfold((services, updates), |(mut services, mut updates)| async {
        loop {
            let due = services.due();
            let step = tokio::select! {
                update = updates.next() => services.take(update?),
                step = services.next_behind() => step,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
            };
            let step = step.or_else(|| services.judge());
            if let Some(step) = step {
                return Some((step, (services, updates)));
            }
        }
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
    settling: Settling<Shape>,
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

    fn judge(&mut self) -> Option<Step> {
        if !self.store.looked {
            return None;
        }
        let services = self.store.to_vec();
        let backings: BTreeMap<String, Backing> =
            self.backings.iter().filter_map(|(uid, watched)| Some((uid.clone(), watched.source.backing()?))).collect();
        let own_uid = self.demands.own_uid.as_deref();
        let verdict = evaluate::service::services(&self.target, self.demands.min, own_uid, &services, &backings);
        if backings.len() < self.backings.len() {
            return changed(&mut self.told, verdict);
        }
        let members = self.rest(&backings);
        changed(&mut self.told, settled(&self.settling, verdict, members))
    }

    /// Takes note of the pods behind all Services and counts them. Endpoints say nothing of their age and are one
    /// object: they need no rest.
    fn rest(&mut self, backings: &BTreeMap<String, Backing>) -> usize {
        let pods = backings.values().filter_map(|backing| match backing {
            Backing::Pods(pods) => Some(pods),
            Backing::Slices(_) => None,
        });
        let pods: Vec<&Pod> = pods.flat_map(|pods| counted(pods, self.demands.own_uid.as_deref())).collect();
        let date = self.backings.values().filter_map(|it| it.source.date()).max().unwrap_or(self.store.date);
        self.settling.saw(shape(&pods), youngest(&pods), date);
        pods.len()
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

    fn date(&self) -> Option<Timestamp> {
        match self {
            Self::Pods(store, _) => store.looked.then_some(store.date),
            Self::Slices(..) => None,
        }
    }
}
