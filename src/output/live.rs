//! The live view on a terminal: one line for each target, redrawn in place below the transcript, gone at the end.
//!
//! indicatif draws, measures the terminal each time and cuts lines to its width. Only `output`'s thread is here.

use std::io;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::lines::Row;
use super::style::State;

/// Draws; erases what it has drawn when it is dropped.
pub struct Live {
    screen: MultiProgress,
    color: bool,
    lines: Vec<Drawn>,
    started: Instant,
}

struct Drawn {
    bar: ProgressBar,
    row: Row,
    /// how long it took to be ready
    took: Option<Duration>,
}

impl Live {
    /// Nothing is drawn yet.
    pub fn start(color: bool) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        Self { screen, color, lines: Vec::new(), started: Instant::now() }
    }

    /// Draws these rows; their number stays the same.
    pub fn show(&mut self, rows: Vec<Row>) {
        while self.lines.len() < rows.len() {
            let style = ProgressStyle::with_template("{prefix}{wide_msg}").expect("the template is one");
            let bar = self.screen.add(ProgressBar::no_length().with_style(style));
            let row = Row { state: State::Unknown, target: String::new(), text: String::new() };
            self.lines.push(Drawn { bar, row, took: None });
        }
        let elapsed = self.started.elapsed();
        for (line, row) in self.lines.iter_mut().zip(rows) {
            line.took = (row.state == State::Ready).then(|| line.took.unwrap_or(elapsed));
            line.row = row;
        }
        self.tick();
    }

    /// Draws again, with the time that has passed.
    pub fn tick(&mut self) {
        let width = self.lines.iter().map(|line| line.row.target.len()).max().unwrap_or_default();
        for Drawn { bar, row, took } in &self.lines {
            let elapsed =
                humantime::format_duration(Duration::from_secs(took.unwrap_or(self.started.elapsed()).as_secs()));
            let state = row.state.color(&format!("{:<8}", row.state), self.color);
            bar.set_prefix(format!("{state}{:<width$}  {elapsed:>7}  ", row.target));
            bar.set_message(row.text.clone());
        }
    }

    /// Writes something else above it.
    pub fn aside(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.screen.suspend(write)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.screen.clear();
    }
}
