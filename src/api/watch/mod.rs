//! One query's stream of objects: list, watch, resume, poll, back-off. The heart of this tool.
//!
//! It never ends and never gives up; what a failure means for the wait is decided by whoever reads the stream, who is
//! told, too, whether anybody is looking at present. The rules are those of client-go's reflector
//! (k8s.io/client-go/tools/cache/reflector.go) and of
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>, with less trust in
//! what lies between here and the API server. `kube::runtime::watcher` is not used: it reopens a watch that ends at
//! once without back-off, loops for ever on a 410 that comes as an HTTP status, and cannot poll.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use self::list::Input;
use self::watcher::Watcher;
use super::client::Client;
use super::failure::Failure;
use crate::target::Resource;

mod event;
mod following;
mod list;
mod refused;
#[cfg(test)]
mod scripts;
mod watcher;

/// Which objects are asked for.
#[derive(Debug, Clone)]
pub struct Query {
    pub resource: Resource,
    /// `None` is all namespaces
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// label selector in the API's syntax
    pub labels: Option<String>,
    /// field selector in the API's syntax
    pub fields: Option<String>,
    /// one good list is all that is wanted
    pub once: bool,
    /// of each object its metadata alone (`PartialObjectMetadata`)
    pub metadata_only: bool,
    /// Nothing of what an answer holds is quoted.
    pub is_confidential: bool,
}

impl Query {
    /// Every object in this namespace, or in all of them.
    pub fn all(resource: &Resource, namespace: Option<&str>) -> Self {
        let namespace = namespace.map(str::to_owned);
        Self {
            resource: resource.clone(),
            namespace,
            name: None,
            labels: None,
            fields: None,
            once: false,
            metadata_only: false,
            is_confidential: false,
        }
    }

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
    /// All objects of the query as they are now.
    Listed(Listed<T>),
    /// One object was added or has changed.
    Applied(T),
    /// One object is gone, as it was last; under a selector it may also have been relabelled.
    Deleted(T),
    /// From now on changes are seen as they happen.
    Live,
    /// They no longer are, until `Live` or the next `Listed`.
    Blind,
    /// A request failed; it will be tried again.
    Failed(Failure),
    /// Requests work again after a failure.
    Recovered,
    /// Objects are seen by another method than before.
    Method(Method),
}

/// All objects of a query at some moment.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    pub objects: Vec<T>,
    /// the API server's time, in whole seconds
    pub date: Timestamp,
    /// when they were asked for: they are as they were then, or later
    pub asked: Instant,
}

/// How objects are seen, from the best to the slowest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// list once, then watch
    Watch,
    /// list again and again
    List(NoWatch),
    /// get again and again: `list` is refused
    Get(NoWatch),
}

/// Why there is no watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWatch {
    /// the right is missing
    Forbidden,
    /// it is not answered, or not as a watch has to be; with the last failure
    Broken(String),
    /// the object was not changed for so long that its version cannot be watched from, and a newer one only `list`
    /// gives
    TooOld,
}

/// By when somebody wants to know how things stand: then a list is asked for unless a watch shows it. Shared by all
/// streams that are opened with it.
#[derive(Debug, Clone, Default)]
pub struct LookBy(watch::Sender<Option<Instant>>);

impl LookBy {
    /// A list that was asked for before this moment is not enough.
    pub fn at(&self, moment: Instant) {
        self.0.send_if_modified(|wanted| wanted.replace(moment) != Some(moment));
    }

    /// What was said last.
    #[cfg(test)]
    pub fn wanted(&self) -> Option<Instant> {
        *self.0.borrow()
    }
}

/// The stream of updates of a query, from its first list on; `pause` is what polls are to wait for, if that was said.
/// `read` makes of an object's JSON, at once, what is to be kept of it, and says its version. The loop behind it knows
/// nothing of that: it is compiled once, not for every kind.
pub fn updates<T: 'static>(
    client: Client,
    query: Query,
    pause: Option<Duration>,
    look_by: &LookBy,
    read: impl Fn(&str) -> serde_json::Result<(T, String)> + 'static,
) -> LocalBoxStream<'static, Update<T>> {
    let inbox = Rc::new(RefCell::new(VecDeque::new()));
    let (entrance, exit) = (Rc::clone(&inbox), inbox);
    let sink = move |input: Input| {
        let Input::Object(json) = input else {
            entrance.borrow_mut().clear();
            return Ok(String::new());
        };
        let (object, version) = read(json)?;
        entrance.borrow_mut().push_back(object);
        Ok(version)
    };
    let watcher = Watcher::new(client, query, pause, look_by, Box::new(sink));
    let told = stream::unfold(watcher, |mut watcher| async { Some((watcher.next().await, watcher)) });
    told.filter_map(move |update| std::future::ready(update.with(&mut exit.borrow_mut()))).boxed_local()
}

impl Update<()> {
    /// The same with what was read for it; nothing where nothing was.
    fn with<T>(self, inbox: &mut VecDeque<T>) -> Option<Update<T>> {
        Some(match self {
            Self::Listed(Listed { date, asked, .. }) => {
                Update::Listed(Listed { objects: inbox.drain(..).collect(), date, asked })
            }
            Self::Applied(()) => Update::Applied(inbox.pop_front()?),
            Self::Deleted(()) => Update::Deleted(inbox.pop_front()?),
            Self::Live => Update::Live,
            Self::Blind => Update::Blind,
            Self::Failed(failure) => Update::Failed(failure),
            Self::Recovered => Update::Recovered,
            Self::Method(method) => Update::Method(method),
        })
    }
}
