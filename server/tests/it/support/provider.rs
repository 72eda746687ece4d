//! A provider that is written by hand, byte for byte, so that it can do wrong whatever a real one can do wrong. It lives in a thread of
//! the test's process, answers by the upstream name of the model, and remembers every call.

pub(crate) mod openai;
mod replies;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

pub(crate) use self::replies::*;

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// One step of what the provider does with a call. Behind the last one the connection waits for the next call.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Sends these bytes as they are.
    Send(Vec<u8>),
    /// Sends these bytes again and again, this long apart, until the caller leaves.
    Repeat(Vec<u8>, Duration),
    /// Waits until the gate is opened, or the caller leaves.
    Wait(Gate),
    /// Waits until the caller leaves.
    Hang,
    /// Breaks the connection: the caller reads a reset.
    Cut,
    /// Ends the connection in good order, wherever it is.
    Close,
}

/// Closed at first. Once a test has opened it, everybody passes.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|is_open| *is_open).await;
    }
}

/// A call as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Such as `/v1/chat/completions`.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Byte for byte.
    pub(crate) body: String,
    /// When the caller left during [`Act::Repeat`], [`Act::Wait`] or [`Act::Hang`].
    pub(crate) left: Option<Instant>,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }
}

type Behaviour = Arc<dyn Fn(&Received) -> Vec<Act> + Send + Sync>;

#[derive(Default)]
struct State {
    behaviours: HashMap<String, Behaviour>,
    received: Vec<Received>,
}

/// The running provider. It ends when it is dropped.
pub(crate) struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    /// A provider that answers every model with "pong from the provider", as a stream where one is asked for.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// The base URL for a channel.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Says what becomes of calls for this upstream model.
    pub(crate) fn on(&self, model: &str, behaviour: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) {
        self.lock().behaviours.insert(model.to_owned(), Arc::new(behaviour));
    }

    /// Says what is done at each call for this upstream model.
    pub(crate) fn acts(&self, model: &str, acts: Vec<Act>) {
        self.on(model, move |_| acts.clone());
    }

    /// The calls so far for this upstream model.
    pub(crate) fn received(&self, model: &str) -> Vec<Received> {
        self.lock().received.iter().filter(|call| call.model() == model).cloned().collect()
    }

    /// All calls so far.
    pub(crate) fn all_received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// The only call for this upstream model.
    pub(crate) fn only(&self, model: &str) -> Received {
        let mut received = self.received(model);
        assert_eq!(received.len(), 1, "calls for {model}: {received:?}");
        received.remove(0)
    }

    /// Waits until a call for this upstream model has arrived.
    pub(crate) async fn arrival(&self, model: &str) -> Received {
        eventually("a call to arrive", || self.received(model).pop()).await
    }

    /// Waits until the caller of the last call for this upstream model has left, and says when.
    pub(crate) async fn departure(&self, model: &str) -> Instant {
        eventually("the caller to leave", || self.received(model).pop().and_then(|call| call.left)).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for what must come; fails the test when it does not.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        connection.set_nodelay(true).unwrap();
        tokio::spawn(serve(connection, Arc::clone(&state)));
    }
}

async fn serve(connection: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(call) = receive(&connection).await {
        let (number, behaviour) = {
            let mut state = state.lock().unwrap();
            let behaviour = state.behaviours.get(&call.model()).cloned();
            state.received.push(call.clone());
            (state.received.len() - 1, behaviour)
        };
        let acts =
            behaviour.map_or_else(|| answer(&call, &["pong ", "from the provider"]), |behaviour| behaviour(&call));
        for act in acts {
            match perform(&connection, act).await {
                After::GoOn => {}
                After::Over => return,
                After::Left => {
                    state.lock().unwrap().received[number].left = Some(Instant::now());
                    return;
                }
            }
        }
    }
}

enum After {
    GoOn,
    Over,
    Left,
}

async fn perform(connection: &TcpStream, act: Act) -> After {
    match act {
        // Whoever left while there was still something to send is noticed by the next read.
        Act::Send(bytes) => match send(connection, &bytes).await {
            Ok(()) => After::GoOn,
            Err(_) => After::Left,
        },
        Act::Repeat(bytes, pause) => loop {
            tokio::select! {
                () = departure(connection) => return After::Left,
                () = tokio::time::sleep(pause) => {}
            }
            let sent = tokio::select! {
                () = departure(connection) => return After::Left,
                sent = send(connection, &bytes) => sent,
            };
            if sent.is_err() {
                return After::Left;
            }
        },
        Act::Wait(gate) => tokio::select! {
            () = departure(connection) => After::Left,
            () = gate.pass() => After::GoOn,
        },
        Act::Hang => {
            departure(connection).await;
            After::Left
        }
        Act::Cut => {
            connection.set_zero_linger().unwrap();
            After::Over
        }
        Act::Close => After::Over,
    }
}

/// Resolves when the other side has closed the connection.
async fn departure(connection: &TcpStream) {
    loop {
        if connection.readable().await.is_err() {
            return;
        }
        match connection.try_read(&mut [0; 1024]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

async fn send(connection: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        connection.writable().await?;
        match connection.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The next call of a connection; `None` when there is none.
async fn receive(connection: &TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if let Some(call) = parse(&bytes) {
            return Some(call);
        }
        connection.readable().await.ok()?;
        let mut piece = [0; 16 * 1024];
        match connection.try_read(&mut piece) {
            Ok(0) => return None,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// The call in these bytes, once it is whole.
fn parse(bytes: &[u8]) -> Option<Received> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some(Received { path, headers, body: String::from_utf8(body.to_vec()).unwrap(), left: None })
}
