//! The live view on a terminal: one line for each target, redrawn in place below the transcript, gone at the end.
//!
//! It keeps what is on the screen and says what has to be written; writing is `output`'s. The cursor rests on an empty
//! line above the rows. From there everything below can be erased, whatever a resize has made of it: some terminals
//! wrap what became too long, others cut it. And what somebody types (`^C`) shows up where it harms nothing.

use std::io;
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

use super::layout::{self, Size};
use super::lines::Row;
use super::style::State;

/// To where it was saved (DECRC).
const RESTORE: &str = "\x1b8";
/// The line and all below it, in two steps: what is erased from the upper left corner tmux keeps in its history.
const ERASE: &str = "\x1b[K\x1b[B\x1b[J\x1b[A";

/// What to draw, and what was drawn.
pub struct Live {
    color: bool,
    rows: Vec<Row>,
    /// how long each took to be ready
    took: Vec<Option<Duration>>,
    started: Instant,
    /// what is on the screen, and the size that this was made for
    drawn: Option<(Size, Vec<String>)>,
}

impl Live {
    /// Nothing is drawn yet.
    pub fn start(color: bool) -> Self {
        Self { color, rows: Vec::new(), took: Vec::new(), started: Instant::now(), drawn: None }
    }

    /// What [`Live::draw`] draws from now on: as many rows as before, or none.
    pub fn show(&mut self, rows: Vec<Row>) {
        let elapsed = self.started.elapsed();
        self.took.resize(rows.len(), None);
        for (took, row) in self.took.iter_mut().zip(&rows) {
            *took = (row.state == State::Ready).then(|| took.unwrap_or(elapsed));
        }
        self.rows = rows;
    }

    /// What to write so that a terminal of this size shows the rows. If it does, the cursor goes back to where it was
    /// before somebody typed: a resize would take it along.
    pub fn draw(&mut self, size: Size) -> String {
        let elapsed = self.started.elapsed();
        let rows = self.rows.iter().zip(&self.took).map(|(row, took)| (row, took.unwrap_or(elapsed))).collect();
        let lines = layout::lines(rows, size, self.color);
        if self.drawn.as_ref().is_some_and(|(at, drawn)| *at == size && *drawn == lines) {
            return RESTORE.to_owned();
        }
        let mut text = self.erase(size);
        if !lines.is_empty() {
            text += &drawing(&lines);
            self.drawn = Some((size, lines));
        }
        text
    }

    /// What to write before anything else is said, on a terminal of this size.
    pub fn erase(&mut self, size: Size) -> String {
        match self.drawn.take() {
            None => String::new(),
            // What was saved may be any place now; the cursor is where it was in the text.
            Some((at, _)) if at != size => format!("\r{ERASE}"),
            Some(_) => format!("{RESTORE}{ERASE}"),
        }
    }
}

/// No line wraps (DECAWM), even if the terminal is narrower than a moment ago or shows a character wider than it should
/// be: so many lines down, so many up.
fn drawing(lines: &[String]) -> String {
    format!("\x1b[?7l\r\n{}\x1b[{}A\r\x1b[?7h\x1b7", lines.join("\r\n"), lines.len())
}

/// Of the terminal that is stdout; one that does not say gets what terminals have had for long.
pub fn size() -> Size {
    let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
    Size { rows: rows.into(), columns: columns.into() }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use vt100::Parser;

    use super::*;

    fn lengths(size: Size) -> (NonZeroU16, NonZeroU16) {
        let length = |length| u16::try_from(length).ok().and_then(NonZeroU16::new).expect("a screen is small");
        (length(size.rows), length(size.columns))
    }

    fn blank(size: Size) -> Parser {
        let (rows, columns) = lengths(size);
        Parser::new(rows, columns, 0)
    }

    fn shown(terminal: &Parser) -> Vec<String> {
        let screen = terminal.screen();
        let mut rows: Vec<String> =
            screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect();
        rows.truncate(rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1));
        rows
    }

    /// Most terminals wrap what has become too long; the cursor stays where it was in the text.
    fn wrap(terminal: &mut Parser, size: Size) {
        let (rows, cursor) = (shown(terminal), usize::from(terminal.screen().cursor_position().0));
        let heights = rows.iter().map(|row| row.chars().count().div_ceil(size.columns).max(1));
        let up: usize = heights.skip(cursor).sum();
        *terminal = blank(size);
        terminal.process(format!("{}\r\x1b[{}A", rows.join("\r\n"), up.saturating_sub(1)).as_bytes());
    }

    fn cut(terminal: &mut Parser, size: Size) {
        let (rows, columns) = lengths(size);
        terminal.screen_mut().set_size(rows, columns);
    }

    fn row(index: usize) -> Row {
        let state = if index.is_multiple_of(2) { State::Ready } else { State::Waiting };
        let text = "a reason that needs some room".repeat(index % 7);
        Row { state, target: format!("configmap/settings-{index}"), text }
    }

    /// Typed in between, told in between, in a terminal with so many spare rows that all that was told is in sight.
    fn told_after_resizes(resize: fn(&mut Parser, Size), targets: usize, spare: usize) -> usize {
        let sizes = [(15, 80), (15, 40), (15, 12), (15, 200), (8, 30), (30, 100), (4, 20), (20, 60)];
        let sizes = sizes.map(|(rows, columns)| Size { rows: rows + spare, columns });
        let (mut live, mut screen, mut told) = (Live::start(false), blank(sizes[0]), 0);
        live.show((0..targets).map(row).collect());
        for size in sizes {
            resize(&mut screen, size);
            screen.process(live.draw(size).as_bytes());
            screen.process(b"\r\n^C");
            screen.process(live.erase(size).as_bytes());
            screen.process(b"[time] told\r\n");
            screen.process(live.draw(size).as_bytes());
            let lines = shown(&screen);
            told = lines.iter().take_while(|line| *line == "[time] told").count();
            let (_, drawn) = live.drawn.as_ref().expect("it is drawn");
            assert!(told > 0 && lines[told].is_empty() && lines[told + 1..] == *drawn, "{size:?}: {lines:#?}");
            screen.process(b"\r\n");
            assert_eq!(live.draw(size), RESTORE, "it is drawn only when something has changed");
            screen.process(RESTORE.as_bytes());
        }
        told
    }

    #[test]
    fn nothing_of_it_is_left_whatever_a_terminal_does() {
        for resize in [wrap, cut] {
            assert_eq!(told_after_resizes(resize, 3, 60), 8, "nothing else is erased");
            told_after_resizes(resize, 30, 0);
        }
    }
}
