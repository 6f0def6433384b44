//! The environment: our own options by variable, and the three that groundnuty reads.
//!
//! Variables are asked for by name; their names alone are looked through for mistyped ones.

use std::time::Duration;

use clap::ValueEnum;

use super::help;
use super::options::{self, LogLevel, PREFIX, Usage, bad_value, duration};

/// The variables, and what was wrong with them. Kubernetes sets `K8S_WAIT_FOR_PORT` and `K8S_WAIT_FOR_SERVICE_HOST` in
/// every pod beside a Service called `k8s-wait-for`: no option may have such a name.
pub struct Environment<G> {
    get: G,
    /// what was ignored
    pub warnings: Vec<String>,
}

impl<G: Fn(&str) -> Option<String>> Environment<G> {
    /// From whatever knows variables by their name.
    pub fn new(get: G) -> Self {
        Self { get, warnings: Vec::new() }
    }

    /// A variable of which nothing is left after trimming counts as not set.
    fn value(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// What was typed, or else the variable.
    pub fn or<T>(
        &self,
        option: &str,
        typed: Option<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Usage> {
        if typed.is_some() { Ok(typed) } else { self.option(option, parse) }
    }

    /// A mistake here is one of whoever wants this very program to do something, so it is not passed over.
    pub fn option<T>(&self, option: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Usage> {
        let name = options::variable(option);
        let Some(value) = self.value(&name) else { return Ok(None) };
        let parsed = parse(&value).map_err(|reason| bad_value(option, &name, &value, Some(&reason)))?;
        Ok(Some(parsed))
    }

    /// What groundnuty reads often comes from an `envFrom` that is meant for others: nonsense is only remarked on.
    fn shared<T>(&mut self, name: &str, forms: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        // Its value is shown: these three hold no secrets.
        let value = self.value(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.warnings.push(format!("ignoring {name}={value}: it takes {forms}"));
        }
        parsed
    }

    /// What a plain mode gets appended.
    pub fn suffix(&mut self) -> &'static str {
        let suffix = self.shared("TREAT_ERRORS_AS_READY", "0, 1 or 2", |value| match value {
            "0" => Some(""),
            "1" => Some("-we"),
            "2" => Some("-wr"),
            _ => None,
        });
        suffix.unwrap_or_default()
    }

    /// The level of the log; 0 is what there is without it.
    pub fn debug(&mut self) -> Option<LogLevel> {
        self.shared("DEBUG", "0, 1 or 2", |value| match value {
            "0" => Some(LogLevel::Info),
            "1" => Some(LogLevel::Debug),
            "2" => Some(LogLevel::Trace),
            _ => None,
        })
    }

    /// <https://no-color.org>: whatever it is set to, as long as it is set to something.
    pub fn no_color(&self) -> bool {
        (self.get)("NO_COLOR").is_some_and(|value| !value.is_empty())
    }

    /// The pause between two polls. What `sleep` took, but not zero: that would be a flood of requests.
    pub fn wait_time(&mut self) -> Option<Duration> {
        let pause = |value: &str| duration(value).ok().filter(|pause| !pause.is_zero());
        self.shared("WAIT_TIME", "seconds, as in 2, 0.5 or 2s", pause)
    }
}

/// The variables of ours that nobody reads, each with what may have been meant.
pub fn unread(names: impl Iterator<Item = String>) -> Vec<String> {
    let known: Vec<String> = help::variables(PREFIX).collect();
    let ours = names.filter(|name| name.starts_with(PREFIX) && !known.contains(name));
    // Kubernetes makes these of Services.
    let meant = ours.filter(|name| !name.contains("_PORT") && !name.contains("_SERVICE"));
    let near = |name: &str| {
        let rated = known.iter().map(|known| (strsim::damerau_levenshtein(known, name), known));
        rated.min().filter(|(distance, _)| *distance <= 3).map(|(_, known)| format!("; did you mean {known}?"))
    };
    meant.map(|name| format!("ignoring unknown variable {name}{}", near(&name).unwrap_or_default())).collect()
}

pub fn named<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| "is not one of its values".to_owned())
}

pub fn truth(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}
