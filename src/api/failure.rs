//! Why a request brought no answer, sorted by what has to be done about it.
//!
//! Text and status codes in, classes out: nothing is sent or retried here. What does not come from the API itself, an
//! HTML page of some proxy or load balancer, says nothing of objects or requests.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// what has to be done about it
    pub class: Class,
    /// one sentence for people
    pub text: String,
    /// the server's wish, as a floor for the back-off
    pub retry_after: Option<Duration>,
}

/// Failures by what has to be done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 401: the credentials are not accepted, perhaps only for now
    Unauthenticated,
    /// 403, or 405 on a watch: a right is missing, perhaps only for now
    Denied,
    /// 404 from the API itself: no such object
    NotFound,
    /// any other 404: a path that is not served, or no longer, or a proxy that knows none
    NoPath,
    /// 410, or a resource version from the future: list again
    Expired,
    /// 400 or 422 from the API itself: the request is wrong; no retry mends it
    Invalid,
    /// no connection came about, or it broke before an answer
    Unconnected {
        /// nobody listens there
        refused: bool,
    },
    /// connected, but there was no answer in time
    Silent,
    /// more bytes than were wanted
    TooLong,
    /// everything else heals by itself: 429, 5xx, garbage
    Transient,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Failure {
    /// A failure that heals by itself.
    pub fn transient(text: impl Into<String>) -> Self {
        Self { class: Class::Transient, text: text.into(), retry_after: None }
    }

    /// Whether who we are, or what we may, is at fault.
    pub fn is_refusal(&self) -> bool {
        matches!(self.class, Class::Denied | Class::Unauthenticated)
    }

    /// From an answer that is no success; `body` may be anything.
    pub fn from_status(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let parsed: Option<ApiStatus> = serde_json::from_slice(body).ok();
        // A load balancer's or an ingress's own 404 says nothing of the object, nor its 400 of the request.
        let by_api = parsed.as_ref().is_some_and(|it| it.kind == "Status");
        // A 504 in name, but no retry of the same request helps: the cache behind this server is older than what we
        // have seen (kubernetes/staging/src/k8s.io/apiserver/pkg/storage/errors.go).
        let is_too_new = |cause: &Cause| cause.reason == "ResourceVersionTooLarge";
        let too_new = parsed.as_ref().is_some_and(|it| it.details.causes.iter().any(is_too_new));
        // Of an object the API says which; of anything else it says that there is no such path.
        let names_an_object = parsed.as_ref().is_some_and(|it| !it.details.name.is_empty());
        let (reason, message) = parsed.map(|it| (it.reason, it.message)).unwrap_or_default();
        let class = match status.as_u16() {
            401 => Class::Unauthenticated,
            403 | 405 => Class::Denied,
            404 if by_api && names_an_object => Class::NotFound,
            404 => Class::NoPath,
            410 => Class::Expired,
            400 | 422 if by_api => Class::Invalid,
            _ if reason == "Expired" || reason == "Gone" || too_new => Class::Expired,
            _ => Class::Transient,
        };
        let said = if message.is_empty() { excerpt(body) } else { message };
        let separator = if said.is_empty() { "" } else { ": " };
        Self { class, text: format!("the API server returned {status}{separator}{said}"), retry_after }
    }

    /// The same, where nothing may be quoted but what the API itself has to say.
    pub fn from_confidential(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Self {
        Self::from_status(status, retry_after, if is_status(body) { body } else { b"" })
    }
}

/// Whether it comes from the API itself.
pub fn is_status(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|it: ApiStatus| it.kind == "Status")
}

/// The part of a `v1` Status that is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiStatus {
    kind: String,
    code: u16,
    reason: String,
    message: String,
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    name: String,
    causes: Vec<Cause>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
}

/// A failure that came as an `ERROR` event within a watch.
pub fn failure_in_event(object: &[u8]) -> Failure {
    let status: ApiStatus = serde_json::from_slice(object).unwrap_or_default();
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Anything else than a Status may be an object.
    Failure::from_confidential(code, None, object)
}

/// The first words of a body that is no Status: an HTML page of some proxy, usually.
pub fn excerpt(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(120)]);
    head.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, body: &str) -> Failure {
        Failure::from_status(StatusCode::from_u16(code).unwrap(), None, body.as_bytes())
    }

    #[test]
    fn failures_are_sorted_by_what_has_to_be_done() {
        let status =
            |reason: &str, message: &str| format!(r#"{{"kind":"Status","reason":"{reason}","message":"{message}"}}"#);
        let too_new = r#"{"kind":"Status","reason":"Timeout","message":"Too large resource version: 9, current: 1",
            "details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"x"}],"retryAfterSeconds":1}}"#;
        let too_new = too_new.to_owned();
        let not_found =
            r#"{"kind":"Status","reason":"NotFound","message":"x","details":{"name":"migrate","group":"batch"}}"#;
        let not_found = not_found.to_owned();
        let table = [
            (401, status("Unauthorized", "Unauthorized"), Class::Unauthenticated),
            (403, status("Forbidden", "jobs.batch is forbidden"), Class::Denied),
            (403, "RBAC: access denied".to_owned(), Class::Denied),
            (404, not_found, Class::NotFound),
            (404, status("NotFound", "the server could not find the requested resource"), Class::NoPath),
            (404, "default backend - 404".to_owned(), Class::NoPath),
            (400, status("BadRequest", "unable to parse requirement"), Class::Invalid),
            (400, "<html>Bad Request</html>".to_owned(), Class::Transient),
            (410, status("Expired", "too old resource version"), Class::Expired),
            (410, "Gone".to_owned(), Class::Expired),
            (504, too_new, Class::Expired),
            (504, status("Timeout", "Timeout: request did not complete"), Class::Transient),
            (500, status("", "etcdserver: leader changed"), Class::Transient),
            (429, "Too many requests".to_owned(), Class::Transient),
            (302, String::new(), Class::Transient),
        ];
        for (code, body, class) in table {
            assert_eq!(answered(code, &body).class, class, "{code} {body}");
        }
    }

    #[test]
    fn no_status_panics() {
        let right = r#"{"kind":"Status","code":410,"reason":"Expired","message":"too old"}"#;
        assert_eq!(failure_in_event(right.as_bytes()).class, Class::Expired);
        for _ in 0..5_000 {
            let mut broken = right.as_bytes().to_vec();
            let at = fastrand::usize(..broken.len());
            broken[at] = fastrand::u8(..);
            broken.truncate(fastrand::usize(..=broken.len()));
            failure_in_event(&broken);
            answered(500, &String::from_utf8_lossy(&broken));
        }
    }
}
