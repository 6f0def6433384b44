//! The one table of what is asked of the API: requests and the printed Role both come from it, so they cannot drift.

/// An API resource that this program reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group, empty for the core group
    pub group: &'static str,
    /// API version within the group
    pub version: &'static str,
    /// lower-case plural, as in URLs and Roles
    pub plural: &'static str,
}

pub const JOBS: Resource = Resource { group: "batch", version: "v1", plural: "jobs" };
pub const PODS: Resource = Resource { group: "", version: "v1", plural: "pods" };
pub const SERVICES: Resource = Resource { group: "", version: "v1", plural: "services" };
pub const ENDPOINT_SLICES: Resource = Resource { group: "discovery.k8s.io", version: "v1", plural: "endpointslices" };
/// Read to explain; `--events` creates and patches them.
pub const EVENTS: Resource = Resource { group: "", version: "v1", plural: "events" };
/// A subresource, as Roles name it; the path of a log begins with that of its pod.
pub const POD_LOGS: Resource = Resource { group: "", version: "v1", plural: "pods/log" };

impl Resource {
    /// The URL path of the collection; `None` is all namespaces.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        let within = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
        format!("{root}/{}/{within}{}", self.version, self.plural)
    }
}
