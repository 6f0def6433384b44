//! The product as it is shipped: its static binary, built by the Cargo that runs the tests.
//! A workspace build would give it the testbed's features, so it is built for itself.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::machine;

pub(crate) const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Names a static binary that is used instead of building one; the testbed tells itself by it, too.
pub const VARIABLE: &str = "TESTBED_PRODUCT";

/// The binary: the one that [`VARIABLE`] names, or the result of `cargo build --release`.
///
/// # Errors
/// Cargo fails, or its target for static binaries cannot be installed.
pub fn ready() -> Result<PathBuf> {
    if let Some(path) = env::var_os(VARIABLE) {
        return Ok(path.into());
    }
    let target = ensure_static_target()?;
    machine::progress("building k8s-wait-for for its image");
    let output = cargo()
        .args(["build", "--release", "--package", "k8s-wait-for", "--target", &target])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(WORKSPACE)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    ensure!(output.status.success(), "cargo could not build k8s-wait-for for {target}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(executable).context("cargo named no executable of k8s-wait-for")
}

fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = message["executable"].as_str().filter(|_| message["target"]["name"] == "k8s-wait-for")?;
    Some(path.into())
}

/// The Cargo that runs this program, else the one of the user. It does not see what that Cargo tells this program of
/// its own package: ring's build script reads these, and all that needs ring would be built again for every test
/// program.
fn cargo() -> Command {
    let mut command = machine::bound(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST") || text.starts_with("CARGO_PKG_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Makes sure that Rust can build static binaries, and answers the target's name.
pub(crate) fn ensure_static_target() -> Result<String> {
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    ensure_target(&target)?;
    Ok(target)
}

fn ensure_target(target: &str) -> Result<()> {
    let output =
        Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output().context("start rustc")?;
    let library = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && Path::new(&library).is_dir() {
        return Ok(());
    }
    let hint = format!("hint: rustup target add {target}");
    ensure!(machine::may_install() && machine::find("rustup").is_some(), "Rust has no target {target}\n{hint}");
    machine::progress(&format!(
        "installing a Rust target: rustup target add {target} (TESTBED_INSTALL=no forbids this)"
    ));
    let status = machine::bound("rustup")
        .args(["target", "add", target])
        .stdout(Stdio::null())
        .status()
        .context("start rustup")?;
    ensure!(status.success(), "the Rust target could not be installed\n{hint}");
    Ok(())
}
