//! The API server's address as a kubeconfig has it → a URL, by the rules of client-go's `rest.DefaultServerURL`.
//!
//! Pure. kube would panic on `localhost:443`, connect to port 443 for a port that is none, and show a password.

use anyhow::{Context, Result, bail, ensure};
use http::Uri;
use kube::config::Cluster;
use percent_encoding::percent_decode_str;

/// The URL of a cluster's `server`, and the name and password that stood in it.
///
/// # Errors
/// It is neither a URL of HTTP nor a host with or without a port; none of it is quoted where a password may stand.
pub fn url(cluster: &Cluster) -> Result<(String, Option<(String, String)>)> {
    let server = cluster.server.as_deref().map(str::trim).filter(|server| !server.is_empty());
    let server = server.context("it has no `server`")?;
    let (scheme, rest) = match server.split_once("://") {
        Some((scheme, rest)) => (scheme.to_lowercase(), rest),
        // client-go decides this before it looks at the kubeconfig's certificates.
        None => ("http".to_owned(), server),
    };
    // Where a password may stand, nothing is quoted.
    let quoted = |text: &str| if server.contains('@') { String::new() } else { format!(" `{text}`") };
    ensure!(scheme == "https" || scheme == "http", "its `server` has an invalid scheme{}{FORMS}", quoted(&scheme));
    ensure!(server.len() <= LONGEST, "its `server` is too long ({} characters)", server.len());
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    ensure!(server.contains("://") || path.is_empty(), "its `server` has a path, but no `https://`{FORMS}");
    let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    let (host, port) = host_and_port(place)?;
    let port = match port {
        "" => None,
        port => match port.parse::<u16>() {
            Ok(number) if number > 0 => Some(number),
            _ => bail!("its `server` has an invalid port{}{FORMS}", quoted(port)),
        },
    };
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let url = format!("{scheme}://{host}{port}{path}");
    ensure!(url.parse::<Uri>().is_ok_and(|url| url.host().is_some()), "its `server` is not an address{FORMS}");
    Ok((url, user.map(password)))
}

/// In bytes; a request's own path comes on top, and all of it has to fit into a URL.
const LONGEST: usize = 2_000;
const FORMS: &str = "\nhint: `https://HOST:PORT`, or `HOST:PORT`";

fn host_and_port(place: &str) -> Result<(&str, &str)> {
    let (host, port) = match place.rfind(':') {
        // An IPv6 address has colons of its own, and brackets around them.
        Some(at) if !place[at..].contains(']') => (&place[..at], &place[at + 1..]),
        _ => (place, ""),
    };
    let open = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || open {
        bail!("its `server` names no host{FORMS}");
    }
    Ok((host, port))
}

fn password(user: &str) -> (String, String) {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    (decoded(name), decoded(password))
}

/// Without its `%40` and their kin.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(server: &str) -> String {
        let cluster = Cluster { server: Some(server.to_owned()), ..Cluster::default() };
        match url(&cluster) {
            Ok((url, None)) => url,
            Ok((url, Some((name, password)))) => format!("{url} as {name} with {password}"),
            Err(error) => format!("! {error}").split('\n').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn addresses_mean_what_kubectl_means_by_them() {
        let table = [
            ("https://api.example.com:6443", "https://api.example.com:6443"),
            ("https://api.example.com/", "https://api.example.com"),
            ("HTTPS://api.example.com", "https://api.example.com"),
            ("https://gate.example.com/k8s/clusters/c-1?x=y#z", "https://gate.example.com/k8s/clusters/c-1"),
            ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
            ("https://[::1]:6443", "https://[::1]:6443"),
            ("https://[::1]", "https://[::1]"),
            ("localhost", "http://localhost"),
            ("localhost:443", "http://localhost:443"),
            ("10.0.0.1:6443/", "http://10.0.0.1:6443"),
            ("https://localhost:", "https://localhost"),
            (" https://localhost\n", "https://localhost"),
            ("https://jane:p%40w@localhost:6443", "https://localhost:6443 as jane with p@w"),
            ("https://jane@localhost", "https://localhost as jane with "),
            ("https://jane:%+f%@localhost", "https://localhost as jane with %+f%"),
            ("https://localhost:99999", "! its `server` has an invalid port `99999`"),
            ("https://localhost:abc", "! its `server` has an invalid port `abc`"),
            ("https://localhost:0", "! its `server` has an invalid port `0`"),
            ("https://:6443", "! its `server` names no host"),
            ("https://::1", "! its `server` names no host"),
            ("https://", "! its `server` names no host"),
            ("localhost/path", "! its `server` has a path, but no `https://`"),
            ("ftp://localhost", "! its `server` has an invalid scheme `ftp`"),
            ("unix:///var/run/x", "! its `server` has an invalid scheme `unix`"),
            ("https://lo cal", "! its `server` is not an address"),
            ("", "! it has no `server`"),
        ];
        for (server, expected) in table {
            assert_eq!(shown(server), expected, "{server}");
        }
    }

    #[test]
    fn password_is_never_quoted() {
        for server in [
            "https://jane:secret@",
            "ftp://jane:secret@localhost",
            "https://jane:secret@localhost:x",
            "https://jane:sec/secret@localhost",
            "jane:secret@localhost://x",
        ] {
            assert!(!shown(server).contains("secret"), "{server}");
        }
    }
}
