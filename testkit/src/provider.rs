//! A fast model provider that speaks OpenAI's protocol for chats and remembers, by caller's marker, what it did.
//!
//! The last message of a chat may hold words that matter here: `mark-...` is the marker under which the call is recorded, and
//! `chunks=20`, `hanzi=5`, `first_ms=100`, `pause_ms=10` and `fail=reset_midway` (the names of [`Failure`]) go before the settings.
//! Answers consist of hanzi only, so that `chunks x hanzi` is the number of their tokens.

mod answer;
mod connection;
mod head;
mod order;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::background::Background;
use crate::{Error, free_port};

/// What answers are like that do not say otherwise themselves.
#[derive(Debug, Clone, Copy)]
pub struct ProviderSettings {
    /// From the whole request to the first text.
    pub first_text: Duration,
    /// Between two chunks; an answer that is not streamed takes as long in all.
    pub pause: Duration,
    /// Content chunks of an answer, at most 10,000.
    pub chunks: u32,
    /// Hanzi in each chunk, at most 1,000.
    pub hanzi: u32,
}

impl Default for ProviderSettings {
    /// As fast as can be: 8 chunks of 4 hanzi, without any delay.
    fn default() -> Self {
        Self { first_text: Duration::ZERO, pause: Duration::ZERO, chunks: 8, hanzi: 4 }
    }
}

/// What a provider does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// `server_error`: 500.
    ServerError,
    /// `too_many_requests`: 429.
    TooManyRequests,
    /// `nonsense`: 200 with something that is not JSON.
    Nonsense,
    /// `reset`: the connection is reset before the answer.
    Reset,
    /// `reset_midway`: the connection is reset in the middle of the answer.
    ResetMidway,
    /// `hang`: no answer, until the caller leaves.
    Hang,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::ServerError, Self::TooManyRequests, Self::Nonsense, Self::Reset, Self::ResetMidway, Self::Hang];

    /// The word for it in a message.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerError => "server_error",
            Self::TooManyRequests => "too_many_requests",
            Self::Nonsense => "nonsense",
            Self::Reset => "reset",
            Self::ResetMidway => "reset_midway",
            Self::Hang => "hang",
        }
    }
}

/// One call as the provider saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// When the whole request had arrived.
    pub begun: Instant,
    /// When it was done with it, or the caller had left; `None` while it runs.
    pub ended: Option<Instant>,
    /// Content chunks that were sent, or were about to be when the connection broke. All of them for an answer that is not streamed.
    pub chunks: u32,
    /// Hanzi in those chunks.
    pub hanzi: u32,
    /// Whether the answer was sent to its end.
    pub is_whole: bool,
    /// Whether the caller closed the connection before the end.
    pub is_left: bool,
}

/// All calls for one marker, in the order of their arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The calls.
    pub calls: Vec<Call>,
}

#[derive(Debug)]
struct State {
    settings: ProviderSettings,
    failure: Mutex<Option<Failure>>,
    calls: AtomicU64,
    records: Mutex<HashMap<String, Record>>,
}

impl State {
    fn records(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running provider. Dropping it ends it.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    state: Arc<State>,
    _background: Background,
}

impl Provider {
    /// Starts one on a free port.
    pub fn start(settings: ProviderSettings) -> Result<Self, Error> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let state = State {
            settings,
            failure: Mutex::new(None),
            calls: AtomicU64::new(0),
            records: Mutex::new(HashMap::new()),
        };
        let state = Arc::new(state);
        let listener = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(Error::system("cannot listen for the provider"))?;
        let shared = Arc::clone(&state);
        let background = Background::start("provider", move || connection::accept(listener, shared))?;
        Ok(Self { address, state, _background: background })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for a channel, such as `http://127.0.0.1:12345/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Makes every call from now on fail so, or none. What a message asks for goes before it.
    pub fn fail(&self, failure: Option<Failure>) {
        *self.state.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// How many calls arrived so far, with and without a marker.
    pub fn calls(&self) -> u64 {
        self.state.calls.load(Ordering::SeqCst)
    }

    /// What was recorded so far, by marker.
    pub fn records(&self) -> HashMap<String, Record> {
        self.state.records().clone()
    }

    /// What was recorded for one marker.
    pub fn record(&self, marker: &str) -> Option<Record> {
        self.state.records().get(marker).cloned()
    }
}

#[cfg(test)]
mod tests;
