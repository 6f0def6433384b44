//! Which cluster, as whom, in which namespace: chosen explicitly, never by silent fall-back.
//!
//! Named by `--kubeconfig`, `--context` or `$KUBECONFIG`: that file, and a broken one is an error. Else in a pod: the
//! service account's files. Else `~/.kube/config`. (`Config::infer` would try the kubeconfig first and hide why it failed.)

use std::env;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

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

fn in_cluster() -> Result<Config> {
    Config::incluster().context(
        "cannot read the service account's files\n\
         hint: the pod needs a service account token: automountServiceAccountToken must not be false",
    )
}

async fn from_kubeconfig(path: Option<&Path>, context: Option<&str>) -> Result<Config> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let kubeconfig = read_kubeconfig(path)?;
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    if let Some(wanted) = context
        && !known.iter().any(|name| name == wanted)
    {
        return Err(anyhow!("no context `{wanted}` in the kubeconfig\nhint: it has {}", listed(&known)));
    }
    Config::from_custom_kubeconfig(kubeconfig, &options).await.context("cannot use the kubeconfig")
}

fn read_kubeconfig(path: Option<&Path>) -> Result<Kubeconfig> {
    match path {
        Some(path) => Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display())),
        None => Kubeconfig::read().context("cannot read the kubeconfig"),
    }
}

fn listed(contexts: &[String]) -> String {
    if contexts.is_empty() { "no context at all".to_owned() } else { contexts.join(", ") }
}
