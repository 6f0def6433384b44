//! While somebody types: asks the kubeconfig and the cluster what there is. Quick and silent: who presses a key waits
//! for it, and no message belongs into a line that is being typed. What cannot be had in time is not offered.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf, absolute};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap_complete::Shell;
use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdin};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::api::client::Client;
use crate::api::config;
use crate::api::names;
use crate::cli::Cluster;
use crate::cli::completions::{NAME, Question};
use crate::cli::shells::{self, Line};
use crate::target::Resource;

/// How long a cluster may take, with its exec plugin.
const LIMIT: Duration = Duration::from_secs(2);
/// What is left to it then to end what it has started.
const GRACE: Duration = Duration::from_millis(500);

/// The script for a shell. A program that was called by its path is asked by it, too.
pub fn script(shell: Shell, program: Option<&OsStr>) -> String {
    let called = program.map(Path::new).filter(|path| path.components().count() > 1);
    let path = called.and_then(|path| absolute(path).ok()?.into_os_string().into_string().ok());
    shells::script(shell, path.as_deref().unwrap_or(NAME))
}

/// What can stand at the end of this line.
pub fn candidates(line: Line) -> String {
    line.candidates(answer, env::current_dir().ok().as_deref())
}

/// On a thread of its own: a kubeconfig may be a pipe that nobody writes to.
fn answer(question: &Question) -> Vec<String> {
    let (question, detached) = (question.clone(), detach());
    let (sender, found) = sync_channel(1);
    thread::spawn(move || {
        let found = match &question {
            Question::Contexts(kubeconfig) => config::contexts(kubeconfig.as_deref().map(at_home).as_deref()),
            Question::Names { cluster, resource, namespace } => {
                names(cluster, resource, namespace.as_deref(), detached)
            }
        };
        let _ = sender.send(found.unwrap_or_default());
    });
    // A plugin that takes too long is ended by then.
    found.recv_timeout(LIMIT + GRACE).unwrap_or_default()
}

/// The shell has not expanded what is still being typed.
fn at_home(path: &Path) -> PathBuf {
    let home = path.strip_prefix("~").ok().zip(env::home_dir());
    home.map_or_else(|| path.to_owned(), |(rest, home)| home.join(rest))
}

fn names(cluster: &Cluster, resource: &Resource, namespace: Option<&str>, detached: Result<()>) -> Result<Vec<String>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let asked = ask(cluster, resource, namespace, detached);
    let names = runtime.block_on(async { timeout(LIMIT, asked).await });
    // Dropped, it would wait for a getaddrinfo that is still at it.
    runtime.shutdown_background();
    names?
}

/// From here on no terminal is in reach, neither as a file nor as that of the session: an exec plugin can ask nobody.
///
/// # Errors
/// A shell has made this process the first one of a group.
fn detach() -> Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stderr(&nothing)?;
    setsid()?;
    Ok(())
}

async fn ask(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    detached: Result<()>,
) -> Result<Vec<String>> {
    let kubeconfig = cluster.kubeconfig.as_deref().map(at_home);
    let login = config::load(kubeconfig.as_deref(), cluster.context.as_deref()).await?;
    if login.plugin.is_some() {
        detached?;
    }
    let namespace = namespace.unwrap_or(&login.config.default_namespace).to_owned();
    let client = Client::new(login).await?;
    let names = names::list(&client, resource, Some(&namespace)).await;
    // Why there are none is nothing that could be said here.
    Ok(names.map_or_else(|_| Vec::new(), |names| names.some))
}
