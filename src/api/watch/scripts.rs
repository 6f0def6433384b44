//! The whole loop before a scripted API server, under a paused clock: requests and updates, each with its millisecond.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use kube::client::Body;
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::{BoxError, service_fn};

use super::{LookBy, Method, NoWatch, Query, Update, updates};
use crate::api::client::Client;
use crate::target::Resource;

/// What was asked for, in the words of the timeline: `list`, `list app=db`, `get`, `watch 7`.
#[derive(Debug, Clone)]
struct Asked {
    /// milliseconds since the start
    at: u64,
    what: &'static str,
    /// of a watch
    version: String,
    /// of a further page
    page: Option<String>,
    /// how many objects
    limit: Option<u32>,
    /// how many of the same kind came before
    before: usize,
}

#[derive(Debug, Clone)]
enum Reply {
    /// a whole answer: status, `Retry-After` and body
    Answer(u16, Option<u32>, String),
    /// nothing
    Never,
    /// no connection
    Refused,
    /// a watch: each piece so many milliseconds after it was opened, then silence
    Stream(Vec<(u64, Piece)>),
}

#[derive(Debug, Clone)]
enum Piece {
    Line(String),
    Close,
    Reset,
}

fn status(code: u16) -> Reply {
    let body = json!({"kind": "Status", "code": code, "message": "scripted", "details": {"name": "db-0"}});
    Reply::Answer(code, None, body.to_string())
}

fn pod(version: u32) -> serde_json::Value {
    json!({"metadata": {"name": "db-0", "namespace": "shop", "uid": "1", "resourceVersion": version.to_string()}})
}

fn listed(version: u32) -> Reply {
    let list = json!({"metadata": {"resourceVersion": version.to_string()}, "items": [pod(version)]});
    Reply::Answer(200, None, list.to_string())
}

fn event(kind: &str, version: u32) -> Piece {
    Piece::Line(json!({"type": kind, "object": pod(version)}).to_string())
}

fn quiet() -> Reply {
    Reply::Stream(Vec::new())
}

/// A list at version 7, whenever it is asked for, and these watches.
fn with_watch(asked: &Asked, watch: Reply) -> Reply {
    if asked.what == "watch" { watch } else { listed(7) }
}

/// What happened: `0 > list`, `0 listed 1`. A wish is when it is said and by when somebody wants to know.
#[derive(Default)]
struct Setting {
    by_selector: bool,
    once: bool,
    pause: Option<Duration>,
    wishes: Vec<(u64, u64)>,
}

async fn timeline(
    seconds: u64,
    setting: Setting,
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> Vec<(u64, String)> {
    fastrand::seed(7);
    let start = Instant::now();
    let log: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
    let since = move || u64::try_from(start.elapsed().as_millis()).expect("a short script");
    let (requests, answer) = (Arc::clone(&log), Arc::new(answer));
    let service = service_fn(move |request: Request<Body>| {
        let mut log = requests.lock().expect("nobody panicked");
        let asked = asked(&request, since(), &log);
        log.push((asked.at, format!("> {}", format!("{} {}", asked.what, asked.version).trim())));
        drop(log);
        respond(answer(&asked))
    });
    let query = Query {
        name: (!setting.by_selector).then(|| "db-0".to_owned()),
        once: setting.once,
        labels: setting.by_selector.then(|| "app=db".to_owned()),
        ..Query::all(&Resource::namespaced("", "v1", "pods"), Some("shop"))
    };
    let look_by = LookBy::default();
    let mut updates = updates(Client::of_service(service), query, setting.pause, &look_by, version_of);
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    let wishing = async {
        for (said, wish) in setting.wishes {
            sleep_until(at(said)).await;
            look_by.at(at(wish));
        }
        std::future::pending::<()>().await;
    };
    let reading = async {
        while let Ok(Some(update)) = timeout_at(at(seconds * 1_000), updates.next()).await {
            log.lock().expect("nobody panicked").push((since(), text(&update)));
        }
    };
    tokio::select! {
        () = wishing => {}
        () = reading => {}
    }
    let log = log.lock().expect("nobody panicked");
    log.clone()
}

fn asked(request: &Request<Body>, at: u64, log: &[(u64, String)]) -> Asked {
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, it)| it.to_owned())
    };
    let what = match request.uri().path().ends_with("/db-0") {
        true => "get",
        false if query.contains("watch=true") => "watch",
        false => "list",
    };
    let version = parameter("resourceVersion").unwrap_or_default();
    let page = parameter("continue");
    let limit = parameter("limit").and_then(|limit| limit.parse().ok());
    let before = log.iter().filter(|(_, text)| text.starts_with(&format!("> {what}"))).count();
    Asked { at, what, version, page, limit, before }
}

type Pieces = stream::BoxStream<'static, Result<Frame<Bytes>, BoxError>>;

async fn respond(reply: Reply) -> Result<Response<StreamBody<Pieces>>, BoxError> {
    let whole = |text: String| stream::once(async { Ok(Frame::data(Bytes::from(text))) }).boxed();
    let (response, body) = match reply {
        Reply::Answer(code, retry_after, text) => {
            let response = Response::builder().status(code);
            (retry_after.into_iter().fold(response, |it, seconds| it.header("Retry-After", seconds)), whole(text))
        }
        Reply::Stream(pieces) => (Response::builder(), watched(pieces)),
        Reply::Refused => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()),
        Reply::Never => std::future::pending().await,
    };
    Ok(response.body(StreamBody::new(body))?)
}

fn watched(pieces: Vec<(u64, Piece)>) -> Pieces {
    let opened = Instant::now();
    let closes = pieces.iter().any(|(_, piece)| matches!(piece, Piece::Close));
    let timed = stream::iter(pieces).then(move |(at, piece)| async move {
        sleep_until(opened + Duration::from_millis(at)).await;
        piece
    });
    let frames = timed.filter_map(|piece| async {
        match piece {
            Piece::Line(line) => Some(Ok(Frame::data(Bytes::from(line + "\n")))),
            Piece::Reset => Some(Err("connection reset".into())),
            Piece::Close => None,
        }
    });
    if closes { frames.boxed() } else { frames.chain(stream::pending()).boxed() }
}

/// All that is kept of an object here.
fn version_of(json: &str) -> serde_json::Result<(String, String)> {
    let object: serde_json::Value = serde_json::from_str(json)?;
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    Ok((version.clone(), version))
}

fn text(update: &Update<String>) -> String {
    let why = |no_watch: &NoWatch| match no_watch {
        NoWatch::Forbidden => "forbidden",
        NoWatch::Broken(_) => "broken",
        NoWatch::TooOld => "too old",
    };
    match update {
        Update::Listed(listed) => format!("listed {}", listed.objects.len()),
        Update::Applied(version) => format!("applied {version}"),
        Update::Deleted(version) => format!("deleted {version}"),
        Update::Live => "live".to_owned(),
        Update::Blind => "blind".to_owned(),
        Update::Failed(_) => "failed".to_owned(),
        Update::Recovered => "recovered".to_owned(),
        Update::Method(Method::Watch) => "watching".to_owned(),
        Update::Method(Method::List(no_watch)) => format!("listing: {}", why(no_watch)),
        Update::Method(Method::Get(no_watch)) => format!("getting: {}", why(no_watch)),
    }
}

fn shown(timeline: &[(u64, String)]) -> Vec<String> {
    timeline.iter().map(|(at, text)| format!("{at} {text}")).collect()
}

/// When this happened.
fn times(timeline: &[(u64, String)], wanted: &str) -> Vec<u64> {
    timeline.iter().filter(|(_, text)| text == wanted).map(|(at, _)| *at).collect()
}

/// The pauses between the times that this happened.
fn pauses(timeline: &[(u64, String)], wanted: &str) -> Vec<u64> {
    times(timeline, wanted).windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn ordinary_wait_lists_once_and_watches_on_from_the_last_version() {
    let told = timeline(400, Setting::default(), |asked| {
        let bookmarks = (1..5).map(|minute| (minute * 60_000, event("BOOKMARK", 10)));
        let pieces = [(1_000, event("MODIFIED", 9))].into_iter().chain(bookmarks).chain([(240_000, Piece::Close)]);
        with_watch(asked, if asked.before == 0 { Reply::Stream(pieces.collect()) } else { quiet() })
    });
    let expected = [
        "0 > list",
        "0 listed 1",
        "0 > watch 7",
        "0 live",
        "1000 applied 9",
        "240000 blind",
        "240000 > watch 10",
        "240000 live",
    ];
    assert_eq!(shown(&told.await)[..8], expected);
}

/// A field of a later API, or of something in between.
#[tokio::test(start_paused = true)]
async fn event_with_more_in_it_than_its_object_is_read_all_the_same() {
    let told = timeline(5, Setting::default(), |asked| {
        let more = json!({"type": "MODIFIED", "object": pod(8), "zone": {"object": 1}}).to_string();
        with_watch(asked, Reply::Stream(vec![(1_000, Piece::Line(more)), (2_000, event("MODIFIED", 9))]))
    });
    assert_eq!(shown(&told.await)[3..], ["0 live", "1000 applied 8", "2000 applied 9"]);
}

#[tokio::test(start_paused = true)]
async fn n5_one_look_is_one_list() {
    let told =
        timeline(20, Setting { once: true, ..Setting::default() }, |asked| with_watch(asked, Reply::Refused)).await;
    assert_eq!(shown(&told), ["0 > list", "0 listed 1"]);
}

#[tokio::test(start_paused = true)]
async fn broken_watch_is_resumed_after_a_short_pause_and_live_once_it_has_caught_up() {
    let told = timeline(20, Setting::default(), |asked| match (asked.what, asked.before) {
        ("watch", 0) => Reply::Stream(vec![(5_000, Piece::Reset)]),
        // What happened meanwhile comes a little after the opening.
        ("watch", _) => Reply::Stream(vec![(1, event("DELETED", 8))]),
        _ => listed(7),
    })
    .await;
    let resumed = times(&told, "> watch 7")[1];
    assert!((5_000..=5_250).contains(&resumed), "{told:?}");
    assert_eq!(times(&told, "deleted 8"), [resumed + 1]);
    assert_eq!(times(&told, "live")[1], resumed + (resumed - 5_000).max(1), "as long as nobody looked: {told:?}");
    assert_eq!(times(&told, "> list"), [0], "a list would not have told of the deletion");
}

/// Nobody is reached for 40 s, or somebody in between says so.
#[tokio::test(start_paused = true)]
async fn watch_is_resumed_from_its_version_after_an_outage_and_live_half_a_second_later() {
    for down in
        [Reply::Refused, status(502), Reply::Answer(200, None, "<html>maintenance</html>".to_owned()), status(403)]
    {
        let name = format!("{down:?}");
        let told = timeline(90, Setting::default(), move |asked| match (asked.what, asked.before, asked.at) {
            ("watch", 0, _) => Reply::Stream(vec![(5_000, Piece::Reset)]),
            (_, _, 5_000..45_000) => down.clone(),
            ("watch", ..) => Reply::Stream(vec![(400, event("DELETED", 8))]),
            _ => listed(7),
        })
        .await;
        let recovered = times(&told, "recovered");
        assert_eq!(recovered.len(), 1, "{name}: {told:?}");
        if !name.contains("maintenance") {
            // A page of HTML is taken for a watch until it is read: then only a list helps.
            assert_eq!(times(&told, "listed 1"), [0], "what resuming would bring is not given away: {name}: {told:?}");
            assert_eq!(times(&told, "live")[1], recovered[0] + 500, "{name}: {told:?}");
            assert_eq!(times(&told, "deleted 8"), [recovered[0] + 400], "{name}");
        }
        assert!(!shown(&told).concat().contains("listing"), "lists failed too: {name}: {told:?}");
        let attempts = told.iter().filter(|(_, text)| text.starts_with('>')).count();
        assert!(attempts <= 30, "{name}: {attempts} attempts in 40 s");
    }
}

/// By a firewall that lets lists through.
#[tokio::test(start_paused = true)]
async fn n2_watches_whose_connections_are_cut_give_way_to_polls() {
    let told = timeline(60, Setting::default(), |asked| with_watch(asked, Reply::Refused)).await;
    assert!(times(&told, "> list")[1] < 3_000, "{told:?}");
    assert!(pauses(&told, "> list").iter().all(|pause| *pause <= 2_000), "{told:?}");
    assert_eq!((times(&told, "listing: broken").len(), times(&told, "recovered").len()), (1, 1), "{told:?}");
}

/// The ordinary end of an outage that was longer than what the API server remembers.
#[tokio::test(start_paused = true)]
async fn history_that_is_gone_after_an_outage_is_no_reason_to_poll() {
    let gone = Piece::Line(json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}}).to_string());
    let told = timeline(120, Setting::default(), move |asked| match (asked.what, asked.version.as_str(), asked.at) {
        ("watch", _, 0) => Reply::Stream(vec![(5_000, Piece::Reset)]),
        (_, _, 5_000..45_000) => Reply::Refused,
        ("watch", "7", _) => Reply::Stream(vec![(0, gone.clone())]),
        ("watch", ..) => quiet(),
        (_, _, 0) => listed(7),
        _ => listed(20),
    })
    .await;
    assert!(!shown(&told).concat().contains("listing"), "{told:?}");
    let tail: Vec<&str> = told.iter().rev().take(4).map(|(_, text)| text.as_str()).collect();
    assert_eq!(tail, ["live", "> watch 20", "listed 1", "> list"], "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn wish_that_a_watch_has_met_is_met() {
    let setting = Setting { wishes: vec![(100, 2_000)], ..Setting::default() };
    let told = timeline(20, setting, |asked| match (asked.what, asked.before) {
        ("watch", 0) => Reply::Stream(vec![(10_000, Piece::Reset)]),
        _ => with_watch(asked, quiet()),
    })
    .await;
    assert_eq!((times(&told, "> list"), times(&told, "> watch 7").len()), (vec![0], 2), "{told:?}");
}

/// Something in between keeps back what a watch says, and even its end.
#[tokio::test(start_paused = true)]
async fn watch_that_stays_silent_beyond_its_time_is_none() {
    let told = timeline(900, Setting::default(), |asked| with_watch(asked, quiet())).await;
    let lists = times(&told, "> list");
    assert!((250_000..=310_000).contains(&lists[1]), "{told:?}");
    assert!(pauses(&told, "> list")[1..].iter().all(|pause| *pause <= 11_001), "{told:?}");
    assert_eq!((times(&told, "> watch 7"), times(&told, "listing: broken").len()), (vec![0], 1), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn polls_and_their_pauses_grow_with_the_wait() {
    let told = timeline(1_000, Setting::default(), |asked| with_watch(asked, status(403))).await;
    assert_eq!(shown(&told)[..4], ["0 > list", "0 listed 1", "0 > watch 7", "0 listing: forbidden"]);
    let pauses = pauses(&told, "> list");
    assert!(pauses[..20].iter().all(|pause| (900..=1_101).contains(pause)), "{pauses:?}");
    assert!(pauses[pauses.len() - 10..].iter().all(|pause| (9_000..=11_001).contains(pause)), "{pauses:?}");
    let tries = times(&told, "> watch 7");
    assert_eq!(tries[..7], [0, 2_000, 6_000, 14_000, 30_000, 62_000, 122_000], "probes beside the polls");
    assert_eq!(times(&told, "listing: forbidden").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn pause_that_was_asked_for_is_kept() {
    let setting = Setting { pause: Some(Duration::from_millis(2_500)), ..Setting::default() };
    let told = timeline(30, setting, |asked| with_watch(asked, status(403))).await;
    assert!(pauses(&told, "> list").iter().all(|pause| *pause == 2_500), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn right_that_comes_later_ends_the_polls() {
    let told = timeline(30, Setting::default(), |asked| {
        with_watch(asked, if asked.at < 10_000 { status(403) } else { quiet() })
    })
    .await;
    // The try at 14 s shows that watches work; its list is the present state, and from that one it watches.
    let tail: Vec<String> =
        shown(&told).into_iter().filter(|line| line.starts_with("14") || line.starts_with("15")).collect();
    let expected =
        ["14000 > watch 7", "14000 > list", "14000 listed 1", "14000 > watch 7", "14000 live", "15000 watching"];
    assert_eq!(tail, expected);
    assert_eq!(told.last().map(|(_, text)| text.as_str()), Some("watching"));
}

#[tokio::test(start_paused = true)]
async fn n2_watch_that_is_answered_badly_gives_way_to_polls() {
    let page = |code| Reply::Answer(code, None, "<html>no</html>".to_owned());
    let answers = [status(503), status(501), page(502), page(404), page(200), Reply::Stream(vec![(0, Piece::Close)])];
    for answer in answers {
        let name = format!("{answer:?}");
        let told = timeline(60, Setting::default(), move |asked| with_watch(asked, answer.clone())).await;
        let lists = times(&told, "> list");
        assert!(lists[1] < 3_000, "{name}: {told:?}");
        assert!(pauses(&told, "> list").iter().all(|pause| *pause <= 2_000), "{name}: {told:?}");
        assert_eq!(times(&told, "listing: broken").len(), 1, "{name}: {told:?}");
        assert!(times(&told, "failed").is_empty(), "lists are answered: {name}");
        let watches = told.iter().filter(|(_, text)| text.starts_with("> watch")).count();
        assert!(watches <= 3 + 2 * 5, "{name}: {watches} watches in a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn n2_watch_that_gets_no_answer_blinds_for_15_s_and_delays_no_poll() {
    let told = timeline(120, Setting::default(), |asked| with_watch(asked, Reply::Never)).await;
    let lists = times(&told, "> list");
    assert!((14_000..=15_000).contains(&lists[1]), "{told:?}");
    assert!(pauses(&told, "> list")[1..].iter().all(|pause| *pause <= 4_000), "{told:?}");
    assert_eq!(times(&told, "listing: broken").len(), 1);
    assert!(times(&told, "> watch 7").len() >= 4, "it keeps trying: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn n2_wish_of_the_server_for_its_watches_does_not_blind_the_wait() {
    let busy = Reply::Answer(429, Some(60), "slow down".to_owned());
    let told = timeline(60, Setting::default(), move |asked| with_watch(asked, busy.clone())).await;
    assert!(times(&told, "> list")[1] <= 15_000, "{told:?}");
    assert!(times(&told, "> watch 7").len() <= 6, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn n2_watches_that_work_again_end_the_polls() {
    let told = timeline(60, Setting::default(), |asked| {
        with_watch(asked, if asked.at < 20_000 { status(501) } else { quiet() })
    })
    .await;
    assert_eq!(times(&told, "watching").len(), 1, "{told:?}");
    let watching = times(&told, "watching")[0];
    assert!(times(&told, "> list").iter().all(|at| *at < watching), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn outage_is_told_until_a_list_is_answered() {
    let told = timeline(120, Setting::default(), |asked| {
        let up = asked.at >= 45_000;
        with_watch(asked, if up { quiet() } else { status(503) }).filter_list(up)
    })
    .await;
    let lists = times(&told, "> list");
    assert!(lists.len() >= 6 && lists.last().is_some_and(|at| *at <= 60_100), "{told:?}");
    assert_eq!(times(&told, "recovered"), [*lists.last().expect("lists")]);
    assert_eq!(times(&told, "failed").len(), lists.len() - 1);
    assert!(times(&told, "> watch 7").len() == 1);
}

impl Reply {
    /// Lists fail too, unless it is up.
    fn filter_list(self, up: bool) -> Self {
        if up { self } else { status(503) }
    }
}

#[tokio::test(start_paused = true)]
async fn history_that_is_gone_is_listed_again() {
    let gone = Piece::Line(json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}}).to_string());
    let told = timeline(30, Setting::default(), move |asked| match asked.before {
        0 if asked.what == "watch" => Reply::Stream(vec![(4_000, gone.clone())]),
        1 if asked.what == "watch" => status(410),
        _ => with_watch(asked, quiet()),
    })
    .await;
    assert_eq!(times(&told, "> list").len(), 3, "{told:?}");
    assert_eq!(times(&told, "live").len(), 2);
    assert!(times(&told, "failed").is_empty() && times(&told, "listing: broken").is_empty(), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn n11_object_too_old_to_be_watched_without_list_is_polled() {
    let gone = Piece::Line(json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}}).to_string());
    let setting = Setting { pause: Some(Duration::from_secs(3)), ..Setting::default() };
    let told = timeline(60, setting, move |asked| match asked.what {
        "list" => status(403),
        "get" => Reply::Answer(200, None, pod(5).to_string()),
        _ => Reply::Stream(vec![(0, gone.clone())]),
    })
    .await;
    assert_eq!(times(&told, "getting: too old").len(), 1, "{told:?}");
    let gets = pauses(&told, "> get");
    assert!(gets.iter().filter(|pause| **pause == 3_000).count() >= 12, "WAIT_TIME is honoured: {gets:?}");
    assert!(times(&told, "> watch 5").len() <= 12, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn get_alone_is_polled() {
    let told = timeline(20, Setting::default(), |asked| match asked.what {
        "get" => Reply::Answer(200, None, pod(5).to_string()),
        _ => status(403),
    })
    .await;
    assert_eq!(shown(&told)[..4], ["0 > list", "0 > get", "0 listed 1", "0 > watch 5"]);
    assert_eq!(times(&told, "getting: forbidden").len(), 1);
    assert!(times(&told, "> get").len() >= 18 && times(&told, "> list").len() <= 5, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn absent_object_is_watched_for_without_list() {
    let told = timeline(20, Setting::default(), |asked| match asked.what {
        "list" => status(403),
        "get" => status(404),
        _ => Reply::Stream(vec![(3_000, event("ADDED", 8))]),
    })
    .await;
    assert_eq!(shown(&told)[2..], ["0 listed 0", "0 > watch", "0 live", "3000 applied 8"]);
}

#[tokio::test(start_paused = true)]
async fn stream_that_had_bookmarks_and_falls_silent_has_lost_its_server() {
    let told = timeline(200, Setting::default(), |asked| match (asked.what, asked.before) {
        ("watch", 0) => Reply::Stream(vec![(60_000, event("BOOKMARK", 9))]),
        _ => with_watch(asked, quiet()),
    })
    .await;
    assert_eq!(times(&told, "blind"), [150_000], "{told:?}");
    assert_eq!(times(&told, "> list").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn watch_that_outstays_its_time_is_resumed() {
    let told = timeline(330, Setting::default(), |asked| {
        let bookmarks = (1..10).map(|half_minutes| (half_minutes * 60_000 - 1, event("BOOKMARK", 9)));
        with_watch(asked, if asked.before == 0 { Reply::Stream(bookmarks.collect()) } else { quiet() })
    })
    .await;
    let blind = times(&told, "blind")[0];
    assert!((250_000..=310_000).contains(&blind), "{told:?}");
    assert_eq!((times(&told, "> watch 9").len(), times(&told, "> list").len()), (1, 1), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn n1_wish_is_answered_by_a_list_in_time_and_once() {
    let setting = |wishes| Setting { pause: Some(Duration::from_secs(30)), wishes, ..Setting::default() };
    let told = timeline(25, setting(vec![(100, 2_000)]), |asked| with_watch(asked, status(403))).await;
    assert_eq!(times(&told, "> list"), [0, 2_000], "{told:?}");
    let told = timeline(25, setting(vec![(5_000, 1_000)]), |asked| with_watch(asked, status(403))).await;
    assert_eq!(times(&told, "> list"), [0, 5_000], "one whose time has passed: {told:?}");
    let told =
        timeline(25, Setting { wishes: vec![(100, 2_000)], ..Setting::default() }, |asked| with_watch(asked, quiet()));
    assert_eq!(times(&told.await, "> list"), [0], "a watch shows it");
}

#[tokio::test(start_paused = true)]
async fn n1_wish_does_not_wait_for_a_watch_that_does_not_open() {
    let setting = Setting { wishes: vec![(100, 2_000)], ..Setting::default() };
    let told = timeline(10, setting, |asked| with_watch(asked, Reply::Never)).await;
    assert_eq!(times(&told, "> list"), [0, 2_000], "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn n1_wish_does_not_shorten_a_back_off() {
    let wishes = (0..40).map(|number| (number * 100, number * 100)).collect();
    let busy = Reply::Answer(503, Some(5), "down".to_owned());
    let told = timeline(20, Setting { wishes, ..Setting::default() }, move |_| busy.clone()).await;
    assert!(pauses(&told, "> list").iter().all(|pause| *pause >= 5_000), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn selector_is_listed_page_by_page() {
    let setting = Setting { by_selector: true, ..Setting::default() };
    let told = timeline(5, setting, |asked| match (asked.what, asked.page.as_deref()) {
        ("watch", _) => quiet(),
        (_, None) => {
            let first = json!({"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [pod(3)]});
            Reply::Answer(200, None, first.to_string())
        }
        (_, page) => {
            assert_eq!(page, Some("more"));
            listed(7)
        }
    })
    .await;
    assert_eq!(shown(&told)[..4], ["0 > list", "0 > list", "0 listed 2", "0 > watch 7"]);
}

/// A hundred objects of 100 KB each would not fit into the memory of an init container.
#[tokio::test(start_paused = true)]
async fn page_that_is_too_long_is_asked_for_in_smaller_pieces() {
    let setting = Setting { by_selector: true, ..Setting::default() };
    let limits = Arc::new(Mutex::new(Vec::new()));
    let asked_for = Arc::clone(&limits);
    let told = timeline(5, setting, move |asked| {
        if asked.what == "watch" {
            return quiet();
        }
        let limit = asked.limit.expect("a selector is listed in pages");
        asked_for.lock().expect("nobody panicked").push(limit);
        // Large objects first, and then small ones.
        let (size, next) = match asked.page.as_deref() {
            None => (100_000, Some("small")),
            _ => (10, None),
        };
        let object = json!({"metadata": {"name": "db-0", "resourceVersion": "3"}, "data": "x".repeat(size)});
        let list =
            json!({"metadata": {"resourceVersion": "7", "continue": next}, "items": vec![object; limit as usize]});
        Reply::Answer(200, None, list.to_string())
    })
    .await;
    assert_eq!(*limits.lock().expect("nobody panicked"), [100, 25, 6, 6]);
    assert_eq!(times(&told, "listed 12"), [0], "what came of a page that was too long does not count: {told:?}");
}

/// One object that is too large for a page is read alone; what comes after it is not read one by one.
#[tokio::test(start_paused = true)]
async fn pages_grow_again_after_a_large_object() {
    let setting = Setting { by_selector: true, ..Setting::default() };
    let limits = Arc::new(Mutex::new(Vec::new()));
    let asked_for = Arc::clone(&limits);
    timeline(5, setting, move |asked| {
        if asked.what == "watch" {
            return quiet();
        }
        let limit = asked.limit.expect("a selector is listed in pages");
        asked_for.lock().expect("nobody panicked").push(limit);
        let page: usize = asked.page.as_deref().map_or(0, |page| page.parse().expect("a number"));
        let size = if page == 0 { 3 << 20 } else { 10 };
        let next = (page < 4).then(|| (page + 1).to_string());
        let object = json!({"metadata": {"name": "db-0", "resourceVersion": "3"}, "data": "x".repeat(size)});
        let list = json!({"metadata": {"resourceVersion": "7", "continue": next}, "items": [object]});
        Reply::Answer(200, None, list.to_string())
    })
    .await;
    assert_eq!(*limits.lock().expect("nobody panicked"), [100, 25, 6, 1, 1, 4, 16, 64]);
}

#[tokio::test(start_paused = true)]
async fn answer_that_is_none_is_asked_for_again() {
    let told = timeline(20, Setting::default(), |asked| match asked.before {
        0..=2 if asked.what == "list" => Reply::Answer(200, None, "<html>please log in</html>".to_owned()),
        _ => with_watch(asked, quiet()),
    })
    .await;
    assert_eq!((times(&told, "failed").len(), times(&told, "recovered").len()), (3, 1), "{told:?}");
}
