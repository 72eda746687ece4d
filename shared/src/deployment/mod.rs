//! The seam: the one place that looks at the settings to choose the database, the queue and the limits. Everything else gets a
//! [`Deployment`] and cannot tell.

mod duties;
mod error;
mod patience;
mod places;
mod presence;
mod role;
mod workbench;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use error::DeploymentError;
pub use role::Role;
pub use workbench::Workbench;

use self::presence::{Presence, Sharing};
use crate::admission::{Admission, AdmissionParts};
use crate::calls::CallLog;
use crate::catalogue::{Catalogue, price_list};
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::{self, Database};
use crate::epoch::EpochWatch;
use crate::health::Health;
use crate::id::ProcessId;
use crate::installation::{self, InstallationError};
use crate::keyring::{Keyring, KeyringSettings};
use crate::ledger::{self, Ledger, Sweeper, WriterSettings};
use crate::limits::{Limits, MemoryLimits, RedisLimits};
use crate::queue::{MemoryQueue, Queue, QueueLimits, RedisQueue, SLOW_CLIENT_MS, Timings};
use crate::redis_store::RedisPool;
use crate::seal::Sealer;

/// Connections by which the limits of keys are asked in Redis.
const LIMITS_CONNECTIONS: usize = 8;

/// All parts of a process that serves. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// All settings.
    pub settings: Arc<Settings>,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub database: Database,
    /// Seals and opens what is secret in it.
    pub sealer: Arc<Sealer>,
    /// The ledger's writer.
    pub ledger: Ledger,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// Counts what keys do.
    pub limits: Arc<dyn Limits>,
    /// Models, channels and prices.
    pub catalogue: Catalogue,
    /// Verifies Secret Keys.
    pub keyring: Arc<Keyring>,
    /// Keeps the details of calls.
    pub calls: CallLog,
    /// Lets calls in.
    pub admission: Admission,
    /// Whether this process can serve.
    pub health: Health,
    /// This process.
    pub process: ProcessId,
    epoch: EpochWatch,
    presence: Presence,
    /// Why this process must end, once it must.
    must_end: watch::Sender<Option<String>>,
}

impl Deployment {
    /// Resolves with the reason when this process must not go on: another one has taken the database for itself. Usually it never does.
    pub async fn must_end(&self) -> String {
        let mut told = self.must_end.subscribe();
        match told.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Starts every part that `role` needs: takes its place among those that serve the database, releases what a dead server left held (if
    /// it is the only one), and begins the work in the background (heartbeat, epoch, sweeper, audit), which ends with the runtime.
    ///
    /// # Errors
    /// [`DeploymentError`].
    pub async fn start(workbench: Workbench, role: Role) -> Result<Self, DeploymentError> {
        let Workbench { settings, clock, database, sealer } = workbench;
        let redis = match places::redis(&settings)? {
            Some(redis) => {
                let wait = Duration::from_secs(settings.start.wait_s);
                Some(patience::until_reached(wait, "Redis", || RedisPool::connect(&redis)).await?)
            }
            None if role == Role::All => None,
            None => return Err(DeploymentError::RoleNeedsRedis(role)),
        };
        let own = clock.now();
        let apart_s = database.read(move |connection| Ok(own.since(db::now(connection, own)?).abs() / 1000)).await?;
        if apart_s > error::CLOCKS_APART_S {
            return Err(DeploymentError::ClocksApart { place: database.url().place(), apart_s });
        }
        let sharing = if redis.is_some() { Sharing::WithOthers } else { Sharing::Alone };
        let presence = Presence::take(&database, sharing)?;
        let process = ProcessId::new();
        let writer = WriterSettings {
            batch: settings.ledger.batch,
            queue: settings.ledger.queue,
            timeout_ms: settings.deadline.database_s.saturating_mul(1000),
        };
        let ledger = Ledger::start(&database, clock.clone(), writer)?;
        let (default_price, now) = (workbench::default_price_of(&settings), clock.now());
        database.write(move |connection| price_list::ensure_default(connection, default_price, now)).await?;
        ledger::register_process(&database, process, role.name(), clock.now()).await?;
        let mut sweeper = Sweeper::load(&database, process, clock.now()).await?;
        // Only a file's lock shows that nobody else lives; a session with a server can be lost by one who does.
        if database.file().is_some() {
            let released = sweeper.void_dead_owners(&database, &ledger, clock.now()).await?;
            if released > 0 {
                tracing::warn!(
                    holds = released,
                    "the server before this one ended without settling; its holds were released"
                );
            }
            sweeper.save(&database).await?;
        }

        let epoch = EpochWatch::start(&database, clock.clone()).await?;
        let catalogue = Catalogue::start(&database, Arc::clone(&sealer)).await?;
        let opener = Arc::clone(&sealer);
        let tag_key = database.read(move |connection| Ok(installation::tag_key(connection, &opener))).await??;
        let keyring = Keyring::new(
            database.clone(),
            epoch.clone(),
            clock.clone(),
            tag_key,
            KeyringSettings {
                remember: Duration::from_secs(settings.keys.cache_s),
                entries: settings.keys.cache_entries,
                hashes: settings.keys.hash_concurrency,
            },
        )
        .map_err(InstallationError::from)?;
        let queue_limits = QueueLimits {
            capacity: settings.queue.capacity,
            tenant_share: settings.queue.tenant_share,
            large_bytes: settings.queue.large_bytes,
            frames: settings.queue.frames,
            slots: settings.worker.concurrency,
            slow_client_ms: SLOW_CLIENT_MS,
        };
        let queue: Arc<dyn Queue> = match &redis {
            Some(pool) => {
                let (pool, timings) = (pool.clone(), Timings::default());
                Arc::new(RedisQueue::connect(pool, queue_limits, process, role.works(), clock.clone(), timings).await?)
            }
            None => Arc::new(MemoryQueue::new(queue_limits, clock.clone())),
        };
        let limits: Arc<dyn Limits> = match &redis {
            Some(pool) => {
                let prefix = format!("{}:", settings.redis.prefix);
                Arc::new(RedisLimits::new(pool.further_pool(LIMITS_CONNECTIONS)?, prefix))
            }
            None => Arc::new(MemoryLimits::new(clock.clone())),
        };
        let calls = CallLog::start(&database);
        let admission = Admission::new(AdmissionParts {
            database: database.clone(),
            ledger: ledger.clone(),
            sealer: Arc::clone(&sealer),
            queue: Arc::clone(&queue),
            limits: Arc::clone(&limits),
            catalogue: catalogue.clone(),
            settings: Arc::clone(&settings),
            clock: clock.clone(),
            process,
            calls: calls.clone(),
        });
        let health = Health::new(database.clone(), ledger.clone(), epoch.clone(), redis);
        let deployment = Self {
            settings,
            clock,
            database,
            sealer,
            ledger,
            queue,
            limits,
            catalogue,
            keyring: Arc::new(keyring),
            calls,
            admission,
            health,
            process,
            epoch,
            presence,
            must_end: watch::Sender::new(None),
        };
        duties::start(&deployment, sweeper);
        Ok(deployment)
    }
}
