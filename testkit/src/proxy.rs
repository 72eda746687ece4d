//! A TCP proxy that can do to a connection what a bad network does.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::background::Background;
use crate::{Error, free_port};

/// What is moved at once.
const PIECE: usize = 16 * 1024;

/// What the network is like at present.
#[derive(Debug, Clone, Copy)]
struct Weather {
    target: SocketAddr,
    is_stalled: bool,
    is_refusing: bool,
    /// Connections that were made at a lower number are cut.
    cuts: u64,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    open: AtomicU64,
    bytes: AtomicU64,
}

/// The running proxy. Dropping it closes it and all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    counters: Arc<Counters>,
    _background: Background,
}

impl Proxy {
    /// Starts a proxy on a free port that leads to `target`, which need not be there yet.
    pub fn start(target: SocketAddr) -> Result<Self, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (weather, seen) = watch::channel(Weather { target, is_stalled: false, is_refusing: false, cuts: 0 });
        let counters = Arc::new(Counters::default());
        // Bound here, so that it listens when this returns and a failure is reported.
        let listener = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(Error::system("cannot listen for the proxy"))?;
        let counted = Arc::clone(&counters);
        let background = Background::start("proxy", move || listen(address, listener, seen, counted))?;
        Ok(Self { address, weather, counters, _background: background })
    }

    /// Where it listens, for all its life.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets all open connections. New ones are served.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Stops or resumes moving bytes, in both directions and for new connections too. Nothing is closed or lost.
    pub fn stall(&self, is_stalled: bool) {
        self.weather.send_modify(|weather| weather.is_stalled = is_stalled);
    }

    /// Stops or resumes listening: new connections are refused. Open ones go on.
    pub fn refuse(&self, is_refusing: bool) {
        self.weather.send_modify(|weather| weather.is_refusing = is_refusing);
    }

    /// Leads new connections to another place.
    pub fn set_target(&self, target: SocketAddr) {
        self.weather.send_modify(|weather| weather.target = target);
    }

    /// How many connections it has accepted so far.
    pub fn accepted(&self) -> u64 {
        self.counters.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> u64 {
        self.counters.open.load(Ordering::SeqCst)
    }

    /// How many bytes it has moved so far, in both directions.
    pub fn bytes(&self) -> u64 {
        self.counters.bytes.load(Ordering::SeqCst)
    }
}

async fn listen(
    address: SocketAddr,
    listener: std::net::TcpListener,
    mut weather: watch::Receiver<Weather>,
    counters: Arc<Counters>,
) {
    let mut listener = TcpListener::from_std(listener).ok();
    loop {
        if weather.borrow_and_update().is_refusing {
            listener = None;
            if weather.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(open) = &listener else {
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            continue;
        };
        tokio::select! {
            changed = weather.changed() => if changed.is_err() { return },
            accepted = open.accept() => if let Ok((client, _)) = accepted {
                counters.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(connection(client, weather.clone(), Arc::clone(&counters)));
            },
        }
    }
}

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(mut client: TcpStream, mut weather: watch::Receiver<Weather>, counters: Arc<Counters>) {
    counters.open.fetch_add(1, Ordering::SeqCst);
    let open = Open(Arc::clone(&counters));
    let Weather { target, cuts, .. } = *weather.borrow();
    let Ok(mut server) = TcpStream::connect(target).await else {
        // Whoever is behind is not there: the nearest thing to a refused connection that can still be said.
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let moved = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump(from_client, to_server, weather.clone(), &open.0.bytes);
        let down = pump(from_server, to_client, weather.clone(), &open.0.bytes);
        let both = async { tokio::try_join!(up, down) };
        tokio::select! {
            moved = both => moved.is_ok(),
            _ = weather.wait_for(|weather| weather.cuts != cuts) => false,
        }
    };
    if !moved {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn pump(
    mut from: tokio::net::tcp::ReadHalf<'_>,
    mut to: tokio::net::tcp::WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        // An end is news like any other: a stalled network does not tell it.
        if weather.borrow().is_stalled {
            weather.wait_for(|weather| !weather.is_stalled).await.map_err(io::Error::other)?;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        bytes.fetch_add(length as u64, Ordering::SeqCst);
        to.write_all(&piece[..length]).await?;
    }
}

#[cfg(test)]
mod tests;
