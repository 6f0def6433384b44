//! What kubelets, runtimes, registries and controllers report, as a clause that can follow a colon.
//!
//! Their messages nest (`failed to create shim task: OCI runtime create failed: …`) and no part of them is an API:
//! known forms are put in plain words, everything else is passed on, on one line and cut.

use super::TEXT;
use crate::text::{cut, without_escapes};

/// Why an image cannot be pulled. The kubelet's message is containerd's or CRI-O's, with the registry's in it; `None`
/// where it holds no cause, as in a mere `Back-off pulling image`.
pub fn image(message: &str) -> Option<String> {
    let lower = message.to_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    let known = if has(&["pull access denied", "unauthorized", "authorization failed", "401 ", "403 forbidden"]) {
        "the registry denied access, or the image does not exist"
    } else if has(&["manifest unknown", ": not found", "name unknown"]) {
        "not found"
    } else if has(&["not present with pull policy of never"]) {
        "it is not on the node, and the pull policy is Never"
    } else if has(&["invalidimagename", "couldn't parse image name", "invalid reference format"]) {
        "its name is not valid"
    } else if has(&["toomanyrequests", "429 too many requests"]) {
        "the registry's rate limit is reached"
    } else {
        return connection(message);
    };
    Some(known.to_owned())
}

/// `dial tcp: lookup registry.example: no such host` is where the chain ends when no registry answers.
fn connection(message: &str) -> Option<String> {
    let ends = ["dial tcp", "x509: ", "tls: ", "http: ", "net/http: "];
    if let Some(at) = ends.iter().filter_map(|end| message.find(end)).min() {
        return Some(one_line(&message[at..]));
    }
    let says_nothing = message.is_empty() || message.starts_with("Back-off pulling image") && !message.contains(": ");
    (!says_nothing).then(|| one_line(message))
}

/// Why a container or a volume cannot be made.
pub fn start(message: &str) -> String {
    let command = quoted_after(message, "exec: ");
    if let Some(command) = command {
        if message.contains("executable file not found") || message.contains("no such file or directory") {
            return format!("its image has no `{command}`");
        }
        if message.contains("permission denied") {
            return format!("`{command}` is not executable");
        }
        if message.contains("exec format error") {
            return format!("`{command}` is built for a different CPU architecture, or has no #! line");
        }
    }
    if message.contains("exec format error") {
        return "its program is built for a different CPU architecture, or has no #! line".to_owned();
    }
    for (noun, kind) in
        [("configmap", "ConfigMap"), ("secret", "Secret"), ("persistentvolumeclaim", "PersistentVolumeClaim")]
    {
        if let Some(name) = quoted_after(message, &format!("{noun} ")).filter(|_| message.contains("not found")) {
            return format!("{kind} {name} does not exist");
        }
    }
    one_line(message)
}

/// `shop` after `secret ` in `secret "shop" not found`.
fn quoted_after<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let at = message.find(&format!("{before}\""))? + before.len() + 1;
    message[at..].split('"').next()
}

/// Why the scheduler finds no node: its first sentence. What follows is about preemption.
pub fn scheduling(message: &str) -> String {
    let first = message.split_once(". ").map_or(message, |(first, _)| first);
    one_line(first.trim_end_matches('.'))
}

/// An event's message. A refused pod's name is made up anew each time, which would make every event a new one.
pub fn event(reason: &str, message: &str) -> String {
    if reason == "FailedScheduling" {
        return scheduling(message);
    }
    // A StatefulSet's controller names the pod once more before.
    let message = message.split_once(" failed error: ").map_or(message, |(_, why)| why);
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    let refused = message.strip_prefix("pods \"").and_then(|rest| rest.split_once("\" is forbidden: "));
    one_line(refused.map_or(message, |(_, why)| why))
}

/// What a probe's event says, to go on in a sentence.
pub fn probe(message: &str) -> String {
    let message = one_line(message);
    let mut chars = message.chars();
    chars.next().map_or(String::new(), |first| format!("{}{}", first.to_lowercase(), chars.as_str()))
}

/// One line, no full stop, not too long.
pub fn one_line(message: &str) -> String {
    let plain = without_escapes(message);
    let words: Vec<&str> = plain.split_whitespace().collect();
    cut(words.join(" ").trim_end_matches(['.', ':', ' ']), TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_fail_for_reasons_in_plain_words() {
        let table = [
            (
                "failed to pull and unpack image \"r.example/app:v3\": failed to resolve reference \"r.example/app:v3\": \
                 r.example/app:v3: not found",
                Some("not found"),
            ),
            ("reading manifest v3 in r.example/app: manifest unknown", Some("not found")),
            (
                "failed to resolve reference \"docker.io/library/x:1\": pull access denied, repository does not exist or \
                 may require authorization: server message: insufficient_scope: authorization failed",
                Some("the registry denied access, or the image does not exist"),
            ),
            (
                "failed to do request: Head \"https://r.example/v2/app/manifests/v3\": dial tcp: lookup r.example on \
                 10.96.0.10:53: no such host",
                Some("dial tcp: lookup r.example on 10.96.0.10:53: no such host"),
            ),
            ("Back-off pulling image \"r.example/app:v3\"", None),
            ("", None),
        ];
        for (message, cause) in table {
            assert_eq!(image(message).as_deref(), cause, "{message}");
        }
    }

    #[test]
    fn a_start_fails_for_reasons_in_plain_words() {
        let runc = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
                    failed: unable to start container process: error during container init: ";
        let table = [
            (format!("{runc}exec: \"nope\": executable file not found in $PATH"), "its image has no `nope`"),
            (format!("{runc}exec: \"/a/b\": stat /a/b: no such file or directory"), "its image has no `/a/b`"),
            (format!("{runc}exec: \"/etc/hosts\": permission denied"), "`/etc/hosts` is not executable"),
            ("configmap \"settings\" not found".to_owned(), "ConfigMap settings does not exist"),
            (
                "MountVolume.SetUp failed for volume \"tls\" : secret \"tls\" not found".to_owned(),
                "Secret tls does not exist",
            ),
            ("couldn't find key a in ConfigMap shop/b".to_owned(), "couldn't find key a in ConfigMap shop/b"),
            ("two\nlines.\n".to_owned(), "two lines"),
        ];
        for (message, cause) in table {
            assert_eq!(start(&message), cause, "{message}");
        }
    }

    #[test]
    fn refused_pods_are_told_without_their_changing_names() {
        let message = "Error creating: pods \"migrate-tr5zs\" is forbidden: exceeded quota: few, requested: pods=1";
        assert_eq!(event("FailedCreate", message), "exceeded quota: few, requested: pods=1");
    }
}
