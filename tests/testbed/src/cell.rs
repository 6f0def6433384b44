//! A control group for one program, as the kubelet makes one for a container: what it may use, and what it has used.
//! Both versions of the kernel's interface: each figure is looked for under the names that it has in either. The groups
//! lie among those of the cluster and are removed with them; only root can make them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{cgroup, enter, wait::Wait};

/// Enters the groups before `--` and becomes the program after it.
const ENTER: &str = r#"while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 126; shift; done; shift; exec "$@""#;
/// Tells a group that limits or counts something from one that is there for names only.
const OF_USE: [&str; 5] = ["memory.max", "memory.limit_in_bytes", "cpu.max", "cpu.cfs_quota_us", "cpuacct.usage"];

/// The groups of one program, one in each hierarchy that limits or counts.
pub struct Cell {
    groups: Vec<PathBuf>,
}

impl Cell {
    /// At most so many bytes, without swap, and so many thousandths of a processor; 0 is no limit.
    ///
    /// # Errors
    /// There is no cluster of our own, or a group cannot be made.
    pub fn create(name: &str, bytes: u64, millis: u64) -> Result<Self> {
        let identity = enter::inside().context("a cell is made inside a cluster of our own")?;
        let root = cgroup::root(&identity);
        let above: Vec<PathBuf> =
            cgroup::hierarchies()?.iter().map(|hierarchy| hierarchy.join(root.trim_start_matches('/'))).collect();
        if !above.iter().any(|group| group.exists()) {
            cgroup::create(&identity)?;
        }
        let groups = above
            .iter()
            .map(|group| group.join(name))
            .filter(|group| fs::create_dir(group).is_ok() && OF_USE.iter().any(|file| group.join(file).exists()));
        let cell = Self { groups: groups.collect() };
        if bytes > 0 {
            cell.set(&["memory.max", "memory.limit_in_bytes"], &bytes.to_string())?;
            // Version 1 counts both together. Where no swap is, the file may be missing.
            drop(cell.set(&["memory.memsw.limit_in_bytes"], &bytes.to_string()));
            drop(cell.set(&["memory.swap.max"], "0"));
        }
        if millis > 0 {
            let quota = millis * 100;
            cell.set(&["cpu.max", "cpu.cfs_quota_us"], &quota.to_string())?;
        }
        Ok(cell)
    }

    /// Starts a program in it, see [`Wait::start`].
    pub fn start<V: AsRef<OsStr>>(
        &self,
        program: &Path,
        arguments: &[String],
        environment: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Wait {
        let mut words = ["-c", ENTER, "cell"].map(OsStr::new).to_vec();
        words.extend(self.groups.iter().map(|group| group.as_os_str()));
        words.extend([OsStr::new("--"), program.as_os_str()]);
        words.extend(arguments.iter().map(OsStr::new));
        Wait::start("sh", words, environment)
    }

    /// The most memory that it had at a time, in bytes: its processes, their files in memory and what the kernel holds.
    pub fn peak(&self) -> Option<u32> {
        self.read(&["memory.peak", "memory.max_usage_in_bytes"])?.trim().parse().ok()
    }

    /// The time that its processes have run.
    pub fn cpu(&self) -> Option<Duration> {
        let nanoseconds = self.read(&["cpuacct.usage"]).and_then(|text| text.trim().parse().ok());
        nanoseconds
            .map(Duration::from_nanos)
            .or_else(|| self.field(&["cpu.stat"], "usage_usec").map(Duration::from_micros))
    }

    /// How many of its processes the kernel has killed for want of memory.
    pub fn out_of_memory(&self) -> Option<u32> {
        self.field(&["memory.events", "memory.oom_control"], "oom_kill")
    }

    fn field<N: FromStr>(&self, names: &[&str], field: &str) -> Option<N> {
        let text = self.read(names)?;
        text.lines().find_map(|line| line.strip_prefix(field)?.trim().parse().ok())
    }

    fn read(&self, names: &[&str]) -> Option<String> {
        fs::read_to_string(self.file(names)?).ok()
    }

    fn set(&self, names: &[&str], value: &str) -> Result<()> {
        let file = self.file(names).with_context(|| format!("no control group has {}", names.join(" or ")))?;
        fs::write(&file, value).with_context(|| format!("write {}", file.display()))
    }

    /// The first of these files that there is.
    fn file(&self, names: &[&str]) -> Option<PathBuf> {
        let files = self.groups.iter().flat_map(|group| names.iter().map(|name| group.join(name)));
        files.into_iter().find(|file| file.exists())
    }
}
