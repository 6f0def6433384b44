//! A target that is not there: what `--missing` says, and for a Job what the search for proof that it has completed
//! before has found (`search` looks, `proof` says what proves).
//!
//! The search begins when the observer says that a Job is absent, goes on as long as somebody may still leave a proof,
//! and stops as soon as the Job exists: a Job that appears always wins. What cannot be looked at is said and waited
//! out; it never counts as a failure of the wait.

use std::collections::{BTreeSet, VecDeque};

use futures::stream::{self, LocalBoxStream, SelectAll, StreamExt};

use super::proof::Proof;
use super::{Absent, Step};
use crate::kinds::{is_final, leaves_mark};
use crate::target::Target;
use crate::target::rules::Missing;
use crate::target::verdict::{Code, Verdict};

/// What is done about a target that is not there.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// without proof
    pub missing: Missing,
    /// one look is all there is: `--timeout 0`
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

/// Looks for proof about a target that is absent; nothing where nobody could have left any.
pub type Search = Box<dyn Fn(&Absent) -> SelectAll<LocalBoxStream<'static, Finding>>>;

/// The steps of a target, with what its absence means.
pub fn despite_absence(
    target: Target,
    steps: LocalBoxStream<'static, Step>,
    policy: Policy,
    search: Search,
) -> LocalBoxStream<'static, Step> {
    let gone = Gone {
        target,
        policy,
        search,
        running: SelectAll::new(),
        open: 0,
        absent: None,
        held: None,
        said: BTreeSet::new(),
        ended: false,
    };
    stream::unfold((gone, steps, VecDeque::new()), |(mut gone, mut steps, mut queue)| async {
        loop {
            if let Some(step) = queue.pop_front() {
                return Some((step, (gone, steps, queue)));
            }
            if gone.ended {
                return None;
            }
            tokio::select! {
                // A Job that appears always wins.
                biased;
                step = steps.next() => match step {
                    Some(step) => queue.extend(gone.pass(step)),
                    None => gone.ended = true,
                },
                Some(finding) = gone.running.next() => queue.extend(gone.found(finding)),
            }
        }
    })
    .boxed_local()
}

struct Gone {
    target: Target,
    policy: Policy,
    search: Search,
    /// empty while the target is there
    running: SelectAll<LocalBoxStream<'static, Finding>>,
    /// how many of these have not said anything yet
    open: usize,
    /// what is known of the target, while it is not there
    absent: Option<Absent>,
    /// not said before the search is over
    held: Option<Verdict>,
    /// remarks are not repeated
    said: BTreeSet<String>,
    ended: bool,
}

impl Gone {
    fn pass(&mut self, step: Step) -> Vec<Step> {
        match step {
            // One look is over only when the search is, and the search begins when the absence is known.
            Step::Verdict(verdict) if verdict.is_missing() && self.policy.once && self.may_be_absent() => {
                self.held = Some(verdict);
                Vec::new()
            }
            Step::Verdict(verdict) if verdict.is_missing() => vec![Step::Verdict(verdict)],
            Step::Verdict(verdict) => {
                self.absent = None;
                self.running = SelectAll::new();
                vec![Step::Verdict(verdict)]
            }
            Step::Absent(absent) => {
                self.running = (self.search)(&absent);
                self.open = self.running.len();
                self.absent = Some(absent);
                if self.open == 0 { self.without_proof() } else { Vec::new() }
            }
            step => vec![step],
        }
    }

    fn found(&mut self, finding: Finding) -> Vec<Step> {
        let text = match finding {
            Finding::Proof(proof) => {
                self.ended = true;
                let mut steps = vec![Step::Remark(format!("gone, but it completed: {}", proof.source))];
                steps.extend(leaves_mark(&self.target).then_some(Step::Mark(proof.uids)));
                steps.push(Step::Verdict(Verdict::Ready));
                return steps;
            }
            Finding::NoneYet => "no pod of this revision has finished this wait yet".to_owned(),
            Finding::Impossible(text) => text,
        };
        let remark = format!("cannot tell whether it completed earlier: {text}");
        let mut steps = Vec::new();
        if self.said.insert(text) {
            steps.push(Step::Remark(remark));
        }
        // Once, when all have said something.
        if self.open == 1 {
            steps.extend(self.without_proof());
        }
        self.open = self.open.saturating_sub(1);
        steps
    }

    /// What the absence means where nobody has proved anything by now.
    fn without_proof(&mut self) -> Vec<Step> {
        let named = self.target.is_named();
        let never_seen = self.absent == Some(Absent::Never);
        let missing = absence(&self.target);
        match self.policy.missing {
            Missing::Fail if named && never_seen => {
                vec![Step::Verdict(Verdict::failed(Code::NotFound, format!("{missing} (--missing fail)")))]
            }
            Missing::Ready if never_seen => {
                self.ended = true;
                vec![
                    Step::Remark(format!("{missing}: assumed complete (--missing ready)")),
                    Step::Verdict(Verdict::Ready),
                ]
            }
            _ => self.held.take().map(Step::Verdict).into_iter().collect(),
        }
    }

    /// Whether the observer says when it is; those of a selector may come at any time.
    fn may_be_absent(&self) -> bool {
        self.target.is_named() || is_final(&self.target)
    }
}

fn absence(target: &Target) -> String {
    if target.is_named() {
        return "does not exist".to_owned();
    }
    format!("no {} matches {}", target.kind.noun(), target.selection)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;
    use crate::cli;

    const ONCE: Policy = Policy { missing: Missing::Wait, once: true };

    fn target(line: &str) -> Target {
        let words = ["k8s-wait-for"].into_iter().chain(line.split(' ')).map(OsString::from);
        cli::wait(words).expect(line).targets.remove(0)
    }

    fn policy(missing: Missing) -> Policy {
        Policy { missing, once: false }
    }

    fn missing() -> Step {
        Step::Verdict(Verdict::waiting(Code::NotFound, "job migrate does not exist"))
    }

    fn proof() -> Finding {
        Finding::Proof(Proof { source: "somebody says so".to_owned(), uids: vec!["7f1c".to_owned()] })
    }

    fn none() -> Finding {
        Finding::NoneYet
    }

    /// The steps that come out where these go in, one a second, and every search finds this a second and a half later.
    async fn told<const N: usize>(
        line: &str,
        policy: Policy,
        steps: [Step; N],
        finding: Option<fn() -> Finding>,
    ) -> Vec<String> {
        let search: Search = Box::new(move |_| {
            let later = |finding: fn() -> Finding| {
                let found = async move {
                    sleep(Duration::from_millis(1_500)).await;
                    finding()
                };
                stream::once(found).chain(stream::pending()).boxed_local()
            };
            finding.into_iter().map(later).collect()
        });
        let steps = stream::iter(steps).then(|step| async {
            sleep(Duration::from_secs(1)).await;
            step
        });
        let steps = steps.chain(stream::pending()).boxed_local();
        let told = despite_absence(target(line), steps, policy, search);
        let end = sleep(Duration::from_mins(1));
        told.take_until(end).map(|step| text(&step)).collect().await
    }

    fn text(step: &Step) -> String {
        match step {
            Step::Verdict(Verdict::Ready) => "ready".to_owned(),
            Step::Verdict(Verdict::Waiting(reason)) => format!("waiting {}", reason.code),
            Step::Verdict(Verdict::Failed(reason)) => format!("failed {}", reason.code),
            Step::Mark(uids) => format!("mark {}", uids.join(" ")),
            Step::Remark(text) => text.clone(),
            other => format!("{other:?}"),
        }
    }

    const NONE_YET: &str =
        "cannot tell whether it completed earlier: no pod of this revision has finished this wait yet";
    const FAILED: &str = "failed NotFound";

    #[tokio::test(start_paused = true)]
    async fn proof_makes_an_absent_job_ready_and_ends_the_steps() {
        let steps = [missing(), Step::Absent(Absent::Never)];
        let told = told("job migrate", policy(Missing::Fail), steps, Some(proof)).await;
        assert_eq!(told, ["waiting NotFound", "gone, but it completed: somebody says so", "mark 7f1c", "ready"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_only_missing_is_not_searched_for() {
        assert_eq!(told("job migrate", policy(Missing::Ready), [missing()], Some(proof)).await, ["waiting NotFound"]);
    }

    #[tokio::test(start_paused = true)]
    async fn n7_foreign_reason_is_no_absence() {
        let foreign = Step::Verdict(Verdict::failed(Code::Foreign("NotFound".to_owned()), "says a controller"));
        let told = told("job migrate", ONCE, [foreign], Some(proof)).await;
        assert_eq!(told, [FAILED]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_proof_absence_means_what_was_asked_for() {
        let steps = || [missing(), Step::Absent(Absent::Never)];
        let wait = told("job migrate", policy(Missing::Wait), steps(), Some(none)).await;
        assert_eq!(wait, ["waiting NotFound", NONE_YET]);
        let fail = told("job migrate", policy(Missing::Fail), steps(), Some(none)).await;
        assert_eq!(fail, ["waiting NotFound", NONE_YET, FAILED]);
        let ready = told("job migrate", policy(Missing::Ready), steps(), Some(none)).await;
        let taken = "does not exist: assumed complete (--missing ready)";
        assert_eq!(ready, ["waiting NotFound", NONE_YET, taken, "ready"], "and no mark");
        let nobody = told("pod db-0", policy(Missing::Fail), steps(), None).await;
        assert_eq!(nobody, ["waiting NotFound", FAILED]);
        let selector = told("job -lapp=db", policy(Missing::Fail), steps(), None).await;
        assert_eq!(selector, ["waiting NotFound"], "only a name can be missing");
    }

    #[tokio::test(start_paused = true)]
    async fn n3_job_that_was_seen_is_never_a_matter_of_missing() {
        let vanished = || Step::Absent(Absent::Vanished(vec!["1".to_owned()]));
        for missing_means in [Missing::Fail, Missing::Ready] {
            let told = told("job migrate", policy(missing_means), [missing(), vanished()], Some(none)).await;
            assert_eq!(told, ["waiting NotFound", NONE_YET]);
        }
        let told = told("job migrate", policy(Missing::Wait), [missing(), vanished()], Some(proof)).await;
        assert_eq!(told[1..], ["gone, but it completed: somebody says so", "mark 7f1c", "ready"]);
    }

    #[tokio::test(start_paused = true)]
    async fn job_that_appears_stops_the_search() {
        let appears = Step::Verdict(Verdict::waiting(Code::Running, ""));
        let steps = [missing(), Step::Absent(Absent::Never), appears];
        let told = told("job migrate", policy(Missing::Wait), steps, Some(proof)).await;
        assert_eq!(told, ["waiting NotFound", "waiting Running"]);
    }

    #[tokio::test(start_paused = true)]
    async fn n5_one_look_is_over_when_the_search_is() {
        let steps = || [missing(), Step::Absent(Absent::Never)];
        let fails: fn() -> Finding = || Finding::Impossible("no answer".to_owned());
        let told_late = told("job migrate", ONCE, steps(), Some(fails)).await;
        assert_eq!(told_late, ["cannot tell whether it completed earlier: no answer", "waiting NotFound"]);
        assert_eq!(told("job migrate", ONCE, steps(), None).await, ["waiting NotFound"]);
        assert_eq!(told("pod -lapp=db", ONCE, [missing()], None).await, ["waiting NotFound"], "nothing else will come");
    }
}
