//! Custom resource definitions: whether their kinds are served.
//!
//! `NamesAccepted` False is a conflict with another definition that only a person can mend (kstatus, and
//! `pkg/controller/status/naming_controller.go` in k8s.io/apiextensions-apiserver).

use super::conditions::{self, Condition, Conditioned};
use super::members::{Fact, State};
use super::{Judged, Mode, NEAR_NAMES, Reading, Row, in_transition};
use crate::target::names::dns_subdomain;
use crate::target::verdict::Reason;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::of_cluster(
        "crd",
        "CustomResourceDefinition",
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
    ),
    aliases: &["crds", "customresourcedefinition"],
    modes: &[Mode { word: "crd", demand: Demand::Every, help: "every definition is established" }],
    options: &[],
    done: "established",
    rules: "\
Ready when its condition Established is True. Failed when its names are not accepted because another definition has
them.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES],
    judged: |_| Judged::Set(read),
    causes: None,
    is_final: false,
    failed_by: &["NamesAccepted"],
    is_existence: false,
    is_confidential: false,
};

fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let definition: Conditioned = serde_json::from_str(json)?;
    let conflict = definition.condition("NamesAccepted").filter(|it| it.status == "False");
    let transition = in_transition(&definition.metadata, None);
    let (state, reason) = match conflict {
        _ if transition.is_some() => (State::Waiting, transition),
        Some(conflict) => (State::Failed, Some(Reason::new(conflict.code(), taken(conflict)))),
        None => match conditions::unmet(definition.condition("Established"), "Established") {
            None => (State::Ready, None),
            Some(reason) => (State::Waiting, Some(reason)),
        },
    };
    Ok((Fact::new(&definition.metadata, reading, state, reason), definition.metadata.resource_version))
}

fn taken(conflict: &Condition) -> String {
    let message = conflict.message.as_deref().unwrap_or_default().trim_end_matches('.');
    format!("is not accepted: {message}")
}
