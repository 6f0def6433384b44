//! Which cluster, as whom, in which namespace: chosen explicitly, never by silent fall-back.
//!
//! Named by `--kubeconfig`, `--context` or `$KUBECONFIG`: that file, and a broken one is an error. Else in a pod: the
//! service account's files. Else `~/.kube/config`. (`Config::infer` would try the kubeconfig first and hide why it failed.)
//! What kubectl takes means the same here, by the rules of client-go's `tools/clientcmd`; what would fail at the first
//! request, or be retried in vain, is an error with the file and the field at once (exit code 78).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::Config;
use kube::config::{AuthInfo, Cluster, Context as NamedPlace, KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_json::Value;

use super::credentials::{Credentials, basic};
use super::exec::Plugin;
use super::proxy;
use super::server;
use crate::target::names::dns_label;

/// How to reach the API server, and as whom.
pub struct Login {
    /// without what `credentials` and `plugin` hold, which kube would send and run by itself
    pub config: Config,
    pub credentials: Credentials,
    /// where the credentials come from, if they come from an exec plugin
    pub plugin: Option<Plugin>,
    /// where all of it was written: `the kubeconfig FILE`
    pub origin: String,
}

impl Login {
    fn new(mut config: Config, password_in_url: Option<(String, String)>) -> Result<Self> {
        let mut plugin = Plugin::of(&config.auth_info);
        let mut credentials = Credentials::of(&config.auth_info)?;
        // Go's HTTP client sends it before anything else.
        if let Some((name, password)) = password_in_url {
            plugin = None;
            credentials = Credentials::Fixed(basic(&name, &password)?);
        }
        let auth = &mut config.auth_info;
        (auth.token, auth.token_file, auth.exec, auth.auth_provider) = (None, None, None, None);
        (auth.username, auth.password) = (None, None);
        Ok(Self { config, credentials, plugin, origin: String::new() })
    }
}

/// Reads the configuration; every error is one that a person has to mend (exit code 78).
pub async fn load(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Login> {
    let named_by_environment = env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
    if kubeconfig.is_some() || context.is_some() || named_by_environment {
        from_kubeconfig(kubeconfig, context).await
    } else if env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        in_cluster()
    } else {
        from_kubeconfig(kubeconfig, context).await.context(
            "not in a pod (KUBERNETES_SERVICE_HOST is not set), so a kubeconfig is needed\n\
             hint: name one by --kubeconfig FILE or $KUBECONFIG",
        )
    }
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
    Ok(Login { origin: "the service account's files".to_owned(), ..login })
}

async fn from_kubeconfig(path: Option<&Path>, context: Option<&str>) -> Result<Login> {
    let (kubeconfig, origin) = read_kubeconfig(path)?;
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
    let place = check_context(&kubeconfig, context)?;
    let Place { context: name, cluster: cluster_name, user: user_name } = &place;
    let cluster = named_cluster(&mut kubeconfig, cluster_name).context("a cluster was found a moment ago")?;
    let described = format!("cluster `{cluster_name}`");
    let (url, password_in_url) = server::url(cluster).with_context(|| described.clone())?;
    check_certificates(cluster, &url).with_context(|| described.clone())?;
    cluster.server = Some(url.clone());
    // Kube gets a stand-in: without one it would read the environment by rules of its own, where even a comma too much is
    // an error.
    let proxy = cluster.proxy_url.replace(STAND_IN.to_owned()).filter(|url| !url.is_empty());
    let authority = cluster.certificate_authority.clone().filter(|_| cluster.certificate_authority_data.is_none());
    if let Some(context) = kubeconfig.contexts.iter_mut().find(|it| it.name == *name)
        && let Some(context) = &mut context.context
    {
        context.namespace = context.namespace.take().filter(|namespace| !namespace.is_empty());
    }
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let read = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = read.map_err(without_secrets).with_context(|| format!("context `{name}`"))?;
    // Its 15 silent retries would leave nothing to report for minutes; the watch loop has a back-off of its own.
    config.default_retry = false;
    let is_empty = config.root_cert.as_ref().is_some_and(Vec::is_empty);
    ensure!(!is_empty, "{described}: its certificate authority holds no PEM certificate");
    // Read again from time to time: authorities are replaced, too.
    config.root_cert_file = authority.map(PathBuf::from);
    // Plugins find what the environment says by themselves.
    if let Some(told) = config.auth_info.exec.as_mut().and_then(|exec| exec.cluster.as_mut()) {
        told.proxy_url.clone_from(&proxy);
    }
    let source = if proxy.is_some() { format!("{described}: its `proxy-url`") } else { "HTTPS_PROXY".to_owned() };
    let proxy = proxy.or_else(|| proxy::from_environment(&config.cluster_url, env));
    let url = proxy.map(|url| url.parse()).transpose().ok();
    config.proxy_url = url.context(proxy::UNREADABLE).context(source)?;
    let described = format!("user `{user_name}`");
    check_user(&config.auth_info).with_context(|| described.clone())?;
    let has_certificate =
        config.auth_info.client_certificate.is_some() || config.auth_info.client_certificate_data.is_some();
    // Without TLS, anybody could read them; client-go sends none either.
    let plain = config.cluster_url.scheme_str() == Some("http");
    if plain {
        config.auth_info = anonymous(&config.auth_info);
    }
    let login = Login::new(config, password_in_url).with_context(|| described.clone())?;
    let anonymous = matches!(login.credentials, Credentials::None) && login.plugin.is_none() && !has_certificate;
    ensure!(
        !anonymous || plain,
        "{described}: there are no credentials\n\
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

/// The kubeconfig, and what it was read from.
fn read_kubeconfig(path: Option<&Path>) -> Result<(Kubeconfig, String)> {
    let shown = |path: &Path| path.display().to_string();
    match (path, env::var_os("KUBECONFIG").filter(|value| !value.is_empty())) {
        (Some(path), _) => Ok((read_file(path)?, shown(path))),
        (None, Some(list)) => read_files(env::split_paths(&list).collect()),
        (None, None) => {
            let home = env::home_dir().context("cannot find the kubeconfig: HOME is not set")?;
            let path = home.join(".kube/config");
            Ok((read_file(&path)?, shown(&path)))
        }
    }
}

/// Relative paths in it are meant from its folder.
fn read_file(path: &Path) -> Result<Kubeconfig> {
    let read = fs::read(path).map_err(anyhow::Error::from).and_then(|bytes| parse(&bytes));
    let mut kubeconfig = read.with_context(|| format!("cannot read {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let resolve = |file: &mut Option<String>| {
        if let Some(file) = file {
            *file = folder.join(&*file).to_string_lossy().into_owned();
        }
    };
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        resolve(&mut cluster.certificate_authority);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        [&mut user.client_certificate, &mut user.client_key, &mut user.token_file].into_iter().for_each(resolve);
        // A bare name is looked for in PATH.
        if let Some(exec) = user.exec.as_mut().filter(|exec| exec.command.as_ref().is_some_and(|it| it.contains('/'))) {
            resolve(&mut exec.command);
        }
    }
    Ok(kubeconfig)
}

/// By client-go's rules: what is empty counts as not written, and names are not used twice.
fn parse(bytes: &[u8]) -> Result<Kubeconfig> {
    let text = decoded(bytes)?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| without_secrets(KubeconfigError::Parse(Box::new(error))))?;
    let mut merged = Kubeconfig::default();
    for mut document in documents.into_iter().filter(|document| !document.is_null()) {
        prune(&mut document);
        for context in document["contexts"].as_array_mut().into_iter().flatten() {
            // One that names no cluster harms nobody who does not use it.
            if let Some(context) = context.get_mut("context").and_then(Value::as_object_mut) {
                context.entry("cluster").or_insert_with(|| "".into());
            }
        }
        let read: Kubeconfig = match serde_json::from_value(document) {
            Ok(read) => read,
            // Its place is known to the other parser only.
            Err(_) => Kubeconfig::from_yaml(&text).map_err(without_secrets)?,
        };
        merged = merged.merge(read)?;
    }
    let clusters = merged.clusters.iter().map(|named| ("cluster", &named.name));
    let users = merged.auth_infos.iter().map(|named| ("user", &named.name));
    let contexts = merged.contexts.iter().map(|named| ("context", &named.name));
    let mut seen = BTreeSet::new();
    for (kind, name) in clusters.chain(users).chain(contexts) {
        ensure!(seen.insert((kind, name)), "it has more than one {kind} `{name}`");
    }
    Ok(merged)
}

/// UTF-8, or what its first bytes say.
fn decoded(bytes: &[u8]) -> Result<String> {
    let wide = |rest: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16(&units).context("it is no UTF-16")
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Ok(std::str::from_utf8(rest).context("it is no UTF-8")?.to_owned()),
        _ => Ok(std::str::from_utf8(bytes).context("it is no UTF-8")?.to_owned()),
    }
}

/// Takes out the fields that are empty, at every depth.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null() && field.as_str() != Some(""));
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// The first file that sets a value wins, of clusters, users and contexts with the same name the whole first one. As in
/// kubectl, files of a list may be missing, but not all of them.
fn read_files(mut paths: Vec<PathBuf>) -> Result<(Kubeconfig, String)> {
    paths.retain(|path| !path.as_os_str().is_empty());
    let names = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    // One that is there and cannot be read is not passed over: the next may mean another cluster.
    let is_missing = |path: &Path| fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let present: Vec<PathBuf> = paths.iter().filter(|path| !is_missing(path)).cloned().collect();
    if present.is_empty() {
        bail!("no kubeconfig: KUBECONFIG names {}, and there is no such file", names(&paths));
    }
    let merged = present.iter().try_fold(Kubeconfig::default(), |merged, path| {
        merged.merge(read_file(path)?).with_context(|| format!("cannot add {}", path.display()))
    });
    Ok((merged?, names(&present)))
}

/// The parser's message shows the lines around the mistake, where a token may stand.
fn without_secrets(error: KubeconfigError) -> anyhow::Error {
    let KubeconfigError::Parse(error) = error else { return error.into() };
    match error.location() {
        Some(at) => anyhow!("it is no kubeconfig: line {}, column {}", at.line(), at.column()),
        None => anyhow!("it is no kubeconfig"),
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
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let known = if known.is_empty() { "no context at all".to_owned() } else { known.join(", ") };
    let hint = format!("hint: it has {known}");
    let Some(name) = wanted.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty()) else {
        bail!("it has no current context\n{hint}");
    };
    let context = place(kubeconfig, name).with_context(|| format!("it has no context `{name}`\n{hint}"))?;
    let (cluster, user) = (&context.cluster, context.user.as_deref().unwrap_or_default());
    let has_cluster = kubeconfig.clusters.iter().any(|known| known.name == *cluster && known.cluster.is_some());
    ensure!(has_cluster, "context `{name}` names the cluster `{cluster}`, and there is none of that name");
    ensure!(!user.is_empty(), "context `{name}` names no user");
    let has_user = kubeconfig.auth_infos.iter().any(|known| known.name == user);
    ensure!(has_user, "context `{name}` names the user `{user}`, and there is none of that name");
    if let Some(namespace) = context.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        dns_label(namespace)
            .map_err(|reason| anyhow!("context `{name}`: `{namespace}` cannot be a namespace: it {reason}"))?;
    }
    Ok(Place { context: name.to_owned(), cluster: cluster.clone(), user: user.to_owned() })
}

fn place<'a>(kubeconfig: &'a Kubeconfig, context: &str) -> Option<&'a NamedPlace> {
    kubeconfig.contexts.iter().find(|known| known.name == context)?.context.as_ref()
}

fn named_cluster<'a>(kubeconfig: &'a mut Kubeconfig, name: &str) -> Option<&'a mut Cluster> {
    kubeconfig.clusters.iter_mut().find(|known| known.name == name)?.cluster.as_mut()
}

/// Ways to name an authority that contradict each other are an error in kubectl, too.
fn check_certificates(cluster: &mut Cluster, url: &str) -> Result<()> {
    let given = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
    let (data, file) = (given(&cluster.certificate_authority_data), given(&cluster.certificate_authority));
    ensure!(!(data && file), "both `certificate-authority` and `certificate-authority-data` are given");
    if cluster.insecure_skip_tls_verify == Some(true) || url.starts_with("http://") {
        ensure!(
            !(data || file) || url.starts_with("http://"),
            "`insecure-skip-tls-verify` and a certificate authority contradict each other"
        );
        // Not read at all.
        (cluster.certificate_authority, cluster.certificate_authority_data) = (None, None);
    }
    Ok(())
}

/// Certificates without their key, and the providers that kubectl has dropped: kube would run the command of one of
/// those, and quote its output in errors.
fn check_user(auth: &AuthInfo) -> Result<()> {
    let certificate = auth.client_certificate.is_some() || auth.client_certificate_data.is_some();
    let key = auth.client_key.is_some() || auth.client_key_data.is_some();
    ensure!(!certificate || key, "`client-certificate` and `client-key` come together");
    let twice = auth.client_certificate.is_some() && auth.client_certificate_data.is_some()
        || auth.client_key.is_some() && auth.client_key_data.is_some();
    ensure!(!certificate || !twice, "the client certificate is given both as a file and as data");
    let as_more = auth.impersonate_uid.is_some()
        || auth.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty())
        || auth.impersonate_user_extra.as_ref().is_some_and(|extra| !extra.is_empty());
    ensure!(
        !as_more || auth.impersonate.is_some(),
        "it asks for groups, uid or extras of another user, and `as` names none"
    );
    match &auth.auth_provider {
        Some(provider) if provider.name != "oidc" => bail!(
            "the auth-provider `{}` is out of use since Kubernetes 1.26\n\
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

    use super::*;
    use crate::api::client::Client;

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
            Err(error) => return format!("! {error:#}").replace('\n', " | "),
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
            (Some("x"), "! it has no context `x` | hint: it has far, near, *"),
            (Some("lost"), "! context `lost` names the cluster `none`, and there is none of that name"),
            (Some("nobody"), "! context `nobody` names the user `none`, and there is none of that name"),
            (Some("userless"), "! context `userless` names no user"),
            (Some("bad"), "! context `bad`: `Bad Ns` cannot be a namespace: it *"),
            (Some("odd"), "! cluster `odd`: its `server` has the port `abc`, which is none | hint: *"),
            (Some("broken"), "! cluster `broken`: its certificate authority holds no PEM certificate"),
            (Some("torn"), "! context `torn`: *"),
            (
                Some("double"),
                "! cluster `double`: both `certificate-authority` and `certificate-authority-data` are given",
            ),
            (Some("anonymous"), "! user `nobody`: there are no credentials | hint: *"),
            (Some("empty"), "! user `empty`: there are no credentials | hint: *"),
            (Some("torn-token"), "! user `torn`: its `token`: the token is no text of one line: *"),
            (Some("half"), "! user `half`: `client-certificate` and `client-key` come together"),
            (Some("old"), "! user `old`: the auth-provider `gcp` is out of use since Kubernetes 1.26 | hint: *"),
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
        let error = from_parts(Kubeconfig::default(), None, |_| None).await.err().expect("nothing in it").to_string();
        assert_eq!(error, "it has no current context\nhint: it has no context at all");
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
