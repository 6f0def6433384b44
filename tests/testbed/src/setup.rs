//! From a machine to a running cluster: what is decided and prepared outside, and what is started inside.

use std::{
    env,
    ffi::OsString,
    path::PathBuf,
    process::{Output, Stdio},
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};

use crate::{Cluster, cgroup, enter, machine, node::Node, product, programs::Programs};

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
/// With `product` the static binary is built even where there is no node to run it.
///
/// # Errors
/// Something is missing that cannot be had, or a build fails.
pub fn enter(node: bool, product: bool) -> Result<u8> {
    ensure!(!node || machine::is_root(), "only root can have a node");
    machine::prepare(node, !Programs::are_built()?)?;
    Programs::ready()?;
    let mut environment: Vec<(&str, OsString)> = Vec::new();
    if node || product {
        environment.push((product::VARIABLE, product::ready()?.into()));
    }
    if !machine::is_root() {
        return enter::enter(&identity(), &environment);
    }
    environment.push((ROOT, "yes".into()));
    cgroup::remove_ended()?;
    let code = enter::enter(&identity(), &environment);
    cgroup::remove_ended()?;
    code
}

/// Makes everything ready that [`alone`] needs.
///
/// # Errors
/// Something is missing that cannot be had, or a build fails.
pub(crate) fn prepare_alone() -> Result<()> {
    machine::prepare(false, !Programs::are_built()?)?;
    Programs::ready()?;
    enter::prepare()
}

/// Names the only test that this program was started for, see [`alone`].
const ALONE: &str = "TESTBED_ALONE";

/// Runs this program again in fresh namespaces, for this test only, and answers how it ended and what it wrote.
///
/// # Errors
/// It cannot be started.
pub(crate) fn alone(test: &str) -> Result<Output> {
    let (mut command, _program) = enter::again(&identity(), &[(ALONE, test.into())])?;
    command.stdin(Stdio::null()).output().context("start the namespaces")
}

/// The test that [`alone`] has started this program for.
pub(crate) fn only_test() -> Option<String> {
    env::var(ALONE).ok().filter(|_| enter::inside().is_some())
}

/// No two clusters that live at the same time share one, not even those of containers that see each other's groups.
fn identity() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:x}", std::process::id(), now.as_millis())
}

/// Starts the cluster, inside.
///
/// # Errors
/// A part of it does not start.
pub fn start_cluster(with_node: bool) -> Result<Cluster> {
    let programs = Programs::ready()?;
    let identity = enter::inside().context("a cluster is started in namespaces of its own")?;
    let product = env::var_os(product::VARIABLE).map(PathBuf::from);
    let node = match product {
        Some(product) if with_node => Some(Node { identity: &identity, programs: &programs, product }),
        _ => None,
    };
    Cluster::start(&programs, node.as_ref())
}
