//! A Service target over time: a stream of its own for what is behind each Service, and one outage for all of them.

use std::collections::{BTreeMap, VecDeque};

use futures::stream::{self, LocalBoxStream, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::{Demands, Shape, Step, Store, changed, due, rest, settled, shape};
use crate::evaluate;
use crate::evaluate::count;
use crate::evaluate::pod::{ready_since, state};
use crate::evaluate::service::Backing;
use crate::object::{EndpointSlice, Pod, Service};
use crate::settle::Settling;
use crate::target::Target;
use crate::verdict::Verdict;
use crate::watch::Update;

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
type Open = Box<dyn Fn(&Behind) -> BehindUpdates>;

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
        let shape = shape(serving(), own_uid);
        let members = if is_named { count(shape.len(), "pod") } else { count(services.len(), "service") };
        self.settling.saw((uids, shape), since.and_then(|since| since.into_iter().max()), self.store.date);
        settled(&self.settling, verdict, &members)
    }

    fn due(&self) -> Option<Instant> {
        due(&self.settling, self.told.as_ref())
    }
}

pub(super) fn behind(service: &Service) -> Option<Behind> {
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
}
