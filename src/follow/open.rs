//! Targets → streams of steps: one watch for each distinct target, more for what is behind its objects, and the
//! search for proof beside a Job.

use std::rc::Rc;
use std::time::Duration;

use futures::stream::LocalBoxStream;

use super::behind::{BackendUpdates, objects_by_backend};
use super::course::Course;
use super::gone::{Policy, despite_absence};
use super::search::search;
use super::sought::once_found;
use super::{Options, Step, job, set};
use crate::api::client::Client;
use crate::api::watch::{LookBy, Query, updates};
use crate::identity::Identity;
use crate::kinds::behind::{Backend, Entry};
use crate::kinds::members::Key;
use crate::kinds::{self, ENDPOINT_SLICES, JOBS, Judged, PODS, Reading, endpointslice, job as job_kind, pod};
use crate::target::Target;

/// What every target's stream is opened with.
pub struct Setup {
    pub client: Client,
    pub identity: Identity,
    pub options: Options,
    pub policy: Policy,
    /// between polls
    pub pause: Option<Duration>,
    /// all that is waited for
    pub targets: Vec<Target>,
}

impl Setup {
    /// The steps of a target; `look_by` asks for a look at all that it is about.
    pub fn follow(self: &Rc<Self>, target: &Target, look_by: &LookBy) -> LocalBoxStream<'static, Step> {
        if target.kind.is_sought() {
            let (setup, look_by) = (Rc::clone(self), look_by.clone());
            let follow = move |target: &Target| setup.follow(target, &look_by);
            return once_found(self.client.clone(), self.pause, self.policy.once, target, Box::new(follow));
        }
        let query = self.query(target);
        let reading = Reading::of(target, self.options.own_uid.clone());
        let course = Course::new(target.clone(), self.options.clone(), look_by.clone());
        let (client, pause) = (self.client.clone(), self.pause);
        let facts = |read: kinds::ReadFact| {
            let reading = reading.clone();
            updates(client.clone(), query.clone(), pause, look_by, move |json| read(json, &reading))
        };
        let steps = match kinds::judged(target) {
            Judged::Set(read) => set::objects(course, facts(read)),
            Judged::Jobs(read) => job::jobs(course, facts(read)),
            Judged::Behind(behind) => {
                let open = self.backends(target, look_by);
                let for_entries = reading.clone();
                let read = move |json: &str| (behind.read)(json, &for_entries);
                let entries = updates(client, query, pause, look_by, read);
                objects_by_backend(course, behind, reading, entries, Box::new(open))
            }
        };
        let search = search(&self.client, &self.identity, target, &self.targets, self.policy.once);
        despite_absence(target.clone(), steps, self.policy, search)
    }

    fn query(&self, target: &Target) -> Query {
        let selection = &target.selection;
        // Of a DaemonSet it is the pods that are on a node.
        let on_node = self.on_node(target).filter(|_| target.kind.resource == PODS);
        let fields: Vec<String> = selection.fields.iter().cloned().chain(on_node).collect();
        Query {
            name: selection.name.clone(),
            // Of one that has lost its labels a watch by labels says that it is gone, which it is not.
            labels: target.queried_labels().filter(|_| !target.demand.is_met_by_absence()),
            fields: (!fields.is_empty()).then(|| fields.join(",")),
            once: self.policy.once,
            metadata_only: kinds::asks_metadata(target),
            is_confidential: kinds::of(&target.kind).is_confidential,
            ..Query::all(&target.kind.resource, target.namespace())
        }
    }

    fn on_node(&self, target: &Target) -> Option<String> {
        target.on_node(self.identity.node.as_deref())
    }

    /// Opens what is behind an object.
    fn backends(&self, target: &Target, look_by: &LookBy) -> impl Fn(&Entry) -> Option<BackendUpdates> + 'static {
        let (client, pause, once, look_by) = (self.client.clone(), self.pause, self.policy.once, look_by.clone());
        let own_uid = self.options.own_uid.clone();
        let on_node = self.on_node(target);
        move |entry| {
            let (namespace, name): &Key = &entry.key;
            let query = |resource| Query { once, ..Query::all(resource, Some(namespace)) };
            let reading = |kind, owner: Option<&Box<str>>| Reading {
                owner: owner.cloned(),
                ..Reading::every(kind, own_uid.clone())
            };
            match &entry.backend {
                Backend::Pods { labels, owner } => {
                    let query = Query { labels: Some(labels.clone()), fields: on_node.clone(), ..query(&PODS) };
                    let reading = reading(&pod::ROW.kind, owner.as_ref());
                    let read = move |json: &str| pod::read(json, &reading);
                    Some(BackendUpdates::Pods(updates(client.clone(), query, pause, &look_by, read)))
                }
                Backend::Jobs { owner } => {
                    let reading = reading(&job_kind::ROW.kind, Some(owner));
                    let read = move |json: &str| job_kind::read(json, &reading);
                    Some(BackendUpdates::Jobs(updates(client.clone(), query(&JOBS), pause, &look_by, read)))
                }
                Backend::Slices => {
                    let labels = Some(format!("kubernetes.io/service-name={name}"));
                    let query = Query { labels, ..query(&ENDPOINT_SLICES) };
                    Some(BackendUpdates::Slices(updates(client.clone(), query, pause, &look_by, endpointslice::read)))
                }
                Backend::External => None,
            }
        }
    }
}
