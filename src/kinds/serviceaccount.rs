//! Service accounts: there, or not.

use super::{ITS_EVENTS, Judged, Mode, NEAR_NAMES, Row, existence};
use crate::target::names::dns_subdomain;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("serviceaccount", "ServiceAccount", "", "v1", "serviceaccounts"),
    aliases: &["sa"],
    modes: &[Mode { word: "serviceaccount", demand: Demand::Every, help: "every service account exists" }],
    options: &[],
    done: "present",
    rules: "\
Ready when it exists and is not being deleted. Only its metadata is asked for.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_EVENTS],
    judged: |_| Judged::Set(existence::read),
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: true,
    is_confidential: false,
};
