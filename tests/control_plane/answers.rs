//! Answers that a real API server, or something before it, gives in bad times, and cannot be made to give in a test.

use std::{
    thread,
    time::{Duration, Instant},
};

use testbed::{
    Namespace,
    figures::{not_before, within},
    front::{Asked, Front, Reply, head},
    objects::{complete_job, create_suspended_job},
    scene::{Fault, by_way_of, reader, since, status, succeeds, wait},
};

/// How long an answer may take.
const RESPONSE_LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq)]
enum On {
    List,
    Watch,
}

/// A bad answer, to which requests, and what the log at level debug has to say of it.
struct Trouble {
    name: &'static str,
    on: On,
    text: String,
    said: &'static str,
}

fn page(code: u16, lines: &str) -> String {
    format!("{}<html><body>please log in</body></html>", head(code, &format!("Content-Type: text/html\r\n{lines}")))
}

fn troubles() -> Vec<Trouble> {
    use On::{List, Watch};
    let trouble = |name, on, text, said| Trouble { name, on, text, said };
    let busy = status(429, "TooManyRequests", "too many requests, please try again later", "");
    let leader = status(500, "", "etcdserver: leader changed", "");
    let unavailable = status(503, "ServiceUnavailable", "apiserver not ready", "");
    let late = status(504, "Timeout", "Timeout: request did not complete within requested timeout", "");
    let future = status(504, "Timeout", "Too large resource version: 9999999, current: 1", "Retry-After: 1\r\n");
    let gone = status(410, "Expired", "too old resource version: 1 (2)", "");
    let event = |object: &str| format!("{}{{\"type\":\"ERROR\",\"object\":{object}}}\n", head(200, ""));
    let body = |answer: &str| answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
    vec![
        trouble("429-plain-text", List, format!("{}slow down", head(429, "")), "slow down"),
        trouble("429-status", List, busy.clone(), "please try again later"),
        trouble("429-watch", Watch, busy, "please try again later"),
        trouble("500-leader-changed", List, leader.clone(), "leader changed"),
        trouble("500-leader-changed-event", Watch, event(&body(&leader)), "leader changed"),
        trouble("503", List, unavailable.clone(), "apiserver not ready"),
        trouble("503-watch", Watch, unavailable, "apiserver not ready"),
        trouble("504", List, late.clone(), "504 Gateway Timeout"),
        trouble("504-watch", Watch, late, "504 Gateway Timeout"),
        trouble("410-status", Watch, gone.clone(), "too old resource version"),
        trouble("410-event", Watch, event(&body(&gone)), "Expired"),
        trouble("410-list", List, gone, "too old resource version"),
        trouble("too-large-version", Watch, future.clone(), "Too large resource version"),
        trouble("too-large-version-list", List, future, "Too large resource version"),
        trouble("html", List, page(200, ""), "please log in"),
        trouble("html-watch", Watch, page(200, ""), "cannot be read"),
        trouble("html-404", List, page(404, ""), "404 Not Found"),
        trouble("html-400", List, page(400, ""), "400 Bad Request"),
        trouble("html-502", Watch, page(502, ""), "502 Bad Gateway"),
        trouble("redirect", List, page(302, "Location: https://login.example.com/\r\n"), "302 Found"),
        trouble("redirect-watch", Watch, page(307, "Location: /elsewhere\r\n"), "307 Temporary Redirect"),
        trouble("empty", List, head(200, "Content-Length: 0\r\n"), "cannot read"),
        trouble("nothing", List, String::new(), "retrying"),
        trouble("garbage", List, "\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), "retrying"),
    ]
}

/// Each of them for as long as it takes: one of lists until it is healed, one of watches for good.
pub fn server_s_troubles_are_survived(namespace: &Namespace) {
    let kubeconfig = reader(namespace);
    thread::scope(|scope| {
        for trouble in troubles() {
            let kubeconfig = &kubeconfig;
            scope.spawn(move || {
                let Trouble { name, on, text, said } = trouble;
                create_suspended_job(namespace, name);
                let is_bad = move |asked: &Asked| asked.is_watch() == (on == On::Watch);
                let fault = Fault::start(namespace, move |it| is_bad(it).then(|| Reply::Say(text.clone())));
                let front = &fault.front;
                let waiting = wait(&by_way_of(kubeconfig, &front.url()), &format!("job {name} --log-level debug"));
                let bad = || front.asked().iter().filter(|it| is_bad(it)).count();
                since(Instant::now(), name, || bad() >= 4);
                if on == On::List {
                    fault.heal();
                    since(Instant::now(), name, || front.asked().iter().any(Asked::is_watch));
                }
                complete_job(namespace, name);
                let finished = succeeds(waiting);
                let output = finished.output();
                assert!(output.contains(said), "{name} says {said:?}: {finished:#?}");
                let lists = front.asked().iter().filter(|it| !it.is_watch()).count();
                // What cannot be resumed from is listed again; all else is resumed.
                let expired = on == On::Watch && (name.starts_with("410") || name.starts_with("too-large"));
                assert!(!expired || lists > 1, "{name}: listed {lists} times");
            });
        }
    });
}

pub fn retry_after_is_a_floor(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let text = status(429, "TooManyRequests", "too many requests", "Retry-After: 3\r\n");
    let fault = Fault::start(namespace, move |_| Some(Reply::Say(text.clone())));
    let front = &fault.front;
    let waiting = wait(&by_way_of(&kubeconfig, &front.url()), "job migrate");
    since(Instant::now(), "two pauses", || front.asked().len() >= 3);
    fault.heal();
    succeeds(waiting);
    for pair in front.asked().windows(2) {
        // On top of the wish there is jitter: the third time up to a second.
        let (wish, jitter) = (Duration::from_secs(3), Duration::from_secs(1));
        not_before(wish, jitter, "429 with Retry-After: 3, next request", pair[1].at - pair[0].at);
    }
}

fn noticed_after_20_s(namespace: &Namespace, name: &str, said: &str, reply: Reply) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let front =
        Front::start(namespace.cluster(), move |asked| if asked.before == 0 { reply.clone() } else { Reply::Pass });
    let waiting = wait(&by_way_of(&kubeconfig, &front.url()), "job migrate");
    let started = since(Instant::now(), "a request", || !front.asked().is_empty());
    waiting.line(said);
    let asked = front.asked()[0].at.elapsed();
    within(RESPONSE_LIMIT, &format!("{name}: noticed after"), asked);
    let finished = succeeds(waiting);
    assert!(finished.elapsed + started >= RESPONSE_LIMIT, "{finished:#?}");
}

pub fn missing_headers_cost_20_s(namespace: &Namespace) {
    noticed_after_20_s(namespace, "no response headers", "no response", Reply::SayAndHold(String::new()));
}

pub fn stalled_answer_costs_20_s(namespace: &Namespace) {
    let half = format!("{}{{\"kind\":\"JobList\",", head(200, "Content-Length: 5000\r\n"));
    noticed_after_20_s(namespace, "response stalls half-way", "stalled for 20s", Reply::SayAndHold(half));
}
