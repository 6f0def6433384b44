//! One line of a watch → what happened, with the object's JSON.
//!
//! Pure. What cannot be read is no event: then the whole query is listed again.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::failure::{Class, Failure, failure_in_event};

/// One line of a watch; objects are JSON.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Applied(&'a str),
    Deleted(&'a str),
    /// nothing has happened up to this version
    Bookmark(String),
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
    Garbage(String),
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

/// All that is read of a bookmark.
#[derive(Deserialize)]
struct Versioned {
    metadata: Version,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Version {
    resource_version: String,
}

impl End {
    /// Something that cannot be read.
    pub fn garbage(error: &dyn fmt::Display) -> Self {
        Self::Garbage(error.to_string())
    }

    /// What nobody expects is worth a line.
    pub fn log(&self) {
        if let Self::Garbage(error) = self {
            tracing::warn!(%error, "a watch event that cannot be read");
        }
    }
}

/// What a line says, but for the object itself.
pub fn read(line: &[u8]) -> Result<Event<'_>, End> {
    let RawEvent { r#type, object } = serde_json::from_slice(line).map_err(|error| unread(&error))?;
    let object = object.get();
    match r#type {
        "ERROR" => Err(failure_in_event(object.as_bytes()).into()),
        "BOOKMARK" => {
            let Versioned { metadata } = serde_json::from_str(object).map_err(|error| unread(&error))?;
            version(metadata.resource_version).map(Event::Bookmark)
        }
        "DELETED" => Ok(Event::Deleted(object)),
        _ => Ok(Event::Applied(object)),
    }
}

/// Not what serde says, which quotes what it has found: that may be a Secret's.
fn unread(error: &serde_json::Error) -> End {
    End::garbage(&format!("it is no event: {:?} error at column {}", error.classify(), error.column()))
}

/// The same of a line in the very form that API servers write, without looking for the end of the object first: whether
/// it is JSON is seen when the object is read. A pass over all of it is saved.
pub fn read_as_written(line: &[u8]) -> Option<Event<'_>> {
    let line = std::str::from_utf8(line).ok()?;
    let (kind, object) = line.strip_prefix("{\"type\":\"")?.split_once("\",\"object\":")?;
    let object = object.strip_suffix('}')?;
    match kind {
        "ADDED" | "MODIFIED" => Some(Event::Applied(object)),
        "DELETED" => Some(Event::Deleted(object)),
        _ => None,
    }
}

/// The version to resume from after an object.
pub fn version(version: String) -> Result<String, End> {
    if version.is_empty() {
        return Err(End::garbage(&"it has no version"));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = r#"{"kind":"Job","metadata":{"name":"migrate","resourceVersion":"261"}}"#;

    #[test]
    fn events_are_read_in_every_form_of_json() {
        for (kind, event) in [
            ("ADDED", Event::Applied(OBJECT)),
            ("MODIFIED", Event::Applied(OBJECT)),
            ("DELETED", Event::Deleted(OBJECT)),
        ] {
            let written = format!(r#"{{"type":"{kind}","object":{OBJECT}}}"#);
            assert_eq!(read(written.as_bytes()).unwrap(), event);
            assert_eq!(read_as_written(written.as_bytes()), Some(event), "the short way");
            let event = read(written.as_bytes()).unwrap();
            let spaced = format!(r#" {{ "type" : "{kind}", "object" : {OBJECT} }} "#);
            assert_eq!(read(spaced.as_bytes()).unwrap(), event);
            assert_eq!(read_as_written(spaced.as_bytes()), None);
            let turned = format!(r#"{{"object":{OBJECT},"type":"{kind}"}}"#);
            assert_eq!(read(turned.as_bytes()).unwrap(), event);
        }
        let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"Job","metadata":{"resourceVersion":"300"}}}"#;
        assert_eq!(read(bookmark.as_bytes()).unwrap(), Event::Bookmark("300".to_owned()));
    }

    #[test]
    fn history_that_is_gone_and_garbage_are_listed_again_and_other_errors_resumed() {
        let error =
            |code: u16| format!(r#"{{"type":"ERROR","object":{{"kind":"Status","code":{code},"message":"x"}}}}"#);
        assert!(matches!(read(error(410).as_bytes()), Err(End::Expired)));
        assert!(matches!(read(error(500).as_bytes()), Err(End::Broken(_))));
        for garbage in ["", "<html>", "{}", "null", r#"{"type":"BOOKMARK","object":{"metadata":{}}}"#] {
            assert!(matches!(read(garbage.as_bytes()), Err(End::Garbage(_))), "{garbage}");
        }
        assert!(matches!(version(String::new()), Err(End::Garbage(_))), "an object without a version");
    }

    #[test]
    fn no_line_panics() {
        for _ in 0..5_000 {
            let mut broken = format!(r#"{{"type":"ADDED","object":{OBJECT}}}"#).into_bytes();
            for _ in 0..fastrand::usize(1..4) {
                let at = fastrand::usize(..broken.len());
                broken[at] = fastrand::u8(..);
            }
            broken.truncate(fastrand::usize(..=broken.len()));
            drop(read(&broken));
            drop(read_as_written(&broken));
        }
    }
}
