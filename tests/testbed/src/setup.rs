//! From a machine to a running cluster: what is decided and prepared outside, and what is started inside.

use std::env;

use anyhow::Result;

use crate::{Cluster, enter, machine, programs::Programs};

/// Tells the program inside whether root started it: in a user namespace everybody is root.
const ROOT: &str = "TESTBED_ROOT";

/// Whether the user wants the cluster of the current context instead of one of our own.
pub fn uses_existing_cluster() -> bool {
    env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true")
}

/// Whether a cluster of our own can have a node, inside the namespaces and outside.
pub fn may_have_node() -> bool {
    if enter::inside().is_some() { env::var_os(ROOT).is_some() } else { machine::is_root() }
}

/// Makes everything ready that a cluster needs and runs this program again in fresh namespaces. Answers its exit code.
///
/// # Errors
/// Something is missing that cannot be had, or a build fails.
pub fn enter(node: bool) -> Result<u8> {
    machine::prepare(node)?;
    Programs::ready()?;
    let identity = std::process::id().to_string();
    let environment: Vec<_> = machine::is_root().then(|| (ROOT, "yes".into())).into_iter().collect();
    enter::enter(&identity, &environment)
}

/// Starts the cluster, inside.
///
/// # Errors
/// A part of it does not start.
pub fn start_cluster(_node: bool) -> Result<Cluster> {
    Cluster::start(&Programs::ready()?)
}
