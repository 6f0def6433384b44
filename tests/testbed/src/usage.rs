//! What the kernel tells of a process while it runs.

use std::{
    collections::BTreeSet,
    fs,
    thread::{self, JoinHandle},
    time::Duration,
};

/// At one moment, or the highest values of a time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// The most memory that it has had resident so far, in bytes.
    pub peak: u32,
    /// The memory that it has resident, in bytes.
    pub resident: u32,
    /// How many threads it has.
    pub threads: u32,
    /// How many TCP connections of it are established.
    pub connections: u32,
}

impl Usage {
    /// The highest values, seen every 50 ms until the process has ended.
    pub fn watch(process: u32) -> JoinHandle<Self> {
        thread::spawn(move || {
            let mut highest = Self::default();
            while let Some(now) = Self::of(process) {
                highest.peak = highest.peak.max(now.peak);
                highest.resident = highest.resident.max(now.resident);
                highest.threads = highest.threads.max(now.threads);
                highest.connections = highest.connections.max(now.connections);
                thread::sleep(Duration::from_millis(50));
            }
            highest
        })
    }

    /// `None` once it has ended: then it has no memory.
    pub fn of(process: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u32>().ok()
        };
        let (peak, resident) = (number("VmHWM:")? * 1024, number("VmRSS:")? * 1024);
        Some(Self { peak, resident, threads: number("Threads:")?, connections: connections(process)? })
    }
}

fn connections(process: u32) -> Option<u32> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten();
    let names = files.filter_map(|file| fs::read_link(file.path()).ok());
    let sockets: BTreeSet<String> = names
        .filter_map(|name| Some(name.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
    let ours = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|fields| {
        // The state, 01 for established, and the inode.
        fields.get(3) == Some(&"01") && fields.get(9).is_some_and(|inode| sockets.contains(*inode))
    });
    u32::try_from(ours.count()).ok()
}
