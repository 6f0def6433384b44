//! How a test program runs: it decides from `main` where its cluster is, enters the namespaces for one of its own, and
//! runs its tests there side by side. Listing tests, or a filter that leaves none, needs no cluster.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::{Arc, Once, OnceLock},
};

use anyhow::{Context, Error, Result};
use libtest_mimic::{Arguments, Completion, Trial};

use crate::{Cluster, Namespace, enter, figures, machine, setup};

/// What the tests of a program need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// An API server and the controllers: objects come and go, pods do not run.
    ControlPlane,
    /// A control plane of its own for each test, which may do to it what it likes.
    ControlPlaneEach,
    /// A node too, which runs pods. Only root can have one of its own.
    Node,
}

/// A test and what it does to its cluster.
#[derive(Clone, Copy)]
pub struct Test {
    name: &'static str,
    run: fn(&Namespace),
    own_cluster: bool,
}

impl Test {
    /// A test that stays in the namespace it is given, so that any cluster may serve it.
    pub const fn new(name: &'static str, run: fn(&Namespace)) -> Self {
        Self { name, run, own_cluster: false }
    }

    /// It reads the audit log, controls processes, or changes things outside its namespace: never on a user's cluster.
    #[must_use]
    pub const fn of_own_cluster(self) -> Self {
        Self { own_cluster: true, ..self }
    }
}

/// An array of [`Test`] from functions by their modules, each named as it is called: `tests![jobs: a, b; pods: c]`.
#[macro_export]
macro_rules! tests {
    ($($module:ident: $($test:ident),* $(,)?);* $(;)?) => {
        [$($($crate::Test::new(stringify!($test), $module::$test)),*),*]
    };
}

/// Runs the tests as `cargo test` expects it, so many at a time unless the command line says another number; call it
/// from `main`, see [`enter::enter`]. Tests wait most of the time, so more of them than cores do no harm.
pub fn run_tests(threads: usize, needs: Needs, tests: impl IntoIterator<Item = Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(threads);
    let code = run(needs, &tests.into_iter().collect::<Vec<_>>(), &arguments).unwrap_or_else(|error| {
        machine::progress(&format!("{error:#}"));
        ExitCode::FAILURE
    });
    figures::print();
    code
}

fn run(needs: Needs, tests: &[Test], arguments: &Arguments) -> Result<ExitCode> {
    if let Some(name) = setup::only_test() {
        return run_alone(tests, &name);
    }
    let existing = setup::uses_existing_cluster();
    let inside = enter::inside();
    let place: Arc<OnceLock<Cluster>> = Arc::default();
    let refusals: Vec<_> = tests.iter().map(|test| refusal(needs, *test, existing)).collect();
    let trials: Vec<Trial> =
        tests.iter().zip(&refusals).map(|(test, refusal)| trial(needs, *test, *refusal, Arc::clone(&place))).collect();
    let selected = |(trial, refusal): (&Trial, &Option<_>)| !arguments.is_filtered_out(trial) && refusal.is_none();
    let in_need = !arguments.list && trials.iter().zip(&refusals).any(selected);
    if in_need && needs == Needs::ControlPlaneEach {
        setup::prepare_alone()?;
        return Ok(libtest_mimic::run(arguments, trials).exit_code());
    }
    if in_need && !existing && inside.is_none() {
        return setup::enter(needs == Needs::Node, false).map(ExitCode::from);
    }
    if in_need {
        let cluster = if existing { Cluster::existing() } else { setup::start_cluster(needs == Needs::Node) };
        place.set(cluster.context("no cluster to test against")?).ok().context("one cluster a program")?;
    }
    Ok(libtest_mimic::run(arguments, trials).exit_code())
}

/// Why this test cannot run here, or `None`.
fn refusal(needs: Needs, test: Test, existing: bool) -> Option<&'static str> {
    match (existing, needs) {
        (true, needs) if test.own_cluster || needs == Needs::ControlPlaneEach => Some("needs a cluster of its own"),
        (false, Needs::Node) if !setup::may_have_node() => Some("needs a node, and only root can have one"),
        _ => None,
    }
}

fn trial(needs: Needs, test: Test, refusal: Option<&'static str>, place: Arc<OnceLock<Cluster>>) -> Trial {
    Trial::ignorable_test(test.name, move || {
        if let Some(reason) = refusal {
            return Ok(Completion::ignored_with(reason));
        }
        if needs == Needs::ControlPlaneEach {
            let output = setup::alone(test.name).map_err(|error| format!("{error:#}"))?;
            figures::keep(&String::from_utf8_lossy(&output.stdout));
            let failure = || String::from_utf8_lossy(&output.stderr).into_owned();
            return if output.status.success() { Ok(Completion::Completed) } else { Err(failure().into()) };
        }
        let cluster = place.get().ok_or("the cluster is started before its tests")?;
        in_namespace(cluster, test.name, test.run)?;
        Ok(Completion::Completed)
    })
}

/// The part of [`Needs::ControlPlaneEach`] that is played inside: what it has to report goes to stderr.
fn run_alone(tests: &[Test], name: &str) -> Result<ExitCode> {
    let test = tests.iter().find(|test| test.name == name).context("the test is one of this program's")?;
    let cluster = setup::start_cluster(false)?;
    in_namespace(&cluster, test.name, test.run).map_err(Error::msg)?;
    Ok(ExitCode::SUCCESS)
}

thread_local! {
    /// What a panic of this thread said, and where; `None` where it is nobody's report.
    static REPORT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs this in a namespace of its own.
///
/// # Errors
/// It panicked: what it said, and the state of its namespace, which is gone afterwards.
pub fn in_namespace(cluster: &Cluster, stem: &str, run: impl FnOnce(&Namespace)) -> Result<(), String> {
    report_panics();
    REPORT.set(Some(String::new()));
    let attempt = panic::catch_unwind(AssertUnwindSafe(|| {
        let namespace = Namespace::create(cluster, stem);
        panic::catch_unwind(AssertUnwindSafe(|| run(&namespace))).map_err(|_| namespace.describe())
    }));
    let report = REPORT.take().unwrap_or_default();
    match attempt {
        Ok(Ok(())) => Ok(()),
        Ok(Err(state)) => Err(format!("{report}\n\n{state}")),
        Err(_) => Err(report),
    }
}

/// Keeps the panics of tests for their reports: the default hook writes each among the lines of other tests.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |information| {
            let note = |report: &mut Option<String>| report.as_mut().map(|text| *text += &information.to_string());
            if REPORT.with_borrow_mut(note).is_none() {
                usual(information);
            }
        }));
    });
}
