//! Kinds that only the cluster knows: found by discovery, judged by what every controller writes. The test is theirs.

use serde_json::{Value, json};
use testbed::{
    AuditedRequest, Namespace, Wait,
    front::{Front, Reply, head},
    objects::{await_gone, definition},
    scene::{
        self, ALL, by_way_of, ends, refusal, refusing, start, start_at, start_everywhere, still_waits, succeeds, wire,
    },
    wire::{Cut, Faults},
};

/// The group of the test's kinds.
fn group(namespace: &Namespace) -> String {
    format!("{}.example.com", namespace.name())
}

/// `Widget`, also called `wd`, and served when this returns.
fn define(namespace: &Namespace) {
    let mut definition = definition(namespace, "widgets", "Widget", "Namespaced");
    definition["spec"]["names"]["shortNames"] = json!([short(namespace)]);
    namespace.apply_object(&definition);
    succeeds(start_everywhere(namespace, ALL, &format!("crd widgets.{}", group(namespace))));
    // Established, and a moment later served.
    namespace.eventually("widgets are served", || {
        namespace.run_kubectl(&["get", &format!("widgets.{}", group(namespace))]).ok()
    });
}

/// A short name that no other test has.
fn short(namespace: &Namespace) -> String {
    format!("wd{}", namespace.name().rsplit('-').next().unwrap_or_default())
}

fn path(namespace: &Namespace, name: &str) -> String {
    format!("Widget.v1.{}/{name}", group(namespace))
}

fn create(namespace: &Namespace, name: &str) {
    create_with(namespace, &json!({"name": name}), &json!({"size": 1}));
}

fn create_with(namespace: &Namespace, metadata: &Value, spec: &Value) {
    let version = format!("{}/v1", group(namespace));
    namespace.apply_object(&json!({"apiVersion": version, "kind": "Widget", "metadata": metadata, "spec": spec}));
}

fn write_status(namespace: &Namespace, name: &str, status: &Value) {
    namespace.write_status(&path(namespace, name), status);
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    let time = "2026-01-01T00:00:00Z";
    json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": time})
}

/// Waits for the widget `a`, as its group has it: `{}` in the line is `widget.GROUP`.
fn wait(namespace: &Namespace, line: &str) -> Wait {
    start(namespace, ALL, &line.replace("{}", &format!("widget.{}", group(namespace))))
}

pub fn object_is_ready_when_its_controller_says_so_of_the_present_spec(namespace: &Namespace) {
    define(namespace);
    let wait = wait(namespace, "{}/a");
    let noun = format!("widget.{}", group(namespace));
    wait.line(&format!("{noun}/a: waiting: does not exist"));
    create(namespace, "a");
    wait.line("waiting: no status yet");
    let ready = |status: &str, observed: u32| {
        let condition = condition("Ready", status, "Building");
        json!({"conditions": [condition], "observedGeneration": observed})
    };
    write_status(namespace, "a", &ready("False", 1));
    wait.line("waiting: not Ready: its condition is False (Building)");
    namespace.patch(&path(namespace, "a"), &json!({"spec": {"size": 2}}));
    wait.line("changes that its controller has not seen yet");
    write_status(namespace, "a", &ready("True", 1));
    write_status(namespace, "a", &ready("True", 2));
    let finished = succeeds(wait);
    assert!(finished.stdout.contains(&format!("{noun}/a: ready")), "{finished:#?}");
}

/// One Ready of an older spec says nothing of the present one.
pub fn ready_of_an_older_spec_is_not_ready(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    write_status(namespace, "a", &json!({"conditions": [condition("Ready", "True", "Up")], "observedGeneration": 1}));
    succeeds(wait(namespace, "{}/a"));
    namespace.patch(&path(namespace, "a"), &json!({"spec": {"size": 2}}));
    ends(wait(namespace, "{}/a --timeout 0"), 124, "changes that its controller has not seen yet");
    let finished =
        ends(wait(namespace, "{}/a --for condition=ready --timeout 0"), 124, "condition Ready is about an older spec");
    assert!(finished.stderr.contains("not ready, checked once"), "{finished:#?}");
}

pub fn stalled_object_has_failed(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let plain = wait(namespace, "{}/a");
    let by_field = wait(namespace, "{}/a --for jsonpath={.status.phase}=Running");
    let stalled_or_up = wait(namespace, "{}/a --for condition=Ready --or-for condition=Stalled");
    for wait in [&plain, &by_field, &stalled_or_up] {
        wait.line("waiting: ");
    }
    write_status(namespace, "a", &json!({"conditions": [condition("Stalled", "True", "NoSuchChart")]}));
    ends(plain, 1, "a: Stalled is True (NoSuchChart)");
    ends(by_field, 1, "it has failed: Stalled is True (NoSuchChart)");
    succeeds(stalled_or_up);
}

pub fn conditions_and_fields_are_waited_for(namespace: &Namespace) {
    define(namespace);
    let any = wait(namespace, "{}/a --for create");
    let up = wait(namespace, "{}/a --for condition=Up");
    let down = wait(namespace, "{}/a --for condition=up=false");
    let running = wait(namespace, "{}/a --for jsonpath={.status.phase}=Running");
    let both =
        wait(namespace, "{}/a --for condition=Up --for jsonpath={.status.phase}=Running --or-for condition=Broken");
    for wait in [&any, &up, &down, &running, &both] {
        wait.line("does not exist");
    }
    create(namespace, "a");
    succeeds(any);
    up.line("no condition Up yet");
    running.line("{.status.phase} is not set yet");
    both.line(
        "it has no condition Up yet and {.status.phase} is not set yet; --or-for: it has no condition Broken yet",
    );
    write_status(namespace, "a", &json!({"phase": "Pending", "conditions": [condition("Up", "False", "Starting")]}));
    succeeds(down);
    up.line("condition Up is False (Starting)");
    running.line("{.status.phase} is Pending");
    write_status(namespace, "a", &json!({"phase": "Running"}));
    succeeds(running);
    both.line("condition Up is False (Starting); --or-for: it has no condition Broken yet");
    write_status(namespace, "a", &json!({"conditions": [condition("Up", "True", "Started")]}));
    succeeds(up);
    succeeds(both);
}

pub fn other_alternative_is_enough(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let wait =
        wait(namespace, "{}/a --for condition=Up --for jsonpath={.status.phase}=Running --or-for condition=Broken");
    wait.line("no condition Up yet");
    write_status(namespace, "a", &json!({"conditions": [condition("Broken", "True", "")]}));
    succeeds(wait);
}

pub fn object_that_is_gone_is_deleted(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let wait = wait(namespace, "{}/a --for delete");
    wait.line("it still exists");
    namespace.delete(&path(namespace, "a"));
    succeeds(wait);
    // It was never there for whoever looks now.
    succeeds(self::wait(namespace, "{}/a --for delete"));
    succeeds(self::wait(namespace, "{}/a --for delete --timeout 0"));
}

/// The one that was seen is gone, whatever has its name now.
pub fn object_that_is_made_anew_is_deleted(namespace: &Namespace) {
    define(namespace);
    create_with(namespace, &json!({"name": "a", "finalizers": ["testbed.example.com/held"]}), &json!({}));
    let wait = wait(namespace, "{}/a --for delete");
    wait.line("it still exists");
    namespace.delete(&path(namespace, "a"));
    wait.line("it is being deleted, held by the finalizers testbed.example.com/held");
    namespace.patch(&path(namespace, "a"), &json!({"metadata": {"finalizers": null}}));
    create(namespace, "a");
    succeeds(wait);
    still_waits_with(self::wait(namespace, "{}/a --for delete"), "it still exists");
}

fn still_waits_with(wait: Wait, text: &str) {
    wait.line(text);
    still_waits(wait);
}

pub fn every_object_of_a_selector_has_to_be_gone(namespace: &Namespace) {
    define(namespace);
    for name in ["a", "b"] {
        create_with(namespace, &json!({"name": name, "labels": {"app": "shop"}}), &json!({}));
    }
    create(namespace, "c");
    let wait = wait(namespace, "{} -lapp=shop --for delete");
    wait.line("0 of 2 ");
    namespace.delete(&path(namespace, "a"));
    wait.line("1 of 2 ");
    // One that comes later is not meant.
    create_with(namespace, &json!({"name": "d", "labels": {"app": "shop"}}), &json!({}));
    namespace.delete(&path(namespace, "b"));
    succeeds(wait);
}

pub fn kind_is_understood_in_all_its_forms(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let group = group(namespace);
    let short = short(namespace);
    let forms = [
        format!("widget.{group} a"),
        format!("widgets.{group}/a"),
        format!("Widget.{group}/a"),
        format!("widget.v1.{group}/a"),
        format!("widgets.v1.{group} a"),
        format!("{short}.{group}/a"),
        format!("{short}/a"),
        format!("{}:{short}/a", namespace.name()),
    ];
    for form in forms {
        let wait = start(namespace, ALL, &format!("{form} --for jsonpath={{.spec.size}}=1"));
        succeeds(wait);
    }
    let unserved = start(namespace, ALL, &format!("widget.v2.{group}/a"));
    unserved.line(&format!("the cluster has no kind `widget.v2.{group}` yet"));
    still_waits(unserved);
}

pub fn object_of_the_cluster_needs_no_namespace(namespace: &Namespace) {
    let mut definition = definition(namespace, "planets", "Planet", "Cluster");
    definition["spec"]["versions"][0]["subresources"] = Value::Null;
    let group = group(namespace);
    let wait = start_everywhere(namespace, ALL, &format!("planet.{group}/earth"));
    wait.line(&format!("the cluster has no kind `planet.{group}` yet"));
    namespace.apply_object(&definition);
    wait.line("does not exist");
    let earth = json!({"apiVersion": format!("{group}/v1"), "kind": "Planet", "metadata": {"name": "earth"}});
    std::fs::write(file(namespace), earth.to_string()).expect("the folder takes files");
    namespace.kubectl(&["apply", "--filename", &file(namespace)]);
    // Without a status there is no controller to wait for.
    succeeds(wait);
    std::fs::remove_file(file(namespace)).expect("it was there");
}

fn file(namespace: &Namespace) -> String {
    std::env::temp_dir().join(format!("{}.json", namespace.name())).to_string_lossy().into_owned()
}

pub fn kind_that_is_installed_later_is_waited_for(namespace: &Namespace) {
    let wait = wait(namespace, "{}/a --for jsonpath={.status.phase}=Running");
    wait.line(&format!("waiting: the cluster has no kind `widget.{}` yet", group(namespace)));
    define(namespace);
    wait.line("does not exist");
    create(namespace, "a");
    wait.line("{.status.phase} is not set yet");
    write_status(namespace, "a", &json!({"phase": "Running"}));
    succeeds(wait);
}

/// What is not installed is not deleted either: nobody has looked at any object.
pub fn kind_that_is_not_installed_is_no_deletion(namespace: &Namespace) {
    let wait = wait(namespace, "{}/a --for delete");
    still_waits_with(wait, &format!("the cluster has no kind `widget.{}` yet", group(namespace)));
    ends(self::wait(namespace, "{}/a --for delete --timeout 0"), 124, "the cluster has no kind `widget.");
}

pub fn word_that_nobody_knows_is_a_usage_error_with_near_kinds(namespace: &Namespace) {
    define(namespace);
    let finished = start(namespace, ALL, "customresourcedefinitoin/a").finish();
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(
        finished.stderr.contains("did you mean `crd`?") || finished.stderr.contains("customresourcedefinition"),
        "{finished:#?}"
    );
    let finished = start(namespace, ALL, "leese/a").finish();
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.stderr.contains("the cluster has no kind `leese`; did you mean `lease`"), "{finished:#?}");
    let finished = start(namespace, ALL, "zzzz/a").finish();
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.stderr.contains("the cluster has no kind `zzzz`"), "{finished:#?}");
}

pub fn mistyped_kind_of_a_group_is_met_with_a_near_one(namespace: &Namespace) {
    define(namespace);
    let group = group(namespace);
    let said = format!("the cluster has no kind `widgt.{group}` yet; did you mean `widget.{group}`?");
    ends(start(namespace, ALL, &format!("widgt.{group}/a --timeout 1")), 124, &said);
}

/// The discovery among what the service account `waiter` has asked for.
fn discovery(namespace: &Namespace) -> Vec<AuditedRequest> {
    let mut requests = namespace.requests_by("waiter");
    requests.retain(|it| it.resource.is_empty());
    requests
}

fn uris(requests: &[AuditedRequest]) -> Vec<&str> {
    requests.iter().map(|it| it.uri.as_str()).collect()
}

pub fn discovery_takes_two_requests_and_none_for_known_kinds(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let group = group(namespace);
    let start = |line: &str| start(namespace, ALL, line);
    // `define` was somebody else: it waited for a definition, which is known.
    assert_eq!(uris(&discovery(namespace)), Vec::<&str>::new());
    succeeds(start(&format!("widget.{group}/a --for create")));
    assert_eq!(uris(&discovery(namespace)), ["/apis", &format!("/apis/{group}/v1")]);
    succeeds(start(&format!("{}/a --for create", short(namespace))));
    assert_eq!(uris(&discovery(namespace))[2..], ["/api", "/apis"]);
    succeeds(start("limitrange/none --for delete"));
    assert_eq!(uris(&discovery(namespace))[4..], ["/api"]);
    succeeds(start("configmap/kube-root-ca.crt serviceaccount/default"));
    succeeds(start("job/none deployments.apps/none secret/none --for delete"));
    assert_eq!(discovery(namespace).len(), 5, "{:?}", uris(&discovery(namespace)));
}

/// A server behind this one is down: what it serves may be the very kind.
pub fn group_whose_server_is_down_is_not_taken_for_none(namespace: &Namespace) {
    let version = json!({"version": "v1", "resources": [], "freshness": "Stale"});
    let group = json!({"metadata": {"name": "metrics.example.com"}, "versions": [version]});
    let kind = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": [group]});
    let text = format!("{}{kind}", head(200, "Content-Type: application/json\r\n"));
    let front = Front::start(namespace.cluster(), move |asked| match asked.target.as_str() {
        "/apis" if asked.before < 4 => Reply::Say(text.clone()),
        _ => Reply::Pass,
    });
    let wait = start_at(namespace, &front.url(), "lease/a --for delete", &[]);
    wait.line("the API server cannot currently say what metrics.example.com serves");
    succeeds(wait);
}

/// A path that is not there proves nothing: any proxy says 404.
pub fn page_of_a_proxy_is_no_discovery(namespace: &Namespace) {
    define(namespace);
    let page = format!("{}<html>not here</html>", head(404, "Content-Type: text/html\r\n"));
    let front = Front::start(namespace.cluster(), move |asked| match asked.target.as_str() {
        path if path.starts_with("/api") && !path.contains('?') && asked.before < 3 => Reply::Say(page.clone()),
        _ => Reply::Pass,
    });
    let wait = start_at(namespace, &front.url(), &format!("widget.{}/a --for delete", group(namespace)), &[]);
    wait.line("404 Not Found");
    let finished = succeeds(wait);
    assert!(!finished.stdout.contains("knows no"), "{finished:#?}");
}

pub fn kind_of_the_cluster_is_mistyped_with_a_near_name(namespace: &Namespace) {
    define(namespace);
    create(namespace, "front-page");
    let noun = format!("widget.{}", group(namespace));
    let wait = wait(namespace, "{}/front-pgae");
    wait.line(&format!("did you mean `{noun}/front-page`?"));
}

/// The API server deletes all objects of a kind before it forgets the kind.
pub fn object_goes_with_its_kind(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let wait = wait(namespace, "{}/a --for delete");
    wait.line("it still exists");
    namespace.delete(&format!("customresourcedefinition/widgets.{}", group(namespace)));
    succeeds(wait);
}

pub fn kind_that_goes_and_comes_back_is_followed_again(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let wait = wait(namespace, "{}/a --for jsonpath={.status.phase}=Running");
    wait.line("{.status.phase} is not set yet");
    let definition = format!("customresourcedefinition/widgets.{}", group(namespace));
    namespace.delete(&definition);
    wait.line("does not exist");
    await_gone(namespace, &definition);
    define(namespace);
    create(namespace, "a");
    write_status(namespace, "a", &json!({"phase": "Running"}));
    succeeds(wait);
}

/// The version that it was found in is served no longer.
pub fn kind_is_found_again_in_another_version(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let wire = wire(namespace, Faults::default());
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(ALL));
    let kubeconfig = by_way_of(&kubeconfig, &format!("https://{}", wire.address()));
    let line = format!("widget.{}/a --for jsonpath={{.spec.size}}=2", group(namespace));
    let wait = scene::wait(&kubeconfig, &line);
    wait.line("{.spec.size} is 1");
    let path = format!("customresourcedefinition/widgets.{}", group(namespace));
    let mut versions = namespace.get(&path)["spec"]["versions"].clone();
    let mut next = versions[0].clone();
    next["name"] = "v2".into();
    next["storage"] = false.into();
    versions[0]["served"] = false.into();
    versions.as_array_mut().expect("a list").push(next);
    namespace.patch(&path, &json!({"spec": {"versions": versions}}));
    let path = format!("Widget.v2.{}/a", group(namespace));
    let served = || namespace.run_kubectl(&["get", &format!("widgets.v2.{}", group(namespace))]).ok();
    namespace.eventually("v2 is served", served);
    wire.cut(Cut::Fin);
    wait.line("404 Not Found");
    namespace.patch(&path, &json!({"spec": {"size": 2}}));
    succeeds(wait);
}

/// It goes while nobody can see that: the kind is not there again, not the API server gone.
pub fn kind_that_went_unseen_is_waited_for_again(namespace: &Namespace) {
    define(namespace);
    create(namespace, "a");
    let wire = wire(namespace, Faults::default());
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(ALL));
    let kubeconfig = by_way_of(&kubeconfig, &format!("https://{}", wire.address()));
    let line = format!("widget.{}/a --for jsonpath={{.spec.size}}=2", group(namespace));
    let wait = scene::wait(&kubeconfig, &line);
    wait.line("{.spec.size} is 1");
    wire.set(refusing());
    wire.cut(Cut::Rst);
    let definition = format!("customresourcedefinition/widgets.{}", group(namespace));
    namespace.delete(&definition);
    await_gone(namespace, &definition);
    let is_served = || namespace.run_kubectl(&["get", "--raw", &format!("/apis/{}/v1", group(namespace))]).is_ok();
    namespace.eventually("widgets are not served", || (!is_served()).then_some(()));
    wire.set(Faults::default());
    wait.line(&format!("waiting: the cluster has no kind `widget.{}` yet", group(namespace)));
    define(namespace);
    create_with(namespace, &json!({"name": "a"}), &json!({"size": 2}));
    succeeds(wait);
}

pub fn refused_discovery_ends_with_77(namespace: &Namespace) {
    let front = Front::start(namespace.cluster(), |asked| match asked.target.as_str() {
        "/apis" => refusal(403, "Forbidden"),
        _ => Reply::Pass,
    });
    let line = format!("widget.{}/a --for delete --auth-grace 1s", group(namespace));
    ends(start_at(namespace, &front.url(), &line, &[]), 77, "");
}
