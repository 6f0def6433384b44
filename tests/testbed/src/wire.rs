//! A TCP proxy that fails on request: it refuses, resets, stalls either direction, slows down and cuts off, and it
//! counts. It passes on bytes and knows nothing of TLS or HTTP, so what it stands before stays real from end to end.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::sleep,
};

use crate::Cluster;

/// What the wire does to its connections; by default nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Nobody listens.
    pub refuse: bool,
    /// What the client sends does not get through. Its TCP is answered all the same.
    pub stall_requests: bool,
    /// What the server sends does not get through.
    pub stall_answers: bool,
    /// A connection ends after so many bytes of the server's.
    pub cut_after: Option<usize>,
    /// So many bytes a second of the server's.
    pub bytes_per_second: Option<usize>,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// In good order.
    Fin,
    /// By a reset.
    Rst,
}

/// The proxy; it ends when this is dropped, and its connections with it.
pub struct Wire {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    cuts: watch::Sender<Cut>,
    accepted: Arc<Mutex<Vec<Instant>>>,
}

/// What every task of the proxy listens to.
#[derive(Clone)]
struct Ear {
    faults: watch::Receiver<Faults>,
    cuts: watch::Receiver<Cut>,
}

impl Wire {
    /// A proxy on `address` (port 0: any) before the first of these servers that can be reached.
    ///
    /// # Panics
    /// The address is taken.
    pub fn start(cluster: &Cluster, address: SocketAddr, servers: Vec<SocketAddr>, faults: Faults) -> Self {
        let listener = cluster.runtime.block_on(TcpListener::bind(address)).expect("the address is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (faults, for_faults) = watch::channel(faults);
        let (cuts, for_cuts) = watch::channel(Cut::Fin);
        let accepted = Arc::default();
        let ear = Ear { faults: for_faults, cuts: for_cuts };
        cluster.runtime.spawn(serve(listener, servers, ear, Arc::clone(&accepted)));
        Self { address, faults, cuts, accepted }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does from now on, to open connections too.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// Ends all connections that are open.
    pub fn cut(&self, cut: Cut) {
        self.cuts.send_replace(cut);
    }

    /// When each connection was accepted.
    pub fn accepted(&self) -> Vec<Instant> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(listener: TcpListener, servers: Vec<SocketAddr>, mut ear: Ear, accepted: Arc<Mutex<Vec<Instant>>>) {
    let address = listener.local_addr().expect("a listener has an address");
    let mut listener = Some(listener);
    loop {
        let refuse = ear.faults.borrow_and_update().refuse;
        if refuse {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.expect("the address is free again"));
        }
        tokio::select! {
            changed = ear.faults.changed() => if changed.is_err() { return },
            stream = accept(listener.as_ref()) => {
                accepted.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                tokio::spawn(connection(stream, servers.clone(), ear.clone()));
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        // Errors are those of one client that has gone already.
        Some(listener) => loop {
            if let Ok((stream, _)) = listener.accept().await {
                return stream;
            }
        },
        None => std::future::pending().await,
    }
}

async fn connection(mut client: TcpStream, servers: Vec<SocketAddr>, mut ear: Ear) {
    ear.cuts.mark_unchanged();
    let Some(mut server) = connect(&servers).await else {
        drop(client.set_zero_linger());
        return;
    };
    let faults = ear.faults.clone();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let end = tokio::select! {
        _ = pump(from_client, to_server, faults.clone(), |faults| faults.stall_requests, |_| Pace::default()) => Cut::Fin,
        _ = pump(from_server, to_client, faults, |faults| faults.stall_answers, Pace::of_answers) => Cut::Fin,
        // An error: the wire itself is gone.
        cut = ear.cuts.changed() => if cut.is_ok() { *ear.cuts.borrow() } else { Cut::Rst },
    };
    if end == Cut::Rst {
        // Both fail only when the connection is gone, which is what they are to bring about.
        drop(client.set_zero_linger());
        drop(server.set_zero_linger());
    }
}

async fn connect(servers: &[SocketAddr]) -> Option<TcpStream> {
    for server in servers {
        if let Ok(stream) = TcpStream::connect(server).await {
            return Some(stream);
        }
    }
    None
}

#[derive(Default)]
struct Pace {
    cut_after: Option<usize>,
    bytes_per_second: Option<usize>,
}

impl Pace {
    fn of_answers(faults: &Faults) -> Self {
        Self { cut_after: faults.cut_after, bytes_per_second: faults.bytes_per_second }
    }
}

/// Passes on until one side ends or the cut is reached.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut faults: watch::Receiver<Faults>,
    is_stalled: fn(&Faults) -> bool,
    pace: fn(&Faults) -> Pace,
) -> io::Result<()> {
    let mut passed = 0;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let now = faults.wait_for(|faults| !is_stalled(faults)).await.map(|faults| pace(&faults));
        let Pace { cut_after, bytes_per_second } = now.map_err(io::Error::other)?;
        let most = cut_after.map_or(buffer.len(), |cut| cut.saturating_sub(passed)).min(buffer.len());
        if most == 0 {
            return Ok(());
        }
        // A tenth of a second's worth at a time.
        let most = bytes_per_second.map_or(most, |rate| most.min((rate / 10).max(1)));
        let read = from.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Ok(());
        }
        // It may have begun to stall while this was read.
        drop(faults.wait_for(|faults| !is_stalled(faults)).await.map_err(io::Error::other)?);
        to.write_all(&buffer[..read]).await?;
        passed += read;
        if bytes_per_second.is_some() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}
