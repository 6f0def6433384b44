//! The driver: the steps of all targets in one select, folded into one end.
//!
//! It runs on a thread of its own (an exec plugin or getaddrinfo may block that thread for as long as they like);
//! the deadline and the signals are `main`'s, which sees how things stand through a watch channel.

mod events;

use std::env;
use std::time::Duration;

use anyhow::Result;
use futures::stream::{LocalBoxStream, SelectAll, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::client::{Client, PLUGIN_LIMIT};
use crate::api::config;
use crate::api::failure::{Class, Failure};
use crate::api::watch::LookBy;
use crate::cli::Invocation;
use crate::cli::options::Failed;
use crate::diagnose::explain::Explanation;
use crate::diagnose::gather::Gatherer;
use crate::diagnose::{Inquiry, Learned};
use crate::follow::gone;
use crate::follow::open::{Opener, resolve};
use crate::follow::{Demands, Known, Step};
use crate::identity::Identity;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::output::lines;
use crate::status::{REMINDER, Standing, Trouble, denied};
use crate::target::verdict::{Decision, Quorum, Verdict};
use crate::wait::events::Poster;

/// So many refused connections in a row, in a pod, are hardly an API server that restarts.
const REFUSALS: u32 = 3;

/// istio-cni redirects an init container's traffic before its proxy is up:
/// <https://istio.io/latest/docs/setup/additional-setup/cni/#compatibility-with-application-init-containers>.
const MESH: &str = "hint: connections are refused again and again. In a service mesh the proxy may not be up yet: run it \
    as a native sidecar, run this container as user 1337, or exclude the API server's address from redirection \
    (traffic.sidecar.istio.io/excludeOutboundIPRanges)";

/// How long something has to be missing before that means anything: what is created together with this pod is not there
/// at once.
const ABSENCE: Duration = Duration::from_secs(2);
/// What was looked at so long before all were ready is as good as looked at then.
const FRESH: Duration = Duration::from_millis(100);

/// How things stand, for whoever ends the program.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// one for each target, none before the first request
    pub standings: Vec<Standing>,
    /// what the verdicts have decided; nothing changes it any more
    pub decided: Option<Outcome>,
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
    /// a failed target is waited for all the same (`--failed wait`)
    pub outlives_failure: bool,
    /// this is a pod: its network may not be up yet
    pub in_pod: bool,
}

/// Connects, opens the streams of all targets and runs until they decide it.
///
/// # Errors
/// A configuration that a person has to mend: no credentials, a broken kubeconfig, an unknown context.
pub async fn run(invocation: Invocation, progress: watch::Sender<Progress>, output: Output) -> Result<Outcome> {
    let started = Instant::now();
    let identity = Identity::of_this_process(|name| env::var(name).ok());
    let login = config::load(invocation.kubeconfig.as_deref(), invocation.context.as_deref()).await?;
    let once = invocation.timeout == Some(Duration::ZERO);
    let targets = resolve(&invocation.targets, &login.config.default_namespace);
    let client = Client::new(login);
    // One look always ends; else somebody may be logging in by hand.
    let limit = if once { PLUGIN_LIMIT } else { Duration::MAX };
    let Ok(client) = timeout(limit, client).await else {
        output.say(&lines::remark(format!("the exec plugin has not ended for {PLUGIN_LIMIT:?}")));
        return Ok(Outcome::NotYet);
    };
    let client = client?;
    let rules = Rules {
        quorum: invocation.quorum,
        auth_grace: invocation.auth_grace,
        once,
        outlives_failure: invocation.failed == Failed::Wait,
        in_pod: identity.in_pod,
    };
    output.say(&lines::opening(&targets, rules.quorum, invocation.timeout));
    let gatherer = Gatherer { client: client.clone(), identity: identity.clone() };
    let left = invocation.timeout.filter(|_| !rules.once).map(|timeout| timeout.saturating_sub(started.elapsed()));
    let inquiry = Inquiry::new(gatherer, targets.iter().cloned(), left);
    let poster = invocation.events.then(|| Poster::new(client.clone(), &identity)).transpose();
    let poster = poster.unwrap_or_else(|useless| {
        tracing::warn!("{useless}");
        None
    });
    let demands = Demands {
        min: invocation.min as usize,
        settle: if rules.once { Duration::ZERO } else { invocation.settle },
        absence: if rules.once { Duration::ZERO } else { ABSENCE },
        outlives_failure: rules.outlives_failure,
        own_uid: identity.pod_uid.clone(),
    };
    let opener = Opener {
        client,
        demands,
        policy: gone::Policy { missing: invocation.missing, once: rules.once },
        identity,
        pause: invocation.poll_pause,
        targets: targets.clone(),
    };
    let looks: Vec<LookBy> = targets.iter().map(|_| LookBy::default()).collect();
    let steps = targets.iter().zip(&looks).map(|(target, look_by)| opener.open(target, look_by)).collect();
    let standings = targets.into_iter().map(Standing::new).collect();
    let wait = Wait {
        rules,
        standings,
        looks,
        agreed: None,
        progress,
        output,
        next_heartbeat: started + REMINDER,
        hinted: false,
    };
    Ok(drive(wait, steps, inquiry, poster).await)
}

async fn drive(
    mut wait: Wait,
    steps: Vec<LocalBoxStream<'static, Step>>,
    mut inquiry: Inquiry,
    mut poster: Option<Poster>,
) -> Outcome {
    let streams =
        steps.into_iter().enumerate().map(|(index, steps)| steps.map(move |step| (index, step)).boxed_local());
    let mut steps: SelectAll<_> = streams.collect();
    loop {
        let alarm = wait.alarm();
        tokio::select! {
            step = steps.next() => if let Some((index, step)) = step {
                wait.take(index, step, &mut inquiry);
                wait.tell(&mut poster);
            },
            (index, learned) = inquiry.next() => {
                wait.learn(index, learned);
                wait.tell(&mut poster);
            }
            failure = run_if_any(&mut poster) => {
                wait.output.say(&lines::remark(format!("--events has no effect: {failure}")));
                poster = None;
            }
            () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => wait.remind(),
        }
        if let Some(end) = wait.show() {
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
    /// by target: asks for a look at it
    looks: Vec<LookBy>,
    /// since when the verdicts say that it is ready
    agreed: Option<Instant>,
    progress: watch::Sender<Progress>,
    output: Output,
    next_heartbeat: Instant,
    /// the hint about the network was given
    hinted: bool,
}

impl Wait {
    fn take(&mut self, index: usize, step: Step, inquiry: &mut Inquiry) {
        let known = self.outage_is_told();
        let standing = &mut self.standings[index];
        let line = lines::change(standing, &step).or_else(|| standing.outage(&step, known));
        match step {
            Step::Verdict(verdict) => {
                if !inquiry.note(index, &verdict) {
                    standing.explanation = Explanation::default();
                }
                let fails = verdict.is_failure_of_its_own();
                standing.verdict = Some(verdict);
                standing.mark = standing.mark.take().filter(|_| standing.verdict == Some(Verdict::Ready));
                if standing.is_kept() {
                    standing.trouble = None;
                }
                if fails && self.rules.outlives_failure {
                    inquiry.report(index);
                }
            }
            Step::Mark(uids) => standing.mark = Some(uids),
            Step::Known(known) => standing.known = Some(known),
            _ => {}
        }
        // What is said is decided already: from here on no deadline and no signal does.
        self.show();
        if let Some(line) = line {
            self.output.say(&line);
        }
        let standing = &self.standings[index];
        let refused = standing.trouble.as_ref().is_some_and(|trouble| trouble.refusals >= REFUSALS);
        if refused && self.rules.in_pod && !std::mem::replace(&mut self.hinted, true) {
            self.output.say(&lines::remark(MESH));
        }
    }

    fn learn(&mut self, index: usize, Learned { explanation, is_report }: Learned) {
        let standing = &mut self.standings[index];
        let news: Vec<_> =
            explanation.news(&standing.explanation).map(|text| lines::explanation(standing, text)).collect();
        standing.explanation = explanation;
        // The report on a failure that does not end the wait.
        let lines = if is_report { lines::of_failure(standing) } else { news };
        for line in lines {
            self.output.say(&line);
        }
    }

    /// What the closing report is made of.
    async fn close(&mut self, inquiry: &mut Inquiry) {
        let failed = |standing: &Standing| matches!(standing.verdict, Some(Verdict::Failed(_)));
        let failed: Vec<usize> = (0..self.standings.len()).filter(|index| failed(&self.standings[*index])).collect();
        for (index, learned) in inquiry.close(failed).await {
            self.standings[index].explanation = learned.explanation;
        }
        self.show();
    }

    /// Publishes how things stand, and what that decides.
    fn show(&mut self) -> Option<Outcome> {
        let decided = self.end();
        self.progress.send_modify(|progress| {
            progress.standings.clone_from(&self.standings);
            // The first decision stays.
            if progress.decided.is_none() {
                progress.decided.clone_from(&decided);
            }
        });
        if self.output.is_live() {
            self.output.rows(lines::rows(&self.standings));
        }
        decided
    }

    fn tell(&self, poster: &mut Option<Poster>) {
        if let Some(poster) = poster {
            poster.say(self.blockage());
        }
    }

    /// Why the whole wait goes on.
    fn blockage(&self) -> Option<String> {
        let open = self.standings.iter().filter(|standing| standing.verdict != Some(Verdict::Ready));
        let texts: Vec<String> = open.map(|it| format!("{}: {}", it.target, lines::blockage(it))).collect();
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
            self.output.say(&lines::outage(standing, &trouble.failure.text, trouble.since.elapsed()));
        }
        if self.next_heartbeat <= now {
            self.next_heartbeat = now + REMINDER;
            // The live view counts its seconds by itself.
            let beats = self.standings.iter().filter(|_| !self.output.is_live()).filter_map(lines::heartbeat);
            beats.for_each(|line| self.output.say(&line));
        }
    }

    fn end(&mut self) -> Option<Outcome> {
        match self.decision() {
            Decision::Ready if self.is_confirmed() => return Some(Outcome::Ready),
            Decision::Ready => return None,
            Decision::Failed => return Some(Outcome::Failed),
            Decision::Undecided => self.agreed = None,
        }
        let invalid = |standing: &Standing| {
            let failure = &standing.trouble.as_ref()?.failure;
            (failure.class == Class::Invalid).then(|| failure.text.clone())
        };
        if let Some(text) = self.standings.iter().find_map(invalid) {
            return Some(Outcome::Invalid(text));
        }
        let Rules { quorum, auth_grace, outlives_failure, .. } = self.rules;
        if denied(quorum, &self.standings, auth_grace, outlives_failure) {
            return Some(Outcome::Denied);
        }
        let looked = |standing: &Standing| standing.verdict.is_some() || standing.trouble.is_some();
        (self.rules.once && self.standings.iter().all(looked)).then_some(Outcome::NotYet)
    }

    fn decision(&self) -> Decision {
        let counts = |standing: &Standing, verdict: &Verdict| match verdict {
            Verdict::Ready => standing.is_kept() || standing.trouble.is_none(),
            Verdict::Waiting(_) => true,
            Verdict::Failed(_) => !(self.rules.outlives_failure && verdict.is_failure_of_its_own()),
        };
        let verdicts =
            self.standings.iter().map(|standing| standing.verdict.as_ref().filter(|verdict| counts(standing, verdict)));
        self.rules.quorum.decide(verdicts)
    }

    /// Whether the targets are ready at the same moment. Those that are polled were looked at some time ago: they are
    /// looked at once more. One alone is ready whenever it is.
    fn is_confirmed(&mut self) -> bool {
        let agreed = *self.agreed.get_or_insert_with(Instant::now);
        if self.rules.once || self.rules.quorum == Quorum::Any || self.standings.len() == 1 {
            return true;
        }
        let is_stale = |standing: &Standing| match standing.known {
            Some(Known::Live) => false,
            Some(Known::Since(held)) => !standing.is_kept() && held + FRESH < agreed,
            None => !standing.is_kept(),
        };
        let mut confirmed = true;
        for (_, look_by) in self.standings.iter().zip(&self.looks).filter(|(standing, _)| is_stale(standing)) {
            look_by.at(agreed);
            confirmed = false;
        }
        confirmed
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli;
    use crate::target::verdict::Code;

    const REFUSED: Failure = Failure { class: Class::Denied, text: String::new(), retry_after: None };

    /// Makes a target stand in some way.
    type Set = fn(&mut Standing);

    /// A wait for these, each of them as it stands.
    fn wait(line: &str, standings: impl IntoIterator<Item = Set>) -> Wait {
        let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
        let invocation = cli::parse(words, |_| None).expect(line);
        let rules = Rules {
            quorum: invocation.quorum,
            auth_grace: invocation.auth_grace,
            once: invocation.timeout == Some(Duration::ZERO),
            outlives_failure: invocation.failed == Failed::Wait,
            in_pod: false,
        };
        let mut wait = Wait {
            rules,
            looks: invocation.targets.iter().map(|_| LookBy::default()).collect(),
            standings: invocation.targets.into_iter().map(Standing::new).collect(),
            agreed: None,
            progress: watch::channel(Progress::default()).0,
            output: Output::start(),
            next_heartbeat: Instant::now(),
            hinted: false,
        };
        for (standing, set) in wait.standings.iter_mut().zip(standings) {
            set(standing);
        }
        wait
    }

    fn live(standing: &mut Standing) {
        (standing.verdict, standing.known) = (Some(Verdict::Ready), Some(Known::Live));
    }

    fn polled(standing: &mut Standing) {
        (standing.verdict, standing.known) = (Some(Verdict::Ready), Some(Known::Since(Instant::now())));
    }

    fn waiting(standing: &mut Standing) {
        standing.verdict = Some(Verdict::waiting(Code::NoPods, ""));
    }

    fn failed(standing: &mut Standing) {
        standing.verdict = Some(Verdict::failed(Code::PodFailed, ""));
    }

    fn missing(standing: &mut Standing) {
        standing.verdict = Some(Verdict::failed(Code::NotFound, ""));
    }

    fn refused(standing: &mut Standing) {
        drop(standing.outage(&Step::Trouble(REFUSED), false));
    }

    fn ready_but_refused(standing: &mut Standing) {
        live(standing);
        refused(standing);
    }

    fn nothing(_: &mut Standing) {}

    #[tokio::test(start_paused = true)]
    async fn verdicts_decide_by_the_rules_of_the_wait() {
        let table: [(&str, [Set; 2], Option<Outcome>); 14] = [
            ("pod a b", [live, live], Some(Outcome::Ready)),
            ("pod a b", [live, nothing], None),
            ("pod a b", [live, waiting], None),
            ("pod a b", [waiting, failed], Some(Outcome::Failed)),
            ("pod a b --any", [waiting, polled], Some(Outcome::Ready)),
            ("pod a b --any", [failed, waiting], None),
            ("pod a b --any", [failed, failed], Some(Outcome::Failed)),
            ("pod a b --failed wait", [live, failed], None),
            ("pod a b --failed wait", [live, missing], Some(Outcome::Failed)),
            ("pod a b --any --failed wait", [failed, failed], None),
            ("pod a b --any --failed wait", [missing, missing], Some(Outcome::Failed)),
            ("pod a b --timeout 0", [live, waiting], Some(Outcome::NotYet)),
            ("pod a b --timeout 0", [live, refused], Some(Outcome::NotYet)),
            ("pod a b --timeout 0", [live, nothing], None),
        ];
        for (line, standings, end) in table {
            assert_eq!(wait(line, standings).end(), end, "{line}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n1_ready_counts_only_while_requests_succeed() {
        assert_eq!(wait("pod a b", [live, ready_but_refused]).end(), None);
        let kept = wait("job/a pod/b", [ready_but_refused, live]).end();
        assert_eq!(kept, Some(Outcome::Ready), "but for what is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn n1_polled_target_is_looked_at_once_more() {
        let mut wait = wait("pod a b", [polled, waiting]);
        assert_eq!(wait.end(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        live(&mut wait.standings[1]);
        assert_eq!(wait.end(), None);
        let agreed = Instant::now();
        assert_eq!((wait.looks[0].wanted(), wait.looks[1].wanted()), (Some(agreed), None));
        // Not ever later ones.
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!((wait.end(), wait.looks[0].wanted()), (None, Some(agreed)));
        wait.standings[0].known = Some(Known::Since(agreed));
        assert_eq!(wait.end(), Some(Outcome::Ready));
        // Not ready in between: the moment is another one.
        waiting(&mut wait.standings[1]);
        assert_eq!(wait.end(), None);
        live(&mut wait.standings[1]);
        assert_eq!(wait.end(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn polled_target_alone_and_kept_ones_are_not_looked_at_again() {
        let mut one = wait("pod a", [polled as fn(&mut Standing)]);
        let mut kept = wait("job a b", [polled as fn(&mut Standing), polled]);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!((one.end(), kept.end()), (Some(Outcome::Ready), Some(Outcome::Ready)));
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_ends_it_after_the_grace_unless_a_target_can_still_win() {
        let after = |line: &'static str, standings: [fn(&mut Standing); 2], seconds| async move {
            let mut wait = wait(line, standings);
            tokio::time::advance(Duration::from_secs(seconds)).await;
            wait.end()
        };
        assert_eq!(after("pod a b", [waiting, refused], 59).await, None);
        assert_eq!(after("pod a b", [waiting, refused], 60).await, Some(Outcome::Denied));
        assert_eq!(after("pod a b --any", [waiting, refused], 90).await, None);
        assert_eq!(after("pod a b --any", [failed, refused], 90).await, Some(Outcome::Denied));
        assert_eq!(after("pod a b --any --failed wait", [failed, refused], 90).await, None);
        let nobody: &[Standing] = &[];
        assert!(!denied(Quorum::Any, nobody, Duration::ZERO, false), "nobody was asked yet");
    }

    #[tokio::test(start_paused = true)]
    async fn n6_kept_ready_has_no_trouble_left() {
        let mut wait = wait("job/a pod/b", [refused, waiting]);
        let gatherer = crate::diagnose::gather::Gatherer {
            client: Client::of_service(tower::service_fn(|_| async {
                Ok::<_, tower::BoxError>(http::Response::new(kube::client::Body::empty()))
            })),
            identity: Identity::default(),
        };
        let targets: Vec<_> = wait.standings.iter().map(|standing| standing.target.clone()).collect();
        let mut inquiry = Inquiry::new(gatherer, targets, None);
        wait.take(0, Step::Verdict(Verdict::Ready), &mut inquiry);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(wait.end(), None);
        live(&mut wait.standings[1]);
        assert_eq!(wait.end(), Some(Outcome::Ready));
    }

    #[tokio::test(start_paused = true)]
    async fn n4_first_decision_stays() {
        let mut wait = wait("pod a b", [failed, live]);
        assert_eq!(wait.show(), Some(Outcome::Failed));
        live(&mut wait.standings[0]);
        wait.show();
        assert_eq!(wait.progress.borrow().decided, Some(Outcome::Failed));
    }
}
