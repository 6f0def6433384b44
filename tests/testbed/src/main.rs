//! `testbed run`: a cluster for one command. `testbed demo`: the product's main job, shown on one.

use std::{
    env,
    ffi::OsString,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clap::Parser;
use testbed::{enter, machine, programs::Programs, setup};

/// A real Kubernetes in namespaces of its own, gone with the command that it was started for.
#[derive(Parser)]
#[command(name = "testbed")]
enum Cli {
    /// Starts a cluster and runs COMMAND in it, with KUBECONFIG set and kubectl in PATH.
    Run {
        /// With a node that runs pods (as root).
        #[arg(long)]
        node: bool,
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let Cli::Run { node, command } = Cli::parse();
    run(node, &command).map_or_else(
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
    let programs = Programs::ready()?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(programs.folder().to_owned()).chain(env::split_paths(&path)))?;
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).env("KUBECONFIG", cluster.admin_kubeconfig()).env("PATH", path);
    let status = child.status().with_context(|| format!("start {}", command[0].display()))?;
    Ok(enter::exit_code(status))
}
