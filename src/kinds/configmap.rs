//! Config maps, and what they have in common with Secrets: there, and with these keys.
//!
//! Of what they hold only the names of keys are kept, and values are skipped while the JSON is read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::members::{Fact, State};
use super::object::Metadata;
use super::{Extra, ITS_EVENTS, Judged, Mode, NEAR_NAMES, Reading, Row, existence, in_transition};
use crate::target::names::dns_subdomain;
use crate::target::verdict::{Code, Reason};
use crate::target::{Demand, Kind, Target};

pub static ROW: Row = Row {
    kind: Kind::namespaced("configmap", "ConfigMap", "", "v1", "configmaps"),
    aliases: &["cm"],
    modes: &[Mode { word: "configmap", demand: Demand::Every, help: "every ConfigMap exists" }],
    options: &[Extra::Key],
    done: "present",
    rules: "\
Ready when it exists and is not being deleted; with `--key`, when it has all of these keys. Without\n`--key`, only its metadata is requested. Values are never kept.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_EVENTS],
    judged,
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: true,
    is_confidential: true,
};

/// By its being there, or by its keys where some are demanded.
pub fn judged(target: &Target) -> Judged {
    let by_keys = matches!(target.demand, Demand::Keys(_));
    Judged::Set(if by_keys { read_keys } else { existence::read })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::zero_sized_map_values, reason = "a set would have to read values")]
struct Keyed {
    metadata: Metadata,
    data: Option<BTreeMap<String, IgnoredAny>>,
    binary_data: Option<BTreeMap<String, IgnoredAny>>,
}

fn read_keys(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let Keyed { metadata, data, binary_data } = serde_json::from_str(json)?;
    let has = |key: &str| [&data, &binary_data].into_iter().flatten().any(|keys| keys.contains_key(key));
    let missing = match &reading.demand {
        Demand::Keys(keys) => keys.iter().find(|key| !has(key)),
        _ => None,
    };
    let lacks = || missing.map(|key| Reason::new(Code::NoKey, format!("has no key {key}")));
    let reason = in_transition(&metadata, None).or_else(lacks);
    let state = if reason.is_some() { State::Waiting } else { State::Ready };
    Ok((Fact::new(&metadata, reading, state, reason), metadata.resource_version))
}
