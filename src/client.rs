//! The hardened connection to the API server: connection settings, limits on every request, and failures sorted by
//! what has to be done about them. It never retries; whoever calls knows what a retry would be good for.
//!
//! kube's own stack leaves `TCP_NODELAY` off (a stall of 40 ms on every cold start: Nagle against delayed ACK), has no
//! keepalive (a half-open connection is noticed after 295 s) and no limit on a response, hence a stack of our own
//! from the layers of `ConfigExt`.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use anyhow::Context;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as Transport;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::jiff::{self, Timestamp};
use kube::Config;
use kube::client::{Body, ConfigExt};
use serde::Deserialize;
use tokio::time::timeout;
use tower::{BoxError, ServiceBuilder};

use crate::token::TokenFileLayer;

/// One attempt to connect: DNS, TCP and TLS together. A lost SYN costs this, then a new attempt is made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long headers, and then each piece of a body, may take. API priority and fairness may queue a request for 15 s.
const RESPONSE_LIMIT: Duration = Duration::from_secs(20);
/// The longest body and the longest watch event that are read, in bytes. etcd takes objects up to 1.5 MiB.
const BODY_LIMIT: usize = 32 << 20;

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
    /// 404: no such object (or no such resource)
    NotFound,
    /// 410, or a resource version from the future: list again
    Expired,
    /// 400 or 422: the request itself is wrong; no retry mends it
    Invalid,
    /// everything else heals by itself: no connection, 429, 5xx, garbage
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

    fn from_status(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let parsed: Option<ApiStatus> = serde_json::from_slice(body).ok();
        let (reason, message) = parsed.map(|it| (it.reason, it.message)).unwrap_or_default();
        // "Too large resource version" is a 504 in name, but no retry of the same request helps: the cache behind this
        // server is older than what we have seen (kubernetes/staging/src/k8s.io/apiserver/pkg/storage/errors.go).
        let too_new = message.starts_with("Too large resource version");
        let class = match status.as_u16() {
            401 => Class::Unauthenticated,
            403 | 405 => Class::Denied,
            404 => Class::NotFound,
            410 => Class::Expired,
            400 | 422 => Class::Invalid,
            _ if reason == "Expired" || reason == "Gone" || too_new => Class::Expired,
            _ => Class::Transient,
        };
        let said = if message.is_empty() { excerpt(body) } else { harmless(&message) };
        let separator = if said.is_empty() { "" } else { ": " };
        Self { class, text: format!("the API server answered {status}{separator}{said}"), retry_after }
    }
}

/// The part of a `v1` Status that is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiStatus {
    code: u16,
    reason: String,
    message: String,
}

/// A failure that came as an `ERROR` event within a watch.
pub fn failure_in_event(object: &[u8]) -> Failure {
    let status: ApiStatus = serde_json::from_slice(object).unwrap_or_default();
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Failure::from_status(code, None, object)
}

/// The first words of a body that is no Status: an HTML page of some proxy, usually.
fn excerpt(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(120)]);
    harmless(head.trim())
}

/// Control characters from outside never reach a terminal.
pub fn harmless(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// JSON, if all is well
    pub body: Vec<u8>,
    /// the server's clock, in whole seconds; ours where it sends none
    pub date: Timestamp,
}

impl Answer {
    /// An answer that is not what was asked for.
    pub fn unreadable(&self, error: &serde_json::Error) -> Failure {
        Failure::transient(format!("cannot read the API server's answer ({error}): {}", excerpt(&self.body)))
    }
}

/// A connection pool to one API server.
#[derive(Clone)]
pub struct Client {
    inner: kube::Client,
}

impl Client {
    /// Builds the stack; nothing is sent yet. May run the kubeconfig's exec plugin, which blocks.
    pub fn new(mut config: Config) -> anyhow::Result<Self> {
        let token_file = config.auth_info.token_file.take();
        let auth = config.auth_layer().context("cannot use the credentials")?;
        if auth.is_some() {
            // The token is there: without this, building the TLS settings would run the plugin once more.
            config.auth_info.exec = None;
        }
        let token_file = token_file.map(TokenFileLayer::new).transpose()?;
        let connector = config.rustls_https_connector_with_connector(tcp_connector()).context("cannot use TLS")?;
        let connector = ServiceBuilder::new().map_future(Box::pin).timeout(CONNECT_LIMIT).service(connector);
        let transport: Transport<_, Body> = Transport::builder(TokioExecutor::new()).build(connector);
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(auth)
            .option_layer(token_file)
            .layer(config.extra_headers_layer().context("cannot use the impersonation settings")?)
            .map_err(BoxError::from)
            .service(transport);
        Ok(Self { inner: kube::Client::new(service, config.default_namespace) })
    }

    /// One whole response body.
    pub async fn read(&self, request: Request<Vec<u8>>) -> Result<Answer, Failure> {
        let response = self.send(request).await?;
        let date = date(&response);
        Ok(Answer { body: body(response).await?, date })
    }

    /// The lines of a response that does not end by itself.
    pub async fn lines(&self, request: Request<Vec<u8>>) -> Result<Lines, Failure> {
        Ok(Lines { body: self.send(request).await?.into_body(), buffer: Vec::new(), searched: 0 })
    }

    async fn send(&self, mut request: Request<Vec<u8>>) -> Result<Response<Body>, Failure> {
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        tracing::debug!(method = %request.method(), uri = %request.uri(), "request");
        let sent = timeout(RESPONSE_LIMIT, self.inner.send(request.map(Body::from))).await;
        let response = sent
            .map_err(|_| Failure::transient(format!("no answer from the API server within {RESPONSE_LIMIT:?}")))?
            .map_err(|error| Failure::transient(format!("cannot reach the API server: {}", causes(&error))))?;
        let status = response.status();
        tracing::debug!(%status, "response");
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(&response);
        let body = body(response).await.unwrap_or_default();
        Err(Failure::from_status(status, retry_after, &body))
    }
}

const USER_AGENT: &str = concat!("k8s-wait-for/", env!("CARGO_PKG_VERSION"));

fn tcp_connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(15)));
    connector.set_keepalive_interval(Some(Duration::from_secs(5)));
    connector.set_keepalive_retries(Some(3));
    connector.set_tcp_user_timeout(Some(Duration::from_secs(30)));
    connector
}

/// Whole seconds; the other form that HTTP allows, a date, is not what Kubernetes sends.
fn retry_after<T>(response: &Response<T>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn date<T>(response: &Response<T>) -> Timestamp {
    let header = response.headers().get(header::DATE).and_then(|value| value.to_str().ok());
    // HTTP's date format is a subset of RFC 2822's.
    let date = header.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    date.map_or_else(Timestamp::now, |date| date.timestamp())
}

async fn body(response: Response<Body>) -> Result<Vec<u8>, Failure> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = next_piece(&mut body, RESPONSE_LIMIT).await? {
        bytes.extend_from_slice(&piece);
        within_limit(bytes.len())?;
    }
    Ok(bytes)
}

async fn next_piece(body: &mut Body, limit: Duration) -> Result<Option<hyper::body::Bytes>, Failure> {
    loop {
        let frame = timeout(limit, body.frame())
            .await
            .map_err(|_| Failure::transient(format!("the API server's answer stalled for {limit:?}")))?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(Failure::transient(format!("the API server's answer broke off: {}", causes(&error))));
            }
            // Trailers are no data.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn within_limit(length: usize) -> Result<(), Failure> {
    if length > BODY_LIMIT {
        return Err(Failure::transient(format!("the API server's answer is longer than {} MiB", BODY_LIMIT >> 20)));
    }
    Ok(())
}

/// The whole chain in one line; the outer links alone say little ("client error (Connect)").
fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // Many links repeat their source in their own text.
        if !texts.iter().any(|seen| seen.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    harmless(&texts.join(": "))
}

/// The lines of a watch, one event each.
pub struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// how far `buffer` is known to hold no line end
    searched: usize,
}

impl Lines {
    /// The next line without its end, or `None` when the server has ended the response. Waits as long as it takes; may
    /// be dropped at any time and called again.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + found + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            match next_piece(&mut self.body, Duration::MAX).await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
            within_limit(self.buffer.len())?;
        }
    }
}
