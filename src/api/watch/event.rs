//! One line of a watch → what happened, and the version to resume from after it.
//!
//! Pure. What cannot be read is no event: then the whole query is listed again.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::failure::{Class, Failure, failure_in_event};
use crate::kinds::object::{Metadata, Object};

/// What happened to an object.
pub enum Event<T> {
    Applied(T),
    Deleted(T),
    Bookmark,
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

#[derive(Deserialize)]
struct Versioned {
    metadata: Metadata,
}

/// One line: what happened, and the version to resume from after it.
pub fn read<T: Object>(line: &[u8]) -> Result<(Event<T>, String), End> {
    let garbage = |error: &dyn fmt::Display| {
        tracing::warn!(%error, "a watch event that cannot be read");
        End::Garbage
    };
    let RawEvent { r#type, object } = serde_json::from_slice(line).map_err(|error| garbage(&error))?;
    let json = object.get();
    if r#type == "ERROR" {
        return Err(failure_in_event(json.as_bytes()).into());
    }
    let (event, version) = if r#type == "BOOKMARK" {
        let Versioned { metadata } = serde_json::from_str(json).map_err(|error| garbage(&error))?;
        (Event::Bookmark, metadata.resource_version)
    } else {
        let object: T = serde_json::from_str(json).map_err(|error| garbage(&error))?;
        let version = object.metadata().resource_version.clone();
        (if r#type == "DELETED" { Event::Deleted(object) } else { Event::Applied(object) }, version)
    };
    if version.is_empty() {
        return Err(garbage(&"it has no version"));
    }
    Ok((event, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::object::Job;

    const ADDED: &str = r#"{"type":"ADDED","object":{"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"migrate",
        "namespace":"shop","uid":"4f1c","resourceVersion":"261"},"spec":{"suspend":true,"completions":1},"status":{}}}"#;

    fn event(line: &str) -> Result<(Event<Job>, String), End> {
        read(line.as_bytes())
    }

    #[test]
    fn events_carry_the_version_to_resume_from() {
        for (kind, applied) in [("ADDED", true), ("MODIFIED", true), ("DELETED", false)] {
            let (event, version) = event(&ADDED.replace("ADDED", kind)).unwrap();
            assert_eq!((version.as_str(), matches!(event, Event::Applied(_))), ("261", applied), "{kind}");
        }
        let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"Job","metadata":{"resourceVersion":"300"}}}"#;
        assert!(matches!(event(bookmark), Ok((Event::Bookmark, version)) if version == "300"));
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
            drop(read::<Job>(&broken));
        }
    }
}
