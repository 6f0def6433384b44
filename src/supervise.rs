//! The wait from outside: it runs on a thread of its own, and what comes first ends it: its outcome, the deadline or a
//! signal. Nothing that blocks the other thread (an exec plugin, getaddrinfo) delays the exit. Then it is told how it
//! ended, on stdout or stderr and in the pod's own status.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::{Duration, SystemTime};
use std::{env, thread};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::{self, Instant, sleep};

use crate::api::config;
use crate::api::failure::Class;
use crate::cli::{Color, Form, LogFormat, LogLevel, Speech, Wait, unread};
use crate::diagnose::LATE_REPORT;
use crate::outcome::Outcome;
use crate::output::lines;
use crate::output::style::Style;
use crate::output::{Output, termination};
use crate::rbac::{self, Subject};
use crate::status::{Progress, Status};
use crate::target::{Target, mark};
use crate::wait::outages::is_denied;
use crate::{kinds, wait};

/// What is left to the other thread when the end is decided.
const LAST_MOMENT: Duration = Duration::from_millis(50);
/// What the API server calls whoever it does not know.
const ANONYMOUS: &str = "system:anonymous";

/// Starts the wait, tells how it ended and returns the exit code.
///
/// # Errors
/// A configuration that a person has to mend.
pub fn run(wait: Wait, output: &Output) -> Result<i32> {
    let output = styled(output, &wait.speech);
    start_log(&wait.speech, &output);
    let started = SystemTime::now();
    let (rules, events) = (wait.rules.clone(), wait.speech.events);
    let (statuses, outcome) = first_of_all(wait, &output)?;
    // A refusal is what has to be mended, even if the deadline came before the grace was over.
    let is_over = matches!(outcome, Outcome::Deadline | Outcome::NotYet);
    let outcome = if is_over && is_denied(&rules, &statuses, Duration::ZERO) { Outcome::Denied } else { outcome };
    let closing = lines::closing(&outcome, &statuses, started.elapsed().unwrap_or_default());
    let role = if outcome == Outcome::Denied { role(&statuses, events) } else { None };
    let report = lines::report(&outcome, &statuses);
    for line in report.iter().chain([&closing]).chain(role.as_deref().map(lines::role).as_ref()) {
        output.say(line);
    }
    let (mut lines, log) = lines::message(&outcome, &statuses, &closing);
    lines.extend(role);
    termination::leave(&marks(&outcome, &statuses), &lines, &log);
    Ok(outcome.code())
}

/// On a terminal there is a live view, and colours if nobody minds.
fn styled(output: &Output, speech: &Speech) -> Output {
    let terminal = io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
    let (json, quiet) = (speech.form == Form::Json, speech.quiet);
    let color = match speech.color {
        Color::Auto => terminal,
        Color::Always => true,
        Color::Never => false,
    };
    output.clone().styled(Style { json, quiet, color }, terminal && !json && !quiet)
}

fn start_log(speech: &Speech, output: &Output) {
    let level = match speech.log_level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(output.clone());
    match speech.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for warning in speech.warnings.iter().cloned().chain(unread(names)) {
        tracing::warn!("{warning}");
    }
}

/// What comes first: the outcome, the deadline or a signal; and how things stood then. Whichever it is, the other
/// thread gets a moment to end what it has started: an exec plugin would go on alone.
fn first_of_all(wait: Wait, output: &Output) -> Result<(Vec<Status>, Outcome)> {
    let runtime = runtime()?;
    let timeout = wait.rules.timeout.filter(|timeout| !timeout.is_zero());
    let (sender, progress) = watch::channel(Progress::default());
    let outcome = runtime.block_on(async {
        // The first process of a container gets no signal that it has no handler for.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (mut outcome, over) = start(wait, sender, output.clone());
        let mut deadline = pin!(sleep(timeout.unwrap_or_default()));
        let mut reporting = false;
        let first = loop {
            let decided = || progress.borrow().decided.clone();
            tokio::select! {
                // What the verdicts have decided counts, however late its report is.
                biased;
                outcome = &mut outcome => break outcome.context("the waiting thread has ended without an outcome")?,
                _ = terminate.recv() => break Ok(decided().unwrap_or(Outcome::Terminated)),
                _ = interrupt.recv() => break Ok(decided().unwrap_or(Outcome::Interrupted)),
                () = &mut deadline, if timeout.is_some() => match decided() {
                    None => break Ok(Outcome::Deadline),
                    Some(decided) if reporting => break Ok(decided),
                    Some(_) => {
                        reporting = true;
                        deadline.as_mut().reset(Instant::now() + LATE_REPORT);
                    }
                },
            }
        };
        // The other thread sees that nobody wants its outcome any more, and leaves.
        drop(outcome);
        let _ = time::timeout(LAST_MOMENT, over).await;
        first
    })?;
    let statuses = progress.borrow().statuses.clone();
    Ok((statuses, outcome))
}

/// Runs the wait on a thread and a runtime of its own, until nobody wants the outcome any more; the second receiver
/// learns when all of it is over.
fn start(
    wait: Wait,
    progress: watch::Sender<Progress>,
    output: Output,
) -> (oneshot::Receiver<Result<Outcome>>, oneshot::Receiver<()>) {
    let (mut sender, outcome) = oneshot::channel();
    let (end, over) = oneshot::channel();
    thread::spawn(move || {
        let Wait { cluster, targets, rules, speech } = wait;
        let told = wait::Speech { events: speech.events, quotes: !speech.no_logs };
        let ended = runtime().map(|runtime| {
            let ended = runtime.block_on(async {
                let login = config::load(cluster.kubeconfig.as_deref(), cluster.context.as_deref());
                tokio::select! {
                    ended = wait::run(login, &targets, rules, told, progress, output) => ended,
                    () = sender.closed() => Ok(Outcome::Deadline),
                }
            });
            // Dropped, it would wait for a getaddrinfo that is still at it.
            runtime.shutdown_background();
            ended
        });
        // The other thread may have left by now; then nobody needs it.
        let _ = sender.send(ended.and_then(|ended| ended));
        let _ = end.send(());
    });
    (outcome, over)
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

/// The Role that would allow all that was refused, for whoever the API server saw. No Role helps whom it did not know.
fn role(statuses: &[Status], events: bool) -> Option<String> {
    let refusals = statuses.iter().filter_map(|status| status.outage.as_ref()).map(|outage| &outage.failure);
    let subject = refusals.filter(|it| it.class == Class::Denied).find_map(|it| Subject::in_refusal(&it.text))?;
    // Credentials that mean nothing to it: nobody should be given rights for that.
    if subject == Subject::User(ANONYMOUS.to_owned()) {
        return None;
    }
    // Where discovery itself is refused, no Role of ours helps.
    let known = statuses.iter().map(|status| &status.target).filter(|target| !target.kind.is_sought());
    let targets: Vec<Target> = known.cloned().collect();
    if targets.is_empty() {
        return None;
    }
    rbac::yaml(&rbac::Request { targets, subject, explain: false, logs: true, events }).ok()
}

/// Those of the targets that are ready, where the whole wait is.
fn marks(outcome: &Outcome, statuses: &[Status]) -> Vec<String> {
    let is_marked = |status: &&Status| status.is_ready() && kinds::leaves_mark(&status.target);
    let ready = statuses.iter().filter(|_| *outcome == Outcome::Ready).filter(is_marked);
    mark::lines(ready.filter_map(|status| Some((&status.target, status.mark.as_deref()?))))
}
