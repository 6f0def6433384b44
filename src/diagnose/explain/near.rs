//! A Service with no pod behind it: which pods its selector may have meant.

use std::collections::BTreeMap;

use crate::text::count;

/// The labels that a Service selects by, and the pods of its namespace.
#[derive(Debug, Clone, Default)]
pub struct Near {
    pub namespace: String,
    pub wanted: BTreeMap<String, String>,
    /// by name and labels
    pub pods: Vec<(String, BTreeMap<String, String>)>,
    /// there are more
    pub is_part: bool,
}

/// How alike two values have to be if no label is the same.
const ALIKE: f64 = 0.5;

/// `closest: pod db-0 with app=database`
pub fn headline(near: &Near) -> Option<String> {
    let Near { namespace, wanted, pods, is_part } = near;
    // One that has ended matches, too, and is no help.
    let others = pods.iter().filter(|(_, labels)| wanted.iter().any(|(key, value)| labels.get(key) != Some(value)));
    let rated = others.map(|(name, labels)| (likeness(wanted, name, labels), name, labels));
    let nearest = rated.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, ..)| *likeness >= ALIKE);
    match nearest {
        Some((_, name, labels)) => Some(format!("closest: pod {name} with {}", different(wanted, labels))),
        None if *is_part => None,
        None if pods.is_empty() => Some(format!("no pod exists in namespace {namespace}")),
        None => Some(format!("none of the {} in namespace {namespace} has similar labels", count(pods.len(), "pod"))),
    }
}

/// How many labels are the same, and how near the others come; or the pod's name does.
fn likeness(wanted: &BTreeMap<String, String>, name: &str, labels: &BTreeMap<String, String>) -> f64 {
    let alike = |(key, value): (&String, &String)| {
        let by_label = labels.get(key).map_or(0.0, |other| strsim::normalized_damerau_levenshtein(value, other));
        let by_name = name.strip_prefix(value.as_str()).is_some_and(|rest| rest.starts_with('-'));
        if by_name { by_label.max(ALIKE) } else { by_label }
    };
    wanted.iter().map(alike).sum()
}

/// `app=database and no tier`
fn different(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> String {
    let differing = wanted.iter().filter(|(key, value)| labels.get(*key) != Some(value));
    let parts = differing.map(|(key, _)| match labels.get(key) {
        Some(other) => format!("{key}={other}"),
        None => format!("no {key}"),
    });
    parts.collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn pod_whose_labels_are_nearest_is_named() {
        let table = [
            ("app=db", &[("web-0", "app=web"), ("db-0", "app=db2")][..], "closest: pod db-0 with app=db2"),
            ("app=db,tier=back", &[("db-0", "app=db")], "closest: pod db-0 with no tier"),
            ("app=db,tier=back", &[("a", "app=db"), ("b", "app=db,tier=front")], "closest: pod b with tier=front"),
            ("app=db", &[("web-0", "app=web"), ("x", "")], "none of the 2 pods in namespace shop has similar labels"),
            ("app=db", &[("web-0", "app=web"), ("db-0", "app=database")], "closest: pod db-0 with app=database"),
            ("app=db", &[("done", "app=db")], "none of the 1 pod in namespace shop has similar labels"),
            ("app=db", &[], "no pod exists in namespace shop"),
        ];
        for (wanted, pods, said) in table {
            let pods = pods.iter().map(|(name, text)| ((*name).to_owned(), labels(text))).collect();
            let near = Near { namespace: "shop".to_owned(), wanted: labels(wanted), pods, is_part: false };
            assert_eq!(headline(&near).as_deref(), Some(said), "{wanted}");
        }
    }
}
