//! The API server and the way to it, in words: why it cannot be reached, and whose credentials it does not accept.
//!
//! Pure: an error's types in, one sentence out. Neither name nor password of a URL gets in here.

use std::error::Error;
use std::io;

use k8s_openapi::jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::proxy::{AtProxy, Unresolved};
use crate::text::{few, links, of_system};

/// What each of them is called.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// `https://127.0.0.1:6443 (context rig)`
    pub server: String,
    /// `http://10.0.0.1:3128 (HTTPS_PROXY)`, `http://10.0.0.1:3128 (proxy-url of cluster rig)`
    pub proxy: Option<String>,
    /// whose certificates are trusted: `the kubeconfig's CA`
    pub authority: &'static str,
    /// to an answer of 401: `the token is not accepted (expired?); user admin of context rig`
    pub refusal: Option<String>,
}

impl Peer {
    /// Why no connection came about, or why it broke before an answer.
    pub fn failure(&self, error: &(dyn Error + 'static)) -> String {
        let proxy = format!("the proxy {}", self.proxy.as_deref().unwrap_or_default());
        let at_proxy = links(error).find_map(|link| link.downcast_ref());
        let is_proxy = matches!(at_proxy, Some(AtProxy::Unreached(_)));
        let (place, cause) = (if is_proxy { &proxy } else { &self.server }, cause(error));
        let tls = links(error).find_map(|link| link.downcast_ref());
        tls.and_then(|error| self.distrust(place, error)).unwrap_or_else(|| match at_proxy {
            Some(AtProxy::Unreached(_)) => format!("cannot reach {place}: {cause}"),
            Some(AtProxy::Refused(_)) => format!("{proxy} does not connect to {place}: {cause}"),
            None if self.proxy.is_some() => format!("cannot reach the API server {place} through {proxy}: {cause}"),
            None => format!("cannot reach the API server {place}: {cause}"),
        })
    }

    /// A handshake that has failed, where its type says more than its text.
    fn distrust(&self, place: &str, error: &rustls::Error) -> Option<String> {
        use AlertDescription as Alert;
        Some(match error {
            rustls::Error::InvalidCertificate(fault) => format!("the certificate of {place} {}", self.fault(fault)),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => format!("{place} does not speak TLS"),
            rustls::Error::AlertReceived(Alert::CertificateRequired) => {
                format!("{place} requires a client certificate")
            }
            rustls::Error::AlertReceived(
                alert @ (Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied),
            ) => format!("{place} rejected the client certificate ({alert:?})"),
            _ => return None,
        })
    }

    /// As a clause that can follow the certificate.
    fn fault(&self, fault: &CertificateError) -> String {
        match fault {
            // A CA of the same name with another key: the cluster was made anew.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("is not signed by {}", self.authority)
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
                let names = if names.is_empty() { "no name".to_owned() } else { few(&names, MOST_NAMES) };
                format!("is for {names}, not for {}", expected.to_str())
            }
            CertificateError::ExpiredContext { time, not_after } => {
                format!("expired at {}; this clock says {}", at(*not_after), at(*time))
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                format!("is not valid before {}; this clock says {}", at(*not_before), at(*time))
            }
            other => format!("is not valid: {other}"),
        }
    }
}

/// Of a certificate.
const MOST_NAMES: usize = 10;
/// Also where the connector says it of its own share of the time.
const NO_CONNECTION: &str = "no connection within 5s";

/// `localhost`, where rustls has `DnsName("localhost")`.
fn bare(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, name)| name.trim_end_matches(')').trim_matches('"'))
}

fn at(time: UnixTime) -> String {
    let time = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "some time".to_owned(), |time| time.to_string())
}

/// The first cause in plain words: the links before it ("client error (Connect)", "tcp connect error") say little.
pub fn cause(error: &(dyn Error + 'static)) -> String {
    let by_system = links(error).filter_map(|link| link.downcast_ref::<io::Error>()).last();
    let unresolved = links(error).find_map(|link| link.downcast_ref::<Unresolved>());
    match by_system {
        _ if unresolved.is_some() => "its name does not resolve".to_owned(),
        Some(error) if error.raw_os_error().is_some() => of_system(error),
        // Ours, and that of the connector.
        Some(error) if error.kind() == io::ErrorKind::TimedOut => NO_CONNECTION.to_owned(),
        // rustls adds a link to its manual.
        Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        _ => links(error).last().map(ToString::to_string).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    fn peer(proxy: Option<&str>) -> Peer {
        Peer {
            server: "https://10.0.0.9:6443 (context rig)".to_owned(),
            proxy: proxy.map(str::to_owned),
            authority: "the kubeconfig's CA",
            refusal: None,
        }
    }

    /// As `HttpConnector` and hyper-rustls hand it over.
    fn failure(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
        io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn refused() -> io::Error {
        io::Error::from_raw_os_error(111)
    }

    #[test]
    fn server_context_and_proxy_are_named() {
        let [direct, proxied] = [None, Some("http://10.0.0.1:3128 (HTTPS_PROXY)")].map(peer);
        let unresolved = || Unresolved(io::Error::other("Try again"));
        let table = [
            (
                direct.failure(&refused()),
                "cannot reach the API server https://10.0.0.9:6443 (context rig): connection refused",
            ),
            (
                direct.failure(&failure(unresolved())),
                "cannot reach the API server https://10.0.0.9:6443 (context rig): its name does not resolve",
            ),
            (
                direct.failure(&io::Error::from(io::ErrorKind::TimedOut)),
                "cannot reach the API server https://10.0.0.9:6443 (context rig): no connection within 5s",
            ),
            (
                proxied.failure(&refused()),
                "cannot reach the API server https://10.0.0.9:6443 (context rig) through the proxy \
                 http://10.0.0.1:3128 (HTTPS_PROXY): connection refused",
            ),
            (
                proxied.failure(&AtProxy::Unreached(refused().into())),
                "cannot reach the proxy http://10.0.0.1:3128 (HTTPS_PROXY): connection refused",
            ),
            (
                proxied.failure(&AtProxy::Unreached(unresolved().into())),
                "cannot reach the proxy http://10.0.0.1:3128 (HTTPS_PROXY): its name does not resolve",
            ),
            (
                proxied.failure(&AtProxy::Refused("tunnel error: unsuccessful".into())),
                "the proxy http://10.0.0.1:3128 (HTTPS_PROXY) does not connect to https://10.0.0.9:6443 (context rig): \
                 tunnel error: unsuccessful",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said() {
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let other_name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("example.com").expect("a name"),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        };
        let table = [
            (CertificateError::UnknownIssuer, "is not signed by the kubeconfig's CA"),
            (CertificateError::BadSignature, "is not signed by the kubeconfig's CA"),
            (other_name(&["DnsName(\"a.b\")", "IpAddress(::1)"]), "is for a.b, ::1, not for example.com"),
            (other_name(&[]), "is for no name, not for example.com"),
            (
                CertificateError::ExpiredContext { time: time(86_400), not_after: time(60) },
                "expired at 1970-01-01T00:01:00Z; this clock says 1970-01-02T00:00:00Z",
            ),
            (
                CertificateError::NotValidYetContext { time: time(60), not_before: time(86_400) },
                "is not valid before 1970-01-02T00:00:00Z; this clock says 1970-01-01T00:01:00Z",
            ),
            (CertificateError::Revoked, "is not valid: Revoked"),
        ];
        for (fault, clause) in table {
            let text = peer(None).failure(&failure(rustls::Error::InvalidCertificate(fault)));
            assert_eq!(text, format!("the certificate of https://10.0.0.9:6443 (context rig) {clause}"));
        }
        let by_proxy =
            AtProxy::Unreached(failure(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)).into());
        let text = peer(Some("https://10.0.0.1:3128 (HTTPS_PROXY)")).failure(&by_proxy);
        assert_eq!(
            text,
            "the certificate of the proxy https://10.0.0.1:3128 (HTTPS_PROXY) is not signed by the kubeconfig's CA"
        );
    }

    #[test]
    fn what_tls_refuses_is_no_riddle() {
        let said = |error| peer(None).failure(&failure(error)).replace("https://10.0.0.9:6443 (context rig)", "it");
        let alert = rustls::Error::AlertReceived;
        assert_eq!(said(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)), "it does not speak TLS");
        assert_eq!(said(alert(AlertDescription::CertificateRequired)), "it requires a client certificate");
        assert_eq!(said(alert(AlertDescription::UnknownCA)), "it rejected the client certificate (UnknownCA)");
    }
}
