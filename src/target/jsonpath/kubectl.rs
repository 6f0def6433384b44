//! Against kubectl itself: `tests/fixtures/jsonpath.jsonl` has what its packages come to in each case. Here it is the
//! same, or the case is of a known kind: refused here, or understood only here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Found, demand, equals};

const FIXTURE: &str = include_str!("../../../tests/fixtures/jsonpath.jsonl");

#[derive(Debug, Deserialize)]
struct Case {
    input: String,
    /// the number of its line, from 0
    object: usize,
    /// what it says in a way that kubectl understands, if it does not understand this one
    means: Option<String>,
    /// `met`, `unmet`, or where it ends with an error: `parse`, `find`
    kubectl: String,
}

/// An input that is refused here and not by kubectl.
struct Refused {
    name: &'static str,
    /// One of these is in the reason,
    reasons: &'static [&'static str],
    /// and one of these in the input.
    signs: &'static [&'static str],
    /// Whether kubectl could find a value with it; all others wait for nothing, or end with an error.
    may_be_met: bool,
}

/// By the first that fits.
const REFUSED: [Refused; 15] = [
    Refused { name: "union", reasons: &["several parts"], signs: &[","], may_be_met: true },
    Refused { name: "control character", reasons: &["` within the path"], signs: &["\t", "\n"], may_be_met: true },
    Refused { name: "dotted key", reasons: &["in a quoted key"], signs: &["['", "[\""], may_be_met: true },
    Refused { name: "second `..`, or without a name", reasons: &["`..`"], signs: &[".."], may_be_met: true },
    Refused { name: "quote within a quote", reasons: &["without its end `)]`"], signs: &["'", "\""], may_be_met: true },
    Refused {
        name: "quote in a name, or a text as a step",
        reasons: &["has `'` ", "has `\"` "],
        signs: &["'", "\""],
        may_be_met: true,
    },
    Refused {
        name: "operator in a name",
        reasons: &["has `!` ", "has `<` ", "has `>` ", "has `=` ", "more than one `=`"],
        signs: &["!", "<", ">", "==", ".="],
        may_be_met: false,
    },
    Refused {
        name: "empty name",
        reasons: &["where a name belongs", "an empty name"],
        signs: &[".", "['']"],
        may_be_met: false,
    },
    Refused {
        name: "word or number as a step",
        reasons: &["where `}` belongs", "where `=` or the end belongs", "where `.` or `[` belongs"],
        signs: &[" ", "]", "@", "$"],
        may_be_met: true,
    },
    Refused { name: "literal", reasons: &["plain number, true or false"], signs: &["[?("], may_be_met: true },
    Refused { name: "empty side", reasons: &["an empty side"], signs: &["[?("], may_be_met: true },
    Refused { name: "operator", reasons: &["use `==`"], signs: &["!", "<", ">", "="], may_be_met: false },
    Refused { name: "step of a slice", reasons: &["not an index, slice"], signs: &[":0", ":-"], may_be_met: false },
    Refused { name: "nothing", reasons: &["names nothing"], signs: &["$", "@", " "], may_be_met: false },
    Refused { name: "item of an object", reasons: &["begins with `["], signs: &["["], may_be_met: false },
];

fn decide(input: &str, object: &Value) -> Result<&'static str, String> {
    let (path, demanded) = demand(input)?;
    let met = path.find(object).and_then(|found| match (found, demanded) {
        (Found::Nothing, _) => Ok(false),
        (Found::One(_), None) => Ok(true),
        (Found::One(value), Some(demanded)) => equals(value, &demanded),
        (Found::Several(_), _) => Err("leads to several values".to_owned()),
    });
    Ok(met.map_or("find", |met| if met { "met" } else { "unmet" }))
}

/// The kind of case that it is; an error tells what is wrong with it.
fn compared(case: &Case, objects: &[Value]) -> Result<&'static str, String> {
    let ours = decide(&case.input, &objects[case.object]);
    match (&ours, &case.means) {
        (_, Some(means)) if demand(&case.input) == demand(means) && case.kubectl != "met" => Ok("understood only here"),
        (Err(_), None) if case.kubectl == "parse" => Ok("refused by both"),
        (Ok(decision), None) if *decision == case.kubectl => Ok("decided alike"),
        (Ok(_), None) if case.kubectl == "parse" && is_refused_by_kubectl(&case.input) => Ok("understood only here"),
        (Ok(_), None) if case.kubectl == "unmet" && leads_nowhere_in_kubectl(&case.input) => Ok("understood only here"),
        (Err(reason), None) => {
            let refused = REFUSED.iter().find(|refused| contains(reason, refused.reasons));
            let refused = refused.filter(|refused| contains(&case.input, refused.signs));
            let refused = refused.filter(|refused| refused.may_be_met || case.kubectl != "met");
            refused.map(|refused| refused.name).ok_or_else(|| format!("{case:?} is refused: it {reason}"))
        }
        _ => Err(format!("{case:?} is {ours:?}")),
    }
}

fn contains(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// It has `["k"]`, or a sign within quotes, at which kubectl divides the input or ends the filter.
fn is_refused_by_kubectl(input: &str) -> bool {
    let mut quoted = input.split(['\'', '"']).skip(1).step_by(2);
    input.contains("[\"") || input.contains("[?(") && quoted.any(|text| text.contains(['=', ')']))
}

/// kubectl puts a dot before it, and follows the empty name.
fn leads_nowhere_in_kubectl(input: &str) -> bool {
    input.trim_start_matches('{').starts_with(['$', '@', ' ', '['])
}

#[test]
fn every_case_comes_to_the_same_as_in_kubectl() {
    let (cases, objects): (Vec<&str>, Vec<&str>) = FIXTURE.lines().partition(|line| line.starts_with(r#"{"input":"#));
    let objects: Vec<Value> = objects.into_iter().map(|object| serde_json::from_str(object).unwrap()).collect();
    let cases: Vec<Case> = cases.into_iter().map(|case| serde_json::from_str(case).unwrap()).collect();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &cases {
        match compared(case, &objects) {
            Ok(kind) => *kinds.entry(kind).or_default() += 1,
            Err(text) => wrong.push(text),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(kinds["decided alike"] > 2_000 && kinds["refused by both"] > 300, "{kinds:?}");
    let unseen: Vec<&str> =
        REFUSED.iter().map(|refused| refused.name).filter(|name| !kinds.contains_key(name)).collect();
    assert!(unseen.is_empty(), "no case for {unseen:?}: {kinds:?}");
}
