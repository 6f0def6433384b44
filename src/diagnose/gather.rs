//! Why is it not ready? This half asks the API for what `explain` puts into words: pods, events, the end of a log, and
//! near names where nothing is there.
//!
//! Every part may be refused or fail; it is then a gap in the evidence and nothing more. What has been found stays in
//! the caller's hands piece by piece, so that it is of use even when the time is up before the last answer has come.

use std::collections::{BTreeMap, BTreeSet};

use http::Request as HttpRequest;
use kube::api::{ListParams, LogParams};
use kube::core::Request;
use kube::core::request::Error as RequestError;
use serde::Deserialize;

use crate::api::client::Client;
use crate::api::failure::{Class, Failure};
use crate::diagnose::explain::{self, Evidence, LOG_LINES, Log, Missing, Names, Own};
use crate::identity::Identity;
use crate::kinds::condition;
use crate::kinds::object::{Event, Job, Object, Pod, Service};
use crate::kinds::pod::{State, state};
use crate::kinds::resource::{EVENTS, JOBS, PODS, Resource, SERVICES};
use crate::target::{Kind, Target};

/// How many objects are looked at. A thousand pods that are stuck are stuck for the same reasons.
const OBJECTS: u32 = 100;
/// How many names are compared with the one that is missing.
const NAMES: u32 = 500;
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
pub struct Gatherer {
    /// with the credentials of the wait
    pub client: Client,
    /// who this program is
    pub identity: Identity,
}

impl Gatherer {
    /// Finds out why a target is not ready; two or three requests, one or two more for a closing report.
    pub async fn behind(&self, target: &Target, depth: Depth, evidence: &mut Evidence) {
        let jobs = match self.pods(target).await {
            Ok((pods, jobs)) => {
                evidence.pods = pods;
                jobs
            }
            Err(gap) => {
                evidence.gaps.push(gap);
                target.selection.name.iter().cloned().collect()
            }
        };
        // Logs go first where the time is short: a failed Job's pods may be deleted any moment.
        if depth == Depth::Closing
            && let Some(pod) = explain::subject(&evidence.pods).cloned()
        {
            self.log(&pod, evidence).await;
        }
        let about = match explain::subject(&evidence.pods) {
            Some(pod) => Some((pod.metadata.namespace.clone(), "Pod", pod.metadata.name.clone())),
            None => jobs.into_iter().next().and_then(|job| Some((target.namespace()?.to_owned(), "Job", job))),
        };
        if let Some((namespace, kind, name)) = about {
            match self
                .events(&namespace, &format!("involvedObject.kind={kind},involvedObject.name={name},type=Warning"))
                .await
            {
                Ok(events) => evidence.events = events,
                Err(gap) => evidence.gaps.extend(gap),
            }
        }
    }

    /// Finds out what is there instead of a target. Refusals are no gaps: this needs more than the wait itself.
    pub async fn instead(&self, target: &Target, depth: Depth, evidence: &mut Evidence) {
        let missing = evidence.missing.insert(Missing::default());
        missing.names = self.names(target).await.ok();
        if let (Kind::Job, Some(name), Some(namespace)) =
            (target.mode.kind(), &target.selection.name, target.namespace())
        {
            let fields = format!("involvedObject.kind=Job,involvedObject.name={name},reason=Completed");
            let events = self.events(namespace, &fields).await.unwrap_or_default();
            missing.completed = events.into_iter().max_by_key(Event::when).map(|event| event.message);
        }
        if depth == Depth::LongMissing {
            missing.own = self.own().await.ok().flatten();
        }
    }

    /// The pods behind a target that matter, and the names of its Jobs that are not complete.
    async fn pods(&self, target: &Target) -> Result<(Vec<Pod>, Vec<String>), String> {
        match target.mode.kind() {
            Kind::Job => {
                let jobs = self.jobs(target).await?;
                let names: Vec<&str> = jobs.iter().take(BEHIND).map(String::as_str).collect();
                if names.is_empty() {
                    return Ok((Vec::new(), jobs));
                }
                // The label with a prefix is younger than some clusters (1.27).
                let labels = format!("job-name in ({})", names.join(","));
                let pods = self.list_pods(target.namespace(), Some(labels), None).await?;
                Ok((of_present_jobs(pods), jobs))
            }
            Kind::Pod => {
                let pods = self.list_pods(target.namespace(), labels(target), fields(target)).await?;
                Ok((self.counted(pods), Vec::new()))
            }
            Kind::Service => {
                let services: Vec<Service> = self.list(target.namespace(), labels(target), fields(target)).await?;
                let mut pods = Vec::new();
                for service in services.iter().filter(|service| !service.spec.selector.is_empty()).take(BEHIND) {
                    let labels = joined(&service.spec.selector);
                    pods.extend(self.list_pods(Some(&service.metadata.namespace), Some(labels), None).await?);
                }
                Ok((self.counted(pods), Vec::new()))
            }
        }
    }

    /// The names of the Jobs that are not complete. That of a named one is known without asking.
    async fn jobs(&self, target: &Target) -> Result<Vec<String>, String> {
        if let Some(name) = &target.selection.name {
            return Ok(vec![name.clone()]);
        }
        let jobs: Vec<Job> = self.list(target.namespace(), labels(target), fields(target)).await?;
        let complete = |job: &Job| condition!(job.status.conditions, "Complete").is_some_and(|it| it.status == "True");
        Ok(jobs.into_iter().filter(|job| !complete(job)).map(|job| job.metadata.name).collect())
    }

    async fn list_pods(
        &self,
        namespace: Option<&str>,
        labels: Option<String>,
        fields: Option<String>,
    ) -> Result<Vec<Pod>, String> {
        let unended = "status.phase!=Succeeded".to_owned();
        let fields = fields.into_iter().chain([unended]).collect::<Vec<_>>().join(",");
        self.list(namespace, labels, Some(fields)).await
    }

    async fn list<T: Object>(
        &self,
        namespace: Option<&str>,
        labels: Option<String>,
        fields: Option<String>,
    ) -> Result<Vec<T>, String> {
        let parameters = ListParams {
            label_selector: labels,
            field_selector: fields,
            limit: Some(OBJECTS),
            ..ListParams::default()
        };
        let request = path(T::RESOURCE, namespace).list(&parameters);
        let list: List<T> =
            self.ask(request).await.map_err(|failure| gap("list", T::RESOURCE.plural, namespace, &failure))?;
        Ok(list.items.unwrap_or_default())
    }

    /// Not those that the verdict passes over either, unless there is no other.
    fn counted(&self, mut pods: Vec<Pod>) -> Vec<Pod> {
        let own_uid = self.identity.pod_uid.as_deref();
        pods.retain(|pod| state(pod, own_uid) != State::Itself);
        let (counted, others): (Vec<Pod>, Vec<Pod>) = pods.into_iter().partition(|pod| state(pod, own_uid).counts());
        if counted.is_empty() { others } else { counted }
    }

    async fn events(&self, namespace: &str, fields: &str) -> Result<Vec<Event>, Option<String>> {
        let parameters = ListParams::default().fields(fields).limit(OBJECTS);
        let list: Result<List<Event>, Failure> = self.ask(path(&EVENTS, Some(namespace)).list(&parameters)).await;
        let list = list.map_err(|failure| Some(gap("list", EVENTS.plural, Some(namespace), &failure)))?;
        Ok(list.items.unwrap_or_default())
    }

    /// The log of the present or last run of the container in question; what is running now may not have said
    /// anything yet, then that of the run before.
    async fn log(&self, pod: &Pod, evidence: &mut Evidence) {
        let Some(container) = explain::container_in_question(pod) else { return };
        let mut text = self.read_log(pod, container, false).await;
        if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
            text = self.read_log(pod, container, true).await.or(text);
        }
        match text {
            Ok(text) => {
                evidence.log = Some(Log { pod: pod.metadata.name.clone(), container: container.to_owned(), text });
            }
            // It has not started, or its node has already thrown the log away.
            Err(failure) if matches!(failure.class, Class::Invalid | Class::NotFound) => {}
            Err(failure) => {
                evidence.gaps.push(gap("get", "pods/log", Some(&pod.metadata.namespace), &failure));
            }
        }
    }

    async fn read_log(&self, pod: &Pod, container: &str, previous: bool) -> Result<String, Failure> {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            previous,
            tail_lines: i64::try_from(LOG_LINES).ok(),
            limit_bytes: i64::try_from(LOG_LIMIT).ok(),
            ..LogParams::default()
        };
        let request = built(path(&PODS, Some(&pod.metadata.namespace)).logs(&pod.metadata.name, &parameters))?;
        let answer = self.client.read(request).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    async fn names(&self, target: &Target) -> Result<Names, Failure> {
        let resource = match target.mode.kind() {
            Kind::Job => &JOBS,
            Kind::Pod => &PODS,
            Kind::Service => &SERVICES,
        };
        let parameters = ListParams::default().limit(NAMES);
        let list: List<OnlyMetadata> = self.ask(path(resource, target.namespace()).list_metadata(&parameters)).await?;
        let names = list.items.unwrap_or_default().into_iter().map(|object| object.metadata.name);
        let own = self.identity.pod.as_ref().filter(|_| target.mode.kind() == Kind::Pod);
        let some: Vec<String> = names.filter(|name| Some(name) != own).collect();
        let total = some.len() + list.metadata.remaining_item_count.unwrap_or_default();
        Ok(Names { some, total })
    }

    async fn own(&self) -> Result<Option<Own>, Failure> {
        let (Some(namespace), Some(name)) = (&self.identity.namespace, &self.identity.pod) else { return Ok(None) };
        // By a list: a Role that lets pods be listed need not let them be got.
        let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
        let pods: List<OnlyMetadata> = self.ask(path(&PODS, Some(namespace)).list_metadata(&parameters)).await?;
        let own = |pod: OnlyMetadata| Own { labels: pod.metadata.labels, annotations: pod.metadata.annotations };
        Ok(pods.items.unwrap_or_default().into_iter().next().map(own))
    }

    async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        request: Result<HttpRequest<Vec<u8>>, RequestError>,
    ) -> Result<T, Failure> {
        let answer = self.client.read(built(request)?).await?;
        serde_json::from_slice(&answer.body).map_err(|error| answer.unreadable(&error))
    }
}

fn path(resource: &Resource, namespace: Option<&str>) -> Request {
    Request::new(resource.path(namespace))
}

fn built(request: Result<HttpRequest<Vec<u8>>, RequestError>) -> Result<HttpRequest<Vec<u8>>, Failure> {
    request.map_err(|error| Failure::transient(error.to_string()))
}

fn gap(verb: &str, plural: &str, namespace: Option<&str>, failure: &Failure) -> String {
    let place = namespace.map_or_else(|| "all namespaces".to_owned(), |namespace| format!("namespace {namespace}"));
    if failure.is_refusal() {
        return format!("no more is known: not permitted to {verb} {plural} in {place}");
    }
    format!("no more is known: cannot {verb} {plural} in {place}: {failure}")
}

fn labels(target: &Target) -> Option<String> {
    target.selection.labels.as_ref().filter(|_| target.selection.name.is_none()).map(ToString::to_string)
}

fn fields(target: &Target) -> Option<String> {
    let name = target.selection.name.as_ref().map(|name| format!("metadata.name={name}"));
    name.or(target.selection.fields.clone())
}

fn joined(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Pods of an earlier Job under the same name may still be there: of each name those of the Job with the youngest pod.
fn of_present_jobs(mut pods: Vec<Pod>) -> Vec<Pod> {
    let born = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let owner = |pod: &Pod| pod.metadata.controller().map(|owner| (owner.name.clone(), owner.uid.clone()));
    pods.sort_by_key(born);
    let youngest: BTreeMap<String, String> = pods.iter().filter_map(owner).collect();
    let present: BTreeSet<(String, String)> = youngest.into_iter().collect();
    pods.retain(|pod| owner(pod).is_some_and(|owner| present.contains(&owner)));
    pods
}

#[derive(Deserialize)]
struct List<T> {
    #[serde(default)]
    metadata: ListMetadata,
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    remaining_item_count: Option<usize>,
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
