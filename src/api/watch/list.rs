//! The requests of one query: lists page by page, a get, and the opening of a watch.
//!
//! Objects are handed on as JSON as soon as a page is there, so that memory holds one page at a time. A page is limited
//! in objects, and in bytes: one that is too long is asked for again in smaller pieces.

use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture};
use http::{HeaderValue, Request, header};
use k8s_openapi::jiff::Timestamp;
use kube::api::{GetParams, ListParams, WatchParams};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Query;
use crate::api::client::{Client, Confidential, Lines, SIZE_LIMIT};
use crate::api::failure::{Class, Failure};

/// Objects of a page.
const PAGE: u32 = 100;
/// What more than one object may take, in bytes: an eighth of the 16Mi that the manifests allow.
const PAGE_BYTES: usize = 2 << 20;

/// What is read, for whoever keeps something of it.
pub enum Input<'a> {
    /// a list begins: what was read for an earlier one is void
    Anew,
    /// an object's JSON
    Object(&'a str),
}

/// Takes what is read, and answers an object's version.
pub type Sink = Box<dyn FnMut(Input) -> serde_json::Result<String>>;

/// Makes the requests of a query.
pub struct Lister {
    client: Client,
    query: Query,
    sink: Sink,
    /// of the next page; smaller where the objects are large
    page: u32,
}

/// What a list or a get has shown, but for the objects.
pub struct Seen {
    pub version: String,
    pub date: Timestamp,
    /// of all answers
    pub bytes: usize,
    pub took: Duration,
}

impl Lister {
    /// For this query.
    pub fn new(client: Client, query: Query, sink: Sink) -> Self {
        Self { client, query, sink, page: PAGE }
    }

    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Takes an object, and answers its version.
    ///
    /// # Errors
    /// It cannot be read, and why, as far as that may be said.
    pub fn take(&mut self, json: &str) -> Result<String, String> {
        // What serde says quotes what it has found.
        let is_confidential = self.query.is_confidential;
        let said =
            |error: serde_json::Error| if is_confidential { "it is no such object".into() } else { error.to_string() };
        (self.sink)(Input::Object(json)).map_err(said)
    }

    pub async fn list(&mut self) -> Result<Seen, Failure> {
        self.void();
        let seen = self.pages().await;
        // Half a list is none.
        if seen.is_err() {
            self.void();
        }
        seen
    }

    fn void(&mut self) {
        let _ = (self.sink)(Input::Anew);
    }

    async fn pages(&mut self) -> Result<Seen, Failure> {
        let is_named = self.query.name.is_some();
        let (mut bytes, mut took, mut token) = (0, Duration::ZERO, None);
        loop {
            let parameters = ListParams {
                label_selector: self.query.labels.clone(),
                field_selector: self.query.field_selector(),
                limit: (!is_named).then_some(self.page),
                continue_token: token.clone(),
                ..ListParams::default()
            };
            // One alone has to be read, however large it is.
            let limit = if is_named || self.page == 1 { SIZE_LIMIT } else { PAGE_BYTES };
            let answer = match self.client.read_in_turn(self.built(self.listing(&parameters))?, limit).await {
                Err(failure) if failure.class == Class::TooLong && limit == PAGE_BYTES => {
                    self.page = (self.page / 4).max(1);
                    continue;
                }
                answer => answer?,
            };
            bytes += answer.body.len();
            took += answer.took;
            // A few large ones among many small ones.
            if answer.body.len() < PAGE_BYTES / 8 {
                self.page = (self.page * 4).min(PAGE);
            }
            let list: List = serde_json::from_slice(&answer.body).map_err(|error| answer.unreadable(&error))?;
            for object in list.items().map_err(|error| answer.unreadable(&error))? {
                self.take(object.get()).map_err(|error| answer.unreadable(&error))?;
            }
            token = list.metadata.continue_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(Seen { version: list.metadata.resource_version, date: answer.date, bytes, took });
            }
        }
    }

    /// An absent object has no version to watch from; without one a watch begins with what exists by then.
    pub async fn get(&mut self, name: &str) -> Result<Seen, Failure> {
        self.void();
        let (path, parameters) = (self.path(), GetParams::default());
        let request = if self.query.metadata_only {
            path.get_metadata(name, &parameters).map(or_whole)
        } else {
            path.get(name, &parameters)
        };
        match self.client.read_in_turn(self.built(request)?, SIZE_LIMIT).await {
            Ok(answer) => {
                let json =
                    std::str::from_utf8(&answer.body).map_err(|_| Failure::transient("an answer that is no UTF-8"));
                let version = self.take(json?).map_err(|error| answer.unreadable(&error))?;
                Ok(Seen { version, date: answer.date, bytes: answer.body.len(), took: answer.took })
            }
            Err(failure) if failure.class == Class::NotFound => {
                Ok(Seen { version: String::new(), date: Timestamp::now(), bytes: 0, took: Duration::ZERO })
            }
            Err(failure) => Err(failure),
        }
    }

    /// A watch from this version (from now on, if it is empty), and for how many seconds.
    pub fn open(&self, version: &str) -> LocalBoxFuture<'static, Result<(Lines, u32), Failure>> {
        let seconds = fastrand::u32(240..=300);
        let parameters = WatchParams {
            label_selector: self.query.labels.clone(),
            field_selector: self.query.field_selector(),
            timeout: Some(seconds),
            bookmarks: true,
            send_initial_events: false,
        };
        let path = self.path();
        let request = if self.query.metadata_only {
            path.watch_metadata(&parameters, version).map(or_whole)
        } else {
            path.watch(&parameters, version)
        };
        let (client, request) = (self.client.clone(), self.built(request));
        async move { Ok((client.lines(request?).await?, seconds)) }.boxed_local()
    }

    fn listing(&self, parameters: &ListParams) -> Result<Request<Vec<u8>>, kube::core::request::Error> {
        let path = self.path();
        if self.query.metadata_only { path.list_metadata(parameters).map(or_whole) } else { path.list(parameters) }
    }

    fn path(&self) -> kube::core::Request {
        kube::core::Request::new(self.query.resource.path(self.query.namespace.as_deref()))
    }

    /// Only a name that no object can have makes a request that cannot be built; `cli` has refused those.
    fn built(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Request<Vec<u8>>, Failure> {
        let mut request =
            request.map_err(|error| Failure { class: Class::Invalid, text: error.to_string(), retry_after: None })?;
        if self.query.is_confidential {
            request.extensions_mut().insert(Confidential);
        }
        Ok(request)
    }
}

/// An API server of somebody else that makes no `PartialObjectMetadata` answers with whole objects.
fn or_whole(mut request: Request<Vec<u8>>) -> Request<Vec<u8>> {
    let accepted = request.headers().get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let wider = accepted.and_then(|accepted| HeaderValue::from_str(&format!("{accepted},application/json")).ok());
    request.headers_mut().extend(wider.map(|wider| (header::ACCEPT, wider)));
    request
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: ListMetadata,
    // `null` is none. What has no such part is no list, whatever else it is: nothing is proved to be gone by it.
    #[serde(borrow)]
    items: &'a RawValue,
}

impl<'a> List<'a> {
    fn items(&self) -> serde_json::Result<Vec<&'a RawValue>> {
        Ok(serde_json::from_str::<Option<_>>(self.items.get())?.unwrap_or_default())
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}
