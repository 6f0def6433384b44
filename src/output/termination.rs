//! The message that a container leaves behind: the kubelet keeps it in the pod's status, also for exit code 0.
//!
//! First the marks of a success (`mark`), then, or alone where there is none, what a person should read.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::identity;
use crate::text::within;

/// What the kubelet reads of one container's message, in bytes; of a longer file it reads the end:
/// `MaxContainerTerminationMessageLength` in kubernetes' `pkg/kubelet/container/runtime.go`.
const LIMIT: usize = 4096;
/// Where it is looked for unless the pod says otherwise (`terminationMessagePath`).
const DEFAULT_PATH: &str = "/dev/termination-log";

/// Leaves the message: marks first, then what a person should read, most important first, then as much of the end of a
/// log as there is room for. It is bind-mounted and writable even where the root is read-only; outside a pod there is
/// no such file, and none is made. Errors change nothing.
pub fn leave(marks: &[String], lines: &[String], log: &[String]) {
    let mounts = fs::read_to_string(identity::MOUNTS).unwrap_or_default();
    let path = identity::mounted(&mounts).map_or_else(|| DEFAULT_PATH.to_owned(), |mounted| mounted.message_path);
    if let Ok(mut file) = OpenOptions::new().write(true).truncate(true).open(path) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
