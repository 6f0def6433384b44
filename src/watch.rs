//! One query's stream of objects: list, watch, resume, poll, back-off. The heart of this tool.
//!
//! It never ends and never gives up; what a failure means for the wait is decided by whoever reads the stream. The
//! rules are those of client-go's reflector (k8s.io/client-go/tools/cache/reflector.go) and of
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>, with less trust in
//! what lies between here and the API server. `kube::runtime::watcher` is not used: it reopens a watch that ends at
//! once without back-off, loops for ever on a 410 that comes as an HTTP status, and cannot poll.

use std::fmt;
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use http::Request;
use k8s_openapi::jiff::Timestamp;
use kube::api::{GetParams, ListParams, WatchParams};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout_at};

use crate::backoff::{Backoff, Poll};
use crate::client::{Answer, Client, Lines};
use crate::failure::{Class, Failure, failure_in_event};
use crate::object::{Metadata, Object};

/// How many objects a page holds: memory must not grow with the number of objects that are read.
const PAGE: u32 = 100;
/// A watch that ends sooner and brought nothing is reopened only after a back-off.
const SHORT: Duration = Duration::from_secs(1);
/// A watch that lasted so long shows that the connection is good again.
const HEALTHY: Duration = Duration::from_secs(10);
/// Bookmarks come every 60 s, also for a quiet object. A stream that has had one and then nothing for so long has lost
/// its server, even if a proxy in between still answers keepalives.
const HEARTBEAT: Duration = Duration::from_secs(90);
/// How much longer than asked for a watch may stay open before it is given up.
const OVERTIME: Duration = Duration::from_secs(10);
/// How soon a refused verb is tried again while a lower way works: this, then twice as long each time,
const FIRST_PROBE: Duration = Duration::from_secs(2);
/// and at last so often.
const PROBE: Duration = Duration::from_mins(1);

/// Which objects are asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// `None` is all namespaces
    pub namespace: Option<String>,
    /// `metadata.name`
    pub name: Option<String>,
    /// label selector in the API's syntax
    pub labels: Option<String>,
    /// field selector in the API's syntax
    pub fields: Option<String>,
}

impl Query {
    /// A name is asked for by a field selector: a list is served from the watch cache (a GET goes to etcd), can be
    /// watched from, and a Role limited by `resourceNames` allows it.
    fn field_selector(&self) -> Option<String> {
        let name = self.name.as_ref().map(|name| format!("metadata.name={name}"));
        let parts: Vec<String> = name.into_iter().chain(self.fields.clone()).collect();
        (!parts.is_empty()).then(|| parts.join(","))
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Update<T> {
    /// All objects of the query as they are now, and the server's time (whole seconds).
    Listed(Vec<T>, Timestamp),
    /// One object was added or has changed.
    Applied(T),
    /// One object is gone, as it was last; under a selector it may also have been relabelled.
    Deleted(T),
    /// A request failed; it will be tried again.
    Failed(Failure),
    /// Requests work again after a failure.
    Recovered,
    /// Objects are seen by other means than before.
    Way(Way),
}

/// By which means objects are seen, from the best to the slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// list once, then watch
    Watch,
    /// list again and again: `watch` is refused
    List,
    /// get again and again: `list` is refused
    Get,
}

/// The stream of updates of a query, from its first list on.
pub fn updates<T: Object>(client: Client, query: Query, pause: Option<Duration>) -> LocalBoxStream<'static, Update<T>> {
    let watcher = Watcher {
        client,
        query,
        backoff: Backoff::default(),
        reopening: Backoff::default(),
        poll: Poll::new(pause),
        pause: Duration::ZERO,
        phase: Phase::Look,
        failed: false,
        held: None,
        list_refused: None,
        watch_refused: None,
        way: Way::Watch,
    };
    stream::unfold(watcher, |mut watcher| async { Some((watcher.next().await, watcher)) }).boxed_local()
}

struct Watcher<T> {
    client: Client,
    query: Query,
    /// after requests that failed
    backoff: Backoff,
    /// after watches that were opened and came to nothing: a good list between two of them does not make them better
    reopening: Backoff,
    poll: Poll,
    /// before the next request
    pause: Duration,
    phase: Phase,
    /// the reader was told of a failure and not yet of its end
    failed: bool,
    /// what the reader gets after the end of that failure
    held: Option<Update<T>>,
    list_refused: Option<Refused>,
    watch_refused: Option<Refused>,
    way: Way,
}

/// A verb that is not permitted, perhaps only for now: an API server that has just started refuses for a moment what it
/// will allow (it answers before it knows all Roles), and a Role may come with the same installation.
#[derive(Clone, Copy)]
struct Refused {
    at: Instant,
    wait: Duration,
}

impl Refused {
    fn after(earlier: Option<Self>) -> Self {
        Self { at: Instant::now(), wait: earlier.map_or(FIRST_PROBE, |earlier| (earlier.wait * 2).min(PROBE)) }
    }

    fn may_be_tried(refused: Option<Self>) -> bool {
        refused.is_none_or(|refused| refused.at.elapsed() >= refused.wait)
    }
}

enum Phase {
    /// list (or get)
    Look,
    /// open a watch from this version
    Open(String),
    /// read the watch
    Follow(Following),
}

struct Following {
    lines: Lines,
    /// the last version seen, to resume from
    version: String,
    opened: Instant,
    limit: Instant,
    /// of the last line, if there was one
    heard: Option<Instant>,
    /// whether an object has come; bookmarks are no progress
    progress: bool,
}

impl<T: Object> Watcher<T> {
    async fn next(&mut self) -> Update<T> {
        if let Some(held) = self.held.take() {
            return held;
        }
        loop {
            sleep(std::mem::take(&mut self.pause)).await;
            let step = match &mut self.phase {
                Phase::Look => self.look().await,
                Phase::Open(version) => {
                    let version = std::mem::take(version);
                    self.open(version).await
                }
                Phase::Follow(following) => match following.next().await {
                    Ok(Event::Applied(object)) => Ok(Some(Update::Applied(object))),
                    Ok(Event::Deleted(object)) => Ok(Some(Update::Deleted(object))),
                    Ok(Event::Bookmark) => Ok(None),
                    Err(end) => {
                        self.ended(&end);
                        Ok(None)
                    }
                },
            };
            match step {
                Ok(Some(update)) => return update,
                Ok(None) => {}
                Err(failure) => {
                    self.failed = true;
                    self.pause = self.backoff.next(failure.retry_after);
                    tracing::debug!(%failure, pause = ?self.pause, "request failed");
                    return Update::Failed(failure);
                }
            }
        }
    }

    /// Lists or, where that is refused, gets; decides whether to watch or to poll afterwards.
    async fn look(&mut self) -> Result<Option<Update<T>>, Failure> {
        let (objects, version, date) = self.list_or_get().await?;
        self.backoff.reset();
        if Refused::may_be_tried(self.watch_refused) {
            self.phase = Phase::Open(version);
        } else {
            self.pause = self.poll.next();
        }
        let listed = Update::Listed(objects, date);
        if std::mem::take(&mut self.failed) {
            self.held = Some(listed);
            return Ok(Some(Update::Recovered));
        }
        Ok(Some(listed))
    }

    async fn list_or_get(&mut self) -> Result<(Vec<T>, String, Timestamp), Failure> {
        let name = self.query.name.clone();
        let mut refused = self.list_refused.take();
        let mut refusal = None;
        if name.is_none() || Refused::may_be_tried(refused) {
            match self.list().await {
                Err(failure) if failure.class == Class::Denied && name.is_some() => {
                    refused = Some(Refused::after(refused));
                    refusal = Some(failure);
                }
                listed => return listed,
            }
        }
        // Where both are refused, the better one is told: it is what a Role should have.
        let told = |failure: Failure| refusal.filter(|_| failure.class == Class::Denied).unwrap_or(failure);
        let got = self.get(&name.unwrap_or_default()).await.map_err(told)?;
        // Not while nothing works: then every retry tries both.
        self.list_refused = refused;
        Ok(got)
    }

    async fn list(&self) -> Result<(Vec<T>, String, Timestamp), Failure> {
        let mut objects = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let parameters = ListParams {
                label_selector: self.query.labels.clone(),
                field_selector: self.query.field_selector(),
                limit: self.query.name.is_none().then_some(PAGE),
                continue_token: page.take(),
                ..ListParams::default()
            };
            let answer = self.client.read(built(self.path().list(&parameters))?).await?;
            let list: List<T> = parse(&answer)?;
            objects.extend(list.items.unwrap_or_default());
            match list.metadata.continue_token.filter(|token| !token.is_empty()) {
                Some(token) => page = Some(token),
                None => return Ok((objects, list.metadata.resource_version, answer.date)),
            }
        }
    }

    /// An absent object has no version to watch from; without one a watch begins with what exists by then.
    async fn get(&self, name: &str) -> Result<(Vec<T>, String, Timestamp), Failure> {
        match self.client.read(built(self.path().get(name, &GetParams::default()))?).await {
            Ok(answer) => {
                let object: T = parse(&answer)?;
                let version = object.metadata().resource_version.clone();
                Ok((vec![object], version, answer.date))
            }
            Err(failure) if failure.class == Class::NotFound => Ok((Vec::new(), String::new(), Timestamp::now())),
            Err(failure) => Err(failure),
        }
    }

    async fn open(&mut self, version: String) -> Result<Option<Update<T>>, Failure> {
        let seconds = fastrand::u32(240..=300);
        let parameters = WatchParams {
            label_selector: self.query.labels.clone(),
            field_selector: self.query.field_selector(),
            timeout: Some(seconds),
            bookmarks: true,
            send_initial_events: false,
        };
        let opened = self.client.lines(built(self.path().watch(&parameters, &version))?).await;
        let lines = match opened {
            Ok(lines) => lines,
            Err(failure) => return self.not_opened(version, failure),
        };
        let now = Instant::now();
        let limit = now + Duration::from_secs(seconds.into()) + OVERTIME;
        self.backoff.reset();
        self.watch_refused = None;
        self.phase = Phase::Follow(Following { lines, version, opened: now, limit, heard: None, progress: false });
        let way = self.changed(Way::Watch);
        if std::mem::take(&mut self.failed) {
            self.held = way;
            return Ok(Some(Update::Recovered));
        }
        Ok(way)
    }

    /// Tells of a new way to see objects.
    fn changed(&mut self, way: Way) -> Option<Update<T>> {
        let before = std::mem::replace(&mut self.way, way);
        (before != way).then_some(Update::Way(way))
    }

    fn not_opened(&mut self, version: String, failure: Failure) -> Result<Option<Update<T>>, Failure> {
        match failure.class {
            Class::Denied => {
                tracing::debug!(%failure, "watch refused, polling");
                self.watch_refused = Some(Refused::after(self.watch_refused));
                self.phase = Phase::Look;
                self.pause = self.poll.next();
                Ok(self.changed(if self.list_refused.is_some() { Way::Get } else { Way::List }))
            }
            // A version of which this server knows nothing is for some of them a bad request.
            Class::Expired | Class::Invalid => {
                tracing::debug!(%failure, "cannot resume, listing");
                self.phase = Phase::Look;
                self.pause = self.reopening.next(failure.retry_after);
                Ok(None)
            }
            _ => {
                self.phase = Phase::Open(version);
                Err(failure)
            }
        }
    }

    /// The watch is over. That is ordinary: it is resumed from the last version, at once if it had been of use.
    fn ended(&mut self, end: &End) {
        let Phase::Follow(following) = std::mem::replace(&mut self.phase, Phase::Look) else {
            return;
        };
        tracing::debug!(?end, lasted = ?following.opened.elapsed(), "watch ended");
        if following.opened.elapsed() >= HEALTHY {
            self.reopening.reset();
        }
        let of_use = following.progress || following.opened.elapsed() >= SHORT;
        if !(matches!(end, End::Closed) && of_use) {
            self.pause = self.reopening.next(None);
        }
        if !matches!(end, End::ListAgain) {
            self.phase = Phase::Open(following.version);
        }
    }

    fn path(&self) -> kube::core::Request {
        kube::core::Request::new(T::RESOURCE.path(self.query.namespace.as_deref()))
    }
}

/// Only a name that no object can have makes a request that cannot be built; `compat` has refused those.
fn built(request: Result<Request<Vec<u8>>, kube::core::request::Error>) -> Result<Request<Vec<u8>>, Failure> {
    request.map_err(|error| Failure { class: Class::Invalid, text: error.to_string(), retry_after: None })
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMetadata,
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|error| answer.unreadable(&error))
}

enum Event<T> {
    Applied(T),
    Deleted(T),
    Bookmark,
}

/// How a watch came to its end.
#[derive(Debug)]
enum End {
    /// by the server, in good order
    Closed,
    /// in the middle of something: resume
    Broken(#[expect(dead_code, reason = "for the debug log")] String),
    /// what it said cannot be resumed from
    ListAgain,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        if failure.class == Class::Expired { Self::ListAgain } else { Self::Broken(failure.text) }
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

impl Following {
    async fn next<T: Object>(&mut self) -> Result<Event<T>, End> {
        let silence = self.heard.map_or(self.limit, |heard| (heard + HEARTBEAT).min(self.limit));
        let Ok(line) = timeout_at(silence, self.lines.next()).await else {
            return Err(if silence < self.limit { End::ListAgain } else { End::Broken("overtime".to_owned()) });
        };
        let line = line?.ok_or(End::Closed)?;
        self.heard = Some(Instant::now());
        let (event, version) = read(&line)?;
        // Not the same event again and again, as from a cache in between.
        self.progress |= !matches!(event, Event::Bookmark) && version != self.version;
        self.version = version;
        Ok(event)
    }
}

/// One line: what happened, and the version to resume from after it.
fn read<T: Object>(line: &[u8]) -> Result<(Event<T>, String), End> {
    let garbage = |error: &dyn fmt::Display| {
        tracing::warn!(%error, "a watch event that cannot be read");
        End::ListAgain
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
    use crate::object::Job;

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
        assert!(matches!(event(&error(410)), Err(End::ListAgain)));
        assert!(matches!(event(&error(500)), Err(End::Broken(_))));
        for garbage in
            ["", "<html>", "{}", "null", &ADDED[..80], &ADDED.replace("261", ""), r#"{"type":"ADDED","object":1}"#]
        {
            assert!(matches!(event(garbage), Err(End::ListAgain)), "{garbage}");
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

    #[test]
    fn refused_verb_is_tried_again_soon_and_then_every_minute() {
        let mut refused = None;
        let waits = (0..8).map(|_| {
            refused = Some(Refused::after(refused));
            refused.unwrap().wait.as_secs()
        });
        assert_eq!(waits.collect::<Vec<_>>(), [2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(Refused::may_be_tried(None) && !Refused::may_be_tried(refused));
    }
}
