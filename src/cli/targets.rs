//! Words and options → targets: groundnuty's shapes, `MODE NAME...` and `MODE -lSELECTOR`, and our own,
//! `[NAMESPACE:]MODE/NAME-or-SELECTOR`. What the options demand of each is `demands`'.

use super::demands::Demands;
use super::options::{self, Cli, Usage};
use crate::kinds;
use crate::target::names::dns_label;
use crate::target::selector::Selector;
use crate::target::{Demand, Kind, Scope, Selection, Target};

/// What the options say about every target.
struct Common {
    scope: Scope,
    labels: Option<Selector>,
    fields: Option<String>,
    demands: Demands,
}

impl Common {
    /// Whether it is said which objects are meant. A namespace alone may as well stand beside a name without its mode.
    fn selects(&self) -> bool {
        self.labels.is_some() || self.fields.is_some() || self.scope == Scope::All
    }
}

/// A mode and how it was written.
struct Written<'a> {
    kind: Kind,
    demand: Demand,
    text: &'a str,
}

impl Written<'_> {
    fn target(&self, scope: Scope, selection: Selection, common: &Common) -> Result<Target, Usage> {
        let scope = if self.kind.resource.namespaced { scope } else { Scope::Cluster };
        let target = Target { kind: self.kind.clone(), demand: self.demand.clone(), scope, selection };
        common.demands.apply(target, self.text)
    }
}

pub fn targets(cli: &Cli, suffix: &str) -> Result<Vec<Target>, Usage> {
    // An argument may hold several words: charts wrote whole command lines into one.
    let words: Vec<&str> = cli.words.iter().flat_map(|word| apart(word)).collect();
    let common = common(cli)?;
    let Some((first, objects)) = words.split_first() else {
        return Err(Usage::new("nothing to wait for", format!("{EXAMPLES}; `--help` says more")));
    };
    let targets: Vec<Target> = match written(first, suffix) {
        Some(mode) => of_mode(&mode, objects, &common)?,
        None if first.contains('/') => {
            words.iter().map(|word| target(word, suffix, &common)).collect::<Result<_, _>>()?
        }
        // Only with its group: who has forgotten the mode is told so at once, without a cluster.
        None if is_kind(first) && first.contains('.') && (!objects.is_empty() || common.selects()) => {
            of_mode(&sought(first), objects, &common)?
        }
        None => return Err(unknown_mode(first)),
    };
    common.demands.check_use(&targets)?;
    let is_one = |target: &Target| target.is_named() && target.demand != Demand::Endpoints;
    if cli.min.is_some_and(|min| min > 1) && targets.iter().all(is_one) {
        return Err(Usage::new(
            "`--min` counts the matches of a selector; a name is one object",
            "`pod -lapp=db --min 3`",
        ));
    }
    Ok(targets)
}

const EXAMPLES: &str = "`job migrate`, `pod -lapp=db` or `job/migrate service/db`";

/// The script's arguments were split at spaces; those of a selector are its own, and a list with commas is shown whole.
fn apart(word: &str) -> Vec<&str> {
    match word.split_once(char::is_whitespace) {
        // A label may be called as a mode is.
        Some((mode, rest)) if written(mode, "").is_some() && !is_operator(rest) => {
            [vec![mode], apart(rest.trim_start())].concat()
        }
        Some(_) if !is_selector(word) && !word.contains(',') => word.split_whitespace().collect(),
        _ => vec![word],
    }
}

/// Whether it goes on with what follows a label's key: `in (a)`, `= b`.
fn is_operator(rest: &str) -> bool {
    let rest = rest.trim_start();
    let set = rest.strip_prefix("not").unwrap_or(rest).strip_prefix("in");
    let compares = ["=", "!=", ">", "<"].iter().any(|sign| rest.starts_with(sign));
    compares || set.is_some_and(|set| set.trim_start().starts_with('('))
}

fn written<'a>(text: &'a str, suffix: &str) -> Option<Written<'a>> {
    let (row, plain) = kinds::mode(text)?;
    // there is no `service-we`, and none of `job-wr-we`
    let (row, mode) = kinds::mode(&format!("{}{suffix}", plain.word)).unwrap_or((row, plain));
    Some(Written { kind: row.kind.clone(), demand: mode.demand.clone(), text })
}

/// A kind that only the cluster knows.
fn sought(text: &str) -> Written<'_> {
    Written { kind: Kind::sought(text), demand: Demand::Every, text }
}

/// Whether it can be a kind: `certificate`, `certificates.v1.cert-manager.io`. A version, `3.9.1`, is none, nor is what
/// the labels of Kubernetes begin with, `app.kubernetes.io/name=db`: its own groups end in `k8s.io`.
fn is_kind(text: &str) -> bool {
    let is_label = text.split_once('.').is_some_and(|(_, group)| group.eq_ignore_ascii_case("kubernetes.io"));
    let is_part = |part: &str| dns_label(&part.to_lowercase()).is_ok() && part.starts_with(char::is_alphabetic);
    !is_label && text.split('.').all(is_part)
}

fn common(cli: &Cli) -> Result<Common, Usage> {
    let scope = match &cli.namespace {
        Some(namespace) if cli.all_namespaces => {
            let problem = format!("`-n {namespace}` and `-A` conflict");
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
            let hint = format!("join all requirements with commas: `-l '{}'`", many.join(","));
            return Err(Usage::new("`-l` is given more than once", hint));
        }
    };
    let fields = cli.field_selector.as_deref().map(checked_fields).transpose()?;
    Ok(Common { scope, labels, fields, demands: Demands::of(cli)? })
}

/// Groundnuty's shapes.
fn of_mode(mode: &Written, objects: &[&str], common: &Common) -> Result<Vec<Target>, Usage> {
    if objects.is_empty() {
        return every(mode, common).map(|target| vec![target]);
    }
    check_mixture(mode.text, objects)?;
    objects.iter().map(|object| of_object(mode, common.scope.clone(), object, common)).collect()
}

/// After a mode there are names, or one selector.
fn check_mixture(mode: &str, objects: &[&str]) -> Result<(), Usage> {
    if let Some(target) = objects.iter().find(|object| is_target(object)) {
        let hint = format!("leave out the first mode: `{}`", as_targets(mode, objects));
        return Err(Usage::new(format!("`{target}` already names its mode"), hint));
    }
    // a Job may be called `pod`, but hardly with names around it
    let is_mode = |word: &str| kinds::mode(word).is_some_and(|(row, _)| row.modes.len() > 1);
    if let Some(at) = (1..objects.len().saturating_sub(1)).find(|at| is_mode(objects[*at])) {
        let (second, object) = (objects[at], objects[at + 1]);
        let hint = format!("to mix kinds, write targets: `{} {second}/{object}`", as_targets(mode, &objects[..at]));
        return Err(Usage::new(format!("`{second}` is a second mode"), hint));
    }
    match objects.iter().find(|object| is_selector(object)) {
        Some(selector) if objects.len() > 1 => {
            let targets = as_targets(mode, objects);
            let hint =
                format!("for several targets: `{targets}`; for a name and a selector: `{mode} NAME -l '{selector}'`");
            Err(Usage::new(format!("`{selector}` must be the only argument after the mode"), hint))
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
fn every(mode: &Written, common: &Common) -> Result<Target, Usage> {
    let Common { scope, labels, fields, .. } = common;
    let text = mode.text;
    if *scope == Scope::Default && labels.is_none() && fields.is_none() {
        let hint = format!("`{text} NAME`, `{text} -lapp=db`, or `{text} -n NAMESPACE` for all of them");
        return Err(Usage::new(format!("`{text}` needs a name or a selector"), hint));
    }
    let selection = Selection { labels: labels.clone(), fields: fields.clone(), ..Selection::default() };
    mode.target(scope.clone(), selection, common)
}

/// `[NAMESPACE:]MODE/NAME-or-SELECTOR`, split at the first `/`.
fn target(word: &str, suffix: &str, common: &Common) -> Result<Target, Usage> {
    let Some((place, object)) = word.split_once('/') else {
        let right = if written(word, "").is_some() { format!("{word}/NAME") } else { format!("job/{word}") };
        return Err(Usage::new(format!("`{word}` is not MODE/NAME or MODE/SELECTOR"), format!("as in `{right}`")));
    };
    let (namespace, mode) = place.split_once(':').map_or((None, place), |(namespace, mode)| (Some(namespace), mode));
    let mode = match (written(mode, suffix), mode) {
        (Some(written), _) => written,
        (None, "") => return Err(unknown_mode(word)),
        (None, mode) if is_target(object) => {
            return Err(Usage::new(format!("unknown mode `{mode}`"), format!("`{mode}:{object}`")));
        }
        (None, mode) if is_kind(mode) => sought(mode),
        (None, _) if is_selector(word) => return Err(unknown_mode(word)),
        (None, mode) => return Err(unknown_mode(mode)),
    };
    if object.is_empty() {
        let hint = format!("`{word}NAME`, `{word}app=db`, or `{} -n NAMESPACE` for all of them", mode.text);
        return Err(Usage::new(format!("`{word}` needs a name or a selector"), hint));
    }
    let scope = match namespace {
        None => common.scope.clone(),
        Some("") => return Err(Usage::new(format!("`{word}` begins with `:`"), format!("`{}`", &word[1..]))),
        Some(namespace) if common.scope == Scope::All => {
            let hint = format!("leave out `-A`, or the `{namespace}:`");
            return Err(Usage::new(format!("`{word}` names a namespace, but `-A` means all of them"), hint));
        }
        Some(namespace) if !mode.kind.resource.namespaced => {
            let problem = format!("`{word}`: kind {} is not namespaced", mode.kind.name);
            return Err(Usage::new(problem, format!("`{}/{object}`, without `{namespace}:`", mode.text)));
        }
        Some(namespace) => Scope::Namespace(checked_namespace(namespace)?),
    };
    of_object(&mode, scope, object, common)
}

fn of_object(mode: &Written, scope: Scope, object: &str, common: &Common) -> Result<Target, Usage> {
    let text = mode.text;
    if is_selector(object) {
        if let Some(labels) = &common.labels {
            let hint = format!("join all requirements with commas: `-l '{object},{labels}'`");
            return Err(Usage::new(format!("`{object}` and `-l` are two selectors"), hint));
        }
        let labels = Some(selector(object)?);
        let selection = Selection { labels, fields: common.fields.clone(), ..Selection::default() };
        return mode.target(scope, selection, common);
    }
    let name = checked_name(mode, object)?;
    if scope == Scope::All && mode.kind.resource.namespaced {
        let hint = format!("`{text} {object} -n NAMESPACE`, or a selector with `-A`: `{text} -lapp=db -A`");
        return Err(Usage::new(format!("`{object}` with `-A`: a name belongs to one namespace"), hint));
    }
    if let Some(fields) = &common.fields {
        let hint = format!("`{text} --field-selector metadata.name={object},{fields}`");
        return Err(Usage::new(format!("`{object}` with `--field-selector`: a name already selects one object"), hint));
    }
    let selection = Selection { name: Some(name), labels: common.labels.clone(), ..Selection::default() };
    mode.target(scope, selection, common)
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
        Usage::new(format!("`{text}` is not a label selector: {error}"), hint)
    })
}

/// Only the form: which fields there are is the API's to say.
fn checked_fields(text: &str) -> Result<String, Usage> {
    if text.replace("\\,", "").split(',').all(|term| term.find('=').is_some_and(|at| at > 0)) {
        return Ok(text.to_owned());
    }
    let hint = "`--field-selector status.phase=Running` or `--field-selector metadata.name!=db-0,spec.nodeName=node-1`";
    Err(Usage::new(format!("`{text}` is not a field selector"), hint))
}

type Check = fn(&str) -> Result<(), String>;

fn checked_namespace(text: &str) -> Result<String, Usage> {
    dns_label(text).map_err(|reason| {
        Usage::new(
            format!("`{text}` is not a valid namespace name: it {reason}"),
            like("`-n kube-system`", text, dns_label),
        )
    })?;
    Ok(text.to_owned())
}

fn checked_name(mode: &Written, name: &str) -> Result<String, Usage> {
    let Err(reason) = (kinds::of(&mode.kind).check_name)(name) else { return Ok(name.to_owned()) };
    let title = if mode.kind.title.is_empty() { &mode.kind.name } else { &mode.kind.title };
    let problem = format!("`{name}` is not a valid {title} name: it {reason}");
    Err(Usage::new(problem, name_hint(mode, name)))
}

fn name_hint(mode: &Written, name: &str) -> String {
    let (typed, check_name) = (mode.text, kinds::of(&mode.kind).check_name);
    if name == "*" {
        format!("`{typed} -n NAMESPACE` for all of them")
    } else if name.contains(',') {
        let names: Vec<&str> = name.split([',', ' ']).filter(|name| !name.is_empty()).collect();
        let targets = names.iter().any(|name| is_target(name));
        let right = if targets { as_targets(typed, &names) } else { format!("{typed} {}", names.join(" ")) };
        format!("spaces instead of commas: `{right}`")
    } else if let Some((namespace, name)) = name.split_once(['/', ':']) {
        format!("give the namespace with `-n`: `{typed} {name} -n {namespace}`")
    } else if let Some((name, namespace)) = name.split_once('.').filter(|_| check_name("a.b").is_err()) {
        // Where names hold no dot, this is a name of DNS.
        let namespace = namespace.split('.').next().unwrap_or_default();
        format!("give the namespace with `-n`: `{typed} {name} -n {namespace}`")
    } else {
        like(&format!("`{typed} migrate-v3`"), name, check_name)
    }
}

/// The nearest text that passes, or else an example.
fn like(example: &str, text: &str, check: Check) -> String {
    let near = text.to_lowercase().replace(['_', ' '], "-");
    if check(&near).is_ok() { format!("did you mean `{near}`?") } else { format!("as in {example}") }
}

fn unknown_mode(word: &str) -> Usage {
    let modes: Vec<&str> = kinds::modes().map(|mode| mode.word).collect();
    let modes = modes.join(", ");
    if is_selector(word) {
        let hint = format!("`pod -l '{word}'`; modes: {modes}");
        return Usage::new(format!("`{word}` has no mode before it"), hint);
    }
    let others = "other kinds: `KIND/NAME` or `KIND.GROUP NAME`";
    let hint = match near_mode(word) {
        Some(near) => format!("did you mean `{near}`? modes: {modes}; {others}"),
        None => format!("{EXAMPLES}; modes: {modes}; {others}"),
    };
    Usage::new(format!("unknown mode `{word}`"), hint)
}

/// A slip of the finger.
pub fn near_mode(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let (word, _) = word.split_once('.').unwrap_or((&word, ""));
    if word == "help" {
        return Some("--help");
    }
    let words = kinds::KINDS.iter().flat_map(|row| row.words().map(|word| (word, row.modes[0].word)));
    let known = kinds::modes().map(|mode| (mode.word, mode.word)).chain(words);
    // A few letters at most are wrong: short words are all alike.
    let known = known.filter(|(known, _)| strsim::damerau_levenshtein(word, known) <= 2);
    let near: Vec<_> = known.map(|(known, word_of)| (strsim::jaro(word, known), word_of)).collect();
    near.into_iter()
        .rev()
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7)
        .map(|(_, text)| text)
}
