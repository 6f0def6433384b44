//! Claims for volumes: bound, or why not.
//!
//! The rule is kstatus' own; a claim whose volume is gone never comes back by itself:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/>.

use super::{ITS_EVENTS, Judged, Mode, NEAR_NAMES, Row, phase};
use crate::target::names::dns_subdomain;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("pvc", "PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    aliases: &["persistentvolumeclaim"],
    modes: &[Mode { word: "pvc", demand: Demand::Every, help: "every claim is bound to a volume" }],
    options: &[],
    done: "bound",
    rules: "Ready when its phase is Bound. Failed when it is Lost: its volume is gone.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_EVENTS],
    judged: |_| Judged::Set(|json, reading| phase::read(json, reading, "Bound", LOST)),
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

const LOST: Option<(&str, &str)> = Some(("Lost", "has lost its volume"));
