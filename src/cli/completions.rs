//! What can stand in the place of the word that is being typed.
//!
//! Options and their values are known to clap's engine. It learns here what else there is: modes, names, namespaces and
//! contexts. Only the kubeconfig or the cluster can tell those; who asks them is passed in, so that all of this is pure.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory, FromArgMatches, ValueEnum, ValueHint};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::Cluster;
use super::options::{Cli, RbacCli};
use crate::kinds::{self, Mode, Row, namespace};
use crate::target::Resource;
use crate::target::names::{dns_label, dns_subdomain};

/// The program.
pub const NAME: &str = "k8s-wait-for";

/// What only the kubeconfig or the cluster knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// the contexts of this kubeconfig
    Contexts(Option<PathBuf>),
    /// what the objects of this kind are called
    Names {
        cluster: Cluster,
        resource: Resource,
        /// `None` is that of the context
        namespace: Option<String>,
    },
}

/// Answers a question; with nothing, where that is not possible.
pub type Ask = fn(&Question) -> Vec<String>;

/// The command line as the engine has to know it; the last of the words is the one in question.
pub fn command(words: &[String], ask: Ask) -> Command {
    let (current, before) = words.split_last().map_or(("", words), |(current, before)| (current.as_str(), before));
    let [_, rest @ ..] = before else { return Cli::command() };
    let wait = informed(Cli::command(), rest, current, ask).no_binary_name(false);
    let (first, after) = rest.split_first().map_or(("", rest), |(first, after)| (first.as_str(), after));
    // They are words like any other, unless they come first.
    if !matches!(first, "" | "rbac" | "completions") {
        return wait;
    }
    let rbac = informed(RbacCli::command(), after, current, ask).name("rbac");
    let shells = PossibleValuesParser::new(Shell::value_variants().iter().filter_map(ValueEnum::to_possible_value));
    let completions = Command::new("completions").about("Prints the completions for a shell").disable_help_flag(true);
    let completions = completions.arg(Arg::new("shell").value_parser(shells));
    wait.disable_help_subcommand(true).subcommands([rbac, completions])
}

/// The command with what the engine cannot know.
fn informed(command: Command, before: &[String], current: &str, ask: Ask) -> Command {
    let typed = Typed::read(command.clone(), before);
    let contexts = Question::Contexts(typed.cluster.kubeconfig.clone());
    let namespaces = typed.question(&namespace::ROW, None);
    let is_value = before.last().is_some_and(|word| takes_next(&command, word));
    // The engine would offer the options wherever one can stand: they are meant where one has been begun.
    let command = if is_value || current.starts_with('-') { command } else { without_options(&command) };
    let current = current.to_owned();
    let objects = ArgValueCandidates::new(move || objects(&typed, &current, ask));
    command.mut_args(move |arg| match arg.get_id().as_str() {
        "context" => arg.add(candidates(contexts.clone(), ask)),
        "namespace" => arg.add(candidates(namespaces.clone(), ask)),
        "kubeconfig" => arg.value_hint(ValueHint::FilePath),
        "words" => arg.add(objects.clone()),
        _ => arg,
    })
}

/// Whether a word is an option whose value is the next one.
fn takes_next(command: &Command, word: &str) -> bool {
    let is_it = |arg: &&Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => word.starts_with('-') && arg.get_short().is_some_and(|short| word.ends_with(short)),
    };
    command.get_arguments().find(is_it).is_some_and(|arg| arg.get_action().takes_values())
}

/// What is left of it; to the engine, options before are words like any other.
fn without_options(command: &Command) -> Command {
    let words = command.get_positionals().cloned();
    Command::new(NAME).disable_help_flag(true).args(words)
}

fn candidates(question: Question, ask: Ask) -> ArgValueCandidates {
    ArgValueCandidates::new(move || answers(&question, ask))
}

fn answers(question: &Question, ask: Ask) -> Vec<CompletionCandidate> {
    let is_good = |text: &String| match question {
        Question::Contexts(_) => is_harmless(text),
        Question::Names { .. } => dns_subdomain(text).is_ok(),
    };
    ask(question).into_iter().filter(is_good).map(CompletionCandidate::new).collect()
}

/// Whether a shell takes it for one word, and for nothing but a word.
pub fn is_harmless(text: &str) -> bool {
    !text.starts_with('-') && text.chars().all(|c| c.is_alphanumeric() || "-_.:/@+=~".contains(c))
}

/// What stands before the word in question, as far as it tells what that may be.
struct Typed {
    cluster: Cluster,
    namespace: Option<String>,
    all_namespaces: bool,
    words: Vec<String>,
}

impl Typed {
    /// Up to the first mistake.
    fn read(command: Command, words: &[String]) -> Self {
        let matches = command.ignore_errors(true).try_get_matches_from(words).ok();
        let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches).ok());
        let Some(Cli { kubeconfig, context, namespace, all_namespaces, words, .. }) = cli else {
            let cluster = Cluster { kubeconfig: None, context: None };
            return Self { cluster, namespace: None, all_namespaces: false, words: Vec::new() };
        };
        let cluster = Cluster { kubeconfig: kubeconfig.map(PathBuf::from), context };
        Self { cluster, namespace, all_namespaces, words }
    }

    fn question(&self, row: &Row, namespace: Option<&str>) -> Question {
        let (cluster, resource) = (self.cluster.clone(), row.kind.resource.clone());
        Question::Names { cluster, resource, namespace: namespace.map(str::to_owned) }
    }
}

/// Modes and names, and what is made of both.
fn objects(typed: &Typed, current: &str, ask: Ask) -> Vec<CompletionCandidate> {
    let first = typed.words.first().map(String::as_str);
    match first {
        _ if current.starts_with('-') => Vec::new(),
        None if !current.contains([':', '/']) => modes(|_| true, ""),
        Some(mode) if let Some((row, _)) = kinds::mode(mode) => names(typed, row, None, ask),
        Some(other) if !other.contains('/') => Vec::new(),
        _ => targets(typed, current, ask),
    }
}

fn modes(are_wanted: impl Fn(&Row) -> bool, end: &str) -> Vec<CompletionCandidate> {
    let rows = kinds::KINDS.iter().filter(|row| are_wanted(row));
    let candidate = |mode: &Mode| CompletionCandidate::new(format!("{}{end}", mode.word)).help(Some(mode.help.into()));
    rows.flat_map(|row| row.modes).map(candidate).collect()
}

/// `[NAMESPACE:]MODE/NAME`
fn targets(typed: &Typed, current: &str, ask: Ask) -> Vec<CompletionCandidate> {
    let (place, is_complete) = current.split_once('/').map_or((current, false), |(place, _)| (place, true));
    let (namespace, mode) = place.split_once(':').map_or((None, place), |(namespace, mode)| (Some(namespace), mode));
    let prefix = if is_complete { format!("{place}/") } else { place[..place.len() - mode.len()].to_owned() };
    let candidates = match kinds::mode(mode) {
        _ if !is_complete => modes(|row| namespace.is_none() || row.kind.resource.namespaced, "/"),
        Some((row, _)) => names(typed, row, namespace, ask),
        None => Vec::new(),
    };
    candidates.into_iter().map(|candidate| candidate.add_prefix(&*prefix)).collect()
}

/// Those that would be a mistake are not even asked for.
fn names(typed: &Typed, row: &Row, namespace: Option<&str>, ask: Ask) -> Vec<CompletionCandidate> {
    let namespace = namespace.or(typed.namespace.as_deref());
    let is_one = namespace.is_none_or(|namespace| dns_label(namespace).is_ok());
    if !is_one || typed.all_namespaces && row.kind.resource.namespaced {
        return Vec::new();
    }
    answers(&typed.question(row, namespace), ask)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap_complete::engine::complete;

    use super::*;

    /// Answers with the question.
    fn ask(question: &Question) -> Vec<String> {
        match question {
            Question::Contexts(file) => {
                let file = file.as_deref().unwrap_or(Path::new("config"));
                ["prod@", "$(evil)", "-x", "two words"].map(|name| format!("{name}{}", file.display())).into()
            }
            Question::Names { cluster, resource, namespace } => {
                let parts = [Some(&*resource.plural), namespace.as_deref(), cluster.context.as_deref()];
                let name = parts.into_iter().flatten().collect::<Vec<_>>().join(".");
                vec![name, "$(evil)".to_owned(), "a b".to_owned(), "-x".to_owned()]
            }
        }
    }

    fn offered(line: &str) -> String {
        let words: Vec<String> = std::iter::once(NAME).chain(line.split(' ')).map(str::to_owned).collect();
        let mut command = command(&words, ask);
        let last = words.len() - 1;
        let words = words.into_iter().map(Into::into).collect();
        let candidates = complete(&mut command, words, last, None).expect("the line has a word in question");
        let values = candidates.iter().map(|candidate| candidate.get_value().to_string_lossy());
        values.collect::<Vec<_>>().join(" ")
    }

    const LINES: &[(&str, &str)] = &[
        // modes
        ("jo", "job job-wr job-we"),
        ("r", "rbac replicaset replicationcontroller"),
        ("co", "completions configmap"),
        ("--help cron", "cronjob"),
        ("-n data serv", "service service-wr serviceaccount"),
        ("job/a co", "configmap/"),
        ("job/a data:cron", "data:cronjob/"),
        ("data:cr", "data:cronjob/"),
        ("job/a cr", "cronjob/ crd/"),
        ("rbac po", "pod pod-wr pod-we"),
        // names
        ("job ", "jobs"),
        ("job j", "jobs"),
        ("job x", ""),
        ("job-wr a ", "jobs"),
        ("deploy ", "deployments"),
        ("deployments.apps ", "deployments"),
        ("job -n data ", "jobs.data"),
        ("job --any -qn data ", "jobs.data"),
        ("-ndata job ", "jobs.data"),
        ("--namespace=data --context=staging job --timeout 5m ", "jobs.data.staging"),
        ("job/", "job/jobs"),
        ("job/a -n data po/", "po/pods.data"),
        ("job/a data:svc/", "data:svc/services.data"),
        ("ns/", "ns/namespaces"),
        ("rbac -n data job/", "job/jobs.data"),
        ("rbac --service-account shop job ", "jobs"),
        // no names
        ("job -n Bad/ns ", ""),
        ("Bad:job/", ""),
        ("pod -A ", ""),
        ("certificate.cert-manager.io/", ""),
        ("certificate.cert-manager.io ", ""),
        ("nonsense ", ""),
        // values
        ("-n ", "namespaces"),
        ("-nname", "-nnamespaces"),
        ("job a --namespace=", "--namespace=namespaces"),
        ("job --context staging -n ", "namespaces.staging"),
        ("rbac -n ", "namespaces"),
        ("--context ", "prod@config"),
        ("--kubeconfig other --context p", "prod@other"),
        ("job a --missing ", "wait fail ready"),
        ("job a --missing=f", "--missing=fail"),
        ("svc/db --by ", "pods endpoints load-balancer"),
        ("--log-level ", "error warn info debug trace"),
        ("job -l ", ""),
        ("job --timeout ", ""),
        // options
        ("job a --se", "--selector --settle"),
        ("rbac --ex", "--explain"),
        ("rbac --se", "--selector --settle --service-account"),
        ("--ex", ""),
        // shells
        ("completions ", "bash elvish fish powershell zsh"),
        ("completions z", "zsh"),
        ("completions bash ", ""),
        ("completions --", ""),
    ];

    #[test]
    fn what_is_offered_depends_on_what_was_typed() {
        for (line, expected) in LINES {
            assert_eq!(offered(line), *expected, "{line}");
        }
    }

    #[test]
    fn options_are_offered_where_one_was_begun() {
        for line in ["", "job ", "pod -A ", "rbac ", "-An "] {
            assert!(!offered(line).contains("--"), "{line}");
        }
        assert!(offered("job a -").contains("--timeout"));
    }

    #[test]
    fn question_names_the_kubeconfig_that_was_typed() {
        let words = ["--kubeconfig", "other", "--context", "staging"].map(str::to_owned);
        let Question::Names { cluster, .. } = Typed::read(Cli::command(), &words).question(&namespace::ROW, None)
        else {
            panic!("a question for names");
        };
        assert_eq!(cluster, Cluster { kubeconfig: Some("other".into()), context: Some("staging".to_owned()) });
    }
}
