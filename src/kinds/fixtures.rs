//! The verdict fixtures: every file in tests/fixtures/verdicts is a case, the objects in it came from a real API server
//! (`testbed capture`), and what is expected of each wait was written by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{ffi::OsString, fs};

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::pod::View;
use super::service::Backing;
use super::{job, pod, service};
use crate::cli::{self, Invocation};
use crate::kinds::object::{EndpointSlice, Job, Object, Pod, Service};
use crate::target::verdict::Verdict;
use crate::target::{Kind, Selection, Target};

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
    let case: Case = read(case);
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
    let invocation = cli::parse(words, |_| None).unwrap_or_else(|stop| panic!("{}: {stop:?}", expected.wait));
    let Invocation { targets, min, .. } = invocation;
    let [target] = targets.as_slice() else { panic!("{}: one target", expected.wait) };
    let min = min as usize;
    let pods = all::<Pod>("Pod", objects);
    let own = expected.inside.as_ref().map(|own| pods.iter().find(|pod| pod.metadata.name == *own).expect(own));
    let own_uid = own.map(|pod| pod.metadata.uid.as_str());
    // Nothing has been on its way out for long.
    let view = View { own_uid, now: Timestamp::UNIX_EPOCH };
    match target.mode.kind() {
        Kind::Job => job::jobs(target, min, &selected(target, all::<Job>("Job", objects))),
        Kind::Pod => pod::pods(target, min, view, &selected(target, pods.clone())),
        Kind::Service => {
            let services = selected(target, all::<Service>("Service", objects));
            service::services(target, min, view, &services, &backings(&services, objects))
        }
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn all<T: Object>(kind: &str, objects: &[Value]) -> Vec<T> {
    objects.iter().filter(|object| object["kind"] == kind).map(read).collect()
}

/// What the API server would have answered to the query of this target.
fn selected<T: Object>(target: &Target, objects: Vec<T>) -> Vec<T> {
    let Selection { name, labels, fields } = &target.selection;
    assert!(fields.is_none(), "fields are the API server's to match");
    let matches = |object: &T| match name {
        Some(name) => object.metadata().name == *name,
        None => labels.as_ref().is_none_or(|labels| labels.matches(&object.metadata().labels)),
    };
    objects.into_iter().filter(matches).collect()
}

fn backings(services: &[Service], objects: &[Value]) -> BTreeMap<String, Backing> {
    let pods = all::<Pod>("Pod", objects);
    let slices = all::<EndpointSlice>("EndpointSlice", objects);
    let backing = |service: &Service| {
        let selector = &service.spec.selector;
        let has =
            |labels: &BTreeMap<String, String>| selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        let of_service = |slice: &&EndpointSlice| {
            slice.metadata.labels.get("kubernetes.io/service-name") == Some(&service.metadata.name)
        };
        if selector.is_empty() {
            return Backing::Slices(slices.iter().filter(of_service).cloned().collect());
        }
        Backing::Pods(pods.iter().filter(|pod| has(&pod.metadata.labels)).cloned().collect())
    };
    services.iter().map(|service| (service.metadata.uid.clone(), backing(service))).collect()
}
