//! A Job target over time: its Ready is kept once seen, and a deletion is decided by the object that it carries.

use std::collections::BTreeMap;

use futures::stream::LocalBoxStream;
use tokio::time::Instant;

use super::{Absence, Absent, Demands, Key, Observer, Rest, Step, Store, Told, coming, key, rest, steps, vouched};
use crate::api::watch::{LookBy, Update};
use crate::follow::settle::Settling;
use crate::kinds::object::Job;
use crate::kinds::{self, count};
use crate::target::verdict::{Code, Verdict};
use crate::target::{Mode, Target};

/// The steps of a Job target. It ends with `Ready`, which is kept once seen, even if the Job is then deleted.
pub fn jobs(
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Job>>,
    look_by: LookBy,
) -> LocalBoxStream<'static, Step> {
    steps(Jobs {
        settling: Settling::new(rest(&target, &demands)),
        absence: Absence::new(&demands),
        target,
        demands,
        updates,
        look_by,
        store: Store::new(),
        kept: BTreeMap::new(),
        seen: false,
        last_seen: None,
        owed: Vec::new(),
        told: Told::default(),
    })
}

struct Jobs {
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Job>>,
    look_by: LookBy,
    store: Store<Job>,
    /// Jobs that have ended and are gone since, until others take their names
    kept: BTreeMap<Key, Job>,
    /// there was one that is meant
    seen: bool,
    /// how things stood before the last of them went
    last_seen: Option<String>,
    /// those that are gone without a good end: others have to take their places
    owed: Vec<Owed>,
    /// by the uids of the Jobs, and whether they have ended
    settling: Settling<BTreeMap<String, bool>>,
    absence: Absence,
    told: Told,
}

/// A Job that is gone, undecided or failed.
struct Owed {
    key: Key,
    uid: String,
    /// It was missing after a gap, undecided: nobody saw how it went. Else somebody deleted it before our eyes, so it is
    /// being run again, or it had failed.
    vanished: bool,
}

impl Observer for Jobs {
    async fn update(&mut self) -> Option<Step> {
        let update = coming(&mut self.updates).await;
        self.take(update)
    }

    fn judge(&mut self) -> Vec<Step> {
        // What is kept is kept: nothing takes a Job's Ready back, not even its deletion.
        if !self.store.looked() || self.over() {
            return Vec::new();
        }
        let jobs = self.jobs();
        let sight = self.store.sight;
        let ended: Vec<bool> = jobs.iter().map(|job| kinds::job::end(&self.target, job).is_some()).collect();
        let shape = jobs.iter().map(|job| job.metadata.uid.clone()).zip(ended).collect();
        let since = jobs.iter().map(kinds::job::ended_at).collect::<Option<Vec<_>>>();
        self.settling.saw(shape, since.and_then(|since| since.into_iter().max()), sight.now());
        let rest = Rest::of(&self.settling, format!("{} done", count(jobs.len(), "job")));
        let verdict = vouched(self.verdict(&jobs), &rest, &sight, &self.look_by);
        let mut steps = Vec::new();
        if verdict == Verdict::Ready && self.target.mode == Mode::Job {
            steps.push(Step::Mark(jobs.iter().map(|job| job.metadata.uid.clone()).collect()));
        }
        let absent = verdict.is_missing().then(|| self.absent()).flatten();
        steps.extend(self.told.news(Some(verdict), sight.known()));
        if self.absence.proved(absent.is_some(), &sight, &self.look_by) {
            steps.extend(absent.map(Step::Absent));
        }
        steps
    }

    fn alarms(&self) -> [Option<Instant>; 3] {
        [self.settling.due(), self.absence.due(), None]
    }

    fn over(&self) -> bool {
        self.told.verdict == Some(Verdict::Ready)
    }
}

impl Jobs {
    fn take(&mut self, update: Update<Job>) -> Option<Step> {
        match &update {
            Update::Deleted(job) => self.deleted(job.clone()),
            Update::Listed(listed) => self.listed(&listed.objects),
            Update::Applied(job) => self.appeared(job),
            _ => {}
        }
        self.store.take(update)
    }

    /// A deletion is decided by the object that it carries: with ttlSecondsAfterFinished: 0 it may be the first to say
    /// that the Job is complete.
    fn deleted(&mut self, job: Job) {
        self.store.objects.insert(key(&job), job.clone());
        self.last_seen = Some(self.text());
        self.gone(job, false);
    }

    /// After a gap in the history Jobs may be missing without ever having been deleted before our eyes.
    fn listed(&mut self, jobs: &[Job]) {
        let uids: Vec<&str> = jobs.iter().map(|job| job.metadata.uid.as_str()).collect();
        let missing: Vec<Job> =
            self.store.objects.values().filter(|job| !uids.contains(&job.metadata.uid.as_str())).cloned().collect();
        if !missing.is_empty() {
            self.last_seen = Some(self.text());
        }
        for job in missing {
            self.gone(job, true);
        }
        for job in jobs {
            self.appeared(job);
        }
    }

    /// A Job's end is kept beyond its deletion, but for a failure that is to be outlived.
    fn gone(&mut self, job: Job, unseen: bool) {
        if !kinds::job::is_meant(&self.target, &job) {
            return;
        }
        let owe = |vanished| Owed { key: key(&job), uid: job.metadata.uid.clone(), vanished };
        match kinds::job::end(&self.target, &job) {
            None => self.owed.push(owe(unseen)),
            Some(Verdict::Failed(_)) if self.demands.outlives_failure => self.owed.push(owe(false)),
            Some(_) => {
                self.kept.insert(key(&job), job);
            }
        }
    }

    fn appeared(&mut self, job: &Job) {
        self.seen |= kinds::job::is_meant(&self.target, job);
        self.kept.remove(&key(job));
        let uid = &job.metadata.uid;
        // One whose labels were others for a while is back; a new one takes the place of its namesake, or of any other.
        let known = self.store.objects.values().any(|known| known.metadata.uid == *uid);
        let place = self.owed.iter().position(|owed| owed.uid == *uid);
        let place = place.or_else(|| self.owed.iter().position(|owed| !known && owed.key == key(job)));
        let place = place.or_else(|| (!known && !self.owed.is_empty()).then_some(0));
        if let Some(place) = place {
            self.owed.remove(place);
        }
    }

    /// What is known while no Job is there; nothing is looked for of one that is being run again.
    fn absent(&self) -> Option<Absent> {
        if !self.seen {
            return Some(Absent::Never);
        }
        let vanished = !self.owed.is_empty() && self.owed.iter().all(|owed| owed.vanished);
        vanished.then(|| Absent::Vanished(self.owed.iter().map(|owed| owed.uid.clone()).collect()))
    }

    /// Those that are there and the ends of those that were.
    fn jobs(&self) -> Vec<Job> {
        self.store.objects.values().chain(self.kept.values()).cloned().collect()
    }

    fn verdict(&self, jobs: &[Job]) -> Verdict {
        let verdict = kinds::job::jobs(&self.target, self.demands.min, jobs);
        match (verdict, &self.last_seen) {
            (Verdict::Waiting(reason), Some(before)) if reason.code == Code::NotFound => {
                Verdict::waiting(Code::NotFound, format!("{} any more; last seen: {before}", reason.text))
            }
            (Verdict::Ready, _) if !self.owed.is_empty() => {
                let (_, name) = &self.owed[0].key;
                let text = format!("job {name} is gone without having completed, and no other has taken its place yet");
                Verdict::waiting(Code::NotReplaced, text)
            }
            (verdict, _) => verdict,
        }
    }

    /// How the Jobs stand that are still there.
    fn text(&self) -> String {
        let verdict = kinds::job::jobs(&self.target, self.demands.min, &self.jobs());
        verdict.reason().map_or_else(|| "complete".to_owned(), |reason| reason.text.clone())
    }
}
