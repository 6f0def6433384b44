//! Whether anybody looks at a query's objects, and since when: a state that nobody looks at proves nothing of now.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Known, Step};
use crate::api::watch::Update;
use crate::target::Resource;

/// What is seen of one query, or of several together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sight {
    /// changes are seen as they happen
    live: bool,
    /// requests fail, and nobody has looked since
    pub is_failing: bool,
    /// Until when the present state is known to have held, unless somebody looks right now; `None` before the first
    /// look.
    held: Option<Instant>,
    /// the API server's clock at some moment
    clock: Option<(Timestamp, Instant)>,
}

/// What an update says of the objects.
pub enum Change<T> {
    /// these are all
    All(Vec<T>),
    One(T),
    Gone(T),
    /// nothing, but this is to be told
    Told(Step),
    Nothing,
}

impl Sight {
    /// Takes note of an update of objects of this resource.
    pub fn take<T>(&mut self, update: Update<T>, resource: &Resource) -> Change<T> {
        match update {
            Update::Listed(listed) => {
                self.held = Some(listed.asked);
                self.clock = Some((listed.date, Instant::now()));
                self.is_failing = false;
                return Change::All(listed.objects);
            }
            Update::Applied(object) => return Change::One(object),
            Update::Deleted(object) => return Change::Gone(object),
            // Only now are requests known to work: a watch that opened may still have to bring what happened before.
            Update::Live => (self.live, self.is_failing) = (true, false),
            Update::Blind => (self.live, self.held) = (false, Some(Instant::now())),
            Update::Failed(failure) => {
                self.is_failing = true;
                return Change::Told(Step::Outage(failure));
            }
            // Only what comes next shows how things stand.
            Update::Recovered => return Change::Told(Step::Recovered),
            Update::Method(method) => return Change::Told(Step::Method(method, resource.plural.clone())),
        }
        Change::Nothing
    }

    /// Whether there was a look.
    pub fn has_looked(&self) -> bool {
        self.held.is_some()
    }

    /// Whether the present state is known to have held at this moment, or later.
    pub fn covers(&self, moment: Instant) -> bool {
        let held = self.live || self.held.is_some_and(|held| held >= moment);
        !self.is_failing && moment <= Instant::now() && held
    }

    /// The sight of two queries together: what is seen live does not limit what is known of the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        // Both must have been looked at. Of two that nobody looks at right now, the older look says how much is known.
        let held = self.held.zip(other.held).map(|(one, two)| match (self.live, other.live) {
            (true, false) => two,
            (false, true) => one,
            _ => one.min(two),
        });
        Self {
            live: self.live && other.live,
            is_failing: self.is_failing || other.is_failing,
            held,
            clock: self.clock.or(other.clock),
        }
    }

    /// The API server's time, as far as it is known.
    pub fn now(&self) -> Timestamp {
        self.clock.map_or(Timestamp::UNIX_EPOCH, |(date, answered)| {
            let since = SignedDuration::try_from(answered.elapsed()).unwrap_or_default();
            date.saturating_add(since).unwrap_or(date)
        })
    }

    pub fn known(&self) -> Option<Known> {
        if self.live { Some(Known::Live) } else { self.held.map(Known::Since) }
    }
}
