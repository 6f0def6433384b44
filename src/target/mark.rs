//! The mark that a success leaves, and how it is read back: later pods of the same revision take it as proof once the
//! Job itself is gone (`proof`).
//!
//! A line a target, `k8s-wait-for/1 ready job/shop/migrate uid=…`; where that is too much, one line for all of them.
//! Which targets leave one is their kind's to say.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

use super::Target;

/// What marks may take of a container's message, in bytes. The kubelet cuts what the containers of a pod say to 12 KiB
/// in all, divided among them (`normalizeStatus` in kubernetes' `pkg/kubelet/status/status_manager.go`).
const LIMIT: usize = 1024;
const VERSION: &str = "k8s-wait-for/1";
/// How many uids of a selector's Jobs are named; more say no more.
const UIDS: usize = 8;

/// The marks of targets that leave one, each with the uids of its Jobs.
pub fn lines<'a>(ready: impl IntoIterator<Item = (&'a Target, &'a [String])>) -> Vec<String> {
    let ready: Vec<_> = ready.into_iter().collect();
    let line = |(target, uids): &(&Target, &[String])| {
        let uids: Vec<&str> = uids.iter().take(UIDS).map(String::as_str).collect();
        format!("{} uid={}", bare(target), uids.join(","))
    };
    let lines: Vec<String> = ready.iter().map(line).collect();
    let length: usize = lines.iter().map(|line| line.len() + 1).sum();
    if length <= LIMIT { lines } else { vec![of_all(ready.into_iter().map(|(target, _)| target))] }
}

/// What a pod looks for in the messages of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// of this very target
    line: String,
    /// of the whole wait
    all: String,
}

impl Sought {
    /// The mark of one of a wait's targets; `targets` are all of them that leave one.
    pub fn new<'a>(target: &Target, targets: impl IntoIterator<Item = &'a Target>) -> Self {
        Self { line: format!("{} uid=", bare(target)), all: of_all(targets) }
    }

    /// The uids that the mark in a message names, none where it is one for the whole wait; `None` without a mark. A
    /// line without its end may have been cut.
    pub fn uids_in(&self, message: &str) -> Option<Vec<String>> {
        let mut lines = message.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.find_map(|line| match line.strip_prefix(&self.line) {
            Some(uids) => Some(uids.split(',').map(str::to_owned).collect()),
            None => (line == self.all).then(Vec::new),
        })
    }
}

fn bare(target: &Target) -> String {
    let namespace = target.namespace().unwrap_or("*");
    format!("{VERSION} ready {}/{namespace}/{}", target.mode(), target.selection)
}

/// SHA-256 over the sorted lines, the first 16 bytes of it.
fn of_all<'a>(targets: impl IntoIterator<Item = &'a Target>) -> String {
    let mut lines: Vec<String> = targets.into_iter().map(bare).collect();
    lines.sort();
    let digest = digest(&SHA256, lines.join("\n").as_bytes());
    let hex = digest.as_ref()[..16].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("{VERSION} all={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Demand, Kind, Scope, Selection};

    fn job(namespace: &str, name: &str) -> Target {
        let kind = Kind::namespaced("job", "Job", "batch", "v1", "jobs");
        let selection = Selection { name: Some(name.to_owned()), ..Selection::default() };
        Target { kind, demand: Demand::Every, scope: Scope::Namespace(namespace.to_owned()), selection }
    }

    fn message(lines: &[String]) -> String {
        format!("{}\ndone after 8s", lines.join("\n"))
    }

    #[test]
    fn mark_is_read_back_for_the_very_same_target_only() {
        let target = job("shop", "migrate");
        let lines = lines([(&target, &["1-2".to_owned()][..])]);
        assert_eq!(lines, ["k8s-wait-for/1 ready job/shop/migrate uid=1-2"]);
        let message = format!("k8s-wait-for/1 ready job/shop/other uid=\nk8s-wait-for/2 new\n{}", message(&lines));
        assert_eq!(Sought::new(&target, [&target]).uids_in(&message), Some(vec!["1-2".to_owned()]));
        for other in [job("shop", "migrat"), job("shop", "migrate2"), job("other", "migrate")] {
            assert_eq!(Sought::new(&other, [&other]).uids_in(&message), None, "{other}");
        }
    }

    #[test]
    fn line_that_was_cut_is_no_mark() {
        let target = job("shop", "migrate");
        let sought = Sought::new(&target, [&target]);
        for cut in ["k8s-wait-for/1 ready job/shop/migrate uid=1-", "k8s-wait-for/1 ready job/shop/migrate"] {
            assert_eq!(sought.uids_in(cut), None, "{cut}");
        }
    }

    #[test]
    fn many_targets_share_one_mark_that_proves_each_of_an_identical_list() {
        let targets: Vec<Target> = (0..40).map(|number| job("shop", &format!("migrate-{number}"))).collect();
        let uids = ["9e374d28-ab8b-4e9c-b244-024b8ec7e2ca".to_owned()];
        let lines = lines(targets.iter().map(|target| (target, &uids[..])));
        let [line] = lines.as_slice() else { panic!("one line for all: {lines:?}") };
        assert!(line.starts_with("k8s-wait-for/1 all=") && line.len() == "k8s-wait-for/1 all=".len() + 32, "{line}");
        let message = message(&lines);
        for target in &targets {
            let sought = Sought::new(target, targets.iter().rev());
            assert_eq!(sought.uids_in(&message), Some(Vec::new()), "{target}");
        }
        assert_eq!(Sought::new(&targets[0], &targets[1..]).uids_in(&message), None, "of another list");
    }

    #[test]
    fn marks_stay_within_their_limit() {
        let uids = ["9e374d28-ab8b-4e9c-b244-024b8ec7e2ca".to_owned()];
        for number in 1..60 {
            let targets: Vec<Target> = (0..number).map(|number| job("shop", &format!("migrate-{number:06}"))).collect();
            let lines = lines(targets.iter().map(|target| (target, &uids[..])));
            assert!(lines.iter().map(|line| line.len() + 1).sum::<usize>() <= LIMIT, "{number}");
            // One line has 86 bytes here, with its end: 12 of them would be 1,032.
            assert_eq!(lines.len(), if number <= 11 { number } else { 1 }, "as many as fit: {lines:?}");
        }
    }
}
