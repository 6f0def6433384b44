//! Which cluster, as whom, in which namespace: chosen explicitly, never by silent fall-back.
//!
//! Named by `--kubeconfig`, `--context` or `$KUBECONFIG`: that file, and a broken one is an error. Else in a pod: the
//! service account's files. Else `~/.kube/config`. (`Config::infer` would try the kubeconfig first and hide why it failed.)

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::Config;
use kube::config::{Context as NamedPlace, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::proxy;

/// Reads the configuration; every error is one that a person has to mend (exit code 78).
pub async fn load(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config> {
    let named_by_environment = env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
    let mut config = if kubeconfig.is_some() || context.is_some() || named_by_environment {
        from_kubeconfig(kubeconfig, context).await?
    } else if env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        in_cluster()?
    } else {
        from_kubeconfig(kubeconfig, context).await.context(
            "not in a pod (KUBERNETES_SERVICE_HOST is not set), so a kubeconfig is needed\n\
             hint: name one by --kubeconfig FILE or $KUBECONFIG",
        )?
    };
    // Its 15 silent retries would leave nothing to report for minutes; the watch loop has a back-off of its own.
    config.default_retry = false;
    Ok(config)
}

/// Proxies of the environment are for the world outside: inside, a cluster's own address is reached directly.
fn in_cluster() -> Result<Config> {
    let mut config = Config::incluster().context(
        "cannot read the service account's files\n\
         hint: the pod needs a service account token: automountServiceAccountToken must not be false",
    )?;
    config.default_namespace = config.default_namespace.trim().to_owned();
    Ok(config)
}

async fn from_kubeconfig(path: Option<&Path>, context: Option<&str>) -> Result<Config> {
    let mut kubeconfig = read_kubeconfig(path)?;
    check_context(&kubeconfig, context)?;
    let proxy = take_proxy(&mut kubeconfig, context);
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let read = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = read.map_err(without_secrets).context("cannot use the kubeconfig")?;
    refuse_old_providers(&config)?;
    let proxy = proxy.or_else(|| proxy::from_environment(&config.cluster_url, |name| env::var(name).ok()));
    config.proxy_url = proxy.map(|url| url.parse()).transpose().ok().context(proxy::UNREADABLE)?;
    Ok(config)
}

fn read_kubeconfig(path: Option<&Path>) -> Result<Kubeconfig> {
    match (path, env::var_os("KUBECONFIG").filter(|value| !value.is_empty())) {
        (Some(path), _) => read_file(path),
        (None, Some(list)) => read_files(env::split_paths(&list).collect()),
        (None, None) => {
            let home = env::home_dir().context("cannot find the kubeconfig: HOME is not set")?;
            read_file(&home.join(".kube/config"))
        }
    }
}

fn read_file(path: &Path) -> Result<Kubeconfig> {
    Kubeconfig::read_from(path).map_err(without_secrets).with_context(|| format!("cannot read {}", path.display()))
}

/// The first file that sets a value wins. As in kubectl, files of a list may be missing, but not all of them.
fn read_files(mut paths: Vec<PathBuf>) -> Result<Kubeconfig> {
    paths.retain(|path| !path.as_os_str().is_empty());
    let present: Vec<&PathBuf> = paths.iter().filter(|path| path.exists()).collect();
    if present.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("no kubeconfig: KUBECONFIG names {}, and there is no such file", names.join(", "));
    }
    present.into_iter().try_fold(Kubeconfig::default(), |merged, path| {
        merged.merge(read_file(path)?).with_context(|| format!("cannot add {}", path.display()))
    })
}

/// The parser's message shows the lines around the mistake, where a token may stand.
fn without_secrets(error: KubeconfigError) -> anyhow::Error {
    let KubeconfigError::Parse(error) = error else { return error.into() };
    match error.location() {
        Some(at) => anyhow!("it is no kubeconfig: line {}, column {}", at.line(), at.column()),
        None => anyhow!("it is no kubeconfig"),
    }
}

/// Kube takes a context without a cluster or user of that name for one without credentials.
fn check_context(kubeconfig: &Kubeconfig, wanted: Option<&str>) -> Result<()> {
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let known = if known.is_empty() { "no context at all".to_owned() } else { known.join(", ") };
    let hint = format!("hint: it has {known}");
    let Some(name) = wanted.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty()) else {
        bail!("the kubeconfig has no current context\n{hint}");
    };
    let context = place(kubeconfig, name).with_context(|| format!("no context `{name}` in the kubeconfig\n{hint}"))?;
    let cluster = &context.cluster;
    let has_cluster = kubeconfig.clusters.iter().any(|known| known.name == *cluster);
    ensure!(has_cluster, "context `{name}` names the cluster `{cluster}`, and the kubeconfig has none of that name");
    let user = context.user.as_deref().unwrap_or_default();
    let has_user = user.is_empty() || kubeconfig.auth_infos.iter().any(|known| known.name == user);
    ensure!(has_user, "context `{name}` names the user `{user}`, and the kubeconfig has none of that name");
    Ok(())
}

fn place<'a>(kubeconfig: &'a Kubeconfig, context: &str) -> Option<&'a NamedPlace> {
    kubeconfig.contexts.iter().find(|known| known.name == context)?.context.as_ref()
}

/// The cluster's `proxy-url`. Kube gets a stand-in: without one it would read the environment by rules of its own, where
/// even a comma too much is an error.
fn take_proxy(kubeconfig: &mut Kubeconfig, context: Option<&str>) -> Option<String> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let cluster = place(kubeconfig, name)?.cluster.clone();
    let named = kubeconfig.clusters.iter_mut().find(|known| known.name == cluster)?;
    let proxy = named.cluster.as_mut()?.proxy_url.replace("http://proxy".to_owned());
    proxy.filter(|url| !url.is_empty())
}

/// The providers that kubectl has dropped too; kube would run the `gcp` one's command, and quote its output in errors.
fn refuse_old_providers(config: &Config) -> Result<()> {
    match &config.auth_info.auth_provider {
        Some(provider) if provider.name != "oidc" => bail!(
            "the kubeconfig's auth-provider `{}` is out of use since Kubernetes 1.26\n\
             hint: use its exec plugin, such as gke-gcloud-auth-plugin or kubelogin",
            provider.name
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "
clusters:
- {name: far, cluster: {server: https://api.example.com, proxy-url: 'http://proxy:3128'}}
- {name: near, cluster: {server: https://localhost}}
users: [{name: someone, user: {token: secret}}]
contexts:
- {name: far, context: {cluster: far, user: someone}}
- {name: near, context: {cluster: near}}
- {name: lost, context: {cluster: none, user: someone}}
- {name: nobody, context: {cluster: near, user: none}}
current-context: far
";

    fn kubeconfig() -> Kubeconfig {
        Kubeconfig::from_yaml(KUBECONFIG).unwrap()
    }

    #[test]
    fn context_must_be_whole() {
        for (context, right) in
            [(None, true), (Some("near"), true), (Some("lost"), false), (Some("nobody"), false), (Some("x"), false)]
        {
            assert_eq!(check_context(&kubeconfig(), context).is_ok(), right, "{context:?}");
        }
        let error = check_context(&kubeconfig(), Some("x")).unwrap_err().to_string();
        assert_eq!(error, "no context `x` in the kubeconfig\nhint: it has far, near, lost, nobody");
        assert!(check_context(&Kubeconfig::default(), None).unwrap_err().to_string().contains("no context at all"));
    }

    #[test]
    fn proxy_of_the_chosen_cluster_counts() {
        assert_eq!(take_proxy(&mut kubeconfig(), None).as_deref(), Some("http://proxy:3128"));
        assert_eq!(take_proxy(&mut kubeconfig(), Some("near")), None);
    }

    #[test]
    fn broken_kubeconfig_is_told_by_place_and_not_quoted() {
        for broken in
            [KUBECONFIG.replace("token: secret}}]", "token: [secret"), KUBECONFIG.replace("token", "token: a")]
        {
            let error = without_secrets(Kubeconfig::from_yaml(&broken).unwrap_err());
            let text = format!("{error:#}");
            assert!(text.contains("line ") && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn no_kubeconfig_panics() {
        let bytes = KUBECONFIG.as_bytes();
        for _ in 0..2_000 {
            let mut broken = bytes.to_vec();
            for _ in 0..fastrand::usize(1..4) {
                let at = fastrand::usize(..broken.len());
                broken[at] = fastrand::choice(b"{}[]:,'\"-\n #&*!|>%@a\0".iter()).copied().unwrap();
            }
            let Ok(read) = Kubeconfig::from_yaml(&String::from_utf8_lossy(&broken)) else { continue };
            drop(check_context(&read, None));
            take_proxy(&mut read.clone(), None);
        }
    }
}
