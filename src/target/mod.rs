//! The nouns of a wait: what is waited for, what that means, and the answer. They know nobody.
//!
//! A target has one text form, `[NAMESPACE:]MODE/NAME-or-SELECTOR`, where the mode is the kind with what is demanded of
//! it; reading it belongs to `cli`, which also knows groundnuty's shapes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use self::goal::Goal;
use self::selector::Selector;

pub mod goal;
pub mod jsonpath;
pub mod mark;
pub mod names;
pub mod rules;
pub mod selector;
pub mod verdict;

/// A kind of object. Owned, because not every kind is known when this program is built.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// as it is typed and said: `job`, `certificate.cert-manager.io`
    pub name: Cow<'static, str>,
    /// as the API writes it: `Job`; empty while it is sought
    pub title: Cow<'static, str>,
    pub resource: Resource,
    pub origin: Origin,
}

/// Who knows a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// this program
    Table,
    /// Only the cluster, which has to be asked: till then title, plural and scope are guessed, and where nobody typed
    /// them, group and version are empty.
    Sought,
    /// the cluster has told
    Found {
        /// its objects have a status, which their controller writes
        has_status: bool,
    },
}

impl Kind {
    /// One that this program knows, in namespaces.
    pub const fn namespaced(
        name: &'static str,
        title: &'static str,
        group: &'static str,
        version: &'static str,
        plural: &'static str,
    ) -> Self {
        let (name, title) = (Cow::Borrowed(name), Cow::Borrowed(title));
        Self { name, title, resource: Resource::namespaced(group, version, plural), origin: Origin::Table }
    }

    /// The same in none.
    pub const fn of_cluster(
        name: &'static str,
        title: &'static str,
        group: &'static str,
        version: &'static str,
        plural: &'static str,
    ) -> Self {
        let mut kind = Self::namespaced(name, title, group, version, plural);
        kind.resource.namespaced = false;
        kind
    }

    /// One that only the cluster knows: `KIND`, `KIND.GROUP` or `KIND.VERSION.GROUP`, as kubectl writes it.
    pub fn sought(word: &str) -> Self {
        let word = word.to_lowercase();
        let (bare, rest) = word.split_once('.').unwrap_or((&word, ""));
        let versioned = rest.split_once('.').filter(|(version, _)| names::is_version(version));
        let (version, group) = versioned.unwrap_or(("", rest));
        let resource = Resource {
            group: group.to_owned().into(),
            version: version.to_owned().into(),
            plural: names::plural(bare).into(),
            namespaced: true,
        };
        Self { name: word.into(), title: Cow::Borrowed(""), resource, origin: Origin::Sought }
    }

    /// Its name without group and version.
    pub fn word(&self) -> &str {
        self.name.split_once('.').map_or(&*self.name, |(word, _)| word)
    }

    /// What one of its objects is called in a sentence.
    pub fn noun(&self) -> Cow<'_, str> {
        // These three are words of their own.
        let is_common = matches!(&*self.title, "Pod" | "Node" | "Namespace");
        if is_common || self.is_sought() { Cow::Borrowed(&self.name) } else { Cow::Borrowed(&self.title) }
    }

    pub fn is_sought(&self) -> bool {
        self.origin == Origin::Sought
    }
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Demand {
    /// each of them is ready, or whatever its kind calls that
    Every,
    /// one of them is (`-wr`)
    Any,
    /// each of them is, or has failed: a failure is an end, too (`-we`)
    EveryOrFailed,
    /// each of them holds these keys (`--key`)
    Keys(Vec<String>),
    /// each of them has ready endpoints (`--by endpoints`)
    Endpoints,
    /// each of them can be reached from outside (`--by load-balancer`)
    Address,
    /// each of them is as `--for` says
    Meets(Goal),
}

impl Demand {
    /// What it appends to the name of a kind.
    pub fn suffix(&self) -> &'static str {
        match self {
            Self::Any => "-wr",
            Self::EveryOrFailed => "-we",
            _ => "",
        }
    }

    /// Whether an object that is gone meets it.
    pub fn is_met_by_absence(&self) -> bool {
        matches!(self, Self::Meets(goal) if goal.is_met_by_absence())
    }

    /// Whether nothing else does.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Meets(goal) if goal.is_absence())
    }

    /// Whether nothing is asked of an object but that it is there, or is not.
    pub fn is_existence(&self) -> bool {
        matches!(self, Self::Meets(goal) if goal.is_existence())
    }
}

/// What was typed beside the objects; nothing where the kind says it all.
impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every | Self::Any | Self::EveryOrFailed => Ok(()),
            Self::Keys(keys) => write!(f, "--key {}", keys.join(" --key ")),
            Self::Endpoints => f.write_str("--by endpoints"),
            Self::Address => f.write_str("--by load-balancer"),
            Self::Meets(goal) => write!(f, "{goal}"),
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
    /// None: objects of the cluster itself.
    Cluster,
}

/// Which objects of the kind: all that meet every part that is given; with no part at all, every object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selection {
    /// exact
    pub name: Option<String>,
    pub labels: Option<Selector>,
    /// a field selector, which only the API server can read
    pub fields: Option<String>,
    /// only what runs on this pod's node
    pub same_node: bool,
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
            Scope::Default | Scope::All | Scope::Cluster => None,
        }
    }

    /// The label selector that the API is asked with. The labels of a named object are judged here: else one that does
    /// not match could not be told from none.
    pub fn queried_labels(&self) -> Option<String> {
        self.selection.labels.as_ref().filter(|_| !self.is_named()).map(ToString::to_string)
    }

    /// The field selector that asks for pods of this node, where only those count.
    pub fn on_node(&self, node: Option<&str>) -> Option<String> {
        node.filter(|_| self.selection.same_node).map(|node| format!("spec.nodeName={node}"))
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
        if let Some(fields) = &self.fields {
            write!(f, " --field-selector={fields}")?;
        }
        f.write_str(if self.same_node { " --same-node" } else { "" })
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
        let kind = Kind::namespaced("pod", "Pod", "", "v1", "pods");
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
        let crds = Kind::of_cluster("crd", "CRD", "apiextensions.k8s.io", "v1", "crds").resource;
        assert_eq!(crds.path(Some("shop")), "/apis/apiextensions.k8s.io/v1/crds");
    }

    #[test]
    fn kind_that_is_sought_is_taken_apart_as_kubectl_does() {
        let table = [
            ("Certificate.cert-manager.io", ("certificate", "cert-manager.io", "", "certificates")),
            ("certificates.v1.cert-manager.io", ("certificates", "cert-manager.io", "v1", "certificates")),
            ("policy.v1beta1.example.com", ("policy", "example.com", "v1beta1", "policies")),
            ("ingress.v1.example.com", ("ingress", "example.com", "v1", "ingresses")),
            ("widget.vast.io", ("widget", "vast.io", "", "widgets")),
            ("hpa", ("hpa", "", "", "hpas")),
        ];
        for (word, parts) in table {
            let kind = Kind::sought(word);
            let Resource { group, version, plural, .. } = &kind.resource;
            assert_eq!((kind.word(), &**group, &**version, &**plural), parts, "{word}");
        }
    }
}
