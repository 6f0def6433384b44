//! A Job target over time: its Ready is kept once seen, and a deletion is decided by the object that it carries.

use std::collections::VecDeque;

use futures::stream::{self, LocalBoxStream, StreamExt};

use super::{Step, Store, changed, key};
use crate::evaluate;
use crate::object::Job;
use crate::target::Target;
use crate::verdict::Verdict;
use crate::watch::Update;

/// The steps of a Job target. It ends with `Ready`, which is kept once seen, even if the Job is then deleted.
pub fn jobs(
    target: Target,
    min: usize,
    updates: LocalBoxStream<'static, Update<Job>>,
) -> LocalBoxStream<'static, Step> {
    let jobs = Jobs { target, min, store: Store::new(), last_seen: None, told: None };
    let observer = (jobs, updates, VecDeque::new());
    stream::unfold(observer, |(mut jobs, mut updates, mut steps)| async {
        while steps.is_empty() {
            if jobs.told == Some(Verdict::Ready) {
                return None;
            }
            steps.extend(jobs.take(updates.next().await?));
        }
        let step = steps.pop_front()?;
        Some((step, (jobs, updates, steps)))
    })
    .boxed_local()
}

struct Jobs {
    target: Target,
    min: usize,
    store: Store<Job>,
    /// how things stood when a Job was seen last
    last_seen: Option<Verdict>,
    told: Option<Verdict>,
}

impl Jobs {
    fn take(&mut self, update: Update<Job>) -> Vec<Step> {
        let mut steps = match &update {
            Update::Deleted(job) => self.last_words(job.clone()),
            // After a gap in the history a Job may be missing without ever having been deleted before our eyes.
            Update::Listed(..) if !self.store.objects.is_empty() => {
                self.last_seen = Some(self.verdict());
                Vec::new()
            }
            _ => Vec::new(),
        };
        if let Some(step) = self.store.take(update) {
            return vec![step];
        }
        let verdict = self.verdict();
        steps.extend(self.tell(verdict));
        steps
    }

    /// A deletion is decided by the object that it carries: with ttlSecondsAfterFinished: 0 it may be the first to say
    /// that the Job is complete.
    fn last_words(&mut self, job: Job) -> Vec<Step> {
        self.store.objects.insert(key(&job), job);
        let verdict = self.verdict();
        self.last_seen = Some(verdict.clone());
        if matches!(verdict, Verdict::Waiting(_)) { Vec::new() } else { self.tell(verdict) }
    }

    fn verdict(&self) -> Verdict {
        let verdict = evaluate::job::jobs(&self.target, self.min, &self.store.to_vec());
        match (&verdict, &self.last_seen) {
            (Verdict::Waiting(missing), Some(Verdict::Waiting(seen))) if missing.code == "NotFound" => {
                Verdict::waiting("NotFound", format!("{} any more; last seen: {}", missing.text, seen.text))
            }
            // Decided, until there is another one.
            (Verdict::Waiting(missing), Some(failed)) if missing.code == "NotFound" => failed.clone(),
            _ => verdict,
        }
    }

    /// What is kept is kept: nothing takes a Job's Ready back, not even its deletion.
    fn tell(&mut self, verdict: Verdict) -> Vec<Step> {
        if self.told == Some(Verdict::Ready) {
            return Vec::new();
        }
        let uids = || self.store.objects.values().map(|job| job.metadata.uid.clone()).collect();
        let subjects = (verdict == Verdict::Ready).then(|| Step::Subjects(uids()));
        subjects.into_iter().chain(changed(&mut self.told, verdict)).collect()
    }
}
