//! The way to Redis: connections, time limits, scripts. What is kept there is work in motion only; losing all of it costs no money.
//!
//! Short commands share a few connections, so that those of many callers travel together; the connections come from a pool that
//! makes, checks and replaces them. A read that blocks has a connection of its own: see [`RedisPool::dedicated`].

mod error;
mod facts;
mod script;
mod settings;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::{Manager, Pool, Runtime, Timeouts};
use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisError,
    ServerErrorKind, Value,
};
use tokio::runtime::Handle;
use tokio::time::Instant;

pub use error::RedisStoreError;
pub use facts::ServerFacts;
pub use script::{Invocation, Script};
pub use settings::{RedisSettings, RedisTimeouts};

/// Pauses between tries on a server that is away: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Connections to one Redis. Cheap to clone.
#[derive(Clone)]
pub struct RedisPool {
    inner: Arc<Inner>,
}

struct Inner {
    at: String,
    base: String,
    timeouts: RedisTimeouts,
    client: Client,
    pool: Pool,
    lanes: Vec<Lane>,
    next_lane: AtomicUsize,
    connections_made: AtomicU64,
    /// Where connections live: not in the runtime of a thread that may go away.
    runtime: Handle,
}

/// One connection of the pool, shared by many callers.
#[derive(Default)]
struct Lane {
    live: Mutex<Option<Live>>,
    /// One connects, the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

struct Live {
    number: u64,
    connection: deadpool_redis::Connection,
}

/// A pool whose every wait is bounded but the one for an answer, around which its users have limits of their own.
fn bounded_pool(info: ConnectionInfo, timeouts: RedisTimeouts, connections: usize) -> Result<Pool, RedisStoreError> {
    let invalid = || RedisStoreError::Url("its settings are not valid");
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(timeouts.connect)).set_response_timeout(None);
    let wait = Some(timeouts.connect);
    Pool::builder(Manager::new_with_config(info, config).map_err(|_| invalid())?)
        .max_size(connections)
        .timeouts(Timeouts { wait, create: wait, recycle: wait })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|_| invalid())
}

enum Call<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
    /// Of which only the last answer counts.
    Script(&'a Pipeline),
}

impl fmt::Debug for RedisPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisPool").field("at", &self.inner.at).finish_non_exhaustive()
    }
}

impl RedisPool {
    /// Connects. Call it inside the runtime that lives as long as the process.
    ///
    /// # Errors
    /// [`RedisStoreError`]: the settings cannot be used, or Redis does not answer.
    pub async fn connect(settings: &RedisSettings) -> Result<Self, RedisStoreError> {
        let client = settings.client()?;
        let info = client.get_connection_info().clone();
        let at = settings::shown(&info);
        let timeouts = settings.timeouts;
        // Our own limit, which knows how large a command is, stands around every call.
        let connections = settings.connections.max(1);
        let pool = bounded_pool(info, timeouts, connections)?;
        let inner = Inner {
            at,
            base: format!("{{{}}}:", settings.checked_prefix()?),
            timeouts,
            client,
            pool,
            lanes: (0..connections).map(|_| Lane::default()).collect(),
            next_lane: AtomicUsize::new(0),
            connections_made: AtomicU64::new(0),
            runtime: Handle::current(),
        };
        let pool = Self { inner: Arc::new(inner) };
        pool.ping().await?;
        Ok(pool)
    }

    /// A pool of so many further connections to the same Redis, for callers that take one each.
    ///
    /// # Errors
    /// [`RedisStoreError`].
    pub(crate) fn further_pool(&self, connections: usize) -> Result<Pool, RedisStoreError> {
        bounded_pool(self.inner.client.get_connection_info().clone(), self.inner.timeouts, connections)
    }

    /// Host, port and database number, without user and password.
    pub fn at(&self) -> &str {
        &self.inner.at
    }

    /// What every key begins with: `{prefix}:`.
    pub fn base(&self) -> &str {
        &self.inner.base
    }

    /// A key under the prefix.
    pub fn key(&self, name: impl fmt::Display) -> String {
        format!("{}{name}", self.inner.base)
    }

    /// A script, to be given its arguments.
    pub fn script<'a>(&'a self, script: &'a Script) -> Invocation<'a> {
        Invocation::new(self, script)
    }

    /// Runs a short command that bears being run twice.
    ///
    /// # Errors
    /// [`RedisStoreError`]; it may have run all the same.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisStoreError> {
        let value = self.repeatedly(self.inner.timeouts.response, |_| Call::Command(command)).await?;
        self.read(value)
    }

    /// Runs short commands that bear being run twice, in one round trip.
    ///
    /// # Errors
    /// [`RedisStoreError`]; they may have run all the same.
    pub async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisStoreError> {
        let value = self.repeatedly(self.inner.timeouts.response, |_| Call::Pipeline(pipeline)).await?;
        self.read(value)
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// [`RedisStoreError`].
    pub async fn ping(&self) -> Result<(), RedisStoreError> {
        self.command::<Value>(&redis::cmd("PING")).await.map(drop)
    }

    /// A connection of its own without a limit on answers, for reads that block. Such a read must not be given up half-way, or what
    /// it takes is lost: who gives it up drops the connection too.
    ///
    /// # Errors
    /// [`RedisStoreError`].
    pub async fn dedicated(&self, within: Duration) -> Result<MultiplexedConnection, RedisStoreError> {
        let client = self.inner.client.clone();
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(within)).set_response_timeout(None);
        let connecting =
            self.inner.runtime.spawn(async move { client.get_multiplexed_async_connection_with_config(&config).await });
        self.connected(tokio::time::timeout(within, connecting).await)
    }

    /// A connection of its own for messages.
    ///
    /// # Errors
    /// [`RedisStoreError`].
    pub async fn subscriber(&self, within: Duration) -> Result<PubSub, RedisStoreError> {
        let client = self.inner.client.clone();
        let connecting = self.inner.runtime.spawn(async move { client.get_async_pubsub().await });
        self.connected(tokio::time::timeout(within, connecting).await)
    }

    /// What a command of so many bytes may take.
    pub(crate) fn limit_of(&self, bytes: usize) -> Duration {
        let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).min(3600);
        self.inner.timeouts.response + Duration::from_secs(1) * mebibytes
    }

    fn connected<T>(
        &self,
        connected: Result<Result<Result<T, RedisError>, tokio::task::JoinError>, tokio::time::error::Elapsed>,
    ) -> Result<T, RedisStoreError> {
        match connected {
            Ok(Ok(Ok(connection))) => Ok(connection),
            Ok(Ok(Err(error))) => Err(self.failed(&error)),
            Ok(Err(stopped)) => Err(self.unreachable(&stopped)),
            Err(_) => Err(self.timed_out()),
        }
    }

    async fn run_script<T: FromRedisValue>(
        &self,
        invocation: &Invocation<'_>,
        limit: Duration,
    ) -> Result<T, RedisStoreError> {
        let deadline = Instant::now() + limit;
        let (mut tries, mut with_code) = (0, false);
        loop {
            let commands = invocation.commands(tries > 0, with_code);
            match self.once(deadline, Call::Script(&commands)).await {
                Ok(value) => return self.read(value),
                // Redis has not seen it since it started; from now on it knows it.
                Err(Missed::Refused(error))
                    if !with_code && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) =>
                {
                    with_code = true;
                }
                Err(missed) => self.pause_or_give_up(missed, &mut tries, deadline).await?,
            }
        }
    }

    async fn repeatedly<'a>(&self, limit: Duration, call: impl Fn(u32) -> Call<'a>) -> Result<Value, RedisStoreError> {
        let deadline = Instant::now() + limit;
        let mut tries = 0;
        loop {
            match self.once(deadline, call(tries)).await {
                Ok(value) => return Ok(value),
                Err(missed) => self.pause_or_give_up(missed, &mut tries, deadline).await?,
            }
        }
    }

    async fn pause_or_give_up(
        &self,
        missed: Missed,
        tries: &mut u32,
        deadline: Instant,
    ) -> Result<(), RedisStoreError> {
        let error = match missed {
            Missed::Refused(error) => return Err(self.failed(&error)),
            Missed::TimedOut => return Err(self.timed_out()),
            Missed::Broken(error) => error,
        };
        let pause = if *tries == 0 { Duration::ZERO } else { FIRST_PAUSE * (1 << (*tries).min(8)) };
        *tries += 1;
        let pause = pause.min(LONGEST_PAUSE);
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn once(&self, deadline: Instant, call: Call<'_>) -> Result<Value, Missed> {
        let lanes = &self.inner.lanes;
        let chosen = self.inner.next_lane.fetch_add(1, Ordering::Relaxed) % lanes.len();
        let Some(lane) = lanes.get(chosen) else { return Err(Missed::TimedOut) };
        let (number, mut connection) = match tokio::time::timeout_at(deadline, self.connection(lane)).await {
            Ok(connected) => connected?,
            Err(_) => return Err(Missed::TimedOut),
        };
        let calling = async {
            match call {
                Call::Command(command) => connection.req_packed_command(command).await,
                Call::Pipeline(pipeline) => pipeline.query_async(&mut connection).await,
                Call::Script(commands) => {
                    let answers = connection.req_packed_commands(commands, 0, commands.len()).await?;
                    answers.into_iter().try_fold(Value::Nil, |_, answer| answer.extract_error())
                }
            }
        };
        match tokio::time::timeout_at(deadline, calling).await {
            Ok(Ok(value)) => value.extract_error().map_err(Missed::Refused),
            Ok(Err(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading) => {
                Err(Missed::Broken(self.failed(&error)))
            }
            Ok(Err(error)) if is_broken(&error) => {
                lane.discard(number);
                Err(Missed::Broken(self.unreachable(&error)))
            }
            Ok(Err(error)) => Err(Missed::Refused(error)),
            Err(_) => {
                // It may be stalled for good; the next caller gets a new one.
                lane.discard(number);
                Err(Missed::TimedOut)
            }
        }
    }

    async fn connection(&self, lane: &Lane) -> Result<(u64, MultiplexedConnection), Missed> {
        if let Some(live) = lane.shared() {
            return Ok(live);
        }
        let _only_one = lane.connecting.lock().await;
        if let Some(live) = lane.shared() {
            return Ok(live);
        }
        let pool = self.inner.pool.clone();
        let connection = match self.inner.runtime.spawn(async move { pool.get().await }).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(deadpool_redis::PoolError::Backend(error))) => {
                return Err(match self.failed(&error) {
                    away if away.is_outage() => Missed::Broken(away),
                    _ => Missed::Refused(error),
                });
            }
            Ok(Err(error)) => return Err(Missed::Broken(self.unreachable(&error))),
            Err(stopped) => return Err(Missed::Broken(self.unreachable(&stopped))),
        };
        let number = self.inner.connections_made.fetch_add(1, Ordering::Relaxed);
        let shared = connection.as_ref().clone();
        *lane.lock() = Some(Live { number, connection });
        Ok((number, shared))
    }

    fn read<T: FromRedisValue>(&self, value: Value) -> Result<T, RedisStoreError> {
        T::from_redis_value(value)
            .map_err(|error| RedisStoreError::Refused { at: self.inner.at.clone(), why: error.to_string() })
    }

    /// The error of ours for one of the client's.
    pub(crate) fn failed(&self, error: &RedisError) -> RedisStoreError {
        if is_broken(error) || error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading) {
            self.unreachable(error)
        } else {
            RedisStoreError::Refused { at: self.inner.at.clone(), why: error.to_string() }
        }
    }

    fn unreachable(&self, why: &impl fmt::Display) -> RedisStoreError {
        RedisStoreError::Unreachable { at: self.inner.at.clone(), why: why.to_string() }
    }

    pub(crate) fn timed_out(&self) -> RedisStoreError {
        RedisStoreError::TimedOut { at: self.inner.at.clone() }
    }
}

/// Why one try brought nothing.
enum Missed {
    /// The connection broke or could not be made: another try may succeed.
    Broken(RedisStoreError),
    /// Redis said no.
    Refused(RedisError),
    TimedOut,
}

fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal() || error.is_timeout()
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> Option<(u64, MultiplexedConnection)> {
        self.lock().as_ref().map(|live| (live.number, live.connection.as_ref().clone()))
    }

    /// Lets go of this connection, unless a newer one has taken its place.
    fn discard(&self, number: u64) {
        let broken = self.lock().take_if(|live| live.number == number);
        if let Some(Live { connection, .. }) = broken {
            // Out of the pool too, which would only find out by asking it.
            drop(deadpool_redis::Connection::take(connection));
        }
    }
}
