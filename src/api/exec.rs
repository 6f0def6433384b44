//! Credentials from a kubeconfig's exec plugin (`aws eks get-token`, `gke-gcloud-auth-plugin` and their kind), by
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.
//!
//! kube's own would run a plugin up to three times before the first request, block the thread meanwhile, and quote all
//! that the plugin wrote when it fails. Here it is a child process beside everything else, killed when the wait ends,
//! and what it writes to stdout, which is the secret, never gets into a message.

use std::collections::HashMap;
use std::fs;
use std::io::{self, IsTerminal, stdin};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::HeaderValue;
use k8s_openapi::jiff::Timestamp;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::credentials::bearer;

/// How long it may take before somebody should know what is being waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// How long what it has written may take to arrive after its end.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// What is read of its output, in bytes.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// A plugin that can be run again and again.
#[derive(Clone)]
pub struct Plugin(ExecConfig);

/// What it gave.
#[derive(Debug)]
pub struct Credential {
    /// for the `Authorization` header
    pub authorization: Option<HeaderValue>,
    /// certificate and key, both PEM
    pub identity: Option<(String, String)>,
    /// when to ask again
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Plugin {
    /// The one that these credentials come from, if they come from one: what is written into the kubeconfig counts
    /// more.
    pub fn of(auth: &AuthInfo) -> Option<Self> {
        let certificate = auth.client_certificate.is_some() || auth.client_certificate_data.is_some();
        let written = certificate || auth.token.is_some() || auth.token_file.is_some() || auth.username.is_some();
        auth.exec.clone().filter(|_| !written && auth.auth_provider.is_none()).map(Self)
    }

    /// What is run.
    pub fn command_name(&self) -> &str {
        self.0.command.as_deref().unwrap_or_default()
    }

    /// Runs it, for as long as it takes; it is killed when this is dropped.
    ///
    /// # Errors
    /// It is not there, fails, or does not say what a plugin has to say.
    pub async fn run(&self) -> Result<Credential> {
        let name = self.0.command.as_deref().context("the kubeconfig's exec plugin has no command")?;
        let mut command = self.command(name)?;
        tracing::debug!(plugin = name, "running the exec plugin");
        let child = command.spawn().with_context(|| self.not_started(name))?;
        let mut end = pin!(output(Family::of(child)));
        let (status, written) = tokio::select! {
            end = &mut end => end,
            () = sleep(SILENCE) => {
                tracing::info!("waiting for the exec plugin {name} of the kubeconfig");
                end.await
            }
        }
        .with_context(|| format!("cannot run the exec plugin {name}"))?;
        ensure!(status.success(), "the exec plugin {name} failed ({status}){}", self.hint());
        // The parser's own words would quote what it read.
        let read: ExecCredential = serde_saphyr::from_slice(&written)
            .ok()
            .with_context(|| format!("the exec plugin {name} did not write an ExecCredential"))?;
        self.credential(read).with_context(|| format!("cannot use the output of the exec plugin {name}"))
    }

    fn command(&self, name: &str) -> Result<Command> {
        let Self(exec) = self;
        let mode = exec.interactive_mode.as_ref();
        let interactive = stdin().is_terminal() && mode != Some(&ExecInteractiveMode::Never);
        if mode == Some(&ExecInteractiveMode::Always) && !interactive {
            bail!("the exec plugin {name} needs a terminal, but stdin is not one");
        }
        let info = self.info(interactive)?;
        let value = |pair: &HashMap<String, String>| pair.get("value").cloned().unwrap_or_default();
        let variables = exec.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, value(pair))));
        let mut command = Command::new(name);
        command.args(exec.args.iter().flatten()).envs(variables).env("KUBERNETES_EXEC_INFO", info.to_string());
        command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
        // Not stderr: there it speaks to people.
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        // One that may read from the terminal, whatever its stdin is, has to stay in the terminal's own group.
        if fs::File::open("/dev/tty").is_err() {
            command.process_group(0);
        }
        Ok(command)
    }

    /// What it is told.
    pub fn info(&self, interactive: bool) -> Result<Value> {
        let Self(exec) = self;
        let mut spec = json!({ "interactive": interactive });
        if exec.provide_cluster_info {
            spec["cluster"] = serde_json::to_value(&exec.cluster)?;
        }
        Ok(json!({ "apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec }))
    }

    fn not_started(&self, name: &str) -> String {
        format!("cannot run the exec plugin {name}{}", self.hint())
    }

    fn hint(&self) -> String {
        let hint = self.0.install_hint.as_deref().map(str::trim).filter(|hint| !hint.is_empty());
        hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
    }

    fn credential(&self, read: ExecCredential) -> Result<Credential> {
        ensure!(read.kind.as_deref() == Some("ExecCredential"), "it is not of kind ExecCredential");
        if read.api_version != self.0.api_version {
            let [wanted, got] = [&self.0.api_version, &read.api_version].map(|it| it.as_deref().unwrap_or("none"));
            bail!("its apiVersion is {got}, but the kubeconfig expects {wanted}");
        }
        let status = read.status.context("it has no status")?;
        let given = |data: Option<String>| data.filter(|data| !data.is_empty());
        let identity = match (given(status.client_certificate_data), given(status.client_key_data)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => bail!("it has only one of client certificate and key"),
        };
        let authorization = status.token.as_deref().filter(|token| !token.is_empty()).map(bearer).transpose()?;
        ensure!(authorization.is_some() || identity.is_some(), "it has neither a token nor a client certificate");
        Ok(Credential { authorization, identity, expires: status.expiration_timestamp })
    }
}

/// A plugin and all that it has started: nothing of it stays when this is dropped.
/// (What one with a terminal has left behind at its own end is in the terminal's group, and stays.)
struct Family {
    child: Child,
    /// also when the child has ended
    pid: Option<Pid>,
    /// the terminal's settings: a question for a password takes them back only at its own end
    terminal: Option<Termios>,
}

impl Family {
    fn of(child: Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child, pid, terminal: tcgetattr(stdin()).ok() }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let Some(pid) = self.pid else { return };
        // What is gone already cannot be killed, and need not be; its number may be somebody else's by now.
        let runs = self.child.id().is_some();
        for descendant in runs.then(|| descendants(pid)).into_iter().flatten() {
            let _ = kill_process(descendant, Signal::KILL);
        }
        let _ = kill_process_group(pid, Signal::KILL);
        if let Some(terminal) = self.terminal.as_ref().filter(|_| runs) {
            let _ = kill_process(pid, Signal::KILL);
            let _ = tcsetattr(stdin(), OptionalActions::Now, terminal);
        }
    }
}

/// Children, and theirs, as far as the kernel tells.
fn descendants(pid: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children = lists.collect::<Vec<_>>().join(" ");
    let children = children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
    children.flat_map(|child| [descendants(child), vec![child]].concat()).collect()
}

/// Its exit status and what it wrote. Its own end counts, not that of what it has started and left with its output.
async fn output(mut family: Family) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut written = Vec::new();
    let stdout = family.child.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
    let mut stdout = stdout.take(OUTPUT_LIMIT);
    let mut reading = pin!(stdout.read_to_end(&mut written));
    let mut read = false;
    let status = loop {
        tokio::select! {
            end = &mut reading, if !read => {
                if end? as u64 == OUTPUT_LIMIT {
                    return Err(io::Error::other("its output is too long"));
                }
                read = true;
            }
            status = family.child.wait() => break status?,
        }
    };
    if !read {
        drop(timeout(LAST_WORDS, reading).await);
    }
    Ok((status, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Plugin {
        let version = "client.authentication.k8s.io/v1";
        Plugin(ExecConfig { api_version: Some(version.to_owned()), ..ExecConfig::default() })
    }

    fn credential(status: &str) -> Result<Credential> {
        let head = "apiVersion: client.authentication.k8s.io/v1\nkind: ExecCredential\nstatus: ";
        plugin().credential(serde_saphyr::from_str(&format!("{head}{status}")).unwrap())
    }

    #[test]
    fn token_and_expiry_are_read_from_json_and_yaml() {
        let read = credential(r#"{"token": "t", "expirationTimestamp": "2030-01-02T03:04:05Z"}"#).unwrap();
        assert_eq!(read.authorization.unwrap(), "Bearer t");
        assert_eq!(read.expires.unwrap().to_string(), "2030-01-02T03:04:05Z");
        assert!(credential("{token: t}").unwrap().expires.is_none());
    }

    #[test]
    fn certificate_and_key_come_together() {
        let identity = credential("{clientCertificateData: c, clientKeyData: k}").unwrap().identity;
        assert_eq!(identity, Some(("c".to_owned(), "k".to_owned())));
        for wrong in ["{clientCertificateData: c}", "{clientKeyData: secret}", "{}", "{token: ''}", "null"] {
            let error = format!("{:#}", credential(wrong).unwrap_err());
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn token_that_cannot_be_a_header_is_not_quoted() {
        let error = format!("{:#}", credential(r#"{token: "sec\nret"}"#).unwrap_err());
        assert!(!error.contains("ret"), "{error}");
    }

    #[test]
    fn other_kinds_and_versions_are_refused() {
        let read = |text: &str| plugin().credential(serde_saphyr::from_str(text).unwrap());
        assert!(read("{kind: Pod}").is_err());
        let error = read("{kind: ExecCredential, apiVersion: client.authentication.k8s.io/v1beta1}").unwrap_err();
        assert!(error.to_string().contains("v1beta1"), "{error}");
    }
}
