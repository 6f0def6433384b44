//! The statuses of all targets → the end, if it is one. Pure but for the clock.

use std::time::Duration;

use tokio::time::Instant;

use super::outages;
use crate::api::failure::Class;
use crate::api::watch::LookBy;
use crate::follow::Known;
use crate::outcome::Outcome;
use crate::status::Status;
use crate::target::rules::Rules;
use crate::target::verdict::{Decision, Quorum, Verdict};

/// What was looked at so long before all were ready is as good as looked at then.
const FRESH: Duration = Duration::from_millis(100);

/// Since when the verdicts say that it is ready.
#[derive(Debug, Default)]
pub struct Agreement(Option<Instant>);

/// The end that these statuses mean. Of targets that have to be looked at once more a look is asked for.
pub fn of(rules: &Rules, statuses: &[Status], looks: &[LookBy], agreement: &mut Agreement) -> Option<Outcome> {
    match decision(rules, statuses) {
        Decision::Ready if is_confirmed(rules, statuses, looks, agreement) => return Some(Outcome::Ready),
        Decision::Ready => return None,
        Decision::Failed => return Some(Outcome::Failed),
        Decision::Undecided => agreement.0 = None,
    }
    let invalid = |status: &Status| {
        let failure = &status.outage.as_ref()?.failure;
        (failure.class == Class::Invalid).then(|| failure.text.clone())
    };
    if let Some(text) = statuses.iter().find_map(invalid) {
        return Some(Outcome::Invalid(text));
    }
    if outages::is_denied(rules, statuses, rules.auth_grace) {
        return Some(Outcome::Denied);
    }
    // One look is over when each target has been looked at, or could not be.
    let looked = |status: &Status| status.verdict.is_some() || status.outage.is_some();
    (rules.is_one_look() && statuses.iter().all(looked)).then_some(Outcome::NotYet)
}

fn decision(rules: &Rules, statuses: &[Status]) -> Decision {
    let counts = |status: &Status, verdict: &Verdict| match verdict {
        Verdict::Ready => status.is_kept() || status.outage.is_none(),
        Verdict::Waiting(_) => true,
        Verdict::Failed(_) => !(rules.outlives_failure() && verdict.is_failure_of_its_own()),
    };
    rules.quorum.decide(statuses.iter().map(|it| it.verdict.as_ref().filter(|verdict| counts(it, verdict))))
}

/// Whether the targets are ready at the same moment. Those that are polled were looked at some time ago: they are
/// looked at once more. One alone is ready whenever it is.
fn is_confirmed(rules: &Rules, statuses: &[Status], looks: &[LookBy], agreement: &mut Agreement) -> bool {
    // The moment stays the same until one of them is not ready any more: else each look would ask for a later one.
    let agreed = *agreement.0.get_or_insert_with(Instant::now);
    if rules.is_one_look() || rules.quorum == Quorum::Any || statuses.len() == 1 {
        return true;
    }
    let is_stale = |status: &Status| match status.known {
        Some(Known::Live) => false,
        Some(Known::Since(held)) => !status.is_kept() && held + FRESH < agreed,
        None => !status.is_kept(),
    };
    let stale: Vec<&LookBy> =
        statuses.iter().zip(looks).filter(|(status, _)| is_stale(status)).map(|(_, look_by)| look_by).collect();
    for look_by in &stale {
        look_by.at(agreed);
    }
    stale.is_empty()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::api::failure::Failure;
    use crate::cli::{self, Wait};
    use crate::target::verdict::Code;

    const REFUSED: Failure = Failure { class: Class::Denied, text: String::new(), retry_after: None };

    /// Makes a target stand in some way.
    type Set = fn(&mut Status);

    /// A wait for these, each of them as it stands.
    struct Scene {
        rules: Rules,
        statuses: Vec<Status>,
        looks: Vec<LookBy>,
        agreement: Agreement,
    }

    impl Scene {
        fn end(&mut self) -> Option<Outcome> {
            of(&self.rules, &self.statuses, &self.looks, &mut self.agreement)
        }
    }

    fn wait(line: &str, sets: impl IntoIterator<Item = Set>) -> Scene {
        let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
        let Wait { targets, rules, .. } = cli::wait(words).expect(line);
        let looks = targets.iter().map(|_| LookBy::default()).collect();
        let mut statuses: Vec<Status> = targets.into_iter().map(Status::new).collect();
        statuses.iter_mut().zip(sets).for_each(|(status, set)| set(status));
        Scene { rules, statuses, looks, agreement: Agreement::default() }
    }

    fn live(status: &mut Status) {
        (status.verdict, status.known) = (Some(Verdict::Ready), Some(Known::Live));
    }

    fn polled(status: &mut Status) {
        (status.verdict, status.known) = (Some(Verdict::Ready), Some(Known::Since(Instant::now())));
    }

    fn waiting(status: &mut Status) {
        status.verdict = Some(Verdict::waiting(Code::NoPods, ""));
    }

    fn failed(status: &mut Status) {
        status.verdict = Some(Verdict::failed(Code::PodFailed, ""));
    }

    fn missing(status: &mut Status) {
        status.verdict = Some(Verdict::failed(Code::NotFound, ""));
    }

    fn refused(status: &mut Status) {
        drop(outages::note(status, &REFUSED, false));
    }

    fn ready_but_refused(status: &mut Status) {
        live(status);
        refused(status);
    }

    fn nothing(_: &mut Status) {}

    #[tokio::test(start_paused = true)]
    async fn verdicts_decide_by_the_rules_of_the_wait() {
        let table: [(&str, [Set; 2], Option<Outcome>); 14] = [
            ("pod a b", [live, live], Some(Outcome::Ready)),
            ("pod a b", [live, nothing], None),
            ("pod a b", [live, waiting], None),
            ("pod a b", [waiting, failed], Some(Outcome::Failed)),
            ("pod a b --any", [waiting, polled], Some(Outcome::Ready)),
            ("pod a b --any", [failed, waiting], None),
            ("pod a b --any", [failed, failed], Some(Outcome::Failed)),
            ("pod a b --failed wait", [live, failed], None),
            ("pod a b --failed wait", [live, missing], Some(Outcome::Failed)),
            ("pod a b --any --failed wait", [failed, failed], None),
            ("pod a b --any --failed wait", [missing, missing], Some(Outcome::Failed)),
            ("pod a b --timeout 0", [live, waiting], Some(Outcome::NotYet)),
            ("pod a b --timeout 0", [live, refused], Some(Outcome::NotYet)),
            ("pod a b --timeout 0", [live, nothing], None),
        ];
        for (line, statuses, end) in table {
            assert_eq!(wait(line, statuses).end(), end, "{line}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n1_ready_counts_only_while_requests_succeed() {
        assert_eq!(wait("pod a b", [live, ready_but_refused]).end(), None);
        let kept = wait("job/a pod/b", [ready_but_refused, live]).end();
        assert_eq!(kept, Some(Outcome::Ready), "but for what is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn n1_polled_target_is_looked_at_once_more() {
        let mut wait = wait("pod a b", [polled, waiting]);
        assert_eq!(wait.end(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        live(&mut wait.statuses[1]);
        assert_eq!(wait.end(), None);
        let agreed = Instant::now();
        assert_eq!((wait.looks[0].wanted(), wait.looks[1].wanted()), (Some(agreed), None));
        // Not ever later ones.
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!((wait.end(), wait.looks[0].wanted()), (None, Some(agreed)));
        wait.statuses[0].known = Some(Known::Since(agreed));
        assert_eq!(wait.end(), Some(Outcome::Ready));
        // Not ready in between: the moment is another one.
        waiting(&mut wait.statuses[1]);
        assert_eq!(wait.end(), None);
        live(&mut wait.statuses[1]);
        assert_eq!(wait.end(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn polled_target_alone_and_kept_ones_are_not_looked_at_again() {
        let mut one = wait("pod a", [polled as fn(&mut Status)]);
        let mut kept = wait("job a b", [polled as fn(&mut Status), polled]);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!((one.end(), kept.end()), (Some(Outcome::Ready), Some(Outcome::Ready)));
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_ends_it_after_the_grace_unless_a_target_can_still_win() {
        let after = |line: &'static str, statuses: [fn(&mut Status); 2], seconds| async move {
            let mut wait = wait(line, statuses);
            tokio::time::advance(Duration::from_secs(seconds)).await;
            wait.end()
        };
        assert_eq!(after("pod a b", [waiting, refused], 59).await, None);
        assert_eq!(after("pod a b", [waiting, refused], 60).await, Some(Outcome::Denied));
        assert_eq!(after("pod a b --any", [waiting, refused], 90).await, None);
        assert_eq!(after("pod a b --any", [failed, refused], 90).await, Some(Outcome::Denied));
        assert_eq!(after("pod a b --any --failed wait", [failed, refused], 90).await, None);
        let rules = wait("pod a b --any", [nothing as Set]).rules;
        assert!(!outages::is_denied(&rules, &[], Duration::ZERO), "nobody was asked yet");
    }
}
