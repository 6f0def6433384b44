//! A Job target whose Job is missing: the search for proof that it has completed before (`proof` says what proves).
//!
//! It begins when the Job was never seen and has been missing for 2 s, goes on as long as a sibling may still finish,
//! and stops for good as soon as the Job exists: a Job that appears always wins. What cannot be looked at is said and
//! waited out; it never counts as a failure of the wait.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{self, LocalBoxStream, StreamExt};
use tokio::time::{Instant, sleep, sleep_until};

use crate::cli::Missing;
use crate::client::Client;
use crate::failure::{Class, Failure};
use crate::identity::Identity;
use crate::object::Pod;
use crate::observe::Step;
use crate::proof::{Proof, by_own_run, by_sibling, sibling_labels};
use crate::target::Target;
use crate::verdict::Verdict;
use crate::watch::{Query, Update, updates};

/// How long a Job has to be missing: one that is created together with this pod is not there at once.
const DELAY: Duration = Duration::from_secs(2);
/// How often a refused look is tried again.
const REFUSED: Duration = Duration::from_mins(1);

/// What is done about a missing Job.
#[derive(Debug, Clone)]
pub struct Policy {
    /// without proof
    pub missing: Missing,
    /// look at once and say nothing before: `--timeout 0`
    pub once: bool,
}

/// What a search has to say.
#[derive(Debug)]
pub enum Finding {
    /// It has completed.
    Proof(Proof),
    /// Nobody has left any by now; somebody may.
    NoneYet,
    /// It cannot be looked for, and why.
    Impossible(String),
}

/// Why there is no search at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSearch {
    /// This is no pod: nobody expects one.
    NotInPod,
    /// This is a pod, but which one?
    UnknownPod,
}

/// The steps of a Job target, with the search while its Job is missing. `search` is `None` where there is no pod whose
/// siblings could be asked, with the reason.
pub fn search_while_missing(
    target: Target,
    steps: LocalBoxStream<'static, Step>,
    policy: Policy,
    search: Result<LocalBoxStream<'static, Finding>, NoSearch>,
) -> LocalBoxStream<'static, Step> {
    let gone = Gone { target, policy, search: Some(search), due: None, said: None, noted: false, ended: false };
    stream::unfold((gone, steps, VecDeque::new()), |(mut gone, mut steps, mut queue)| async {
        loop {
            if let Some(step) = queue.pop_front() {
                return Some((step, (gone, steps, queue)));
            }
            if gone.ended {
                return None;
            }
            let due = gone.due;
            tokio::select! {
                step = steps.next() => match step {
                    Some(step) => queue.extend(gone.pass(step)),
                    None => gone.ended = true,
                },
                finding = gone.look(), if due.is_some() => queue.extend(gone.found(finding)),
            }
        }
    })
    .boxed_local()
}

struct Gone {
    target: Target,
    policy: Policy,
    /// gone for good once the Job was seen
    search: Option<Result<LocalBoxStream<'static, Finding>, NoSearch>>,
    /// when to look, set while the Job is missing
    due: Option<Instant>,
    /// the last remark: it is not repeated
    said: Option<String>,
    /// that there is no search was taken note of
    noted: bool,
    ended: bool,
}

impl Gone {
    fn pass(&mut self, step: Step) -> Vec<Step> {
        if let Step::Verdict(verdict) = &step {
            let missing = verdict.reason().is_some_and(|reason| reason.code == "NotFound");
            if !missing {
                self.search = None;
                self.due = None;
            } else if self.search.is_some() && self.due.is_none() {
                self.due = Some(if self.policy.once { Instant::now() } else { Instant::now() + DELAY });
                if self.policy.once {
                    return Vec::new();
                }
            }
        }
        vec![step]
    }

    /// The next finding; pends for ever when there is nothing more to look for.
    async fn look(&mut self) -> Finding {
        if let Some(due) = self.due {
            sleep_until(due).await;
        }
        match &mut self.search {
            Some(Ok(search)) => search.next().await.unwrap_or(Finding::NoneYet),
            Some(Err(reason)) if !self.noted => {
                self.noted = true;
                reason.finding()
            }
            Some(Err(_)) | None => std::future::pending().await,
        }
    }

    fn found(&mut self, finding: Finding) -> Vec<Step> {
        match finding {
            Finding::Proof(proof) => {
                self.ended = true;
                vec![
                    Step::Remark(format!("the Job is gone, but {}", proof.source)),
                    Step::Subjects(proof.uids),
                    Step::Verdict(Verdict::Ready),
                ]
            }
            Finding::NoneYet => self.without_proof("no pod of this revision has finished this wait yet"),
            Finding::Impossible(text) => self.without_proof(&text),
        }
    }

    fn without_proof(&mut self, text: &str) -> Vec<Step> {
        if self.said.as_deref() == Some(text) {
            return Vec::new();
        }
        self.said = Some(text.to_owned());
        let missing = format!("job {} does not exist", self.target.selection);
        let verdict = match self.policy.missing {
            Missing::Wait => Verdict::waiting("NotFound", missing),
            Missing::Fail => Verdict::failed("NotFound", format!("{missing} (--missing fail)")),
            Missing::Ready => {
                self.ended = true;
                return vec![
                    Step::Remark(format!("{missing}, taken as done (--missing ready)")),
                    Step::Verdict(Verdict::Ready),
                ];
            }
        };
        let verdict = (self.policy.missing == Missing::Fail || self.policy.once).then_some(Step::Verdict(verdict));
        let remark = Step::Remark(format!("no proof that it has completed before: {text}"));
        (!text.is_empty()).then_some(remark).into_iter().chain(verdict).collect()
    }
}

impl NoSearch {
    fn finding(self) -> Finding {
        Finding::Impossible(match self {
            Self::NotInPod => String::new(),
            Self::UnknownPod => {
                "its token does not say which pod this is (POD_NAME and POD_NAMESPACE would)".to_owned()
            }
        })
    }
}

/// The findings about a target, from this pod and its siblings; looks on for ever.
///
/// # Errors
/// Why nothing can be looked for, where this is no pod or does not know which one.
pub fn search(
    client: &Client,
    identity: &Identity,
    target: &Target,
) -> Result<LocalBoxStream<'static, Finding>, NoSearch> {
    let (Some(namespace), Some(name)) = (&identity.namespace, &identity.pod) else {
        return Err(if identity.in_pod { NoSearch::UnknownPod } else { NoSearch::NotInPod });
    };
    let query = Query { namespace: Some(namespace.clone()), name: Some(name.clone()), ..Query::default() };
    let search = Search {
        client: client.clone(),
        identity: identity.clone(),
        target: target.clone(),
        query,
        pause: Duration::ZERO,
        siblings: None,
    };
    Ok(stream::unfold(search, |mut search| async { Some((search.next().await, search)) }).boxed_local())
}

struct Search {
    client: Client,
    identity: Identity,
    target: Target,
    /// this pod
    query: Query,
    /// before the next look
    pause: Duration,
    siblings: Option<Siblings>,
}

/// The pods of this pod's revision, once this pod is known.
struct Siblings {
    own: Pod,
    updates: LocalBoxStream<'static, Update<Pod>>,
}

impl Search {
    async fn next(&mut self) -> Finding {
        loop {
            sleep(std::mem::take(&mut self.pause)).await;
            let finding = match &mut self.siblings {
                None => self.look_at_own_pod().await,
                Some(siblings) => siblings.next(&self.target).await,
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
        let own = match first_list(updates(self.client.clone(), self.query.clone(), None)).await {
            Ok(pods) => pods.into_iter().next(),
            Err(refusal) => return Some(refusal),
        };
        let Some(own) = own else { return Some(Finding::Impossible("the API does not know this pod".to_owned())) };
        if let Some(proof) = by_own_run(&self.target, &own, &self.identity) {
            return Some(Finding::Proof(proof));
        }
        let Some(labels) = sibling_labels(&own) else {
            return Some(Finding::Impossible("this pod has no controller, hence no siblings".to_owned()));
        };
        let query = Query { namespace: self.query.namespace.clone(), labels: Some(labels), ..Query::default() };
        self.siblings = Some(Siblings { own, updates: updates(self.client.clone(), query, None) });
        None
    }
}

impl Siblings {
    async fn next(&mut self, target: &Target) -> Option<Finding> {
        match self.updates.next().await? {
            Update::Listed(pods, _) => Some(match by_sibling(target, &self.own, &pods) {
                Some(proof) => Finding::Proof(proof),
                None => Finding::NoneYet,
            }),
            // What a pod was when it was deleted is as good.
            Update::Applied(pod) | Update::Deleted(pod) => by_sibling(target, &self.own, [&pod]).map(Finding::Proof),
            Update::Failed(failure) => refusal(&failure),
            Update::Recovered | Update::Way(_) => None,
        }
    }
}

/// The first list of a query that is not refused; other failures are waited out.
async fn first_list(mut updates: LocalBoxStream<'static, Update<Pod>>) -> Result<Vec<Pod>, Finding> {
    loop {
        match updates.next().await {
            Some(Update::Listed(pods, _)) => return Ok(pods),
            Some(Update::Failed(failure)) => refusal(&failure).map_or(Ok(()), Err)?,
            _ => {}
        }
    }
}

fn refusal(failure: &Failure) -> Option<Finding> {
    let refused = matches!(failure.class, Class::Denied | Class::Unauthenticated);
    let text = || format!("the pods of this revision cannot be looked at without `list` on pods: {failure}");
    refused.then(|| Finding::Impossible(text()))
}
