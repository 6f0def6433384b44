//! Kubeconfig files → one kubeconfig, by client-go's rules: which files, in which order, what counts as not written.
//!
//! kube merges as kubectl does; it knows neither UTF-16 nor empty fields, and its errors quote the lines around a
//! mistake, where a token may stand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::config::{Kubeconfig, KubeconfigError, LoadDataError};
use serde_json::Value;

/// The kubeconfig that `path` names, else `$KUBECONFIG`, else the one at home; and what it was read from.
///
/// # Errors
/// There is none, or it cannot be read: its place, and nothing of its content.
pub fn read(path: Option<&Path>) -> Result<(Kubeconfig, String)> {
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
pub fn parse(bytes: &[u8]) -> Result<Kubeconfig> {
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
            Err(_) => match Kubeconfig::from_yaml(&text) {
                Err(error) => return Err(without_secrets(error)),
                Ok(_) => bail!("not a kubeconfig: a number where text is expected"),
            },
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
        String::from_utf16(&units).context("not UTF-16")
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Ok(std::str::from_utf8(rest).context("not UTF-8")?.to_owned()),
        _ => Ok(std::str::from_utf8(bytes).context("not UTF-8")?.to_owned()),
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
        bail!("no kubeconfig: none of the files in $KUBECONFIG exists: {}", names(&paths));
    }
    let merged = present.iter().try_fold(Kubeconfig::default(), |merged, path| {
        merged.merge(read_file(path)?).with_context(|| format!("cannot add {}", path.display()))
    });
    Ok((merged?, names(&present)))
}

/// In the words of a kubeconfig. The parser's message shows the lines around the mistake, where a token may stand.
pub fn without_secrets(error: KubeconfigError) -> anyhow::Error {
    let (field, error) = match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => return anyhow!("not a kubeconfig: line {}, column {}", at.line(), at.column()),
            None => return anyhow!("not a kubeconfig"),
        },
        KubeconfigError::LoadCertificateAuthority(error) => ("certificate-authority", error),
        KubeconfigError::LoadClientCertificate(error) => ("client-certificate", error),
        KubeconfigError::LoadClientKey(error) => ("client-key", error),
        error => return error.into(),
    };
    match error {
        LoadDataError::ReadFile(error, path) => {
            anyhow!(error).context(format!("cannot read its `{field}` {}", path.display()))
        }
        error => anyhow!(error).context(format!("its `{field}-data`")),
    }
}
