//! A target of which nothing is there: a name that was mistyped, a selector that matches nothing, a hook that cannot
//! run.

use std::collections::BTreeMap;

use crate::kinds::is_final;
use crate::target::{Scope, Target};
use crate::text::count;

/// What was found out where nothing is there.
#[derive(Debug, Clone, Default)]
pub struct Instead {
    /// what there is of its kind instead, `None` where that could not be looked at
    pub names: Option<Names>,
    /// there is a `Completed` event of a Job of this name
    pub has_completed: bool,
    /// its namespace does not exist
    pub namespace: Option<NoNamespace>,
    /// this program's own pod, looked at when the target has been missing for long
    pub own: Option<Own>,
    /// that pod may not be looked at
    pub is_own_hidden: bool,
}

/// A namespace that does not exist, and the nearest one that does, where that could be looked at.
#[derive(Debug, Clone, Default)]
pub struct NoNamespace {
    pub names: Vec<String>,
}

/// The names of all objects of the kind.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// the first of them
    pub some: Vec<String>,
    /// how many there are
    pub total: usize,
}

/// How this program's own pod was made.
#[derive(Debug, Clone, Default)]
pub struct Own {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// What may have been meant, or what there is.
pub fn headline(target: &Target, missing: &Instead) -> Option<String> {
    if let (Some(NoNamespace { names }), Some(namespace)) = (&missing.namespace, target.namespace()) {
        let near = nearest(namespace, names).map_or_else(String::new, |near| format!("; did you mean `-n {near}`?"));
        return Some(format!("namespace {namespace} does not exist{near}"));
    }
    if missing.has_completed {
        // Not that very Job: one of this name may be yet to come, so it proves nothing. But the name is right.
        return Some("an earlier Job of this name completed".to_owned());
    }
    // One of this very name has come meanwhile.
    let is_there = |names: &&Names| target.selection.name.as_ref().is_some_and(|name| names.some.contains(name));
    missing.names.as_ref().filter(|names| !is_there(names)).and_then(|names| instead(target, names))
}

fn instead(target: &Target, names: &Names) -> Option<String> {
    let noun = target.kind.noun();
    let place = match &target.scope {
        Scope::Namespace(namespace) => format!("in namespace {namespace}"),
        Scope::Default | Scope::All => "in any namespace".to_owned(),
        Scope::Cluster => "in the cluster".to_owned(),
    };
    let Some(wanted) = &target.selection.name else {
        // Every object was meant, and some have come meanwhile.
        if target.selection.labels.is_none() && target.selection.fields.is_none() && names.total > 0 {
            return None;
        }
        return Some(match names.total {
            0 => format!("no {noun} exists {place}"),
            1 => format!("the only {noun} {place} does not match"),
            total => format!("none of the {} {place} matches", count(total, &noun)),
        });
    };
    Some(match nearest(wanted, &names.some) {
        Some(near) => format!("did you mean `{}/{near}`?", target.mode()),
        None if names.total == 0 => format!("no {noun} exists {place}"),
        None if names.total == 1 => format!("the only {noun} {place} is {}", names.some.concat()),
        None => format!("none of the {} {place} has a similar name", count(names.total, &noun)),
    })
}

/// A release's prefix or suffix, or a slip of the finger.
fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    let likeness = |name: &str| {
        let (short, long) = if wanted.len() < name.len() { (wanted, name) } else { (name, wanted) };
        // Helm puts the release before the name, people leave it out.
        let is_stem = long.strip_prefix(short).is_some_and(|rest| rest.starts_with('-'));
        let within = short.len() >= 4 && long.contains(short) || is_stem;
        let slip = short.len() >= 2 && strsim::damerau_levenshtein(wanted, name) == 1;
        let likeness = strsim::normalized_damerau_levenshtein(wanted, name);
        // A longer part that is the same says more than a slip in a short name.
        if within {
            likeness.max(0.9)
        } else if slip {
            likeness.max(0.7)
        } else {
            likeness
        }
    };
    let rated = names.iter().map(|name| (likeness(name), name.as_str()));
    rated.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness >= 0.7).map(|(_, name)| name)
}

/// The deadlock of charts: a hook that runs only after what waits for it.
pub fn hint(target: &Target, missing: &Instead) -> Option<String> {
    if !is_final(target) {
        return None;
    }
    if missing.is_own_hidden {
        return Some(format!(
            "hint: if {target} is a hook that Helm or Argo CD runs only after this workload is ready, each waits for the \
             other forever: run it before (pre-install, pre-upgrade; PreSync)"
        ));
    }
    let own = missing.own.as_ref()?;
    let has = |key: &str, value: &str| own.labels.get(key).is_some_and(|it| it == value);
    let helm = own.labels.contains_key("helm.sh/chart")
        || has("app.kubernetes.io/managed-by", "Helm")
        || has("heritage", "Helm")
        || own.annotations.keys().any(|key| key.starts_with("meta.helm.sh/"));
    let argo = own.labels.keys().chain(own.annotations.keys()).any(|key| key.starts_with("argocd.argoproj.io/"));
    if argo {
        return Some(format!(
            "hint: Argo CD created this pod. If {target} is a PostSync hook, it runs only after this workload is healthy, \
             but this workload waits for it: make it a PreSync hook, or a Sync hook of an earlier wave"
        ));
    }
    helm.then(|| {
        format!(
            "hint: Helm created this pod. If {target} is a post-install or post-upgrade hook and Helm waits (--wait, \
             --atomic), it runs only after this workload is ready, but this workload waits for it: make it a pre-install and \
             pre-upgrade hook, or no hook"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{job, pod};
    use crate::target::{Demand, Kind, Selection};

    fn target(kind: &Kind, selection: Selection) -> Target {
        let (kind, scope) = (kind.clone(), Scope::Namespace("shop".to_owned()));
        Target { kind, demand: Demand::Every, scope, selection }
    }

    fn job(name: &str) -> Target {
        let selection = Selection { name: Some(name.to_owned()), ..Selection::default() };
        target(&job::ROW.kind, selection)
    }

    fn pods(labels: &str) -> Target {
        let selection = Selection { labels: Some(labels.parse().unwrap()), ..Selection::default() };
        target(&pod::ROW.kind, selection)
    }

    fn names(names: &[&str]) -> Instead {
        let some: Vec<String> = names.iter().map(ToString::to_string).collect();
        Instead { names: Some(Names { total: some.len(), some }), ..Instead::default() }
    }

    #[test]
    fn a_mistyped_name_is_met_with_the_nearest_one() {
        let there = names(&["backup", "release1-reportportal-migrations", "migrate-v2", "index"]);
        let table = [
            ("reportportal-migrations", "did you mean `job/release1-reportportal-migrations`?"),
            ("reportportal-migration", "did you mean `job/release1-reportportal-migrations`?"),
            ("migrate-v3", "did you mean `job/migrate-v2`?"),
            ("bakcup", "did you mean `job/backup`?"),
            ("indx", "did you mean `job/index`?"),
            ("seed", "none of the 4 Jobs in namespace shop has a similar name"),
        ];
        for (wanted, said) in table {
            assert_eq!(headline(&job(wanted), &there).as_deref(), Some(said), "{wanted}");
        }
        assert_eq!(headline(&job("dv"), &names(&["db"])).unwrap(), "did you mean `job/db`?");
        assert_eq!(headline(&job("db"), &names(&["db", "db2"])), None, "it has come meanwhile");
        assert_eq!(headline(&job("a"), &names(&[])).unwrap(), "no Job exists in namespace shop");
        assert_eq!(headline(&job("a"), &names(&["seed"])).unwrap(), "the only Job in namespace shop is seed");
    }

    #[test]
    fn a_selector_that_matches_nothing_is_met_with_a_count() {
        let fourteen = Instead { names: Some(Names { some: Vec::new(), total: 14 }), ..Instead::default() };
        assert_eq!(headline(&pods("app=x"), &fourteen).unwrap(), "none of the 14 pods in namespace shop matches");
        assert_eq!(headline(&pods("app=x"), &Instead::default()), None);
    }

    #[test]
    fn namespace_that_does_not_exist_comes_first() {
        let of = |names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            Instead { namespace: Some(NoNamespace { names }), ..Instead::default() }
        };
        assert_eq!(headline(&pods("app=x"), &of(&[])).unwrap(), "namespace shop does not exist");
        let said = headline(&pods("app=x"), &of(&["default", "shops"])).unwrap();
        assert_eq!(said, "namespace shop does not exist; did you mean `-n shops`?");
    }

    #[test]
    fn a_completed_job_of_before_is_told_and_nothing_made_of_it() {
        let missing = Instead { has_completed: true, ..names(&["migrate-v2"]) };
        let said = headline(&job("migrate-v3"), &missing).unwrap();
        assert_eq!(said, "an earlier Job of this name completed");
    }

    #[test]
    fn hooks_are_named_only_where_helm_or_argo_have_made_this_pod() {
        let own = |labels: &[(&str, &str)], annotations: &[(&str, &str)]| {
            let map = |pairs: &[(&str, &str)]| {
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
            };
            Instead { own: Some(Own { labels: map(labels), annotations: map(annotations) }), ..Instead::default() }
        };
        let table = [
            (own(&[("app.kubernetes.io/managed-by", "Helm")], &[]), "post-install"),
            (own(&[("helm.sh/chart", "shop-1.2.3")], &[]), "post-install"),
            (own(&[], &[("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:shop/shop")]), "PostSync"),
            (own(&[("helm.sh/chart", "shop-1.2.3"), ("argocd.argoproj.io/instance", "shop")], &[]), "PostSync"),
        ];
        for (missing, named) in table {
            assert!(hint(&job("migrate"), &missing).unwrap().contains(named), "{missing:?}");
            assert_eq!(hint(&pods("app=x"), &missing), None, "a pod is no hook");
        }
        assert_eq!(hint(&job("migrate"), &own(&[("app.kubernetes.io/managed-by", "flux")], &[])), None);
        assert_eq!(hint(&job("migrate"), &Instead::default()), None);
        let hidden = Instead { is_own_hidden: true, ..Instead::default() };
        assert!(hint(&job("migrate"), &hidden).unwrap().contains("each waits for the other forever"));
        assert_eq!(hint(&pods("app=x"), &hidden), None);
    }
}
