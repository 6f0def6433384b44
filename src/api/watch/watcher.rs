//! The loop behind a query's stream: when to list, when to watch, when to poll, and for how long to pause in between.
//!
//! After a list it watches; a watch that ends is resumed from the last version. Where watches do not open or come to
//! nothing, lists have to say whether it is a matter of watches alone: then it polls, and tries a watch beside the
//! polls.

use std::collections::VecDeque;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::event::{End, Event, read, read_as_written, version};
use super::following::{Following, SHORT};
use super::list::{Lister, Seen, Sink};
use super::refused::{MUTE, Refused};
use super::{Listed, LookBy, Method, NoWatch, Query, Update};
use crate::api::backoff::{Backoff, Cost, Poll};
use crate::api::client::{Client, Lines};
use crate::api::failure::{Class, Failure};

/// A watch that lasted so long shows that the connection is good again.
const HEALTHY: Duration = Duration::from_secs(10);
/// How many watches in a row may fail to open or come to nothing before lists are asked for instead: something between
/// here and the API server may let lists through and no watch.
const TRIES: u32 = 3;
/// How long all of these may take.
const BLIND: Duration = Duration::from_secs(15);
/// What the opening of a watch gets at least.
const OPENING: Duration = Duration::from_secs(5);

pub struct Watcher {
    lister: Lister,
    /// after requests that failed
    backoff: Backoff,
    /// after watches that were opened and came to nothing: a good list between two of them does not make them better
    reopening: Backoff,
    poll: Poll,
    /// before the next request
    pause: Duration,
    phase: Phase,
    /// what the reader gets next
    queue: VecDeque<Update<()>>,
    /// the reader was told of a failure and not yet of its end
    failed: bool,
    // Both ends, so that the channel never closes.
    #[expect(dead_code, reason = "keeps the channel open")]
    look_by: LookBy,
    wishes: watch::Receiver<Option<Instant>>,
    /// when the last good list was asked for
    asked: Option<Instant>,
    /// its version, while there are polls
    listed: String,
    /// until when nothing can have been missed
    seen: Instant,
    /// when a list was tried last, or a watch was open
    tried: Instant,
    /// what the last list has cost
    cost: Option<Cost>,
    /// watches in a row that did not open or came to nothing
    useless: u32,
    /// the last of these: lists have to say whether it is a matter of watches alone
    suspicion: Option<Failure>,
    /// the version to resume from if they fail
    resume: Option<String>,
    list_refused: Option<Refused>,
    /// watches are of no use at present, and why
    blocked: Option<(Refused, NoWatch)>,
    /// a watch that is being opened beside the polls, to see whether that works again
    probe: Option<LocalBoxFuture<'static, Result<(Lines, u32), Failure>>>,
    method: Method,
}

enum Phase {
    /// list (or get)
    Look,
    /// open a watch from this version
    Open(String),
    /// read the watch
    Follow(Following),
    /// nothing more is wanted
    Over,
}

impl Watcher {
    /// For this query; objects go to the sink.
    pub fn new(client: Client, query: Query, pause: Option<Duration>, look_by: &LookBy, sink: Sink) -> Self {
        Self {
            lister: Lister::new(client, query, sink),
            backoff: Backoff::default(),
            reopening: Backoff::default(),
            poll: Poll::new(pause),
            pause: Duration::ZERO,
            phase: Phase::Look,
            queue: VecDeque::new(),
            failed: false,
            look_by: look_by.clone(),
            wishes: look_by.0.subscribe(),
            asked: None,
            listed: String::new(),
            seen: Instant::now(),
            tried: Instant::now(),
            cost: None,
            useless: 0,
            suspicion: None,
            resume: None,
            list_refused: None,
            blocked: None,
            probe: None,
            method: Method::Watch,
        }
    }

    /// What happens next. One update at a time is about objects: what was read for it is the sink's until the next
    /// call.
    pub async fn next(&mut self) -> Update<()> {
        loop {
            if let Some(update) = self.queue.pop_front() {
                return update;
            }
            let step = match &mut self.phase {
                Phase::Look => self.look().await,
                Phase::Open(version) => {
                    let version = std::mem::take(version);
                    self.open(version).await
                }
                Phase::Follow(_) => {
                    self.follow().await;
                    Ok(())
                }
                Phase::Over => std::future::pending().await,
            };
            if let Err(failure) = step {
                self.pause = self.backoff.next(failure.retry_after);
                tracing::debug!(%failure, pause = ?self.pause, "request failed");
                self.tell_failure(failure);
            }
        }
    }

    fn tell_failure(&mut self, failure: Failure) {
        self.failed = true;
        self.queue.push_back(Update::Failed(failure));
    }

    /// Lists or, where that is refused, gets; decides whether to watch or to poll afterwards.
    async fn look(&mut self) -> Result<(), Failure> {
        let reopen = self.rest().await == Rested::WatchOpens;
        let asked = Instant::now();
        let seen = self.list_or_get().await;
        self.tried = Instant::now();
        let (resume, suspicion) = (self.resume.take(), self.suspicion.take());
        let Seen { version, date, bytes, took } = match (seen, resume) {
            (Ok(seen), _) => seen,
            // It is not watches alone that fail: what resuming brings is not given away for a list.
            (Err(failure), Some(version)) => {
                self.useless = 0;
                self.phase = Phase::Open(version);
                return Err(failure);
            }
            (Err(failure), None) => return Err(failure),
        };
        // Lists work, so watches alone do not: from here on it polls.
        if let Some(failure) = suspicion {
            self.block(&failure);
        }
        self.backoff.reset();
        // The list shows how things stood when it was asked for, or later: what happened since may be in it or not.
        (self.asked, self.seen) = (Some(asked), asked);
        // One object costs the same each time.
        self.cost = self.lister.query().name.is_none().then_some(Cost { took, bytes });
        self.recovered();
        self.queue.push_back(Update::Listed(Listed { objects: Vec::new(), date, asked }));
        if self.lister.query().once {
            self.phase = Phase::Over;
            return Ok(());
        }
        if self.blocked.is_none() || reopen {
            self.phase = Phase::Open(version);
            return Ok(());
        }
        self.listed = version;
        self.pause = self.until_poll();
        self.tell_method();
        Ok(())
    }

    /// Until the next list by the rhythm of the polls, whatever was tried meanwhile.
    fn until_poll(&self) -> Duration {
        let last = self.asked.unwrap_or_else(Instant::now);
        (last + self.poll.next(self.cost)).saturating_duration_since(Instant::now())
    }

    /// Until the next request is due: after a failure its back-off, else sooner where somebody wants to know.
    async fn rest(&mut self) -> Rested {
        let pause = std::mem::take(&mut self.pause);
        if pause.is_zero() {
            return Rested::Over;
        }
        let until = Instant::now() + pause;
        // A wish does not shorten a back-off: thousands of waiters have the same one when their server is down.
        if self.failed {
            sleep_until(until).await;
            return Rested::Over;
        }
        loop {
            let until = self.wish().map_or(until, |wish| wish.min(until));
            let next_try = self.blocked.as_ref().map(|(refused, _)| refused.next_try());
            let probes = matches!(self.phase, Phase::Look) && self.probe.is_none() && next_try.is_some();
            tokio::select! {
                () = sleep_until(until) => return Rested::Over,
                // It cannot close: the other end is held here.
                _ = self.wishes.changed() => {}
                () = sleep_until(next_try.unwrap_or(until)), if probes => self.probe = Some(self.lister.open(&self.listed)),
                opened = pending_or(&mut self.probe) => {
                    self.probe = None;
                    match opened {
                        Ok(_) => return Rested::WatchOpens,
                        Err(failure) => self.block(&failure),
                    }
                }
            }
        }
    }

    /// By when somebody wants to know what the last list could not tell.
    fn wish(&self) -> Option<Instant> {
        let wish = *self.wishes.borrow();
        wish.filter(|wish| self.asked.is_none() || self.seen < *wish)
    }

    async fn list_or_get(&mut self) -> Result<Seen, Failure> {
        let name = self.lister.query().name.clone();
        let mut refused = self.list_refused.take();
        let mut refusal = None;
        if name.is_none() || refused.is_none_or(Refused::may_be_tried) {
            match self.lister.list().await {
                Err(failure) if failure.class == Class::Denied && name.is_some() => {
                    refused = Some(Refused::after(refused, None));
                    refusal = Some(failure);
                }
                listed => return listed,
            }
        }
        // Where both are refused, the better one is told: it is what a Role should have.
        let told = |failure: Failure| refusal.filter(|_| failure.class == Class::Denied).unwrap_or(failure);
        let got = self.lister.get(&name.unwrap_or_default()).await.map_err(told)?;
        // Not while nothing works: then every retry tries both.
        self.list_refused = refused;
        Ok(got)
    }

    /// Returns when somebody wants to know now.
    async fn wished(&mut self) {
        loop {
            match self.wish() {
                // It cannot close: the other end is held here.
                None => drop(self.wishes.changed().await),
                Some(wish) => tokio::select! {
                    () = sleep_until(wish) => return,
                    _ = self.wishes.changed() => {}
                },
            }
        }
    }

    /// Opens the watch after what the last one left as a pause.
    async fn open(&mut self, version: String) -> Result<(), Failure> {
        // Nobody looks while a watch is being opened: the server's wish for a pause, and a server that is silent, may
        // take so long together and no longer. During an outage lists fail as well, so there is nothing to hurry for.
        let blind_until = self.tried + BLIND;
        if !self.failed {
            self.pause = self.pause.min(blind_until.saturating_duration_since(Instant::now()));
        }
        self.rest().await;
        let now = Instant::now();
        let limit = if self.failed { now + BLIND } else { blind_until.max(now + OPENING) };
        let opening = timeout_at(limit, self.lister.open(&version));
        let opened = tokio::select! {
            biased;
            // What a watch brings comes somewhat after its opening; a list says at once how things stand.
            () = self.wished(), if !self.failed => {
                self.phase = Phase::Look;
                self.resume = Some(version);
                return Ok(());
            }
            opened = opening => opened,
        };
        let (lines, seconds) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(failure)) => return self.not_opened(version, failure),
            Err(_) => {
                let text = "a watch that is to be opened gets no answer";
                return self.not_opened(version, Failure { class: Class::Silent, ..Failure::transient(text) });
            }
        };
        self.backoff.reset();
        self.recovered();
        self.phase = Phase::Follow(Following::new(lines, version, seconds, self.seen));
        Ok(())
    }

    fn not_opened(&mut self, version: String, failure: Failure) -> Result<(), Failure> {
        tracing::debug!(%failure, "no watch");
        self.phase = Phase::Look;
        // What lists meet with as well, if it is no matter of watches alone.
        let told = self.failed || matches!(failure.class, Class::Unauthenticated | Class::Unconnected { .. });
        match failure.class {
            // A version of which this server knows nothing is for some of them a bad request. Without `list` there is
            // no younger one than the object's own.
            Class::Expired | Class::Invalid if self.list_refused.is_some() => self.poll_from_now(version, &failure),
            Class::Expired | Class::Invalid => {
                self.pause = self.reopening.next(failure.retry_after);
                self.comes_to_nothing(None, &failure, 1);
            }
            // Nothing was watched since the last list.
            Class::Denied if self.asked == Some(self.seen) => self.poll_from_now(version, &failure),
            _ => {
                // One refusal or one silence is enough to ask lists; what breaks may be chance.
                let is_clear = !self.failed && matches!(failure.class, Class::Denied | Class::Silent);
                if self.comes_to_nothing(Some(version.clone()), &failure, if is_clear { TRIES } else { 1 }) {
                    if told && self.blocked.is_none() {
                        self.tell_failure(failure);
                    }
                    return Ok(());
                }
                self.phase = Phase::Open(version);
                if told {
                    return Err(failure);
                }
                self.pause = self.backoff.next(failure.retry_after);
            }
        }
        Ok(())
    }

    /// Where a list was made just now, or would show nothing newer.
    fn poll_from_now(&mut self, version: String, failure: &Failure) {
        self.block(failure);
        self.listed = version;
        self.pause = self.until_poll();
        self.tell_method();
    }

    /// Takes note of a watch that did not open or was of no use; whether lists have to say now if that is a matter of
    /// watches alone. It is resumed from this version should they fail, too.
    fn comes_to_nothing(&mut self, version: Option<String>, failure: &Failure, weight: u32) -> bool {
        self.useless += weight;
        let pause = failure.retry_after.unwrap_or_default();
        let blind = version.is_some() && self.tried.elapsed() + pause >= BLIND;
        if self.blocked.is_some() {
            // Known already: the polls go on in their rhythm, and the next try is later.
            self.block(failure);
            self.pause = self.until_poll();
        } else if self.useless >= TRIES || blind {
            self.suspicion = Some(failure.clone());
            self.resume = version;
            self.pause = Duration::ZERO;
        } else {
            return false;
        }
        self.phase = Phase::Look;
        true
    }

    fn block(&mut self, failure: &Failure) {
        let earlier = self.blocked.take().map(|(refused, _)| refused);
        let why = match failure.class {
            Class::Denied => NoWatch::Forbidden,
            Class::Expired | Class::Invalid if self.list_refused.is_some() => NoWatch::TooOld,
            _ => NoWatch::Broken(failure.text.clone()),
        };
        self.blocked = Some((Refused::after(earlier, failure.retry_after), why));
    }

    fn tell_method(&mut self) {
        let method = match (&self.blocked, self.list_refused) {
            (None, _) => Method::Watch,
            (Some((_, why)), None) => Method::List(why.clone()),
            (Some((_, why)), Some(_)) => Method::Get(why.clone()),
        };
        if std::mem::discriminant(&method) != std::mem::discriminant(&self.method) {
            self.method = method.clone();
            self.queue.push_back(Update::Method(method));
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.failed) {
            self.queue.push_back(Update::Recovered);
        }
    }

    /// Reads on, or takes note that the watch has lasted.
    async fn follow(&mut self) {
        let Phase::Follow(following) = &mut self.phase else { return };
        let (stage, limit) = (following.next_stage(), following.limit);
        let line = tokio::select! {
            // What has come already says more than that time has passed.
            biased;
            line = following.next() => line,
            () = sleep_until(stage.unwrap_or(limit)), if stage.is_some() => {
                if following.live {
                    self.of_use();
                } else {
                    following.live = true;
                    self.queue.push_back(Update::Live);
                }
                return;
            }
        };
        if let Err(end) = line.and_then(|line| self.take(&line)) {
            self.ended(&end);
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), End> {
        let written = read_as_written(line).and_then(|event| self.take_object(event).ok());
        let (version, update) = match written {
            Some(taken) => taken,
            None => read(line).and_then(|event| self.take_object(event)).inspect_err(End::log)?,
        };
        // Only now: an object that cannot be read must come again.
        if let Phase::Follow(following) = &mut self.phase {
            following.version = version;
        }
        self.queue.extend(update);
        Ok(())
    }

    fn take_object(&mut self, event: Event) -> Result<(String, Option<Update<()>>), End> {
        let mut take = |object| self.lister.take(object).map_err(End::Garbage).and_then(version);
        Ok(match event {
            Event::Applied(object) => (take(object)?, Some(Update::Applied(()))),
            Event::Deleted(object) => (take(object)?, Some(Update::Deleted(()))),
            Event::Bookmark(version) => (version, None),
        })
    }

    /// This watch is one: whatever was wrong with those before it is over.
    fn of_use(&mut self) {
        if let Phase::Follow(following) = &mut self.phase {
            following.good = true;
        }
        (self.useless, self.blocked) = (0, None);
        self.tell_method();
    }

    /// The watch is over. That is ordinary: it is resumed from the last version, at once if it had been of use.
    fn ended(&mut self, end: &End) {
        let Phase::Follow(following) = std::mem::replace(&mut self.phase, Phase::Look) else {
            return;
        };
        let lasted = following.opened.elapsed();
        tracing::debug!(?end, ?lasted, "watch ended");
        // Before it was live it showed nothing that the reader relies upon.
        if following.live {
            self.queue.push_back(Update::Blind);
            (self.seen, self.tried) = (Instant::now(), Instant::now());
        }
        if lasted >= HEALTHY {
            self.reopening.reset();
        }
        // The ordinary end, after minutes, needs no pause: the next watch continues where this one was.
        if lasted < SHORT || !matches!(end, End::Closed) {
            self.pause = self.reopening.next(None);
        }
        // After a 410 or garbage nobody knows what was missed: only a list says.
        let resumable = matches!(end, End::Closed | End::Broken(_));
        let version = resumable.then(|| following.version.clone());
        let failure = |text| Failure { class: Class::Transient, ..Failure::transient(text) };
        match (end, &version) {
            (End::Expired, _) if self.list_refused.is_some() => {
                let expired = Failure { class: Class::Expired, ..failure("its version is too old") };
                self.poll_from_now(following.version, &expired);
                return;
            }
            // Not even the end that the server makes of each watch has come through.
            (End::Silent, _) if following.heard.is_none() => {
                let silent = Failure { retry_after: Some(MUTE), ..failure("watches stay silent") };
                self.comes_to_nothing(None, &silent, TRIES);
                return;
            }
            _ if lasted < SHORT && self.comes_to_nothing(version.clone(), &failure("every watch ends at once"), 1) => {
                return;
            }
            _ => {}
        }
        if let Some(version) = version {
            self.phase = Phase::Open(version);
        }
    }
}

/// Why a pause is over.
#[derive(PartialEq)]
enum Rested {
    Over,
    /// a watch that was tried beside the polls has opened
    WatchOpens,
}

async fn pending_or<T>(future: &mut Option<LocalBoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
