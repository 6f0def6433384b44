//! One open watch: its lines, how long it may be silent or stay open, and when it has proved to be of use.

use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};

use super::event::End;
use crate::api::client::Lines;

/// A watch that ends sooner and brought nothing is reopened only after a back-off.
pub const SHORT: Duration = Duration::from_secs(1);
/// Bookmarks come every 60 s, also for a quiet object. A stream that has had one and then nothing for so long has lost
/// its server, even if a proxy in between still answers keepalives.
const HEARTBEAT: Duration = Duration::from_secs(90);
/// How much longer than asked for a watch may stay open before it is given up.
const OVERTIME: Duration = Duration::from_secs(10);
/// How long a resumed watch may take at most to bring what has happened before it was opened.
const CATCH_UP: Duration = Duration::from_millis(500);

/// A watch that is open.
pub struct Following {
    lines: Lines,
    /// the last version seen, to resume from
    pub version: String,
    pub opened: Instant,
    pub limit: Instant,
    /// of the last line, if there was one
    pub heard: Option<Instant>,
    /// by when it has brought what had happened before it was opened
    caught_up: Instant,
    /// that moment has come
    pub live: bool,
    /// it is known to be of use
    pub good: bool,
}

impl Following {
    /// Opened just now for so many seconds, from this version; `seen` is until when nothing can have been missed.
    pub fn new(lines: Lines, version: String, seconds: u32, seen: Instant) -> Self {
        let opened = Instant::now();
        Self {
            lines,
            version,
            opened,
            limit: opened + Duration::from_secs(seconds.into()) + OVERTIME,
            heard: None,
            // What happened meanwhile comes right after the opening. Nothing marks its end (a bookmark may come a
            // minute later), so that it gets as long as nobody looked, at most half a second.
            caught_up: opened + seen.elapsed().min(CATCH_UP),
            live: false,
            good: false,
        }
    }

    /// The next line.
    ///
    /// # Errors
    /// There is none, and why.
    pub async fn next(&mut self) -> Result<BytesMut, End> {
        let silence = self.heard.map_or(self.limit, |heard| (heard + HEARTBEAT).min(self.limit));
        let Ok(line) = timeout_at(silence, self.lines.next()).await else {
            let overtime = silence == self.limit && self.heard.is_some();
            return Err(if overtime { End::Broken("overtime".to_owned()) } else { End::Silent });
        };
        let line = line?.ok_or(End::Closed)?;
        self.heard = Some(Instant::now());
        Ok(line)
    }

    /// When it is to be known for live, and then for good.
    pub fn next_stage(&self) -> Option<Instant> {
        match self {
            Self { live: false, .. } => Some(self.caught_up),
            Self { good: false, .. } => Some(self.opened + SHORT),
            _ => None,
        }
    }
}
