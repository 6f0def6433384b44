//! Which cluster, as whom, in which namespace: chosen explicitly, never by silent fall-back.
//!
//! Named by `--kubeconfig`, `--context` or `$KUBECONFIG`: that file, and a broken one is an error. Else in a pod: the
//! service account's files. Else `~/.kube/config`. (`Config::infer` would try the kubeconfig first and hide why it
//! failed.) What kubectl takes means the same here, by the rules of client-go's `tools/clientcmd`; what would fail at
//! the first request, or be retried in vain, is an error with the file and the field at once (exit code 78).

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use http::Uri;
use kube::Config;
use kube::config::{AuthInfo, Cluster, Context as NamedPlace, KubeConfigOptions, Kubeconfig};

use super::credentials::{Credentials, basic};
use super::exec::Plugin;
use super::kubeconfig;
use super::peer::Peer;
use super::proxy;
use super::server;
use crate::target::names::dns_label;
use crate::text::{few, near};

/// How to reach the API server, and as whom.
pub struct Login {
    /// without what `credentials` and `plugin` hold, which kube would send and run by itself
    pub config: Config,
    pub credentials: Credentials,
    /// where the credentials come from, if they come from an exec plugin
    pub plugin: Option<Plugin>,
    /// where all of it was written: `the kubeconfig FILE`
    pub origin: String,
    /// what has to be said of it when it does not work
    pub peer: Peer,
}

impl Login {
    fn new(mut config: Config, password_in_url: Option<(String, String)>) -> Result<Self> {
        let mut plugin = Plugin::of(&config.auth_info);
        let mut credentials = Credentials::of(&config.auth_info)?;
        // Go's HTTP client sends it before anything else.
        if let Some((name, password)) = password_in_url {
            plugin = None;
            credentials = Credentials::Password(basic(&name, &password)?);
        }
        let auth = &mut config.auth_info;
        (auth.token, auth.token_file, auth.exec, auth.auth_provider) = (None, None, None, None);
        (auth.username, auth.password) = (None, None);
        Ok(Self { config, credentials, plugin, origin: String::new(), peer: Peer::default() })
    }

    /// What an answer of 401 means, where credentials are sent.
    fn refused(&self) -> Option<String> {
        if let Some(plugin) = &self.plugin {
            return Some(format!("the credentials of the exec plugin {} are not accepted", plugin.command_name()));
        }
        let what = match self.credentials {
            Credentials::Token(_) | Credentials::File { .. } => "token is not accepted (expired?)",
            Credentials::Password(_) => "password is not accepted",
            Credentials::None if has_certificate(&self.config.auth_info) => {
                "client certificate is not accepted (expired?)"
            }
            Credentials::None => return None,
        };
        Some(format!("the {what}"))
    }
}

/// Reads the configuration; every error is one that a person has to mend (exit code 78).
pub async fn load(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Login> {
    let named_by_environment = env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
    let is_named = kubeconfig.is_some() || context.is_some() || named_by_environment;
    if !is_named && env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return in_cluster();
    }
    let read = kubeconfig::read(kubeconfig);
    let read = if is_named { read } else { read.context(NOWHERE) };
    from_kubeconfig(read?, context).await
}

const NOWHERE: &str = "not in a pod (KUBERNETES_SERVICE_HOST is not set), so a kubeconfig is needed\n\
    hint: name one with `--kubeconfig FILE` or $KUBECONFIG";

/// The contexts of the kubeconfig that [`load`] would read outside a pod.
pub fn contexts(kubeconfig: Option<&Path>) -> Result<Vec<String>> {
    let (kubeconfig, _) = kubeconfig::read(kubeconfig)?;
    Ok(kubeconfig.contexts.into_iter().map(|context| context.name).collect())
}

/// Proxies of the environment are for the world outside: inside, a cluster's own address is reached directly.
fn in_cluster() -> Result<Login> {
    const HINT: &str = "cannot read the service account's files\n\
         hint: the pod needs a service account token: automountServiceAccountToken must not be false";
    let mut config = Config::incluster().context(HINT)?;
    config.default_retry = false;
    config.default_namespace = match config.default_namespace.trim() {
        "" => "default".to_owned(),
        namespace => namespace.to_owned(),
    };
    let login = Login::new(config, None).context(HINT)?;
    let peer = Peer {
        server: address(&login.config),
        proxy: None,
        authority: "the service account's CA",
        refusal: Some("the service account's token is not accepted (expired?)".to_owned()),
    };
    Ok(Login { origin: "the service account's files".to_owned(), peer, ..login })
}

async fn from_kubeconfig((kubeconfig, origin): (Kubeconfig, String), context: Option<&str>) -> Result<Login> {
    let origin = format!("the kubeconfig {origin}");
    let login = from_parts(kubeconfig, context, |name| env::var(name).ok()).await;
    let login = login.with_context(|| format!("cannot use {origin}"))?;
    Ok(Login { origin, ..login })
}

/// From what was read, and what is in the environment about proxies.
pub async fn from_parts(
    mut kubeconfig: Kubeconfig,
    context: Option<&str>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Login> {
    let Place { context: name, cluster: cluster_name, user } = check_context(&kubeconfig, context)?;
    let cluster = named_cluster(&mut kubeconfig, &cluster_name).context("a cluster was found a moment ago")?;
    let described = format!("cluster `{cluster_name}`");
    let Prepared { password_in_url, proxy, authority } = prepare(cluster).with_context(|| described.clone())?;
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let read = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = read.map_err(kubeconfig::without_secrets).with_context(|| described.clone())?;
    // Its 15 silent retries would leave nothing to report for minutes; the watch loop has a back-off of its own.
    config.default_retry = false;
    let is_empty = config.root_cert.as_ref().is_some_and(Vec::is_empty);
    ensure!(!is_empty, "{described}: its certificate authority contains no PEM certificate");
    // Read again from time to time: authorities are replaced, too.
    config.root_cert_file = authority.map(PathBuf::from);
    // Plugins find what the environment says by themselves.
    if let Some(told) = config.auth_info.exec.as_mut().and_then(|exec| exec.cluster.as_mut()) {
        told.proxy_url.clone_from(&proxy);
    }
    // The kubeconfig's own counts more, and is not limited by NO_PROXY: as in kubectl.
    let proxy = proxy.map(|url| (url, format!("proxy-url of cluster {cluster_name}")));
    let proxy = proxy.or_else(|| proxy::from_environment(&config.cluster_url, env));
    let proxy = proxy.map(|(url, source)| read_proxy(&url, &source, &config.cluster_url)).transpose()?;
    let (url, proxy) = proxy.unzip();
    config.proxy_url = url;
    let login = as_user(config, password_in_url).with_context(|| format!("user `{user}`"))?;
    let has_authority = login.config.root_cert.is_some();
    let peer = Peer {
        server: format!("{} (context {name})", address(&login.config)),
        proxy,
        authority: if has_authority { "the kubeconfig's CA" } else { "any CA that this system trusts" },
        refusal: login.refused().map(|text| format!("{text}; user {user} of context {name}")),
    };
    Ok(Login { peer, ..login })
}

/// A proxy's address, and what it is called.
fn read_proxy(url: &str, source: &str, server: &Uri) -> Result<(Uri, String)> {
    let url = url.parse().ok().context(proxy::UNREADABLE);
    let read = url.and_then(|url| Ok((format!("{} ({source})", proxy::shown(&url, server)?), url)));
    let (shown, url) = read.with_context(|| source.to_owned())?;
    Ok((url, shown))
}

fn address(config: &Config) -> String {
    config.cluster_url.to_string().trim_end_matches('/').to_owned()
}

/// What kube is not told of a cluster.
struct Prepared {
    password_in_url: Option<(String, String)>,
    proxy: Option<String>,
    /// the file of its certificate authority
    authority: Option<String>,
}

/// Checks a cluster and makes of it what kube reads as kubectl would.
fn prepare(cluster: &mut Cluster) -> Result<Prepared> {
    let (url, password_in_url) = server::url(cluster)?;
    check_certificates(cluster, &url)?;
    cluster.server = Some(url);
    // Kube gets a stand-in: without one it would read the environment by rules of its own, where even a comma too much
    // is an error.
    let proxy = cluster.proxy_url.replace(STAND_IN.to_owned());
    let authority = cluster.certificate_authority.clone().filter(|_| cluster.certificate_authority_data.is_none());
    Ok(Prepared { password_in_url, proxy, authority })
}

/// With the credentials of its user, of whom something has to be known.
fn as_user(mut config: Config, password_in_url: Option<(String, String)>) -> Result<Login> {
    check_user(&config.auth_info)?;
    let has_certificate = has_certificate(&config.auth_info);
    // Without TLS, anybody could read them; client-go sends none either.
    let plain = config.cluster_url.scheme_str() == Some("http");
    if plain {
        config.auth_info = anonymous(&config.auth_info);
    }
    let login = Login::new(config, password_in_url)?;
    let anonymous = matches!(login.credentials, Credentials::None) && login.plugin.is_none() && !has_certificate;
    ensure!(
        !anonymous || plain,
        "there are no credentials\n\
         hint: give it a `token`, a `client-certificate` with its key, or an `exec` plugin"
    );
    Ok(login)
}

const STAND_IN: &str = "http://proxy";

/// Only who is to be impersonated.
fn anonymous(auth: &AuthInfo) -> AuthInfo {
    AuthInfo {
        impersonate: auth.impersonate.clone(),
        impersonate_uid: auth.impersonate_uid.clone(),
        impersonate_groups: auth.impersonate_groups.clone(),
        impersonate_user_extra: auth.impersonate_user_extra.clone(),
        ..AuthInfo::default()
    }
}

/// What a context names.
struct Place {
    context: String,
    cluster: String,
    user: String,
}

/// Kube takes a context without a cluster or user of that name for one without credentials.
fn check_context(kubeconfig: &Kubeconfig, wanted: Option<&str>) -> Result<Place> {
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    ensure!(!known.is_empty(), "it has no contexts\nhint: name another one with `--kubeconfig FILE` or $KUBECONFIG");
    let Some(name) = wanted.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty()) else {
        bail!("it has no current context\nhint: {}", right_form(&known));
    };
    let context = place(kubeconfig, name).with_context(|| {
        let problem = match wanted {
            Some(name) => format!("it has no context `{name}`"),
            None => format!("its current context `{name}` does not exist"),
        };
        format!("{problem}\nhint: {}", instead(name, known))
    })?;
    let (cluster, user) = (&context.cluster, context.user.as_deref().unwrap_or_default());
    let has_cluster = kubeconfig.clusters.iter().any(|known| known.name == *cluster && known.cluster.is_some());
    ensure!(has_cluster, "context `{name}` names the cluster `{cluster}`, which does not exist");
    ensure!(!user.is_empty(), "context `{name}` names no user");
    let has_user = kubeconfig.auth_infos.iter().any(|known| known.name == user);
    ensure!(has_user, "context `{name}` names the user `{user}`, which does not exist");
    if let Some(namespace) = context.namespace.as_deref() {
        dns_label(namespace)
            .map_err(|reason| anyhow!("context `{name}`: `{namespace}` is not a valid namespace name: it {reason}"))?;
    }
    Ok(Place { context: name.to_owned(), cluster: cluster.clone(), user: user.to_owned() })
}

/// Near ones, or some of all.
fn instead(wanted: &str, known: Vec<String>) -> String {
    let within: Vec<String> = known.iter().filter(|name| name.contains(wanted)).take(3).cloned().collect();
    let all = right_form(&known);
    let near = if within.is_empty() { near(wanted, known) } else { within };
    let near: Vec<String> = near.iter().map(|name| format!("`--context {name}`")).collect();
    if near.is_empty() { all } else { format!("did you mean {}?", near.join(" or ")) }
}

fn right_form(known: &[String]) -> String {
    format!("`--context` with one of {}", few(known, 5))
}

fn place<'a>(kubeconfig: &'a Kubeconfig, context: &str) -> Option<&'a NamedPlace> {
    kubeconfig.contexts.iter().find(|known| known.name == context)?.context.as_ref()
}

fn named_cluster<'a>(kubeconfig: &'a mut Kubeconfig, name: &str) -> Option<&'a mut Cluster> {
    kubeconfig.clusters.iter_mut().find(|known| known.name == name)?.cluster.as_mut()
}

/// Ways to name an authority that contradict each other are an error in kubectl, too.
fn check_certificates(cluster: &mut Cluster, url: &str) -> Result<()> {
    let (data, file) = (cluster.certificate_authority_data.is_some(), cluster.certificate_authority.is_some());
    ensure!(!(data && file), "both `certificate-authority` and `certificate-authority-data` are given");
    if cluster.insecure_skip_tls_verify == Some(true) || url.starts_with("http://") {
        ensure!(
            !(data || file) || url.starts_with("http://"),
            "`insecure-skip-tls-verify` and a certificate authority conflict"
        );
        // Not read at all.
        (cluster.certificate_authority, cluster.certificate_authority_data) = (None, None);
    }
    Ok(())
}

fn has_certificate(auth: &AuthInfo) -> bool {
    auth.client_certificate.is_some() || auth.client_certificate_data.is_some()
}

/// Certificates without their key, and the providers that kubectl has dropped: kube would run the command of one of
/// those, and quote its output in errors.
fn check_user(auth: &AuthInfo) -> Result<()> {
    let certificate = has_certificate(auth);
    let key = auth.client_key.is_some() || auth.client_key_data.is_some();
    ensure!(!certificate || key, "`client-certificate` needs a `client-key`");
    let twice = auth.client_certificate.is_some() && auth.client_certificate_data.is_some()
        || auth.client_key.is_some() && auth.client_key_data.is_some();
    ensure!(!certificate || !twice, "the client certificate or its key is given both as a file and as data");
    let as_more = auth.impersonate_uid.is_some()
        || auth.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty())
        || auth.impersonate_user_extra.as_ref().is_some_and(|extra| !extra.is_empty());
    ensure!(!as_more || auth.impersonate.is_some(), "it sets `as-groups`, `as-uid` or `as-user-extra` without `as`");
    match &auth.auth_provider {
        Some(provider) if provider.name != "oidc" => bail!(
            "the auth-provider `{}` was removed in Kubernetes 1.26\n\
             hint: use its exec plugin, such as gke-gcloud-auth-plugin or kubelogin",
            provider.name
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use kube::client::{Body, ConfigExt};
    use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

    use super::kubeconfig::parse;
    use super::*;
    use crate::api::client::Client;
    use crate::text::chain;

    const KUBECONFIG: &str = "
clusters:
- {name: far, cluster: {server: 'https://api.example.com', proxy-url: 'http://proxy:3128', insecure-skip-tls-verify: true}}
- {name: near, cluster: {server: 'https://localhost', insecure-skip-tls-verify: true}}
- {name: plain, cluster: {server: 'http://localhost:8001'}}
- {name: odd, cluster: {server: 'https://localhost:abc'}}
- {name: broken, cluster: {server: 'https://localhost', certificate-authority-data: bm8gY2VydGlmaWNhdGU=}}
- {name: torn, cluster: {server: 'https://localhost', certificate-authority: /nonexistent/ca.crt}}
- {name: double, cluster: {server: 'https://localhost', certificate-authority: /a, certificate-authority-data: YQ==}}
users:
- {name: someone, user: {token: secret}}
- {name: nobody, user: {}}
- {name: empty, user: {token: ''}}
- {name: torn, user: {token: \"sec\\nret\"}}
- {name: basic, user: {username: jane, password: secret}}
- {name: half, user: {client-certificate-data: YQ==}}
- {name: old, user: {auth-provider: {name: gcp}}}
- {name: plugin, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: /nonexistent, provideClusterInfo: true}}}
contexts:
- {name: far, context: {cluster: far, user: someone, namespace: shop}}
- {name: near, context: {cluster: near, user: someone, namespace: ''}}
- {name: plain, context: {cluster: plain, user: nobody}}
- {name: basic, context: {cluster: near, user: basic}}
- {name: lost, context: {cluster: none, user: someone}}
- {name: nobody, context: {cluster: near, user: none}}
- {name: userless, context: {cluster: near}}
- {name: bad, context: {cluster: near, user: someone, namespace: 'Bad Ns'}}
- {name: odd, context: {cluster: odd, user: someone}}
- {name: broken, context: {cluster: broken, user: someone}}
- {name: torn, context: {cluster: torn, user: someone}}
- {name: double, context: {cluster: double, user: someone}}
- {name: anonymous, context: {cluster: near, user: nobody}}
- {name: empty, context: {cluster: near, user: empty}}
- {name: torn-token, context: {cluster: near, user: torn}}
- {name: half, context: {cluster: near, user: half}}
- {name: old, context: {cluster: near, user: old}}
- {name: plugin, context: {cluster: near, user: plugin}}
- {name: far-plugin, context: {cluster: far, user: plugin}}
current-context: far
";

    fn kubeconfig() -> Kubeconfig {
        parse(KUBECONFIG.as_bytes()).expect("a kubeconfig")
    }

    /// `https://localhost/ default Bearer secret`, or the error.
    async fn meaning(context: Option<&str>) -> String {
        let login = match from_parts(kubeconfig(), context, |_| None).await {
            Ok(login) => login,
            Err(error) => return format!("! {}", chain(error.as_ref())).replace('\n', " | "),
        };
        let header = login.credentials.header();
        let header = header.as_ref().map_or("nothing", |header| header.to_str().expect("ASCII"));
        let by = if login.plugin.is_some() { "a plugin" } else { header };
        let proxy = login.config.proxy_url.map_or_else(String::new, |proxy| format!(" by {proxy}"));
        format!("{} {} {by}{proxy}", login.config.cluster_url, login.config.default_namespace)
    }

    #[tokio::test]
    async fn contexts_mean_what_kubectl_means_by_them() {
        let table = [
            (None, "https://api.example.com/ shop Bearer secret by http://proxy:3128/"),
            (Some("near"), "https://localhost/ default Bearer secret"),
            (Some("basic"), "https://localhost/ default Basic amFuZTpzZWNyZXQ="),
            (Some("plain"), "http://localhost:8001/ default nothing"),
            (Some("plugin"), "https://localhost/ default a plugin"),
            (
                Some("x"),
                "! it has no context `x` | hint: `--context` with one of far, near, plain, basic, lost and 14 more",
            ),
            (Some("neat"), "! it has no context `neat` | hint: did you mean `--context near`?"),
            (
                Some("plug"),
                "! it has no context `plug` | hint: did you mean `--context plugin` or `--context far-plugin`?",
            ),
            (Some("token"), "! it has no context `token` | hint: did you mean `--context torn-token`?"),
            (Some("lost"), "! context `lost` names the cluster `none`, which does not exist"),
            (Some("nobody"), "! context `nobody` names the user `none`, which does not exist"),
            (Some("userless"), "! context `userless` names no user"),
            (Some("bad"), "! context `bad`: `Bad Ns` is not a valid namespace name: it *"),
            (Some("odd"), "! cluster `odd`: its `server` has an invalid port `abc` | hint: *"),
            (Some("broken"), "! cluster `broken`: its certificate authority contains no PEM certificate"),
            (
                Some("torn"),
                "! cluster `torn`: cannot read its `certificate-authority` /nonexistent/ca.crt: no such file or directory",
            ),
            (
                Some("double"),
                "! cluster `double`: both `certificate-authority` and `certificate-authority-data` are given",
            ),
            (Some("anonymous"), "! user `nobody`: there are no credentials | hint: *"),
            (Some("empty"), "! user `empty`: there are no credentials | hint: *"),
            (Some("torn-token"), "! user `torn`: its `token`: the token is not a single line of text: *"),
            (Some("half"), "! user `half`: `client-certificate` needs a `client-key`"),
            (Some("old"), "! user `old`: the auth-provider `gcp` was removed in Kubernetes 1.26 | hint: *"),
        ];
        for (context, expected) in table {
            let meaning = meaning(context).await;
            let is_meant = match expected.split_once('*') {
                Some((start, _)) => meaning.starts_with(start),
                None => meaning == expected,
            };
            assert!(is_meant, "{context:?} means {meaning:?}, not {expected:?}");
            assert!(!meaning.starts_with('!') || !meaning.contains("ret"), "no secret is quoted: {meaning}");
        }
        let error =
            |kubeconfig| async { from_parts(kubeconfig, None, |_| None).await.err().expect("none").to_string() };
        let none = error(Kubeconfig::default()).await;
        assert_eq!(none, "it has no contexts\nhint: name another one with `--kubeconfig FILE` or $KUBECONFIG");
        let unset = error(Kubeconfig { current_context: None, ..kubeconfig() }).await;
        assert!(unset.starts_with("it has no current context\nhint: `--context` with one of far, "), "{unset}");
        let old = error(Kubeconfig { current_context: Some("farr".to_owned()), ..kubeconfig() }).await;
        assert_eq!(old, "its current context `farr` does not exist\nhint: did you mean `--context far`?");
    }

    /// What is said of the other end, and of who we are.
    #[tokio::test]
    async fn peer_is_called_by_what_the_kubeconfig_names() {
        let proxied = |name: &str| (name == "https_proxy").then(|| "jane:secret@10.0.0.1:3128".to_owned());
        let of = |context| async move {
            let peer = from_parts(kubeconfig(), Some(context), proxied).await.expect("a login").peer;
            [Some(peer.server), peer.proxy, Some(peer.authority.to_owned()), peer.refusal]
                .map(Option::unwrap_or_default)
        };
        let any = "any CA that this system trusts";
        let far = ["https://api.example.com (context far)", "http://proxy:3128 (proxy-url of cluster far)", any];
        assert_eq!(of("far").await[..3], far);
        let table = [
            ("near", "the token is not accepted (expired?); user someone of context near"),
            ("basic", "the password is not accepted; user basic of context basic"),
            (
                "plugin",
                "the credentials of the exec plugin /nonexistent are not accepted; user plugin of context plugin",
            ),
            ("plain", ""),
        ];
        for (context, refusal) in table {
            assert_eq!(of(context).await[3], refusal, "{context}");
        }
        let elsewhere = KUBECONFIG.replace("https://localhost'", "https://jane:secret@10.1.2.3:6443'");
        let read = parse(elsewhere.as_bytes()).expect("YAML");
        let peer = from_parts(read, Some("near"), proxied).await.expect("a login").peer;
        assert_eq!(peer.server, "https://10.1.2.3:6443 (context near)");
        assert_eq!(peer.proxy.as_deref(), Some("http://10.0.0.1:3128 (https_proxy)"));
    }

    #[tokio::test]
    async fn what_is_empty_is_not_written() {
        let with = |fields: &str| {
            let near = "name: near, cluster: {server: 'https://localhost', insecure-skip-tls-verify: true";
            let cluster = KUBECONFIG.replace(near, &format!("{near}, certificate-authority: '', tls-server-name: ''"));
            cluster.replace("user: {exec: {", &format!("user: {{{fields}exec: {{"))
        };
        let empty = with("token: '', tokenFile: '', username: '', client-certificate-data: '', auth-provider: null, ");
        let login =
            from_parts(parse(empty.as_bytes()).expect("YAML"), Some("plugin"), |_| None).await.expect("a login");
        assert!(login.plugin.is_some() && login.config.tls_server_name.is_none());
        // A certificate comes before a plugin, as a token does.
        let written = with("client-certificate-data: YQ==, client-key-data: YQ==, ");
        let login =
            from_parts(parse(written.as_bytes()).expect("YAML"), Some("plugin"), |_| None).await.expect("a login");
        assert!(login.plugin.is_none());
    }

    #[test]
    fn bytes_are_read_as_their_first_ones_say() {
        let wide = |bytes: fn(u16) -> [u8; 2]| KUBECONFIG.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let little = [&[0xFF, 0xFE][..], &wide(u16::to_le_bytes)].concat();
        let big = [&[0xFE, 0xFF][..], &wide(u16::to_be_bytes), b"x"].concat();
        for bytes in [little, big, [&[0xEF, 0xBB, 0xBF][..], KUBECONFIG.as_bytes()].concat()] {
            assert_eq!(parse(&bytes).expect("a kubeconfig").contexts.len(), kubeconfig().contexts.len());
        }
        for bytes in [&b"\xFF\xFEA"[..], b"\xFE\xFF\xD8\x00", b"\xFF", b""] {
            drop(parse(bytes));
        }
        assert!(parse(KUBECONFIG.replace("name: near, cluster", "name: far, cluster").as_bytes()).is_err(), "twice");
    }

    #[tokio::test]
    async fn plugin_is_told_of_the_proxy_that_there_is() {
        for (context, proxy) in [("plugin", None), ("far-plugin", Some("http://proxy:3128"))] {
            let login = from_parts(kubeconfig(), Some(context), |_| None).await.expect("a login");
            let info = login.plugin.expect("a plugin").info(false).expect("JSON");
            assert_eq!(info.pointer("/spec/cluster/proxy-url").and_then(|url| url.as_str()), proxy, "{info}");
        }
    }

    #[test]
    fn broken_kubeconfig_is_told_by_place_and_not_quoted() {
        for broken in [
            KUBECONFIG.replace("token: secret}}", "token: [secret"),
            KUBECONFIG.replace("token: secret", "token: a: b"),
        ] {
            let text = format!("{:#}", parse(broken.as_bytes()).expect_err("broken"));
            assert!(text.contains("line ") && !text.contains("secret"), "{text}");
        }
    }

    /// From its bytes to the request before it is sent.
    #[tokio::test]
    async fn no_kubeconfig_panics() {
        let words = [
            "https://",
            "http://",
            "localhost",
            ":",
            "99999",
            "@",
            "[::1]",
            "\\n",
            "\\0",
            "''",
            "null",
            "{}",
            "[]",
            "true",
            "token",
            "user",
            "exec",
            "é",
            "%",
            "Bad Ns",
        ];
        let contexts: Vec<String> = kubeconfig().contexts.into_iter().map(|context| context.name).collect();
        let mut logins = 0;
        for _ in 0..20_000 {
            if logins == 300 {
                return;
            }
            let mut broken = KUBECONFIG.as_bytes().to_vec();
            for _ in 0..fastrand::usize(1..4) {
                let at = fastrand::usize(..broken.len());
                if fastrand::bool() {
                    broken[at] = fastrand::choice(b"{}[]:,'\"-\n #&*!|>%@a\0".iter()).copied().expect("one of them");
                } else {
                    let end = (at + fastrand::usize(..20)).min(broken.len());
                    broken.splice(at..end, words[fastrand::usize(..words.len())].bytes());
                }
            }
            let Ok(read) = parse(&broken) else { continue };
            let context = &contexts[fastrand::usize(..contexts.len())];
            let Ok(login) = from_parts(read, Some(context), |_| None).await else { continue };
            logins += 1;
            drop(login.credentials.header());
            // As far as the request's own URL.
            let asked = service_fn(|asked: Request<Body>| async move { Ok::<_, BoxError>(asked.uri().to_string()) });
            let stack = ServiceBuilder::new().layer(login.config.base_uri_layer()).service(asked);
            let request = Request::get("/api/v1/pods?watch=true").body(Body::empty()).expect("a request");
            let url = stack.oneshot(request).await.expect("it is only looked at");
            assert!(url.starts_with("http") && url.ends_with("/api/v1/pods?watch=true"), "{url}");
            drop(login.plugin.as_ref().map(|plugin| plugin.info(true)));
            drop(Client::new(Login { plugin: None, ..login }).await);
        }
        panic!("only {logins} of 20,000 were understood: they show little");
    }
}
