//! Targets → the smallest Role and binding for their wait, as YAML for `kubectl apply -f -`.
//!
//! Pure text. What a request needs comes from the same rows as the request itself (`kinds`), so that they cannot drift.
//! Without `-n` no namespace is written: the Role goes wherever it is applied, and the service account is the one
//! beside it (an empty namespace of a subject is the binding's own: `pkg/registry/rbac/validation/rule.go` in
//! kubernetes).

use std::collections::BTreeSet;
use std::fmt;

use crate::kinds::{self, EVENTS, FOLLOW, POD_LOGS, PODS, Read, WRITE};
use crate::target::{Resource, Scope, Target};

/// What the Role is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// what is waited for
    pub targets: Vec<Target>,
    /// who waits
    pub subject: Subject,
    /// with what explanations read
    pub explain: bool,
    /// with the logs that an explanation reads
    pub logs: bool,
    /// with what `--events` writes
    pub events: bool,
}

/// Who is to be given the Role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Of the pod that waits; without a namespace it is wherever the Role is applied.
    ServiceAccount {
        /// where it is
        namespace: Option<String>,
        /// its name
        name: String,
    },
    /// Anybody else, by the name that the API server has for them.
    User(String),
}

impl Subject {
    /// The one that the API server names when it refuses: `… User "system:serviceaccount:shop:default" cannot …`.
    pub fn in_refusal(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("User \"")?;
        let (user, _) = rest.split_once('"')?;
        let account = user.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
        Some(match account {
            Some((namespace, name)) => {
                Self::ServiceAccount { namespace: Some(namespace.to_owned()), name: name.to_owned() }
            }
            None => Self::User(user.to_owned()),
        })
    }

    fn namespace(&self) -> Option<&String> {
        match self {
            Self::ServiceAccount { namespace, .. } => namespace.as_ref(),
            Self::User(_) => None,
        }
    }
}

/// What is read where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    scope: Scope,
    resource: Resource,
    verbs: &'static [&'static str],
    /// whether it is limited to the names
    named: bool,
}

/// To whom a rule is of use.
#[derive(Debug, Default)]
struct Use {
    names: BTreeSet<String>,
    reasons: Vec<String>,
}

/// In the order of their weight: what the wait needs, what proves that a Job has completed, what explains.
type Rules = Vec<(Rule, Use)>;

/// The Role is for other namespaces than the service account's, which has to be told then.
#[derive(Debug, PartialEq, Eq)]
pub struct Homeless {
    service_account: String,
}

impl fmt::Display for Homeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem =
            "the Role also covers other namespaces, so the binding needs the namespace of the service account";
        write!(f, "{problem}\nhint: `--service-account NAMESPACE:{}`", self.service_account)
    }
}

/// The YAML, one Role and RoleBinding for each namespace, a `ClusterRole` for all of them.
///
/// # Errors
/// Targets elsewhere need to know where the service account is.
pub fn yaml(request: &Request) -> Result<String, Homeless> {
    let rules = rules(request);
    let mut scopes: Vec<&Scope> = Vec::new();
    for (rule, _) in &rules {
        if !scopes.contains(&&rule.scope) {
            scopes.push(&rule.scope);
        }
    }
    let mut documents = Vec::new();
    for scope in scopes {
        documents.push(role(request, scope, &rules)?);
        documents.push(binding(request, scope)?);
    }
    Ok(documents.join("---\n"))
}

fn rules(request: &Request) -> Rules {
    let mut rules = Rules::new();
    for target in &request.targets {
        wait_rules(&mut rules, target);
    }
    // Only a pod has siblings whose word counts.
    let in_pod = matches!(request.subject, Subject::ServiceAccount { .. });
    for target in request.targets.iter().filter(|target| in_pod && kinds::leaves_mark(target)) {
        let why = format!("{target}, once it is gone: other pods that waited for it");
        add(&mut rules, &own_scope(request), &PODS, None, FOLLOW, why);
    }
    for target in request.targets.iter().filter(|_| request.explain) {
        explain_rules(&mut rules, target, request.logs);
    }
    if request.events {
        add(&mut rules, &own_scope(request), &EVENTS, None, WRITE, "--events, on the waiting pod".to_owned());
    }
    absorb(rules)
}

/// A rule that another one holds anyway is left out; its reasons stay.
fn absorb(rules: Rules) -> Rules {
    let holds = |whole: &Rule, part: &Rule| {
        let verbs = part.verbs.iter().all(|verb| whole.verbs.contains(verb));
        whole != part && whole.scope == part.scope && whole.resource == part.resource && !whole.named && verbs
    };
    // What is limited to names never holds what is not, so one pass is enough.
    let wholes: Vec<Rule> = rules.iter().map(|(rule, _)| rule.clone()).collect();
    let mut absorbed = Rules::new();
    for (rule, used) in rules {
        let whole = wholes.iter().find(|whole| holds(whole, &rule)).unwrap_or(&rule);
        let into = entry(&mut absorbed, whole.clone());
        into.names.extend(used.names);
        into.reasons.extend(used.reasons);
    }
    absorbed
}

fn entry(rules: &mut Rules, rule: Rule) -> &mut Use {
    let index = rules.iter().position(|(other, _)| *other == rule).unwrap_or_else(|| {
        rules.push((rule, Use::default()));
        rules.len() - 1
    });
    &mut rules[index].1
}

/// Where the waiting pod is.
fn own_scope(request: &Request) -> Scope {
    request.subject.namespace().cloned().map_or(Scope::Default, Scope::Namespace)
}

fn wait_rules(rules: &mut Rules, target: &Target) {
    let name = target.selection.name.as_deref();
    let guess = if target.kind.is_sought() { " (its plural is a guess: check `kubectl api-resources`)" } else { "" };
    add(rules, &scope(target), &target.kind.resource, name, FOLLOW, format!("{target}{guess}"));
    for read in kinds::reads(target) {
        add(rules, &scope(target), resource(target, read), None, read.verbs, format!("{target}{}", read.why));
    }
}

/// What is in no namespace needs a `ClusterRole`, as what is in all of them does.
fn scope(target: &Target) -> Scope {
    if target.scope == Scope::Cluster { Scope::All } else { target.scope.clone() }
}

fn resource<'a>(target: &'a Target, read: &'a Read) -> &'a Resource {
    read.resource.unwrap_or(&target.kind.resource)
}

fn explain_rules(rules: &mut Rules, target: &Target, logs: bool) {
    for read in kinds::explained_by(target).iter().filter(|read| logs || read.resource != Some(&POD_LOGS)) {
        let why = format!("to explain why {target} is blocked: {}", read.why);
        add(rules, &scope(target), resource(target, read), None, read.verbs, why);
    }
}

fn add(
    rules: &mut Rules,
    scope: &Scope,
    resource: &Resource,
    name: Option<&str>,
    verbs: &'static [&'static str],
    why: String,
) {
    let rule = Rule { scope: scope.clone(), resource: resource.clone(), verbs, named: name.is_some() };
    let used = entry(rules, rule);
    used.names.extend(name.map(str::to_owned));
    if !used.reasons.contains(&why) {
        used.reasons.push(why);
    }
}

fn role(request: &Request, scope: &Scope, rules: &Rules) -> Result<String, Homeless> {
    let kind = if *scope == Scope::All { "ClusterRole" } else { "Role" };
    let rules: Vec<String> =
        rules.iter().filter(|(rule, _)| rule.scope == *scope).map(|(rule, used)| rule_text(rule, used)).collect();
    Ok(format!("{}rules:\n{}", head(request, kind, scope)?, rules.concat()))
}

fn binding(request: &Request, scope: &Scope) -> Result<String, Homeless> {
    let kind = if *scope == Scope::All { "ClusterRole" } else { "Role" };
    let head = head(request, &format!("{kind}Binding"), scope)?;
    let name = name(request, scope)?;
    let subject = match &request.subject {
        Subject::ServiceAccount { namespace, name } => {
            let namespace = namespace.as_ref().map_or_else(String::new, |it| format!("    namespace: {it:?}\n"));
            format!("  - kind: ServiceAccount\n    name: {name:?}\n{namespace}")
        }
        Subject::User(name) => {
            format!("  - apiGroup: rbac.authorization.k8s.io\n    kind: User\n    name: {name:?}\n")
        }
    };
    Ok(format!(
        "{head}roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {name:?}\nsubjects:\n{subject}"
    ))
}

fn head(request: &Request, kind: &str, scope: &Scope) -> Result<String, Homeless> {
    let name = name(request, scope)?;
    let namespace = match scope {
        Scope::Namespace(namespace) => format!("  namespace: {namespace:?}\n"),
        Scope::Default | Scope::All | Scope::Cluster => String::new(),
    };
    Ok(format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name:?}\n{namespace}"))
}

/// Two service accounts that wait must not overwrite each other's Role, nor those of two namespaces in a third one.
fn name(request: &Request, scope: &Scope) -> Result<String, Homeless> {
    let (home, name) = match &request.subject {
        Subject::ServiceAccount { namespace, name } => (namespace.as_deref(), name),
        Subject::User(_) => return Ok("k8s-wait-for".to_owned()),
    };
    match (scope, home) {
        (Scope::Default, _) => Ok(format!("k8s-wait-for-{name}")),
        (Scope::Namespace(namespace), Some(home)) if namespace == home => Ok(format!("k8s-wait-for-{name}")),
        (_, Some(home)) => Ok(format!("k8s-wait-for-{home}-{name}")),
        (_, None) => Err(Homeless { service_account: name.clone() }),
    }
}

/// Names are quoted: `1.0` would be a number.
fn rule_text(rule: &Rule, used: &Use) -> String {
    let reasons: Vec<String> = used.reasons.iter().map(|reason| format!("  # {reason}\n")).collect();
    let names: Vec<String> = used.names.iter().map(|name| format!("{name:?}")).collect();
    let names = if rule.named { format!("    resourceNames: [{}]\n", names.join(", ")) } else { String::new() };
    let Resource { group, plural, .. } = &rule.resource;
    let verbs = rule.verbs.join(", ");
    format!("{}  - apiGroups: [{group:?}]\n    resources: [{plural}]\n{names}    verbs: [{verbs}]\n", reasons.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{job, pod};
    use crate::target::{Demand, Kind, Selection};

    fn named(scope: Scope, kind: &Kind, name: &str) -> Target {
        let selection = Selection { name: Some(name.to_owned()), ..Selection::default() };
        Target { kind: kind.clone(), demand: Demand::Every, scope, selection }
    }

    fn request(targets: Vec<Target>, namespace: Option<&str>) -> Request {
        let subject = Subject::ServiceAccount { namespace: namespace.map(str::to_owned), name: "shop".to_owned() };
        Request { targets, subject, explain: false, logs: true, events: false }
    }

    #[test]
    fn job_by_name_needs_that_name_and_the_pods_that_prove_it() {
        let yaml =
            yaml(&request(vec![named(Scope::Default, &job::ROW.kind, "migrate-1.0.0")], None)).expect("it is whole");
        assert_eq!(
            yaml,
            r#"apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: "k8s-wait-for-shop"
rules:
  # job/migrate-1.0.0
  - apiGroups: ["batch"]
    resources: [jobs]
    resourceNames: ["migrate-1.0.0"]
    verbs: [list, watch]
  # job/migrate-1.0.0, once it is gone: other pods that waited for it
  - apiGroups: [""]
    resources: [pods]
    verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: "k8s-wait-for-shop"
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: "k8s-wait-for-shop"
subjects:
  - kind: ServiceAccount
    name: "shop"
"#
        );
    }

    #[test]
    fn events_are_written_only_where_that_is_wanted() {
        let without = request(vec![named(Scope::Default, &pod::ROW.kind, "db-0")], None);
        let with = Request { events: true, ..without.clone() };
        assert!(!yaml(&without).expect("it is whole").contains("create"));
        let rule = "  # --events, on the waiting pod\n  - apiGroups: [\"\"]\n    resources: [events]\n    verbs: [create, patch]\n";
        assert!(yaml(&with).expect("it is whole").contains(rule));
    }

    #[test]
    fn names_of_one_kind_share_a_rule() {
        let targets = ["b", "a"].map(|name| named(Scope::Default, &pod::ROW.kind, name)).to_vec();
        let yaml = yaml(&request(targets, None)).expect("it is whole");
        assert!(yaml.contains("  # pod/b\n  # pod/a\n"), "{yaml}");
        assert!(yaml.contains(r#"resourceNames: ["a", "b"]"#), "{yaml}");
    }

    #[test]
    fn target_elsewhere_binds_the_service_account_where_it_is() {
        let elsewhere = || vec![named(Scope::Namespace("data".to_owned()), &pod::ROW.kind, "db-0")];
        let yaml = yaml(&request(elsewhere(), Some("shop"))).expect("it is whole");
        assert!(yaml.contains("  name: \"k8s-wait-for-shop-shop\"\n  namespace: \"data\"\n"), "{yaml}");
        assert!(yaml.contains("    name: \"shop\"\n    namespace: \"shop\"\n"), "{yaml}");
        let error = super::yaml(&request(elsewhere(), None)).expect_err("nobody knows whom to bind");
        assert!(error.to_string().contains("hint: `--service-account NAMESPACE:shop`"), "{error}");
    }

    #[test]
    fn refusal_names_the_subject() {
        let refusal = |user: &str| format!("jobs is forbidden: User \"{user}\" cannot list resource \"jobs\"");
        let account = Subject::ServiceAccount { namespace: Some("shop".to_owned()), name: "web".to_owned() };
        assert_eq!(Subject::in_refusal(&refusal("system:serviceaccount:shop:web")), Some(account));
        assert_eq!(Subject::in_refusal(&refusal("jane")), Some(Subject::User("jane".to_owned())));
        assert_eq!(Subject::in_refusal("access denied by policy"), None);
    }

    #[test]
    fn all_namespaces_need_a_cluster_role() {
        let target = Target {
            kind: pod::ROW.kind.clone(),
            demand: Demand::Every,
            scope: Scope::All,
            selection: Selection::default(),
        };
        let yaml = yaml(&request(vec![target], Some("shop"))).expect("it is whole");
        assert!(yaml.contains("kind: ClusterRole\n") && yaml.contains("kind: ClusterRoleBinding\n"), "{yaml}");
    }
}
