//! The driver: the steps of all targets in one select, folded into one end.
//!
//! It runs on a thread of its own (an exec plugin or getaddrinfo may block that thread for as long as they like); the
//! deadline and the signals are `supervise`'s, which sees how things stand through a watch channel.

use std::collections::BTreeSet;
use std::env;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::stream::{LocalBoxStream, SelectAll, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use self::end::Agreement;
use self::events::Poster;
use self::spoken::Spoken;
use self::trap::Trap;
use crate::api::client::{Client, PLUGIN_LIMIT};
use crate::api::config::Login;
use crate::api::failure::{Class, Failure};
use crate::api::watch::LookBy;
use crate::diagnose::explain::Explanation;
use crate::diagnose::gather::Inspector;
use crate::diagnose::{Learned, Schedule};
use crate::follow::gone::Policy;
use crate::follow::{Options, Setup, Step};
use crate::identity::Identity;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::output::lines;
use crate::output::style::Line;
use crate::status::{Progress, Status};
use crate::target::rules::Rules;
use crate::target::verdict::{Quorum, Verdict};
use crate::target::{Target, resolved};

mod end;
mod events;
pub mod outages;
mod spoken;
mod trap;

/// How often what goes on is told again.
const REMINDER: Duration = Duration::from_secs(30);
/// So many refused connections in a row, in a pod, are hardly an API server that restarts.
const REFUSALS: u32 = 3;
/// istio-cni redirects an init container's traffic before its proxy is up:
/// <https://istio.io/latest/docs/setup/additional-setup/cni/#compatibility-with-application-init-containers>.
const MESH: &str = "hint: connections keep being refused. In a service mesh, the proxy may not be up yet: run it \
    as a native sidecar, run this container as user 1337, or exclude the API server's address from redirection \
    (traffic.sidecar.istio.io/excludeOutboundIPRanges)";
/// How long something has to be missing before that means anything: what is created together with this pod is not there
/// at once.
const ABSENCE: Duration = Duration::from_secs(2);

/// What may be said, and where.
#[derive(Debug, Clone, Copy)]
pub struct Speech {
    /// the reason also as an Event on this pod
    pub events: bool,
    /// also logs and messages of other programs
    pub quotes: bool,
}

/// Connects, opens the streams of all targets and runs until they decide it; `login` says to which cluster.
///
/// # Errors
/// A configuration that a person has to mend: no credentials, a broken kubeconfig, an unknown context.
pub async fn run(
    login: impl Future<Output = Result<Login>>,
    targets: &[Target],
    rules: Rules,
    speech: Speech,
    progress: watch::Sender<Progress>,
    output: Output,
) -> Result<Outcome> {
    let started = Instant::now();
    let identity = Identity::of_this_process(|name| env::var(name).ok());
    let login = login.await?;
    let targets = resolved(targets, &login.config.default_namespace);
    check_node(&targets, &identity)?;
    // One look always ends; else somebody may be logging in by hand.
    let limit = if rules.is_one_look() { PLUGIN_LIMIT } else { Duration::MAX };
    let Ok(client) = timeout(limit, Client::new(login)).await else {
        output.say(&lines::remark(format!("the exec plugin is still running after {PLUGIN_LIMIT:?}")));
        return Ok(Outcome::NotYet);
    };
    let client = client?;
    output.say(&lines::opening(&targets, rules.quorum, rules.timeout));
    let left = rules.timeout.filter(|_| !rules.is_one_look()).map(|timeout| timeout.saturating_sub(started.elapsed()));
    let inspector = Inspector { client: client.clone(), identity: identity.clone(), quotes: speech.quotes };
    let mut beside = Beside {
        schedule: Schedule::new(inspector, targets.iter().cloned(), left),
        // Of several the others may be ready all the same.
        trap: (identity.pod.is_some() && rules.quorum == Quorum::All)
            .then(|| Trap::new(client.clone(), identity.clone(), &targets)),
        poster: speech.events.then(|| Poster::new(client.clone(), &identity)).transpose().unwrap_or_else(|useless| {
            tracing::warn!("{useless}");
            None
        }),
    };
    let looks: Vec<LookBy> = targets.iter().map(|_| LookBy::default()).collect();
    let in_pod = identity.in_pod;
    let setup = Rc::new(setup(client, identity, &rules, targets.clone()));
    let steps = targets.iter().zip(&looks).map(|(target, look_by)| setup.follow(target, look_by)).collect();
    let wait = Wait::new(rules, in_pod, targets, looks, progress, output);
    wait.drive(steps, &mut beside).await
}

/// What runs on any node would be taken for what runs on this one.
fn check_node(targets: &[Target], identity: &Identity) -> Result<()> {
    let same_node = targets.iter().find(|target| target.selection.same_node && identity.node.is_none());
    match same_node {
        Some(target) => bail!(
            "{target}: the node of this pod is not known\n\
             hint: `env: [{{name: NODE_NAME, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}]`"
        ),
        None => Ok(()),
    }
}

fn setup(client: Client, identity: Identity, rules: &Rules, targets: Vec<Target>) -> Setup {
    let once = rules.is_one_look();
    let unless_once = |time: Duration| if once { Duration::ZERO } else { time };
    let options = Options {
        min: rules.min as usize,
        settle: unless_once(rules.settle),
        absence: unless_once(ABSENCE),
        outlives_failure: rules.outlives_failure(),
        own_uid: identity.pod_uid.clone(),
    };
    let policy = Policy { missing: rules.missing, once };
    Setup { client, identity, options, policy, pause: rules.poll_pause, targets }
}

/// What goes on beside the wait and never holds it up.
struct Beside {
    schedule: Schedule,
    poster: Option<Poster>,
    trap: Option<Trap>,
}

struct Wait {
    rules: Rules,
    /// its network may not be up yet
    in_pod: bool,
    /// by target: asks for a look at it
    looks: Vec<LookBy>,
    agreement: Agreement,
    /// How the targets stand, here and nowhere else.
    progress: watch::Sender<Progress>,
    spoken: Vec<Spoken>,
    output: Output,
    next_heartbeat: Instant,
    /// the hint about the network was given
    hinted: bool,
    /// what could not be looked at, as far as that was said
    gaps: BTreeSet<String>,
}

impl Wait {
    fn new(
        rules: Rules,
        in_pod: bool,
        targets: Vec<Target>,
        looks: Vec<LookBy>,
        progress: watch::Sender<Progress>,
        output: Output,
    ) -> Self {
        let spoken = targets.iter().map(|_| Spoken::default()).collect();
        progress.send_modify(|progress| progress.statuses = targets.into_iter().map(Status::new).collect());
        let next_heartbeat = Instant::now() + REMINDER;
        Self {
            rules,
            in_pod,
            looks,
            agreement: Agreement::default(),
            progress,
            spoken,
            output,
            next_heartbeat,
            hinted: false,
            gaps: BTreeSet::new(),
        }
    }

    async fn drive(mut self, steps: Vec<LocalBoxStream<'static, Step>>, beside: &mut Beside) -> Result<Outcome> {
        let numbered =
            |(index, steps): (usize, LocalBoxStream<'static, Step>)| steps.map(move |step| (index, step)).boxed_local();
        let mut steps: SelectAll<_> = steps.into_iter().enumerate().map(numbered).collect();
        loop {
            let alarm = self.alarm();
            tokio::select! {
                step = steps.next() => {
                    // Each of them ends when it is decided for good; all of them without a decision is a mistake of
                    // ours.
                    let (index, step) = step.context("nothing is watched any more, and nothing is decided")?;
                    if let (Step::Verdict(verdict), Some(trap)) = (&step, &mut beside.trap) {
                        trap.note(index, verdict);
                    }
                    self.take(index, step, &mut beside.schedule);
                }
                learned = beside.schedule.next() => self.learn(learned, &mut beside.schedule),
                never = caught_if_any(&mut beside.trap) => return Ok(Outcome::Invalid(never)),
                failure = run_if_any(&mut beside.poster) => {
                    let why = match failure.class {
                        Class::Denied => "patching events is forbidden; `rbac --events` prints the Role".to_owned(),
                        _ => failure.text,
                    };
                    self.output.say(&lines::remark(format!("--events has no effect: {why}")));
                    beside.poster = None;
                }
                () = sleep_until(alarm) => self.remind(),
            }
            if let Some(poster) = &mut beside.poster {
                poster.say(lines::whole_blockage(&self.progress.borrow().statuses));
            }
            if let Some(end) = self.show() {
                if end == Outcome::Failed {
                    self.close(&mut beside.schedule).await;
                }
                return Ok(end);
            }
        }
    }

    fn take(&mut self, index: usize, step: Step, schedule: &mut Schedule) {
        let mut line = None;
        // The line is made of how things stood before; what is known of the reason goes with the verdict it was about.
        self.progress.send_modify(|progress| {
            let is_told = outages::is_told(&progress.statuses);
            let status = &mut progress.statuses[index];
            line = match &step {
                Step::Outage(failure) => outages::note(status, failure, is_told),
                Step::Recovered => outages::end(status),
                step => lines::change(status, step),
            };
            match step {
                Step::Verdict(verdict) => {
                    line = line.take().filter(|_| self.spoken[index].may_say(status.verdict.as_ref(), &verdict));
                    if !schedule.note(index, &verdict) {
                        status.explanation = Explanation::default();
                    }
                    schedule.stirred(index);
                    if verdict.is_failure_of_its_own() && self.rules.outlives_failure() {
                        schedule.report(index);
                    }
                    status.mark = status.mark.take().filter(|_| verdict == Verdict::Ready);
                    status.verdict = Some(verdict);
                    if status.is_kept() {
                        status.outage = None;
                    }
                }
                Step::Mark(uids) => status.mark = Some(uids),
                Step::Found(target) => {
                    schedule.found(index, &target);
                    status.target = *target;
                }
                Step::Known(known) => status.known = Some(known),
                Step::Stirred => schedule.stirred(index),
                Step::Replaced => schedule.replaced(index),
                _ => {}
            }
        });
        // What is said is decided already: from here on no deadline and no signal does.
        self.show();
        self.say(line);
        let outage = self.progress.borrow().statuses[index].outage.as_ref().map_or(0, |outage| outage.refusals);
        if outage >= REFUSALS && self.in_pod && !std::mem::replace(&mut self.hinted, true) {
            self.output.say(&lines::remark(MESH));
        }
    }

    fn learn(&mut self, learned: Learned, schedule: &mut Schedule) {
        let Learned { index, is_report, explanation } = learned;
        let mut said = Vec::new();
        // One line however many targets it is about.
        let gaps: Vec<String> = explanation
            .gaps
            .iter()
            .filter(|gap| self.gaps.insert((*gap).clone()))
            .map(|gap| explanation.without(gap))
            .collect();
        self.progress.send_modify(|progress| {
            let status = &mut progress.statuses[index];
            let before = std::mem::take(&mut status.explanation);
            schedule.learned(index, explanation == before, !explanation.gaps.is_empty());
            let news = explanation.news(&before).chain(gaps.iter().map(String::as_str));
            let news = news.map(|text| lines::explanation(status, text)).collect();
            status.explanation = explanation;
            // The report on a failure that does not end the wait.
            said = if is_report { lines::of_failure(status) } else { news };
        });
        self.say(said);
    }

    /// What the closing report is made of.
    async fn close(&mut self, schedule: &mut Schedule) {
        let failed: Vec<usize> = {
            let progress = self.progress.borrow();
            let failed = progress.statuses.iter().enumerate().filter(|(_, status)| status.is_failed());
            failed.map(|(index, _)| index).collect()
        };
        for learned in schedule.close(failed).await {
            self.progress.send_modify(|progress| {
                let status = &mut progress.statuses[learned.index];
                status.explanation = learned.explanation;
            });
        }
    }

    /// Publishes what the statuses decide, and draws them.
    fn show(&mut self) -> Option<Outcome> {
        let decided = end::of(&self.rules, &self.progress.borrow().statuses, &self.looks, &mut self.agreement);
        if let Some(decided) = &decided {
            // The first decision stays.
            self.progress.send_modify(|progress| progress.decided = progress.decided.take().or(Some(decided.clone())));
        }
        if self.output.is_live() {
            self.output.rows(lines::rows(&self.progress.borrow().statuses));
        }
        decided
    }

    /// When to do something without a step.
    fn alarm(&self) -> Instant {
        let outage = outages::alarm(&self.progress.borrow().statuses, self.rules.auth_grace);
        let unsaid = self.spoken.iter().filter_map(Spoken::due);
        unsaid.chain(outage).min().map_or(self.next_heartbeat, |alarm| alarm.min(self.next_heartbeat))
    }

    fn remind(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        // Each of these three sets its own next time, so that the alarm never rings for what was done.
        self.progress.send_modify(|progress| due = outages::remind(&mut progress.statuses));
        let progress = self.progress.borrow();
        for (spoken, status) in self.spoken.iter_mut().zip(&progress.statuses) {
            due.extend(spoken.catch_up(now).then(|| lines::present(status)).flatten());
        }
        if self.next_heartbeat <= now {
            self.next_heartbeat = now + REMINDER;
            // The live view counts its seconds by itself.
            due.extend(lines::heartbeat(&progress.statuses).filter(|_| !self.output.is_live()));
        }
        drop(progress);
        self.say(due);
    }

    fn say(&self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            self.output.say(&line);
        }
    }
}

async fn run_if_any(poster: &mut Option<Poster>) -> Failure {
    match poster {
        Some(poster) => poster.run().await,
        None => std::future::pending().await,
    }
}

async fn caught_if_any(trap: &mut Option<Trap>) -> String {
    match trap {
        Some(trap) => trap.run().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli;
    use crate::follow::Known;
    use crate::target::verdict::Code;

    /// A wait for these, and what goes on beside it.
    fn wait(line: &str) -> (Wait, Schedule) {
        let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
        let cli::Wait { targets, rules, .. } = cli::wait(words).expect(line);
        let client = Client::of_service(tower::service_fn(|_| async {
            Ok::<_, tower::BoxError>(http::Response::new(kube::client::Body::empty()))
        }));
        let schedule =
            Schedule::new(Inspector { client, identity: Identity::default(), quotes: true }, targets.clone(), None);
        let looks = targets.iter().map(|_| LookBy::default()).collect();
        let progress = watch::channel(Progress::default()).0;
        (Wait::new(rules, false, targets, looks, progress, Output::start()), schedule)
    }

    #[tokio::test(start_paused = true)]
    async fn n6_kept_ready_has_no_trouble_left() {
        let (mut wait, mut schedule) = wait("job/a pod/b");
        let refused = Failure { class: Class::Denied, ..Failure::transient("") };
        wait.take(0, Step::Outage(refused), &mut schedule);
        wait.take(0, Step::Verdict(Verdict::Ready), &mut schedule);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(wait.show(), None);
        wait.take(1, Step::Known(Known::Live), &mut schedule);
        wait.take(1, Step::Verdict(Verdict::Ready), &mut schedule);
        assert_eq!(wait.show(), Some(Outcome::Ready));
    }

    #[tokio::test(start_paused = true)]
    async fn n4_first_decision_stays() {
        let (mut wait, mut schedule) = wait("pod a b");
        wait.take(0, Step::Verdict(Verdict::failed(Code::PodFailed, "")), &mut schedule);
        assert_eq!(wait.show(), Some(Outcome::Failed));
        for index in 0..2 {
            wait.take(index, Step::Known(Known::Live), &mut schedule);
            wait.take(index, Step::Verdict(Verdict::Ready), &mut schedule);
        }
        assert_eq!(wait.progress.borrow().decided, Some(Outcome::Failed));
    }

    /// Nothing may spin, and nobody may wait for what will never come.
    #[tokio::test(start_paused = true)]
    async fn steps_that_end_without_a_decision_are_an_error() {
        let (wait, schedule) = wait("pod a");
        let steps = vec![futures::stream::empty().boxed_local()];
        let error = wait
            .drive(steps, &mut Beside { schedule, poster: None, trap: None })
            .await
            .expect_err("nothing is decided");
        assert!(error.to_string().contains("nothing is watched any more"), "{error}");
    }
}
