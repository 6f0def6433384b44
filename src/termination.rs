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

/// Leaves the message: marks first, then what a person should read, most important first, then as much of the end of a
/// log as there is room for. It is bind-mounted and writable even where the root is read-only; outside a pod there is no
/// such file, and none is made. Errors change nothing.
pub fn leave(marks: &[String], lines: &[String], log: &[String]) {
    if let Ok(mut file) = OpenOptions::new().write(true).truncate(true).open(PATH) {
        let _ = file.write_all(message(marks, lines, log).as_bytes());
    }
}

fn message(marks: &[String], lines: &[String], log: &[String]) -> String {
    let head = [marks, lines].concat().join("\n");
    let head = within(&head, LIMIT);
    let mut room = LIMIT - head.len();
    let mut fits = 0;
    for line in log.iter().rev() {
        let Some(left) = room.checked_sub(line.len() + 1) else { break };
        room = left;
        fits += 1;
    }
    let tail = log[log.len() - fits..].iter().map(|line| format!("\n{line}"));
    format!("{head}{}", tail.collect::<String>())
}

/// As much of the text as fits into so many bytes.
pub fn within(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
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
        assert_eq!(within(&text, LIMIT).len(), LIMIT);
        assert_eq!(within(&format!("a{text}"), LIMIT).len(), LIMIT - 1);
        assert_eq!(within("short", LIMIT), "short");
    }

    #[test]
    fn message_has_marks_then_lines_then_the_last_of_the_log_that_fits() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (marks, lines) = (texts(&["mark"]), texts(&["failed after 8s", "pod a cannot be scheduled"]));
        let log = texts(&["| first", "| second"]);
        let whole = message(&marks, &lines, &log);
        assert_eq!(whole, "mark\nfailed after 8s\npod a cannot be scheduled\n| first\n| second");

        let log: Vec<String> = (0..100).map(|number| format!("| {number:0>97}")).collect();
        let whole = message(&marks, &lines, &log);
        assert!(whole.len() <= LIMIT && whole.len() > LIMIT - 100, "{}", whole.len());
        assert!(whole.starts_with("mark\nfailed after 8s\n") && whole.ends_with("99"), "{whole}");

        let full = message(&marks, &["x".repeat(LIMIT)], &log);
        assert_eq!(full.len(), LIMIT);
    }
}
