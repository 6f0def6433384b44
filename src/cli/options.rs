//! What the user typed: the options, and what is wrong with them as text.
//!
//! Only the spelling is decided here; what the words mean is `targets`'. No I/O, and the environment is not read:
//! clap's own `env` would read it behind the back of the tests, so the help names the variables and `environment` asks
//! for them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use clap_complete::Shell;

use super::help;
use crate::kinds::Extra;
use crate::target::goal::Condition;
use crate::target::names::data_key;
use crate::target::rules::{Failed, Missing};

/// The options as they were typed, and the words between them.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[command(
    name = "k8s-wait-for",
    version,
    about = "Waits until Kubernetes objects are ready: Jobs, Pods, Services, rollouts and any other kind",
    no_binary_name = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub struct Cli {
    /// mode and names, or targets
    #[arg(hide = true)]
    pub words: Vec<String>,

    /// Namespace [default: the pod's own, or the context's]
    #[arg(short, long, value_parser = text, help_heading = "Which objects")]
    pub namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long, help_heading = "Which objects")]
    pub all_namespaces: bool,
    /// Labels: app=db,tier!=web or 'tier in (a,b),!legacy'
    #[arg(short = 'l', long = "selector", value_name = "SELECTOR", value_parser = text, help_heading = "Which objects")]
    pub selectors: Vec<String>,
    /// Fields: status.phase=Running
    #[arg(long, value_name = "SELECTOR", value_parser = text, help_heading = "Which objects")]
    pub field_selector: Option<String>,
    /// Only pods on this pod's node (pod, daemonset)
    #[arg(long, help_heading = "Which objects")]
    pub same_node: bool,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_parser = text, help_heading = "Which objects")]
    pub context: Option<String>,
    /// Kubeconfig [default: the pod's service account, else kubectl's]
    #[arg(long, value_name = "FILE", value_parser = text, help_heading = "Which objects")]
    pub kubeconfig: Option<String>,

    /// Instead of ready: condition=C[=STATUS], jsonpath=PATH[=VALUE], create, delete
    #[arg(long = "for", value_name = "GOAL", value_parser = condition, action = ArgAction::Append, help_heading = "Condition")]
    all: Vec<Condition>,
    /// Start an alternative; all --for within one alternative must be met
    #[arg(long = "or-for", value_name = "GOAL", value_parser = condition, action = ArgAction::Append, help_heading = "Condition")]
    other: Vec<Condition>,
    /// Key that must exist (configmap, secret)
    #[arg(long = "key", value_name = "KEY", value_parser = key, help_heading = "Condition")]
    pub keys: Vec<String>,
    /// How to judge a Service: by pods, endpoints or load-balancer [default: pods]
    #[arg(long, value_name = "WHAT", hide_possible_values = true, ignore_case = true, help_heading = "Condition")]
    pub by: Option<By>,
    /// `--for` and `--or-for`, in the order in which they were typed
    #[arg(skip)]
    pub goal: Vec<Vec<Condition>>,

    /// Give up after 90s, 5m or plain seconds; 0 checks once [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration, allow_negative_numbers = true, help_heading = "When it ends")]
    pub timeout: Option<Duration>,
    /// End as soon as one target is ready
    #[arg(long = "any", help_heading = "When it ends")]
    pub any_target: bool,
    /// Minimum number of ready objects or endpoints [default: 1]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, help_heading = "When it ends")]
    pub min: Option<u32>,
    /// How long a selector's objects must stay ready and unchanged [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = duration, allow_negative_numbers = true, help_heading = "When it ends")]
    pub settle: Option<Duration>,
    /// If an object is missing: wait, fail, or ready (Jobs only) [default: wait]
    #[arg(long, value_name = "ACTION", hide_possible_values = true, ignore_case = true, help_heading = "When it ends")]
    pub missing: Option<Missing>,
    /// If a target failed: exit, or wait for a replacement [default: exit]
    #[arg(long, value_name = "ACTION", hide_possible_values = true, ignore_case = true, help_heading = "When it ends")]
    pub failed: Option<Failed>,
    /// How long access may be denied before the wait ends [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration, allow_negative_numbers = true, help_heading = "When it ends")]
    pub auth_grace: Option<Duration>,

    /// plain, or json (one object per line) [default: plain]
    #[arg(long, value_name = "FORM", hide_possible_values = true, ignore_case = true, help_heading = "What it says")]
    pub output: Option<Form>,
    /// Print nothing unless the wait fails
    #[arg(short, long, help_heading = "What it says")]
    pub quiet: bool,
    /// Also post the reason as an Event on this pod (Role: rbac --events)
    #[arg(long, help_heading = "What it says")]
    pub events: bool,
    /// Quote no logs, events or termination messages: they may hold secrets
    #[arg(long, help_heading = "What it says")]
    pub no_logs: bool,
    /// auto, always or never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true, ignore_case = true, help_heading = "What it says")]
    pub color: Option<Color>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", hide_possible_values = true, ignore_case = true, help_heading = "What it says")]
    pub log_level: Option<LogLevel>,
    /// text or json, for the diagnostic log on stderr [default: text]
    #[arg(long, value_name = "FORM", hide_possible_values = true, ignore_case = true, help_heading = "What it says")]
    pub log_format: Option<LogFormat>,

    /// This text; -h is shorter
    #[arg(short, long, action = ArgAction::Help, help_heading = "Others")]
    help: Option<bool>,
    /// Version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = "Others")]
    version: Option<bool>,
}

/// The options of `rbac`: those of the wait, and whose rights they are to be.
#[derive(Debug, Parser)]
#[command(
    name = "k8s-wait-for",
    about = "Prints the smallest Role and RoleBinding for a wait; takes the arguments of that wait",
    no_binary_name = true,
    disable_help_flag = true
)]
pub struct RbacCli {
    /// the wait
    #[command(flatten)]
    pub wait: Cli,
    /// Service account of the pod that waits [default: default]
    #[arg(long, value_name = "[NAMESPACE:]NAME", value_parser = text, help_heading = "The Role")]
    pub service_account: Option<String>,
    /// Add the rights to explain why a target is blocked
    #[arg(long, help_heading = "The Role")]
    pub explain: bool,
}

/// What a Service is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// those that it selects
    Pods,
    /// what its EndpointSlices say
    Endpoints,
    /// whether it has an address outside
    LoadBalancer,
}

/// The form of what is said on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// lines for people, and a live view on a terminal
    Plain,
    /// one object a line
    Json,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// on a terminal
    Auto,
    /// into files and pipes too
    Always,
    /// nowhere
    Never,
}

/// The form of the program's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// What of the program's own log is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// What was read.
pub enum Read<T> {
    Options(T),
    /// help or version, which were asked for
    Text(String),
}

/// A mistake on the command line: what is wrong, with the argument in it, and a form that is right.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    problem: String,
    hint: String,
}

impl Usage {
    /// Both without a full stop; control characters that were typed are made visible.
    pub fn new(problem: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        let visible = |text: &str| text.replace(char::is_control, "\u{fffd}");
        Self { problem: visible(problem.as_ref()), hint: visible(hint.as_ref()) }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nhint: {}", self.problem, self.hint)
    }
}

impl Cli {
    /// Reads words that are ready for clap; `program` is the name that help shows.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(program: &str, words: &[String]) -> Result<Read<Self>, Usage> {
        let command = help::of_wait(Self::command(), program, words.iter().any(|word| word == "--help"));
        read(command, words, |cli: &mut Self, matches| cli.goal = goal(matches))
    }
}

impl RbacCli {
    /// Reads the words after `rbac`.
    ///
    /// # Errors
    /// As [`Cli::read`].
    pub fn read(program: &str, words: &[String]) -> Result<Read<Self>, Usage> {
        read(help::of_rbac(Self::command(), program), words, |cli: &mut Self, matches| cli.wait.goal = goal(matches))
    }
}

fn read<T: FromArgMatches>(
    mut command: clap::Command,
    words: &[String],
    complete: impl Fn(&mut T, &ArgMatches),
) -> Result<Read<T>, Usage> {
    check_dashes(words, &command)?;
    let read = command.try_get_matches_from_mut(words).and_then(|matches| {
        let mut options = T::from_arg_matches(&matches)?;
        complete(&mut options, &matches);
        Ok(options)
    });
    match read {
        Ok(options) => Ok(Read::Options(options)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Read::Text(error.to_string()))
        }
        Err(error) => Err(mistake(&error)),
    }
}

/// The alternatives of `--for a --for b --or-for c`: (a and b) or c. Only clap knows in which order they were typed.
fn goal(matches: &ArgMatches) -> Vec<Vec<Condition>> {
    let typed = |id: &str| {
        let values = matches.get_many::<Condition>(id).into_iter().flatten().cloned();
        matches.indices_of(id).into_iter().flatten().zip(values).collect::<Vec<_>>()
    };
    let others = typed("other").into_iter().map(|(at, condition)| (at, true, condition));
    let mut all: Vec<_> =
        typed("all").into_iter().map(|(at, condition)| (at, false, condition)).chain(others).collect();
    all.sort_by_key(|(at, ..)| *at);
    let mut goal: Vec<Vec<Condition>> = Vec::new();
    for (_, is_other, condition) in all {
        match goal.last_mut().filter(|_| !is_other) {
            Some(last) => last.push(condition),
            None => goal.push(vec![condition]),
        }
    }
    goal
}

/// The shell that a completion script is for.
///
/// # Errors
/// One that nobody knows.
pub fn shell(words: &[String]) -> Result<Shell, Usage> {
    let shells = "`completions bash`, `zsh`, `fish`, `elvish` or `powershell`";
    let [shell] = words else { return Err(Usage::new("`completions` takes the name of a shell", shells)) };
    shell.parse().map_err(|_| Usage::new(format!("no completions for `{shell}`"), shells))
}

/// Of the variables that stand for options.
pub const PREFIX: &str = "K8S_WAIT_FOR_";

/// The variable of an option.
pub fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.trim_start_matches('-').replace('-', "_").to_uppercase())
}

/// How an option is typed that only some kinds take.
pub fn form_of(option: Extra) -> &'static str {
    match option {
        Extra::Key => "--key",
        Extra::By => "--by",
        Extra::SameNode => "--same-node",
    }
}

/// `-namespace data` would be `-n amespace` and an object `data`, for clap as for kubectl.
fn check_dashes(words: &[String], command: &clap::Command) -> Result<(), Usage> {
    let is_long = |name: &str| command.get_arguments().any(|argument| argument.get_long() == name.split('=').next());
    match words.iter().find(|word| word.strip_prefix('-').is_some_and(is_long)) {
        Some(word) => Err(Usage::new(format!("unknown option `{word}`"), format!("did you mean `-{word}`?"))),
        None => Ok(()),
    }
}

fn mistake(error: &clap::Error) -> Usage {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let argument = context(ContextKind::InvalidArg);
    // `--namespace <NAMESPACE>`
    let option = argument.split(' ').next().unwrap_or_default();
    let value = context(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => unknown_option(option, &context(ContextKind::SuggestedArg)),
        ErrorKind::ArgumentConflict => Usage::new(format!("`{option}` is given twice"), "give it once"),
        ErrorKind::TooManyValues => Usage::new(format!("`{option}` takes no value"), format!("write `{option}` alone")),
        _ => bad_value(option, option, &value, error.source().map(ToString::to_string).as_deref()),
    }
}

fn unknown_option(option: &str, near: &str) -> Usage {
    // what clap finds near is often far: `--namespace` for `--as`
    let near = Some(near).filter(|near| strsim::jaro(near, option) > 0.8);
    let known = "kubectl options that work here: -n, -A, -l, --field-selector, --context and --kubeconfig";
    let hint = match (instead(option), near) {
        (Some(hint), _) => hint.to_owned(),
        (None, Some(near)) => format!("did you mean `{near}`? {known}"),
        (None, None) => known.to_owned(),
    };
    Usage::new(format!("unknown option `{option}`"), hint)
}

/// What is typed here for an option of kubectl's.
fn instead(option: &str) -> Option<&'static str> {
    Some(match option {
        "-o" => "did you mean `--output json`?",
        "-w" | "--watch" | "--watch-only" | "--wait" => "leave it out: waiting is the default, and changes are printed",
        "-f" | "--filename" | "-k" | "--kustomize" => "name the objects: `job/migrate service/db`",
        "--all" => "`pod -n NAMESPACE` for all of them",
        "-v" | "--v" => "`--log-level debug`",
        "-s" | "--server" | "--token" | "--user" | "--cluster" | "--as" | "--as-group" => {
            "a kubeconfig context sets the server and the user: `--context production`"
        }
        _ => return None,
    })
}

/// The mistake of a value that `place`, the option or the variable that stands for it, does not take; without a
/// reason, it is none of a list.
pub fn bad_value(option: &str, place: &str, value: &str, reason: Option<&str>) -> Usage {
    let reason = reason.unwrap_or("is not one of its values");
    let problem =
        if value.is_empty() { format!("`{place}` needs a value") } else { format!("`{place}`: `{value}` {reason}") };
    // To kubectl wait that is a week.
    let is_endless = option == "--timeout" && value.starts_with('-');
    let endless = "leave it out to wait for as long as it takes";
    Usage::new(problem, if is_endless { endless } else { right_form(option) })
}

/// How its value is typed.
pub fn right_form(option: &str) -> &'static str {
    match option {
        "--namespace" => "`-n kube-system`",
        "--selector" => SELECTORS,
        "--field-selector" => "`--field-selector status.phase=Running`",
        "--context" => "`--context production`",
        "--kubeconfig" => "`--kubeconfig /etc/kubeconfig`",
        "--service-account" => "`--service-account shop` or `--service-account shop:shop`",
        "--for" | "--or-for" => help::GOALS,
        "--key" => "`secret/tls --key tls.crt`",
        "--same-node" => "`daemonset/proxy --same-node` or `pod -lapp=cache --same-node`",
        "--by" => "`service/db --by endpoints`, `--by load-balancer` or `--by pods`",
        "--min" => "a whole number, 1 or more",
        "--missing" => "`wait`, `fail` or `ready`",
        "--failed" => "`exit` or `wait`",
        "--log-level" => "`error`, `warn`, `info`, `debug` or `trace`",
        "--output" => "`plain` or `json`",
        "--color" => "`auto`, `always` or `never`",
        "--log-format" => "`text` or `json`",
        "--any" | "--quiet" | "--events" | "--no-logs" => "`true` or `false`",
        _ => "`90s`, `5m`, `1h30m` or a number of seconds",
    }
}

/// The right forms of a label selector, for hints.
pub const SELECTORS: &str = "`-l app=db`, `-l 'app in (db,cache)'` or `-l app=db,tier!=web`";

fn key(typed: &str) -> Result<String, String> {
    let key = text(typed)?;
    data_key(&key)?;
    Ok(key)
}

fn condition(typed: &str) -> Result<Condition, String> {
    typed.parse()
}

fn text(typed: &str) -> Result<String, String> {
    // clap hands over `--selector=` as an empty text
    match typed.trim() {
        "" => Err("is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// A number of seconds, or humantime.
///
/// # Errors
/// A clause that can follow the text.
pub fn duration(typed: &str) -> Result<Duration, String> {
    let bare = typed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let parsed = match typed.parse() {
        Ok(seconds) if bare => Duration::try_from_secs_f64(seconds).ok(),
        _ => humantime::parse_duration(typed).ok(),
    };
    // `5M` would be five months.
    if parsed.is_some() && units(typed).any(|unit| !UNITS.contains(&unit)) {
        return Err("has a unit longer than days".to_owned());
    }
    // more than a century overflows clocks further down, and nobody means it
    match parsed {
        Some(duration) if duration < Duration::from_hours(24 * 365 * 100) => Ok(duration),
        Some(_) => Err("is too long".to_owned()),
        None => Err("is not a time".to_owned()),
    }
}

/// Those of humantime up to days.
const UNITS: [&str; 28] = [
    "ns", "nsec", "nanos", "us", "usec", "micros", "µs", "ms", "msec", "millis", "s", "sec", "secs", "second",
    "seconds", "m", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours", "d", "day", "days",
];

fn units(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_alphabetic()).filter(|unit| !unit.is_empty())
}

/// What `--min` takes.
///
/// # Errors
/// A clause that can follow the text.
pub fn count(typed: &str) -> Result<u32, String> {
    typed.parse().ok().filter(|number| *number > 0).ok_or_else(|| "is not a whole number of at least 1".to_owned())
}
