//! The driver: the steps of all targets in one select, folded into one end.
//!
//! It runs on a thread of its own (an exec plugin or getaddrinfo may block that thread for as long as they like);
//! the deadline and the signals are `main`'s, which sees how things stand through a watch channel.

use std::env;
use std::time::Duration;

use anyhow::Result;
use futures::stream::{LocalBoxStream, SelectAll, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::client::Client;
use crate::compat::Invocation;
use crate::config;
use crate::events::Poster;
use crate::evidence::Gatherer;
use crate::explain::Explanation;
use crate::failure::{Class, Failure};
use crate::gone;
use crate::identity::Identity;
use crate::inquiry::Inquiry;
use crate::observe::{Demands, Step};
use crate::open::{Opener, resolve};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::report;
use crate::standing::{REMINDER, Standing, Trouble, denied};
use crate::target::Target;
use crate::verdict::{Decision, Quorum, Verdict};

/// So many refused connections in a row, in a pod, are hardly an API server that restarts.
const REFUSALS: u32 = 3;

/// istio-cni redirects an init container's traffic before its proxy is up:
/// <https://istio.io/latest/docs/setup/additional-setup/cni/#compatibility-with-application-init-containers>.
const MESH: &str = "hint: connections are refused again and again. In a service mesh the proxy may not be up yet: run it \
    as a native sidecar, run this container as user 1337, or exclude the API server's address from redirection \
    (traffic.sidecar.istio.io/excludeOutboundIPRanges)";

/// The rules of the wait as a whole.
#[derive(Debug, Clone)]
pub struct Rules {
    /// all or one
    pub quorum: Quorum,
    /// for how long the API may refuse
    pub auth_grace: Duration,
    /// do not wait, only look (`--timeout 0`)
    pub once: bool,
    /// this is a pod: its network may not be up yet
    pub in_pod: bool,
}

/// Connects, opens the streams of all targets and runs until they decide it.
///
/// # Errors
/// A configuration that a person has to mend: no credentials, a broken kubeconfig, an unknown context.
pub async fn run(invocation: Invocation, progress: watch::Sender<Vec<Standing>>, output: Output) -> Result<Outcome> {
    let started = Instant::now();
    let identity = Identity::of_this_process(|name| env::var(name).ok());
    let config = config::load(invocation.kubeconfig.as_deref(), invocation.context.as_deref()).await?;
    let targets = resolve(&invocation.targets, &config.default_namespace);
    let client = Client::new(config).await?;
    let rules = Rules {
        quorum: invocation.quorum,
        auth_grace: invocation.auth_grace,
        once: invocation.timeout == Some(Duration::ZERO),
        in_pod: identity.in_pod,
    };
    output.say(&report::opening(&targets, rules.quorum, invocation.timeout));
    let gatherer = Gatherer { client: client.clone(), identity: identity.clone() };
    let left = invocation.timeout.filter(|_| !rules.once).map(|timeout| timeout.saturating_sub(started.elapsed()));
    let inquiry = Inquiry::new(gatherer, targets.iter().cloned(), left);
    let poster = invocation.events.then(|| Poster::new(client.clone(), &identity)).transpose();
    let poster = poster.unwrap_or_else(|useless| {
        tracing::warn!("{useless}");
        None
    });
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
    let steps: Vec<_> = steps.collect();
    let standings = steps.iter().map(|(target, _)| Standing::new(target.clone())).collect();
    let wait = Wait { rules, standings, progress, output, next_heartbeat: started + REMINDER, hinted: false };
    Ok(drive(wait, steps, inquiry, poster).await)
}

async fn drive(
    mut wait: Wait,
    steps: Vec<(Target, LocalBoxStream<'static, Step>)>,
    mut inquiry: Inquiry,
    mut poster: Option<Poster>,
) -> Outcome {
    let streams =
        steps.into_iter().enumerate().map(|(index, (_, steps))| steps.map(move |step| (index, step)).boxed_local());
    let mut steps: SelectAll<_> = streams.collect();
    loop {
        let alarm = wait.alarm();
        tokio::select! {
            step = steps.next() => if let Some((index, step)) = step {
                wait.take(index, step, &mut inquiry);
                wait.tell(&mut poster);
            },
            (index, explanation) = inquiry.next() => {
                wait.learn(index, explanation);
                wait.tell(&mut poster);
            }
            failure = run_if_any(&mut poster) => {
                wait.output.say(&report::remark(format!("--events has no effect: {failure}")));
                poster = None;
            }
            () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => wait.remind(),
        }
        if let Some(end) = wait.end() {
            if end == Outcome::Failed {
                wait.close(&mut inquiry).await;
            }
            return end;
        }
    }
}

async fn run_if_any(poster: &mut Option<Poster>) -> Failure {
    match poster {
        Some(poster) => poster.run().await,
        None => std::future::pending().await,
    }
}

struct Wait {
    rules: Rules,
    standings: Vec<Standing>,
    progress: watch::Sender<Vec<Standing>>,
    output: Output,
    next_heartbeat: Instant,
    /// the hint about the network was given
    hinted: bool,
}

impl Wait {
    fn take(&mut self, index: usize, step: Step, inquiry: &mut Inquiry) {
        let known = self.outage_is_told();
        let standing = &mut self.standings[index];
        let line = report::change(standing, &step).or_else(|| standing.outage(&step, known));
        if let Some(line) = line {
            self.output.say(&line);
        }
        match step {
            Step::Verdict(verdict) => {
                if !inquiry.note(index, &verdict) {
                    standing.explanation = Explanation::default();
                }
                standing.verdict = Some(verdict);
            }
            Step::Subjects(uids) => standing.subjects = uids,
            _ => {}
        }
        let refused = standing.trouble.as_ref().is_some_and(|trouble| trouble.refusals >= REFUSALS);
        if refused && self.rules.in_pod && !std::mem::replace(&mut self.hinted, true) {
            self.output.say(&report::remark(MESH));
        }
        self.show();
    }

    fn learn(&mut self, index: usize, explanation: Explanation) {
        let standing = &mut self.standings[index];
        let news: Vec<_> =
            explanation.news(&standing.explanation).map(|text| report::explanation(standing, text)).collect();
        for line in news {
            self.output.say(&line);
        }
        standing.explanation = explanation;
        self.show();
    }

    /// What the closing report is made of.
    async fn close(&mut self, inquiry: &mut Inquiry) {
        let failed = |standing: &Standing| matches!(standing.verdict, Some(Verdict::Failed(_)));
        let failed: Vec<usize> = (0..self.standings.len()).filter(|index| failed(&self.standings[*index])).collect();
        for (index, explanation) in inquiry.close(failed).await {
            self.standings[index].explanation = explanation;
        }
        self.show();
    }

    fn show(&self) {
        self.progress.send_replace(self.standings.clone());
        if self.output.is_live() {
            self.output.rows(report::rows(&self.standings));
        }
    }

    fn tell(&self, poster: &mut Option<Poster>) {
        if let Some(poster) = poster {
            poster.say(self.blockage());
        }
    }

    /// Why the whole wait goes on.
    fn blockage(&self) -> Option<String> {
        let open = self.standings.iter().filter(|standing| standing.verdict != Some(Verdict::Ready));
        let texts: Vec<String> = open.map(|it| format!("{}: {}", it.target, report::blockage(it))).collect();
        (!texts.is_empty()).then(|| format!("waiting for {}", texts.join("; ")))
    }

    /// When to do something without a step: an outage to be told again, or a grace that ends.
    fn alarm(&self) -> Option<Instant> {
        let troubles = self.standings.iter().filter_map(|standing| standing.trouble.as_ref());
        let grace = |trouble: &Trouble| {
            let end = trouble.denied_since.map(|since| since + self.rules.auth_grace);
            end.filter(|at| *at > Instant::now())
        };
        let moments = troubles.flat_map(|trouble| [Some(trouble.next_line), grace(trouble)]).flatten();
        moments.chain([self.next_heartbeat]).min()
    }

    /// One line for an outage, not one for each target: they all ask the same API server. A refusal is a target's own.
    fn outage_is_told(&self) -> bool {
        let mut troubles = self.standings.iter().filter_map(|standing| standing.trouble.as_ref());
        troubles.any(|trouble| trouble.told && !trouble.failure.is_refusal())
    }

    fn remind(&mut self) {
        let now = Instant::now();
        let mut known = self.outage_is_told();
        for standing in &mut self.standings {
            let Some(trouble) = standing.trouble.as_mut().filter(|trouble| trouble.next_line <= now) else { continue };
            trouble.next_line = now + REMINDER;
            trouble.told |= !known || trouble.failure.is_refusal();
            if !trouble.told {
                continue;
            }
            known = true;
            let trouble = trouble.clone();
            self.output.say(&report::outage(standing, &trouble.failure.text, trouble.since.elapsed()));
        }
        if self.next_heartbeat <= now {
            self.next_heartbeat = now + REMINDER;
            // The live view counts its seconds by itself.
            let beats = self.standings.iter().filter(|_| !self.output.is_live()).filter_map(report::heartbeat);
            beats.for_each(|line| self.output.say(&line));
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
