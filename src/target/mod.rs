//! The nouns of a wait: what is waited for, what that means, and the answer. They know nobody.
//!
//! A target has one text form, `[NAMESPACE:]MODE/NAME-or-SELECTOR`, where the mode is the kind with what is demanded of
//! it; reading it belongs to `cli`, which also knows groundnuty's shapes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use self::selector::Selector;

pub mod mark;
pub mod names;
pub mod rules;
pub mod selector;
pub mod verdict;

/// A kind of object. Owned, because not every kind is known when this program is built.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// as it is typed and said: `job`
    pub name: Cow<'static, str>,
    pub resource: Resource,
}

/// Where the API serves a kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// empty for the core group
    pub group: Cow<'static, str>,
    pub version: Cow<'static, str>,
    /// lower case, as in URLs and Roles
    pub plural: Cow<'static, str>,
    pub namespaced: bool,
}

impl Resource {
    /// One that is known when this program is built.
    pub const fn namespaced(group: &'static str, version: &'static str, plural: &'static str) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            plural: Cow::Borrowed(plural),
            namespaced: true,
        }
    }

    /// The URL path of the collection; `None` is all namespaces.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        let namespace = namespace.filter(|_| self.namespaced);
        let within = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
        format!("{root}/{}/{within}{}", self.version, self.plural)
    }
}

/// What has to be true of the objects. How it is typed is each kind's own: `job-wr` is a plain `job`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Demand {
    /// each of them is ready, or whatever its kind calls that
    Every,
    /// one of them is (`-wr`)
    Any,
    /// each of them is, or has failed: a failure is an end, too (`-we`)
    EveryOrFailed,
}

impl Demand {
    /// What it appends to the name of a kind.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Every => "",
            Self::Any => "-wr",
            Self::EveryOrFailed => "-we",
        }
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
    /// exact
    pub name: Option<String>,
    pub labels: Option<Selector>,
    /// a field selector, which only the API server can read
    pub fields: Option<String>,
}

/// One thing to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    pub kind: Kind,
    pub demand: Demand,
    pub scope: Scope,
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

    /// The label selector that the API is asked with. The labels of a named object are judged here: else one that does
    /// not match could not be told from none.
    pub fn queried_labels(&self) -> Option<String> {
        self.selection.labels.as_ref().filter(|_| !self.is_named()).map(ToString::to_string)
    }

    /// Whether it speaks of one object. What a selector matches may come at any time.
    pub fn is_named(&self) -> bool {
        self.selection.name.is_some()
    }

    /// `job`, `pod-we`
    pub fn mode(&self) -> String {
        format!("{}{}", self.kind.name, self.demand.suffix())
    }
}

/// Each target once: `job/a shop:job/a` is one for whoever is in the namespace shop.
pub fn resolved(targets: &[Target], namespace: &str) -> Vec<Target> {
    let mut seen = HashSet::new();
    let resolved = targets.iter().map(|target| target.clone().resolve(namespace));
    resolved.filter(|target| seen.insert(target.clone())).collect()
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
        write!(f, "{}/{}", self.mode(), self.selection)
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

    #[test]
    fn target_is_waited_for_once_however_often_it_is_named() {
        let kind = Kind { name: "pod".into(), resource: Resource::namespaced("", "v1", "pods") };
        let pod = |scope, name: &str| {
            let selection = Selection { name: Some(name.to_owned()), ..Selection::default() };
            Target { kind: kind.clone(), demand: Demand::Every, scope, selection }
        };
        let shop = || Scope::Namespace("shop".to_owned());
        let targets = [pod(Scope::Default, "a"), pod(shop(), "a"), pod(shop(), "b"), pod(Scope::Default, "a")];
        assert_eq!(resolved(&targets, "shop"), [pod(shop(), "a"), pod(shop(), "b")]);
        assert_eq!(resolved(&targets, "data").len(), 3);
    }

    #[test]
    fn kind_of_the_cluster_has_no_namespace_in_its_path() {
        let pods = Resource::namespaced("", "v1", "pods");
        assert_eq!(pods.path(Some("shop")), "/api/v1/namespaces/shop/pods");
        assert_eq!(pods.path(None), "/api/v1/pods");
        let crds = Resource { namespaced: false, ..Resource::namespaced("apiextensions.k8s.io", "v1", "crds") };
        assert_eq!(crds.path(Some("shop")), "/apis/apiextensions.k8s.io/v1/crds");
    }
}
