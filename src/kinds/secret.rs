//! Secrets: there, and with these keys; as config maps.

use super::{Extra, ITS_EVENTS, Mode, NEAR_NAMES, Row, configmap};
use crate::target::names::dns_subdomain;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("secret", "Secret", "", "v1", "secrets"),
    aliases: &[],
    modes: &[Mode { word: "secret", demand: Demand::Every, help: "every Secret exists" }],
    options: &[Extra::Key],
    done: "present",
    rules: "\
Ready when it exists and is not being deleted; with `--key`, when it has all of these keys. Without\n`--key`, only its metadata is requested. Values are never kept.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_EVENTS],
    judged: configmap::judged,
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: true,
    is_confidential: true,
};
