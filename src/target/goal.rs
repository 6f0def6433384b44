//! What `--for` and `--or-for` demand of an object, as `kubectl wait` writes it: alternatives, each of them conditions
//! that have to hold together. Whether an object is so is judged elsewhere (`kinds`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::jsonpath::{self, Path};

/// `--for a --for b --or-for c` is (a and b) or c. No part is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Goal(Vec<Vec<Condition>>);

/// One thing that has to be true of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// the condition of this type has this status; neither depends on case
    Status { r#type: String, status: String },
    /// what the path leads to is this, or is anything
    Path { path: Path, value: Option<String> },
    /// it exists
    Create,
    /// it does not, or the one that was seen is gone
    Delete,
}

impl Goal {
    /// Of these alternatives.
    ///
    /// # Errors
    /// One that can never hold.
    pub fn new(alternatives: Vec<Vec<Condition>>) -> Result<Self, String> {
        let contradicts = |all: &&Vec<Condition>| {
            all.contains(&Condition::Delete) && all.iter().any(|condition| *condition != Condition::Delete)
        };
        match alternatives.iter().find(contradicts) {
            Some(all) => Err(format!("`{}` can never be true", joined(all))),
            None => Ok(Self(alternatives)),
        }
    }

    pub fn alternatives(&self) -> &[Vec<Condition>] {
        &self.0
    }

    /// The same without the values that paths have to lead to.
    #[must_use]
    pub fn without_values(&self) -> Self {
        let hidden = |condition: &Condition| match condition {
            Condition::Path { path, value: Some(_) } => {
                Condition::Path { path: path.clone(), value: Some("…".to_owned()) }
            }
            other => other.clone(),
        };
        Self(self.0.iter().map(|all| all.iter().map(hidden).collect()).collect())
    }

    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter().flatten()
    }

    /// Whether an object that is gone meets it.
    pub fn is_met_by_absence(&self) -> bool {
        self.conditions().any(|condition| *condition == Condition::Delete)
    }

    /// Whether only its absence does.
    pub fn is_absence(&self) -> bool {
        self.conditions().all(|condition| *condition == Condition::Delete)
    }

    /// Whether nothing of an object matters but that it is there, or is not.
    pub fn is_existence(&self) -> bool {
        self.conditions().all(|condition| matches!(condition, Condition::Create | Condition::Delete))
    }
}

impl FromStr for Condition {
    type Err = String;

    /// By kubectl's forms (`pkg/cmd/wait/wait.go` in k8s.io/kubectl). The error is a clause that can follow the text.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.split_once('=') {
            None if text.eq_ignore_ascii_case("create") => Ok(Self::Create),
            None if text.eq_ignore_ascii_case("delete") => Ok(Self::Delete),
            Some((form, rest)) if form.eq_ignore_ascii_case("condition") => status(rest),
            Some((form, rest)) if form.eq_ignore_ascii_case("jsonpath") => {
                let (path, value) = jsonpath::demand(&without_quotes(rest))?;
                Ok(Self::Path { path, value })
            }
            _ => Err("is no condition".to_owned()),
        }
    }
}

/// In a manifest no shell takes the quotes away that `kubectl wait --help` shows around a path.
fn without_quotes(text: &str) -> Cow<'_, str> {
    let quoted = ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.split_once(quote));
    match quoted {
        Some((path, rest)) if rest.is_empty() || rest.starts_with('=') => format!("{path}{rest}").into(),
        _ => text.into(),
    }
}

fn status(text: &str) -> Result<Condition, String> {
    let (kind, status) = text.split_once('=').unwrap_or((text, "True"));
    match (kind.trim(), status.trim()) {
        ("", _) => Err("names no condition".to_owned()),
        (_, "") => Err("has an empty status".to_owned()),
        (kind, status) => Ok(Condition::Status { r#type: kind.to_owned(), status: status.to_owned() }),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { r#type, status } if status.eq_ignore_ascii_case("true") => write!(f, "condition={type}"),
            Self::Status { r#type, status } => write!(f, "condition={type}={status}"),
            Self::Path { path, value: None } => write!(f, "jsonpath={path}"),
            Self::Path { path, value: Some(value) } => write!(f, "jsonpath={path}={value}"),
            Self::Create => f.write_str("create"),
            Self::Delete => f.write_str("delete"),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternatives: Vec<String> = self.0.iter().map(|all| joined(all)).collect();
        f.write_str(&alternatives.join(" or "))
    }
}

fn joined(all: &[Condition]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_those_of_kubectl() {
        let table = [
            ("create", "create"),
            ("Delete", "delete"),
            ("condition=Ready", "condition=Ready"),
            ("condition=ready=true", "condition=ready"),
            (" condition=Ready=False ", "condition=Ready=False"),
            ("jsonpath={.status.phase}=Running", "jsonpath={.status.phase}=Running"),
            ("jsonpath=.status.phase", "jsonpath={.status.phase}"),
            ("jsonpath='{.status.phase}'=\"Running\"", "jsonpath={.status.phase}=Running"),
            ("jsonpath='{.status.phase}'", "jsonpath={.status.phase}"),
            (
                "jsonpath='{.status.phase",
                "! has `'` where a name belongs; a dot in a key is escaped, `example\\.com/x`",
            ),
            ("condition=", "! names no condition"),
            ("condition=Ready=", "! has an empty status"),
            ("Ready", "! is no condition"),
            ("phase=Running", "! is no condition"),
            ("", "! is no condition"),
        ];
        for (text, expected) in table {
            let shown = text.parse::<Condition>().map_or_else(|why| format!("! {why}"), |it| it.to_string());
            assert_eq!(shown, expected, "{text}");
        }
    }

    #[test]
    fn what_can_never_be_true_is_refused() {
        let goal = |alternatives: &[&[&str]]| {
            let parsed = |all: &&[&str]| all.iter().map(|it| it.parse().expect("a condition")).collect();
            Goal::new(alternatives.iter().map(parsed).collect()).map(|goal| goal.to_string())
        };
        let both = goal(&[&["condition=a", "create"], &["delete"]]);
        assert_eq!(both.as_deref(), Ok("condition=a and create or delete"));
        assert_eq!(goal(&[&["delete", "create"]]), Err("`delete and create` can never be true".to_owned()));
    }
}
