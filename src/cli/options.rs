//! What the user typed: the options, the help, and what is wrong with either as text.
//!
//! Only the spelling is decided here; what the words mean is `targets`'. No I/O, and the environment is not read:
//! clap's own `env` would read it behind the back of the tests, so the help names the variables and `environment` asks
//! for them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, ValueEnum};
use clap_complete::Shell;

use crate::kinds;
use crate::target::rules::{Failed, Missing};

/// The options as they were typed, and the words between them.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[command(
    name = "k8s-wait-for",
    version,
    about = "Waits until Jobs, Pods, Services and volume claims are ready",
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
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_parser = text, help_heading = "Which objects")]
    pub context: Option<String>,
    /// Kubeconfig [default: the pod's service account, else kubectl's]
    #[arg(long, value_name = "FILE", value_parser = text, help_heading = "Which objects")]
    pub kubeconfig: Option<String>,

    /// Give up after 90s, 5m or bare seconds; 0 looks once [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration, allow_negative_numbers = true, help_heading = "When it ends")]
    pub timeout: Option<Duration>,
    /// One ready target is enough
    #[arg(long, help_heading = "When it ends")]
    pub any: bool,
    /// A selector has to match so many objects at least [default: 1]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, help_heading = "When it ends")]
    pub min: Option<u32>,
    /// How long a selector's objects must stay ready and the same [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = duration, allow_negative_numbers = true, help_heading = "When it ends")]
    pub settle: Option<Duration>,
    /// What a missing object means: wait, fail or ready (Jobs) [default: wait]
    #[arg(long, value_name = "ANSWER", hide_possible_values = true, ignore_case = true, help_heading = "When it ends")]
    pub missing: Option<Missing>,
    /// What a failed target means: exit, or wait for another [default: exit]
    #[arg(long, value_name = "ANSWER", hide_possible_values = true, ignore_case = true, help_heading = "When it ends")]
    pub failed: Option<Failed>,
    /// How long the API may refuse before that ends the wait [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration, allow_negative_numbers = true, help_heading = "When it ends")]
    pub auth_grace: Option<Duration>,

    /// plain lines, or json: one object a line [default: plain]
    #[arg(long, value_name = "FORM", hide_possible_values = true, ignore_case = true, help_heading = "What it says")]
    pub output: Option<Form>,
    /// Only a bad end
    #[arg(short, long, help_heading = "What it says")]
    pub quiet: bool,
    /// Also as an Event on this pod; needs to create and patch events
    #[arg(long, help_heading = "What it says")]
    pub events: bool,
    /// auto, always or never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true, ignore_case = true, help_heading = "What it says")]
    pub color: Option<Color>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", hide_possible_values = true, ignore_case = true, help_heading = "What it says")]
    pub log_level: Option<LogLevel>,
    /// text or json, for its own log on stderr [default: text]
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
    about = "Prints the smallest Role and RoleBinding for a wait: `rbac` and then its arguments",
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
    /// Also what is read to say why it is blocked
    #[arg(long, help_heading = "The Role")]
    pub explain: bool,
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
        read(command(program, words.iter().any(|word| word == "--help")), words)
    }
}

impl RbacCli {
    /// Reads the words after `rbac`.
    ///
    /// # Errors
    /// As [`Cli::read`].
    pub fn read(program: &str, words: &[String]) -> Result<Read<Self>, Usage> {
        let usage = usage(&format!("{program} rbac"));
        read(Self::command().help_template(TEMPLATE).override_usage(usage).before_help(modes_help()), words)
    }
}

fn read<T: FromArgMatches>(mut command: clap::Command, words: &[String]) -> Result<Read<T>, Usage> {
    check_dashes(words, &command)?;
    match command.try_get_matches_from_mut(words).and_then(|mut matches| T::from_arg_matches_mut(&mut matches)) {
        Ok(options) => Ok(Read::Options(options)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Read::Text(error.to_string()))
        }
        Err(error) => Err(mistake(&error)),
    }
}

/// Not by clap's own `after_long_help`: with it, every option takes three lines.
fn command(program: &str, long: bool) -> clap::Command {
    let more = format!(
        "{}\n       {program} rbac ...                 the smallest Role for that wait\n       \
         {program} completions SHELL        completions for bash, zsh, fish, elvish or powershell",
        usage(program)
    );
    Cli::command().help_template(TEMPLATE).override_usage(more).before_help(modes_help()).after_help(if long {
        LONG_HELP.replace("PROGRAM", program)
    } else {
        SHORT_HELP.to_owned()
    })
}

const TEMPLATE: &str = "{about}\n\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

fn usage(program: &str) -> String {
    format!(
        "{program} [OPTIONS] MODE NAME...\n       \
         {program} [OPTIONS] MODE -lSELECTOR\n       \
         {program} [OPTIONS] [NAMESPACE:]MODE/NAME-or-SELECTOR..."
    )
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

/// A completion script, with the modes as first words.
pub fn completions(shell: Shell) -> String {
    let first_words = kinds::modes().map(|mode| mode.word).chain(["rbac", "completions"]);
    let parser = PossibleValuesParser::new(first_words);
    let mut command = Cli::command().mut_arg("words", |words| words.value_parser(parser).hide(false));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "k8s-wait-for", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Of the variables that stand for options.
pub const PREFIX: &str = "K8S_WAIT_FOR_";

/// The variable of an option.
pub fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.trim_start_matches('-').replace('-', "_").to_uppercase())
}

/// All of them, as the help has them.
pub fn variables() -> impl Iterator<Item = String> {
    let words = LONG_HELP.split(|char: char| !char.is_ascii_uppercase() && char != '_' && !char.is_ascii_digit());
    words.filter(|word| word.starts_with(PREFIX)).map(str::to_owned)
}

fn modes_help() -> String {
    let lines: Vec<String> = kinds::modes().map(|mode| format!("  {:<12} {}", mode.word, mode.help)).collect();
    format!("Modes:\n{}", lines.join("\n"))
}

const SHORT_HELP: &str = "--help adds the environment, the exit codes and examples.";

const LONG_HELP: &str = "\
Every object of a kind: `pod -n NAMESPACE`, only with -n, -A or --field-selector.

Environment:
  K8S_WAIT_FOR_TIMEOUT, K8S_WAIT_FOR_ANY, K8S_WAIT_FOR_MIN, K8S_WAIT_FOR_SETTLE,
  K8S_WAIT_FOR_MISSING, K8S_WAIT_FOR_FAILED, K8S_WAIT_FOR_AUTH_GRACE, K8S_WAIT_FOR_OUTPUT,
  K8S_WAIT_FOR_QUIET, K8S_WAIT_FOR_EVENTS, K8S_WAIT_FOR_COLOR, K8S_WAIT_FOR_LOG_LEVEL,
  K8S_WAIT_FOR_LOG_FORMAT
                          the options of these names; what is typed comes first
  WAIT_TIME               pause between two looks where watching is forbidden: 2, 0.5, 2s
  DEBUG                   1 for --log-level debug, 2 for trace
  TREAT_ERRORS_AS_READY   what a plain mode means: 0 itself, 1 with -we, 2 with -wr
  KUBECONFIG              as in kubectl
  NO_COLOR                no colours, unless --color says so

Exit codes:
  0          the condition is met
  1          a target has failed, or is missing with --missing fail
  2          usage error
  77         the API refuses: 401 or 403 for longer than --auth-grace
  78         configuration: no credentials, broken kubeconfig, unknown context
  124        --timeout has passed
  130, 143   SIGINT, SIGTERM

Examples:
  PROGRAM job migrate-v3                                a migration, by name
  PROGRAM pod -lapp=db,tier=backend -n data             pods by their labels
  PROGRAM job/migrate-v3 data:service/db --timeout 5m   several things at once";

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
    let known = "of kubectl's options it knows -n, -A, -l, --field-selector, --context and --kubeconfig";
    let hint = near.map_or_else(|| known.to_owned(), |near| format!("did you mean `{near}`? {known}"));
    Usage::new(format!("unknown option `{option}`"), hint)
}

/// The mistake of a value that `place`, the option or the variable that stands for it, does not take; without a
/// reason, it is none of a list.
pub fn bad_value(option: &str, place: &str, value: &str, reason: Option<&str>) -> Usage {
    let reason = reason.unwrap_or("is none of its values");
    let problem =
        if value.is_empty() { format!("`{place}` needs a value") } else { format!("`{place}`: `{value}` {reason}") };
    Usage::new(problem, right_form(option))
}

fn right_form(option: &str) -> &'static str {
    match option {
        "--namespace" => "`-n kube-system`",
        "--selector" => SELECTORS,
        "--field-selector" => "`--field-selector status.phase=Running`",
        "--context" => "`--context production`",
        "--kubeconfig" => "`--kubeconfig /etc/kubeconfig`",
        "--service-account" => "`--service-account shop` or `--service-account shop:shop`",
        "--min" => "a whole number from 1 on",
        "--missing" => "`wait`, `fail` or `ready`",
        "--failed" => "`exit` or `wait`",
        "--log-level" => "`error`, `warn`, `info`, `debug` or `trace`",
        "--output" => "`plain` or `json`",
        "--color" => "`auto`, `always` or `never`",
        "--log-format" => "`text` or `json`",
        "--any" | "--quiet" | "--events" => "`true` or `false`",
        _ => "`90s`, `5m`, `1h30m` or a number of seconds",
    }
}

/// The right forms of a label selector, for hints.
pub const SELECTORS: &str = "`-l app=db`, `-l 'app in (db,cache)'` or `-l app=db,tier!=web`";

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
        return Err("has a unit above days".to_owned());
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
    typed.parse().ok().filter(|number| *number > 0).ok_or_else(|| "is not a number from 1 on".to_owned())
}
