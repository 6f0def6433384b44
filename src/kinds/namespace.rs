//! Namespaces: active, or on their way out:
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>.

use super::{Judged, Mode, NEAR_NAMES, Row, phase};
use crate::target::names::dns_label;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::of_cluster("namespace", "Namespace", "", "v1", "namespaces"),
    aliases: &["ns"],
    modes: &[Mode { word: "namespace", demand: Demand::Every, help: "every namespace is active" }],
    options: &[],
    done: "active",
    rules: "Ready when its phase is Active and it is not being deleted.",
    check_name: dns_label,
    explained_by: &[NEAR_NAMES],
    judged: |_| Judged::Set(|json, reading| phase::read(json, reading, "Active", None)),
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};
