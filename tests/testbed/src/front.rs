//! A server without TLS before the real API server: a script answers some requests with what a real one cannot be made
//! to say, and lets all others through.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use kube::{Client, client::Body};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{Cluster, wire::Cut};

/// A request, as far as a script may want to know it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// when it came
    pub at: Instant,
    /// path and query
    pub target: String,
    /// the form in which an answer is asked for
    pub accept: String,
    /// how many like it (a watch, or none) came before
    pub before: usize,
}

impl Asked {
    /// Whether it opens a watch.
    pub fn is_watch(&self) -> bool {
        self.target.contains("watch=true")
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The real API server answers it, with every right.
    Pass,
    /// This text is sent as it is, and then the connection ends.
    Say(String),
    /// The same, but the end comes later and perhaps not in good order.
    SayThen(String, Duration, Cut),
    /// The same, but the connection stays open in silence.
    SayAndHold(String),
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server; it ends with the cluster.
pub struct Front {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Front {
    /// A server on some port of the loopback address.
    ///
    /// # Panics
    /// There is no port left.
    pub fn start(cluster: &Cluster, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = cluster.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let asked = Arc::default();
        let (log, script, client) = (Arc::clone(&asked), Arc::new(script), cluster.client.clone());
        cluster.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script, client) = (Arc::clone(&log), Arc::clone(&script), client.clone());
                // An error is the client's end.
                tokio::spawn(async move { drop(serve(stream, &log, &*script, &client).await) });
            }
        });
        Self { address, asked }
    }

    /// For a kubeconfig: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }
}

fn lock(asked: &Mutex<Vec<Asked>>) -> std::sync::MutexGuard<'_, Vec<Asked>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request a connection: every answer says so.
async fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, script: &Script, client: &Client) -> io::Result<()> {
    let (target, accept) = read_head(&mut stream).await?;
    let mut asked = Asked { at: Instant::now(), target, accept, before: 0 };
    {
        let mut log = lock(log);
        asked.before = log.iter().filter(|other| other.is_watch() == asked.is_watch()).count();
        log.push(asked.clone());
    }
    match script(&asked) {
        Reply::Pass => pass(stream, &asked, client).await,
        Reply::Say(text) => stream.write_all(text.as_bytes()).await,
        Reply::SayThen(text, after, cut) => {
            stream.write_all(text.as_bytes()).await?;
            sleep(after).await;
            if cut == Cut::Rst { stream.set_zero_linger() } else { Ok(()) }
        }
        Reply::SayAndHold(text) => {
            stream.write_all(text.as_bytes()).await?;
            // Nothing more comes from the client but its end.
            stream.read(&mut [0; 16]).await.map(drop)
        }
    }
}

/// A GET has nothing after its head.
async fn read_head(stream: &mut TcpStream) -> io::Result<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.split(' ').nth(1).ok_or_else(|| io::Error::other("no request line"))?;
    let accept =
        head.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("accept"));
    Ok((target.to_owned(), accept.map_or("application/json", |(_, forms)| forms).to_owned()))
}

async fn pass(mut stream: TcpStream, asked: &Asked, client: &Client) -> io::Result<()> {
    let request = http::Request::get(&asked.target).header("accept", &asked.accept).body(Body::empty());
    let request = request.map_err(io::Error::other)?;
    let response = client.send(request).await.map_err(io::Error::other)?;
    let form = response.headers().get("content-type").and_then(|form| form.to_str().ok()).unwrap_or_default();
    let head = head(response.status().as_u16(), &format!("Content-Type: {form}\r\n"));
    stream.write_all(head.as_bytes()).await?;
    let mut body = response.into_body();
    let (mut from_client, mut to_client) = stream.split();
    let mut end = [0; 16];
    loop {
        tokio::select! {
            frame = body.frame() => match frame {
                Some(Ok(frame)) => to_client.write_all(&frame.into_data().unwrap_or_default()).await?,
                _ => return Ok(()),
            },
            _ = from_client.read(&mut end) => return Ok(()),
        }
    }
}

/// A status line with these header lines, each with its end; the body ends with the connection.
pub fn head(status: u16, lines: &str) -> String {
    format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n{lines}\r\n")
}
