//! StatefulSets: rolled out as `kubectl rollout status` understands it, and for `OnDelete`, of which it knows nothing,
//! as kstatus does.

use super::replicas::{self, Workload, surplus, waiting};
use super::{Causes, ITS_PODS, Judged, LOGS, Mode, NEAR_NAMES, Row, WARNINGS};
use crate::target::names::dns_subdomain;
use crate::target::verdict::Reason;
use crate::target::{Demand, Kind};

pub static ROW: Row = Row {
    kind: Kind::namespaced("statefulset", "StatefulSet", "apps", "v1", "statefulsets"),
    aliases: &["sts"],
    modes: &[Mode { word: "statefulset", demand: Demand::Every, help: "every StatefulSet is rolled out" }],
    options: &[],
    done: "rolled out",
    rules: "\
Ready when its controller has seen the current spec, every pod is ready (available, with minReadySeconds), there are no
surplus pods, and every pod from the partition on runs the current template. With the strategy OnDelete, the template
does not matter: pods are replaced only when somebody deletes them.",
    check_name: dns_subdomain,
    explained_by: &[NEAR_NAMES, ITS_PODS, LOGS, WARNINGS],
    judged: |_| Judged::Set(|json, reading| replicas::read(json, reading, |set| waiting(unfinished(set)))),
    causes: Some(Causes::PodsSelected),
    is_final: false,
    failed_by: &[],
    is_existence: false,
    is_confidential: false,
};

fn unfinished(set: &Workload) -> Option<Reason> {
    let (spec, status, wanted) = (&set.spec, &set.status, set.wanted());
    let enough = if spec.min_ready_seconds > 0 {
        set.lacks(status.available_replicas, wanted, "available")
    } else {
        set.lacks(status.ready_replicas, wanted, "ready")
    };
    let too_many = || surplus(status.replicas, wanted, "too many");
    let outdated =
        || set.lacks(status.updated_replicas, wanted.saturating_sub(spec.update_strategy.partition()), "updated");
    enough.or_else(too_many).or_else(|| outdated().filter(|_| !spec.update_strategy.is_on_delete()))
}
