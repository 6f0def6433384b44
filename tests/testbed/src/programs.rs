//! The programs of Kubernetes and of a node, built from Go modules at pinned versions and kept in the user's cache.
//! The folder's name is the hash of everything that decides what is in it, so it is never changed, only made: under a
//! file lock, in a folder beside it that is renamed when complete. Clones that build at once wait for one another.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use ring::digest;

use crate::machine;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kubernetes");
const SOURCE_FILES: [&str; 5] = ["go.mod", "go.sum", "main.go", "jsonpath.go", "pause/main.go"];
/// The names that the one binary of Kubernetes is called by.
const NAMES: [&str; 7] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl", "jsonpath"];

/// The same sources give the same bytes wherever they lie; without symbols they are a third smaller.
const GO_FLAGS: [&str; 2] = ["-trimpath", "-buildvcs=false"];
const LINK_FLAGS: &str = "-s -w";

/// Built by `go install` each from its own module: one module for them and Kubernetes would change the versions of
/// both.
const NODE_TOOLS: [(&str, &[&str]); 2] = [
    (
        "2.4.2",
        &[
            "github.com/containerd/containerd/v2/cmd/containerd",
            "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            "github.com/containerd/containerd/v2/cmd/ctr",
        ],
    ),
    (
        "1.9.1",
        &[
            "github.com/containernetworking/plugins/plugins/main/bridge",
            "github.com/containernetworking/plugins/plugins/main/loopback",
            "github.com/containernetworking/plugins/plugins/ipam/host-local",
        ],
    ),
];

/// The folder with all programs, CNI plugins among them.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

impl Programs {
    /// Whether they are in the cache.
    ///
    /// # Errors
    /// The cache cannot be made.
    pub fn are_built() -> Result<bool> {
        Ok(machine::cache_folder()?.join(content_hash()?).is_dir())
    }

    /// Finds the programs in the cache or builds them, which takes minutes.
    ///
    /// # Errors
    /// The cache cannot be written, or Go fails.
    pub fn ready() -> Result<Self> {
        let cache = machine::cache_folder()?;
        let folder = cache.join(content_hash()?);
        if !folder.is_dir() {
            let _turn = machine::lock(&folder.with_extension("lock"))?;
            // Somebody else may have built them in the meantime.
            if !folder.is_dir() {
                build(&folder)?;
            }
        }
        Ok(Self(folder))
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// One of them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn content_hash() -> Result<String> {
    let mut text =
        format!("{} {} {NAMES:?} {NODE_TOOLS:?} {GO_FLAGS:?} {LINK_FLAGS}", env::consts::OS, env::consts::ARCH);
    for file in SOURCE_FILES {
        text += &fs::read_to_string(Path::new(SOURCE).join(file)).with_context(|| format!("read {SOURCE}/{file}"))?;
    }
    Ok(sha256(text.as_bytes())[..16].to_owned())
}

/// The lower-case hexadecimal SHA-256 of these bytes.
pub fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes)
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn build(folder: &Path) -> Result<()> {
    let version = kubernetes_version()?;
    let started = Instant::now();
    machine::progress(&format!(
        "building Kubernetes {version}, containerd and CNI plugins with Go: 4 to 8 minutes, once; kept in {}",
        folder.display()
    ));
    let partial = folder.with_extension("partial");
    // What a builder that was killed left behind; the lock says that it no longer works on it.
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).with_context(|| format!("create {}", partial.display()))?;
    build_kubernetes(&partial, &version)?;
    for (version, packages) in NODE_TOOLS {
        let versioned: Vec<String> = packages.iter().map(|package| format!("{package}@v{version}")).collect();
        go("node tools", go_command("install", "").env("GOBIN", &partial).args(versioned))?;
    }
    for name in NAMES {
        unix::fs::symlink("kubernetes", partial.join(name)).with_context(|| format!("link {name}"))?;
    }
    fs::rename(&partial, folder).with_context(|| format!("rename to {}", folder.display()))?;
    machine::progress(&format!("built in {} s", started.elapsed().as_secs()));
    Ok(())
}

fn build_kubernetes(into: &Path, version: &str) -> Result<()> {
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let stamp = "-X k8s.io/component-base/version.git";
    let flags = format!("{stamp}Version=v{version} {stamp}Major={major} {stamp}Minor={minor} {stamp}TreeState=clean");
    go("Kubernetes", go_command("build", &flags).current_dir(SOURCE).arg("-o").arg(into.join("kubernetes")).arg("."))?;
    go("pause", go_command("build", "").current_dir(SOURCE).arg("-o").arg(into.join("pause")).arg("./pause"))
}

fn kubernetes_version() -> Result<String> {
    let text = fs::read_to_string(Path::new(SOURCE).join("go.mod")).context("read go.mod")?;
    let version = text.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"));
    version.map(str::to_owned).context("go.mod requires no k8s.io/kubernetes")
}

fn go_command(action: &str, stamp: &str) -> Command {
    let mut command = machine::bound("go");
    // Without C the binaries are static.
    command.env("CGO_ENABLED", "0").arg(action).arg("-v").args(GO_FLAGS);
    command.arg(format!("-ldflags={LINK_FLAGS} {stamp}"));
    command
}

/// Runs Go and shows now and then how far it is: `-v` names each package as it is compiled.
fn go(what: &str, command: &mut Command) -> Result<()> {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("start go")?;
    let stderr = child.stderr.take().context("stderr of go is a pipe")?;
    let (started, mut shown) = (Instant::now(), Instant::now());
    let (mut downloaded, mut compiled, mut last) = (0, 0, Vec::new());
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if line.starts_with("go: downloading") {
            downloaded += 1;
        } else {
            compiled += 1;
        }
        last.push(line);
        if shown.elapsed() > Duration::from_secs(20) {
            shown = Instant::now();
            let seconds = started.elapsed().as_secs();
            machine::progress(&format!(
                "{what}: {downloaded} modules fetched, {compiled} packages compiled, {seconds} s"
            ));
        }
    }
    if child.wait().context("wait for go")?.success() {
        return Ok(());
    }
    bail!("go could not build {what}:\n{}", last[last.len().saturating_sub(30)..].join("\n"))
}
