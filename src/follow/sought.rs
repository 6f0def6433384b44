//! A target of a kind that only the cluster knows: first the kind is looked for, then its objects are followed. One
//! that is not installed yet is waited for; one whose path is not served any more is looked for again.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use tokio::time::{Instant, sleep};

use super::{Known, Step};
use crate::api::backoff::{Backoff, Poll};
use crate::api::client::Client;
use crate::api::discovery::{Finding, find};
use crate::api::failure::{Class, Failure};
use crate::target::verdict::{Code, Verdict};
use crate::target::{Kind, Scope, Target};

const STANDING: Duration = Duration::from_secs(3);

/// Follows the objects of a target.
pub type Follow = Box<dyn Fn(&Target) -> LocalBoxStream<'static, Step>>;

/// The steps of such a target; `pause` is what polls are to wait for, if that was said.
pub fn once_found(
    client: Client,
    pause: Option<Duration>,
    once: bool,
    target: &Target,
    follow: Follow,
) -> LocalBoxStream<'static, Step> {
    let search = Search {
        client,
        target: target.clone(),
        follow,
        queue: VecDeque::new(),
        backoff: Backoff::default(),
        poll: Poll::new(pause),
        pause: Duration::ZERO,
        has_failed: false,
        was_told: false,
        followed: None,
        found: None,
        is_doubtful: false,
        patience: if once { Duration::ZERO } else { STANDING },
        unknown: None,
    };
    stream::unfold(search, |mut search| async { Some((search.next().await?, search)) }).boxed_local()
}

struct Search {
    client: Client,
    target: Target,
    follow: Follow,
    queue: VecDeque<Step>,
    backoff: Backoff,
    poll: Poll,
    pause: Duration,
    has_failed: bool,
    /// that it is not installed
    was_told: bool,
    /// the objects, once the kind is found
    followed: Option<LocalBoxStream<'static, Step>>,
    found: Option<Kind>,
    /// nobody serves it where it was found
    is_doubtful: bool,
    /// how long a word has to be unknown before that is the end
    patience: Duration,
    /// since when no group has served what is called so, by good answers alone
    unknown: Option<Instant>,
}

impl Search {
    async fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.queue.pop_front() {
                return Some(step);
            }
            if std::mem::take(&mut self.is_doubtful) {
                self.look_again().await;
                continue;
            }
            if let Some(followed) = &mut self.followed {
                let step = followed.next().await?;
                self.is_doubtful = matches!(&step, Step::Outage(failure) if failure.class == Class::NoPath);
                return Some(step);
            }
            sleep(std::mem::take(&mut self.pause)).await;
            let found = find(&self.client, &self.target.kind).await;
            self.take(found);
        }
    }

    /// Another version may be served now, or none. Where that cannot be said either, it is an outage like any other.
    async fn look_again(&mut self) {
        let Ok(finding) = find(&self.client, &self.target.kind).await else { return };
        if !matches!(&finding, Finding::Found(kind) if self.found.as_ref() == Some(kind)) {
            (self.followed, self.was_told, self.has_failed) = (None, false, true);
            self.take(Ok(finding));
        }
    }

    fn take(&mut self, found: Result<Finding, Failure>) {
        let finding = match found {
            Ok(finding) => finding,
            Err(failure) => {
                self.unknown = None;
                return self.failed(failure);
            }
        };
        self.backoff.reset();
        if std::mem::take(&mut self.has_failed) {
            self.queue.push_back(Step::Recovered);
        }
        match finding {
            Finding::Found(kind) => {
                let scope = if kind.resource.namespaced { self.target.scope.clone() } else { Scope::Cluster };
                self.found = Some(kind.clone());
                let target = Target { kind, scope, ..self.target.clone() };
                self.followed = Some((self.follow)(&target));
                self.queue.push_back(Step::Found(Box::new(target)));
            }
            Finding::Unknown(near) if self.found.is_none() && self.is_unknown_for_good() => {
                let text = format!("the cluster has no kind `{}`{}", self.target.kind.name, meant(&near));
                self.failed(Failure { class: Class::Invalid, ..Failure::transient(text) });
            }
            Finding::Absent(near) | Finding::Unknown(near) => {
                self.pause = self.poll.next(None);
                if !std::mem::replace(&mut self.was_told, true) {
                    let text = format!("the cluster has no kind `{}` yet{}", self.target.kind.name, meant(&near));
                    self.queue.push_back(Step::Verdict(Verdict::waiting(Code::NotInstalled, text)));
                }
                self.queue.push_back(Step::Known(Known::Since(Instant::now())));
            }
        }
    }

    /// An API server that has just started does not know its custom kinds yet, and says nothing of that.
    fn is_unknown_for_good(&mut self) -> bool {
        let since = *self.unknown.get_or_insert_with(Instant::now);
        since.elapsed() >= self.patience
    }

    fn failed(&mut self, failure: Failure) {
        self.has_failed = true;
        self.pause = self.backoff.next(failure.retry_after);
        self.queue.push_back(Step::Outage(failure));
    }
}

fn meant(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean `{}`?", near.join("`, `")) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tower::{BoxError, service_fn};

    use super::*;
    use crate::cli;

    /// How long a cluster has said, without an outage in this time, that it knows no kinds when that is the end.
    async fn patience(outage: std::ops::Range<Duration>) -> Duration {
        let start = Instant::now();
        let said = Arc::new(Mutex::new(None));
        let since = Arc::clone(&said);
        let client = Client::of_service(service_fn(move |_| {
            let code = if outage.contains(&start.elapsed()) { 503 } else { 200 };
            let mut said = said.lock().expect("nobody panicked");
            *said = said.or(Some(Instant::now())).filter(|_| code == 200);
            let body = json!({"kind": "APIGroupDiscoveryList", "items": []}).to_string();
            async move { Ok::<_, BoxError>(http::Response::builder().status(code).body(body)?) }
        }));
        let words = ["k8s-wait-for", "widget/a"].map(OsString::from);
        let target = cli::wait(words).expect("a target").targets.remove(0);
        let follow = |_: &Target| stream::pending().boxed_local();
        let mut steps = once_found(client, Some(Duration::from_millis(500)), false, &target, Box::new(follow));
        while let Some(step) = steps.next().await {
            if matches!(&step, Step::Outage(failure) if failure.class == Class::Invalid) {
                break;
            }
        }
        since.lock().expect("nobody panicked").expect("an answer").elapsed()
    }

    /// The API server may have been started anew meanwhile.
    #[tokio::test(start_paused = true)]
    async fn what_was_unknown_before_an_outage_says_nothing_of_after() {
        for outage in [0..0, 1..10] {
            let patience = patience(Duration::from_secs(outage.start)..Duration::from_secs(outage.end)).await;
            assert!(patience >= STANDING, "{outage:?}: {patience:?}");
        }
    }
}
