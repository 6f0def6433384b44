//! The fixture `tests/fixtures/jsonpath.jsonl`: what `kubectl wait --for=jsonpath=INPUT` decides. It begins with
//! objects, a line each, written by hand; a case is an input, the number of its object and what kubectl comes to:
//! `met`, `unmet`, or an error at `parse` or `find`. Some inputs are written by hand, most are made at random, always
//! the same ones. This program asks kubectl's own packages; a unit test of the product compares its answers.

mod inputs;

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{machine, programs::Programs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/jsonpath.jsonl");

/// A line that is no object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    input: String,
    object: usize,
    /// An input that says the same in a way that kubectl understands, if this one is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    means: Option<String>,
    #[serde(default)]
    kubectl: String,
}

/// Makes the inputs, asks kubectl and writes the answers.
///
/// # Errors
/// The file has no objects or cannot be written, or kubectl's packages cannot be built or asked.
pub fn write() -> Result<()> {
    let (objects, _) = read()?;
    let values: Vec<Value> = objects.iter().map(|object| serde_json::from_str(object)).collect::<Result<_, _>>()?;
    let mut cases = inputs::make(&values);
    let answers = ask(&objects, &cases)?;
    cases.iter_mut().zip(answers).for_each(|(case, answer)| case.kubectl = answer);
    // Go goes through a map in a different order each time. What depends on it is no case.
    for _ in 0..20 {
        let mut again = ask(&objects, &cases)?.into_iter();
        cases.retain(|case| again.next().is_some_and(|answer| answer == case.kubectl));
    }
    let lines = cases.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    fs::write(FILE, format!("{}\n{}\n", objects.join("\n"), lines.join("\n"))).context("write the fixture")?;
    machine::progress(&format!("wrote {} cases about {} objects", lines.len(), objects.len()));
    Ok(())
}

/// The cases of the file that kubectl decides in another way now.
///
/// # Errors
/// The file cannot be read, or kubectl's packages cannot be built or asked.
pub fn outdated() -> Result<Vec<String>> {
    let (objects, cases) = read()?;
    ensure!(cases.len() > 1000, "only {} cases", cases.len());
    let answers = ask(&objects, &cases)?;
    let differing = cases.iter().zip(answers).filter(|(case, answer)| case.kubectl != *answer);
    Ok(differing.map(|(case, answer)| format!("{case:?} is {answer}")).collect())
}

fn read() -> Result<(Vec<String>, Vec<Case>)> {
    let text = fs::read_to_string(FILE).context("read the fixture")?;
    let (cases, objects): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with(r#"{"input":"#));
    let cases = cases.into_iter().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((objects.into_iter().map(str::to_owned).collect(), cases))
}

/// What each case comes to, see `tests/testbed/kubernetes/jsonpath.go`.
fn ask(objects: &[String], cases: &[Case]) -> Result<Vec<String>> {
    let questions: String = cases.iter().map(|case| question(objects, case)).collect::<Result<_>>()?;
    let program = Programs::ready()?.path("jsonpath");
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start it")?;
    let mut stdin = child.stdin.take().context("stdin is a pipe")?;
    let asking = thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let output = child.wait_with_output()?;
    ensure!(asking.join().is_ok_and(|written| written.is_ok()) && output.status.success(), "it ended early");
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Answer>();
    let answers: Vec<String> = answers.map(|answer| answer.map(Answer::in_a_word)).collect::<Result<_, _>>()?;
    ensure!(answers.len() == cases.len(), "{} answers to {} questions", answers.len(), cases.len());
    Ok(answers)
}

/// With the object as it is in the file: to Go 1e6, 1000000.0 and 1000000 are not the same.
fn question(objects: &[String], case: &Case) -> Result<String> {
    let object = objects.get(case.object).context("a case is about an object of the file")?;
    Ok(format!("{{\"input\":{},\"object\":{object}}}\n", json!(case.input)))
}

#[derive(Deserialize)]
struct Answer {
    met: Option<bool>,
    #[serde(default)]
    stage: String,
}

impl Answer {
    fn in_a_word(self) -> String {
        match self.met {
            Some(true) => "met".to_owned(),
            Some(false) => "unmet".to_owned(),
            None => self.stage,
        }
    }
}
