//! Nodes, by their kubelet's own word, or by the node controller's where that has fallen silent:
//! <https://kubernetes.io/docs/reference/node/node-status/#condition>.

use super::{Judged, Mode, NEAR_NAMES, Row, conditions};
use crate::target::names::dns_subdomain;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::of_cluster("node", "Node", "", "v1", "nodes"),
    aliases: &["no"],
    modes: &[Mode { word: "node", demand: Demand::Every, help: "every node is ready" }],
    options: &[],
    done: "ready",
    rules: "Ready when its condition Ready is True.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES],
    judged: |_| Judged::Set(|json, reading| conditions::read(json, reading, "Ready")),
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};
