//! What the options demand of every target beside its mode: `--for`, `--key`, `--by` and `--same-node`, and which kinds
//! take them.

use super::help;
use super::options::{self, By, Cli, Usage};
use crate::kinds::{self, Extra};
use crate::target::goal::Goal;
use crate::target::{Demand, Target};

/// As they were typed.
pub struct Demands {
    goal: Option<Goal>,
    keys: Vec<String>,
    by: Option<By>,
    same_node: bool,
}

impl Demands {
    /// # Errors
    /// Two of them contradict each other, or one contradicts itself.
    pub fn of(cli: &Cli) -> Result<Self, Usage> {
        let goal = (!cli.goal.is_empty()).then(|| Goal::new(cli.goal.clone())).transpose();
        let goal =
            goal.map_err(|reason| Usage::new(reason, "for alternatives: `--for condition=Ready --or-for delete`"))?;
        let (keys, by) = (cli.keys.clone(), cli.by);
        if goal.is_some() && (!keys.is_empty() || by.is_some()) {
            let option = if by.is_some() { "--by" } else { "--key" };
            let problem = format!("`--for` and `{option}` both set the condition");
            return Err(Usage::new(
                problem,
                format!("use one of them: {}, or {}", help::GOALS, options::right_form(option)),
            ));
        }
        Ok(Self { goal, keys, by, same_node: cli.same_node })
    }

    /// The target with what is demanded of it; `typed` is its mode. What its kind does not take is for others.
    ///
    /// # Errors
    /// Two things are demanded of it.
    pub fn apply(&self, mut target: Target, typed: &str) -> Result<Target, Usage> {
        if let Some(goal) = &self.goal {
            check_mode(&target, typed, "--for")?;
            target.demand = Demand::Meets(goal.clone());
        }
        if !self.keys.is_empty() && takes(&target, Extra::Key) {
            target.demand = Demand::Keys(self.keys.clone());
        }
        match self.by.filter(|_| takes(&target, Extra::By)) {
            // One is enough anyway, unless --min says more.
            Some(By::Endpoints) => target.demand = Demand::Endpoints,
            Some(By::LoadBalancer) => {
                check_mode(&target, typed, "--by load-balancer")?;
                target.demand = Demand::Address;
            }
            Some(By::Pods) | None => {}
        }
        if self.same_node && takes(&target, Extra::SameNode) {
            check_same_node(&target, typed)?;
            target.selection.same_node = true;
        }
        Ok(target)
    }

    /// Whether each option says something of one target at least.
    ///
    /// # Errors
    /// No target takes it.
    pub fn check_use(&self, targets: &[Target]) -> Result<(), Usage> {
        match self.extras().find(|option| !targets.iter().any(|target| takes(target, *option))) {
            Some(option) => Err(untaken(option, targets)),
            None => Ok(()),
        }
    }

    fn extras(&self) -> impl Iterator<Item = Extra> {
        let key = (!self.keys.is_empty()).then_some(Extra::Key);
        let by = self.by.map(|_| Extra::By);
        [key, by, self.same_node.then_some(Extra::SameNode)].into_iter().flatten()
    }
}

fn takes(target: &Target, option: Extra) -> bool {
    kinds::of(&target.kind).options.contains(&option)
}

fn untaken(option: Extra, targets: &[Target]) -> Usage {
    let takers = kinds::KINDS.iter().filter(|row| row.options.contains(&option));
    let takers: Vec<&str> = takers.map(|row| &*row.kind.name).collect();
    let (option, right) = (options::form_of(option), options::right_form(options::form_of(option)));
    let mode = targets.first().map(Target::mode).unwrap_or_default();
    Usage::new(
        format!("`{mode}` does not take `{option}`"),
        format!("`{option}` is for {}: {right}", takers.join(" and ")),
    )
}

/// `-wr` and `-we` say what is demanded, too; what an environment adds to a mode is meant for other waits.
fn check_mode(target: &Target, typed: &str, option: &str) -> Result<(), Usage> {
    let plain = &target.kind.name;
    let suffix = target.demand.suffix();
    if suffix.is_empty() || !typed.ends_with(suffix) {
        return Ok(());
    }
    let problem = format!("`{typed}` and `{option}` both set the condition");
    let other_end = if option == "--for" { "; `--or-for` adds an alternative" } else { "" };
    Err(Usage::new(problem, format!("`{plain}` with `{option}`, or `{typed}` without{other_end}")))
}

/// A name selects alone, for a pod.
fn check_same_node(target: &Target, typed: &str) -> Result<(), Usage> {
    let is_pod = target.kind.name == "pod";
    if is_pod && let Some(name) = &target.selection.name {
        let problem = format!("`{name}` with `--same-node`: a name already selects one object");
        return Err(Usage::new(problem, format!("`{typed} -lapp=db --same-node`")));
    }
    let is_on_node = is_pod || target.demand == Demand::Every;
    if !is_on_node {
        let problem = format!("`--for` checks `{typed}` itself, `--same-node` only its pod on one node");
        return Err(Usage::new(problem, "leave out one of them"));
    }
    Ok(())
}
