//! The service account's token, read from its file for every request.
//!
//! The kubelet rotates the file; kube caches it for 50 s and keeps it after a 401. This program sends a request every
//! few minutes, so that reading it each time costs nothing and a rotated token is used at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context, Result, ensure};
use http::{HeaderValue, Request, header};
use tower::{Layer, Service};

/// Puts the file's present token into the `Authorization` header.
#[derive(Clone)]
pub struct TokenFileLayer {
    path: PathBuf,
    /// what to send should the file be unreadable for a moment
    last: HeaderValue,
}

impl TokenFileLayer {
    /// Fails when the file cannot be read or holds no token: a configuration error.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let last = read(&path).with_context(|| format!("cannot use the token in {}", path.display()))?;
        Ok(Self { path, last })
    }
}

fn read(path: &Path) -> Result<HeaderValue> {
    bearer(&fs::read_to_string(path)?)
}

/// The value of the `Authorization` header, which is never shown.
///
/// # Errors
/// Nothing is left of the token after trimming, or it holds what no header may.
pub fn bearer(token: &str) -> Result<HeaderValue> {
    let token = token.trim();
    ensure!(!token.is_empty(), "the token is empty");
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).context("the token is no text of one line")?;
    value.set_sensitive(true);
    Ok(value)
}

impl<S> Layer<S> for TokenFileLayer {
    type Service = TokenFile<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TokenFile { token: self.clone(), inner }
    }
}

/// See [`TokenFileLayer`].
#[derive(Clone)]
pub struct TokenFile<S> {
    token: TokenFileLayer,
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for TokenFile<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Ok(value) = read(&self.token.path) {
            self.token.last = value;
        }
        request.headers_mut().insert(header::AUTHORIZATION, self.token.last.clone());
        self.inner.call(request)
    }
}
