//! What was typed → a [`Command`]: groundnuty's shapes and environment, and the targets of our own.
//!
//! Pure: the environment is passed in. Every mistake is answered with the form that would have been right. The table
//! test in `contract.rs` is the contract.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::Shell;

use self::environment::{Environment, named, truth};
use self::options::{Cli, RbacCli, Read};
use self::shells::Line;
use self::targets::targets;
use crate::kinds::is_final;
use crate::rbac;
use crate::target::names::{dns_label, dns_subdomain};
use crate::target::rules::{Failed, Missing, Rules};
use crate::target::verdict::Quorum;
use crate::target::{Demand, Target};

pub mod completions;
#[cfg(test)]
mod contract;
mod demands;
mod environment;
#[cfg(test)]
mod fuzz;
mod help;
mod options;
pub mod shells;
mod targets;
mod words;

pub use self::environment::unread;
pub use self::options::{Color, Form, LogFormat, LogLevel, Usage};

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    Wait(Box<Wait>),
    /// print the Role of a wait
    Rbac(rbac::Request),
    /// print a script for this shell
    Completions(Shell),
    /// print what can stand at the end of this line
    Complete(Line),
    /// print this: help or version
    Text(String),
}

/// A wait, taken apart by where each part is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub cluster: Cluster,
    /// in the order of the command line
    pub targets: Vec<Target>,
    pub rules: Rules,
    pub speech: Speech,
}

/// Which cluster, where that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
}

/// How to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    pub form: Form,
    /// say nothing but a bad end
    pub quiet: bool,
    /// post the reason as an Event on this pod
    pub events: bool,
    /// quote neither logs nor what other programs wrote
    pub no_logs: bool,
    pub color: Color,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    /// what of the environment was ignored, to be logged
    pub warnings: Vec<String>,
}

/// Reads the command line (with the program's name) and the environment.
///
/// # Errors
/// Something cannot be understood.
pub fn parse(argv: impl IntoIterator<Item = OsString>, env: impl Fn(&str) -> Option<String>) -> Result<Command, Usage> {
    let mut argv = argv.into_iter();
    let program = words::program(argv.next().as_ref());
    let arguments: Vec<OsString> = argv.collect();
    if let Some(line) = Line::read(&arguments, &env) {
        return Ok(Command::Complete(line));
    }
    let words = words::from_arguments(arguments.into_iter())?;
    let words = help::on_rbac(words);
    let mut environment = Environment::new(env);
    match words.split_first() {
        Some((first, words)) if first == "rbac" => match RbacCli::read(program, words)? {
            Read::Options(cli) => Ok(Command::Rbac(rbac_request(&cli, environment.suffix())?)),
            Read::Text(text) => Ok(Command::Text(text)),
        },
        Some((first, words)) if first == "completions" => Ok(Command::Completions(options::shell(words)?)),
        _ if let Some(text) = help::on_kind(&words) => Ok(Command::Text(text)),
        _ => match Cli::read(program, &words)? {
            Read::Options(cli) => Ok(Command::Wait(Box::new(wait_of(cli, environment)?))),
            Read::Text(text) => Ok(Command::Text(text)),
        },
    }
}

fn wait_of<G: Fn(&str) -> Option<String>>(cli: Cli, mut environment: Environment<G>) -> Result<Wait, Usage> {
    let suffix = environment.suffix();
    let targets = targets(&cli, suffix)?;
    let missing = environment.or("--missing", cli.missing, named)?.unwrap_or(Missing::Wait);
    check_missing(missing, cli.missing.is_some(), &targets)?;
    let poll_pause = environment.wait_time();
    let debug = environment.debug();
    let any = cli.any_target || environment.option("--any", truth)? == Some(true);
    let colorless = environment.no_color().then_some(Color::Never);
    let rules = Rules {
        quorum: if any { Quorum::Any } else { Quorum::All },
        missing,
        failed: environment.or("--failed", cli.failed, named)?.unwrap_or(Failed::Exit),
        timeout: environment.or("--timeout", cli.timeout, options::duration)?,
        auth_grace: environment
            .or("--auth-grace", cli.auth_grace, options::duration)?
            .unwrap_or(Duration::from_mins(1)),
        settle: environment.or("--settle", cli.settle, options::duration)?.unwrap_or(Duration::from_secs(2)),
        min: environment.or("--min", cli.min, options::count)?.unwrap_or(1),
        poll_pause,
    };
    let speech = Speech {
        form: environment.or("--output", cli.output, named)?.unwrap_or(Form::Plain),
        quiet: cli.quiet || environment.option("--quiet", truth)?.unwrap_or(false),
        events: cli.events || environment.option("--events", truth)?.unwrap_or(false),
        no_logs: cli.no_logs || environment.option("--no-logs", truth)?.unwrap_or(false),
        color: environment.or("--color", cli.color, named)?.or(colorless).unwrap_or(Color::Auto),
        log_format: environment.or("--log-format", cli.log_format, named)?.unwrap_or(LogFormat::Text),
        log_level: environment.or("--log-level", cli.log_level, named)?.or(debug).unwrap_or(LogLevel::Info),
        warnings: environment.warnings,
    };
    let cluster = Cluster { kubeconfig: cli.kubeconfig.map(PathBuf::from), context: cli.context };
    Ok(Wait { cluster, targets, rules, speech })
}

/// The wait that these words ask for.
#[cfg(test)]
pub fn wait(words: impl IntoIterator<Item = OsString>) -> Result<Wait, Usage> {
    match parse(words, |_| None)? {
        Command::Wait(wait) => Ok(*wait),
        other => panic!("no wait: {other:?}"),
    }
}

/// An answer that says nothing of some or all of the targets is a misunderstanding; what an environment that several
/// containers share says may be meant for others.
fn check_missing(missing: Missing, typed: bool, targets: &[Target]) -> Result<(), Usage> {
    let other = targets.iter().find(|target| !is_final(target) || matches!(target.demand, Demand::Meets(_)));
    if let (Missing::Ready, Some(target)) = (missing, other) {
        let hint = "only a plain wait for Jobs takes it: leave it out, or wait for the Jobs in a separate command";
        return Err(Usage::new(format!("`--missing ready` does not apply to `{target}`"), hint));
    }
    if typed && missing == Missing::Fail && !targets.iter().any(Target::is_named) {
        let hint = "matches of a selector may appear at any time: `job migrate --missing fail`, or a selector with `--timeout`";
        return Err(Usage::new("`--missing fail` needs a target with a name", hint));
    }
    Ok(())
}

/// Whether the arguments ask for JSON, as far as that can be told of arguments that may be wrong.
pub fn wants_json(argv: &[OsString], env: impl Fn(&str) -> Option<String>) -> bool {
    let words: Vec<&str> = argv.iter().filter_map(|word| word.to_str()).flat_map(str::split_whitespace).collect();
    let pairs = || words.iter().zip(words.iter().skip(1));
    let typed = words.iter().find_map(|word| word.strip_prefix("--output="));
    let typed = typed.or_else(|| pairs().find(|(option, _)| **option == "--output").map(|(_, value)| *value));
    let value = typed.map(str::to_owned).or_else(|| env("K8S_WAIT_FOR_OUTPUT"));
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("json"))
}

fn rbac_request(cli: &RbacCli, suffix: &str) -> Result<rbac::Request, Usage> {
    let typed = cli.service_account.as_deref().unwrap_or("default");
    let (namespace, name) = typed.split_once(':').map_or((None, typed), |(namespace, name)| (Some(namespace), name));
    let typed_wrong = |reason: String| if reason == "is empty" { "has an empty part".to_owned() } else { reason };
    let wrong = |reason: String| {
        options::bad_value("--service-account", "--service-account", typed, Some(&typed_wrong(reason)))
    };
    namespace.map_or(Ok(()), dns_label).and_then(|()| dns_subdomain(name)).map_err(wrong)?;
    let namespace = namespace.map(str::to_owned).or_else(|| cli.wait.namespace.clone());
    // What names no namespace is looked for in the pod's own.
    let own = |target: Target| match &namespace {
        Some(namespace) => target.resolve(namespace),
        None => target,
    };
    let targets: Vec<Target> = targets(&cli.wait, suffix)?.into_iter().map(own).collect();
    if let Some(target) = targets.iter().find(|it| it.kind.is_sought() && it.kind.resource.group.is_empty()) {
        let word = &target.kind.name;
        let hint = format!("with its group, as `kubectl api-resources` shows it: `{word}.GROUP/NAME`");
        return Err(Usage::new(format!("`rbac` does not ask the cluster, and `{word}` is not a built-in kind"), hint));
    }
    let subject = rbac::Subject::ServiceAccount { namespace, name: name.to_owned() };
    Ok(rbac::Request { targets, subject, explain: cli.explain, logs: !cli.wait.no_logs, events: cli.wait.events })
}
