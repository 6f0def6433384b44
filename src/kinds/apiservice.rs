//! API services: whether the API server can hand requests on to whoever serves them:
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1/>.

use super::{Judged, Mode, NEAR_NAMES, Row, conditions};
use crate::target::names::dns_subdomain;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::of_cluster("apiservice", "APIService", "apiregistration.k8s.io", "v1", "apiservices"),
    aliases: &[],
    modes: &[Mode { word: "apiservice", demand: Demand::Every, help: "every API service is available" }],
    options: &[],
    done: "available",
    rules: "Ready when its condition Available is True.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES],
    judged: |_| Judged::Set(|json, reading| conditions::read(json, reading, "Available")),
    causes: None,
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};
