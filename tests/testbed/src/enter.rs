//! The way into namespaces of one's own: the program starts itself again there, and everything ends with it.
//! `unshare` makes the namespaces and waits outside; its child, this program, is the first process of the PID
//! namespace, so the kernel ends all others with it. SIGKILL travels down the chain by the parent-death signal, which
//! follows the *thread* that forked: enter only from `main`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    os::{fd::AsRawFd, unix::process::ExitStatusExt},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    mount::MountFlags,
    process::{Signal, getpid, set_parent_process_death_signal},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::machine;

/// Where everything of a cluster lives: on a tmpfs of the mount namespace, so nothing of it stays.
pub const WORK: &str = "/run/testbed";
/// The first address of the service range: the API server's, and what pods know as `KUBERNETES_SERVICE_HOST`.
pub const API_ADDRESS: &str = "10.96.0.1";
/// The node's own address, outside the ranges of services and pods.
pub const NODE_ADDRESS: &str = "10.97.0.1";
/// Holds the identity of the cluster, which is the process id of the program outside.
const MARK: &str = "TESTBED_INSIDE";

/// The identity of the cluster whose namespaces this process was started in by [`enter`], else `None`. A process that
/// merely inherited the environment is not the first of its PID namespace.
pub fn inside() -> Option<String> {
    env::var(MARK).ok().filter(|_| getpid().is_init())
}

/// Starts this program again in fresh namespaces and waits for it. Answers its exit code, or 128 plus the signal.
///
/// # Errors
/// The namespaces cannot be made.
pub fn enter(identity: &str, environment: &[(&str, OsString)]) -> Result<u8> {
    prepare()?;
    let (command, _program) = again(identity, environment)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(wait_or_interrupt(command.into()))
}

/// Before this program is started again: it ends with its own parent, and namespaces can be had.
///
/// # Errors
/// They cannot.
pub(crate) fn prepare() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("ask to end with the parent")?;
    if machine::is_root() { Ok(()) } else { probe_user_namespace() }
}

/// The command that starts it, and the file that it needs until it is started. It ends with the thread that starts it.
///
/// # Errors
/// The own program cannot be opened.
pub(crate) fn again(identity: &str, environment: &[(&str, OsString)]) -> Result<(Command, File)> {
    let program = own_program()?;
    let mut command = unshare();
    command.arg(format!("/proc/self/fd/{}", program.as_raw_fd())).args(env::args_os().skip(1));
    command.env(MARK, identity).envs(environment.iter().map(|(name, value)| (name, value)));
    Ok((command, program))
}

/// The running file itself, inherited as it is open: what lies at its path now may be a newer build, or nothing.
fn own_program() -> Result<File> {
    let program = File::open("/proc/self/exe").context("open the own program")?;
    fcntl_setfd(&program, FdFlags::empty()).context("pass the own program on")?;
    Ok(program)
}

fn unshare() -> Command {
    let mut command = machine::bound("unshare");
    if !machine::is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
        "--propagation",
        "private",
        "--",
    ]);
    command
}

fn probe_user_namespace() -> Result<()> {
    let output = unshare().arg("true").stdin(Stdio::null()).output().context("start unshare")?;
    ensure!(
        output.status.success(),
        "no user namespace for this user: {}\nhint: run as root, or allow it: sysctl kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=10000",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

/// A signal ends the cluster at once: its first process is killed, and with it every other.
async fn wait_or_interrupt(mut command: tokio::process::Command) -> Result<u8> {
    let mut child = command.spawn().context("start setpriv")?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let number = tokio::select! {
        status = child.wait() => return Ok(exit_code(status.context("wait for the namespaces")?)),
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
        _ = hang_up.recv() => SignalKind::hangup(),
    };
    child.kill().await.context("end the namespaces")?;
    Ok(exit_code(ExitStatus::from_raw(number.as_raw_value())))
}

/// The exit code as a shell reports it.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// The first steps inside: an empty `/run`, and the addresses of the API server and the node.
///
/// # Errors
/// A mount or a command fails.
pub fn settle() -> Result<()> {
    mount_tmpfs("/run")?;
    fs::create_dir(WORK).with_context(|| format!("create {WORK}"))?;
    ip(["link", "set", "lo", "up"])?;
    for address in [API_ADDRESS, NODE_ADDRESS] {
        ip(["address", "add", &format!("{address}/32"), "dev", "lo"])?;
    }
    Ok(())
}

/// Covers a folder, made when missing, with an empty tmpfs that only this mount namespace sees.
///
/// # Errors
/// The folder cannot be made or mounted on.
pub fn mount_tmpfs(folder: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create {folder}"))?;
    rustix::mount::mount("testbed", folder, "tmpfs", MountFlags::empty(), None)
        .with_context(|| format!("mount a tmpfs on {folder}"))
}

fn ip<const N: usize>(arguments: [&str; N]) -> Result<()> {
    let program = machine::find("ip").context("ip was there when the machine was prepared")?;
    let output = Command::new(program).args(arguments.map(OsStr::new)).output().context("start ip")?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}
