//! One query's stream of objects: list, watch, resume, poll, back-off. The heart of this tool.
//!
//! It never ends and never gives up; what a failure means for the wait is decided by whoever reads the stream, who is
//! told, too, whether anybody is looking at present. The rules are those of client-go's reflector (k8s.io/client-go/tools/cache/reflector.go) and of
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>, with less trust in
//! what lies between here and the API server. `kube::runtime::watcher` is not used: it reopens a watch that ends at
//! once without back-off, loops for ever on a 410 that comes as an HTTP status, and cannot poll.

use std::collections::VecDeque;
use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture};
use futures::stream::{self, LocalBoxStream, StreamExt};
use http::Request;
use k8s_openapi::jiff::Timestamp;
use kube::api::{GetParams, ListParams, WatchParams};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::event::{End, Event, read};
use crate::api::backoff::{Backoff, Cost, Poll};
use crate::api::client::{Answer, Client, Lines};
use crate::api::failure::{Class, Failure};
use crate::kinds::object::Object;

mod event;
#[cfg(test)]
mod scripts;

/// How many objects a page holds: memory must not grow with the number of objects that are read.
const PAGE: u32 = 100;
/// A watch that ends sooner and brought nothing is reopened only after a back-off.
const SHORT: Duration = Duration::from_secs(1);
/// A watch that lasted so long shows that the connection is good again.
const HEALTHY: Duration = Duration::from_secs(10);
/// Bookmarks come every 60 s, also for a quiet object. A stream that has had one and then nothing for so long has lost
/// its server, even if a proxy in between still answers keepalives.
const HEARTBEAT: Duration = Duration::from_secs(90);
/// How much longer than asked for a watch may stay open before it is given up.
const OVERTIME: Duration = Duration::from_secs(10);
/// How soon what is refused or does not work is tried again while a lower way does: this, then twice as long each time,
const FIRST_PROBE: Duration = Duration::from_secs(2);
/// and at last so often.
const PROBE: Duration = Duration::from_mins(1);
/// How many watches in a row may fail to open or come to nothing before lists are asked for instead: something between
/// here and the API server may let lists through and no watch.
const TRIES: u32 = 3;
/// How long all of these may take.
const BLIND: Duration = Duration::from_secs(15);
/// What the opening of a watch gets at least.
const OPENING: Duration = Duration::from_secs(5);
/// How soon watches are tried again that were opened and then stayed silent beyond their time.
const MUTE: Duration = Duration::from_hours(1);
/// How long a resumed watch may take at most to bring what has happened before it was opened.
const CATCH_UP: Duration = Duration::from_millis(500);

/// Which objects are asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// `None` is all namespaces
    pub namespace: Option<String>,
    /// `metadata.name`
    pub name: Option<String>,
    /// label selector in the API's syntax
    pub labels: Option<String>,
    /// field selector in the API's syntax
    pub fields: Option<String>,
    /// one good list is all that is wanted
    pub once: bool,
}

impl Query {
    /// A name is asked for by a field selector: a list is served from the watch cache (a GET goes to etcd), can be
    /// watched from, and a Role limited by `resourceNames` allows it.
    fn field_selector(&self) -> Option<String> {
        let name = self.name.as_ref().map(|name| format!("metadata.name={name}"));
        let parts: Vec<String> = name.into_iter().chain(self.fields.clone()).collect();
        (!parts.is_empty()).then(|| parts.join(","))
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Update<T> {
    /// All objects of the query as they are now.
    Listed(Listed<T>),
    /// One object was added or has changed.
    Applied(T),
    /// One object is gone, as it was last; under a selector it may also have been relabelled.
    Deleted(T),
    /// From now on changes are seen as they happen.
    Live,
    /// They no longer are, until `Live` or the next `Listed`.
    Blind,
    /// A request failed; it will be tried again.
    Failed(Failure),
    /// Requests work again after a failure.
    Recovered,
    /// Objects are seen by other means than before, and why.
    Way(Way),
}

/// All objects of a query at some moment.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    pub objects: Vec<T>,
    /// the API server's time, in whole seconds
    pub date: Timestamp,
    /// when they were asked for: they are as they were then, or later
    pub asked: Instant,
}

/// By which means objects are seen, from the best to the slowest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// list once, then watch
    Watch,
    /// list again and again
    List(NoWatch),
    /// get again and again: `list` is refused
    Get(NoWatch),
}

/// Why there is no watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWatch {
    /// the right is missing
    Forbidden,
    /// it is not answered, or not as a watch has to be; with the last failure
    Broken(String),
    /// the object was not changed for so long that its version cannot be watched from, and a newer one only `list` gives
    TooOld,
}

/// By when somebody wants to know how things stand: then a list is asked for unless a watch shows it. Shared by all
/// streams that are opened with it.
#[derive(Debug, Clone, Default)]
pub struct LookBy(watch::Sender<Option<Instant>>);

impl LookBy {
    /// A list that was asked for before this moment is not enough.
    pub fn at(&self, moment: Instant) {
        self.0.send_if_modified(|wanted| wanted.replace(moment) != Some(moment));
    }

    /// What was said last.
    #[cfg(test)]
    pub fn wanted(&self) -> Option<Instant> {
        *self.0.borrow()
    }
}

/// The stream of updates of a query, from its first list on; `pause` is what polls are to wait for, if that was said.
pub fn updates<T: Object>(
    client: Client,
    query: Query,
    pause: Option<Duration>,
    look_by: &LookBy,
) -> LocalBoxStream<'static, Update<T>> {
    let watcher = Watcher {
        client,
        query,
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
        way: Way::Watch,
    };
    stream::unfold(watcher, |mut watcher| async { Some((watcher.next().await, watcher)) }).boxed_local()
}

struct Watcher<T> {
    client: Client,
    query: Query,
    /// after requests that failed
    backoff: Backoff,
    /// after watches that were opened and came to nothing: a good list between two of them does not make them better
    reopening: Backoff,
    poll: Poll,
    /// before the next request
    pause: Duration,
    phase: Phase,
    /// what the reader gets next
    queue: VecDeque<Update<T>>,
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
    way: Way,
}

/// A verb that is not permitted, perhaps only for now: an API server that has just started refuses for a moment what it
/// will allow (it answers before it knows all Roles), and a Role may come with the same installation.
#[derive(Clone, Copy)]
struct Refused {
    at: Instant,
    wait: Duration,
}

impl Refused {
    /// `wish` is the server's.
    fn after(earlier: Option<Self>, wish: Option<Duration>) -> Self {
        let wait = earlier.map_or(FIRST_PROBE, |earlier| (earlier.wait * 2).min(PROBE));
        Self { at: Instant::now(), wait: wait.max(wish.unwrap_or_default().min(MUTE)) }
    }

    fn next_try(self) -> Instant {
        self.at + self.wait
    }

    fn may_be_tried(self) -> bool {
        self.next_try() <= Instant::now()
    }
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

struct Following {
    lines: Lines,
    /// the last version seen, to resume from
    version: String,
    opened: Instant,
    limit: Instant,
    /// of the last line, if there was one
    heard: Option<Instant>,
    /// by when it has brought what had happened before it was opened
    caught_up: Instant,
    /// that moment has come
    live: bool,
    /// it is known to be of use
    good: bool,
}

/// What a list or a get has brought.
struct Seen<T> {
    objects: Vec<T>,
    version: String,
    date: Timestamp,
    /// of the answer
    bytes: usize,
}

impl<T: Object> Watcher<T> {
    async fn next(&mut self) -> Update<T> {
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
        let Seen { objects, version, date, bytes } = match (seen, resume) {
            (Ok(seen), _) => seen,
            // It is not watches alone that fail: what resuming brings is not given away for a list.
            (Err(failure), Some(version)) => {
                self.useless = 0;
                self.phase = Phase::Open(version);
                return Err(failure);
            }
            (Err(failure), None) => return Err(failure),
        };
        if let Some(failure) = suspicion {
            self.block(&failure);
        }
        self.backoff.reset();
        (self.asked, self.seen) = (Some(asked), asked);
        // One object costs the same each time.
        self.cost = self.query.name.is_none().then(|| Cost { took: asked.elapsed(), bytes });
        self.recovered();
        self.queue.push_back(Update::Listed(Listed { objects, date, asked }));
        if self.query.once {
            self.phase = Phase::Over;
            return Ok(());
        }
        if self.blocked.is_none() || reopen {
            self.phase = Phase::Open(version);
            return Ok(());
        }
        self.listed = version;
        self.pause = self.until_poll();
        self.tell_way();
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
                () = sleep_until(next_try.unwrap_or(until)), if probes => self.probe = Some(self.opening(&self.listed)),
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

    async fn list_or_get(&mut self) -> Result<Seen<T>, Failure> {
        let name = self.query.name.clone();
        let mut refused = self.list_refused.take();
        let mut refusal = None;
        if name.is_none() || refused.is_none_or(Refused::may_be_tried) {
            match self.list().await {
                Err(failure) if failure.class == Class::Denied && name.is_some() => {
                    refused = Some(Refused::after(refused, None));
                    refusal = Some(failure);
                }
                listed => return listed,
            }
        }
        // Where both are refused, the better one is told: it is what a Role should have.
        let told = |failure: Failure| refusal.filter(|_| failure.class == Class::Denied).unwrap_or(failure);
        let got = self.get(&name.unwrap_or_default()).await.map_err(told)?;
        // Not while nothing works: then every retry tries both.
        self.list_refused = refused;
        Ok(got)
    }

    async fn list(&self) -> Result<Seen<T>, Failure> {
        let (mut objects, mut bytes) = (Vec::new(), 0);
        let mut page: Option<String> = None;
        loop {
            let parameters = ListParams {
                label_selector: self.query.labels.clone(),
                field_selector: self.query.field_selector(),
                limit: self.query.name.is_none().then_some(PAGE),
                continue_token: page.take(),
                ..ListParams::default()
            };
            let answer = self.client.read(built(self.path().list(&parameters))?).await?;
            let list: List<T> = parse(&answer)?;
            bytes += answer.body.len();
            objects.extend(list.items.unwrap_or_default());
            page = list.metadata.continue_token.filter(|token| !token.is_empty());
            if page.is_none() {
                return Ok(Seen { objects, version: list.metadata.resource_version, date: answer.date, bytes });
            }
        }
    }

    /// An absent object has no version to watch from; without one a watch begins with what exists by then.
    async fn get(&self, name: &str) -> Result<Seen<T>, Failure> {
        match self.client.read(built(self.path().get(name, &GetParams::default()))?).await {
            Ok(answer) => {
                let object: T = parse(&answer)?;
                let version = object.metadata().resource_version.clone();
                Ok(Seen { objects: vec![object], version, date: answer.date, bytes: answer.body.len() })
            }
            Err(failure) if failure.class == Class::NotFound => {
                Ok(Seen { objects: Vec::new(), version: String::new(), date: Timestamp::now(), bytes: 0 })
            }
            Err(failure) => Err(failure),
        }
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
        let blind_until = self.tried + BLIND;
        if !self.failed {
            self.pause = self.pause.min(blind_until.saturating_duration_since(Instant::now()));
        }
        self.rest().await;
        let now = Instant::now();
        let limit = if self.failed { now + BLIND } else { blind_until.max(now + OPENING) };
        let opening = timeout_at(limit, self.opening(&version));
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
        let opened = Instant::now();
        let limit = opened + Duration::from_secs(seconds.into()) + OVERTIME;
        let caught_up = opened + self.seen.elapsed().min(CATCH_UP);
        self.backoff.reset();
        self.recovered();
        self.phase = Phase::Follow(Following {
            lines,
            version,
            opened,
            limit,
            heard: None,
            caught_up,
            live: false,
            good: false,
        });
        Ok(())
    }

    fn not_opened(&mut self, version: String, failure: Failure) -> Result<(), Failure> {
        tracing::debug!(%failure, "no watch");
        self.phase = Phase::Look;
        // What lists meet with as well, if it is no matter of watches alone.
        let told = self.failed || matches!(failure.class, Class::Unauthenticated | Class::Unconnected { .. });
        match failure.class {
            // A version of which this server knows nothing is for some of them a bad request. Without `list` there is no
            // younger one than the object's own.
            Class::Expired | Class::Invalid if self.list_refused.is_some() => self.poll_from_now(version, &failure),
            Class::Expired | Class::Invalid => {
                self.pause = self.reopening.next(failure.retry_after);
                self.comes_to_nothing(None, &failure, 1);
            }
            // Nothing was watched since the last list.
            Class::Denied if self.asked == Some(self.seen) => self.poll_from_now(version, &failure),
            _ => {
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
        self.tell_way();
    }

    /// Takes note of a watch that did not open or was of no use; whether lists have to say now if that is a matter of
    /// watches alone. It is resumed from this version should they fail, too.
    fn comes_to_nothing(&mut self, version: Option<String>, failure: &Failure, weight: u32) -> bool {
        self.useless += weight;
        let pause = failure.retry_after.unwrap_or_default();
        let blind = version.is_some() && self.tried.elapsed() + pause >= BLIND;
        if self.blocked.is_some() {
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

    /// The request for a watch from this version (from now on, if it is empty), and for how many seconds.
    fn opening(&self, version: &str) -> LocalBoxFuture<'static, Result<(Lines, u32), Failure>> {
        let seconds = fastrand::u32(240..=300);
        let parameters = WatchParams {
            label_selector: self.query.labels.clone(),
            field_selector: self.query.field_selector(),
            timeout: Some(seconds),
            bookmarks: true,
            send_initial_events: false,
        };
        let (client, request) = (self.client.clone(), built(self.path().watch(&parameters, version)));
        async move { Ok((client.lines(request?).await?, seconds)) }.boxed_local()
    }

    /// Tells of a new way to see objects.
    fn tell_way(&mut self) {
        let way = match (&self.blocked, self.list_refused) {
            (None, _) => Way::Watch,
            (Some((_, why)), None) => Way::List(why.clone()),
            (Some((_, why)), Some(_)) => Way::Get(why.clone()),
        };
        if std::mem::discriminant(&way) != std::mem::discriminant(&self.way) {
            self.way = way.clone();
            self.queue.push_back(Update::Way(way));
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
        let event = tokio::select! {
            // What has come already says more than that time has passed.
            biased;
            event = following.next() => event,
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
        match event {
            Ok(Event::Applied(object)) => self.queue.push_back(Update::Applied(object)),
            Ok(Event::Deleted(object)) => self.queue.push_back(Update::Deleted(object)),
            Ok(Event::Bookmark) => {}
            Err(end) => self.ended(&end),
        }
    }

    /// This watch is one: whatever was wrong with those before it is over.
    fn of_use(&mut self) {
        if let Phase::Follow(following) = &mut self.phase {
            following.good = true;
        }
        (self.useless, self.blocked) = (0, None);
        self.tell_way();
    }

    /// The watch is over. That is ordinary: it is resumed from the last version, at once if it had been of use.
    fn ended(&mut self, end: &End) {
        let Phase::Follow(following) = std::mem::replace(&mut self.phase, Phase::Look) else {
            return;
        };
        let lasted = following.opened.elapsed();
        tracing::debug!(?end, ?lasted, "watch ended");
        if following.live {
            self.queue.push_back(Update::Blind);
            (self.seen, self.tried) = (Instant::now(), Instant::now());
        }
        if lasted >= HEALTHY {
            self.reopening.reset();
        }
        if lasted < SHORT || !matches!(end, End::Closed) {
            self.pause = self.reopening.next(None);
        }
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

    fn path(&self) -> kube::core::Request {
        kube::core::Request::new(T::RESOURCE.path(self.query.namespace.as_deref()))
    }
}

/// Only a name that no object can have makes a request that cannot be built; `compat` has refused those.
fn built(request: Result<Request<Vec<u8>>, kube::core::request::Error>) -> Result<Request<Vec<u8>>, Failure> {
    request.map_err(|error| Failure { class: Class::Invalid, text: error.to_string(), retry_after: None })
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMetadata,
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|error| answer.unreadable(&error))
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

impl Following {
    async fn next<T: Object>(&mut self) -> Result<Event<T>, End> {
        let silence = self.heard.map_or(self.limit, |heard| (heard + HEARTBEAT).min(self.limit));
        let Ok(line) = timeout_at(silence, self.lines.next()).await else {
            let overtime = silence == self.limit && self.heard.is_some();
            return Err(if overtime { End::Broken("overtime".to_owned()) } else { End::Silent });
        };
        let line = line?.ok_or(End::Closed)?;
        self.heard = Some(Instant::now());
        let (event, version) = read(&line)?;
        self.version = version;
        Ok(event)
    }

    /// When it is to be known for live, and then for good.
    fn next_stage(&self) -> Option<Instant> {
        match self {
            Self { live: false, .. } => Some(self.caught_up),
            Self { good: false, .. } => Some(self.opened + SHORT),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_verb_is_tried_again_soon_and_then_every_minute() {
        let mut refused = None;
        let waits = (0..8).map(|_| {
            refused = Some(Refused::after(refused, None));
            refused.unwrap().wait.as_secs()
        });
        assert_eq!(waits.collect::<Vec<_>>(), [2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!refused.is_some_and(Refused::may_be_tried));
    }
}
