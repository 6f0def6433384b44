//! The layout of the live view: rows and a size in, lines out.
//!
//! Pure; what is on the screen and how it gets there is `live`'s. Widths are those on the screen, where a wide character
//! takes two columns.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::lines::Row;
use super::style::State;

/// What stays free for the transcript, and the empty line below it.
const MARGIN: usize = 3;
/// From so many columns on a state is a word; in fewer it is a letter.
const WORDS: usize = 40;
/// From so many columns on there is the time, too.
const TIMES: usize = 60;
/// The longest state and the longest time of the first hour: columns that seldom move.
const STATE: usize = 7;
const TIME: usize = 7;
/// A shorter name is not cut for the sake of a reason.
const SHORT_NAME: usize = 12;
/// In fewer columns a reason says nothing.
const SHORT_REASON: usize = 8;
/// Between two columns, but one space behind the state.
const GAP: &str = "  ";

/// Of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub rows: usize,
    pub columns: usize,
}

/// The lines for these rows, each with the time that it took or takes; none fills more than the width. What is open
/// comes first, and what does not fit is counted in the last line.
pub fn lines(mut rows: Vec<(&Row, Duration)>, size: Size, color: bool) -> Vec<String> {
    rows.sort_by_key(|(row, _)| rank(row.state));
    let room = size.rows.saturating_sub(MARGIN);
    let shown = if rows.len() > room { room.saturating_sub(1) } else { rows.len() };
    let (shown, rest) = rows.split_at(shown);
    let columns = Columns::of(shown, size.columns);
    let lines = shown.iter().map(|(row, time)| columns.line(row, *time, color));
    lines.chain(more(rest).map(|text| fitted(&text, size.columns, 0))).take(room).collect()
}

fn rank(state: State) -> u8 {
    match state {
        State::Waiting | State::Unknown => 1,
        State::Ready => 2,
        _ => 0,
    }
}

/// `15 more: 3 waiting, 12 ready`
fn more(rows: &[(&Row, Duration)]) -> Option<String> {
    let count = |state: State| rows.iter().filter(|(row, _)| row.state == state).count();
    let states = [State::Failed, State::Waiting, State::Unknown, State::Ready].map(|state| (count(state), state));
    let counts = states.iter().filter(|(count, _)| *count > 0).map(|(count, state)| format!("{count} {state}"));
    let counts: Vec<String> = counts.collect();
    (!rows.is_empty()).then(|| format!("{} more: {}", rows.len(), counts.join(", ")))
}

/// How wide each column is; one without a width is left out.
struct Columns {
    state: usize,
    name: usize,
    time: usize,
    reason: usize,
}

impl Columns {
    fn of(rows: &[(&Row, Duration)], width: usize) -> Self {
        let widest = |text: fn(&Row) -> &str| rows.iter().map(|(row, _)| text(row).width()).max().unwrap_or_default();
        let (name, reason) = (widest(|row| &row.target), widest(|row| &row.text));
        let state = if width < WORDS { 1 } else { STATE };
        let longest = rows.iter().map(|(_, time)| shown(*time).len()).fold(TIME, usize::max);
        let time = if width < TIMES { 0 } else { longest };
        let taken = state + 1 + if time > 0 { GAP.len() + time } else { 0 };
        let left = width.saturating_sub(taken);
        // A third, or what the reasons leave.
        let share = (left / 3).max(left.saturating_sub(reason + GAP.len())).max(SHORT_NAME).min(left);
        let left_for_reason = left.saturating_sub(name.min(share) + GAP.len());
        if left_for_reason < SHORT_REASON.min(reason) {
            return Self { state, name: name.min(left), time, reason: 0 };
        }
        Self { state, name: name.min(share), time, reason: left_for_reason }
    }

    fn line(&self, row: &Row, time: Duration, color: bool) -> String {
        let state = format!("{:.*}", self.state, row.state);
        let gap = " ".repeat(self.state + 1 - state.len());
        // Names differ at their ends.
        let name = padded(&fitted(&row.target, self.name, self.name / 2), self.name);
        let time = if self.time > 0 { format!("{GAP}{:>1$}", shown(time), self.time) } else { String::new() };
        let rest = format!("{gap}{name}{time}{GAP}{}", fitted(&row.text, self.reason, 0));
        row.state.color(&state, color) + rest.trim_end()
    }
}

/// In whole seconds.
fn shown(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(text.width()))
}

/// Text of at most this width; if it is cut, `tail` of it shows its end.
fn fitted(text: &str, width: usize, tail: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(head) = width.checked_sub(tail + 1) else { return String::new() };
    let end: Vec<char> = within(text.chars().rev(), tail).collect();
    within(text.chars(), head).chain(['…']).chain(end.into_iter().rev()).collect()
}

/// As many characters as have this width.
fn within(chars: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    let widths = chars.scan(0, |used, char| {
        *used += char.width().unwrap_or_default();
        Some((char, *used))
    });
    widths.take_while(move |(_, used)| *used <= width).map(|(char, _)| char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::without_escapes;

    fn row(state: State, target: &str, text: &str) -> Row {
        Row { state, target: target.to_owned(), text: text.to_owned() }
    }

    /// In all states, with a name of 90 characters and with wide ones.
    fn rows() -> Vec<Row> {
        let long = format!("deployment/{}backend", "checkout-".repeat(8));
        vec![
            row(State::Ready, "secret/tls", ""),
            row(State::Waiting, "job/migrate", "the Job is running, 1 pod active, 0 of 1 succeeded"),
            row(State::Unknown, "file//tmp/移行データベース", "移行がまだ終わっていないので待っています"),
            row(State::Waiting, &long, "1 of 3 pods ready"),
            row(State::Failed, "pod/db-0", "pod db-0 has failed"),
        ]
    }

    fn laid(rows: &[Row], height: usize, width: usize, color: bool) -> Vec<String> {
        let times = rows.iter().zip(1..).map(|(row, index)| (row, Duration::from_millis(index * 30_500)));
        lines(times.collect(), Size { rows: height, columns: width }, color)
    }

    #[test]
    fn columns_share_the_width() {
        let table = [
            (12, ["f pod/db-0", "w job/…grate", "u file…ース", "w depl…ckend", "r secret/tls"]),
            (20, ["f pod/db-0", "w job/migrate", "u file//tm…タベース", "w deployme…t-backend", "r secret/tls"]),
            (
                40,
                [
                    "failed  pod/db-0      pod db-0 has fail…",
                    "waiting job/migrate   the Job is runnin…",
                    "unknown file/…ベース  移行がまだ終わっ…",
                    "waiting deplo…ackend  1 of 3 pods ready",
                    "ready   secret/tls",
                ],
            ),
            (
                80,
                [
                    "failed  pod/db-0                2m 32s  pod db-0 has failed",
                    "waiting job/migrate              1m 1s  the Job is running, 1 pod active, 0 of …",
                    "unknown file//tmp/…ータベース   1m 31s  移行がまだ終わっていないので待っています",
                    "waiting deployment…ut-backend    2m 2s  1 of 3 pods ready",
                    "ready   secret/tls                 30s",
                ],
            ),
        ];
        for (width, expected) in table {
            assert_eq!(laid(&rows(), 24, width, false), expected, "{width}");
        }
        let long = format!("deployment/{}backend", "checkout-".repeat(8));
        let wide =
            [format!("waiting {long}    2m 2s  1 of 3 pods ready"), format!("ready   {:<90}      30s", "secret/tls")];
        assert_eq!(laid(&rows(), 24, 200, false)[3..], wide);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let table = [
            (8, vec!["f pod/db-0", "w job/…grate", "u file…ース", "w depl…ckend", "r secret/tls"]),
            (7, vec!["f pod/db-0", "w job/…grate", "u file…ース", "2 more: 1 w…"]),
            (4, vec!["5 more: 1 f…"]),
            (3, vec![]),
            (0, vec![]),
        ];
        for (height, expected) in table {
            assert_eq!(laid(&rows(), height, 12, false), expected, "{height}");
        }
        assert_eq!(laid(&rows(), 6, 80, false)[2], "3 more: 1 waiting, 1 unknown, 1 ready");
        assert_eq!(laid(&rows()[..2], 5, 80, false).len(), 2, "nothing is left out where all fit");
    }

    #[test]
    fn no_line_exceeds_any_width_and_colors_take_none() {
        for width in 0..=200 {
            let plain = laid(&rows(), 24, width, false);
            assert!(plain.iter().all(|line| line.width() <= width.max(1)), "{width}: {plain:#?}");
            let colored = laid(&rows(), 24, width, true);
            let without: Vec<String> = colored.iter().map(|line| without_escapes(line)).collect();
            assert_eq!(without, plain, "{width}");
        }
    }
}
