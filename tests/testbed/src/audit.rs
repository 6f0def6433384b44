//! What the API server was asked, read from its audit log.
//! The policy logs a request once, when its answer is complete; one that stays open (a watch, a followed log) also when
//! its answer begins, so that it can be seen while it runs. The two records of such a request carry one id and are one
//! [`AuditedRequest`] here. The cluster's own programs are left out of the log.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// One request, however long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedRequest {
    /// `system:serviceaccount:NAMESPACE:NAME` for a service account, `admin` for the testbed itself.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `patch` and so on.
    pub verb: String,
    /// In the plural: `jobs`. Empty where the path names no resource.
    pub resource: String,
    /// `log` or `status` for example; mostly empty.
    pub subresource: String,
    /// Empty for a request to all namespaces.
    pub namespace: String,
    /// Empty for a list, except one that a field selector narrows to one name.
    pub name: String,
    /// The path with its query, which holds selectors, limits and versions.
    pub uri: String,
    /// As the client sent it.
    pub user_agent: String,
    /// The HTTP status; of a watch the one that it began with.
    pub code: u16,
    /// True for a watch that has not ended.
    pub open: bool,
}

/// Nothing of the cluster's own programs; of the others who asked what, without bodies.
pub(crate) fn policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]},
            {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
            {"level": "Metadata"},
        ],
    })
}

/// What has been logged after so many bytes.
pub(crate) fn since(log: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(bytes))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The requests of this user in the order in which they were first logged.
pub(crate) fn read(log: &Path, user: &str) -> Result<Vec<AuditedRequest>> {
    let text = fs::read_to_string(log).with_context(|| format!("read {}", log.display()))?;
    let mut requests: Vec<AuditedRequest> = Vec::new();
    let mut places = HashMap::new();
    // A line without its end is still being written.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    // Many tests write into one log, and parsing all of it again and again would cost more than all else.
    for line in lines.filter(|line| line.contains(user)) {
        let event: Value = serde_json::from_str(line).context("parse the audit log")?;
        let request = request(&event);
        if request.user != user {
            continue;
        }
        let place = *places.entry(field(&event, "/auditID")).or_insert(requests.len());
        match requests.get_mut(place) {
            Some(known) => known.open = request.open,
            None => requests.push(request),
        }
    }
    Ok(requests)
}

fn request(event: &Value) -> AuditedRequest {
    AuditedRequest {
        user: field(event, "/user/username"),
        verb: field(event, "/verb"),
        resource: field(event, "/objectRef/resource"),
        subresource: field(event, "/objectRef/subresource"),
        namespace: field(event, "/objectRef/namespace"),
        name: field(event, "/objectRef/name"),
        uri: field(event, "/requestURI"),
        user_agent: field(event, "/userAgent"),
        code: event
            .pointer("/responseStatus/code")
            .and_then(Value::as_u64)
            .and_then(|code| code.try_into().ok())
            .unwrap_or(0),
        open: field(event, "/stage") == "ResponseStarted",
    }
}

fn field(event: &Value, pointer: &str) -> String {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
