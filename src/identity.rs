//! Who this program is, when it runs in a pod: read from what the kubelet has mounted.
//!
//! Never from the host name, which `hostNetwork` and its limit of 63 characters make wrong.

use std::fs;

/// The pod and the container that this program runs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// the pod's `metadata.uid`
    pub pod_uid: Option<String>,
    /// the container's name in the pod
    pub container: Option<String>,
}

impl Identity {
    /// What can be told from this process's mounts; nothing at all outside a pod.
    pub fn of_this_process() -> Self {
        fs::read_to_string("/proc/self/mountinfo").map(|mounts| from_mounts(&mounts)).unwrap_or_default()
    }
}

/// The kubelet mounts `…/pods/UID/containers/NAME/ID` at `/dev/termination-log`. Columns: proc(5), root is the fourth
/// and the mount point the fifth.
fn from_mounts(mounts: &str) -> Identity {
    let source = mounts.lines().find_map(|line| {
        let mut columns = line.split(' ').skip(3);
        let (root, point) = (columns.next()?, columns.next()?);
        (point == "/dev/termination-log").then_some(root)
    });
    let parts: Vec<&str> = source.unwrap_or_default().split('/').collect();
    match parts.as_slice() {
        [.., "pods", uid, "containers", name, _] => {
            Identity { pod_uid: Some((*uid).to_owned()), container: Some((*name).to_owned()) }
        }
        _ => Identity::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_the_termination_log_names_pod_and_container() {
        let mounts = "689 665 0:62 / /proc rw,nosuid - proc proc rw\n\
            694 665 254:0 /var/lib/kubelet/pods/5c1e7a5e-83a1-4b7e-9d0a-0c9a5e1f6f11/containers/wait/6b0f9d3a \
            /dev/termination-log rw,relatime - ext4 /dev/vda rw\n";
        let identity = from_mounts(mounts);
        assert_eq!(identity.pod_uid.as_deref(), Some("5c1e7a5e-83a1-4b7e-9d0a-0c9a5e1f6f11"));
        assert_eq!(identity.container.as_deref(), Some("wait"));
    }

    #[test]
    fn other_mounts_name_nobody() {
        for mounts in ["", "\n", "1 2 3", "1 2 0:1 /somewhere /dev/termination-log rw - ext4 /dev/vda rw"] {
            assert_eq!(from_mounts(mounts), Identity::default(), "{mounts:?}");
        }
    }
}
