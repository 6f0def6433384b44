//! What people, charts and environments can hand over, in random combinations: no panic, no quadratic time, and what
//! is understood means the same when it is written out. The parsers of what servers say are tried beside their code.

use std::ffi::OsString;
use std::time::Duration;

use super::{Command, Wait, options};
use crate::target::{Selection, Target};

/// What arguments are made of, right and wrong.
const PIECES: [&str; 40] = [
    "job",
    "job-wr",
    "pod",
    "pod-we",
    "service",
    "migrate",
    "db-0",
    "app",
    "in",
    "notin",
    "(",
    ")",
    ",",
    "=",
    "==",
    "!=",
    "!",
    "/",
    ":",
    ".",
    "-",
    "--",
    "-l",
    "-n",
    "-A",
    "--selector",
    "--field-selector",
    "--timeout",
    "--min",
    "5m",
    "0",
    "1e9",
    "*",
    "\n",
    " ",
    "\t",
    "é",
    "\u{0}",
    "$(",
    "kube-system",
];

fn piece() -> &'static str {
    PIECES[fastrand::usize(..PIECES.len())]
}

fn argument() -> String {
    (0..fastrand::usize(1..6)).map(|_| piece()).collect()
}

fn parse(arguments: &[String]) -> Option<Wait> {
    let argv = std::iter::once("k8s-wait-for").chain(arguments.iter().map(String::as_str)).map(OsString::from);
    let environment = |name: &str| (name == "WAIT_TIME" || name == "TREAT_ERRORS_AS_READY").then(argument);
    match super::parse(argv, environment).ok()? {
        Command::Wait(wait) => Some(*wait),
        _ => None,
    }
}

#[test]
fn no_command_line_panics() {
    let mut understood = 0;
    for _ in 0..5_000 {
        let mut arguments: Vec<String> = (0..fastrand::usize(0..5)).map(|_| argument()).collect();
        // Nothing at random begins with a mode often enough to get far.
        if fastrand::bool() {
            arguments.insert(0, ["job", "pod", "service"][fastrand::usize(..3)].to_owned());
        }
        understood += usize::from(parse(&arguments).is_some());
    }
    assert!(understood > 30, "only {understood} command lines of 5,000 were understood: they show little");
}

/// In one word: neither "all there are", nor fields, nor a label that only has to exist can be written so.
fn is_one_word(target: &Target) -> bool {
    let Selection { name, labels, fields, .. } = &target.selection;
    let labels = labels.as_ref().map(ToString::to_string);
    let told_from_a_name = labels.as_ref().is_none_or(|labels| labels.contains(['=', '(']) || labels.starts_with('!'));
    fields.is_none() && name.is_some() != labels.is_some() && told_from_a_name
}

#[test]
fn target_means_the_same_when_it_is_written_out() {
    let mut seen = 0;
    while seen < 500 {
        let arguments = ["job".to_owned(), argument()];
        let targets = parse(&arguments).into_iter().flat_map(|wait| wait.targets);
        for target in targets.filter(is_one_word) {
            seen += 1;
            let text = target.to_string();
            let again = parse(std::slice::from_ref(&text)).expect("what was understood is written so that it is again");
            assert_eq!(again.targets[0].selection, target.selection, "{arguments:?} is {text}");
        }
    }
}

/// In quadratic time, each of these would be 10^9 steps or more: the test would not end.
#[test]
fn long_arguments_take_no_longer_than_they_are() {
    for piece in PIECES {
        for text in [piece.repeat(8_000), format!("app in ({})", format!("{piece},").repeat(2_000))] {
            parse(&["pod".to_owned(), text.clone()]);
            parse(&["pod".to_owned(), "-l".to_owned(), text.clone()]);
            parse(&[format!("pod/{text}")]);
            drop(options::duration(&text));
        }
    }
    let words: Vec<String> = (0..20_000).map(|number| format!("job/migrate-{number}")).collect();
    assert_eq!(parse(&words).expect("so many names are odd, but right").targets.len(), words.len());
}

#[test]
fn no_duration_panics_and_none_is_absurd() {
    let digits =
        ["0", "9", ".", "-", "+", "e", "s", "m", "h", "d", "y", "ms", " ", "99999999999999999999", "inf", "NaN"];
    for _ in 0..50_000 {
        let text: String = (0..fastrand::usize(0..6)).map(|_| digits[fastrand::usize(..digits.len())]).collect();
        if let Ok(duration) = options::duration(&text) {
            assert!(duration < Duration::from_hours(24 * 365 * 100), "{text}");
        }
    }
}
