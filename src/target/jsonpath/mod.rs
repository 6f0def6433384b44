//! The paths of `kubectl wait --for=jsonpath=…`: which value of an object, and which text it has to be.
//!
//! They are read, followed and compared as kubectl 1.36 does it (`client-go/util/jsonpath`, `kubectl/pkg/cmd/wait`),
//! oddities included. What nobody can mean is refused instead: several values (unions, a second `..`), a constant
//! (words, numbers or texts as steps), nothing (names that are empty or have quotes or operators, unescaped dots in a
//! quoted key). What has only one meaning works, though kubectl refuses it or waits for nothing: `$`, `@`, a space or a
//! quoted key at the start, `["k"]`, and `=` or a second `)` in the quoted text of a filter.

mod find;
#[cfg(test)]
mod kubectl;
mod parse;

use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};

use serde_json::Value;

pub use find::{Found, equals};
pub use parse::demand;

/// Where a value is in an object, printed in one way: `{.status.phase}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Field(String),
    /// `..name`: the field of every object within, at any depth
    Anywhere(String),
    /// `.*`: of an object, a list or a text
    Members,
    /// from the end if negative
    Index(i64),
    /// `[*]`, `[0:2]`: of a list only
    Slice {
        start: i64,
        end: Option<i64>,
        step: usize,
    },
    /// `[?(@.a)]`: the items that have it
    Having(Operand),
    /// `[?(@.a=="b")]`, with `<` and `>` too: the items whose sides are ordered so
    Comparing(Operand, Ordering, Operand),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Operand {
    /// of the item
    Path(Vec<Step>),
    /// a text, a number or a Boolean
    Literal(Value),
}

impl Ord for Path {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", joined(&self.0))
    }
}

fn joined(steps: &[Step]) -> String {
    steps.iter().map(ToString::to_string).collect()
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{}", escaped(name)),
            Self::Anywhere(name) => write!(f, "..{}", escaped(name)),
            Self::Members => f.write_str(".*"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Slice { start: 0, end: None, step: 1 } => f.write_str("[*]"),
            Self::Slice { start, end, step } => {
                let end = end.map(|end| end.to_string()).unwrap_or_default();
                let step = if *step == 1 { String::new() } else { format!(":{step}") };
                write!(f, "[{start}:{end}{step}]")
            }
            Self::Having(operand) => write!(f, "[?({operand})]"),
            Self::Comparing(left, order, right) => write!(f, "[?({left}{}{right})]", parse::sign(*order)),
        }
    }
}

fn escaped(name: &str) -> String {
    let escape = |c| if parse::ends_name(c) { vec!['\\', c] } else { vec![c] };
    if name == "*" { r"\*".to_owned() } else { name.chars().flat_map(escape).collect() }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(steps) => write!(f, "@{}", joined(steps)),
            Self::Literal(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use serde_json::json;

    use super::*;

    fn read(text: &str) -> String {
        match demand(text) {
            Ok((path, None)) => path.to_string(),
            Ok((path, Some(value))) => format!("{path} is {value}"),
            Err(reason) => format!("! {reason}"),
        }
    }

    #[test]
    fn every_form_is_understood() {
        let table = [
            ("{.status.phase}", "{.status.phase}"),
            ("{status.phase}", "{.status.phase}"),
            (".status.phase", "{.status.phase}"),
            ("status.phase", "{.status.phase}"),
            ("{$.status.phase}", "{.status.phase}"),
            ("@['status'][\"phase\"]", "{.status.phase}"),
            ("{ .status .phase }", "{.status.phase}"),
            ("{.status.phase}=Running", "{.status.phase} is Running"),
            ("status.phase='Running'", "{.status.phase} is Running"),
            ("{.data.a}=x==", "{.data.a} is x=="),
            (r"{.metadata.labels.app\.kubernetes\.io/name}", r"{.metadata.labels.app\.kubernetes\.io/name}"),
            (r"{.metadata.labels['app\.kubernetes\.io/name']}", r"{.metadata.labels.app\.kubernetes\.io/name}"),
            (r"{.data.\*}", r"{.data.\*}"),
            ("{.data.*}", "{.data.*}"),
            ("{..podIP}", "{..podIP}"),
            ("{.a[0][-1][]}", "{.a[0][-1][0]}"),
            ("{.a[*][:][0:][:2][1:-1][::2]}", "{.a[*][*][*][0:2][1:-1][0::2]}"),
            ("{.a[?(@.b)]}", "{.a[?(@.b)]}"),
            ("{.a[?(@.b==\"c\")].d}=e", "{.a[?(@.b==\"c\")].d} is e"),
            ("{.a[?( .b == 'c\"' )]}", r#"{.a[?(@.b=="c\"")]}"#),
            (
                "{.a[?(@<1)][?(@>2.5)][?(true==@['b'])][?(@.b==$.c)]}",
                "{.a[?(@<1)][?(@>2.5)][?(true==@.b)][?(@.b==@.c)]}",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let table = [
            ("", "ends where a name belongs"),
            ("{}", "has `}` where a name belongs"),
            ("$", "names nothing"),
            ("{.a", "ends where `}` belongs"),
            ("{.a}{.b}", "has `{` where `=` or the end belongs"),
            ("at {.a}", "has `{` where `=` or the end belongs"),
            ("{range .a[*]}{.b}{end}", "has `{` where `=` or the end belongs"),
            ("{.a b}", "has `b` where `}` belongs"),
            ("{.a}=", "has no value after `=`"),
            ("{.a}==b", "has more than one `=`"),
            ("{.a}=b=c", "has more than one `=`"),
            (".a>=3", "has `>` where `=` or the end belongs"),
            ("{.a..b..c}", "has `..` more than once"),
            ("{..[0]}", "has `[` where a letter or digit after `..` belongs"),
            ("{.a.[0]}", "has `[` where a name belongs"),
            ("{[0].a}", "begins with `[0]`, but an object is not a list"),
            ("{.a.\"b.c\"}", r#"has `"` where a name belongs; a dot in a key is escaped, `example\.com/x`"#),
            ("{.a['b.c']}", r"has `.` in a quoted key; it is escaped, as in `['example\.com/x']`"),
            ("{.a['b','c']}", "has several parts in `['b','c']`, and only one value can be compared"),
            ("{.a[b]}", "has `[b]`, which is not an index, slice, filter or key"),
            ("{.a[0:1:0]}", "has `[0:1:0]`, which is not an index, slice, filter or key"),
            ("{.a[0}", "has a `[` without its `]`"),
            (r".a\", r"has a `\` that escapes nothing"),
            ("{.a\t}", r"has `\t` within the path"),
            ("{.a[?(@.b]}", "has a filter without its end `)]`"),
            (
                "{.a[?(@.b=='c'||@.d)]}",
                "has a filter with `'c'||@.d`, which is not a path from `@`, quoted text, plain number, true or false",
            ),
            (
                "{.a[?(@.b==c)]}",
                "has a filter with `c`, which is not a path from `@`, quoted text, plain number, true or false",
            ),
            ("{.a[?(@.b!='c')]}", "has a filter with `!=`; use `==`, `<` or `>`"),
            ("{.a[?(@.b==)]}", "has a filter with an empty side"),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), format!("! {expected}"), "{text}");
        }
    }

    #[test]
    fn path_leads_to_one_value_or_it_is_said_why_not() {
        let object = json!({
            "phase": "Running", "null": null, "list": [1, 2.5, "a"], "empty": [],
            "ready": {"type": "Ready", "status": "True"},
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}],
        });
        let table = [
            ("{.phase}", "\"Running\""),
            ("{.null}", "null"),
            ("{.null.x[0]}", "nothing"),
            ("{.missing.x[0]}", "nothing"),
            ("{.phase.x}", "nothing"),
            ("{.list[-1]}", "\"a\""),
            ("{.list[*]}", "3 values"),
            ("{.empty[*]}", "nothing"),
            ("{.ready.*}", "2 values"),
            ("{..type}", "3 values"),
            ("{.ready..type}", "\"Ready\""),
            ("{.conditions[?(@.type==\"Ready\")].status}", "\"True\""),
            ("{.conditions[?(@.type>\"P\")].status}", "\"True\""),
            ("{.conditions[?(@.reason)].status}", "nothing"),
            ("{.list[3]}", "! has no `[3]`: the list has length 3"),
            ("{.phase[0]}", "! needs a list for `[0]`"),
            ("{.null[?(@.a)]}", "! needs a list for `[?(@.a)]`"),
            ("{.list[?(@==1)]}", "! cannot compare the two sides of `[?(@==1)]`"),
            ("{.conditions[?(@.*==1)]}", "! yields several values within `[?(@.*==1)]`"),
        ];
        for (text, expected) in table {
            let found = match text.parse::<Path>().expect(text).find(&object) {
                Ok(Found::Nothing) => "nothing".to_owned(),
                Ok(Found::One(value)) => value.to_string(),
                Ok(Found::Several(number)) => format!("{number} values"),
                Err(reason) => format!("! {reason}"),
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn values_are_compared_as_go_prints_them() {
        let table = [
            (json!("Running"), "Running"),
            (json!(" Running\n"), "Running "),
            (json!(true), "true"),
            (json!(null), "<nil>"),
            (json!(3), "3"),
            (json!(3.0), "3"),
            (json!(-0.0), "0"),
            (json!(100_000.5), "100000.5"),
            (json!(1e6), "1e+06"),
            (json!(1.5e-5), "1.5e-05"),
            (json!(1e100), "1e+100"),
            (json!(u64::MAX), "1.8446744073709552e+19"),
            (json!(i64::MAX), "9223372036854775807"),
        ];
        for (value, text) in table {
            assert_eq!(equals(&value, text), Ok(true), "{value}");
            assert_eq!(equals(&value, "other"), Ok(false), "{value}");
        }
        assert!(equals(&json!({}), "{}").is_err() && equals(&json!([]), "[]").is_err());
    }

    const PIECES: [&str; 36] = [
        "a",
        "b",
        "é",
        "0",
        "-1",
        "2.5",
        "true",
        ".",
        "..",
        ".*",
        "[",
        "]",
        "[0]",
        "[*]",
        "[1:]",
        "['a']",
        "[\"a\"]",
        "[?(",
        ")]",
        "@",
        "$",
        "==",
        "=",
        "<",
        ">",
        "'",
        "\"",
        "\\",
        "\\.",
        ",",
        ":",
        "{",
        "}",
        " ",
        "\u{0}",
        "[?(@.a==\"b\")]",
    ];

    fn random(pieces: usize) -> String {
        iter::repeat_with(|| PIECES[fastrand::usize(..PIECES.len())]).take(fastrand::usize(..pieces)).collect()
    }

    #[test]
    fn whatever_is_read_means_the_same_when_it_is_printed() {
        let object = json!({"a": [{"a": "b", "b": [1, 2.5, true]}, "é", null], "b": {"a": {"0": -1}}});
        let mut understood = 0;
        for _ in 0..50_000 {
            let text = format!("{{.a{}}}", random(7));
            let Ok(path) = text.parse::<Path>() else { continue };
            understood += 1;
            assert_eq!(path.to_string().parse(), Ok(path.clone()), "{text} is {path}");
            drop(path.find(&object));
        }
        assert!(understood > 500, "only {understood} paths of 50,000 were understood: they show little");
    }

    #[test]
    fn nothing_that_can_be_typed_panics() {
        for _ in 0..20_000 {
            let text = random(12);
            drop(demand(&text));
            drop(demand(&format!("{{.a[?({text})]}}=b")));
        }
    }

    /// In quadratic time, or by recursion, these would not end, or badly.
    #[test]
    fn long_paths_and_deep_objects_cost_no_more_than_they_are() {
        for piece in PIECES {
            let many = piece.repeat(30_000);
            for text in [many.clone(), format!("{{.a{many}}}"), format!("{{.a[?({many})]}}")] {
                drop(demand(&text));
            }
        }
        let mut deep = json!({"n": 1});
        for _ in 0..120 {
            deep = json!({"a": [deep, {"n": 1}], "n": 1});
        }
        let wide = json!({"a": vec![deep; 20]});
        for text in ["{..n}", "{..a[?(@.n==1)]}", "{.a[*].a[0].a[0].a[0].a[0]}", "{.a.*.*.*.*.*.*.*.*}"] {
            let path: Path = text.parse().expect(text);
            assert!(matches!(path.find(&wide), Ok(Found::Several(_)) | Err(_)), "{text}");
        }
    }
}
