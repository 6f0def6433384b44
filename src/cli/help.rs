//! What `--help` shows: of a wait, of `rbac`, and of one kind. The kinds in it come from their table.

use clap::Command;

use crate::kinds::{self, Row};
use crate::target::Resource;

/// That of a wait; `program` is the name that it shows. Not by clap's own `after_long_help`: with it, every option
/// takes three lines.
pub fn of_wait(command: Command, program: &str, long: bool) -> Command {
    let more = format!(
        "{}\n       {program} rbac ...                 print the smallest Role for a wait\n       \
         {program} completions SHELL        completions for bash, zsh, fish, elvish or powershell",
        usage(program)
    );
    let after = if long { LONG.replace("PROGRAM", program) } else { SHORT.to_owned() };
    command.help_template(TEMPLATE).override_usage(more).before_help(modes()).after_help(after)
}

/// That of `rbac`.
pub fn of_rbac(command: Command, program: &str) -> Command {
    let usage = usage(&format!("{program} rbac"));
    command.help_template(TEMPLATE).override_usage(usage).before_help(modes())
}

const TEMPLATE: &str = "{about}\n\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

fn usage(program: &str) -> String {
    format!(
        "{program} [OPTIONS] MODE NAME...\n       \
         {program} [OPTIONS] MODE -lSELECTOR\n       \
         {program} [OPTIONS] [NAMESPACE:]MODE/NAME-or-SELECTOR..."
    )
}

fn modes() -> String {
    let (several, single): (Vec<&Row>, Vec<&Row>) = kinds::KINDS.iter().partition(|row| row.modes.len() > 1);
    let modes = several.iter().flat_map(|row| row.modes);
    let modes: Vec<String> = modes.map(|mode| format!("  {:<12} {}", mode.word, mode.help)).collect();
    let single: Vec<&str> = single.iter().map(|row| row.modes[0].word).collect();
    format!(
        "Modes:\n{}\n{}\n  KIND.GROUP   any other kind in the cluster, by its conditions or --for\n\
         `--help KIND` explains each; kubectl's plurals and short names (`deploy`, `svc`) work too.",
        modes.join("\n"),
        filled(&single.join(", "))
    )
}

/// Lines of 80 characters at most, indented.
fn filled(words: &str) -> String {
    let mut lines = vec![" ".to_owned()];
    for word in words.split(' ') {
        if lines.last().is_some_and(|line| line.len() + word.len() > 78) {
            lines.push(" ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.extend([" ", word]);
        }
    }
    lines.join("\n")
}

/// `--help rbac` is `rbac --help`.
pub fn on_rbac(mut words: Vec<String>) -> Vec<String> {
    if let [help, rbac] = words.as_slice()
        && is_help(help)
        && rbac == "rbac"
    {
        words.reverse();
    }
    words
}

fn is_help(word: &str) -> bool {
    matches!(word, "--help" | "-h")
}

/// What `--help KIND` answers, if these words ask that.
pub fn on_kind(words: &[String]) -> Option<String> {
    let [one, two] = words else { return None };
    let kind = if is_help(one) { two } else { Some(one).filter(|_| is_help(two))? };
    match kinds::mode(kind) {
        Some((row, _)) => Some(of_kind(row)),
        None if kind.contains('.') => Some(format!("{kind}, a kind of the cluster\n\n{}", about(&kinds::other::ROW))),
        None => None,
    }
}

/// Its names, what can be demanded, and the rules.
fn of_kind(row: &Row) -> String {
    let modes: Vec<String> = row.modes.iter().map(|mode| format!("  {:<12} {}", mode.word, mode.help)).collect();
    let words: Vec<&str> = row.words().collect();
    let Resource { group, plural, .. } = &row.kind.resource;
    let group = if group.is_empty() { "the core group" } else { group };
    let (title, words) = (&row.kind.title, words.join(", "));
    format!("{title}: {plural} in {group}; other names: {words}\n\nModes:\n{}\n\n{}", modes.join("\n"), about(row))
}

fn about(row: &Row) -> String {
    format!("{}\n\nTo wait for something else: {GOALS}.", row.rules)
}

/// The right forms of `--for`, for hints.
pub const GOALS: &str =
    "`--for condition=Ready`, `--for jsonpath='{.status.phase}'=Running`, `--for create` or `--for delete`";

/// The variables that it names and that begin so.
pub fn variables(prefix: &str) -> impl Iterator<Item = String> {
    let words = LONG.split(|char: char| !char.is_ascii_uppercase() && char != '_' && !char.is_ascii_digit());
    words.filter(move |word| word.starts_with(prefix)).map(str::to_owned)
}

const SHORT: &str = "--help adds the environment, exit codes and examples.";

const LONG: &str = "\
For all objects of a kind, give -n, -A or --field-selector instead of a name: `pod -n data`.

Environment:
  K8S_WAIT_FOR_TIMEOUT, K8S_WAIT_FOR_ANY, K8S_WAIT_FOR_MIN, K8S_WAIT_FOR_SETTLE,
  K8S_WAIT_FOR_MISSING, K8S_WAIT_FOR_FAILED, K8S_WAIT_FOR_AUTH_GRACE, K8S_WAIT_FOR_OUTPUT,
  K8S_WAIT_FOR_QUIET, K8S_WAIT_FOR_EVENTS, K8S_WAIT_FOR_NO_LOGS, K8S_WAIT_FOR_COLOR,
  K8S_WAIT_FOR_LOG_LEVEL, K8S_WAIT_FOR_LOG_FORMAT
                          the options of the same names; the command line wins
  WAIT_TIME               seconds between polls where watching is forbidden: 2, 0.5, 2s
  DEBUG                   1 for --log-level debug, 2 for trace
  TREAT_ERRORS_AS_READY   suffix for a plain mode: 0 none, 1 -we, 2 -wr
  KUBECONFIG              as in kubectl
  NO_COLOR                no colors, unless --color says so
  POD_NAME, POD_NAMESPACE, CONTAINER_NAME, NODE_NAME
                          the waiting pod, if its token and mounts do not name it

Exit codes:
  0          the condition is met
  1          a target failed, or is missing with --missing fail
  2          usage error
  77         access denied: 401 or 403 for longer than --auth-grace
  78         configuration: no credentials, broken kubeconfig, unknown context
  124        the --timeout expired
  130, 143   SIGINT, SIGTERM

Examples:
  PROGRAM job migrate-v3                                a migration, by name
  PROGRAM pod -lapp=db,tier=backend -n data             pods by their labels
  PROGRAM job/migrate-v3 data:service/db --timeout 5m   several things at once
  PROGRAM deploy/shop ingress/shop --timeout 10m        a release
  PROGRAM certificate.cert-manager.io/tls --for condition=Ready";
