//! The control groups of a node: `/k8s-wait-for-ID` in every hierarchy, with all of its pods below.
//! A mount namespace does not hide them, so they are removed when the cluster has ended, and those of a killed one by
//! the next start. Who lives is said by the kernel: the cluster's first process sits in the group `alive`, which
//! cannot be removed as long as that process runs.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::machine;

const PREFIX: &str = "k8s-wait-for-";
const ALIVE: &str = "alive";

/// The group's path in each hierarchy, as the kubelet's `cgroupRoot` wants it.
pub fn root(identity: &str) -> String {
    format!("/{PREFIX}{identity}")
}

/// Makes the groups of this cluster and enters the one that says that it lives. Call it before anything else is
/// started.
///
/// # Errors
/// A group cannot be made or entered.
pub fn create(identity: &str) -> Result<()> {
    let _turn = turn()?;
    for hierarchy in hierarchies()? {
        let group = hierarchy.join(format!("{PREFIX}{identity}"));
        enable_controllers(&hierarchy);
        fs::create_dir(&group).with_context(|| format!("create {}", group.display()))?;
        enable_controllers(&group);
        copy_cpuset(&hierarchy, &group)?;
    }
    let alive = sign_of_life(&hierarchies()?, &format!("{PREFIX}{identity}"));
    fs::create_dir(&alive).with_context(|| format!("create {}", alive.display()))?;
    fs::write(alive.join("cgroup.procs"), "0").with_context(|| format!("enter {}", alive.display()))
}

/// Removes the groups of all clusters that have ended. Groups that cannot be removed are left to the next time.
///
/// # Errors
/// The lock that keeps off a cluster in the making cannot be had.
pub fn remove_ended() -> Result<()> {
    let _turn = turn()?;
    let hierarchies = hierarchies()?;
    let names: BTreeSet<String> = hierarchies.iter().flat_map(|hierarchy| children(hierarchy)).collect();
    for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
        let alive = sign_of_life(&hierarchies, name);
        if matches!(remove_when_free(&alive), Err(error) if error.kind() != io::ErrorKind::NotFound) {
            continue;
        }
        for hierarchy in &hierarchies {
            remove_tree(&hierarchy.join(name));
        }
    }
    Ok(())
}

fn turn() -> Result<fs::File> {
    machine::lock(&machine::cache_folder()?.join("cgroups.lock"))
}

/// Where the hierarchies are mounted: one for all controllers (version 2), one for each (version 1), or some of both.
pub fn hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
    let paths = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup").then(|| PathBuf::from(path))
    });
    Ok(paths.collect())
}

/// In a hierarchy that limits nothing, if there is one: the process leaves the group that it is in there.
fn sign_of_life(hierarchies: &[PathBuf], name: &str) -> PathBuf {
    let place = hierarchies.iter().find(|path| path.ends_with("unified") || path.ends_with("systemd"));
    place.or(hierarchies.first()).map_or(Path::new("/sys/fs/cgroup"), PathBuf::as_path).join(name).join(ALIVE)
}

/// Version 2 hands a controller down only when told; one that is not there or is in use otherwise is not needed.
fn enable_controllers(group: &Path) {
    let controllers = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        drop(fs::write(group.join("cgroup.subtree_control"), format!("+{controller}")));
    }
}

/// In version 1 a new group has no processors and no memory nodes, and takes no process until it has.
fn copy_cpuset(from: &Path, to: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (source, target) = (from.join(file), to.join(file));
        // The root of version 2 has neither, and needs neither.
        if let Ok(value) = fs::read_to_string(source) {
            fs::write(&target, value).with_context(|| format!("write {}", target.display()))?;
        }
    }
    Ok(())
}

fn children(group: &Path) -> Vec<String> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Only folders can be removed in there, and each only when it holds no process: a failure means that it is in use.
fn remove_tree(group: &Path) {
    for child in children(group) {
        remove_tree(&group.join(child));
    }
    drop(remove_when_free(group));
}

/// The last processes of a cluster may take a moment to leave their groups.
fn remove_when_free(group: &Path) -> io::Result<()> {
    let mut result = fs::remove_dir(group);
    for _ in 0..20 {
        if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::ResourceBusy) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
        result = fs::remove_dir(group);
    }
    result
}
