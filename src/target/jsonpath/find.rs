//! From a path to the value that it leads to, and whether that is the demanded one.
//!
//! The rules are those of `client-go/util/jsonpath/jsonpath.go`. Every step but one goes a level down, so that no value
//! is looked at much more often than it lies deep.

use std::cmp::Ordering;
use std::sync::LazyLock;

use serde_json::{Number, Value};

use super::{Operand, Path, Step};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'a> {
    Nothing,
    /// Also null: it is enough for a demand without a value.
    One(&'a Value),
    /// How many; an error for kubectl, whatever they are.
    Several(usize),
}

impl Path {
    /// Follows it from this object. What is missing on the way, or null, leads to nothing.
    ///
    /// # Errors
    /// The object has something else than the path is for: no list for an index, a number to compare with a text. The
    /// reason is a clause that can follow the path.
    pub fn find<'a>(&self, object: &'a Value) -> Result<Found<'a>, String> {
        Ok(match walk(&self.0, object)?[..] {
            [] => Found::Nothing,
            [value] => Found::One(value),
            ref several => Found::Several(several.len()),
        })
    }
}

/// Whether this value is the one that is demanded, both as texts without the space around them; null is `<nil>`.
///
/// # Errors
/// It is an object or a list. The reason is a clause that can follow the path.
pub fn equals(value: &Value, demanded: &str) -> Result<bool, String> {
    let text = match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match integer(number) {
            Some(integer) => integer.to_string(),
            None => number.as_f64().map(float).unwrap_or_default(),
        },
        Value::Array(_) | Value::Object(_) => {
            return Err("yields an object or a list, which cannot be compared with a value".to_owned());
        }
    };
    Ok(text.trim() == demanded.trim())
}

/// As Go decodes JSON. Above 2⁶³ it is a float there and none for `serde_json`, and the other way round with -0.
fn integer(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| (number.to_string() == "-0.0").then_some(0))
}

/// As Go's `%v` prints it: the fewest digits, with an exponent from 10⁶ on and below 10⁻⁴.
fn float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if exponent < -4 => format!("{digits}e-{:02}", -exponent),
        Ok(exponent) if exponent >= 6 => format!("{digits}e+{exponent:02}"),
        _ => number.to_string(),
    }
}

fn walk<'a>(steps: &[Step], start: &'a Value) -> Result<Vec<&'a Value>, String> {
    let mut values = vec![start];
    for step in steps {
        if values.is_empty() {
            break;
        }
        values = step.follow(&values)?;
    }
    Ok(values)
}

impl Step {
    fn follow<'a>(&self, values: &[&'a Value]) -> Result<Vec<&'a Value>, String> {
        let values = values.iter().copied();
        match self {
            Self::Field(name) => Ok(values.filter_map(|value| value.get(name)).collect()),
            Self::Anywhere(name) => Ok(values.flat_map(within).filter_map(|value| value.get(name)).collect()),
            Self::Members => Ok(values.flat_map(members).collect()),
            // The end of `[-1]` is that of the list.
            Self::Index(index) => self.slices(values, *index, index.checked_add(1).filter(|end| *end != 0), 1),
            Self::Slice { start, end, step } => self.slices(values, *start, *end, *step),
            Self::Having(operand) => self.filtered(values, |item| {
                // What cannot be looked at is there: kubectl passes over the error.
                Ok(operand.values(item).map_or(true, |values| !values.is_empty()))
            }),
            Self::Comparing(left, wanted, right) => self.filtered(values, |item| {
                let Some(left) = self.side(left, item)? else { return Ok(false) };
                let Some(right) = self.side(right, item)? else { return Ok(false) };
                // Booleans are equal or not, and have no order.
                let order = order(left, right).filter(|_| !left.is_boolean() || wanted.is_eq());
                let order = order.ok_or_else(|| format!("cannot compare the two sides of `{self}`"))?;
                Ok(order == *wanted)
            }),
        }
    }

    fn slices<'a>(
        &self,
        values: impl Iterator<Item = &'a Value>,
        start: i64,
        end: Option<i64>,
        step: usize,
    ) -> Result<Vec<&'a Value>, String> {
        let mut found = Vec::new();
        for value in values.filter(|value| !value.is_null()) {
            let list = self.list(value)?;
            let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
            let place = |place: i64| if place < 0 { place + length } else { place };
            let (start, end) = (place(start), end.map_or(length, place));
            // kubectl ends here, whatever lists are still to come.
            if start == end {
                break;
            }
            let items = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            let items = items.and_then(|(start, end)| list.get(start..end));
            let items = items.ok_or_else(|| format!("has no `{self}`: the list has length {length}"))?;
            found.extend(items.iter().step_by(step));
        }
        Ok(found)
    }

    fn filtered<'a>(
        &self,
        values: impl Iterator<Item = &'a Value>,
        passes: impl Fn(&'a Value) -> Result<bool, String>,
    ) -> Result<Vec<&'a Value>, String> {
        let mut found = Vec::new();
        for value in values {
            for item in self.list(value)? {
                found.extend(passes(item)?.then_some(item));
            }
        }
        Ok(found)
    }

    fn list<'a>(&self, value: &'a Value) -> Result<&'a [Value], String> {
        value.as_array().map(Vec::as_slice).ok_or_else(|| format!("needs a list for `{self}`"))
    }

    fn side<'a>(&self, operand: &'a Operand, item: &'a Value) -> Result<Option<&'a Value>, String> {
        match operand.values(item)?[..] {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(format!("yields several values within `{self}`")),
        }
    }
}

impl Operand {
    fn values<'a>(&'a self, item: &'a Value) -> Result<Vec<&'a Value>, String> {
        match self {
            Self::Path(steps) => walk(steps, item),
            Self::Literal(value) => Ok(vec![value]),
        }
    }
}

/// Itself and all that is below.
fn within(value: &Value) -> impl Iterator<Item = &Value> {
    let mut rest = vec![value];
    std::iter::from_fn(move || {
        let value = rest.pop()?;
        rest.extend(value.as_array().into_iter().flatten());
        rest.extend(value.as_object().into_iter().flat_map(|object| object.values()));
        Some(value)
    })
}

/// What the members of a text are to Go: its bytes, as numbers.
static BYTES: LazyLock<Vec<Value>> = LazyLock::new(|| (0..=u8::MAX).map(Value::from).collect());

fn members(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(object) => object.values().collect(),
        Value::String(text) => text.bytes().filter_map(|byte| BYTES.get(usize::from(byte))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// `None` for two kinds, an integer and a float among them, and for what has none: null, objects and lists.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (integer(left), integer(right)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            (None, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
            _ => None,
        },
        _ => None,
    }
}
