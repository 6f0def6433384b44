//! Who this program is, when it runs in a pod: read from the token's payload and from what the kubelet has mounted.
//!
//! Never from the host name, which `hostNetwork` and its limit of 63 characters make wrong. `POD_NAME`,
//! `POD_NAMESPACE` and `CONTAINER_NAME` override; the token's signature is the API server's business.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

/// What is mounted where in this process's namespace, see proc(5).
pub const MOUNTS: &str = "/proc/self/mountinfo";
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The pod and the container that this program runs in; all of it is unknown outside a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// whether this is a pod at all
    pub in_pod: bool,
    /// the pod's namespace
    pub namespace: Option<String>,
    /// the pod's name
    pub pod: Option<String>,
    /// the pod's `metadata.uid`
    pub pod_uid: Option<String>,
    /// the container's name in the pod
    pub container: Option<String>,
    /// the service account that it runs as
    pub service_account: Option<String>,
    /// The node that the pod runs on: in tokens since Kubernetes 1.30 (`ServiceAccountTokenPodNodeInfo`), else only in
    /// `NODE_NAME`.
    pub node: Option<String>,
}

impl Identity {
    /// Of this process; `env` is its environment.
    pub fn of_this_process(env: impl Fn(&str) -> Option<String>) -> Self {
        let token = fs::read_to_string(TOKEN).unwrap_or_default();
        let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
        Self::from_parts(&token, &mounts, env)
    }

    fn from_parts(token: &str, mounts: &str, env: impl Fn(&str) -> Option<String>) -> Self {
        let claims = claims(token).unwrap_or_default();
        let (uid, container) = mounted(mounts).map(|mounted| (mounted.pod_uid, mounted.container)).unzip();
        let override_of = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        Self {
            in_pod: env("KUBERNETES_SERVICE_HOST").is_some(),
            namespace: override_of("POD_NAMESPACE").or(claims.namespace),
            pod: override_of("POD_NAME").or(claims.pod.as_ref().map(|pod| pod.name.clone())),
            pod_uid: claims.pod.map(|pod| pod.uid).or(uid),
            container: override_of("CONTAINER_NAME").or(container),
            service_account: claims.serviceaccount.map(|account| account.name),
            node: override_of("NODE_NAME").or(claims.node.map(|node| node.name)),
        }
    }
}

/// The private claims of a service account token:
/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims>.
#[derive(Debug, Default, Deserialize)]
struct Claims {
    namespace: Option<String>,
    pod: Option<Reference>,
    serviceaccount: Option<Reference>,
    node: Option<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Reference {
    name: String,
    uid: String,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Claims,
}

/// A foreign token has another payload, or is no JWT at all.
fn claims(token: &str) -> Option<Claims> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    Some(payload.kubernetes)
}

/// What the mount of a container's message tells.
#[derive(Debug, PartialEq, Eq)]
pub struct Mounted {
    pub pod_uid: String,
    /// its name in the pod
    pub container: String,
    /// the container's `terminationMessagePath`
    pub message_path: String,
}

/// The kubelet mounts `…/pods/UID/containers/NAME/ID` wherever the container wants to leave its message: nothing else
/// that it mounts comes from there. The root is the fourth column of a line and the mount point the fifth.
pub fn mounted(mounts: &str) -> Option<Mounted> {
    mounts.lines().find_map(|line| {
        let mut columns = line.split(' ').skip(3);
        let (root, point) = (columns.next()?, columns.next()?);
        let parts: Vec<&str> = root.split('/').collect();
        match parts.as_slice() {
            [.., "pods", uid, "containers", name, _] => Some(Mounted {
                pod_uid: (*uid).to_owned(),
                container: (*name).to_owned(),
                message_path: unescaped(point),
            }),
            _ => None,
        }
    })
}

/// Blanks and backslashes are written as three octal digits.
fn unescaped(text: &str) -> String {
    let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    codes.into_iter().fold(text.to_owned(), |text, (code, char)| text.replace(code, char))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "689 665 0:62 / /proc rw,nosuid - proc proc rw\n\
        694 665 254:0 /var/lib/kubelet/pods/5c1e7a5e-83a1-4b7e-9d0a-0c9a5e1f6f11/containers/wait/6b0f9d3a \
        /dev/termination-log rw,relatime - ext4 /dev/vda rw\n";

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln\n", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn token_and_mounts_name_pod_and_container() {
        let token = token(
            r#"{"iss":"x","kubernetes.io":{"namespace":"shop","node":{"name":"n","uid":"3"},
                "pod":{"name":"shop-1","uid":"5c1e7a5e-83a1-4b7e-9d0a-0c9a5e1f6f11"},
                "serviceaccount":{"name":"waiter","uid":"2"},"warnafter":1}}"#,
        );
        let identity = Identity::from_parts(&token, MOUNTS, |_| None);
        assert_eq!(identity.namespace.as_deref(), Some("shop"));
        assert_eq!(identity.pod.as_deref(), Some("shop-1"));
        assert_eq!(identity.pod_uid.as_deref(), Some("5c1e7a5e-83a1-4b7e-9d0a-0c9a5e1f6f11"));
        assert_eq!(identity.container.as_deref(), Some("wait"));
        assert_eq!(identity.service_account.as_deref(), Some("waiter"));
        assert_eq!(identity.node.as_deref(), Some("n"));
    }

    #[test]
    fn message_goes_where_the_kubelet_reads_it() {
        let path = |mounts: &str| mounted(mounts).map(|mounted| mounted.message_path);
        assert_eq!(path(MOUNTS).as_deref(), Some("/dev/termination-log"));
        let elsewhere = MOUNTS.replace("/dev/termination-log", "/tmp/my\\040messages/end");
        assert_eq!(path(&elsewhere).as_deref(), Some("/tmp/my messages/end"));
    }

    #[test]
    fn environment_overrides_what_is_found() {
        let env = |name: &str| (name == "CONTAINER_NAME").then(|| " other ".to_owned());
        assert_eq!(Identity::from_parts("", MOUNTS, env).container.as_deref(), Some("other"));
    }

    #[test]
    fn foreign_tokens_and_mounts_name_nobody() {
        let tokens = [String::new(), "opaque".to_owned(), "a.b.c".to_owned(), token("{}"), token("[1]")];
        for token in tokens {
            assert_eq!(Identity::from_parts(&token, "1 2 3\n", |_| None), Identity::default(), "{token:?}");
        }
        let elsewhere = "1 2 0:1 /somewhere /dev/termination-log rw - ext4 /dev/vda rw\n\
            2 2 0:1 /var/lib/kubelet/pods/5c1e/volumes/kubernetes.io~empty-dir/data /data rw - ext4 /dev/vda rw\n\
            3 2 0:1 /var/lib/kubelet/pods/5c1e/etc-hosts /etc/hosts rw - ext4 /dev/vda rw";
        assert_eq!(Identity::from_parts("", elsewhere, |_| None), Identity::default());
    }
}
