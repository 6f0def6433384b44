//! The fixtures: every file in `tests/fixtures` is a case. Its objects came from a real API server, those of the
//! explanations with a real node (`testbed capture`); what is expected of each wait was written by hand.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::{self, Wait};
use crate::diagnose::explain::{Evidence, Log, container_in_question, explain, subject};
use crate::kinds::members::{Fact, Key, Members, State};
use crate::kinds::service::{self, Backend, Behind, Entry, Slice};
use crate::kinds::{Causes, Judged, Reading, of, pod, set};
use crate::target::verdict::Verdict;
use crate::target::{Demand, Selection, Target};

/// The first document of a file, as far as it matters here.
#[derive(Deserialize)]
struct Case {
    expect: Vec<Expectation>,
}

/// In all texts `*` is what the API server, a controller or the node made up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// the command line
    wait: String,
    /// the pod that the program runs in
    #[serde(default)]
    inside: Option<String>,
    /// `ready`, or `waiting CODE` or `failed CODE`
    #[serde(default)]
    verdict: Option<String>,
    /// its reason
    #[serde(default)]
    text: Option<String>,
    /// all that explains why it is not ready, in its order
    #[serde(default)]
    lines: Option<Vec<String>>,
}

#[test]
fn captured_objects_get_the_verdicts_of_the_contract() {
    hold(&entries("verdicts").iter().flat_map(entries).collect::<Vec<_>>(), 60);
}

#[test]
fn captured_objects_are_explained_in_plain_words() {
    hold(&entries("explanations"), 12);
}

fn entries(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn hold(files: &[PathBuf], at_least: usize) {
    assert!(files.len() >= at_least, "only {} cases", files.len());
    let wrong: Vec<String> = files.iter().flat_map(|file| mistakes(file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn mistakes(file: &Path) -> Vec<String> {
    let name = file.display();
    let text = fs::read_to_string(file).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let [case, Value::Array(objects)] = documents.as_slice() else { panic!("{name}: not captured") };
    let case: Case = serde_json::from_value(case.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!case.expect.is_empty(), "{name}: nothing is expected");
    let told = case.expect.iter().map(|expectation| (expectation, told(expectation, objects)));
    let wrong = told.filter(|(expectation, told)| !expectation.matches(told));
    wrong.map(|(expectation, told)| format!("{name}: {}", expectation.report(&told))).collect()
}

impl Expectation {
    fn texts(&self) -> Vec<&str> {
        let texts = self.verdict.iter().chain(&self.text).chain(self.lines.iter().flatten());
        texts.map(String::as_str).collect()
    }

    fn matches(&self, told: &[String]) -> bool {
        let texts = self.texts();
        assert!(!texts.is_empty(), "{}: nothing is expected", self.wait);
        texts.len() == told.len() && texts.iter().zip(told).all(|(pattern, text)| glob(pattern, text))
    }

    fn report(&self, told: &[String]) -> String {
        format!("{}\n  expected\n    {}\n  got\n    {}", self.wait, self.texts().join("\n    "), told.join("\n    "))
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.map(|at| &text[at..]).any(|text| glob(rest, text))
        }),
    }
}

/// What is said of that which is expected to be said.
fn told(expected: &Expectation, objects: &[Value]) -> Vec<String> {
    let words = ["k8s-wait-for"].into_iter().chain(expected.wait.split(' ')).map(OsString::from);
    let Wait { targets, rules, .. } = cli::wait(words).unwrap_or_else(|usage| panic!("{}: {usage}", expected.wait));
    let [target] = targets.as_slice() else { panic!("{}: one target", expected.wait) };
    let verdict = expected.verdict.iter().flat_map(|_| {
        match verdict(target, rules.min as usize, expected.inside.as_deref(), objects) {
            Verdict::Ready => vec!["ready".to_owned()],
            Verdict::Waiting(reason) => vec![format!("waiting {}", reason.code), reason.text],
            Verdict::Failed(reason) => vec![format!("failed {}", reason.code), reason.text],
        }
    });
    verdict.chain(expected.lines.iter().flat_map(|_| explanation(target, objects))).collect()
}

fn verdict(target: &Target, min: usize, inside: Option<&str>, objects: &[Value]) -> Verdict {
    let own = inside.and_then(|own| of_kind("Pod", objects).find(|pod| pod["metadata"]["name"] == own));
    let own_uid = own.and_then(|pod| pod["metadata"]["uid"].as_str()).map(str::to_owned);
    let reading = Reading::of(target, own_uid.clone());
    let row = of(&target.kind);
    let selected = of_kind(row.title, objects).filter(|object| is_selected(target, object));
    match row.judged {
        Judged::Set(read) | Judged::Jobs(read) => {
            set::verdict(target, min, &members(selected.map(|object| read(&object.to_string(), &reading))))
        }
        Judged::Services => {
            let entries: Vec<Entry> =
                selected.map(|object| service::read(&object.to_string(), &reading).expect("a Service").0).collect();
            let of_pods = Reading { demand: Demand::Every, labels: None, own_uid };
            let backends: Vec<_> = entries.iter().map(|entry| backend(entry, objects, &of_pods)).collect();
            let behind = entries.iter().zip(&backends).map(|(entry, (pods, slices))| {
                let behind = match entry.backend {
                    Backend::Pods(_) => Behind::Pods(pods),
                    Backend::Slices => Behind::Slices(slices),
                    Backend::External => Behind::Nothing,
                };
                (entry, behind)
            });
            service::verdict(target, min, behind)
        }
    }
}

fn of_kind<'a>(kind: &str, objects: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

/// Nothing has been on its way out for long.
fn members(facts: impl Iterator<Item = serde_json::Result<(Fact, String)>>) -> Members {
    let mut members = Members::new(State::counts);
    facts.for_each(|fact| drop(members.insert(fact.expect("an object").0, Timestamp::UNIX_EPOCH)));
    members
}

/// What the API server would have answered to the query of this target.
fn is_selected(target: &Target, object: &Value) -> bool {
    let Selection { name, labels, fields } = &target.selection;
    assert!(fields.is_none(), "fields are the API server's to match");
    match name {
        Some(name) => object["metadata"]["name"] == name.as_str(),
        None => labels.as_ref().is_none_or(|wanted| wanted.matches(&labels_of(object))),
    }
}

fn labels_of(object: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default()
}

fn backend(entry: &Entry, objects: &[Value], reading: &Reading) -> (Members, BTreeMap<Rc<Key>, Slice>) {
    let selector = match &entry.backend {
        Backend::Pods(selector) => selector.clone(),
        _ => BTreeMap::new(),
    };
    let has = |labels: &BTreeMap<String, String>| selector.iter().all(|(key, value)| labels.get(key) == Some(value));
    let pods = of_kind("Pod", objects).filter(|pod| !selector.is_empty() && has(&labels_of(pod)));
    let pods = members(pods.map(|pod| pod::read(&pod.to_string(), reading)));
    let of_service =
        |slice: &&Value| labels_of(slice).get("kubernetes.io/service-name").map(String::as_str) == Some(&entry.key.1);
    let slices = of_kind("EndpointSlice", objects).filter(of_service);
    let slices = slices.map(|slice| service::read_slice(&slice.to_string()).expect("a slice").0);
    (pods, slices.map(|slice| (Rc::clone(&slice.key), slice)).collect())
}

/// From what `gather` would have been answered: the pods that have not succeeded, warnings, the log in question.
fn explanation(target: &Target, objects: &[Value]) -> Vec<String> {
    let pods = of_kind("Pod", objects).filter(|pod| pod["status"]["phase"] != "Succeeded" && is_behind(target, pod));
    let pods: Vec<pod::Pod> = pods.map(parsed).collect();
    let about = subject(&pods).map(|pod| ("Pod", pod.metadata.name.as_str()));
    let about = about.or_else(|| Some((of(&target.kind).title, target.selection.name.as_deref()?)));
    let events = of_kind("Event", objects).filter(|event| {
        let object = &event["involvedObject"];
        event["type"] == "Warning" && about.is_some_and(|(kind, name)| object["kind"] == kind && object["name"] == name)
    });
    let events = events.map(parsed).collect();
    let log = subject(&pods).and_then(|pod| log(pod, objects));
    let explanation = explain(target, &Evidence { pods, events, log, ..Evidence::default() });
    explanation.lines().chain(explanation.log.iter().map(String::as_str)).map(str::to_owned).collect()
}

fn is_behind(target: &Target, pod: &Value) -> bool {
    match of(&target.kind).causes {
        Some(Causes::PodsOfJobs) => labels_of(pod).get("job-name") == target.selection.name.as_ref(),
        Some(Causes::Pods) => is_selected(target, pod),
        Some(Causes::PodsOfServices) => panic!("{target}: no case has looked behind a Service yet"),
        None => false,
    }
}

fn log(pod: &pod::Pod, objects: &[Value]) -> Option<Log> {
    let name = &pod.metadata.name;
    let container = container_in_question(pod)?;
    let mut logs = of_kind("Log", objects);
    let log = logs.find(|log| log["metadata"]["name"] == name.as_str() && log["container"] == container)?;
    let text = log["text"].as_str().expect("a log has a text").to_owned();
    Some(Log { pod: name.clone(), container: container.to_owned(), text })
}

fn parsed<T: DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).expect("the API server has written it")
}
