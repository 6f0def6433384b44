//! The explanation fixtures: every file in tests/fixtures/explain is a case; its pods and events came from a real node,
//! what is said about them was read by a person.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::target::{Scope, Selection};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// `job/migrate`
    about: String,
    /// the end of the log of the container in question
    #[serde(default)]
    log: Option<String>,
    /// all that is said, in its order
    expect: Vec<String>,
    objects: Vec<Value>,
}

#[test]
fn captured_objects_are_explained_in_plain_words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/explain");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 12, "only {} cases", files.len());
    let wrong: Vec<String> = files.iter().filter_map(|file| mistake(file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn mistake(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).unwrap();
    let case: Case = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let told = told(&case);
    let name = file.file_stem().unwrap().display();
    (told != case.expect).then(|| format!("{name}: expected\n{}\ngot\n{}", case.expect.join("\n"), told.join("\n")))
}

fn told(case: &Case) -> Vec<String> {
    let (mode, name) = case.about.split_once('/').unwrap();
    let (row, mode) = kinds::mode(mode).unwrap();
    let selection = Selection { name: Some(name.to_owned()), ..Selection::default() };
    let (kind, scope) = (row.kind.clone(), Scope::Namespace("shop".to_owned()));
    let target = Target { kind, demand: mode.demand, scope, selection };
    let pods: Vec<Pod> = read("Pod", &case.objects);
    let log = case.log.as_ref().map(|text| {
        let pod = subject(&pods).expect("a log is of a pod");
        let container = container_in_question(pod).expect("a log is of a container").to_owned();
        Log { pod: pod.metadata.name.clone(), container, text: text.clone() }
    });
    let events = read("Event", &case.objects);
    let explanation = explain(&target, &Evidence { pods, events, log, ..Evidence::default() });
    explanation.lines().chain(explanation.log.iter().map(String::as_str)).map(str::to_owned).collect()
}

fn read<T: serde::de::DeserializeOwned>(kind: &str, objects: &[Value]) -> Vec<T> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    of_kind.map(|object| serde_json::from_value(object.clone()).unwrap()).collect()
}
