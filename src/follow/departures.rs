//! What comes and goes while `--for` waits, under the paused clock of `scripts`: the cases of `kubectl wait` that are
//! about time (`pkg/cmd/wait/wait_test.go` in k8s.io/kubectl v0.36.3), and what a departure means.

use serde_json::{Value, json};

use super::Options;
use super::scripts::{
    applied, blind_script, deleted, failed, followed, job, listed, named_job, options, pod, ready, script, target,
    told, unready,
};
use crate::api::watch::{LookBy, Update};

async fn demanded<const N: usize>(line: &str, updates: [(u64, Update<Value>); N]) -> Vec<String> {
    told(followed(target(line), options(), script(updates), LookBy::default())).await
}

/// One of a kind that only the cluster knows; `status` is that of its condition Ready.
fn theme(uid: &str, status: &str) -> Value {
    named_theme("dark", uid, status)
}

fn named_theme(name: &str, uid: &str, status: &str) -> Value {
    labelled_theme(name, uid, status, "shop")
}

fn labelled_theme(name: &str, uid: &str, status: &str, app: &str) -> Value {
    let labels = json!({"app": app});
    let metadata = json!({"name": name, "namespace": "shop", "uid": uid, "generation": 1, "labels": labels});
    json!({"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": status}]}})
}

/// What it is demanded of makes no difference.
const GONE: [&str; 7] = [
    "theme.example.com dark --for delete",
    "theme.example.com/app=shop --for delete",
    "configmap dark --for delete",
    "job dark --for delete",
    "service dark --for delete",
    "cronjob -lapp=shop --for delete",
    "namespace dark --for delete",
];

#[tokio::test(start_paused = true)]
async fn gone_is_what_the_first_good_list_lacks() {
    for line in GONE {
        assert_eq!(demanded(line, [(500, listed([]))]).await, ["500 ready", "500 end"], "{line}");
        let late = [(0, failed()), (100, failed()), (9_000, Update::Recovered), (9_000, listed([]))];
        let expected = ["0 trouble: no answer", "100 trouble: no answer", "9000 recovered", "9000 ready", "9000 end"];
        assert_eq!(demanded(line, late).await, expected, "{line}");
        assert!(demanded(line, []).await.is_empty(), "{line}: nobody has looked");
    }
}

#[tokio::test(start_paused = true)]
async fn gone_is_what_was_deleted() {
    for line in GONE {
        let updates = [(0, listed([theme("1", "True")])), (1_000, deleted(theme("1", "True")))];
        assert_eq!(demanded(line, updates).await, ["0 waiting NotGone", "1000 ready", "1000 end"], "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn gone_is_what_a_later_list_lacks() {
    for line in GONE {
        let updates = [(0, listed([theme("1", "True")])), (1_000, listed([theme("1", "True")])), (2_000, listed([]))];
        assert_eq!(demanded(line, updates).await, ["0 waiting NotGone", "2000 ready", "2000 end"], "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn gone_is_what_has_left_its_name_to_another_one() {
    for line in GONE {
        for other in [applied(theme("2", "True")), listed([theme("2", "True")])] {
            let updates = [
                (0, listed([theme("1", "True")])),
                (1_000, other),
                (2_000, applied(theme("2", "False"))),
                (3_000, deleted(theme("2", "False"))),
                (4_000, applied(theme("3", "True"))),
                (5_000, listed([theme("3", "True")])),
            ];
            let expected = ["0 waiting NotGone", "1000 ready", "1000 end"];
            assert_eq!(demanded(line, updates).await, expected, "{line}: and nobody waits for that one");
        }
        let updates =
            [(0, listed([theme("1", "")])), (1_000, deleted(theme("1", ""))), (1_001, applied(theme("2", "")))];
        assert_eq!(demanded(line, updates).await, ["0 waiting NotGone", "1000 ready", "1000 end"], "{line}");
    }
}

/// `kubectl wait` goes on after an error of the watch, too, and after the server has closed it.
#[tokio::test(start_paused = true)]
async fn gone_is_nothing_because_requests_fail_or_a_watch_ends() {
    for line in GONE {
        let updates = [
            (0, listed([theme("1", "True")])),
            (100, failed()),
            (9_000, failed()),
            (20_000, Update::Recovered),
            (20_000, listed([theme("1", "True")])),
        ];
        let expected = ["0 waiting NotGone", "100 trouble: no answer", "9000 trouble: no answer", "20000 recovered"];
        assert_eq!(demanded(line, updates).await, expected, "{line}");
        let closed = [(0, listed([theme("1", "True")])), (1_000, Update::Blind), (2_000, Update::Live)];
        assert_eq!(demanded(line, closed).await, ["0 waiting NotGone"], "{line}");
        let after = [
            (0, listed([theme("1", "True")])),
            (100, failed()),
            (200, Update::Recovered),
            (300, deleted(theme("1", "True"))),
            (300, Update::Live),
        ];
        let expected = [
            "0 waiting NotGone",
            "100 trouble: no answer",
            "200 recovered",
            "300 waiting NotSeen",
            "300 ready",
            "300 end",
        ];
        assert_eq!(demanded(line, after).await, expected, "{line}");
    }
}

/// A uid does not come back: nothing that happens afterwards takes it back.
#[tokio::test(start_paused = true)]
async fn gone_is_gone_for_good() {
    let updates = [(0, listed([theme("1", "True")])), (100, deleted(theme("1", "True"))), (200, failed())];
    let expected = ["0 waiting NotGone", "100 ready", "100 end"];
    assert_eq!(demanded("theme.example.com dark --for delete", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn gone_is_seen_by_polls_as_well() {
    let updates = [(0, listed([theme("1", "True")])), (5_000, listed([theme("2", "True")]))];
    let polled = blind_script(updates);
    let steps = followed(target("theme.example.com dark --for delete"), options(), polled, LookBy::default());
    assert_eq!(told(steps).await, ["0 waiting NotGone", "5000 ready", "5000 end"]);
}

#[tokio::test(start_paused = true)]
async fn only_those_of_the_first_look_have_to_go() {
    let (a, b, c) = (|| named_theme("a", "1", ""), || named_theme("b", "2", ""), || named_theme("c", "3", ""));
    let updates = [
        (0, listed([a(), b()])),
        (1_000, applied(c())),
        (2_000, deleted(a())),
        (3_000, applied(named_theme("a", "4", ""))),
        (4_000, listed([named_theme("a", "4", ""), b(), c()])),
        (5_000, deleted(b())),
    ];
    let told = demanded("theme.example.com -lapp=shop --for delete", updates).await;
    assert_eq!(told, ["0 waiting NotGone", "2000 waiting NotGone", "5000 ready", "5000 end"], "without any rest");
    let none = [(0, listed([])), (1_000, applied(c()))];
    assert_eq!(demanded("theme.example.com -lapp=shop --for delete", none).await, ["0 ready", "0 end"]);
}

/// Also in one list, and each by its own uid.
#[tokio::test(start_paused = true)]
async fn all_of_a_selector_have_to_go() {
    let (a, b) = (|| named_theme("a", "1", ""), || named_theme("b", "2", ""));
    let updates = [(0, listed([a(), b()])), (1_000, deleted(a())), (1_000, deleted(b()))];
    let told = demanded("theme.example.com -lapp=shop --for delete", updates).await;
    assert_eq!(told, ["0 waiting NotGone", "1000 waiting NotGone", "1000 ready", "1000 end"]);
    let updates = [(0, listed([a(), b()])), (1_000, listed([named_theme("b", "9", "")]))];
    let told = demanded("theme.example.com -lapp=shop --for delete", updates).await;
    assert_eq!(told, ["0 waiting NotGone", "1000 ready", "1000 end"]);
}

/// A watch by labels would say of both that they are gone; kubectl asks for each object by its name.
#[tokio::test(start_paused = true)]
async fn what_has_lost_its_labels_is_not_gone() {
    let a = |app: &str| labelled_theme("a", "1", "", app);
    let other = || labelled_theme("b", "2", "", "other");
    let updates = [
        (0, listed([a("shop"), other()])),
        (1_000, applied(a("other"))),
        (2_000, listed([a("other"), other()])),
        (3_000, deleted(other())),
        (4_000, deleted(a("other"))),
    ];
    let told = demanded("theme.example.com -lapp=shop --for delete", updates).await;
    assert_eq!(told, ["0 waiting NotGone", "4000 ready", "4000 end"]);
    let never = [(0, listed([other()]))];
    assert_eq!(demanded("theme.example.com -lapp=shop --for delete", never).await, ["0 ready", "0 end"]);
}

#[tokio::test(start_paused = true)]
async fn number_that_has_to_match_is_none_of_those_that_have_to_go() {
    let updates = [(0, listed([theme("1", "")])), (1_000, deleted(theme("1", "")))];
    let three = Options { min: 3, ..options() };
    let steps = followed(target("pod -lapp=shop --for delete"), three, script(updates), LookBy::default());
    assert_eq!(told(steps).await, ["0 waiting NotGone", "1000 ready", "1000 end"]);
}

/// The pod that waits is `itself`: it neither goes before the wait is over nor holds up the others.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_itself_to_be_gone() {
    let told = demanded("pod itself --for delete", [(0, listed([ready("itself")]))]).await;
    assert_eq!(told, ["0 waiting OnlyItself"]);
    let updates = [(0, listed([ready("itself"), ready("db-0")])), (1_000, deleted(ready("db-0")))];
    assert_eq!(demanded("pod -lapp=db --for delete", updates).await, ["0 waiting NotGone", "1000 ready", "1000 end"]);
    assert_eq!(demanded("pod -lapp=db --for delete", [(0, listed([ready("itself")]))]).await, ["0 ready", "0 end"]);
}

#[tokio::test(start_paused = true)]
async fn named_object_without_the_labels_is_neither_there_nor_gone() {
    let labelled = |uid: &str, release: &str| {
        let mut theme = theme(uid, "True");
        theme["metadata"]["labels"] = json!({"release": release});
        theme
    };
    let updates = [
        (0, listed([labelled("1", "r7")])),
        (1_000, applied(labelled("1", "r8"))),
        (2_000, applied(labelled("1", "r7"))),
        (3_000, deleted(labelled("1", "r7"))),
    ];
    let expected = ["0 waiting NotGone", "1000 waiting Stale", "2000 waiting NotGone", "3000 ready", "3000 end"];
    assert_eq!(demanded("theme.example.com dark -lrelease=r7 --for delete", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn ready_or_gone_is_met_by_whatever_comes_first() {
    let line = "theme.example.com dark --for condition=Ready --or-for delete";
    let becomes_ready = [(0, listed([theme("1", "False")])), (1_000, applied(theme("1", "True")))];
    assert_eq!(demanded(line, becomes_ready).await, ["0 waiting NotMet", "1000 ready"]);
    let goes = [
        (0, listed([theme("1", "False")])),
        (1_000, deleted(theme("1", "False"))),
        (2_000, applied(theme("2", "False"))),
    ];
    assert_eq!(demanded(line, goes).await, ["0 waiting NotMet", "1000 ready"], "the one that was meant is gone");
    let replaced = [(0, listed([theme("1", "False")])), (1_000, listed([theme("2", "False")]))];
    assert_eq!(demanded(line, replaced).await, ["0 waiting NotMet", "1000 ready"]);
    let fails = [(0, listed([theme("1", "False")])), (1_000, failed())];
    assert_eq!(demanded(line, fails).await, ["0 waiting NotMet", "1000 trouble: no answer"]);
    let missing = [(0, listed([])), (1_000, applied(theme("1", "False"))), (2_000, deleted(theme("1", "False")))];
    let expected = ["0 ready", "1000 waiting NotMet", "2000 ready"];
    assert_eq!(demanded(line, missing).await, expected, "it counts as it is now");
    let changes = [(0, listed([theme("1", "True")])), (1_000, applied(theme("1", "False")))];
    assert_eq!(demanded(line, changes).await, ["0 ready", "1000 waiting NotMet"]);
}

/// A failure that a deletion may follow is no end.
#[tokio::test(start_paused = true)]
async fn ready_or_gone_outlives_the_failure_of_its_kind() {
    let line = "job migrate --for condition=Complete --or-for delete";
    let failed = || job("1", Some("Failed"));
    let updates = [(0, listed([failed()])), (1_000, deleted(failed()))];
    assert_eq!(demanded(line, updates).await, ["0 waiting NotMet", "1000 ready"], "and no mark");
    let updates = [(0, listed([failed()])), (1_000, deleted(failed()))];
    let told = demanded("job migrate --for condition=Complete", updates).await;
    assert_eq!(told, ["0 failed Because"], "where nobody asks for that");
}

/// Unlike those that only have to go, what comes later counts: the set may still grow.
#[tokio::test(start_paused = true)]
async fn set_that_is_to_be_ready_or_gone_has_to_rest() {
    let updates = [
        (0, listed([ready("db-0"), ready("db-1")])),
        (1_000, applied(unready("db-2"))),
        (5_000, deleted(unready("db-2"))),
        (5_500, deleted(ready("db-1"))),
    ];
    let expected = ["0 waiting Settling", "1000 waiting NotMet", "5000 waiting Settling", "7000 ready"];
    let told = demanded("pod -lapp=db --for condition=Ready --or-for delete", updates).await;
    assert_eq!(told, expected, "one that was there at first and is gone is as good as ready");
}

#[tokio::test(start_paused = true)]
async fn created_is_what_comes() {
    for line in ["theme.example.com dark --for create", "secret dark --for create", "pod dark --for create"] {
        assert_eq!(demanded(line, [(0, listed([theme("1", "")]))]).await, ["0 ready"], "{line}");
        let comes = [(0, listed([])), (1_000, applied(theme("1", "")))];
        assert_eq!(demanded(line, comes).await, ["0 waiting NotFound", "1000 ready"], "{line}");
        let never = demanded(line, [(0, listed([])), (500, failed())]).await;
        assert_eq!(never, ["0 waiting NotFound", "500 trouble: no answer"], "{line}");
        assert_eq!(demanded(line, [(0, listed([]))]).await, ["0 waiting NotFound", "2000 absent"], "{line}");
        let goes = [(0, listed([theme("1", "")])), (1_000, deleted(theme("1", "")))];
        assert_eq!(demanded(line, goes).await, ["0 ready", "1000 waiting NotFound"], "{line}: as it is now");
    }
}

#[tokio::test(start_paused = true)]
async fn created_set_has_to_rest_and_a_created_job_is_kept() {
    let updates = [(0, listed([])), (1_000, applied(theme("1", "")))];
    let told = demanded("theme.example.com -lapp=shop --for create", updates).await;
    assert_eq!(told, ["0 waiting NotFound", "1000 waiting Settling", "3000 ready"]);
    let updates = [(0, listed([])), (1_000, applied(job("1", None))), (2_000, deleted(job("1", None)))];
    let told = demanded("job migrate --for create", updates).await;
    assert_eq!(told, ["0 waiting NotFound", "1000 ready", "1000 end"], "and no mark");
}

#[tokio::test(start_paused = true)]
async fn condition_is_seen_as_it_comes() {
    let line = "theme.example.com dark --for condition=Ready";
    let comes = [(0, listed([theme("1", "False")])), (1_000, applied(theme("1", "True")))];
    assert_eq!(demanded(line, comes).await, ["0 waiting NotMet", "1000 ready"]);
    let closed = [
        (0, listed([theme("1", "False")])),
        (1_000, Update::Blind),
        (2_000, failed()),
        (3_000, Update::Recovered),
        (3_000, Update::Live),
        (4_000, applied(theme("1", "True"))),
    ];
    let expected = ["0 waiting NotMet", "2000 trouble: no answer", "3000 recovered", "4000 ready"];
    assert_eq!(demanded(line, closed).await, expected);
    let mut stale = theme("1", "True");
    stale["metadata"]["generation"] = 2.into();
    stale["status"]["observedGeneration"] = 1.into();
    let mut seen = stale.clone();
    seen["status"]["observedGeneration"] = 2.into();
    let observed = [(0, listed([stale])), (1_000, applied(seen))];
    assert_eq!(demanded(line, observed).await, ["0 waiting NotMet", "1000 ready"]);
}

/// kubectl takes one after the other and does not look back.
#[tokio::test(start_paused = true)]
async fn conditions_have_to_be_met_at_the_same_moment() {
    let both = |ready: &str, phase: &str| {
        let mut theme = theme("1", ready);
        theme["status"]["phase"] = phase.into();
        theme
    };
    let line = "theme.example.com dark --for condition=Ready --for jsonpath={.status.phase}=Bound";
    let updates = [
        (0, listed([both("False", "Pending")])),
        (1_000, applied(both("True", "Pending"))),
        (2_000, applied(both("False", "Bound"))),
        (3_000, applied(both("True", "Bound"))),
    ];
    let told = demanded(line, updates).await;
    assert_eq!(told.first().map(String::as_str), Some("0 waiting NotMet"));
    assert_eq!(told.last().map(String::as_str), Some("3000 ready"));
}

/// kubectl ends with an error where it is missing, and waits for the time-out where it is deleted.
#[tokio::test(start_paused = true)]
async fn condition_may_be_met_by_another_one_of_the_name() {
    let updates = [
        (0, listed([])),
        (1_000, applied(theme("1", "False"))),
        (2_000, deleted(theme("1", "False"))),
        (3_000, applied(theme("2", "True"))),
    ];
    let expected = ["0 waiting NotFound", "1000 waiting NotMet", "2000 waiting NotFound", "3000 ready"];
    assert_eq!(demanded("theme.example.com dark --for condition=Ready", updates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn condition_of_a_job_is_decided_by_the_object_that_its_deletion_carries() {
    let line = "job -lapp=x --for condition=Complete";
    let (a, b) = (|done| named_job("a", "1", done), || named_job("b", "2", Some("Complete")));
    let updates = [(0, listed([a(None), b()])), (1_000, deleted(a(Some("Complete"))))];
    let expected = ["0 waiting NotMet", "1000 waiting Settling", "3000 ready", "3000 end"];
    assert_eq!(demanded(line, updates).await, expected, "and no mark");
}

#[tokio::test(start_paused = true)]
async fn pod_that_has_failed_ends_a_wait_for_its_readiness() {
    let failed = pod("db-0", "Failed", "False", 1_000);
    let updates = [(0, listed([unready("db-0")])), (1_000, applied(failed))];
    let told = demanded("pod db-0 --for condition=Ready", updates).await;
    assert_eq!(told, ["0 waiting NotMet", "1000 failed PodFailed"]);
}

/// As for `kubectl rollout status`, which ends with an error where the Deployment is deleted.
#[tokio::test(start_paused = true)]
async fn rollout_is_followed_to_its_end_and_beyond_a_deletion() {
    let web = |uid: &str, generation: i64, observed: i64, [replicas, updated, available]: [i64; 3]| {
        let metadata = json!({"name": "web", "namespace": "shop", "uid": uid, "generation": generation});
        let status = json!({
            "observedGeneration": observed,
            "replicas": replicas,
            "updatedReplicas": updated,
            "availableReplicas": available,
        });
        json!({"metadata": metadata, "spec": {"replicas": 2}, "status": status})
    };
    let updates = [
        (0, listed([web("1", 1, 1, [2, 2, 2])])),
        (1_000, applied(web("1", 2, 1, [2, 2, 2]))),
        (2_000, applied(web("1", 2, 2, [3, 2, 2]))),
        (3_000, applied(web("1", 2, 2, [2, 2, 1]))),
        (4_000, deleted(web("1", 2, 2, [2, 2, 1]))),
        (5_000, applied(web("2", 1, 1, [2, 2, 2]))),
    ];
    let expected = [
        "0 ready",
        "1000 waiting NotObserved",
        "2000 waiting OldPods",
        "3000 waiting PodsNotReady",
        "4000 waiting NotFound",
        "5000 ready",
    ];
    assert_eq!(demanded("deployment web", updates).await, expected);
}
