//! Deployments: rolled out as `kubectl rollout status` understands it.
//!
//! `ProgressDeadlineExceeded` is set once no pod has become available for `progressDeadlineSeconds`, and taken back when
//! one does (`pkg/controller/deployment/progress.go` in kubernetes): nobody waits for that. Of a release that was rolled
//! back it is still said for a moment, with the new generation observed and the very numbers of a failure: only the time
//! tells that it is about another template.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::members::{Fact, State};
use super::replicas::{self, Workload, surplus, waiting};
use super::{Causes, ITS_PODS, Judged, LOGS, Mode, NEAR_NAMES, Reading, Row, WARNINGS};
use crate::target::names::dns_subdomain;
use crate::target::verdict::Reason;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("deployment", "Deployment", "apps", "v1", "deployments"),
    aliases: &["deploy"],
    modes: &[Mode { word: "deployment", demand: Demand::Every, help: "every Deployment is rolled out" }],
    options: &[],
    done: "rolled out",
    rules: "\
Ready when its controller has seen the current spec, every pod runs the current template and is available, and the old
pods are gone. Failed with ProgressDeadlineExceeded.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_PODS, LOGS, WARNINGS],
    judged: |_| Judged::Set(read),
    causes: Some(Causes::PodsSelected),
    is_final: false,
    failed_by: &["Progressing"],
    is_existence: false,
    is_confidential: false,
};

fn read(json: &str, reading: &Reading) -> serde_json::Result<(Fact, String)> {
    let (fact, version) = replicas::read(json, reading, unmet)?;
    if fact.state == State::Failed && serde_json::from_str::<Dated>(json)?.was_said_before() {
        return replicas::read(json, reading, |deployment| waiting(unfinished(deployment)));
    }
    Ok((fact, version))
}

fn unmet(deployment: &Workload) -> Option<(State, Reason)> {
    timed_out(deployment).map(|reason| (State::Failed, reason)).or_else(|| waiting(unfinished(deployment)))
}

fn timed_out(deployment: &Workload) -> Option<Reason> {
    let progress = deployment.condition("Progressing");
    let condition = progress.filter(|it| it.reason.as_deref() == Some("ProgressDeadlineExceeded"))?;
    let message = condition.message.as_deref().unwrap_or_default().trim_end_matches('.');
    let why = deployment.refused().map_or_else(String::new, |why| format!("; {why}"));
    Some(Reason::new(condition.code(), format!("has failed: ProgressDeadlineExceeded: {message}{why}")))
}

fn unfinished(deployment: &Workload) -> Option<Reason> {
    let status = &deployment.status;
    let updated = status.updated_replicas;
    let behind = || surplus(status.replicas, updated, "still on an old template");
    deployment
        .lacks(updated, deployment.wanted(), "updated")
        .or_else(behind)
        .or_else(|| deployment.lacks(status.available_replicas, updated, "available"))
}

/// When what was written, as far as a failure is concerned; no part of it has to be there.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Dated {
    metadata: Written,
    spec: Deadline,
    status: Said,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    managed_fields: Vec<By>,
}

/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct By {
    time: Option<Time>,
    fields_v1: Fields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:spec")]
    spec: SpecFields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SpecFields {
    #[serde(rename = "f:template")]
    template: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Deadline {
    progress_deadline_seconds: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    conditions: Vec<Progress>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Progress {
    r#type: String,
    last_update_time: Option<Time>,
}

impl Dated {
    /// Of the present template it cannot be said before the deadline has passed since. Half of that: two clocks take
    /// the times, in whole seconds.
    fn was_said_before(&self) -> bool {
        let templates = self.metadata.managed_fields.iter().filter(|by| by.fields_v1.spec.template.is_some());
        let changed = templates.filter_map(|by| by.time.as_ref()).map(|time| time.0.as_second()).max();
        let progress = self.status.conditions.iter().find(|it| it.r#type == "Progressing");
        let said = progress.and_then(|it| it.last_update_time.as_ref()).map(|time| time.0.as_second());
        let deadline = self.spec.progress_deadline_seconds;
        said.zip(changed).is_some_and(|(said, changed)| said < changed + deadline / 2)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failure_of_an_earlier_template_is_none_of_the_present_one() {
        let state = |template: &str| {
            let fields = json!({"f:spec": {"f:template": {}}});
            let deployment = json!({
                "metadata": {
                    "name": "web",
                    "generation": 3,
                    "managedFields": [
                        {"time": template, "fieldsV1": fields},
                        {"time": "2026-01-01T02:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                        {"time": "2026-01-01T02:00:00Z", "fieldsV1": {"f:status": {}}},
                    ],
                },
                "spec": {"replicas": 1, "progressDeadlineSeconds": 600},
                "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1,
                    "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                        "lastUpdateTime": "2026-01-01T01:00:00Z"}]},
            });
            read(&deployment.to_string(), &Reading::every(&ROW.kind, None)).expect("a Deployment").0.state
        };
        assert_eq!(state("2026-01-01T00:50:00Z"), State::Failed);
        assert_eq!(state("2026-01-01T00:50:02Z"), State::Failed, "another clock");
        assert_eq!(state("2026-01-01T00:59:59Z"), State::Waiting, "not even half of the deadline has passed");
        assert_eq!(state("2026-01-01T01:30:00Z"), State::Waiting);
    }
}
