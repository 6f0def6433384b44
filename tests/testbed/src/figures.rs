//! What was measured, beside the bound that it has to keep.
#![expect(clippy::missing_panics_doc, reason = "a test fails by a panic: a bound that is not kept is one")]

use std::{
    io::{Write, stdout},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// What any figure may be late, on a machine with other things to do.
const SLACK: Duration = Duration::from_secs(2);

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(fault: &str, measured: &str, bound: &str) {
    keep(&format!("{fault:<64} {measured:>12}   {bound}"));
}

/// Lines that another process has measured.
pub(crate) fn keep(lines: &str) {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).extend(lines.lines().map(str::to_owned));
}

/// A timer of the tool's own. It is shown beside its bound, and may be late by as much as a busy machine makes it.
#[track_caller]
pub fn within(bound: Duration, fault: &str, measured: Duration) {
    let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
    note(fault, &seconds(measured), &format!("{} at most", seconds(bound)));
    assert!(measured <= bound + SLACK, "{fault}: {measured:?}, and the bound is {bound:?}");
}

/// A deadline or a back-off that must not be early either.
#[track_caller]
pub fn not_before(due: Duration, late: Duration, fault: &str, measured: Duration) {
    assert!(measured >= due, "{fault}: {measured:?} is before {due:?}");
    within(late, &format!("{fault}: late by"), measured.saturating_sub(due));
}

/// Requests a second in a steady state.
#[track_caller]
pub fn rate_below(bound: f64, fault: &str, requests: usize, window: Duration) {
    let rate = f64::from(u32::try_from(requests).unwrap_or(u32::MAX)) / window.as_secs_f64();
    note(fault, &format!("{rate:.2}/s"), &format!("below {bound}/s"));
    assert!(rate < bound, "{fault}: {requests} requests in {window:?}");
}

/// Something to be seen, whatever it is.
pub fn shown(fault: &str, measured: &str) {
    note(fault, measured, "");
}

/// The table, once all is over; nothing where nothing was measured.
pub(crate) fn print() {
    let mut lines = std::mem::take(&mut *LINES.lock().unwrap_or_else(PoisonError::into_inner));
    lines.sort();
    for line in lines {
        // A reader that has gone does not matter.
        drop(writeln!(stdout(), "{line}"));
    }
}
