//! Inputs that somebody might type: paths into the objects, in every spelling; what kubectl takes and the product
//! refuses, and the other way round; and what is left of a good path after a few slips of the finger.

use fastrand::Rng;
use serde_json::Value;

use super::Case;

const RIGHT: usize = 1_700;
const BROKEN: usize = 1_200;
const ELSEWHERE_UNDERSTOOD: usize = 150;

pub(super) fn make(objects: &[Value]) -> Vec<Case> {
    let mut maker = Maker(Rng::with_seed(7));
    let mut cases: Vec<Case> = BY_HAND.lines().filter_map(by_hand).collect();
    for number in 0..RIGHT + BROKEN + ELSEWHERE_UNDERSTOOD {
        let object = maker.0.usize(..objects.len());
        let (path, value) = maker.path(&objects[object]);
        let value = maker.demanded(value);
        let right = format!("{}{value}", maker.spelled(&path));
        if (RIGHT..RIGHT + BROKEN).contains(&number) {
            cases.push(case(&maker.broken(&right), object));
            continue;
        }
        cases.push(case(&right, object));
        if number >= RIGHT {
            let input = format!("{}{value}", maker.spelled_as_elsewhere(&path));
            cases.push(Case { means: Some(right), ..case(&input, object) });
        }
    }
    cases.retain(|case| !depends_on_order(&case.input));
    cases
}

/// What documents and people write, and each oddity of kubectl's packages once: the object and the input.
const BY_HAND: &str = include_str!("by-hand.txt");

fn by_hand(line: &str) -> Option<Case> {
    let (object, input) = line.split_once(' ')?;
    Some(case(input, object.parse().ok()?))
}

fn case(input: &str, object: usize) -> Case {
    Case { input: input.to_owned(), object, means: None, kubectl: String::new() }
}

/// After a step that goes through a map in Go's random order, a slice that is empty ends what another order had found.
fn depends_on_order(input: &str) -> bool {
    let map = input.find(".*").into_iter().chain(input.find("..")).min();
    map.is_some_and(|at| input[at..].contains("[*]") || input[at..].contains(':'))
}

struct Maker(Rng);

impl Maker {
    fn one_in(&mut self, number: usize) -> bool {
        self.0.usize(..number) == 0
    }

    fn choose<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.0.usize(..from.len())]
    }

    /// A path, and a value that it may lead to.
    fn path<'a>(&mut self, object: &'a Value) -> (String, &'a Value) {
        let (mut path, mut value) = (String::new(), object);
        if self.one_in(25) {
            let name = self.choose(&["status", "name", "state", "inner", "ports", "n", "type", "missing", "ready"]);
            path = format!("..{name}");
            value = found(object, name).unwrap_or(&Value::Null);
        }
        for _ in 0..self.0.usize(1..8) {
            let (step, next) = self.step(value, path.is_empty());
            path += &step;
            value = next;
            let is_leaf = !value.is_object() && !value.is_array();
            if is_leaf && !self.one_in(20) {
                break;
            }
        }
        (path, value)
    }

    fn step<'a>(&mut self, value: &'a Value, first: bool) -> (String, &'a Value) {
        let chance = self.0.usize(..100);
        match value {
            Value::Object(map) if !map.is_empty() && chance < 90 => {
                let (key, next) = map.iter().nth(self.0.usize(..map.len())).expect("within its length");
                (self.field(key, first), next)
            }
            Value::Object(map) if chance < 96 => {
                (".*".to_owned(), map.values().nth(self.0.usize(..map.len().max(1))).unwrap_or(&Value::Null))
            }
            Value::Array(items) if chance < 35 => {
                let index = self.0.usize(..=items.len());
                let is_backward = self.one_in(3);
                let text = if is_backward { format!("[-{}]", items.len() - index) } else { format!("[{index}]") };
                (text, items.get(index).unwrap_or(&Value::Null))
            }
            Value::Array(items) => {
                let next = self.0.choice(items).unwrap_or(&Value::Null);
                let text = match chance {
                    35..50 => "[*]".to_owned(),
                    50..60 => self.slice(items.len()),
                    60..95 => self.filter(next),
                    _ => ".*".to_owned(),
                };
                (text, next)
            }
            _ => {
                let odd = [".missing", ".name", "['type']", "[0]", "[*]", ".*", "[?(@.a)]", "[?(@==1)]", " .x", "[]"];
                (if first { ".missing".to_owned() } else { self.choose(&odd).to_owned() }, &Value::Null)
            }
        }
    }

    fn field(&mut self, key: &str, first: bool) -> String {
        let key = escaped(key);
        match self.0.usize(..20) {
            0..4 if !first => format!("['{key}']"),
            4 if !first => format!(" .{key}"),
            5 if !first => format!("@.{key}"),
            _ => format!(".{key}"),
        }
    }

    fn slice(&mut self, length: usize) -> String {
        let mut bound = || match self.0.usize(..5) {
            0 => String::new(),
            1 => format!("-{}", self.0.usize(..length + 2)),
            _ => self.0.usize(..length + 2).to_string(),
        };
        let slice = format!("{}:{}", bound(), bound());
        let step = ["", "", "", ":", ":1", ":2", ":0", ":-1"];
        format!("[{slice}{}]", self.choose(&step))
    }

    /// One that this item may pass.
    fn filter(&mut self, item: &Value) -> String {
        let (left, value) = self.side(item);
        if self.one_in(6) {
            return format!("[?({left})]");
        }
        let right = match self.0.usize(..10) {
            0..6 => self.literal(value),
            6 => self.side(item).0,
            _ => self.choose(LITERALS).to_owned(),
        };
        let operator = match self.0.usize(..20) {
            0..14 => "==",
            14..16 => "<",
            16..18 => ">",
            _ => self.choose(&["!==", "=>=", "<>", "<<"]),
        };
        let space = if self.one_in(5) { " " } else { "" };
        let (left, right) = if self.one_in(10) { (right, left) } else { (left, right) };
        format!("[?({left}{space}{operator}{space}{right})]")
    }

    fn side<'a>(&mut self, item: &'a Value) -> (String, &'a Value) {
        let (mut path, mut value) = ("@".to_owned(), item);
        while let Value::Object(map) = value {
            let Some((key, next)) = map.iter().nth(self.0.usize(..map.len().max(1))) else { break };
            path += &if self.one_in(12) { ".missing".to_owned() } else { self.field(key, false) };
            value = next;
        }
        if value.is_array() || self.one_in(15) {
            path += self.choose(&["[0]", "[-1]", "[5]", "[*]", ".*", "[?(@.a)]"]);
        }
        (path, value)
    }

    fn literal(&mut self, value: &Value) -> String {
        match value {
            Value::String(text) if self.0.bool() => format!("'{}'", text.replace('\'', "\\'")),
            Value::String(text) => format!("\"{}\"", text.replace('"', "\\\"")),
            Value::Array(_) | Value::Object(_) => self.choose(LITERALS).to_owned(),
            scalar => scalar.to_string(),
        }
    }

    /// What follows the path: the value itself most of the time, or nothing.
    fn demanded(&mut self, value: &Value) -> String {
        let text = match value {
            _ if self.one_in(4) => return String::new(),
            _ if self.one_in(4) => {
                self.choose(&["True", "x", "<nil>", "0", "1e+06", "1e-05", "1e+21", "2", " "]).to_owned()
            }
            Value::String(text) => text.clone(),
            Value::Null => "<nil>".to_owned(),
            Value::Array(_) | Value::Object(_) => "x".to_owned(),
            scalar => scalar.to_string(),
        };
        match self.0.usize(..8) {
            0 => format!("='{text}'"),
            1 => format!("=\"{text}\""),
            2 => format!("= {text} "),
            _ => format!("={text}"),
        }
    }

    fn spelled(&mut self, path: &str) -> String {
        let relaxed = path.strip_prefix('.').filter(|rest| !rest.starts_with('.')).unwrap_or(path);
        match self.0.usize(..10) {
            0..6 => format!("{{{path}}}"),
            6 => format!("{{{relaxed}}}"),
            7 => relaxed.to_owned(),
            _ => path.to_owned(),
        }
    }

    /// As other dialects of the language take it, kubectl's wait does not, and it can mean one thing only.
    fn spelled_as_elsewhere(&mut self, path: &str) -> String {
        let path = if self.0.bool() { path.replace("['", "[\"").replace("']", "\"]") } else { path.to_owned() };
        let root = self.choose(&["$", "@", " ", " $"]);
        if self.one_in(3) { format!("{root}{path}") } else { format!("{{{root}{path}}}") }
    }

    fn broken(&mut self, right: &str) -> String {
        let mut characters: Vec<char> = right.chars().collect();
        for _ in 0..self.0.usize(1..4) {
            let at = self.0.usize(..=characters.len());
            let end = (at + self.0.usize(1..4)).min(characters.len());
            match self.0.usize(..5) {
                0 => drop(characters.drain(at..end)),
                1 => {
                    let piece: Vec<char> = characters[at..end].to_vec();
                    let to = self.0.usize(..=characters.len());
                    characters.splice(to..to, piece);
                }
                2 if at + 1 < characters.len() => characters.swap(at, at + 1),
                _ => {
                    let piece = self.choose(PIECES);
                    characters.splice(at..at, piece.chars());
                }
            }
        }
        characters.into_iter().collect()
    }
}

fn escaped(key: &str) -> String {
    let escape = |c| if " .,[]$@".contains(c) { vec!['\\', c] } else { vec![c] };
    if key == "*" { "\\*".to_owned() } else { key.chars().flat_map(escape).collect() }
}

/// Some value of this field, however deep.
fn found<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let below: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    };
    value.get(name).or_else(|| below.into_iter().find_map(|value| found(value, name)))
}

const PIECES: &[&str] = &[
    ".", "..", "...", ".*", "[", "]", "[*]", "[0]", "[]", "['a']", "[\"a\"]", "[?(", ")]", "(", ")", "{", "}", "@",
    "$", "'", "\"", "\\", "=", "==", "!=", "<=", "<", ">", "&&", "||", ",", ":", "-", "+", " ", "\t", "\\\t", "\n",
    "0", "1", "1.5", "true", "end", "a", "é", "/", "*", "?", "!", "\\n", "\\.",
];

const LITERALS: &[&str] = &[
    "\"True\"",
    "'True'",
    "'x'",
    "\"\"",
    "''",
    "1",
    "2",
    "2.5",
    "2.0",
    "-7",
    "true",
    "false",
    "null",
    "word",
    "1e3",
    "+3",
    "1.",
    ".5",
    "007",
    "-0",
    "\"a\\nb\"",
    "'a\\nb'",
    "'it\\'s'",
    "\"\\u0041\"",
    "\"a\\\\b\"",
    "'a' b",
    "99999999999999999999",
    "",
];
