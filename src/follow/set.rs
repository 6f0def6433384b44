//! A pod target over time: the pods as they are now, and whether their set has come to rest.

use std::collections::BTreeSet;

use futures::stream::LocalBoxStream;
use tokio::time::Instant;

use super::{Absence, Absent, Demands, Leaving, Observer, Rest, Shape, Step, Store, Told};
use super::{coming, rest, shape, steps, vouched, youngest};
use crate::api::watch::{LookBy, Update};
use crate::follow::settle::Settling;
use crate::kinds;
use crate::kinds::count;
use crate::kinds::object::Pod;
use crate::kinds::pod::{State, View, state};
use crate::target::Target;
use crate::target::verdict::{Code, Verdict};

/// The steps of a pod target; `look_by` asks for a look at its pods.
pub fn pods(
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Pod>>,
    look_by: LookBy,
) -> LocalBoxStream<'static, Step> {
    steps(Pods {
        settling: Settling::new(rest(&target, &demands)),
        absence: Absence::new(&demands),
        target,
        demands,
        updates,
        look_by,
        store: Store::new(),
        leaving: Leaving::default(),
        owed: 0,
        seen: false,
        told: Told::default(),
    })
}

struct Pods {
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Pod>>,
    look_by: LookBy,
    store: Store<Pod>,
    settling: Settling<Shape>,
    leaving: Leaving,
    /// how many pods were gone after they had failed, and no other has come since
    owed: usize,
    absence: Absence,
    /// there was one at some time
    seen: bool,
    told: Told,
}

impl Observer for Pods {
    async fn update(&mut self) -> Option<Step> {
        let update = coming(&mut self.updates).await;
        self.take(update)
    }

    fn judge(&mut self) -> Vec<Step> {
        if !self.store.looked() {
            return Vec::new();
        }
        let pods = self.store.to_vec();
        let sight = self.store.sight;
        let view = View { own_uid: self.demands.own_uid.as_deref(), now: sight.now() };
        self.seen |= !pods.is_empty();
        let mut steps = self.leaving.note(&pods, view);
        let shape = shape(&pods, view);
        let members = count(shape.len(), "pod");
        self.settling.saw(shape, youngest(&pods, view), view.now);
        let verdict = match kinds::pod::pods(&self.target, self.demands.min, view, &pods) {
            Verdict::Ready if self.owed > 0 => {
                let text = "a pod that has failed is gone, and no other has taken its place yet";
                Verdict::waiting(Code::NotReplaced, text)
            }
            verdict => verdict,
        };
        let verdict = vouched(verdict, &Rest::of(&self.settling, format!("{members} ready")), &sight, &self.look_by);
        // Those of a selector may come at any time.
        let missing = self.target.selection.name.is_some() && !self.seen;
        steps.extend(self.told.news(Some(verdict), sight.known()));
        if self.absence.proved(missing, &sight, &self.look_by) {
            steps.push(Step::Absent(Absent::Never));
        }
        steps
    }

    fn alarms(&self) -> [Option<Instant>; 3] {
        [self.settling.due(), self.leaving.next, self.absence.due()]
    }
}

impl Pods {
    fn take(&mut self, update: Update<Pod>) -> Option<Step> {
        let uids =
            |pods: &Store<Pod>| pods.objects.values().map(|pod| pod.metadata.uid.clone()).collect::<BTreeSet<_>>();
        let failed = |pods: &Store<Pod>| {
            let failed = pods.objects.values().filter(|pod| state(pod, None) == State::Failed);
            failed.map(|pod| pod.metadata.uid.clone()).collect::<BTreeSet<_>>()
        };
        if !self.demands.outlives_failure {
            return self.store.take(update);
        }
        let (before, failed) = (uids(&self.store), failed(&self.store));
        let step = self.store.take(update);
        let after = uids(&self.store);
        self.owed += failed.difference(&after).count();
        self.owed = self.owed.saturating_sub(after.difference(&before).count());
        step
    }
}
