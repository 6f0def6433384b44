//! k8s-wait-for: waits until Jobs, Pods and Services are ready, and says why they are not.
//!
//! This file parses, starts the wait on a thread of its own and waits for its outcome, the deadline or a signal,
//! whichever comes first; it is the one place that exits and prints an error chain. Nothing that blocks the other
//! thread (an exec plugin, getaddrinfo) delays the exit.

mod api;
mod cli;
mod diagnose;
mod follow;
mod identity;
mod kinds;
mod outcome;
mod output;
mod rbac;
mod status;
mod target;
mod wait;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::{Duration, SystemTime};
use std::{env, process, thread};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch as channel};
use tokio::time::{self, Instant, sleep};

use crate::api::failure::Class;
use crate::cli::Invocation;
use crate::cli::options::{Color, Failed, Form, LogFormat, LogLevel, Stop};
use crate::diagnose::LATE_REPORT;
use crate::outcome::Outcome;
use crate::output::lines::Style;
use crate::output::{Output, lines, termination};
use crate::rbac::Subject;
use crate::status::{Standing, denied};
use crate::target::verdict::Verdict;
use crate::wait::Progress;

/// What is left to the other thread when the end is decided.
const LAST_MOMENT: Duration = Duration::from_millis(50);

// Not by returning an ExitCode: the other thread may be blocked for good.
fn main() {
    let output = Output::start();
    let arguments: Vec<OsString> = env::args_os().collect();
    let variable = |name: &str| env::var(name).ok();
    let json = || cli::wants_json(&arguments, variable);
    let code = match cli::parse(arguments.iter().cloned(), variable) {
        Ok(invocation) => supervise(invocation, &output)
            .unwrap_or_else(|error| refuse(outcome::CONFIGURATION, &format!("error: {error:#}"), json(), &output)),
        Err(Stop::Text(text)) => {
            output.line(text.trim_end());
            0
        }
        Err(Stop::Usage(usage)) => refuse(outcome::USAGE, &format!("error: {usage}"), json(), &output),
    };
    output.flush();
    process::exit(code);
}

/// Says why there is no wait, wherever somebody may look for it.
fn refuse(code: i32, text: &str, json: bool, output: &Output) -> i32 {
    if json {
        let style = Style { json, quiet: false, color: false };
        output.clone().styled(style, false).say(&lines::refusal(code, text));
    } else {
        output.error(&format!("{text}\n"));
    }
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    termination::leave(&[], &lines, &[]);
    code
}

/// Starts the wait, tells how it ended and returns the exit code.
fn supervise(invocation: Invocation, output: &Output) -> Result<i32> {
    let output = styled(output, &invocation);
    start_log(&invocation, &output);
    let started = SystemTime::now();
    let (quorum, outlives_failure) = (invocation.quorum, invocation.failed == Failed::Wait);
    let (standings, outcome) = first_of_all(invocation, &output)?;
    // A refusal is what has to be mended, even if the deadline came before the grace was over.
    let over = matches!(outcome, Outcome::Deadline | Outcome::NotYet);
    let refused = over && denied(quorum, &standings, Duration::ZERO, outlives_failure);
    let outcome = if refused { Outcome::Denied } else { outcome };
    let closing = lines::closing(&outcome, &standings, started.elapsed().unwrap_or_default());
    let remedy = if outcome == Outcome::Denied { remedy(&standings) } else { None };
    let report = lines::report(&outcome, &standings);
    for line in report.iter().chain([&closing]).chain(remedy.as_deref().map(lines::remedy).as_ref()) {
        output.say(line);
    }
    let (mut lines, log) = lines::essence(&outcome, &standings, &closing);
    lines.extend(remedy);
    termination::leave(&marks(&outcome, &standings), &lines, &log);
    Ok(outcome.code())
}

/// The Role that would allow all that was refused, for whoever the API server saw. No Role helps whom it did not know.
fn remedy(standings: &[Standing]) -> Option<String> {
    let refusals = standings.iter().filter_map(|standing| standing.trouble.as_ref()).map(|trouble| &trouble.failure);
    let subject = refusals.filter(|it| it.class == Class::Denied).find_map(|it| Subject::in_refusal(&it.text))?;
    // Credentials that mean nothing to it: nobody should be given rights for that.
    if subject == Subject::User(ANONYMOUS.to_owned()) {
        return None;
    }
    let targets = standings.iter().map(|standing| standing.target.clone()).collect();
    rbac::yaml(&rbac::Request { targets, subject, explain: false, events: false }).ok()
}

/// What the API server calls whoever it does not know.
const ANONYMOUS: &str = "system:anonymous";

/// On a terminal there is a live view, and colours if nobody minds.
fn styled(output: &Output, invocation: &Invocation) -> Output {
    let terminal = io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
    let (json, quiet) = (invocation.output == Form::Json, invocation.quiet);
    let color = match invocation.color {
        Color::Auto => terminal,
        Color::Always => true,
        Color::Never => false,
    };
    output.clone().styled(Style { json, quiet, color }, terminal && !json && !quiet)
}

/// Those of the targets that are ready, where the whole wait is.
fn marks(outcome: &Outcome, standings: &[Standing]) -> Vec<String> {
    let ready = standings.iter().filter(|it| *outcome == Outcome::Ready && it.verdict == Some(Verdict::Ready));
    crate::target::mark::lines(ready.filter_map(|standing| Some((&standing.target, standing.mark.as_deref()?))))
}

/// What comes first: the outcome, the deadline or a signal; and how things stood then. Whichever it is, the other thread
/// gets a moment to end what it has started: an exec plugin would go on alone.
fn first_of_all(invocation: Invocation, output: &Output) -> Result<(Vec<Standing>, Outcome)> {
    let runtime = runtime()?;
    let timeout = invocation.timeout.filter(|timeout| !timeout.is_zero());
    let (sender, progress) = channel::channel(Progress::default());
    let outcome = runtime.block_on(async {
        // The first process of a container gets no signal that it has no handler for.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (mut outcome, over) = start_wait(invocation, sender, output.clone());
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
        drop(outcome);
        let _ = time::timeout(LAST_MOMENT, over).await;
        first
    })?;
    let standings = progress.borrow().standings.clone();
    Ok((standings, outcome))
}

/// Runs the wait on a thread and a runtime of its own, until nobody wants the outcome any more; the second receiver
/// learns when all of it is over.
fn start_wait(
    invocation: Invocation,
    progress: channel::Sender<Progress>,
    output: Output,
) -> (oneshot::Receiver<Result<Outcome>>, oneshot::Receiver<()>) {
    let (mut sender, outcome) = oneshot::channel();
    let (end, over) = oneshot::channel();
    thread::spawn(move || {
        let ended = runtime().map(|runtime| {
            let ended = runtime.block_on(async {
                tokio::select! {
                    ended = wait::run(invocation, progress, output) => ended,
                    () = sender.closed() => Ok(Outcome::Deadline),
                }
            });
            // Dropped, it would wait for a getaddrinfo that is still at it.
            runtime.shutdown_background();
            ended
        });
        // Main may have left by now; then nobody needs it.
        let _ = sender.send(ended.and_then(|ended| ended));
        let _ = end.send(());
    });
    (outcome, over)
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

fn start_log(invocation: &Invocation, output: &Output) {
    let level = match invocation.log_level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(output.clone());
    match invocation.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for warning in invocation.warnings.iter().cloned().chain(cli::unread(names)) {
        tracing::warn!("{warning}");
    }
}
