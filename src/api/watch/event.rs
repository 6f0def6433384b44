//! One line of a watch → what happened, and the version to resume from after it.
//!
//! Pure. What cannot be read is no event: then the whole query is listed again.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::Versioned;
use crate::api::failure::{Class, Failure, failure_in_event};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Applied,
    Deleted,
    Bookmark,
}

/// One line of a watch.
#[derive(Debug)]
pub struct Event<'a> {
    pub what: What,
    /// to resume from after it
    pub version: String,
    /// JSON
    pub object: &'a str,
}

/// How a watch came to its end.
#[derive(Debug)]
pub enum End {
    /// by the server, in good order
    Closed,
    /// in the middle of something: resume
    Broken(#[expect(dead_code, reason = "for the debug log")] String),
    /// what came before it is forgotten: list again
    Expired,
    /// what it said cannot be read
    Garbage,
    /// it said nothing any more
    Silent,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        if failure.class == Class::Expired { Self::Expired } else { Self::Broken(failure.text) }
    }
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl End {
    /// Something that cannot be read.
    pub fn garbage(error: &dyn fmt::Display) -> Self {
        tracing::warn!(%error, "a watch event that cannot be read");
        Self::Garbage
    }
}

/// What a line says, but for the object itself.
pub fn read(line: &[u8]) -> Result<Event<'_>, End> {
    let RawEvent { r#type, object } = serde_json::from_slice(line).map_err(|error| End::garbage(&error))?;
    let object = object.get();
    let what = match r#type {
        "ERROR" => return Err(failure_in_event(object.as_bytes()).into()),
        "BOOKMARK" => What::Bookmark,
        "DELETED" => What::Deleted,
        _ => What::Applied,
    };
    let Versioned { metadata } = serde_json::from_str(object).map_err(|error| End::garbage(&error))?;
    if metadata.resource_version.is_empty() {
        return Err(End::garbage(&"it has no version"));
    }
    Ok(Event { what, version: metadata.resource_version, object })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDED: &str = r#"{"type":"ADDED","object":{"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"migrate",
        "namespace":"shop","uid":"4f1c","resourceVersion":"261"},"spec":{"suspend":true,"completions":1},"status":{}}}"#;

    fn event(line: &str) -> Result<(What, String), End> {
        read(line.as_bytes()).map(|event| (event.what, event.version))
    }

    #[test]
    fn events_carry_the_version_to_resume_from() {
        for (kind, what) in [("ADDED", What::Applied), ("MODIFIED", What::Applied), ("DELETED", What::Deleted)] {
            assert_eq!(event(&ADDED.replace("ADDED", kind)).unwrap(), (what, "261".to_owned()), "{kind}");
        }
        let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"Job","metadata":{"resourceVersion":"300"}}}"#;
        assert!(matches!(event(bookmark), Ok((What::Bookmark, version)) if version == "300"));
    }

    #[test]
    fn history_that_is_gone_and_garbage_are_listed_again_and_other_errors_resumed() {
        let error =
            |code: u16| format!(r#"{{"type":"ERROR","object":{{"kind":"Status","code":{code},"message":"x"}}}}"#);
        assert!(matches!(event(&error(410)), Err(End::Expired)));
        assert!(matches!(event(&error(500)), Err(End::Broken(_))));
        for garbage in
            ["", "<html>", "{}", "null", &ADDED[..80], &ADDED.replace("261", ""), r#"{"type":"ADDED","object":1}"#]
        {
            assert!(matches!(event(garbage), Err(End::Garbage)), "{garbage}");
        }
    }

    #[test]
    fn no_line_panics() {
        for _ in 0..5_000 {
            let mut broken = ADDED.as_bytes().to_vec();
            for _ in 0..fastrand::usize(1..4) {
                let at = fastrand::usize(..broken.len());
                broken[at] = fastrand::u8(..);
            }
            broken.truncate(fastrand::usize(..=broken.len()));
            drop(read(&broken));
        }
    }
}
