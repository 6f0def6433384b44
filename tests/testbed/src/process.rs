//! A process of the cluster: its command, its log and its identity, so that a test can stop, kill and restart it.
//! Nothing here ends with a drop: the PID namespace ends them all.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a part of the cluster may take to start before this counts as a failure.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running program of the cluster.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Process {
    /// Starts `program` with output to `LOGS/NAME.log`.
    pub(crate) fn start(
        name: &'static str,
        program: PathBuf,
        arguments: Vec<OsString>,
        environment: Vec<(&'static str, OsString)>,
        logs: &Path,
    ) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let child = spawn(&program, &arguments, &environment, &log).with_context(|| format!("start {name}"))?;
        Ok(Self { name, program, arguments, environment, log, child: Mutex::new(child) })
    }

    /// Its name in the cluster, `kube-apiserver` for example.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The file that holds its stdout and stderr.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its id in the cluster's PID namespace.
    pub fn id(&self) -> u32 {
        self.with_child(|child| child.id())
    }

    /// Sends a signal: `Signal::STOP` and `Signal::CONT` to freeze it and go on.
    ///
    /// # Errors
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw).context("a process id is positive")?;
        kill_process(pid, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Ends it by SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// It was waited for before.
    pub fn kill(&self) -> Result<()> {
        self.with_child(|child| child.kill().and_then(|()| child.wait()).map(drop))
            .with_context(|| format!("kill {}", self.name))
    }

    /// Starts it again as it was started, after a [`Process::kill`] or on top of one.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart(&self) -> Result<()> {
        self.kill()?;
        let child = spawn(&self.program, &self.arguments, &self.environment, &self.log)
            .with_context(|| format!("restart {}", self.name))?;
        self.with_child(|old| *old = child);
        Ok(())
    }

    /// Asks `ready` until it says yes. Fails with the log's tail when the process ended or took too long.
    pub(crate) fn await_ready(&self, ready: impl FnMut() -> bool) -> Result<()> {
        self.await_ready_or(ready, || String::from("not ready"))
    }

    pub(crate) fn await_ready_or(&self, mut ready: impl FnMut() -> bool, state: impl Fn() -> String) -> Result<()> {
        let started = Instant::now();
        while !ready() {
            if let Some(status) = self.with_child(Child::try_wait).with_context(|| format!("look at {}", self.name))? {
                bail!("{} ended ({status}); its log ends with\n{}", self.name, self.log_tail());
            }
            if started.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                bail!("{} after {seconds} s: {}; its log ends with\n{}", self.name, state(), self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    fn with_child<T>(&self, action: impl FnOnce(&mut Child) -> T) -> T {
        action(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn spawn(program: &Path, arguments: &[OsString], environment: &[(&str, OsString)], log: &Path) -> Result<Child> {
    let output =
        File::options().create(true).append(true).open(log).with_context(|| format!("open {}", log.display()))?;
    let errors = output.try_clone().context("share the log")?;
    Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("start {}", program.display()))
}
