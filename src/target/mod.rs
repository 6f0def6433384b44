//! What is waited for: a mode, the objects it speaks of, and where they live.
//!
//! A target has one text form, `[NAMESPACE:]MODE/NAME-or-SELECTOR`; parsing it belongs to `compat`, which also knows
//! groundnuty's shapes. Nothing here knows of a cluster.

pub mod mark;
pub mod selector;
pub mod verdict;

use std::fmt;

use crate::target::selector::Selector;

/// The kind of object that a mode speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `batch/v1` Job
    Job,
    /// `v1` Pod
    Pod,
    /// `v1` Service
    Service,
}

/// What has to be true of the objects. Groundnuty's `-wr` ("with retries") means that one is enough, `-we` ("with
/// errors") that a failure counts as an end too. `job-wr` is `job`: a retried Job that completes is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// `job`, `job-wr`: every Job is complete
    Job,
    /// `job-we`: every Job is complete or failed
    JobOrFailed,
    /// `pod`: every pod is ready
    Pod,
    /// `pod-wr`: one pod is ready
    AnyPod,
    /// `pod-we`: every pod is ready or failed
    PodOrFailed,
    /// `service`: every pod behind the Service is ready
    Service,
    /// `service-wr`: one pod behind the Service is ready
    AnyService,
}

/// Every way to write a mode, in the order in which help and errors name them.
pub const MODES: [(&str, Mode); 8] = [
    ("job", Mode::Job),
    ("job-wr", Mode::Job),
    ("job-we", Mode::JobOrFailed),
    ("pod", Mode::Pod),
    ("pod-wr", Mode::AnyPod),
    ("pod-we", Mode::PodOrFailed),
    ("service", Mode::Service),
    ("service-wr", Mode::AnyService),
];

impl Mode {
    /// The kind of object that this mode judges.
    pub fn kind(self) -> Kind {
        match self {
            Self::Job | Self::JobOrFailed => Kind::Job,
            Self::Pod | Self::AnyPod | Self::PodOrFailed => Kind::Pod,
            Self::Service | Self::AnyService => Kind::Service,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = MODES.iter().find(|(_, mode)| mode == self).map(|(text, _)| *text);
        f.write_str(text.expect("MODES names every mode"))
    }
}

/// Where the objects live.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The namespace of the context or of the pod that this program runs in.
    Default,
    /// One namespace by name.
    Namespace(String),
    /// Every namespace (`-A`).
    All,
}

/// Which objects of the kind: all that meet every part that is given; with no part at all, every object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selection {
    /// `metadata.name`, exact
    pub name: Option<String>,
    /// label selector
    pub labels: Option<Selector>,
    /// field selector, passed to the API as it is
    pub fields: Option<String>,
}

/// One thing to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// what has to be true
    pub mode: Mode,
    /// where
    pub scope: Scope,
    /// of which objects
    pub selection: Selection,
}

impl Target {
    /// The same target with `namespace` in the place of [`Scope::Default`].
    #[must_use]
    pub fn resolve(mut self, namespace: &str) -> Self {
        if self.scope == Scope::Default {
            self.scope = Scope::Namespace(namespace.to_owned());
        }
        self
    }

    /// The namespace to ask for, or `None` for all of them (and for a target that is not resolved yet).
    pub fn namespace(&self) -> Option<&str> {
        match &self.scope {
            Scope::Namespace(namespace) => Some(namespace),
            Scope::Default | Scope::All => None,
        }
    }
}

/// The name, the selector (`app=db`, `-lapp`) or `*` for every object; a name with labels beside it is
/// `migrate -lrelease=7`.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.labels) {
            (Some(name), None) => f.write_str(name)?,
            (Some(name), Some(labels)) => write!(f, "{name} -l{labels}")?,
            (None, Some(labels)) => {
                let labels = labels.to_string();
                // A key alone looks like a name.
                let marked = if labels.contains(['=', '!', '(', '<', '>']) { "" } else { "-l" };
                write!(f, "{marked}{labels}")?;
            }
            (None, None) => f.write_str("*")?,
        }
        match &self.fields {
            Some(fields) => write!(f, " --field-selector={fields}"),
            None => Ok(()),
        }
    }
}

/// `job/migrate`, `pod/app=db`. The namespace is left to whoever prints more than one.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.mode, self.selection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selector_is_never_taken_for_a_name() {
        let shown = |labels: &str| {
            let labels = Some(labels.parse().expect("a selector"));
            Selection { labels, ..Selection::default() }.to_string()
        };
        let forms = ["app=db", "app", "!app", "app in (a,b)", "app,tier"];
        assert_eq!(forms.map(shown), ["app=db", "-lapp", "!app", "app in (a,b)", "-lapp,tier"]);
    }
}
