//! The search for proof about a Job that is gone: this pod's own past, its siblings, and the events of Jobs that were
//! seen.
//!
//! What cannot be looked at is said and waited out; it never counts as a failure of the wait.

use std::time::Duration;

use futures::stream::{self, LocalBoxStream, SelectAll, StreamExt};
use tokio::time::sleep;

use super::Absent;
use super::gone::{Finding, Search};
use super::proof::{Claim, Proof, by_events, by_own_run, by_sibling, sibling_labels};
use crate::api::client::Client;
use crate::api::failure::{Class, Failure};
use crate::api::watch::{Listed, LookBy, Query, Update, updates};
use crate::identity::Identity;
use crate::kinds::object::Event;
use crate::kinds::pod::Pod;
use crate::kinds::{EVENTS, PODS, leaves_mark};
use crate::target::Target;
use crate::target::mark::Sought;

/// How often a refused look is tried again.
const REFUSED: Duration = Duration::from_mins(1);
/// Of how many Jobs that vanished the events are looked for.
const EVENTS_OF: usize = 8;

/// How proof about one of a wait's targets is searched for.
pub fn search(client: &Client, identity: &Identity, target: &Target, targets: &[Target], once: bool) -> Search {
    let mark = Sought::new(target, targets.iter().filter(|target| leaves_mark(target)));
    let (client, identity, target) = (client.clone(), identity.clone(), target.clone());
    Box::new(move |absent| {
        let seen = match absent {
            Absent::Never => Vec::new(),
            Absent::Vanished(uids) => uids.clone(),
        };
        let mut sources = SelectAll::new();
        if !leaves_mark(&target) {
            return sources;
        }
        let claim = Claim { mark: mark.clone(), seen };
        sources.extend(search_pods(&client, &identity, claim.clone(), once));
        sources.extend(search_events(&client, &target, claim));
        sources
    })
}

/// The findings from this pod and its siblings; looks on for ever. Nothing outside a pod.
fn search_pods(
    client: &Client,
    identity: &Identity,
    claim: Claim,
    once: bool,
) -> Option<LocalBoxStream<'static, Finding>> {
    let (Some(namespace), Some(name)) = (&identity.namespace, &identity.pod) else {
        let text = "this pod's token does not name it; set POD_NAME and POD_NAMESPACE";
        let unknown = stream::once(async { Finding::Impossible(text.to_owned()) });
        return identity.in_pod.then(|| unknown.boxed_local());
    };
    let query = Query { name: Some(name.clone()), ..Query::all(&PODS, Some(namespace)) };
    let search = PodSearch {
        client: client.clone(),
        identity: identity.clone(),
        claim,
        query,
        once,
        pause: Duration::ZERO,
        siblings: None,
    };
    Some(stream::unfold(search, |mut search| async { Some((search.next().await, search)) }).boxed_local())
}

struct PodSearch {
    client: Client,
    identity: Identity,
    claim: Claim,
    /// this pod
    query: Query,
    once: bool,
    /// before the next look
    pause: Duration,
    siblings: Option<Siblings>,
}

/// The pods of this pod's revision, once this pod is known.
struct Siblings {
    updates: LocalBoxStream<'static, Update<Option<Proof>>>,
}

impl PodSearch {
    async fn next(&mut self) -> Finding {
        loop {
            let pause = std::mem::take(&mut self.pause);
            if !pause.is_zero() {
                sleep(pause).await;
            }
            let finding = match &mut self.siblings {
                None => self.look_at_own_pod().await,
                Some(siblings) => siblings.next(self.once).await,
            };
            if matches!(finding, Some(Finding::Impossible(_))) {
                self.siblings = None;
                self.pause = REFUSED;
            }
            if let Some(finding) = finding {
                return finding;
            }
        }
    }

    /// Who this pod's siblings are, if its own past says nothing.
    async fn look_at_own_pod(&mut self) -> Option<Finding> {
        let own = match first_list(look(&self.client, self.query.clone(), pod), self.once).await {
            Ok(pods) => pods.into_iter().next(),
            Err(finding) => return Some(finding),
        };
        // `POD_NAME` or `POD_NAMESPACE` may be wrong: said once, and looked at again every minute.
        let Some(own) = own else {
            return Some(Finding::Impossible(
                "the API server does not know this pod; check POD_NAME and POD_NAMESPACE".to_owned(),
            ));
        };
        if let Some(proof) = by_own_run(&self.claim, &own, &self.identity) {
            return Some(Finding::Proof(proof));
        }
        let Some(labels) = sibling_labels(&own, &self.claim) else {
            return Some(Finding::Impossible(match own.metadata.controller() {
                None => "this pod has no controller, so no other pod shares its revision".to_owned(),
                Some(owner) => format!("this pod's {} does not label its revisions", owner.kind),
            }));
        };
        let query = Query { name: None, labels: Some(labels), once: self.once, ..self.query.clone() };
        let claim = self.claim.clone();
        // Of each pod only what it proves is kept.
        let read = move |json: &str| {
            let (pod, version) = pod(json)?;
            Ok((by_sibling(&claim, &own, [&pod]), version))
        };
        self.siblings = Some(Siblings { updates: look(&self.client, query, read) });
        None
    }
}

impl Siblings {
    async fn next(&mut self, once: bool) -> Option<Finding> {
        match self.updates.next().await? {
            Update::Listed(Listed { objects, .. }) => {
                Some(objects.into_iter().flatten().next().map_or(Finding::NoneYet, Finding::Proof))
            }
            // What a pod was when it was deleted is as good.
            Update::Applied(proof) | Update::Deleted(proof) => proof.map(Finding::Proof),
            Update::Failed(failure) => of_failure(&failure, "pods of this revision", "pods", once),
            Update::Recovered | Update::Method(_) | Update::Live | Update::Blind => None,
        }
    }
}

/// The findings from the events of Jobs that were seen; their uids are theirs alone.
fn search_events(client: &Client, target: &Target, claim: Claim) -> Option<LocalBoxStream<'static, Finding>> {
    let namespace = target.namespace()?.to_owned();
    if claim.seen.is_empty() || claim.seen.len() > EVENTS_OF {
        return None;
    }
    let query = |uid: &String| Query {
        fields: Some(format!("involvedObject.uid={uid},reason=Completed")),
        ..Query::all(&EVENTS, Some(&namespace))
    };
    let streams: SelectAll<_> = claim.seen.iter().map(|uid| look(client, query(uid), event)).collect();
    let search = (streams, claim, Vec::new());
    Some(
        stream::unfold(search, |(mut streams, claim, mut events)| async move {
            loop {
                let finding = match streams.next().await? {
                    Update::Listed(Listed { objects, .. }) => {
                        events.extend(objects);
                        Some(Finding::Impossible("that Job has no `Completed` event".to_owned()))
                    }
                    Update::Applied(event) => {
                        events.push(event);
                        None
                    }
                    Update::Failed(failure) => of_failure(&failure, "events of the Job", &EVENTS.plural, false),
                    _ => None,
                };
                let finding = by_events(&claim, &events).map(Finding::Proof).or(finding);
                if let Some(finding) = finding {
                    return Some((finding, (streams, claim, events)));
                }
            }
        })
        .boxed_local(),
    )
}

fn look<T: 'static>(
    client: &Client,
    query: Query,
    read: impl Fn(&str) -> serde_json::Result<(T, String)> + 'static,
) -> LocalBoxStream<'static, Update<T>> {
    updates(client.clone(), query, None, &LookBy::default(), read)
}

fn pod(json: &str) -> serde_json::Result<(Pod, String)> {
    let pod: Pod = serde_json::from_str(json)?;
    let version = pod.metadata.resource_version.clone();
    Ok((pod, version))
}

fn event(json: &str) -> serde_json::Result<(Event, String)> {
    let event: Event = serde_json::from_str(json)?;
    let version = event.metadata.resource_version.clone();
    Ok((event, version))
}

/// The first list of a query that is not refused; other failures are waited out, unless there is only one look.
async fn first_list(mut updates: LocalBoxStream<'static, Update<Pod>>, once: bool) -> Result<Vec<Pod>, Finding> {
    loop {
        match updates.next().await {
            Some(Update::Listed(listed)) => return Ok(listed.objects),
            Some(Update::Failed(failure)) => {
                of_failure(&failure, "pods of this revision", "pods", once).map_or(Ok(()), Err)?;
            }
            _ => {}
        }
    }
}

/// What cannot be looked at; nothing where it is tried again.
fn of_failure(failure: &Failure, what: &str, plural: &str, once: bool) -> Option<Finding> {
    let refused = matches!(failure.class, Class::Denied | Class::Unauthenticated);
    let remedy = if refused { format!(" without `list` on {plural}") } else { String::new() };
    let text = || format!("the {what} cannot be read{remedy}: {failure}");
    (refused || once).then(|| Finding::Impossible(text()))
}
