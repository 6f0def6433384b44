//! A pod target over time: the pods as they are now, and whether their set has come to rest.

use futures::stream::{self, LocalBoxStream, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::{Demands, Shape, Step, Store, changed, due, rest, settled, shape, youngest};
use crate::evaluate;
use crate::evaluate::count;
use crate::object::Pod;
use crate::settle::Settling;
use crate::target::Target;
use crate::verdict::Verdict;
use crate::watch::Update;

/// The steps of a pod target.
pub fn pods(
    target: Target,
    demands: Demands,
    updates: LocalBoxStream<'static, Update<Pod>>,
) -> LocalBoxStream<'static, Step> {
    let settling = Settling::new(rest(&target, &demands));
    let pods = Pods { target, demands, store: Store::new(), settling, told: None };
    stream::unfold((pods, updates), |(mut pods, mut updates)| async {
        loop {
            let due = pods.due();
            let step = tokio::select! {
                update = updates.next() => pods.store.take(update?),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
            };
            let step = step.or_else(|| pods.judge());
            if let Some(step) = step {
                return Some((step, (pods, updates)));
            }
        }
    })
    .boxed_local()
}

struct Pods {
    target: Target,
    demands: Demands,
    store: Store<Pod>,
    settling: Settling<Shape>,
    told: Option<Verdict>,
}

impl Pods {
    fn judge(&mut self) -> Option<Step> {
        if !self.store.looked {
            return None;
        }
        let pods = self.store.to_vec();
        let own_uid = self.demands.own_uid.as_deref();
        let shape = shape(&pods, own_uid);
        let members = count(shape.len(), "pod");
        self.settling.saw(shape, youngest(&pods, own_uid), self.store.date);
        let verdict = evaluate::pod::pods(&self.target, self.demands.min, own_uid, &pods);
        changed(&mut self.told, settled(&self.settling, verdict, &members))
    }

    fn due(&self) -> Option<Instant> {
        due(&self.settling, self.told.as_ref())
    }
}
