//! `testbed run`: a cluster for one command. `testbed demo`: the product's main job, shown on one.

mod demo;
mod stage;

use std::{
    env,
    ffi::OsString,
    iter,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clap::Parser;
use testbed::{Cluster, capture, enter, machine, programs::Programs, setup};

/// A real Kubernetes in namespaces of its own, gone with the command that it was started for.
#[derive(Parser)]
#[command(name = "testbed")]
enum Cli {
    /// Starts a cluster and runs COMMAND in it, with KUBECONFIG set and kubectl in PATH.
    Run {
        /// With a node that runs pods (as root).
        #[arg(long)]
        node: bool,
        /// The command and its arguments; its exit code is passed on.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Shows a Deployment that starts only after its migration Job: the manifests of this repository, on a real
    /// cluster.
    Demo,
    /// Builds the repository's Dockerfile, as root and without a Docker engine or a registry.
    Dockerfile {
        /// Where to write the image, a docker-archive; what the build keeps for the next one goes beside it.
        output: PathBuf,
    },
    /// Plays the fixtures in tests/fixtures and writes what the API server returned into them (explanations as root).
    Capture {
        /// Only those with this text in their names, as in `job/`.
        #[arg(default_value = "")]
        filter: String,
    },
    /// Asks kubectl's own packages about the paths in tests/fixtures/jsonpath.jsonl and writes what they answer.
    Jsonpath,
}

fn main() -> ExitCode {
    let result = match Cli::parse() {
        Cli::Run { node, command } => run(node, &command),
        Cli::Demo => demo(),
        Cli::Dockerfile { output } => testbed::dockerfile::build(&output).map(|()| 0),
        Cli::Capture { filter } => capture(&filter),
        Cli::Jsonpath => testbed::jsonpath::write().map(|()| 0),
    };
    result.map_or_else(
        |error| {
            machine::progress(&format!("{error:#}"));
            ExitCode::FAILURE
        },
        ExitCode::from,
    )
}

fn run(node: bool, command: &[OsString]) -> Result<u8> {
    if enter::inside().is_none() {
        return setup::enter(node, false);
    }
    let cluster = setup::start_cluster(node)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(iter::once(Programs::ready()?.folder().to_owned()).chain(env::split_paths(&path)))?;
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).env("KUBECONFIG", cluster.admin_kubeconfig()).env("PATH", path);
    let status = child.status().with_context(|| format!("start {}", command[0].display()))?;
    Ok(enter::exit_code(status))
}

fn demo() -> Result<u8> {
    if setup::uses_existing_cluster() {
        return demo::run(&Cluster::existing()?).map(|()| 0);
    }
    if enter::inside().is_none() {
        return setup::enter(machine::is_root(), true);
    }
    demo::run(&setup::start_cluster(setup::may_have_node())?).map(|()| 0)
}

/// On a cluster of each sort that is needed, one after the other; inside, the one there is has its own cases.
fn capture(filter: &str) -> Result<u8> {
    let files = capture::files(filter)?;
    if enter::inside().is_some() {
        return capture::capture(&setup::start_cluster(true)?, &files).map(|()| 0);
    }
    for node in [false, true] {
        if files.iter().any(|file| capture::needs_node(file) == node) {
            let code = setup::enter(node, false)?;
            if code != 0 {
                return Ok(code);
            }
        }
    }
    Ok(0)
}
