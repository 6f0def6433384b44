//! The verdict fixtures: every file in tests/fixtures/verdicts is a case, the objects in it came from a real API server
//! (`testbed capture`), and what is expected of each wait was written by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::{ffi::OsString, fs};

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::members::{Fact, Key, Members, State};
use super::service::{self, Backend, Behind, Entry, Slice};
use super::{Judged, Reading, of, pod, set};
use crate::cli::{self, Wait};
use crate::target::verdict::Verdict;
use crate::target::{Demand, Selection, Target};

/// The first document of a file, as far as it matters here.
#[derive(Deserialize)]
struct Case {
    expect: Vec<Expectation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// the command line
    wait: String,
    /// the pod that the program runs in
    #[serde(default)]
    inside: Option<String>,
    /// `ready`, or `waiting CODE` or `failed CODE`
    verdict: String,
    /// exact, but that `*` is what the API server or a controller made up
    #[serde(default)]
    text: Option<String>,
}

#[test]
fn captured_objects_get_the_verdicts_of_the_contract() {
    let files = files();
    assert!(files.len() >= 60, "only {} cases", files.len());
    let wrong: Vec<String> = files.iter().flat_map(|file| mistakes(file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/verdicts");
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let mut files: Vec<PathBuf> = entries(&folder).iter().flat_map(|kind| entries(kind)).collect();
    files.sort();
    files
}

fn mistakes(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let [case, Value::Array(objects)] = documents.as_slice() else { panic!("{}: not captured", file.display()) };
    let case: Case = serde_json::from_value(case.clone()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(!case.expect.is_empty(), "{}: nothing is expected", file.display());
    let judged = case.expect.iter().map(|expectation| (expectation, told(expectation, objects)));
    let wrong = judged.filter(|(expectation, told)| !matches(expectation, told));
    wrong.map(|(expectation, told)| report(file, expectation, &told)).collect()
}

fn report(file: &Path, expected: &Expectation, (verdict, text): &(String, Option<String>)) -> String {
    let Expectation { wait, verdict: wanted, text: wanted_text, .. } = expected;
    format!("{}: {wait}\n  expected {wanted}: {wanted_text:?}\n  got      {verdict}: {text:?}", file.display())
}

fn matches(expected: &Expectation, (verdict, text): &(String, Option<String>)) -> bool {
    let texts = match (&expected.text, text) {
        (Some(pattern), Some(text)) => glob(pattern, text),
        (expected, text) => expected == text,
    };
    texts && expected.verdict == *verdict
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

fn told(expected: &Expectation, objects: &[Value]) -> (String, Option<String>) {
    match evaluate(expected, objects) {
        Verdict::Ready => ("ready".to_owned(), None),
        Verdict::Waiting(reason) => (format!("waiting {}", reason.code), Some(reason.text)),
        Verdict::Failed(reason) => (format!("failed {}", reason.code), Some(reason.text)),
    }
}

fn evaluate(expected: &Expectation, objects: &[Value]) -> Verdict {
    let words = ["k8s-wait-for"].into_iter().chain(expected.wait.split(' ')).map(OsString::from);
    let Wait { targets, rules, .. } = cli::wait(words).unwrap_or_else(|usage| panic!("{}: {usage}", expected.wait));
    let [target] = targets.as_slice() else { panic!("{}: one target", expected.wait) };
    let min = rules.min as usize;
    let is_own = |pod: &&Value| expected.inside.as_ref().is_some_and(|own| pod["metadata"]["name"] == own.as_str());
    let own = of_kind("Pod", objects).find(is_own);
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
