//! Targets → streams of steps: one watch for each distinct target, more for what is behind a Service, and the search for
//! proof beside a Job.

use std::time::Duration;

use futures::stream::LocalBoxStream;

use crate::api::client::Client;
use crate::api::watch::{LookBy, Query, updates};
use crate::follow::gone;
use crate::follow::{self, Behind, BehindUpdates, Demands, Step};
use crate::identity::Identity;
use crate::target::{Kind, Target};

/// `job/a shop:job/a` is one target for whoever is in the namespace shop.
pub fn resolve(targets: &[Target], namespace: &str) -> Vec<Target> {
    let mut resolved: Vec<Target> = Vec::new();
    for target in targets {
        let target = target.clone().resolve(namespace);
        if !resolved.contains(&target) {
            resolved.push(target);
        }
    }
    resolved
}

/// What every target's stream is opened with.
pub struct Opener {
    /// to the API server
    pub client: Client,
    /// who this program is
    pub identity: Identity,
    /// what is demanded of sets
    pub demands: Demands,
    /// what a missing Job means
    pub policy: gone::Policy,
    /// between polls
    pub pause: Option<Duration>,
    /// all that is waited for
    pub targets: Vec<Target>,
}

impl Opener {
    /// One watch for each target; a Service's observer opens more for what is behind it. `look_by` asks for a look at
    /// all of that.
    pub fn open(&self, target: &Target, look_by: &LookBy) -> LocalBoxStream<'static, Step> {
        let selection = &target.selection;
        let query = Query {
            namespace: target.namespace().map(str::to_owned),
            name: selection.name.clone(),
            // The labels of a named object are judged here: else one that does not match could not be told from none.
            labels: selection.labels.as_ref().filter(|_| selection.name.is_none()).map(ToString::to_string),
            fields: selection.fields.clone(),
            once: self.policy.once,
        };
        let (client, pause, demands) = (self.client.clone(), self.pause, self.demands.clone());
        let (target, look_by) = (target.clone(), look_by.clone());
        let search = gone::search(&self.client, &self.identity, &target, &self.targets, self.policy.once);
        let steps = match target.mode.kind() {
            Kind::Job => {
                let updates = updates(client, query, pause, &look_by);
                follow::jobs(target.clone(), demands, updates, look_by)
            }
            Kind::Pod => {
                let updates = updates(client, query, pause, &look_by);
                follow::pods(target.clone(), demands, updates, look_by)
            }
            Kind::Service => {
                let services = updates(client.clone(), query, pause, &look_by);
                let (for_behind, once) = (look_by.clone(), self.policy.once);
                let behind = move |behind: &Behind| open_behind(&client, behind, pause, once, &for_behind);
                follow::services(target.clone(), demands, services, Box::new(behind), look_by)
            }
        };
        gone::despite_absence(target, steps, self.policy.clone(), search)
    }
}

fn open_behind(
    client: &Client,
    behind: &Behind,
    pause: Option<Duration>,
    once: bool,
    look_by: &LookBy,
) -> BehindUpdates {
    let query = |namespace: &str, labels: String| Query {
        namespace: Some(namespace.to_owned()),
        labels: Some(labels),
        once,
        ..Query::default()
    };
    match behind {
        Behind::Pods { namespace, labels } => {
            let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            BehindUpdates::Pods(updates(client.clone(), query(namespace, labels.join(",")), pause, look_by))
        }
        Behind::Slices { namespace, service } => {
            let labels = format!("kubernetes.io/service-name={service}");
            BehindUpdates::Slices(updates(client.clone(), query(namespace, labels), pause, look_by))
        }
    }
}
