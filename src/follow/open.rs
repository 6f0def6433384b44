//! Targets → streams of steps: one watch for each distinct target, more for what is behind a Service, and the search
//! for proof beside a Job.

use std::time::Duration;

use futures::stream::LocalBoxStream;

use super::course::Course;
use super::gone::{Policy, despite_absence};
use super::search::search;
use super::service::{BackendUpdates, services};
use super::{Options, Step, job, set};
use crate::api::client::Client;
use crate::api::watch::{LookBy, Query, updates};
use crate::identity::Identity;
use crate::kinds::members::Key;
use crate::kinds::service::{self, Backend, Entry};
use crate::kinds::{self, ENDPOINT_SLICES, Judged, PODS, Reading, pod};
use crate::target::{Demand, Target};

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
    pub fn follow(&self, target: &Target, look_by: &LookBy) -> LocalBoxStream<'static, Step> {
        let selection = &target.selection;
        let query = Query {
            name: selection.name.clone(),
            labels: target.queried_labels(),
            fields: selection.fields.clone(),
            once: self.policy.once,
            ..Query::all(&target.kind.resource, target.namespace())
        };
        let reading = Reading::of(target, self.options.own_uid.clone());
        let course = Course::new(target.clone(), self.options.clone(), look_by.clone());
        let (client, pause) = (self.client.clone(), self.pause);
        let facts = |read: kinds::ReadFact| {
            let reading = reading.clone();
            updates(client.clone(), query.clone(), pause, look_by, move |json| read(json, &reading))
        };
        let steps = match kinds::of(&target.kind).judged {
            Judged::Set(read) => set::objects(course, facts(read)),
            Judged::Jobs(read) => job::jobs(course, facts(read)),
            Judged::Services => {
                let behind = self.backends(look_by);
                let read = move |json: &str| service::read(json, &reading);
                services(course, updates(client, query, pause, look_by, read), Box::new(behind))
            }
        };
        let search = search(&self.client, &self.identity, target, &self.targets, self.policy.once);
        despite_absence(target.clone(), steps, self.policy, search)
    }

    /// Opens what is behind a Service.
    fn backends(&self, look_by: &LookBy) -> impl Fn(&Entry) -> Option<BackendUpdates> + 'static {
        let (client, pause, once, look_by) = (self.client.clone(), self.pause, self.policy.once, look_by.clone());
        let reading = Reading { demand: Demand::Every, labels: None, own_uid: self.options.own_uid.clone() };
        move |entry| {
            let (namespace, name): &Key = &entry.key;
            let query =
                |resource, labels| Query { labels: Some(labels), once, ..Query::all(resource, Some(namespace)) };
            match &entry.backend {
                Backend::Pods(labels) => {
                    let (query, reading) = (query(&PODS, service::selector(labels)), reading.clone());
                    let read = move |json: &str| pod::read(json, &reading);
                    Some(BackendUpdates::Pods(updates(client.clone(), query, pause, &look_by, read)))
                }
                Backend::Slices => {
                    let query = query(&ENDPOINT_SLICES, format!("kubernetes.io/service-name={name}"));
                    Some(BackendUpdates::Slices(updates(client.clone(), query, pause, &look_by, service::read_slice)))
                }
                Backend::External => None,
            }
        }
    }
}
