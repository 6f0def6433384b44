//! The message that a container leaves behind: the kubelet keeps it in the pod's status, also for exit code 0.
//!
//! Every success leaves a mark, one line a target, which later pods of the same revision take as proof once the Job
//! itself is gone (`proof`). After the marks, or alone where there is no success, stands what a person should read.

use std::fs::OpenOptions;
use std::io::Write;

use crate::target::Target;

/// What the kubelet reads of one container's message, in bytes; a pod's share is 12 KiB, the same for its containers:
/// `MaxContainerTerminationMessageLength` in kubernetes' `pkg/kubelet/container/runtime.go`.
const LIMIT: usize = 4096;
const PATH: &str = "/dev/termination-log";
const MARK: &str = "k8s-wait-for/1 ready";

/// The mark of a target's success. `uids` are those of its Jobs; more than a few say no more than the first ones.
pub fn mark(target: &Target, uids: &[String]) -> String {
    format!("{}{}", mark_without_uids(target), uids.iter().take(8).cloned().collect::<Vec<_>>().join(","))
}

fn mark_without_uids(target: &Target) -> String {
    let namespace = target.namespace().unwrap_or("*");
    format!("{MARK} {}/{namespace}/{} uid=", target.mode, target.selection)
}

/// The uids in the mark of this very target, if the message has one.
pub fn uids_in_mark(message: &str, target: &Target) -> Option<Vec<String>> {
    let mark = mark_without_uids(target);
    let uids = message.lines().find_map(|line| line.strip_prefix(&mark))?;
    Some(uids.split(',').map(str::to_owned).collect())
}

/// Leaves the message: marks first. It is bind-mounted and writable even where the root is read-only; outside a pod
/// there is no such file, and none is made. Errors change nothing.
pub fn leave(marks: &[String], text: &str) {
    let whole = marks.iter().map(String::as_str).chain([text]).collect::<Vec<_>>().join("\n");
    if let Ok(mut file) = OpenOptions::new().write(true).truncate(true).open(PATH) {
        let _ = file.write_all(cut(&whole).as_bytes());
    }
}

fn cut(text: &str) -> &str {
    let mut end = LIMIT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Mode, Scope, Selection};

    fn job(namespace: &str, name: &str) -> Target {
        let selection = Selection { name: Some(name.to_owned()), ..Selection::default() };
        Target { mode: Mode::Job, scope: Scope::Namespace(namespace.to_owned()), selection }
    }

    #[test]
    fn mark_is_read_back_for_the_very_same_target_only() {
        let mark = mark(&job("shop", "migrate"), &["1-2".to_owned()]);
        assert_eq!(mark, "k8s-wait-for/1 ready job/shop/migrate uid=1-2");
        let message = format!("k8s-wait-for/1 ready pod/shop/db-0 uid=\n{mark}\ndone after 8s");
        assert_eq!(uids_in_mark(&message, &job("shop", "migrate")), Some(vec!["1-2".to_owned()]));
        for other in [job("shop", "migrat"), job("shop", "migrate2"), job("other", "migrate")] {
            assert_eq!(uids_in_mark(&message, &other), None, "{other}");
        }
        let errors_too = Target { mode: Mode::JobOrFailed, ..job("shop", "migrate") };
        assert_eq!(uids_in_mark(&message, &errors_too), None);
    }

    #[test]
    fn message_is_cut_between_characters() {
        let text = "ä".repeat(LIMIT);
        assert_eq!(cut(&text).len(), LIMIT);
        assert_eq!(cut(&format!("a{text}")).len(), LIMIT - 1);
    }
}
