//! A Service target over time: a stream of its own for what is behind each Service, and one outage for all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::LocalBoxStream;
use tokio::time::Instant;

use super::{Absence, Absent, Demands, Leaving, Observer, Rest, Shape, Sight, Step, Store, Told};
use super::{coming, rest, shape, steps, vouched};
use crate::api::watch::{LookBy, Update};
use crate::follow::settle::Settling;
use crate::kinds;
use crate::kinds::count;
use crate::kinds::object::{EndpointSlice, Pod, Service};
use crate::kinds::pod::{State, View, ready_since};
use crate::kinds::service::Backing;
use crate::target::Target;
use crate::target::verdict::{Code, Verdict};

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

/// The steps of a Service target; `open` is called for every Service that has something behind it, `look_by` asks for a
/// look at all of it.
pub fn services(
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Service>>,
    open: Open,
    look_by: LookBy,
) -> LocalBoxStream<'static, Step> {
    steps(Services {
        settling: Settling::new(rest(&target, &demands)),
        absence: Absence::new(&demands),
        target,
        demands,
        updates,
        look_by,
        store: Store::new(),
        backings: BTreeMap::new(),
        open,
        leaving: Leaving::default(),
        troubled: false,
        seen: false,
        told: Told::default(),
    })
}

struct Services {
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Service>>,
    look_by: LookBy,
    store: Store<Service>,
    /// by the Service's uid
    backings: BTreeMap<String, Watched>,
    open: Open,
    /// by the uids of the Services, where a selector may come to match more of them, and the pods behind
    settling: Settling<(Vec<String>, Shape)>,
    leaving: Leaving,
    absence: Absence,
    /// an outage has been told and not yet its end
    troubled: bool,
    /// there was one at some time
    seen: bool,
    told: Told,
}

struct Watched {
    behind: Behind,
    source: Source,
}

enum Source {
    Pods(Store<Pod>, LocalBoxStream<'static, Update<Pod>>),
    Slices(Store<EndpointSlice>, LocalBoxStream<'static, Update<EndpointSlice>>),
}

impl Observer for Services {
    async fn update(&mut self) -> Option<Step> {
        let behind = next_behind(&mut self.backings);
        let step = tokio::select! {
            update = coming(&mut self.updates) => Ok(update),
            step = behind => Err(step),
        };
        match step {
            Ok(update) => self.take(update),
            Err(step) => step,
        }
        // A target has one outage, whichever of its streams it is that fails.
        .filter(|step| *step != Step::Recovered)
    }

    fn judge(&mut self) -> Vec<Step> {
        let sight = self.sight();
        let over = self.troubled && !sight.failing;
        self.troubled = sight.failing;
        let mut steps: Vec<Step> = over.then_some(Step::Recovered).into_iter().collect();
        if !self.store.looked() {
            return steps;
        }
        let services = self.store.to_vec();
        self.seen |= !services.is_empty();
        let verdict = match self.backings() {
            Some(backings) => {
                let view = View { own_uid: self.demands.own_uid.as_deref(), now: sight.now() };
                let pods: Vec<&Pod> = backings.values().flat_map(Backing::pods).collect();
                steps.extend(self.leaving.note(pods, view));
                let verdict = kinds::service::services(&self.target, self.demands.min, view, &services, &backings);
                let rest = self.rest(&services, &backings);
                Some(vouched(verdict, &rest, &sight, &self.look_by))
            }
            // A first look is not over before what is behind every Service was looked at; but what was said before does
            // not hold any more.
            None => self.told.verdict.is_some().then(|| {
                let text = "what is behind it now was not seen yet";
                Verdict::waiting(Code::NotLookedYet, text)
            }),
        };
        steps.extend(self.told.news(verdict, sight.known()));
        let missing = self.target.selection.name.is_some() && !self.seen;
        if self.absence.proved(missing, &self.store.sight, &self.look_by) {
            steps.push(Step::Absent(Absent::Never));
        }
        steps
    }

    fn alarms(&self) -> [Option<Instant>; 3] {
        [self.settling.due(), self.leaving.next, self.absence.due()]
    }
}

/// The next step of any stream behind a Service; pends for ever when there is none.
async fn next_behind(backings: &mut BTreeMap<String, Watched>) -> Option<Step> {
    let nexts = backings.values_mut().map(|watched| Box::pin(watched.source.next()));
    if nexts.len() == 0 {
        return std::future::pending().await;
    }
    futures::future::select_all(nexts).await.0
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

    /// Of all streams together.
    fn sight(&self) -> Sight {
        self.backings.values().map(|watched| watched.source.sight()).fold(self.store.sight, Sight::and)
    }

    /// `None` before all of them were looked at.
    fn backings(&self) -> Option<BTreeMap<String, Backing>> {
        let backings = self.backings.iter().map(|(uid, watched)| Some((uid.clone(), watched.source.backing()?)));
        backings.collect()
    }

    /// Pods behind a Service come one by one, and so do the Services of a selector. Endpoints that somebody else writes
    /// say nothing of their age and may come all at once: they need no rest.
    fn rest(&mut self, services: &[Service], backings: &BTreeMap<String, Backing>) -> Rest {
        let sight = self.sight();
        let view = View { own_uid: self.demands.own_uid.as_deref(), now: sight.now() };
        let matters = |pod: &&Pod| view.state(pod).serves() || view.state(pod) == State::Leaving;
        let pods: Vec<&Pod> = backings.values().flat_map(Backing::pods).collect();
        let is_named = self.target.selection.name.is_some();
        if is_named && pods.is_empty() {
            return Rest { until: None, length: Duration::ZERO, state: String::new() };
        }
        let growing = if is_named { &[] } else { services };
        let uids = growing.iter().map(|service| service.metadata.uid.clone()).collect();
        let made = growing.iter().map(|service| service.metadata.creation_timestamp.as_ref().map(|time| time.0));
        let given_up = pods.iter().any(|pod| view.is_given_up(pod));
        let since = pods.iter().filter(|pod| view.state(pod).serves()).map(|pod| ready_since(pod)).chain(made);
        let since = since.collect::<Option<Vec<_>>>().filter(|_| !given_up);
        let shape = shape(pods.iter().copied().filter(matters), view);
        let members = if is_named { count(shape.len(), "pod") } else { count(services.len(), "service") };
        self.settling.saw((uids, shape), since.and_then(|since| since.into_iter().max()), view.now);
        Rest::of(&self.settling, format!("{members} ready"))
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
            Self::Pods(store, updates) => store.take(coming(updates).await),
            Self::Slices(store, updates) => store.take(coming(updates).await),
        }
    }

    fn backing(&self) -> Option<Backing> {
        match self {
            Self::Pods(store, _) => store.looked().then(|| Backing::Pods(store.to_vec())),
            Self::Slices(store, _) => store.looked().then(|| Backing::Slices(store.to_vec())),
        }
    }

    fn sight(&self) -> Sight {
        match self {
            Self::Pods(store, _) => store.sight,
            Self::Slices(store, _) => store.sight,
        }
    }
}
