//! Label selectors as the API server parses them.
//!
//! The grammar is that of `k8s.io/apimachinery` 0.36 (`pkg/labels/selector.go`), so that nothing which passes here is
//! refused by a request. One difference: a selector without a requirement selects everything for the API and is an
//! error here, because it is a variable that was left empty.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::names::{label_key, label_name};

/// Requirements on the labels of an object; all of them have to be met.
///
/// Two texts that mean the same in another spelling or order (`a==b`, `a in (b)`) are equal and print alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector(BTreeSet<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Test {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

/// Why a text is no selector: a clause that can follow the text and a colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSelector(String);

impl fmt::Display for InvalidSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidSelector {}

impl Selector {
    /// Whether an object with these labels is selected. An absent key meets `!=` and `notin`, and nothing else but
    /// `!key`.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| requirement.test.matches(labels.get(&requirement.key)))
    }
}

impl Test {
    fn matches(&self, value: Option<&String>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(values) => value.is_some_and(|value| values.contains(value)),
            Self::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::Above(limit) => number().is_some_and(|number| number > *limit),
            Self::Below(limit) => number().is_some_and(|number| number < *limit),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, test } = self;
        match test {
            Test::In(values) => write_values(f, key, ["=", "in"], values),
            Test::NotIn(values) => write_values(f, key, ["!=", "notin"], values),
            Test::Exists => f.write_str(key),
            Test::Absent => write!(f, "!{key}"),
            Test::Above(limit) => write!(f, "{key}>{limit}"),
            Test::Below(limit) => write!(f, "{key}<{limit}"),
        }
    }
}

fn write_values(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    [one, many]: [&str; 2],
    values: &BTreeSet<String>,
) -> fmt::Result {
    let list: Vec<&str> = values.iter().map(String::as_str).collect();
    match list.as_slice() {
        [value] => write!(f, "{key}{one}{value}"),
        _ => write!(f, "{key} {many} ({})", list.join(",")),
    }
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let mut scanner = Scanner { rest: text };
        let mut requirements = BTreeSet::new();
        loop {
            requirements.insert(scanner.requirement()?);
            if scanner.at_end() {
                return Ok(Self(requirements));
            }
            if !scanner.eat(",") {
                return Err(scanner.expected("`,` between requirements"));
            }
        }
    }
}

/// What is left of the text. `in` and `notin` are words like any other: `in in (in)` is a selector.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn requirement(&mut self) -> Result<Requirement, InvalidSelector> {
        if self.eat("!") {
            return Ok(Requirement { key: self.key()?, test: Test::Absent });
        }
        let key = self.key()?;
        let test = if self.at_end() || self.rest.starts_with(',') { Test::Exists } else { self.test()? };
        Ok(Requirement { key, test })
    }

    fn key(&mut self) -> Result<String, InvalidSelector> {
        let key = self.word();
        if key.is_empty() {
            return Err(self.expected("a label key"));
        }
        label_key(key).map_err(|reason| InvalidSelector(format!("the key `{key}` {reason}")))?;
        Ok(key.to_owned())
    }

    fn test(&mut self) -> Result<Test, InvalidSelector> {
        if self.eat("==") || self.eat("=") {
            return Ok(Test::In(BTreeSet::from([self.only_value()?])));
        }
        if self.eat("!=") {
            return Ok(Test::NotIn(BTreeSet::from([self.only_value()?])));
        }
        if self.eat(">") {
            return Ok(Test::Above(self.integer()?));
        }
        if self.eat("<") {
            return Ok(Test::Below(self.integer()?));
        }
        let before = self.rest;
        match self.word() {
            "in" => Ok(Test::In(self.set()?)),
            "notin" => Ok(Test::NotIn(self.set()?)),
            _ => {
                self.rest = before;
                Err(self.expected("`=`, `!=`, `in (…)`, `notin (…)` or `,`"))
            }
        }
    }

    /// The value after `=`; nothing at all is the empty value.
    fn only_value(&mut self) -> Result<String, InvalidSelector> {
        let value = self.value()?;
        if value.is_empty() && !self.at_end() && !self.rest.starts_with(',') {
            return Err(self.expected("a value"));
        }
        Ok(value)
    }

    fn integer(&mut self) -> Result<i64, InvalidSelector> {
        let value = self.only_value()?;
        value.parse().map_err(|_| InvalidSelector(format!("`>` and `<` need a whole number, found `{value}`")))
    }

    /// `(a,b)`; a place left empty is the empty value.
    fn set(&mut self) -> Result<BTreeSet<String>, InvalidSelector> {
        if !self.eat("(") {
            return Err(self.expected("`(`"));
        }
        let mut values = BTreeSet::new();
        loop {
            values.insert(self.value()?);
            if self.eat(")") {
                return Ok(values);
            }
            if !self.eat(",") {
                return Err(self.expected("`,` or `)`"));
            }
        }
    }

    fn value(&mut self) -> Result<String, InvalidSelector> {
        let value = self.word();
        if !value.is_empty() {
            label_name(value).map_err(|reason| InvalidSelector(format!("the value `{value}` {reason}")))?;
        }
        Ok(value.to_owned())
    }

    fn word(&mut self) -> &'a str {
        self.skip_space();
        let end = self.rest.find(|c| is_space(c) || "=!(),<>".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn eat(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn expected(&mut self, what: &str) -> InvalidSelector {
        if self.at_end() {
            return InvalidSelector(format!("expected {what} at the end"));
        }
        let word = self.rest.split(is_space).next().unwrap_or_default();
        InvalidSelector(format!("expected {what}, found `{word}`"))
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        match text.parse::<Selector>() {
            Ok(selector) => selector.to_string(),
            Err(error) => format!("! {error}"),
        }
    }

    fn matches(selector: &str, labels: &str) -> bool {
        let labels = labels.split_terminator(',').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        selector.parse::<Selector>().expect(selector).matches(&labels)
    }

    #[test]
    fn every_form_of_the_api_is_understood() {
        let table = [
            ("app=db", "app=db"),
            ("app==db", "app=db"),
            ("app!=db", "app!=db"),
            ("app in (db)", "app=db"),
            ("app notin (db)", "app!=db"),
            ("app in (db,cache)", "app in (cache,db)"),
            ("app notin (db,cache)", "app notin (cache,db)"),
            ("app in(db,cache)", "app in (cache,db)"),
            ("app", "app"),
            ("!app", "!app"),
            ("! app", "!app"),
            ("tier=a,app=db,tier=a", "app=db,tier=a"),
            (" app\t=\r\n db , !tier ", "app=db,!tier"),
            ("app=", "app="),
            ("app=,tier", "app=,tier"),
            ("app in ()", "app="),
            ("app in (,db)", "app in (,db)"),
            ("app in (db,,)", "app in (,db)"),
            ("in in (in,notin)", "in in (in,notin)"),
            ("notin", "notin"),
            ("app=in", "app=in"),
            ("app.kubernetes.io/name=db", "app.kubernetes.io/name=db"),
            ("count>7", "count>7"),
            ("count < 007", "count<7"),
        ];
        for (text, expected) in table {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn what_the_api_refuses_is_refused_with_its_place() {
        let table = [
            ("", "! expected a label key at the end"),
            (" ", "! expected a label key at the end"),
            ("=db", "! expected a label key, found `=db`"),
            ("app=db,", "! expected a label key at the end"),
            (",app=db", "! expected a label key, found `,app=db`"),
            ("app=db tier=a", "! expected `,` between requirements, found `tier=a`"),
            ("app=db=x", "! expected `,` between requirements, found `=x`"),
            ("app===db", "! expected a value, found `=db`"),
            ("app db", "! expected `=`, `!=`, `in (…)`, `notin (…)` or `,`, found `db`"),
            ("app!db", "! expected `=`, `!=`, `in (…)`, `notin (…)` or `,`, found `!db`"),
            ("!app=db", "! expected `,` between requirements, found `=db`"),
            ("app in db", "! expected `(`, found `db`"),
            ("app in (db", "! expected `,` or `)` at the end"),
            ("app in (db cache)", "! expected `,` or `)`, found `cache)`"),
            ("app in (!db)", "! expected `,` or `)`, found `!db)`"),
            ("count>many", "! `>` and `<` need a whole number, found `many`"),
            ("count>", "! `>` and `<` need a whole number, found ``"),
            ("count>9223372036854775808", "! `>` and `<` need a whole number, found `9223372036854775808`"),
            ("a b", "! expected `=`, `!=`, `in (…)`, `notin (…)` or `,`, found `b`"),
            ("äpp=db", "! the key `äpp` may contain only letters, digits, `-`, `_` and `.`, not `ä`"),
            ("app=d/b", "! the value `d/b` may contain only letters, digits, `-`, `_` and `.`, not `/`"),
            ("app=-db", "! the value `-db` must begin and end with a letter or digit"),
            ("/app=db", "! the key `/app` has a prefix that is empty"),
            ("x/=db", "! the key `x/` has a name that is empty"),
            (
                "X.io/app=db",
                "! the key `X.io/app` has a prefix that may contain only lower case letters, digits, `-` and `.`, not `X`",
            ),
            ("a/b/c", "! the key `a/b/c` has a name that may contain only letters, digits, `-`, `_` and `.`, not `/`"),
        ];
        for (text, expected) in table {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn lengths_are_those_of_the_api() {
        let (most, more) = ("a".repeat(63), "a".repeat(64));
        assert_eq!(canonical(&format!("{most}={most}")), format!("{most}={most}"));
        let text = format!("! the value `{more}` has 64 characters; at most 63 are allowed");
        assert_eq!(canonical(&format!("app={more}")), text);
        assert_eq!(canonical(&format!("{more}/app")), format!("{more}/app"), "only the whole prefix has a limit, 253");
        assert!(
            canonical(&format!("{}/app", "a".repeat(254))).ends_with("has 254 characters; at most 253 are allowed")
        );
    }

    #[test]
    fn an_absent_key_meets_only_the_negations() {
        let of_absent = ["app!=db", "app notin (db,cache)", "!app"];
        assert!(of_absent.iter().all(|selector| matches(selector, "tier=a")));
        let of_present = ["app", "app=db", "app=", "app in (db,cache)", "app>1", "app<1"];
        assert!(!of_present.iter().any(|selector| matches(selector, "tier=a")));
    }

    #[test]
    fn a_present_key_is_compared_by_its_value() {
        for selector in ["app", "app=db", "app in (cache,db)", "app!=cache", "app notin (cache)", "app=db,tier!=b"] {
            assert!(matches(selector, "app=db,tier=a"), "{selector}");
        }
        for selector in ["!app", "app=", "app!=db", "app notin (cache,db)", "app=db,tier=b", "app>1", "app<1"] {
            assert!(!matches(selector, "app=db,tier=a"), "{selector}");
        }
        assert!(matches("app=", "app="));
        assert!(matches("count>9,count<11", "count=10"), "numbers, not texts");
        assert!(!matches("count>10", "count=10") && !matches("count<10", "count=10"));
    }

    #[test]
    fn every_short_text_is_refused_or_survives_being_printed() {
        let tokens = ["a", "b.c/d", "in", "notin", "=", "!", "(", ")", ",", ">", "<", "1", " ", "é", "-"];
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            texts = texts.iter().flat_map(|text| tokens.map(|token| format!("{text}{token}"))).collect();
            for text in &texts {
                if let Ok(selector) = text.parse::<Selector>() {
                    assert_eq!(selector.to_string().parse(), Ok(selector), "{text}");
                }
            }
        }
    }
}
