//! What an earlier run of this very container has left in its pod's status: when it is started again, the pods that it
//! told of may be gone.

use k8s_openapi::api::core::v1::ContainerStatus;

use crate::kinds::pod::Pod;
use crate::target::Target;

/// How such lines begin when they are told again.
pub const SAW: &str = "an earlier run of this container saw: ";

/// The last words about this target, without its name before each: the reasons, then the end of a log. Nothing of a
/// message that is about other targets, too.
pub fn last_words(own: &Pod, container: &str, target: &Target) -> Vec<String> {
    let statuses = own.status.init_container_statuses.iter().chain(&own.status.container_statuses).flatten();
    let message = statuses.filter(|status| status.name == container).find_map(left).unwrap_or_default();
    let about = format!("{target}: ");
    // The first line says how that run ended.
    let lines = message.lines().skip(1).filter(|line| !line.starts_with("k8s-wait-for/"));
    let is_of_log = |line: &str| line.starts_with("| ") || line.starts_with("last ");
    let words = lines.map(|line| match line.strip_prefix(&about) {
        Some(said) => Some(said.strip_prefix(SAW).unwrap_or(said).to_owned()),
        None => is_of_log(line).then(|| line.to_owned()),
    });
    let words: Vec<String> = words.collect::<Option<_>>().unwrap_or_default();
    words.into_iter().filter(|line| !line.starts_with("hint: ")).collect()
}

/// Just after a restart the kubelet has not told yet that the container runs again.
fn left(status: &ContainerStatus) -> Option<&str> {
    let ends = [&status.state, &status.last_state].into_iter().flatten();
    ends.filter_map(|state| state.terminated.as_ref()).find_map(|end| end.message.as_deref())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use serde_json::json;

    use super::*;
    use crate::cli;

    fn words(message: &str) -> Vec<String> {
        let status = json!({"name": "wait", "image": "", "imageID": "", "ready": false, "restartCount": 1,
            "lastState": {"terminated": {"exitCode": 1, "message": message}}});
        let pod = json!({"status": {"initContainerStatuses": [status]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let target = cli::wait(["k8s-wait-for", "job", "a"].map(OsString::from)).expect("a wait").targets.remove(0);
        last_words(&pod, "wait", &target)
    }

    #[test]
    fn reasons_and_the_log_are_told_again_once() {
        let log = "last line of container main of pod a-x7k2p:\n| ERROR no such host";
        let message = format!("failed after 21s: job/a: X\njob/a: exit code 3\njob/a: hint: try\n{log}");
        let said = ["exit code 3", "last line of container main of pod a-x7k2p:", "| ERROR no such host"];
        assert_eq!(words(&message), said);
        let again = format!("failed after 1s: job/a: X\njob/a: {SAW}exit code 3\n{log}");
        assert_eq!(words(&again), said);
    }

    #[test]
    fn message_about_other_targets_or_of_somebody_else_is_left_alone() {
        assert_eq!(words("failed after 21s\njob/a: exit code 3\njob/b: exit code 4"), [""; 0]);
        assert_eq!(words("panic: nil\ngoroutine 1 [running]:"), [""; 0]);
        assert_eq!(words(""), [""; 0]);
    }
}
