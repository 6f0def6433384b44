//! ReplicaSets, and what they have in common with replication controllers: as many pods as they are to keep (kstatus).

use super::replicas::{self, Workload, surplus, waiting};
use super::{Causes, ITS_PODS, Judged, LOGS, Mode, NEAR_NAMES, ReadFact, Row, WARNINGS};
use crate::target::names::dns_subdomain;
use crate::target::verdict::Reason;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("replicaset", "ReplicaSet", "apps", "v1", "replicasets"),
    aliases: &["rs"],
    modes: &[Mode { word: "replicaset", demand: Demand::Every, help: "every ReplicaSet has its pods" }],
    options: &[],
    done: "complete",
    rules: "\
Ready when its controller has seen the current spec and exactly the wanted number of pods exist and are available.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_PODS, LOGS, WARNINGS],
    judged: |_| Judged::Set(READ),
    causes: Some(Causes::PodsSelected),
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

/// The facts about a ReplicaSet or a replication controller, and its version.
pub const READ: ReadFact = |json, reading| replicas::read(json, reading, |set| waiting(incomplete(set)));

fn incomplete(set: &Workload) -> Option<Reason> {
    let (status, wanted) = (&set.status, set.wanted());
    set.lacks(status.fully_labeled_replicas, wanted, "created")
        .or_else(|| set.lacks(status.ready_replicas, wanted, "ready"))
        .or_else(|| set.lacks(status.available_replicas, wanted, "available"))
        .or_else(|| surplus(status.replicas, wanted, "too many"))
}
