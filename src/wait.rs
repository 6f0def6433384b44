//! The driver: the steps of all targets in one select, folded into one end.
//!
//! It runs on a thread of its own (an exec plugin or getaddrinfo may block that thread for as long as they like);
//! the deadline and the signals are `main`'s, which sees how things stand through a watch channel.

use std::env;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use futures::stream::{LocalBoxStream, SelectAll, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::client::{Class, Client, Failure};
use crate::compat::Invocation;
use crate::config;
use crate::gone;
use crate::identity::Identity;
use crate::observe::{self, Behind, BehindUpdates, Demands, Step};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::report;
use crate::target::{Kind, Target};
use crate::verdict::{Decision, Quorum, Verdict};
use crate::watch::{Query, updates};

/// How often an outage that goes on is told.
const REMINDER: Duration = Duration::from_secs(30);

/// How one target stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// what is waited for
    pub target: Target,
    /// the last verdict, `None` before the first
    pub verdict: Option<Verdict>,
    /// the uids of the Jobs that its `Ready` is about
    pub subjects: Vec<String>,
    /// what keeps its requests from being answered
    pub trouble: Option<Trouble>,
}

/// A failure that lasts.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// the last of it
    pub failure: Failure,
    since: Instant,
    /// since when the API refuses; other failures in between do not count as a success
    denied_since: Option<Instant>,
    next_line: Instant,
}

/// The rules of the wait as a whole.
#[derive(Debug, Clone)]
pub struct Rules {
    /// all or one
    pub quorum: Quorum,
    /// for how long the API may refuse
    pub auth_grace: Duration,
    /// do not wait, only look (`--timeout 0`)
    pub once: bool,
}

/// Connects, opens the streams of all targets and runs until they decide it.
///
/// # Errors
/// A configuration that a person has to mend: no credentials, a broken kubeconfig, an unknown context.
pub async fn run(invocation: Invocation, progress: watch::Sender<Vec<Standing>>, output: Output) -> Result<Outcome> {
    let identity = Identity::of_this_process(|name| env::var(name).ok());
    let config = config::load(invocation.kubeconfig.as_deref(), invocation.context.as_deref()).await?;
    let targets = resolve(&invocation.targets, &config.default_namespace);
    let client = Client::new(config).await?;
    let rules = Rules {
        quorum: invocation.quorum,
        auth_grace: invocation.auth_grace,
        once: invocation.timeout == Some(Duration::ZERO),
    };
    let opening = report::opening(&targets, rules.quorum, invocation.timeout);
    output.line(&report::stamped(SystemTime::now(), &opening));
    let opener = Opener {
        client,
        demands: Demands { min: invocation.min as usize, settle: invocation.settle, own_uid: identity.pod_uid.clone() },
        policy: gone::Policy { missing: invocation.missing, once: rules.once },
        identity,
        pause: invocation.poll_pause,
    };
    let steps = targets.into_iter().map(|target| {
        let steps = opener.open(&target);
        (target, steps)
    });
    Ok(drive(rules, steps.collect(), progress, output).await)
}

/// `job/a shop:job/a` is one target for whoever is in the namespace shop.
fn resolve(targets: &[Target], namespace: &str) -> Vec<Target> {
    let mut resolved: Vec<Target> = Vec::new();
    for target in targets {
        let target = target.clone().resolve(namespace);
        if !resolved.contains(&target) {
            resolved.push(target);
        }
    }
    resolved
}

/// What every target's stream is opened with.
struct Opener {
    client: Client,
    identity: Identity,
    demands: Demands,
    policy: gone::Policy,
    /// between polls
    pause: Option<Duration>,
}

impl Opener {
    /// One watch for each target; a Service's observer opens more for what is behind it.
    fn open(&self, target: &Target) -> LocalBoxStream<'static, Step> {
        let selection = &target.selection;
        let query = Query {
            namespace: target.namespace().map(str::to_owned),
            name: selection.name.clone(),
            // The labels of a named object are judged here: else one that does not match could not be told from none.
            labels: selection.labels.as_ref().filter(|_| selection.name.is_none()).map(ToString::to_string),
            fields: selection.fields.clone(),
        };
        let (client, pause) = (self.client.clone(), self.pause);
        match target.mode.kind() {
            Kind::Job => self.jobs(target, query),
            Kind::Pod => observe::pods(target.clone(), self.demands.clone(), updates(client, query, pause)),
            Kind::Service => {
                let services = updates(client.clone(), query, pause);
                let behind = move |behind: &Behind| open_behind(&client, behind, pause);
                observe::services(target.clone(), self.demands.clone(), services, Box::new(behind))
            }
        }
    }

    fn jobs(&self, target: &Target, query: Query) -> LocalBoxStream<'static, Step> {
        let steps = observe::jobs(target.clone(), self.demands.min, updates(self.client.clone(), query, self.pause));
        let search = gone::search(&self.client, &self.identity, target);
        gone::search_while_missing(target.clone(), steps, self.policy.clone(), search)
    }
}

fn open_behind(client: &Client, behind: &Behind, pause: Option<Duration>) -> BehindUpdates {
    let query = |namespace: &str, labels: String| Query {
        namespace: Some(namespace.to_owned()),
        labels: Some(labels),
        ..Query::default()
    };
    match behind {
        Behind::Pods { namespace, labels } => {
            let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            BehindUpdates::Pods(updates(client.clone(), query(namespace, labels.join(",")), pause))
        }
        Behind::Slices { namespace, service } => {
            let labels = format!("kubernetes.io/service-name={service}");
            BehindUpdates::Slices(updates(client.clone(), query(namespace, labels), pause))
        }
    }
}

async fn drive(
    rules: Rules,
    steps: Vec<(Target, LocalBoxStream<'static, Step>)>,
    progress: watch::Sender<Vec<Standing>>,
    output: Output,
) -> Outcome {
    let standings = steps.iter().map(|(target, _)| Standing::new(target.clone())).collect();
    let mut wait = Wait { rules, standings, progress, output };
    let streams =
        steps.into_iter().enumerate().map(|(index, (_, steps))| steps.map(move |step| (index, step)).boxed_local());
    let mut steps: SelectAll<_> = streams.collect();
    loop {
        let alarm = wait.alarm();
        tokio::select! {
            step = steps.next() => if let Some((index, step)) = step { wait.take(index, step) },
            () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => wait.remind(),
        }
        if let Some(end) = wait.end() {
            return end;
        }
    }
}

struct Wait {
    rules: Rules,
    standings: Vec<Standing>,
    progress: watch::Sender<Vec<Standing>>,
    output: Output,
}

impl Wait {
    fn take(&mut self, index: usize, step: Step) {
        let standing = &mut self.standings[index];
        let line = report::change(&standing.target, &step).or_else(|| standing.outage(&step));
        if let Some(line) = line {
            self.output.line(&report::stamped(SystemTime::now(), &line));
        }
        match step {
            Step::Verdict(verdict) => standing.verdict = Some(verdict),
            Step::Subjects(uids) => standing.subjects = uids,
            _ => {}
        }
        self.progress.send_replace(self.standings.clone());
    }

    /// When to do something without a step: an outage to be told again, or a grace that ends.
    fn alarm(&self) -> Option<Instant> {
        let troubles = self.standings.iter().filter_map(|standing| standing.trouble.as_ref());
        let grace = |trouble: &Trouble| trouble.denied_since.map(|since| since + self.rules.auth_grace);
        troubles
            .flat_map(|trouble| [Some(trouble.next_line), grace(trouble)])
            .flatten()
            .filter(|at| *at > Instant::now())
            .min()
    }

    fn remind(&mut self) {
        let now = Instant::now();
        for standing in &mut self.standings {
            let Some(trouble) = standing.trouble.as_mut().filter(|trouble| trouble.next_line <= now) else { continue };
            trouble.next_line = now + REMINDER;
            let line = report::outage(&standing.target, &trouble.failure.text, trouble.since.elapsed());
            self.output.line(&report::stamped(SystemTime::now(), &line));
        }
    }

    fn end(&self) -> Option<Outcome> {
        match self.rules.quorum.decide(self.standings.iter().map(|standing| standing.verdict.as_ref())) {
            Decision::Ready => return Some(Outcome::Ready),
            Decision::Failed => return Some(Outcome::Failed),
            Decision::Undecided => {}
        }
        let invalid = |standing: &Standing| {
            let failure = &standing.trouble.as_ref()?.failure;
            (failure.class == Class::Invalid).then(|| failure.text.clone())
        };
        if let Some(text) = self.standings.iter().find_map(invalid) {
            return Some(Outcome::Invalid(text));
        }
        if denied(self.rules.quorum, &self.standings, self.rules.auth_grace) {
            return Some(Outcome::Denied);
        }
        let looked = |standing: &Standing| standing.verdict.is_some() || standing.trouble.is_some();
        (self.rules.once && self.standings.iter().all(looked)).then_some(Outcome::NotYet)
    }
}

/// Whether the API has refused for at least `grace`, and still does: one target is enough where all are needed; with
/// `Any` only when no target can win any more.
pub fn denied(quorum: Quorum, standings: &[Standing], grace: Duration) -> bool {
    let refused = |standing: &Standing| {
        let since = standing.trouble.as_ref().filter(|it| it.failure.is_refusal()).and_then(|it| it.denied_since);
        since.is_some_and(|since| since.elapsed() >= grace)
    };
    match quorum {
        Quorum::All => standings.iter().any(refused),
        Quorum::Any => standings.iter().filter(|it| !matches!(it.verdict, Some(Verdict::Failed(_)))).all(refused),
    }
}

impl Standing {
    fn new(target: Target) -> Self {
        Self { target, verdict: None, subjects: Vec::new(), trouble: None }
    }

    /// Keeps the book of this target's outage; a line when it begins and when it ends.
    fn outage(&mut self, step: &Step) -> Option<String> {
        match step {
            Step::Trouble(failure) => self.troubled(failure),
            Step::Recovered => {
                let trouble = self.trouble.take()?;
                Some(report::recovery(&self.target, trouble.since.elapsed()))
            }
            Step::Verdict(_) | Step::Subjects(_) | Step::Remark(_) | Step::Way(..) => None,
        }
    }

    fn troubled(&mut self, failure: &Failure) -> Option<String> {
        let now = Instant::now();
        let refused = failure.is_refusal();
        let denied_since = self.trouble.as_ref().and_then(|trouble| trouble.denied_since);
        let denied_since = denied_since.or(refused.then_some(now));
        if let Some(trouble) = &mut self.trouble {
            trouble.failure = failure.clone();
            trouble.denied_since = denied_since;
            return None;
        }
        self.trouble = Some(Trouble { failure: failure.clone(), since: now, denied_since, next_line: now + REMINDER });
        Some(report::outage(&self.target, &failure.text, Duration::ZERO))
    }
}
