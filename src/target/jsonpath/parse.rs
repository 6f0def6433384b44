//! From a text to a path. Every part of the text is read once, and nothing nests deeper than a path in a filter:
//! whatever is typed, neither time nor stack goes beyond its length.

use std::cmp::Ordering;
use std::str::FromStr;

use serde_json::Value;

use super::{Operand, Path, Step};

/// Reads `{.status.phase}=Running`: the path, and the value that is demanded, if any. Quotes around it do not count.
///
/// # Errors
/// The reason, as a clause that can follow the text.
pub fn demand(text: &str) -> Result<(Path, Option<String>), String> {
    let (path, value) = divided(text)?;
    Ok((path, value.map(demanded).transpose()?))
}

impl FromStr for Path {
    type Err = String;

    /// With or without braces, with or without a dot at the start. The error is a clause that can follow the text.
    fn from_str(text: &str) -> Result<Self, String> {
        match divided(text)? {
            (path, None) => Ok(path),
            (_, Some(_)) => Err("has a value after the path".to_owned()),
        }
    }
}

fn divided(text: &str) -> Result<(Path, Option<&str>), String> {
    let braced = text.strip_prefix('{');
    let inner = braced.unwrap_or(text);
    let mut scanner = Scanner { rest: inner };
    let steps = scanner.path()?;
    let read = &inner[..inner.len() - scanner.rest.len()];
    if let Some(stranger) = read.chars().find(|c| c.is_control() || matches!(c, '{' | '}')) {
        return Err(format!("has `{}` within the path", stranger.escape_debug()));
    }
    if braced.is_some() && !scanner.eat("}") {
        return Err(scanner.expected("`}`"));
    }
    let value = scanner.rest.strip_prefix('=');
    if value.is_none() && !scanner.rest.is_empty() {
        return Err(scanner.expected("`=` or the end"));
    }
    match steps.first() {
        None => Err("names nothing".to_owned()),
        Some(Step::Field(_) | Step::Anywhere(_) | Step::Members) => Ok((Path(steps), value)),
        Some(item) => Err(format!("begins with `{item}`, but an object is not a list")),
    }
}

/// kubectl divides at every `=` that is not one of a pair, and takes two parts.
fn demanded(value: &str) -> Result<String, String> {
    if value.starts_with('=') || value.replace("==", "").contains('=') {
        return Err("has more than one `=`".to_owned());
    }
    let value = value.trim_matches(['\'', '"']);
    if value.is_empty() { Err("has no value after `=`".to_owned()) } else { Ok(value.to_owned()) }
}

/// What ends a name that does not escape it. No name has a quote or an operator: one that seems to is a mistake.
pub(super) fn ends_name(c: char) -> bool {
    " .,[]$@{}".contains(c) || is_refused(c)
}

fn is_refused(c: char) -> bool {
    is_quote(c) || is_sign(c)
}

fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"')
}

fn is_sign(c: char) -> bool {
    matches!(c, '!' | '<' | '>' | '=')
}

pub(super) fn sign(order: Ordering) -> &'static str {
    match order {
        Ordering::Less => "<",
        Ordering::Equal => "==",
        Ordering::Greater => ">",
    }
}

/// What is left of the text.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn path(&mut self) -> Result<Vec<Step>, String> {
        let begins_itself = self.rest.starts_with(['.', '[', ' ', '@', '$']);
        let first = if begins_itself { None } else { Some(self.field()?) };
        self.steps(first.into_iter().collect())
    }

    fn steps(&mut self, mut steps: Vec<Step>) -> Result<Vec<Step>, String> {
        loop {
            // Signs of where one already is; kubectl, too, passes over them between any two steps.
            self.rest = self.rest.trim_start_matches([' ', '@', '$']);
            steps.push(if self.eat("..") {
                self.anywhere(&steps)?
            } else if self.eat(".") {
                self.field()?
            } else if self.eat("[?(") {
                self.filter()?
            } else if self.eat("[") {
                self.bracket()?
            } else {
                return Ok(steps);
            });
        }
    }

    /// Once only: every further one would visit what is deep down once more for each level above it.
    fn anywhere(&mut self, before: &[Step]) -> Result<Step, String> {
        if before.iter().any(|step| matches!(step, Step::Anywhere(_))) {
            return Err("has `..` more than once".to_owned());
        }
        if !self.rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return Err(self.expected("a letter or digit after `..`"));
        }
        self.name().and_then(unescaped).map(Step::Anywhere)
    }

    fn field(&mut self) -> Result<Step, String> {
        match self.name()? {
            "" => Err(self.expected("a name")),
            "*" => Ok(Step::Members),
            name => unescaped(name).map(Step::Field),
        }
    }

    /// As it is typed. A `\` makes a part of the name of whatever follows.
    fn name(&mut self) -> Result<&'a str, String> {
        let mut escaped = false;
        let ends = |c| {
            let ends = !escaped && ends_name(c);
            escaped = !escaped && c == '\\';
            ends
        };
        let (name, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        if escaped { Err(r"has a `\` that escapes nothing".to_owned()) } else { Ok(name) }
    }

    fn filter(&mut self) -> Result<Step, String> {
        let end = end_of_filter(self.rest).ok_or("has a filter without its end `)]`")?;
        let (inside, rest) = self.rest.split_at(end);
        self.rest = rest;
        if !self.eat(")]") {
            return Err("has a filter with `)` before its end `)]`".to_owned());
        }
        let Some(begin) = inside.find(is_sign) else { return operand(inside).map(Step::Having) };
        let (left, rest) = inside.split_at(begin);
        let right = rest.trim_start_matches(is_sign);
        let found = &rest[..rest.len() - right.len()];
        let order =
            [Ordering::Less, Ordering::Equal, Ordering::Greater].into_iter().find(|order| sign(*order) == found);
        // kubectl would take `!=`, `<=` and `>=`, had its wait not divided the text at that `=` before.
        let order = order.ok_or_else(|| format!("has a filter with `{found}`; use `==`, `<` or `>`"))?;
        Ok(Step::Comparing(operand(left)?, order, operand(right)?))
    }

    fn bracket(&mut self) -> Result<Step, String> {
        let (inside, rest) = self.rest.split_once(']').ok_or("has a `[` without its `]`")?;
        self.rest = rest;
        if inside.contains(',') {
            return Err(format!("has several parts in `[{inside}]`, and only one value can be compared"));
        }
        match key(inside) {
            Some(key) => quoted_field(key),
            None => {
                slice(inside).ok_or_else(|| format!("has `[{inside}]`, which is not an index, slice, filter or key"))
            }
        }
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expected(&self, what: &str) -> String {
        match self.rest.chars().next() {
            None => format!("ends where {what} belongs"),
            Some(c) if is_quote(c) => {
                format!(r"has `{c}` where {what} belongs; a dot in a key is escaped, `example\.com/x`")
            }
            Some(c) => format!("has `{}` where {what} belongs", c.escape_debug()),
        }
    }
}

fn unescaped(name: &str) -> Result<String, String> {
    let name = name.replace('\\', "");
    match name.chars().find(|c| is_refused(*c)) {
        Some(c) => Err(format!("has `{c}` in a name")),
        None if name.is_empty() => Err("has an empty name".to_owned()),
        None => Ok(name),
    }
}

/// The first `)` that is not quoted. For kubectl, no quote after a `\` is an end, whatever stands before that.
fn end_of_filter(text: &str) -> Option<usize> {
    let (mut quote, mut previous) = (None, ' ');
    text.find(|c| {
        let is_end = quote.is_none() && c == ')';
        quote = match quote {
            None if is_quote(c) => Some(c),
            Some(open) if open == c && previous != '\\' => None,
            unchanged => unchanged,
        };
        previous = c;
        is_end
    })
}

fn operand(text: &str) -> Result<Operand, String> {
    let begin = text.trim_start_matches([' ', '@', '$']);
    if text.trim().is_empty() {
        return Err("has a filter with an empty side".to_owned());
    }
    if !begin.is_empty() && !begin.starts_with(['.', '[']) {
        let literal = literal(begin.trim_end_matches(' '));
        return literal.map(Operand::Literal).ok_or_else(|| {
            format!(
                "has a filter with `{begin}`, which is not a path from `@`, quoted text, plain number, true or false"
            )
        });
    }
    let mut scanner = Scanner { rest: begin };
    let steps = scanner.steps(Vec::new())?;
    if scanner.rest.is_empty() { Ok(Operand::Path(steps)) } else { Err(scanner.expected("`.` or `[`")) }
}

/// In the form in which it is printed, which is JSON; and a text also in single quotes, in which nothing is escaped.
fn literal(text: &str) -> Option<Value> {
    if let Some(text) = text.strip_prefix('\'') {
        return text.strip_suffix('\'').filter(|text| !text.contains(['\'', '\\'])).map(Value::from);
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let is_scalar = value.is_string() || value.is_number() || value.is_boolean();
    let printed = value.to_string();
    (is_scalar && printed == text).then_some(value)
}

/// What is between quotes.
fn key(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| is_quote(*c))?;
    text[1..].strip_suffix(quote).filter(|key| !key.contains(quote))
}

fn quoted_field(key: &str) -> Result<Step, String> {
    let mut scanner = Scanner { rest: key };
    let field = scanner.field();
    match scanner.rest.chars().next() {
        None => field,
        // For kubectl a dot divides the key into two, which nobody means.
        Some(c) => Err(format!(r"has `{c}` in a quoted key; it is escaped, as in `['example\.com/x']`")),
    }
}

fn slice(text: &str) -> Option<Step> {
    let is_plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':');
    let text = if text == "*" { ":" } else { text };
    let parts = text.split(':').map(|part| if part.is_empty() { Some(None) } else { part.parse().ok().map(Some) });
    let parts: Vec<Option<i64>> = parts.collect::<Option<_>>().filter(|_| text.chars().all(is_plain))?;
    let (start, end, step) = match parts[..] {
        // Nothing at all is the first item, too.
        [index] => return Some(Step::Index(index.unwrap_or(0))),
        [start, end] => (start, end, None),
        [start, end, step] => (start, end, step),
        _ => return None,
    };
    let step = usize::try_from(step.unwrap_or(1)).ok().filter(|step| *step > 0)?;
    Some(Step::Slice { start: start.unwrap_or(0), end, step })
}
