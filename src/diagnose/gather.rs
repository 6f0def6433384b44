//! Why is it not ready? This half asks the API for what `explain` puts into words: pods, events, the end of a log, and
//! near names where nothing is there.
//!
//! Every part may be refused or fail; it is then a gap in the evidence and nothing more. What has been found stays in
//! the caller's hands piece by piece, so that it is of use even when the time is up before the last answer has come.

use std::collections::{BTreeMap, BTreeSet};

use http::Request as HttpRequest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{GetParams, ListParams, LogParams};
use kube::core::Request;
use kube::core::request::Error as RequestError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::explain::{self, Evidence, Instead, LOG_LINES, Log, Names, Near, NoNamespace, Own, Run};
use crate::api::client::{Client, Confidential};
use crate::api::failure::{Class, Failure};
use crate::api::names;
use crate::identity::Identity;
use crate::kinds::job::Job;
use crate::kinds::members::{Fact, State};
use crate::kinds::object::{Event, LabelSelector, Metadata};
use crate::kinds::pod::{Pod, state};
use crate::kinds::{self, Causes, EVENTS, JOBS, Judged, POD_LOGS, PODS, Reading};
use crate::target::{Resource, Target};

/// How many objects are looked at. A thousand pods that are stuck are stuck for the same reasons.
const OBJECTS: u32 = 50;
/// How many Jobs or Services of a selector are looked behind.
const BEHIND: usize = 5;
/// What is read of a log at most, in bytes. The kubelet counts the pieces of 16 KiB that runtimes cut long lines into
/// as lines, and limits from the front: less than this could miss the end (`pkg/logs/logs.go` in k8s.io/cri-client).
const LOG_LIMIT: usize = (LOG_LINES + 1) << 14;

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// what a line says while it waits
    Reason,
    /// the same for something that has been missing for so long that it may never come
    LongMissing,
    /// for the closing report: with a log
    Closing,
}

/// Asks the API.
#[derive(Clone)]
pub struct Inspector {
    /// with the credentials of the wait
    pub client: Client,
    /// who this program is
    pub identity: Identity,
    /// whether logs and messages may be shown
    pub quotes: bool,
}

impl Inspector {
    /// Finds out why a target is not ready; two or three requests, one or two more for a closing report.
    pub async fn behind(&self, target: &Target, depth: Depth, evidence: &mut Evidence) {
        if kinds::causes(target).is_none() {
            match self.events_of(target).await {
                Ok(events) => evidence.events = events,
                Err(gap) => evidence.gaps.push(gap),
            }
            return;
        }
        let jobs = match self.pods(target, evidence).await {
            Ok((pods, jobs)) => {
                evidence.pods = pods;
                jobs
            }
            Err(gap) => {
                evidence.gaps.push(gap);
                target.selection.name.iter().cloned().collect()
            }
        };
        // Logs go first where the time is short. A failed Job's pods are deleted with what they said: that of a crash is
        // read while they are there.
        if let Some(pod) = explain::subject(&evidence.pods).cloned()
            && self.quotes
            && (depth == Depth::Closing || kinds::is_final(target) && explain::has_crashed(&pod))
        {
            self.log(&pod, evidence).await;
        }
        if evidence.pods.is_empty() && depth == Depth::Closing && self.quotes && kinds::is_final(target) {
            self.last_words(target, evidence).await;
        }
        let pod = explain::subject(&evidence.pods).map(|pod| &pod.metadata);
        let pod = pod.map(|pod| (pod.namespace.clone(), "Pod", pod.name.clone()));
        let title = kinds::maker(target);
        let object = || Some((target.namespace()?.to_owned(), title, jobs.into_iter().next()?));
        let about = pod.or_else(object);
        if let Some((namespace, kind, name)) = about {
            match self
                .events(&namespace, &format!("involvedObject.kind={kind},involvedObject.name={name},type=Warning"))
                .await
            {
                Ok(events) => evidence.events = events,
                Err(gap) => evidence.gaps.push(gap),
            }
        }
    }

    /// What this container's own earlier run has said of pods that are gone by now.
    async fn last_words(&self, target: &Target, evidence: &mut Evidence) {
        let Some(container) = &self.identity.container else { return };
        if let Ok(Some(own)) = self.own_pod::<Pod>(Request::list, Request::get).await {
            evidence.earlier = explain::last_words(&own, container, target);
        }
    }

    /// Finds out what is there instead of a target. Refusals are no gaps: this needs more than the wait itself.
    pub async fn instead(&self, target: &Target, depth: Depth, evidence: &mut Evidence) {
        let missing = evidence.missing.insert(Instead::default());
        missing.names = self.names(target).await.ok();
        if let (true, Some(name), Some(namespace)) =
            (kinds::is_final(target), &target.selection.name, target.namespace())
        {
            let fields = format!("involvedObject.kind=Job,involvedObject.name={name},reason=Completed");
            missing.has_completed = self.events(namespace, &fields).await.is_ok_and(|events| !events.is_empty());
        }
        // No Role can hold that right for a namespace that does not exist: only who may look everywhere is told.
        let may_know = !self.identity.in_pod && missing.names.as_ref().is_some_and(|names| names.total == 0);
        if let (true, Some(namespace)) = (may_know, target.namespace()) {
            missing.namespace = self.no_namespace(namespace).await;
        }
        if depth == Depth::LongMissing && kinds::is_final(target) {
            match self.own().await {
                Ok(own) => missing.own = own,
                Err(failure) => {
                    missing.is_own_hidden = failure.is_refusal();
                    let would_tell = "`get` on pods would tell whether Helm or Argo CD created this pod";
                    evidence.gaps.extend(missing.is_own_hidden.then(|| would_tell.to_owned()));
                }
            }
        }
    }

    /// Whether that is what is wrong, where it can be told.
    async fn no_namespace(&self, name: &str) -> Option<NoNamespace> {
        let resource = &kinds::namespace::ROW.kind.resource;
        let found: Result<OnlyMetadata, Failure> =
            self.ask(resource, path(resource, None).get_metadata(name, &GetParams::default())).await;
        if found.err()?.class != Class::NotFound {
            return None;
        }
        let names = names::list(&self.client, resource, None).await.map(|names| names.some).unwrap_or_default();
        Some(NoNamespace { names })
    }

    /// The pods behind a target that matter, and the names of its Jobs that are not complete.
    async fn pods(&self, target: &Target, evidence: &mut Evidence) -> Result<(Vec<Pod>, Vec<String>), String> {
        let resource = &target.kind.resource;
        match kinds::causes(target) {
            Some(Causes::PodsOfJobs) => {
                let jobs = self.jobs(target).await?;
                let names: Vec<&str> = jobs.iter().take(BEHIND).map(|job| &*job.name).collect();
                if names.is_empty() {
                    return Ok((Vec::new(), Vec::new()));
                }
                // The label with a prefix is younger than some clusters (1.27).
                let labels = format!("job-name in ({})", names.join(","));
                let mut pods = self.list_pods(target.namespace(), Some(labels), None).await?;
                // Those of a namesake in another namespace are none of it.
                pods.retain(|pod| jobs.iter().any(|job| job.owns(pod)));
                Ok((of_present_jobs(pods), jobs.into_iter().map(|job| job.name).collect()))
            }
            Some(Causes::Pods) => {
                let fields = fields(target).into_iter().chain(self.on_node(target)).collect::<Vec<_>>().join(",");
                let fields = Some(fields).filter(|fields| !fields.is_empty());
                let pods = self.list_pods(target.namespace(), target.queried_labels(), fields).await?;
                Ok((self.counted(pods), Vec::new()))
            }
            Some(cause @ (Causes::PodsSelected | Causes::PodsServed)) => {
                let selecting: Vec<Selecting> =
                    self.list(resource, target.namespace(), target.queried_labels(), fields(target)).await?;
                let mut pods = Vec::new();
                for Selecting { metadata, spec } in
                    selecting.iter().filter(|it| !it.spec.selector.is_empty()).take(BEHIND)
                {
                    let labels = Some(spec.selector.to_string());
                    pods.extend(self.list_pods(Some(&metadata.namespace), labels, self.on_node(target)).await?);
                }
                let mut selective = selecting.iter().filter(|it| !it.spec.selector.is_empty());
                if let (true, Causes::PodsServed, Some(first)) = (pods.is_empty(), cause, selective.next()) {
                    evidence.near = self.near(first).await.ok();
                }
                let names = selecting.into_iter().map(|it| it.metadata.name).collect();
                Ok((self.counted(pods), names))
            }
            Some(Causes::PodsOfCronJobs) => {
                let Some(job) = self.newest_job(target).await? else { return Ok((Vec::new(), Vec::new())) };
                let pods = self.list_pods(target.namespace(), Some(format!("job-name={job}")), None).await?;
                Ok((of_present_jobs(pods), vec![job]))
            }
            None => Ok((Vec::new(), Vec::new())),
        }
    }

    /// The Jobs in question: the first that failed, which the verdict is about, or all that are not complete. A named one
    /// is known without asking.
    async fn jobs(&self, target: &Target) -> Result<Vec<JobKey>, String> {
        if let Some(name) = &target.selection.name {
            return Ok(vec![JobKey { name: name.clone(), uid: None }]);
        }
        let (resource, namespace) = (&target.kind.resource, target.namespace());
        let mut jobs: Vec<Job> = self.list(resource, namespace, target.queried_labels(), fields(target)).await?;
        jobs.retain(|job| !job.is_complete());
        if let Some(first) = jobs.iter().position(Job::has_failed) {
            jobs = vec![jobs.swap_remove(first)];
        }
        let key = |job: Job| JobKey { name: job.metadata.name, uid: Some(job.metadata.uid) };
        Ok(jobs.into_iter().map(key).collect())
    }

    /// The newest Job of a CronJob, unless it is complete.
    async fn newest_job(&self, target: &Target) -> Result<Option<String>, String> {
        let mut jobs: Vec<Job> = self.list(&JOBS, target.namespace(), None, None).await?;
        let name = target.selection.name.as_deref();
        let is_own = |owner: &OwnerReference| owner.kind == "CronJob" && name.is_none_or(|name| owner.name == name);
        jobs.retain(|job| job.metadata.controller().is_some_and(is_own));
        let newest = jobs.into_iter().max_by_key(|job| job.metadata.created());
        Ok(newest.filter(|job| !job.is_complete()).map(|job| job.metadata.name))
    }

    /// What the selector may have meant.
    async fn near(&self, selecting: &Selecting) -> Result<Near, String> {
        let namespace = selecting.metadata.namespace.clone();
        let pods: Vec<OnlyMetadata> = self.list_by(Request::list_metadata, &PODS, Some(&namespace), None, None).await?;
        let is_part = pods.len() >= OBJECTS as usize;
        let pods = pods.into_iter().map(|pod| (pod.metadata.name, pod.metadata.labels)).collect();
        Ok(Near { namespace, wanted: selecting.spec.selector.labels(), pods, is_part })
    }

    fn on_node(&self, target: &Target) -> Option<String> {
        target.on_node(self.identity.node.as_deref())
    }

    async fn list_pods(
        &self,
        namespace: Option<&str>,
        labels: Option<String>,
        fields: Option<String>,
    ) -> Result<Vec<Pod>, String> {
        let unended = "status.phase!=Succeeded".to_owned();
        let fields = fields.into_iter().chain([unended]).collect::<Vec<_>>().join(",");
        self.list(&PODS, namespace, labels, Some(fields)).await
    }

    async fn list<T: DeserializeOwned>(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        labels: Option<String>,
        fields: Option<String>,
    ) -> Result<Vec<T>, String> {
        self.list_by(Request::list, resource, namespace, labels, fields).await
    }

    /// The same in another form.
    async fn list_by<T: DeserializeOwned>(
        &self,
        form: Form,
        resource: &Resource,
        namespace: Option<&str>,
        labels: Option<String>,
        fields: Option<String>,
    ) -> Result<Vec<T>, String> {
        let mut parameters = ListParams { label_selector: labels, field_selector: fields, ..ListParams::default() };
        let mut limit = OBJECTS;
        loop {
            parameters.limit = Some(limit);
            let list: Result<List<T>, Failure> =
                self.ask(resource, form(&path(resource, namespace), &parameters)).await;
            match list {
                Ok(list) => return Ok(list.items.unwrap_or_default()),
                // Fewer of them say as much.
                Err(failure) if failure.class == Class::TooLong && limit > 1 => limit = (limit / 4).max(1),
                Err(failure) => return Err(gap("list", &resource.plural, namespace, &failure)),
            }
        }
    }

    /// Not those that the verdict passes over either, unless there is no other.
    fn counted(&self, mut pods: Vec<Pod>) -> Vec<Pod> {
        let own_uid = self.identity.pod_uid.as_deref();
        pods.retain(|pod| state(pod, own_uid) != State::Itself);
        // Those that the verdict is about, unless it is about there being none.
        let (counted, others): (Vec<Pod>, Vec<Pod>) = pods.into_iter().partition(|pod| state(pod, own_uid).counts());
        if counted.is_empty() { others } else { counted }
    }

    async fn events(&self, namespace: &str, fields: &str) -> Result<Vec<Event>, String> {
        self.list(&EVENTS, Some(namespace), None, Some(fields.to_owned())).await
    }

    /// About those of the objects that are not ready. Not warnings alone: what a claim waits for, its controllers say in
    /// a normal one. Events outlive what they are about: a namesake's are none of it.
    async fn events_of(&self, target: &Target) -> Result<Vec<Event>, String> {
        // What no Role has to allow for this kind is not asked.
        let has_events = kinds::explained_by(target).iter().any(|read| read.resource == Some(&EVENTS));
        let (true, Judged::Set(read)) = (has_events, kinds::judged(target)) else { return Ok(Vec::new()) };
        let reading = Reading::of(target, None);
        let form = if kinds::asks_metadata(target) { Request::list_metadata } else { Request::list };
        let (resource, labels) = (&target.kind.resource, target.queried_labels());
        let objects: Vec<Box<RawValue>> =
            self.list_by(form, resource, target.namespace(), labels, fields(target)).await?;
        let facts = objects.iter().filter_map(|object| Some(read(object.get(), &reading).ok()?.0));
        // What the objects hold is not kept while others are asked.
        let facts: Vec<Fact> =
            facts.filter(|fact| !matches!(fact.state, State::Ready | State::Foreign)).take(BEHIND).collect();
        drop(objects);
        let mut events: Vec<Event> = Vec::new();
        for fact in facts {
            let (namespace, name) = &*fact.key;
            let fields = format!("involvedObject.kind={},involvedObject.name={name}", target.kind.title);
            // Those about objects of the cluster itself are kept there.
            let namespace = if namespace.is_empty() { "default" } else { namespace };
            let found: Vec<Event> = self.list(&EVENTS, Some(namespace), None, Some(fields)).await?;
            events.extend(found.into_iter().filter(|event| *event.involved_object.uid == *fact.uid));
        }
        Ok(events)
    }

    /// The log of the present or last run of the container in question; what is running now may not have said
    /// anything yet, then that of the run before.
    async fn log(&self, pod: &Pod, evidence: &mut Evidence) {
        let Some(mut run) = explain::run_in_question(pod) else { return };
        let mut text = self.read_log(pod, &run).await;
        if !text.as_ref().is_ok_and(|text| says_something(text)) {
            let other = Run { is_previous: !run.is_previous, ..run.clone() };
            if let Some(said) = self.read_log(pod, &other).await.ok().filter(|text| says_something(text)) {
                (run, text) = (other, Ok(said));
            }
        }
        match text {
            Ok(text) => evidence.log = Some(Log { run, text }).filter(|log| says_something(&log.text)),
            // It has not started, or its node has already thrown the log away.
            Err(failure) if matches!(failure.class, Class::Invalid | Class::NotFound) => {}
            Err(failure) => {
                evidence.gaps.push(gap("get", &POD_LOGS.plural, Some(&pod.metadata.namespace), &failure));
            }
        }
    }

    async fn read_log(&self, pod: &Pod, run: &Run) -> Result<String, Failure> {
        let parameters = LogParams {
            container: Some(run.container.clone()),
            previous: run.is_previous,
            tail_lines: i64::try_from(LOG_LINES).ok(),
            limit_bytes: i64::try_from(LOG_LIMIT).ok(),
            ..LogParams::default()
        };
        let request = built(path(&PODS, Some(&pod.metadata.namespace)).logs(&pod.metadata.name, &parameters))?;
        let answer = self.client.read_aside(request).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    async fn names(&self, target: &Target) -> Result<Names, Failure> {
        let mut names = names::list(&self.client, &target.kind.resource, target.namespace()).await?;
        // This very pod is hardly what was meant.
        let own = self.identity.pod.as_ref().filter(|_| target.kind.resource == PODS);
        names.some.retain(|name| Some(name) != own);
        let total = names.some.len() + names.others;
        Ok(Names { some: names.some, total })
    }

    async fn own(&self) -> Result<Option<Own>, Failure> {
        let own: Option<OnlyMetadata> = self.own_pod(Request::list_metadata, Request::get_metadata).await?;
        Ok(own.map(|pod| Own { labels: pod.metadata.labels, annotations: pod.metadata.annotations }))
    }

    /// This program's own pod, if it is one. A Role that lets pods be got need not let them be listed, nor the other way
    /// round.
    async fn own_pod<T: DeserializeOwned>(&self, list: Form, get: GetForm) -> Result<Option<T>, Failure> {
        let (Some(namespace), Some(name)) = (&self.identity.namespace, &self.identity.pod) else { return Ok(None) };
        let path = path(&PODS, Some(namespace));
        let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
        let listed: Result<List<T>, Failure> = self.ask(&PODS, list(&path, &parameters)).await;
        match listed {
            Err(failure) if failure.is_refusal() => {
                self.ask(&PODS, get(&path, name, &GetParams::default())).await.map(Some)
            }
            listed => Ok(listed?.items.unwrap_or_default().into_iter().next()),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        resource: &Resource,
        request: Result<HttpRequest<Vec<u8>>, RequestError>,
    ) -> Result<T, Failure> {
        let mut request = built(request)?;
        if kinds::is_confidential(resource) {
            request.extensions_mut().insert(Confidential);
        }
        let answer = self.client.read_aside(request).await?;
        serde_json::from_slice(&answer.body).map_err(|error| answer.unreadable(&error))
    }
}

/// Whole objects, or their metadata alone.
type Form = fn(&Request, &ListParams) -> Result<HttpRequest<Vec<u8>>, RequestError>;
/// The same of one object.
type GetForm = fn(&Request, &str, &GetParams) -> Result<HttpRequest<Vec<u8>>, RequestError>;

fn path(resource: &Resource, namespace: Option<&str>) -> Request {
    Request::new(resource.path(namespace))
}

fn built(request: Result<HttpRequest<Vec<u8>>, RequestError>) -> Result<HttpRequest<Vec<u8>>, Failure> {
    request.map_err(|error| Failure::transient(error.to_string()))
}

fn gap(verb: &str, plural: &str, namespace: Option<&str>, failure: &Failure) -> String {
    let place = namespace.map_or_else(|| "all namespaces".to_owned(), |namespace| format!("namespace {namespace}"));
    if failure.class == Class::Denied {
        let doing = if verb == "list" { "listing" } else { "getting" };
        return format!("{doing} {plural} in {place} is forbidden; `rbac --explain` prints the Role");
    }
    format!("cannot {verb} {plural} in {place}: {failure}")
}

/// The kubelet answers with a sentence of its own where the runtime has thrown a log away
/// (`pkg/kubelet/kuberuntime/kuberuntime_container.go` in kubernetes).
fn says_something(log: &str) -> bool {
    let mut lines = log.trim().lines();
    match (lines.next(), lines.next()) {
        (None, _) => false,
        (Some(only), None) => !only.starts_with("unable to retrieve container logs for "),
        _ => true,
    }
}

fn fields(target: &Target) -> Option<String> {
    let name = target.selection.name.as_ref().map(|name| format!("metadata.name={name}"));
    name.or(target.selection.fields.clone())
}

/// Pods of an earlier Job under the same name may still be there: of each name those of the Job with the youngest pod.
fn of_present_jobs(mut pods: Vec<Pod>) -> Vec<Pod> {
    let owner = |pod: &Pod| pod.metadata.controller().map(|owner| (owner.name.clone(), owner.uid.clone()));
    pods.sort_by_key(|pod| pod.metadata.created());
    let youngest: BTreeMap<String, String> = pods.iter().filter_map(owner).collect();
    let present: BTreeSet<(String, String)> = youngest.into_iter().collect();
    pods.retain(|pod| owner(pod).is_some_and(|owner| present.contains(&owner)));
    pods
}

/// A Job whose pods are wanted.
struct JobKey {
    name: String,
    /// of one that was looked at
    uid: Option<String>,
}

impl JobKey {
    fn owns(&self, pod: &Pod) -> bool {
        self.uid.as_ref().is_none_or(|uid| pod.metadata.controller().is_some_and(|owner| owner.uid == *uid))
    }
}

/// What selects pods.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Selecting {
    metadata: Metadata,
    spec: SelectingSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SelectingSpec {
    selector: LabelSelector,
}

#[derive(Deserialize)]
struct List<T> {
    items: Option<Vec<T>>,
}

/// A `meta.k8s.io/v1` `PartialObjectMetadata`
#[derive(Deserialize)]
struct OnlyMetadata {
    metadata: NameAndNotes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NameAndNotes {
    name: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}
