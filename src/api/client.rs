//! The hardened connection to the API server: connection settings, credentials and limits on every request. It never
//! retries; whoever calls knows what a retry would be good for.
//!
//! kube's own stack leaves `TCP_NODELAY` off (a stall of 40 ms on every cold start: Nagle against delayed ACK), has no
//! keepalive (a half-open connection is noticed after 295 s) and no limit on a response, hence a stack of our own
//! from the layers of `ConfigExt`.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use anyhow::{Context, anyhow};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as Transport;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::ByteString;
use k8s_openapi::jiff::{self, Timestamp};
use kube::Config;
use kube::client::{Body, ConfigExt};
use kube::config::AuthInfo;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use tower::timeout::error::Elapsed;
use tower::{BoxError, ServiceBuilder};

use super::config::Login;
#[cfg(test)]
use super::credentials::Credentials;
use super::failure::{Class, Failure, excerpt, is_status};
use super::kubeconfig::without_secrets;
use super::peer::{Peer, cause};
use super::proxy::{self, Route, Tcp};
use crate::text::{self, links};

/// One attempt to connect: DNS, TCP and TLS together. A lost SYN costs this, then a new attempt is made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long headers, and then each piece of a body, may take. API priority and fairness may queue a request for 15 s.
const RESPONSE_LIMIT: Duration = Duration::from_secs(20);
/// How long a whole body may take that never stalls; a watch is not read whole.
const BODY_LIMIT: Duration = Duration::from_mins(1);
/// How long an exec plugin may take to renew its credentials.
pub const PLUGIN_LIMIT: Duration = Duration::from_mins(1);
/// The longest body and the longest watch event that are read, in bytes. etcd takes objects up to 1.5 MiB.
pub const SIZE_LIMIT: usize = 32 << 20;
/// What is read at a time for an explanation, in bytes, and over how many connections: nobody waits for it, and it must
/// not cost the wait its memory.
const ASIDE_LIMIT: usize = 1 << 20;
const ASIDE: usize = 2;
/// So many lists are asked for at a time, and so long the next one waits for those before it.
const TURNS: usize = 2;
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the runtime may have to poll others before a connection is free again: its own task and hyper's pool are
/// two of them.
const POLLS: usize = 4;
/// What is read of an answer that is no success, in bytes.
const ERROR_LIMIT: usize = 256 << 10;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// JSON, if all is well
    pub body: Vec<u8>,
    /// the server's clock, in whole seconds; ours where it sends none
    pub date: Timestamp,
    /// from the request on
    pub took: Duration,
    is_confidential: bool,
}

/// Goes with a request whose answer is not for other eyes: nothing of that is quoted.
#[derive(Debug, Clone, Copy)]
pub struct Confidential;

impl Answer {
    /// An answer that is not what was asked for.
    pub fn unreadable(&self, error: &dyn fmt::Display) -> Failure {
        // What serde says quotes what it has found.
        if self.is_confidential {
            return Failure::transient("cannot read the API server's response");
        }
        Failure::transient(format!("cannot read the API server's response ({error}): {}", excerpt(&self.body)))
    }
}

/// The API server, as whoever the configuration says.
#[derive(Clone)]
pub struct Client {
    access: Arc<Access>,
}

struct Access {
    login: Login,
    session: Mutex<Session>,
    /// for lists
    turns: Semaphore,
    /// for explanations
    aside: Semaphore,
}

/// A connection pool and the credentials that go with it.
#[derive(Clone)]
struct Session {
    stack: kube::Client,
    /// from the plugin
    authorization: Option<HeaderValue>,
    expires: Option<Timestamp>,
    /// the server has answered 401
    refused: bool,
    /// no connection came about: what was read from files may be out of date
    stale: bool,
}

impl Client {
    /// Builds the stack; no request is sent yet. Runs the kubeconfig's exec plugin, for as long as it takes.
    ///
    /// # Errors
    /// A configuration that a person has to mend.
    pub async fn new(login: Login) -> anyhow::Result<Self> {
        let session = Session::start(&login).await.with_context(|| format!("cannot use {}", login.origin))?;
        Ok(Self { access: Arc::new(Access::new(login, session)) })
    }

    /// One whose API server is this service: for scripts under a paused clock.
    #[cfg(test)]
    pub fn of_service<S, B>(service: S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let stack = kube::Client::new(service, "shop");
        let session = Session { stack, authorization: None, expires: None, refused: false, stale: false };
        let config = Config::new(http::Uri::from_static("http://localhost"));
        let login = Login {
            config,
            credentials: Credentials::None,
            plugin: None,
            origin: String::new(),
            peer: Peer::default(),
        };
        Self { access: Arc::new(Access::new(login, session)) }
    }

    /// One whole response body.
    pub async fn read(&self, request: Request<Vec<u8>>) -> Result<Answer, Failure> {
        self.read_within(request, SIZE_LIMIT).await
    }

    /// The same of at most so many bytes; more are [`Class::TooLong`].
    pub async fn read_within(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Answer, Failure> {
        let asked = Instant::now();
        let is_confidential = is_confidential(&request);
        let response = self.send(request).await?;
        let date = date(&response);
        let body = body(response, limit).await?;
        let took = asked.elapsed();
        // Lets the connection go back to where the next request finds it: else that one would open another.
        for _ in 0..POLLS {
            yield_now().await;
        }
        Ok(Answer { body, date, took, is_confidential })
    }

    /// The same, but with so many others at a time as share few connections: two hundred targets that begin together
    /// would open two hundred, and their watches as many again. Behind one that is slow nobody waits for long.
    pub async fn read_in_turn(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Answer, Failure> {
        let _turn = timeout(PATIENCE, self.access.turns.acquire()).await;
        self.read_within(request, limit).await
    }

    /// One whole response body of what the wait does not depend on: a small one, over connections of its own.
    pub async fn read_aside(&self, request: Request<Vec<u8>>) -> Result<Answer, Failure> {
        // It is never closed.
        let _turn = self.access.aside.acquire().await;
        self.read_within(request, ASIDE_LIMIT).await
    }

    /// The lines of a response that does not end by itself.
    pub async fn lines(&self, request: Request<Vec<u8>>) -> Result<Lines, Failure> {
        Ok(Lines { body: self.send(request).await?.into_body(), buffer: BytesMut::new(), searched: 0 })
    }

    async fn send(&self, mut request: Request<Vec<u8>>) -> Result<Response<Body>, Failure> {
        // Locked while a plugin runs: all requests wait for the same new credentials instead of running it again.
        let session = self.access.session().await?;
        let is_confidential = is_confidential(&request);
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if let Some(authorization) = session.authorization.or_else(|| self.access.login.credentials.header()) {
            request.headers_mut().insert(header::AUTHORIZATION, authorization);
        }
        tracing::debug!(method = %request.method(), uri = %request.uri(), "request");
        let sent = timeout(RESPONSE_LIMIT, session.stack.send(request.map(Body::from))).await;
        let sent = sent.map_err(|_| silent(format!("no response from the API server within {RESPONSE_LIMIT:?}")))?;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                self.access.session.lock().await.stale = true;
                return Err(unconnected(&self.access.login.peer, &error));
            }
        };
        let status = response.status();
        tracing::debug!(%status, "response");
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            self.access.session.lock().await.refused = true;
        }
        let retry_after = retry_after(&response);
        let body = body(response, ERROR_LIMIT).await.unwrap_or_default();
        let failure = if is_confidential { Failure::from_confidential } else { Failure::from_status };
        let failure = failure(status, retry_after, &body);
        // What a gateway on the way says is its own.
        let is_unaccepted = failure.class == Class::Unauthenticated && is_status(&body);
        let refusal = self.access.login.peer.refusal.clone().filter(|_| is_unaccepted);
        Err(Failure { text: refusal.unwrap_or(failure.text), ..failure })
    }
}

fn is_confidential(request: &Request<Vec<u8>>) -> bool {
    request.extensions().get::<Confidential>().is_some()
}

fn silent(text: String) -> Failure {
    Failure { class: Class::Silent, ..Failure::transient(text) }
}

fn unconnected(peer: &Peer, error: &(dyn StdError + 'static)) -> Failure {
    tracing::debug!(error = text::chain(error), "no answer");
    let is_refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let refused = links(error).filter_map(|error| error.downcast_ref()).any(is_refused);
    Failure { class: Class::Unconnected { refused }, ..Failure::transient(peer.failure(error)) }
}

impl Access {
    fn new(login: Login, session: Session) -> Self {
        Self { login, session: Mutex::new(session), turns: Semaphore::new(TURNS), aside: Semaphore::new(ASIDE) }
    }

    /// The present session; a new one when its credentials have run out or were refused and others can be had, or when
    /// the files that it was made of may have changed.
    async fn session(&self) -> Result<Session, Failure> {
        let mut session = self.session.lock().await;
        let config = &self.login.config;
        let files = config.auth_info.client_certificate.is_some() || config.root_cert_file.is_some();
        let expired = session.expires.is_some_and(|expires| expires <= Timestamp::now());
        if session.stale && files && !session.refused {
            session.stale = false;
            // A file that is being replaced: the old one, then.
            if let Ok(stack) = stack(config) {
                session.stack = stack;
            }
        }
        // A fixed token that is refused stays what it is; a file is read for every request anyway.
        let others = self.login.plugin.is_some() || config.auth_info.client_certificate.is_some();
        if expired || session.refused && others {
            let renewed = self.renewed().await;
            // Refused, or out of date, and nothing better to be had: that is the API server's refusal still.
            let class = Class::Unauthenticated;
            *session = renewed.map_err(|error| {
                let text = format!("no new credentials: {}", text::chain(error.as_ref())).replace('\n', "; ");
                Failure { class, ..Failure::transient(text) }
            })?;
        }
        Ok(session.clone())
    }

    async fn renewed(&self) -> anyhow::Result<Session> {
        // Nobody sits before it to log in by hand, as there may have been at the start.
        timeout(PLUGIN_LIMIT, Session::start(&self.login))
            .await
            .with_context(|| format!("the exec plugin is still running after {PLUGIN_LIMIT:?}"))?
    }
}

impl Session {
    async fn start(login: &Login) -> anyhow::Result<Self> {
        let (mut authorization, mut expires) = (None, None);
        let stack = match &login.plugin {
            None => stack(&login.config)?,
            Some(plugin) => {
                let credential = plugin.run().await?;
                (authorization, expires) = (credential.authorization, credential.expires);
                let mut config = login.config.clone();
                if let Some((certificate, key)) = credential.identity {
                    present(&mut config.auth_info, certificate, key)?;
                }
                stack(&config)?
            }
        };
        Ok(Self { stack, authorization, expires, refused: false, stale: false })
    }
}

/// Puts a client certificate where the kubeconfig would have it, in base64: as JSON, because the key's type is a
/// secret that only reading makes.
fn present(auth: &mut AuthInfo, certificate: String, key: String) -> anyhow::Result<()> {
    let [certificate, key] = [certificate, key].map(|pem| ByteString(pem.into_bytes()));
    let with_identity: AuthInfo =
        serde_json::from_value(json!({ "client-certificate-data": certificate, "client-key-data": key }))?;
    auth.client_certificate_data = with_identity.client_certificate_data;
    auth.client_key_data = with_identity.client_key_data;
    Ok(())
}

fn stack(config: &Config) -> anyhow::Result<kube::Client> {
    let route = Route::new(config, tcp_connector())?;
    let trusting = trust(config);
    let connector = trusting.rustls_https_connector_with_connector(route).map_err(|error| no_tls(&trusting, error))?;
    let connector = ServiceBuilder::new().map_err(late).map_future(Box::pin).timeout(CONNECT_LIMIT).service(connector);
    let mut transport = Transport::builder(TokioExecutor::new());
    // What was connected for one request and found another way meanwhile is not kept: lists need no more than this.
    transport.pool_max_idle_per_host(TURNS);
    let transport: Transport<_, Body> = transport.build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(config.extra_headers_layer().context("cannot use the impersonation settings")?)
        .map_err(BoxError::from)
        .service(transport);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}

/// Where no certificate is checked, none is needed: this may be a machine, or an image, without any.
pub fn trust(config: &Config) -> Config {
    let mut config = config.clone();
    if config.accept_invalid_certs || config.cluster_url.scheme_str() == Some("http") {
        (config.root_cert, config.root_cert_file) = (Some(Vec::new()), None);
    }
    config
}

/// Why there is no TLS with these settings.
fn no_tls(config: &Config, error: kube::Error) -> anyhow::Error {
    let mut without_roots = config.clone();
    (without_roots.root_cert, without_roots.root_cert_file) = (Some(Vec::new()), None);
    let no_roots = config.root_cert.is_none() && config.root_cert_file.is_none();
    if no_roots && without_roots.rustls_client_config().is_ok() {
        return anyhow!(
            "cannot check the API server's certificate: the cluster has no `certificate-authority`, and this system \
             has no CA certificates\n\
             hint: set `certificate-authority`, or SSL_CERT_FILE to a bundle of them"
        );
    }
    let error = match error {
        kube::Error::InferKubeconfig(error) => return without_secrets(error),
        kube::Error::RustlsTls(error) => anyhow!(error),
        error => anyhow!(error),
    };
    error.context(
        "cannot use a certificate (`certificate-authority`, `client-certificate`, `client-key`) or `tls-server-name`",
    )
}

/// "request timed out" is all that tower says.
fn late(error: BoxError) -> BoxError {
    if error.is::<Elapsed>() { io::Error::from(io::ErrorKind::TimedOut).into() } else { error }
}

const USER_AGENT: &str = concat!("k8s-wait-for/", env!("CARGO_PKG_VERSION"));

fn tcp_connector() -> Tcp {
    let mut connector = proxy::tcp();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    // Divided among the addresses of a name: one API server that is gone leaves time for the next.
    connector.set_connect_timeout(Some(CONNECT_LIMIT));
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

async fn body(response: Response<Body>, limit: usize) -> Result<Vec<u8>, Failure> {
    let whole = timeout(BODY_LIMIT, whole(response.into_body(), limit)).await;
    whole.map_err(|_| Failure::transient(format!("the API server's answer took longer than {BODY_LIMIT:?}")))?
}

async fn whole(mut body: Body, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        let piece = timeout(RESPONSE_LIMIT, next_piece(&mut body)).await;
        let piece =
            piece.map_err(|_| Failure::transient(format!("the API server's answer stalled for {RESPONSE_LIMIT:?}")))?;
        let Some(piece) = piece? else { return Ok(bytes) };
        bytes.extend_from_slice(&piece);
        within_limit(bytes.len(), limit)?;
    }
}

async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Failure::transient(format!("the API server's answer broke off: {}", cause(&error))))?;
        // Trailers are no data.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn within_limit(length: usize, limit: usize) -> Result<(), Failure> {
    if length > limit {
        let text = format!("the API server's answer is longer than {} KiB", limit >> 10);
        return Err(Failure { class: Class::TooLong, ..Failure::transient(text) });
    }
    Ok(())
}

/// The lines of a watch, one event each.
pub struct Lines {
    body: Body,
    buffer: BytesMut,
    /// how far `buffer` is known to hold no line end
    searched: usize,
}

impl Lines {
    /// The next line without its end, or `None` when the server has ended the response. Waits as long as it takes; may
    /// be dropped at any time and called again.
    pub async fn next(&mut self) -> Result<Option<BytesMut>, Failure> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            match next_piece(&mut self.body).await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                // Without its end, it is no event: a page of some proxy, or half an event. That is for the reader to
                // see.
                None if !self.buffer.is_empty() => return Ok(Some(self.buffer.split())),
                None => return Ok(None),
            }
            within_limit(self.buffer.len(), SIZE_LIMIT)?;
        }
    }

    fn buffered(&mut self) -> Option<BytesMut> {
        let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.searched + found + 1);
        line.truncate(line.len() - 1);
        self.searched = 0;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_of_seconds_or_nothing() {
        let wish = |value: &str| retry_after(&Response::builder().header("Retry-After", value).body(()).unwrap());
        assert_eq!(wish("3"), Some(Duration::from_secs(3)));
        assert_eq!(wish(" 3 "), Some(Duration::from_secs(3)));
        for nothing in ["", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999999999", "é"] {
            assert_eq!(wish(nothing), None, "{nothing}");
        }
        assert_eq!(wish("18446744073709551615"), Some(Duration::from_secs(u64::MAX)));
    }

    fn cut_into_lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines { body: Body::empty(), buffer: BytesMut::new(), searched: 0 };
        let mut cut = Vec::new();
        for piece in pieces {
            lines.buffer.extend_from_slice(piece);
            while let Some(line) = lines.buffered() {
                cut.push(line.to_vec());
            }
        }
        cut
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let text: Vec<u8> = (0..4000).map(|_| *fastrand::choice(b"ab\n").unwrap()).collect();
        let whole = cut_into_lines(&[&text]);
        for _ in 0..200 {
            let mut pieces = Vec::new();
            let mut rest = text.as_slice();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(fastrand::usize(1..=rest.len().min(50)));
                pieces.push(piece);
                rest = after;
            }
            assert_eq!(cut_into_lines(&pieces), whole);
        }
    }

    /// In quadratic time this would be 10^12 steps: the test would not end.
    #[test]
    fn lines_cost_what_they_are_long() {
        let long = vec![b'a'; SIZE_LIMIT / 4];
        let pieces: Vec<&[u8]> = long.chunks(1024).collect();
        assert!(cut_into_lines(&pieces).is_empty());
        let many = vec![b'\n'; SIZE_LIMIT / 16];
        assert_eq!(cut_into_lines(&[&many]).len(), many.len());
    }
}
