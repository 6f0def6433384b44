//! The fixtures in `tests/fixtures`: one file a case, the folders are the tables of them. The `verdicts` are played on
//! a control plane, by steps that write what a kubelet would; the `explanations` on a real node. A file's first
//! document is written by hand: what the case is about, the steps that bring it about on a cluster, the kinds and the
//! log to keep, and what each wait is expected to say. The second is what the API server then returned. A capture plays
//! the steps and replaces the second document; the first one it never touches.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use http::{Request, header::CONTENT_TYPE};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, Resource};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Cluster, Namespace, machine,
    namespace::is_of_cluster,
    objects::{self, is_live},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
/// How the second document begins.
const CAPTURED: &str = "---\n# What the API server returned: `testbed capture` writes this part.\n";
/// The kind of an item that is no object.
const LOG: &str = "Log";
/// The kinds of which custom resources are made.
const DEFINITIONS: &str = "definitions.yaml";
/// How many cases are played at once; they mostly wait for controllers.
const SIDE_BY_SIDE: usize = 6;

/// The first document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "for readers of the file")]
    about: String,
    steps: Vec<Step>,
    keep: Vec<String>,
    #[serde(default)]
    log: Option<LogOf>,
    #[expect(dead_code, reason = "for the test that evaluates the file")]
    expect: Vec<Value>,
}

/// Whose logs are kept: those of this container in all pods that `of` speaks of, ended or not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogOf {
    of: String,
    container: String,
}

/// One thing that a user, a kubelet or a controller of somebody else does. What it names in no namespace is this case's
/// own, and gone after it. `to` and `of` are one object, `job/migrate`,
/// or all of a kind, `event`, or with a selector, `pod job-name=migrate`, all of that kind that have not ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Step {
    Apply(Value),
    /// Creates it and keeps the server's answer, for what no controller has seen yet.
    Post(Value),
    /// Applies `is` as what `by` has made.
    Owned {
        by: String,
        is: Value,
    },
    Patch {
        to: String,
        with: Value,
    },
    Status {
        to: String,
        with: Value,
    },
    Delete(String),
    Until {
        of: String,
        has: Value,
    },
    /// What comes after is younger, by the API's clock of whole seconds.
    Tick,
}

/// Plays those of the cases that are for a cluster like this one, and writes what they came to.
///
/// # Errors
/// A file cannot be read or written; what fails on the cluster is a panic, as in a test.
pub fn capture(cluster: &Cluster, files: &[PathBuf]) -> Result<()> {
    define_kinds(&Namespace::create(cluster, "definitions"))?;
    let files = files.iter().filter(|file| needs_node(file) == cluster.has_node());
    let parts: Vec<Part> = files.map(|file| Part::read(file)).collect::<Result<_>>()?;
    // The scheduler speaks of all nodes that there are, whoever made them.
    let (with_nodes, others): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.case.makes("Node"));
    capture_together(cluster, &others)?;
    capture_together(cluster, &with_nodes)
}

fn capture_together(cluster: &Cluster, parts: &[&Part]) -> Result<()> {
    let todo = Mutex::new(parts.iter());
    let next = || todo.lock().ok()?.next();
    thread::scope(|scope| {
        let work = || {
            while let Some(part) = next() {
                capture_one(cluster, part).with_context(|| format!("capture {}", name(part.file)))?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a case failed")))
    })
}

/// The cases whose names contain `filter`, in their order.
///
/// # Errors
/// A folder cannot be read, or there is no such case.
pub fn files(filter: &str) -> Result<Vec<PathBuf>> {
    let mut files = entries(&Path::new(FOLDER).join("explanations"))?;
    for kind in entries(&Path::new(FOLDER).join("verdicts"))? {
        files.extend(entries(&kind)?);
    }
    files.retain(|file| name(file).contains(filter));
    ensure!(!files.is_empty(), "no case has {filter:?} in its name");
    files.sort();
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// Whether the case is about what only a node does.
pub fn needs_node(file: &Path) -> bool {
    file.parent().is_some_and(|folder| folder.ends_with("explanations"))
}

/// `job/suspended`, `explanations/crash-loop`
pub fn name(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    format!("{folder}/{}", file.file_stem().unwrap_or_default().to_string_lossy())
}

/// The objects of a case, as they were captured. Its logs are none.
///
/// # Errors
/// The file cannot be read or has no second document.
pub fn objects(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file)?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let [_, Value::Array(objects)] = documents.as_slice() else { bail!("nothing captured yet") };
    Ok(objects.iter().filter(|object| object["kind"] != LOG).cloned().collect())
}

/// What of a file was written by hand.
struct Part<'a> {
    file: &'a Path,
    text: String,
    case: Case,
}

impl<'a> Part<'a> {
    fn read(file: &'a Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", name(file)))?;
        let text = text.split_once("---\n").map_or(text.as_str(), |(text, _)| text).to_owned();
        let document: Value = serde_saphyr::from_str(&text).with_context(|| format!("parse {}", name(file)))?;
        let case = serde_json::from_value(document).with_context(|| format!("parse {}", name(file)))?;
        Ok(Self { file, text, case })
    }
}

impl Case {
    fn made(&self) -> impl Iterator<Item = &Value> {
        self.steps.iter().filter_map(|step| match step {
            Step::Apply(object) | Step::Post(object) | Step::Owned { is: object, .. } => Some(object),
            _ => None,
        })
    }

    fn makes(&self, kind: &str) -> bool {
        self.made().any(|object| object["kind"] == kind)
    }
}

fn capture_one(cluster: &Cluster, Part { file, text, case }: &Part) -> Result<()> {
    let namespace = Namespace::create(cluster, &file.file_stem().unwrap_or_default().to_string_lossy());
    let mut objects = Vec::new();
    for step in &case.steps {
        objects.extend(play(&namespace, step)?);
    }
    // One by one: the items of a list do not say what they are.
    let kept = case.keep.iter().flat_map(|of| kept(&namespace, of));
    objects.extend(kept.map(|path| namespace.get(&path)));
    let mut objects: Vec<Value> = objects.into_iter().map(trimmed).collect();
    objects.extend(case.log.iter().flat_map(|log| logs(&namespace, log)));
    fs::write(file, format!("{text}{CAPTURED}{}", serde_saphyr::to_string(&objects)?))?;
    for path in case.made().filter_map(path_in_cluster).filter(|path| namespace.find(path).is_some()) {
        namespace.delete(&path);
    }
    machine::progress(&format!("captured {}", name(file)));
    Ok(())
}

/// The objects of a kind, those of a selector, or one.
fn kept(namespace: &Namespace, of: &str) -> Vec<String> {
    let kind = of.split([' ', '/']).next().unwrap_or_default();
    names(kind, &all(namespace, of))
}

/// Of an object in no namespace: `node/worker`.
fn path_in_cluster(object: &Value) -> Option<String> {
    let kind = object["kind"].as_str().filter(|kind| is_of_cluster(kind))?;
    Some(format!("{}/{}", kind.to_lowercase(), object["metadata"]["name"].as_str()?))
}

/// Defines the kinds that cases need and that no cluster has: one for all, since discovery is slow to see each.
///
/// # Errors
/// The definitions cannot be read.
pub fn define_kinds(namespace: &Namespace) -> Result<()> {
    let text = fs::read_to_string(Path::new(FOLDER).join(DEFINITIONS)).context("read the definitions")?;
    let definitions: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    for definition in &definitions {
        namespace.apply_object(definition);
        let path = path_in_cluster(definition).context("a definition is in no namespace")?;
        let established = json!({"status": {"conditions": [{"type": "Established", "status": "True"}]}});
        let is_there = || namespace.find(&path).filter(|it| contains(it, &established));
        namespace.eventually(&format!("{path} is established"), is_there);
    }
    Ok(())
}

fn logs(namespace: &Namespace, log: &LogOf) -> Vec<Value> {
    let container = log.container.as_str();
    let pods = all(namespace, &log.of);
    let of_pod = |pod: &Value| {
        // One that has just been started again has said nothing yet.
        let said = || Some(namespace.pod_logs(objects::name(pod), container)).filter(|text| !text.is_empty());
        let text = namespace.eventually("a log", said);
        json!({"kind": LOG, "metadata": {"name": objects::name(pod)}, "container": container, "text": text})
    };
    pods.iter().map(of_pod).collect()
}

/// Answers the object that the step keeps, if it does.
fn play(namespace: &Namespace, step: &Step) -> Result<Option<Value>> {
    match step {
        Step::Apply(object) => namespace.apply_object(object),
        Step::Post(object) => return post(namespace, "fieldManager=testbed", object).map(Some),
        Step::Owned { by, is } => namespace.apply_object(&owned(&namespace.get(by), is)),
        Step::Patch { to, with } => paths(namespace, to).iter().for_each(|path| namespace.patch(path, with)),
        Step::Status { to, with } => paths(namespace, to).iter().for_each(|path| namespace.write_status(path, with)),
        Step::Delete(path) => paths(namespace, path).iter().for_each(|path| namespace.delete(path)),
        Step::Until { of, has } => namespace.eventually(&format!("{of} has {has}"), || {
            let objects = find(namespace, of);
            objects.iter().any(|object| contains(object, has)).then_some(())
        }),
        Step::Tick => thread::sleep(Duration::from_secs(1)),
    }
    Ok(None)
}

/// As its controller would make it, or `kubectl create job --from`.
fn owned(owner: &Value, object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": objects::name(owner),
        "uid": objects::uid(owner),
        "controller": true,
    }]);
    object
}

/// What a step speaks of; what a controller is still to make is waited for.
fn paths(namespace: &Namespace, of: &str) -> Vec<String> {
    let kind = of.split([' ', '/']).next().unwrap_or_default();
    let objects = namespace.eventually(of, || Some(find(namespace, of)).filter(|objects| !objects.is_empty()));
    names(kind, &objects)
}

fn names(kind: &str, objects: &[Value]) -> Vec<String> {
    objects.iter().filter_map(|object| Some(format!("{kind}/{}", object["metadata"]["name"].as_str()?))).collect()
}

/// One is answered even if it has ended.
fn find(namespace: &Namespace, of: &str) -> Vec<Value> {
    let is_one = of.contains('/') && !of.contains(' ');
    all(namespace, of).into_iter().filter(|object| is_one || is_live(object)).collect()
}

fn all(namespace: &Namespace, of: &str) -> Vec<Value> {
    match of.split_once(' ') {
        Some((kind, selector)) => namespace.list(kind, selector),
        None if of.contains('/') => namespace.find(of).into_iter().collect(),
        None => namespace.list(of, ""),
    }
}

/// Whether everything in `part` is in `whole`; the elements of a list may be anywhere in it.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        _ => whole == part,
    }
}

/// Who wrote which field is a third of an object and nobody's business here.
fn trimmed(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

/// Hands a captured object back to an API server, without keeping it: first the whole as a new object, then its status
/// as an update of one that is there. Answers what the server has against it.
///
/// # Errors
/// The server's refusal, or an object that lacks its kind.
pub fn post_back(namespace: &Namespace, captured: &Value) -> Result<()> {
    let dry_run = "dryRun=All&fieldValidation=Strict";
    post(namespace, dry_run, &creatable(namespace, captured)).context("create it")?;
    // Another one in no namespace would be there for all: a node takes pods, an APIService is in all discovery.
    let is_in_namespace = captured["kind"].as_str().is_some_and(|kind| !is_of_cluster(kind));
    let Some(status) = captured.get("status").filter(|_| is_in_namespace) else { return Ok(()) };
    let made =
        post(namespace, "fieldManager=testbed", &left_alone(namespace, captured)).context("create one like it")?;
    let name = made["metadata"]["name"].as_str().unwrap_or_default();
    let update = Request::patch(format!("{}/{name}/status?{dry_run}", url(namespace, captured)?))
        .header(CONTENT_TYPE, "application/merge-patch+json");
    send(namespace, update, &json!({"status": status})).context("write its status").map(drop)
}

fn post(namespace: &Namespace, query: &str, object: &Value) -> Result<Value> {
    let request =
        Request::post(format!("{}?{query}", url(namespace, object)?)).header(CONTENT_TYPE, "application/json");
    send(namespace, request, object)
}

fn url(namespace: &Namespace, object: &Value) -> Result<String> {
    let version = object["apiVersion"].as_str().context("an object has an apiVersion")?;
    let kind = object["kind"].as_str().context("an object has a kind")?;
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Ok(DynamicObject::url_path(&resource, Some(namespace.name()).filter(|_| !is_of_cluster(kind))))
}

fn send(namespace: &Namespace, request: http::request::Builder, body: &Value) -> Result<Value> {
    let request = request.body(body.to_string().into_bytes())?;
    let cluster = namespace.cluster();
    cluster.wait_for(cluster.client.request(request))
}

/// Without what only the server may say: its version, and what ties a Job to its pods.
fn creatable(namespace: &Namespace, captured: &Value) -> Value {
    let mut object = captured.clone();
    remove(&mut object["metadata"], &["resourceVersion", "namespace"]);
    if object["kind"] == "Job" {
        remove(&mut object["spec"], &["selector"]);
        let made = ["controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name"];
        remove(&mut object["spec"]["template"]["metadata"]["labels"], &made);
        remove(&mut object["metadata"]["labels"], &made);
    }
    if object["kind"] == "Event" {
        object["involvedObject"]["namespace"] = namespace.name().into();
    }
    if object["kind"] == "Service" && object["spec"]["clusterIP"] != "None" {
        // Two Services cannot have one address, and the other may still be there.
        remove(&mut object["spec"], &["clusterIP", "clusterIPs"]);
    }
    object
}

/// One that no controller touches while its status is tried: no owner, no name that is taken, no Job controller,
/// no pods to make.
fn left_alone(namespace: &Namespace, captured: &Value) -> Value {
    let mut object = creatable(namespace, captured);
    remove(&mut object["metadata"], &["name", "ownerReferences", "finalizers", "deletionTimestamp"]);
    object["metadata"]["generateName"] = "again-".into();
    if object["kind"] == "Job" {
        object["spec"]["managedBy"] = "testbed.example/nobody".into();
    }
    if object["spec"]["replicas"].is_number() {
        object["spec"]["replicas"] = 0.into();
    }
    object
}

fn remove(map: &mut Value, keys: &[&str]) {
    let mut nothing = Map::new();
    let map = map.as_object_mut().unwrap_or(&mut nothing);
    for key in keys {
        map.remove(*key);
    }
}
