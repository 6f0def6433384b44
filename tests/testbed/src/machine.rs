//! What the testbed needs of the machine: the programs that it starts, where they are, and how a missing one is had. As
//! root on Debian and its kin they are installed, announced first; elsewhere the command that provides them is named.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

/// Says on stderr what is going on; stdout belongs to tests, commands and the demo.
#[expect(
    clippy::print_stderr,
    reason = "a program for developers: what it builds, installs and starts is shown as it happens"
)]
pub fn progress(text: &str) {
    eprintln!("testbed: {text}");
}

/// The text for a machine that cannot run a cluster of its own.
const WAYS: &str = "the testbed runs a real Kubernetes in Linux namespaces, built with Go. Ways to have it:
  - a Linux machine, virtual machine or container with Rust and Go (1.26 or newer, or any from 1.21 on: it fetches that by itself);
    as root there is a node that runs pods, without root a control plane
  - a cluster that you have, kind for example: USE_EXISTING_CLUSTER=true and a kubeconfig whose current context is that cluster;
    IMAGE names the image of k8s-wait-for that its nodes can pull or have loaded";

/// A program and the Debian package that has it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

const ALWAYS: &[Tool] = &[
    Tool { program: "setpriv", package: "util-linux" },
    Tool { program: "unshare", package: "util-linux" },
    Tool { program: "ip", package: "iproute2" },
];
const NODE: &[Tool] =
    &[Tool { program: "runc", package: "runc" }, Tool { program: "busybox", package: "busybox-static" }];

/// Whether the effective user is root, be it of a user namespace only.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes sure that every program a cluster needs is there: those of a `node` too, and `go` if something is to be built.
///
/// # Errors
/// The machine is no Linux, has no Go, or lacks a program that may not or cannot be installed.
pub fn prepare(node: bool, go: bool) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "this is no Linux\n{WAYS}");
    ensure!(!go || find("go").is_some(), "there is no Go in PATH\n{WAYS}");
    ensure_tools(ALWAYS.iter().chain(if node { NODE } else { &[] }))
}

/// Makes sure that a Dockerfile can be built without a Docker engine.
///
/// # Errors
/// buildah may not or cannot be installed.
pub fn prepare_buildah() -> Result<()> {
    ensure_tools([&Tool { program: "buildah", package: "buildah" }])
}

fn ensure_tools<'a>(wanted: impl IntoIterator<Item = &'a Tool>) -> Result<()> {
    let missing: Vec<&Tool> = wanted.into_iter().filter(|tool| !usable(tool.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    let programs: Vec<&str> = missing.iter().map(|tool| tool.program).collect();
    install(&packages).with_context(|| format!("this machine lacks {}", programs.join(", ")))?;
    match missing.iter().find(|tool| !usable(tool.program)) {
        Some(tool) => bail!("{} is still missing after the installation of {}", tool.program, tool.package),
        None => Ok(()),
    }
}

/// The path of an installed program.
pub fn find(program: &str) -> Option<PathBuf> {
    search_path().map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// The folders of PATH and those for administrators: a user's PATH often lacks them.
pub fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.into_iter().chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
}

fn usable(program: &str) -> bool {
    find(program).is_some_and(|path| program != "busybox" || is_static(&path))
}

/// An image that holds nothing but this file needs it to be without a dynamic loader: in its ELF headers (64 bits,
/// little-endian) no entry is of the type `PT_INTERP`.
fn is_static(path: &Path) -> bool {
    const PT_INTERP: usize = 3;
    let bytes = fs::read(path).unwrap_or_default();
    let number = |at: usize, length: usize| {
        let field = bytes.get(at..at + length).unwrap_or_default();
        field.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    count > 0 && (0..count).all(|entry| number(table + entry * size, 4) != PT_INTERP)
}

/// Whether the user lets the testbed install what is missing.
pub fn may_install() -> bool {
    env::var_os("TESTBED_INSTALL").is_none_or(|value| value != "no")
}

fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    let hint = format!("hint: apt-get install --no-install-recommends {list} (on Debian and its kin)");
    ensure!(may_install(), "TESTBED_INSTALL=no forbids to install it\n{hint}");
    ensure!(is_root() && find("apt-get").is_some(), "only root can install it, and only where apt-get is\n{hint}");
    let _turn = lock(&cache_folder()?.join("install.lock"))?;
    progress(&format!("installing Debian packages: {list} (TESTBED_INSTALL=no forbids this)"));
    let options = ["-qq", "-o", "DPkg::Lock::Timeout=300"];
    // The lists may be absent or old: only a failure that fresh lists do not cure is one.
    if apt_get(&options, &["install", "-y", "--no-install-recommends"], packages).is_err() {
        apt_get(&options, &["update"], &[])?;
        apt_get(&options, &["install", "-y", "--no-install-recommends"], packages)?;
    }
    Ok(())
}

fn apt_get(options: &[&str], action: &[&str], packages: &[&str]) -> Result<()> {
    let output = bound("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(options.iter().chain(action).chain(packages))
        .stdin(Stdio::null())
        .output()
        .context("start apt-get")?;
    ensure!(output.status.success(), "apt-get {}: {}", action[0], String::from_utf8_lossy(&output.stderr).trim_end());
    Ok(())
}

/// A command that ends with this process, however this one ends: setpriv asks the kernel for it and becomes the
/// program.
pub fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// `${XDG_CACHE_HOME:-~/.cache}/k8s-wait-for`, made when missing.
///
/// # Errors
/// Neither variable is set, or the folder cannot be made.
pub fn cache_folder() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir().context("neither XDG_CACHE_HOME nor HOME is set")?.join(".cache"),
    };
    let folder = base.join("k8s-wait-for");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// Waits for the lock on this file and holds it until the answer is dropped; the kernel lets go of it when a holder
/// dies.
///
/// # Errors
/// The file cannot be opened for writing.
pub fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("open {}", path.display()))?;
    // Most are held for a moment; only a build is worth a word.
    for _ in 0..50 {
        if file.try_lock().is_ok() {
            return Ok(file);
        }
        thread::sleep(Duration::from_millis(20));
    }
    progress(&format!("waiting for another process that holds {}", path.display()));
    file.lock().with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}
