//! Who asks: the `Authorization` header of every request, from what a kubeconfig's user or a service account has.
//!
//! A token file is read for every request: the kubelet rotates it, and this program sends a request every few minutes.
//! (kube caches it for 50 s, keeps it after a 401, and panics on a token with a line end.) Certificates are the
//! connection's business, exec plugins that of `exec`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;

/// What the header is made of.
#[derive(Debug)]
pub enum Credentials {
    /// a certificate, a plugin, or nothing at all
    None,
    /// a token
    Token(HeaderValue),
    /// with its user's name
    Password(HeaderValue),
    /// a token in a file
    File {
        path: PathBuf,
        /// what to send should it be unreadable for a moment
        last: Mutex<HeaderValue>,
    },
}

impl Credentials {
    /// In kubectl's order: a token file, a token, a password.
    ///
    /// # Errors
    /// What cannot be sent: an empty token file, a line end within a token, two ways at once.
    pub fn of(auth: &AuthInfo) -> Result<Self> {
        let token = auth.token.as_ref().map(ExposeSecret::expose_secret).filter(|token| !token.is_empty());
        let file = auth.token_file.as_deref().filter(|path| !path.is_empty());
        let password = auth.password.as_ref().map(ExposeSecret::expose_secret).filter(|password| !password.is_empty());
        let name = auth.username.as_deref().filter(|name| !name.is_empty());
        let by_password = name.is_some() || password.is_some();
        if by_password && (token.is_some() || file.is_some()) {
            bail!("it has both a token and a password; only one can be sent");
        }
        if let Some(file) = file {
            let path = PathBuf::from(file);
            return match (read(&path), token) {
                (Ok(last), _) => Ok(Self::File { path, last: Mutex::new(last) }),
                (Err(_), Some(token)) => {
                    Ok(Self::File { path, last: Mutex::new(bearer(token).context("its `token`")?) })
                }
                (Err(error), None) => Err(error.context(format!("cannot use the token in {file}"))),
            };
        }
        if let Some(token) = token {
            return Ok(Self::Token(bearer(token).context("its `token`")?));
        }
        if by_password {
            return Ok(Self::Password(basic(name.unwrap_or_default(), password.unwrap_or_default())?));
        }
        match &auth.auth_provider {
            Some(provider) if provider.name == "oidc" => {
                let token = provider.config.get("id-token").context("its `auth-provider` oidc has no `id-token`")?;
                Ok(Self::Token(bearer(token).context("its `id-token`")?))
            }
            _ => Ok(Self::None),
        }
    }

    /// The header's value, now.
    pub fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Token(value) | Self::Password(value) => Some(value.clone()),
            Self::File { path, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if let Ok(value) = read(path) {
                    *last = value;
                }
                Some(last.clone())
            }
        }
    }
}

fn read(path: &Path) -> Result<HeaderValue> {
    bearer(&fs::read_to_string(path)?)
}

/// The value of the `Authorization` header for a token, which is never shown.
///
/// # Errors
/// Nothing is left of the token after trimming, or it holds what no header may.
pub fn bearer(token: &str) -> Result<HeaderValue> {
    let token = token.trim();
    ensure!(!token.is_empty(), "the token is empty");
    secret(format!("Bearer {token}")).context("the token is not a single line of text")
}

/// The same for a user's name and password.
///
/// # Errors
/// A name with a colon, where the password would begin.
pub fn basic(name: &str, password: &str) -> Result<HeaderValue> {
    ensure!(!name.contains(':'), "its `username` contains a colon");
    secret(format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))))
}

fn secret(text: String) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(user: Value) -> Result<Credentials> {
        Credentials::of(&serde_json::from_value::<AuthInfo>(user).expect("a user"))
    }

    #[test]
    fn header_is_what_kubectl_sends() {
        let header = |user: Value| of(user).expect("credentials").header();
        let table = [
            (json!({}), None),
            (json!({"token": ""}), None),
            (json!({"token": "t"}), Some("Bearer t")),
            (json!({"token": "t\n"}), Some("Bearer t")),
            (json!({"username": "jane", "password": "p:w"}), Some("Basic amFuZTpwOnc=")),
            (json!({"username": "jane"}), Some("Basic amFuZTo=")),
            (json!({"auth-provider": {"name": "oidc", "config": {"id-token": "i"}}}), Some("Bearer i")),
            (json!({"token": "t", "tokenFile": "/nonexistent"}), Some("Bearer t")),
        ];
        for (user, value) in table {
            let sent = header(user.clone());
            assert_eq!(sent.as_ref().map(|value| value.to_str().expect("ASCII")), value, "{user}");
            assert!(sent.is_none_or(|value| value.is_sensitive()));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_not_quoted() {
        for user in [
            json!({"token": "sec\nret"}),
            json!({"token": "sec\u{0}ret"}),
            json!({"tokenFile": "/nonexistent"}),
            json!({"token": "secret", "username": "jane"}),
            json!({"username": "a:b", "password": "secret"}),
        ] {
            let error = format!("{:#}", of(user.clone()).expect_err("nothing to send"));
            assert!(!error.contains("ret") || error.contains("/nonexistent"), "{user}: {error}");
        }
    }
}
