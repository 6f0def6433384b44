//! What the command line means: groundnuty's shapes and environment, and the targets of our own, → [`Invocation`].
//!
//! Pure: the environment is passed in. Every mistake is answered with the form that would have been right. The table
//! test in `compat/table.rs` is the contract.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use self::environment::{Environment, named, truth};
use self::options::{Cli, Color, Failed, Form, LogFormat, LogLevel, Missing, RbacCli, Stop, Usage};
use crate::rbac;
use crate::target::selector::{Selector, dns_label, dns_subdomain};
use crate::target::verdict::Quorum;
use crate::target::{Kind, MODES, Mode, Scope, Selection, Target};

pub use self::environment::unread;

#[cfg(test)]
mod contract;
mod environment;
#[cfg(test)]
mod fuzz;
pub mod options;
mod words;

/// What the program needs to know of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// in the order of the command line, each once
    pub targets: Vec<Target>,
    /// how many of them have to be ready
    pub quorum: Quorum,
    /// what a missing object means
    pub missing: Missing,
    /// what a failed target means
    pub failed: Failed,
    /// zero looks once; none waits for ever
    pub timeout: Option<Duration>,
    /// how long the API may refuse
    pub auth_grace: Duration,
    /// how long the objects of a selector have to be ready and the same
    pub settle: Duration,
    /// the least number of objects of a selector, 1 or more
    pub min: u32,
    /// the pause between polls that was asked for (`WAIT_TIME`), never zero
    pub poll_pause: Option<Duration>,
    /// of what is said on stdout
    pub output: Form,
    /// say nothing but a bad end
    pub quiet: bool,
    /// post the reason as an Event on this pod
    pub events: bool,
    /// whether there are colours
    pub color: Color,
    /// of the program's own log
    pub log_level: LogLevel,
    /// of the program's own log
    pub log_format: LogFormat,
    /// context of the kubeconfig
    pub context: Option<String>,
    /// kubeconfig file
    pub kubeconfig: Option<PathBuf>,
    /// what of the environment was ignored, to be logged
    pub warnings: Vec<String>,
}

/// Reads the command line (with the program's name) and the environment. What only has to be printed, `rbac` and
/// `completions` among it, is a [`Stop`].
///
/// # Errors
/// [`Stop`]: something is to be printed, or cannot be understood.
pub fn parse(
    argv: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Invocation, Stop> {
    let mut argv = argv.into_iter();
    let program = words::program(argv.next().as_ref());
    let words = words::from_arguments(argv)?;
    let mut environment = Environment::new(env);
    match words.split_first() {
        Some((first, words)) if first == "rbac" => {
            let request = rbac_request(&RbacCli::read(program, words)?, environment.suffix())?;
            return Err(Stop::Text(rbac::yaml(&request)?));
        }
        Some((first, words)) if first == "completions" => return Err(Stop::Text(options::completions(words)?)),
        _ => {}
    }
    let cli = Cli::read(program, &words)?;
    let suffix = environment.suffix();
    let targets = targets(&cli, suffix)?;
    let missing = environment.or("--missing", cli.missing, named)?.unwrap_or(Missing::Wait);
    check_missing(missing, cli.missing.is_some(), &targets)?;
    let poll_pause = environment.wait_time();
    let debug = environment.debug();
    let any = environment.option("--any", truth)?;
    let colorless = environment.no_color().then_some(Color::Never);
    Ok(Invocation {
        quorum: if cli.any || any == Some(true) { Quorum::Any } else { Quorum::All },
        missing,
        failed: environment.or("--failed", cli.failed, named)?.unwrap_or(Failed::Exit),
        timeout: environment.or("--timeout", cli.timeout, options::duration)?,
        auth_grace: environment
            .or("--auth-grace", cli.auth_grace, options::duration)?
            .unwrap_or(Duration::from_mins(1)),
        settle: environment.or("--settle", cli.settle, options::duration)?.unwrap_or(Duration::from_secs(2)),
        min: environment.or("--min", cli.min, options::count)?.unwrap_or(1),
        output: environment.or("--output", cli.output, named)?.unwrap_or(Form::Plain),
        quiet: cli.quiet || environment.option("--quiet", truth)?.unwrap_or(false),
        events: cli.events || environment.option("--events", truth)?.unwrap_or(false),
        color: environment.or("--color", cli.color, named)?.or(colorless).unwrap_or(Color::Auto),
        log_format: environment.or("--log-format", cli.log_format, named)?.unwrap_or(LogFormat::Text),
        log_level: environment.or("--log-level", cli.log_level, named)?.or(debug).unwrap_or(LogLevel::Info),
        context: cli.context,
        kubeconfig: cli.kubeconfig.map(PathBuf::from),
        targets,
        poll_pause,
        warnings: environment.warnings,
    })
}

/// An answer that says nothing of some or all of the targets is a misunderstanding; what an environment that several
/// containers share says may be meant for others.
fn check_missing(missing: Missing, typed: bool, targets: &[Target]) -> Result<(), Usage> {
    let other = targets.iter().find(|target| target.mode.kind() != Kind::Job);
    if let (Missing::Ready, Some(target)) = (missing, other) {
        let hint = "only a Job is done and gone: leave it out, or wait for the Jobs in a command of their own";
        return Err(Usage::new(format!("`--missing ready` with `{target}`"), hint));
    }
    if typed && missing == Missing::Fail && targets.iter().all(|target| target.selection.name.is_none()) {
        let hint = "what a selector matches may come at any time: `job migrate --missing fail`, or a selector with `--timeout`";
        return Err(Usage::new("`--missing fail` is about names, and no target has one", hint));
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
    let targets = targets(&cli.wait, suffix)?.into_iter().map(own).collect();
    let subject = rbac::Subject::ServiceAccount { namespace, name: name.to_owned() };
    Ok(rbac::Request { targets, subject, explain: cli.explain, events: cli.wait.events })
}

/// What the options say about every target.
struct Common {
    scope: Scope,
    labels: Option<Selector>,
    fields: Option<String>,
}

/// A mode and how it was written.
#[derive(Clone, Copy)]
struct Written<'a> {
    mode: Mode,
    text: &'a str,
}

fn targets(cli: &Cli, suffix: &str) -> Result<Vec<Target>, Usage> {
    let words: Vec<&str> = cli.words.iter().flat_map(|word| apart(word)).collect();
    let common = common(cli)?;
    let Some((first, objects)) = words.split_first() else {
        return Err(Usage::new("nothing to wait for", format!("{EXAMPLES}; `--help` says more")));
    };
    let mut targets = match written(first, suffix) {
        Some(mode) => of_mode(mode, objects, &common)?,
        None if first.contains('/') => {
            words.iter().map(|word| target(word, suffix, &common)).collect::<Result<_, _>>()?
        }
        None => return Err(unknown_mode(first)),
    };
    let mut seen = HashSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    if cli.min.is_some_and(|min| min > 1) && targets.iter().all(|target| target.selection.name.is_some()) {
        return Err(Usage::new(
            "`--min` counts what a selector matches, a name is one object",
            "`pod -lapp=db --min 3`",
        ));
    }
    Ok(targets)
}

const EXAMPLES: &str = "`job migrate`, `pod -lapp=db` or `job/migrate service/db`";

/// The script's arguments were split at spaces; those of a selector are its own, and a list with commas is shown whole.
fn apart(word: &str) -> Vec<&str> {
    match word.split_once(char::is_whitespace) {
        Some((mode, rest)) if written(mode, "").is_some() => [vec![mode], apart(rest.trim_start())].concat(),
        Some(_) if !is_selector(word) && !word.contains(',') => word.split_whitespace().collect(),
        _ => vec![word],
    }
}

fn written<'a>(text: &'a str, suffix: &str) -> Option<Written<'a>> {
    let find = |text: &str| MODES.iter().find(|(it, _)| *it == text).map(|(_, mode)| *mode);
    let plain = find(text)?;
    // there is no `service-we`, and none of `job-wr-we`
    Some(Written { mode: find(&format!("{text}{suffix}")).unwrap_or(plain), text })
}

fn common(cli: &Cli) -> Result<Common, Usage> {
    let scope = match &cli.namespace {
        Some(namespace) if cli.all_namespaces => {
            let problem = format!("`-n {namespace}` and `-A` contradict each other");
            return Err(Usage::new(problem, format!("`-n {namespace}` for this namespace, `-A` for all of them")));
        }
        Some(namespace) => Scope::Namespace(checked_namespace(namespace)?),
        None if cli.all_namespaces => Scope::All,
        None => Scope::Default,
    };
    let labels = match cli.selectors.as_slice() {
        [] => None,
        [one] => Some(selector(one)?),
        many => {
            let hint = format!("all requirements go into one, with commas between: `-l '{}'`", many.join(","));
            return Err(Usage::new("`-l` is given more than once", hint));
        }
    };
    Ok(Common { scope, labels, fields: cli.field_selector.as_deref().map(checked_fields).transpose()? })
}

/// Groundnuty's shapes.
fn of_mode(mode: Written, objects: &[&str], common: &Common) -> Result<Vec<Target>, Usage> {
    if objects.is_empty() {
        return every(mode, common).map(|target| vec![target]);
    }
    check_mixture(mode.text, objects)?;
    objects.iter().map(|object| of_object(mode, common.scope.clone(), object, common)).collect()
}

/// After a mode there are names, or one selector.
fn check_mixture(mode: &str, objects: &[&str]) -> Result<(), Usage> {
    if let Some(target) = objects.iter().find(|object| is_target(object)) {
        let hint = format!("without a mode in front: `{}`", as_targets(mode, objects));
        return Err(Usage::new(format!("`{target}` names its mode itself"), hint));
    }
    // a Job may be called `pod`, but hardly with names around it
    if let Some(at) = (1..objects.len().saturating_sub(1)).find(|at| written(objects[*at], "").is_some()) {
        let (second, object) = (objects[at], objects[at + 1]);
        let hint = format!("kinds mix as targets: `{} {second}/{object}`", as_targets(mode, &objects[..at]));
        return Err(Usage::new(format!("`{second}` is a second mode"), hint));
    }
    match objects.iter().find(|object| is_selector(object)) {
        Some(selector) if objects.len() > 1 => {
            let targets = as_targets(mode, objects);
            let hint = format!("several targets: `{targets}`; a name and a selector: `{mode} NAME -l '{selector}'`");
            Err(Usage::new(format!("`{selector}` stands beside a name or another selector"), hint))
        }
        _ => Ok(()),
    }
}

fn as_targets(mode: &str, objects: &[&str]) -> String {
    let whole = |object: &&str| if is_target(object) { (*object).to_owned() } else { format!("{mode}/{object}") };
    objects.iter().map(whole).collect::<Vec<_>>().join(" ")
}

fn is_target(word: &str) -> bool {
    let place = word.split_once('/').map(|(place, _)| place.split_once(':').map_or(place, |(_, mode)| mode));
    place.is_some_and(|mode| written(mode, "").is_some())
}

/// `pod -lapp=db`, and a flag in the name's place.
fn every(Written { mode, text }: Written, common: &Common) -> Result<Target, Usage> {
    let Common { scope, labels, fields } = common;
    if *scope == Scope::Default && labels.is_none() && fields.is_none() {
        let hint = format!("`{text} NAME`, `{text} -lapp=db`, or `{text} -n NAMESPACE` for all that are there");
        return Err(Usage::new(format!("`{text}` needs a name or a selector"), hint));
    }
    let selection = Selection { name: None, labels: labels.clone(), fields: fields.clone() };
    Ok(Target { mode, scope: scope.clone(), selection })
}

/// `[NAMESPACE:]MODE/NAME-or-SELECTOR`, split at the first `/`.
fn target(word: &str, suffix: &str, common: &Common) -> Result<Target, Usage> {
    let Some((place, object)) = word.split_once('/') else {
        let right = if written(word, "").is_some() { format!("{word}/NAME") } else { format!("job/{word}") };
        return Err(Usage::new(format!("`{word}` is not MODE/NAME or MODE/SELECTOR"), format!("as in `{right}`")));
    };
    let (namespace, mode) = place.split_once(':').map_or((None, place), |(namespace, mode)| (Some(namespace), mode));
    let Some(mode) = written(mode, suffix) else {
        return Err(match mode {
            "" => unknown_mode(word),
            mode if is_target(object) => Usage::new(format!("unknown mode `{mode}`"), format!("`{mode}:{object}`")),
            _ if is_selector(word) => unknown_mode(word),
            mode => unknown_mode(mode),
        });
    };
    if object.is_empty() {
        let hint = format!("`{word}NAME`, `{word}app=db`, or `{} -n NAMESPACE` for all that are there", mode.text);
        return Err(Usage::new(format!("`{word}` needs a name or a selector"), hint));
    }
    let scope = match namespace {
        None => common.scope.clone(),
        Some("") => return Err(Usage::new(format!("`{word}` begins with `:`"), format!("`{}`", &word[1..]))),
        Some(namespace) if common.scope == Scope::All => {
            let hint = format!("leave out `-A`, or the `{namespace}:`");
            return Err(Usage::new(format!("`{word}` names a namespace and `-A` all of them"), hint));
        }
        Some(namespace) => Scope::Namespace(checked_namespace(namespace)?),
    };
    of_object(mode, scope, object, common)
}

fn of_object(mode: Written, scope: Scope, object: &str, common: &Common) -> Result<Target, Usage> {
    let Written { mode: meaning, text } = mode;
    if is_selector(object) {
        if let Some(labels) = &common.labels {
            let hint = format!("all requirements go into one, with commas between: `-l '{object},{labels}'`");
            return Err(Usage::new(format!("`{object}` and `-l` are two selectors"), hint));
        }
        let selection = Selection { name: None, labels: Some(selector(object)?), fields: common.fields.clone() };
        return Ok(Target { mode: meaning, scope, selection });
    }
    let name = checked_name(mode, object)?;
    if scope == Scope::All {
        let hint = format!("`{text} {object} -n NAMESPACE`, or a selector with `-A`: `{text} -lapp=db -A`");
        return Err(Usage::new(format!("`{object}` with `-A`: a name belongs to one namespace"), hint));
    }
    if let Some(fields) = &common.fields {
        let hint = format!("`{text} --field-selector metadata.name={object},{fields}`");
        return Err(Usage::new(format!("`{object}` with `--field-selector`: a name selects alone"), hint));
    }
    let selection = Selection { name: Some(name), labels: common.labels.clone(), fields: None };
    Ok(Target { mode: meaning, scope, selection })
}

/// By what no name can hold.
fn is_selector(text: &str) -> bool {
    text.starts_with('!') || text.contains(['=', '('])
}

fn selector(text: &str) -> Result<Selector, Usage> {
    text.parse().map_err(|error| {
        let unquoted = text.replace(['"', '\''], "");
        let hint =
            if unquoted == text { options::SELECTORS.to_owned() } else { format!("without quotes: `{unquoted}`") };
        Usage::new(format!("`{text}` is no label selector: {error}"), hint)
    })
}

/// Only the form: which fields there are is the API's to say.
fn checked_fields(text: &str) -> Result<String, Usage> {
    if text.replace("\\,", "").split(',').all(|term| term.find('=').is_some_and(|at| at > 0)) {
        return Ok(text.to_owned());
    }
    let hint = "`--field-selector status.phase=Running` or `--field-selector metadata.name!=db-0,spec.nodeName=node-1`";
    Err(Usage::new(format!("`{text}` is no field selector"), hint))
}

type Check = fn(&str) -> Result<(), String>;

fn checked_namespace(text: &str) -> Result<String, Usage> {
    dns_label(text).map_err(|reason| {
        Usage::new(format!("`{text}` cannot be a namespace: it {reason}"), like("`-n kube-system`", text, dns_label))
    })?;
    Ok(text.to_owned())
}

fn checked_name(Written { mode, text: typed }: Written, name: &str) -> Result<String, Usage> {
    let (kind, check) = match mode.kind() {
        Kind::Job => ("Job", dns_subdomain as Check),
        Kind::Pod => ("Pod", dns_subdomain as Check),
        Kind::Service => ("Service", dns_label as Check),
    };
    let Err(reason) = check(name) else { return Ok(name.to_owned()) };
    let problem = format!("`{name}` cannot be the name of a {kind}: it {reason}");
    Err(Usage::new(problem, name_hint(mode, typed, name, check)))
}

fn name_hint(mode: Mode, typed: &str, name: &str, check: Check) -> String {
    if name == "*" {
        format!("`{typed} -n NAMESPACE` for all that are there")
    } else if name.contains(',') {
        let names: Vec<&str> = name.split([',', ' ']).filter(|name| !name.is_empty()).collect();
        let targets = names.iter().any(|name| is_target(name));
        let right = if targets { as_targets(typed, &names) } else { format!("{typed} {}", names.join(" ")) };
        format!("spaces instead of commas: `{right}`")
    } else if let Some((namespace, name)) = name.split_once(['/', ':']) {
        format!("a namespace is given by `-n`: `{typed} {name} -n {namespace}`")
    } else if let (Kind::Service, Some((name, namespace))) = (mode.kind(), name.split_once('.')) {
        let namespace = namespace.split('.').next().unwrap_or_default();
        format!("a namespace is given by `-n`: `{typed} {name} -n {namespace}`")
    } else {
        like(&format!("`{typed} migrate-v3`"), name, check)
    }
}

/// The nearest text that passes, or else an example.
fn like(example: &str, text: &str, check: Check) -> String {
    let near = text.to_lowercase().replace(['_', ' '], "-");
    if check(&near).is_ok() { format!("did you mean `{near}`?") } else { format!("as in {example}") }
}

fn unknown_mode(word: &str) -> Usage {
    let modes: Vec<&str> = MODES.iter().map(|(text, _)| *text).collect();
    let modes = modes.join(", ");
    if is_selector(word) {
        let hint = format!("`pod -l '{word}'`; modes: {modes}");
        return Usage::new(format!("`{word}` has no mode before it"), hint);
    }
    let hint = match near_mode(word) {
        Some(near) => format!("did you mean `{near}`? modes: {modes}"),
        None => format!("{EXAMPLES}; modes: {modes}"),
    };
    Usage::new(format!("unknown mode `{word}`"), hint)
}

/// kubectl's plurals, short names and groups, and slips of the finger.
fn near_mode(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let (word, _) = word.split_once('.').unwrap_or((&word, ""));
    match word {
        "svc" => return Some("service"),
        "help" => return Some("--help"),
        _ => {}
    }
    let near = MODES.iter().map(|(text, _)| (strsim::jaro(word, text), *text)).rev();
    near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > 0.7).map(|(_, text)| text)
}
