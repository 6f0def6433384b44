//! `--events`: the reason as one Event on this program's own pod, so that `kubectl describe pod` shows it while the
//! wait is still blocked.
//!
//! One object, created once and patched at most once a minute. It needs rights of its own (create and patch events);
//! where they are missing that is said once, and nothing else changes.

use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::api::client::Client;
use crate::api::failure::{Class, Failure};
use crate::identity::Identity;
use crate::kinds::EVENTS;
use crate::text::within;

/// How often it is renewed at most.
const INTERVAL: Duration = Duration::from_mins(1);
/// How long a reason has to stand before it is posted: most waits are over by then.
const STANDING: Duration = Duration::from_secs(5);
/// What `events.k8s.io` allows for a note, in bytes.
const LIMIT: usize = 1024;

/// Keeps the Event up to date.
pub struct Poster {
    client: Client,
    about: Involved,
    /// what is to be said next
    text: Option<String>,
    due: Instant,
    times: u32,
    first: Option<Timestamp>,
    posting: Option<LocalBoxFuture<'static, Result<(), Failure>>>,
}

/// The Event's subject.
struct Involved {
    namespace: String,
    name: String,
    uid: Option<String>,
    container: Option<String>,
}

impl Poster {
    /// # Errors
    /// Why no Event can be posted: this is no pod, or one that does not know its name.
    pub fn new(client: Client, identity: &Identity) -> Result<Self, String> {
        let (Some(namespace), Some(name)) = (identity.namespace.clone(), identity.pod.clone()) else {
            return Err("--events has no effect: this is not a pod, or its token does not name it \
                        (set POD_NAME and POD_NAMESPACE)"
                .to_owned());
        };
        let about = Involved { namespace, name, uid: identity.pod_uid.clone(), container: identity.container.clone() };
        let due = Instant::now() + STANDING;
        Ok(Self { client, about, text: None, due, times: 0, first: None, posting: None })
    }

    /// What to say from now on; nothing while the wait is not blocked.
    pub fn say(&mut self, text: Option<String>) {
        self.text = text;
    }

    /// Posts when it is time; ends with a failure that nothing will mend. May be dropped and called again.
    pub async fn run(&mut self) -> Failure {
        loop {
            if let Some(posting) = &mut self.posting {
                let posted = posting.await;
                self.posting = None;
                match posted {
                    Err(failure) if failure.is_refusal() || failure.class == Class::Invalid => return failure,
                    Err(failure) => tracing::debug!(%failure, "cannot post an event"),
                    Ok(()) => {}
                }
            }
            let Some(text) = &self.text else { return std::future::pending().await };
            let text = text.clone();
            sleep_until(self.due).await;
            self.due = Instant::now() + INTERVAL;
            self.posting = Some(self.post(&text));
        }
    }

    /// One request, whether it is there or not: a container that was restarted finds the Event of its last run.
    fn post(&mut self, text: &str) -> LocalBoxFuture<'static, Result<(), Failure>> {
        self.times += 1;
        let now = Timestamp::now();
        let first = *self.first.get_or_insert(now);
        let event = self.about.event(text, first, now, self.times);
        let parameters = PatchParams::apply("k8s-wait-for").force();
        let name = self.about.event_name();
        let request =
            Request::new(EVENTS.path(Some(&self.about.namespace))).patch(&name, &parameters, &Patch::Apply(event));
        let client = self.client.clone();
        async move {
            let request = request.map_err(|error| Failure::transient(error.to_string()))?;
            client.read(request).await.map(drop)
        }
        .boxed_local()
    }
}

impl Involved {
    /// One for each container: several may wait in one pod, one after another.
    fn event_name(&self) -> String {
        let container = self.container.as_deref().unwrap_or("container");
        let pod: String = self.name.chars().take(150).collect();
        format!("{pod}.{container}.k8s-wait-for")
    }

    fn event(&self, text: &str, first: Timestamp, last: Timestamp, times: u32) -> Value {
        let seconds = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // The form of the kubelet's own events, which every `kubectl describe` can fold.
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self.event_name(), "namespace": self.namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": self.namespace,
                "name": self.name,
                "uid": self.uid,
                "fieldPath": self.container.as_ref().map(|name| format!("spec.initContainers{{{name}}}")),
            },
            "type": "Normal",
            "reason": "Waiting",
            "message": within(text, LIMIT),
            "source": {"component": "k8s-wait-for"},
            "reportingComponent": "k8s-wait-for",
            "reportingInstance": self.name,
            "firstTimestamp": seconds(first),
            "lastTimestamp": seconds(last),
            "count": times,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use http::Response;
    use http_body_util::{BodyExt, Full};
    use kube::client::Body;
    use tokio::time::timeout_at;
    use tower::{BoxError, service_fn};

    use super::*;

    /// Runs it until this second before a server that answers with this code; what was posted when, and how it ended.
    async fn posted(seconds: u64, code: u16, texts: &[(u64, &str)]) -> (Vec<(u64, String, i64)>, Option<Failure>) {
        let start = Instant::now();
        let log = Arc::new(Mutex::new(Vec::new()));
        let events = Arc::clone(&log);
        let client = Client::of_service(service_fn(move |request: http::Request<Body>| {
            let events = Arc::clone(&events);
            async move {
                let body = request.into_body().collect().await?.to_bytes();
                let event: Value = serde_json::from_slice(&body)?;
                let text = event["message"].as_str().unwrap_or_default().to_owned();
                let times = event["count"].as_i64().unwrap_or_default();
                events.lock().expect("nobody panicked").push((start.elapsed().as_secs(), text, times));
                let answer = json!({"kind": "Status", "message": "scripted"}).to_string();
                Ok::<_, BoxError>(Response::builder().status(code).body(Full::new(Bytes::from(answer)))?)
            }
        }));
        let identity =
            Identity { namespace: Some("shop".to_owned()), pod: Some("web-0".to_owned()), ..Identity::default() };
        let mut poster = Poster::new(client, &identity).expect("a pod that knows its name");
        let mut failure = None;
        let last = texts.iter().skip(1).map(|(at, _)| *at).chain([seconds]);
        for ((_, text), until) in texts.iter().zip(last) {
            poster.say((!text.is_empty()).then(|| (*text).to_owned()));
            failure = timeout_at(start + Duration::from_secs(until), poster.run()).await.ok().or(failure);
        }
        let log = log.lock().expect("nobody panicked").clone();
        (log, failure)
    }

    #[tokio::test(start_paused = true)]
    async fn reason_is_posted_after_5_s_and_renewed_once_a_minute() {
        let texts = [(0, "waiting for job/a"), (10, "waiting for job/b"), (100, ""), (200, "waiting for job/c")];
        let (log, failure) = posted(300, 201, &texts).await;
        let told: Vec<(u64, &str, i64)> = log.iter().map(|(at, text, times)| (*at, text.as_str(), *times)).collect();
        let expected = [
            (5, "waiting for job/a", 1),
            (65, "waiting for job/b", 2),
            (200, "waiting for job/c", 3),
            (260, "waiting for job/c", 4),
        ];
        assert_eq!((told, failure), (expected.to_vec(), None));
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_ends_it_and_an_outage_does_not() {
        let (log, failure) = posted(300, 403, &[(0, "waiting")]).await;
        assert_eq!((log.len(), failure.map(|failure| failure.class)), (1, Some(Class::Denied)));
        let (log, failure) = posted(300, 503, &[(0, "waiting")]).await;
        assert_eq!((log.len(), failure), (5, None), "tried again in its rhythm");
    }
}
