//! Replication controllers, which are ReplicaSets of old.

use super::{Causes, ITS_PODS, Judged, LOGS, Mode, NEAR_NAMES, Row, WARNINGS, replicaset};
use crate::target::names::dns_subdomain;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("replicationcontroller", "ReplicationController", "", "v1", "replicationcontrollers"),
    aliases: &["rc"],
    modes: &[Mode {
        word: "replicationcontroller",
        demand: Demand::Every,
        help: "every replication controller has its pods",
    }],
    options: &[],
    done: "complete",
    rules: "\
Ready by the rules of a ReplicaSet (`--help replicaset`).",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_PODS, LOGS, WARNINGS],
    judged: |_| Judged::Set(replicaset::READ),
    causes: Some(Causes::PodsSelected),
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};
