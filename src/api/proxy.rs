//! The way to the API server: directly, or through a proxy that the kubeconfig or the environment names.
//!
//! The environment is read by Go's rules (golang.org/x/net/http/httpproxy), because kubectl does and the variables on
//! people's machines were written for it. kube would match `NO_PROXY` against the proxy's own address, and hyper-util's
//! matcher follows curl: other precedence, no ports, localhost not spared. Proxies speak HTTP, HTTPS or SOCKS5.

use std::error::Error;
use std::net::IpAddr;
use std::task::{Context as TaskContext, Poll};
use std::{fmt, io};

use anyhow::{Context, Result, ensure};
use futures::future::{BoxFuture, FutureExt, Ready, TryFutureExt, ready};
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use kube::Config;
use kube::client::ConfigExt;
use kube::config::AuthInfo;
use tokio::net::TcpStream;
use tower::util::MapErr;
use tower::{BoxError, Service, ServiceExt, service_fn};

/// Connections whose names the system resolves.
pub type Tcp = HttpConnector<MapErr<GaiResolver, fn(io::Error) -> Unresolved>>;

/// A connector that goes by the way that was chosen once.
#[derive(Clone)]
pub enum Route {
    /// no proxy
    Direct(Tcp),
    /// HTTP's CONNECT, over TLS if the proxy wants it
    Tunnel(HttpsConnector<Tcp>, Intercept),
    /// SOCKS5; names are resolved by the proxy
    Socks(Tcp, Intercept),
}

/// A name that does not resolve. What the system says of it has no type and differs from libc to libc.
#[derive(Debug)]
pub struct Unresolved(pub io::Error);

/// What keeps the API server from having any part in it.
#[derive(Debug)]
pub enum AtProxy {
    /// no connection to the proxy
    Unreached(BoxError),
    /// the proxy connects to no server
    Refused(BoxError),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Unresolved {}

impl fmt::Display for AtProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unreached(error) | Self::Refused(error)) = self;
        error.fmt(f)
    }
}

impl Error for AtProxy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (Self::Unreached(error) | Self::Refused(error)) = self;
        Some(&**error)
    }
}

impl Route {
    /// By `config.proxy_url`, over connections that `tcp` makes.
    ///
    /// # Errors
    /// It is no URL of a proxy, or its scheme is none of those spoken here.
    pub fn new(config: &Config, tcp: Tcp) -> Result<Self> {
        let Some(url) = &config.proxy_url else { return Ok(Self::Direct(tcp)) };
        let proxy = parse(&url.to_string(), &config.cluster_url)?;
        if proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks5")) {
            return Ok(Self::Socks(tcp, proxy));
        }
        Ok(Self::Tunnel(tls_to_proxy(config, tcp)?, proxy))
    }
}

/// Resolves as the system does.
pub fn tcp() -> Tcp {
    HttpConnector::new_with_resolver(GaiResolver::new().map_err(Unresolved as fn(io::Error) -> Unresolved))
}

/// Without a name and a password: `http://proxy:3128`.
///
/// # Errors
/// As [`Route::new`].
pub fn shown(url: &Uri, server: &Uri) -> Result<String> {
    Ok(parse(&url.to_string(), server)?.uri().to_string().trim_end_matches('/').to_owned())
}

/// What the kubeconfig trusts is trusted here too, as in Go; who we are is the API server's business alone.
fn tls_to_proxy(config: &Config, tcp: Tcp) -> Result<HttpsConnector<Tcp>> {
    let mut config = config.clone();
    config.auth_info = AuthInfo::default();
    config.tls_server_name = None;
    // A connector for a proxy without TLS needs no authorities either.
    let plain = config.proxy_url.as_ref().is_none_or(|url| url.scheme_str() != Some("https"));
    if (plain || config.accept_invalid_certs) && config.root_cert.is_none() && config.root_cert_file.is_none() {
        config.root_cert = Some(Vec::new());
    }
    config.rustls_https_connector_with_connector(tcp).context("cannot use TLS to the proxy")
}

/// For an address that cannot be read. It is not quoted itself: it may contain only a password.
pub const UNREADABLE: &str = "cannot use the proxy's address\n\
     hint: a proxy is http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT";

fn parse(url: &str, server: &Uri) -> Result<Intercept> {
    let proxy = Matcher::builder().all(url).build().intercept(server).context(UNREADABLE)?;
    ensure!(proxy.uri().scheme_str().is_some_and(|scheme| !scheme.starts_with("socks4")), UNREADABLE);
    Ok(proxy)
}

impl Service<Uri> for Route {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(connector) | Self::Socks(connector, _) => connector.poll_ready(context).map_err(Into::into),
            Self::Tunnel(connector, _) => connector.poll_ready(context),
        }
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        match self {
            Self::Direct(connector) => connector.call(server).map_ok(MaybeHttpsStream::Http).err_into().boxed(),
            Self::Tunnel(connector, proxy) => {
                let (connecting, proxy) = (connector.call(proxy.uri().clone()), proxy.clone());
                async move { through_tunnel(connecting.await.map_err(AtProxy::Unreached)?, &proxy, server).await }
                    .boxed()
            }
            Self::Socks(connector, proxy) => {
                let (connecting, proxy) = (connector.call(proxy.uri().clone()), proxy.clone());
                let connecting = connecting.map_err(|error| AtProxy::Unreached(error.into()));
                async move { through_socks(connecting.await?, &proxy, server).await }.boxed()
            }
        }
    }
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

async fn through_tunnel(stream: Stream, proxy: &Intercept, server: Uri) -> Result<Stream, BoxError> {
    let tunnel = Tunnel::new(proxy.uri().clone(), only(stream));
    let mut tunnel = match proxy.basic_auth() {
        Some(credentials) => tunnel.with_auth(credentials.clone()),
        None => tunnel,
    };
    Ok(tunnel.call(server).await.map_err(|error| AtProxy::Refused(error.into()))?)
}

async fn through_socks(stream: TokioIo<TcpStream>, proxy: &Intercept, server: Uri) -> Result<Stream, BoxError> {
    let socks = SocksV5::new(proxy.uri().clone(), only(stream));
    let mut socks = match proxy.raw_auth() {
        Some((user, password)) => socks.with_auth(user.to_owned(), password.to_owned()),
        None => socks,
    };
    let stream = socks.call(server).await.map_err(|error| AtProxy::Refused(error.into()))?;
    Ok(MaybeHttpsStream::Http(stream))
}

/// A connector that has connected already: `SocksV5` does not tell why its own has failed.
fn only<S>(stream: S) -> impl Service<Uri, Response = S, Error = io::Error, Future = Ready<io::Result<S>>> {
    let mut stream = Some(stream);
    service_fn(move |_| ready(stream.take().ok_or_else(|| io::Error::other("it is taken"))))
}

/// The proxy that the environment wants for this server: `HTTPS_PROXY` (or `HTTP_PROXY` for a server without TLS)
/// unless `NO_PROXY` or the loopback rule spares it; and the variable. Lower-case names come first.
pub fn from_environment(server: &Uri, get: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
    let value = |name: &str| {
        let names = [name.to_lowercase(), name.to_owned()];
        names.into_iter().find_map(|name| Some((get(&name).filter(|value| !value.is_empty())?, name)))
    };
    let (variable, default_port) =
        if server.scheme_str() == Some("http") { ("HTTP_PROXY", 80) } else { ("HTTPS_PROXY", 443) };
    let proxy = value(variable)?;
    let port = server.port_u16().unwrap_or(default_port).to_string();
    let spared = is_spared(server.host()?, &port, &value("NO_PROXY").unwrap_or_default().0);
    (!spared).then_some(proxy)
}

fn is_spared(host: &str, port: &str, no_proxy: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_lowercase();
    let address: Option<IpAddr> = host.parse().ok().map(|address: IpAddr| address.to_canonical());
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let entries = no_proxy.split(',').map(|entry| entry.trim().to_lowercase());
    entries.filter(|entry| !entry.is_empty()).any(|entry| spares(&entry, &host, address, port))
}

/// Whether one entry of `NO_PROXY` means this host: `*`, a network, an address or a domain, the latter two perhaps with
/// a port.
fn spares(entry: &str, host: &str, address: Option<IpAddr>, port: &str) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return address.is_some_and(|address| network.contains(&address));
    }
    let (name, wanted_port) = split_port(entry);
    if !wanted_port.is_empty() && wanted_port != port {
        return false;
    }
    match (name.parse::<IpAddr>(), address) {
        (Ok(wanted), _) => address == Some(wanted.to_canonical()),
        // An address has no domain.
        (Err(_), Some(_)) => false,
        (Err(_), None) => is_within(host, name),
    }
}

/// `db.example.com` is within `example.com`, `.example.com` and `*.example.com`; `example.com` only within the first.
fn is_within(host: &str, domain: &str) -> bool {
    let domain = domain.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(domain);
    match (domain.strip_prefix('.'), host.strip_suffix(domain)) {
        (_, None) => false,
        (Some(_), Some(_)) => true,
        (None, Some(rest)) => !domain.is_empty() && (rest.is_empty() || rest.ends_with('.')),
    }
}

/// `host:port` and `[address]:port`; a bare IPv6 address has colons and no port.
fn split_port(entry: &str) -> (&str, &str) {
    if let Some(split) = entry.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return split;
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port),
        _ => (entry, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Server, `NO_PROXY`, and whether the proxy is used: what Go's httpproxy answers, case by case.
    const GO_ANSWERS: &[(&str, &str, bool)] = &[
        ("https://api.example.com:6443", "", true),
        ("https://api.example.com:6443", "example.com", false),
        ("https://api.example.com:6443", ".example.com", false),
        ("https://api.example.com:6443", "*.example.com", false),
        ("https://api.example.com:6443", "*example.com", true),
        ("https://api.example.com:6443", "api.example.com:6443", false),
        ("https://api.example.com:6443", "api.example.com:443", true),
        ("https://api.example.com", "api.example.com:443", false),
        ("https://API.Example.Com", "api.EXAMPLE.com", false),
        ("https://example.com", "example.com", false),
        ("https://example.com", ".example.com", true),
        ("https://notexample.com", "example.com", true),
        ("https://api.example.com", "example.org, ,*", false),
        ("https://api.example.com", "example.org,", true),
        ("https://api.example.com", ",", true),
        ("https://api.example.com", ":443", true),
        ("https://10.1.2.3:6443", "10.0.0.0/8", false),
        ("https://10.1.2.3:6443", "11.0.0.0/8", true),
        ("https://10.1.2.3:6443", "0.0.0.0/0", false),
        ("https://10.1.2.3:6443", "10.1.2.3/32", false),
        ("https://10.1.2.3:6443", "10.1.2.3/33", true),
        ("https://10.1.2.3:6443", "10.1.2.3", false),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", false),
        ("https://10.1.2.3:6443", "10.1.2.3:443", true),
        ("https://10.1.2.3:6443", "3", true),
        ("https://[fd00::1]:6443", "fd00::/8", false),
        ("https://[fd00::1]:6443", "fd00::1", false),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
        ("https://[fd00::1]:6443", "[fd00::1]:443", true),
        ("https://[fd00::1]:6443", "::/0", false),
        ("https://localhost:6443", "", false),
        ("https://127.0.0.1:6443", "", false),
        ("https://127.9.9.9:6443", "", false),
        ("https://[::1]:6443", "", false),
    ];

    fn asked(server: &str, variables: &[(&str, &str)]) -> Option<String> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        from_environment(&server.parse().unwrap(), get).map(|(proxy, _)| proxy)
    }

    #[test]
    fn no_proxy_means_what_go_means_by_it() {
        for (server, no_proxy, proxied) in GO_ANSWERS {
            let answer = asked(server, &[("HTTPS_PROXY", "proxy:3128"), ("NO_PROXY", no_proxy)]);
            assert_eq!(answer.is_some(), *proxied, "{server} with NO_PROXY={no_proxy}");
        }
    }

    #[test]
    fn lower_case_comes_first_and_empty_is_unset() {
        let server = "https://api.example.com";
        assert_eq!(asked(server, &[("https_proxy", "a"), ("HTTPS_PROXY", "b")]).as_deref(), Some("a"));
        assert_eq!(asked(server, &[("https_proxy", ""), ("HTTPS_PROXY", "b")]).as_deref(), Some("b"));
        assert_eq!(asked(server, &[("http_proxy", "a"), ("ALL_PROXY", "a")]), None);
        assert_eq!(asked("http://api.example.com", &[("http_proxy", "a")]).as_deref(), Some("a"));
    }

    #[test]
    fn proxy_addresses_are_read_with_their_credentials() {
        let server = Uri::from_static("https://api.example.com");
        let proxy = parse("http://user:p%40ss@proxy:3128", &server).unwrap();
        assert_eq!(proxy.uri(), "http://proxy:3128/");
        assert_eq!(proxy.basic_auth().unwrap(), "Basic dXNlcjpwQHNz");
        assert_eq!(parse("proxy:3128", &server).unwrap().uri(), "http://proxy:3128/");
        assert_eq!(parse("socks5://u:p@proxy:1080", &server).unwrap().raw_auth(), Some(("u", "p")));
        for wrong in ["", "socks4://proxy:1080", "ftp://proxy", "http://", "http://secret@[", "\u{0}"] {
            let error = parse(wrong, &server).unwrap_err().to_string();
            assert!(error.contains("hint: ") && !error.contains("secret"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn no_list_panics_or_takes_long() {
        let pieces = ["*", ".", ",", ":", "[", "]", "/", "0", "::", "10.0.0.0", "/8", "a", "é", " ", "fd00::", "\n"];
        let random = |length: usize| (0..length).map(|_| pieces[fastrand::usize(..pieces.len())]).collect::<String>();
        for _ in 0..20_000 {
            let list = random(fastrand::usize(..12));
            let host = random(fastrand::usize(1..6));
            is_spared(&host, "443", &list);
            drop(parse(&list, &Uri::from_static("https://a")));
        }
        let long = random(200_000);
        is_spared("api.example.com", "443", &long);
    }
}
