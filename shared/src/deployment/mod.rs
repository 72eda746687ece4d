//! The seam: the one place that looks at the settings to choose the database, the queue and the limits. Everything else gets a
//! [`Deployment`] and cannot tell.

mod duties;
mod error;
mod workbench;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use error::DeploymentError;
pub use workbench::Workbench;

use crate::admission::Admission;
use crate::catalogue::{Catalogue, price_list};
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Database;
use crate::epoch::EpochWatch;
use crate::health::Health;
use crate::id::ProcessId;
use crate::installation::{self, InstallationError};
use crate::keyring::{Keyring, KeyringSettings};
use crate::ledger::{self, Ledger, Sweeper, WriterSettings};
use crate::limits::{Limits, MemoryLimits};
use crate::queue::{MemoryQueue, Queue, QueueLimits};

/// All parts of a process that serves. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// All settings.
    pub settings: Arc<Settings>,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub database: Database,
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
    /// Lets calls in.
    pub admission: Admission,
    /// Whether this process can serve.
    pub health: Health,
    /// This process.
    pub process: ProcessId,
    epoch: EpochWatch,
    // Held as long as anything of the deployment lives.
    _lock: Arc<File>,
}

impl Deployment {
    /// Starts every part: takes the data folder for itself, releases what a dead server left held, and begins the work in the background
    /// (heartbeat, epoch, sweeper, audit), which ends with the runtime.
    ///
    /// # Errors
    /// [`DeploymentError`].
    pub async fn start(workbench: Workbench) -> Result<Self, DeploymentError> {
        let Workbench { settings, clock, database, sealer } = workbench;
        let lock = lock_beside(database.path())?;
        let process = ProcessId::new();
        let writer = WriterSettings {
            batch: settings.ledger.batch,
            queue: settings.ledger.queue,
            timeout_ms: settings.deadline.database_s.saturating_mul(1000),
        };
        let ledger = Ledger::start(&database, clock.clone(), writer)?;
        let (default_price, now) = (workbench::default_price_of(&settings), clock.now());
        database.write(move |connection| price_list::ensure_default(connection, default_price, now)).await?;
        ledger::register_process(&database, process, "all", clock.now()).await?;
        let mut sweeper = Sweeper::load(&database, process, clock.now()).await?;
        let released = sweeper.void_dead_owners(&database, &ledger, clock.now()).await?;
        if released > 0 {
            tracing::warn!(
                holds = released,
                "the server before this one ended without settling; its holds were released"
            );
        }
        sweeper.save(&database).await?;

        let epoch = EpochWatch::start(&database, clock.clone()).await?;
        let catalogue = Catalogue::start(&database, Arc::clone(&sealer)).await?;
        let tag_key = database.read(move |connection| Ok(installation::tag_key(connection, &sealer))).await??;
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
            frames: settings.queue.frames,
            slots: settings.worker.concurrency,
        };
        let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(queue_limits, clock.clone()));
        let limits: Arc<dyn Limits> = Arc::new(MemoryLimits::new(clock.clone()));
        let admission = Admission::new(
            ledger.clone(),
            Arc::clone(&queue),
            Arc::clone(&limits),
            catalogue.clone(),
            Arc::clone(&settings),
            clock.clone(),
            process,
        );
        let health = Health::new(database.clone(), ledger.clone(), epoch.clone());
        let deployment = Self {
            settings,
            clock,
            database,
            ledger,
            queue,
            limits,
            catalogue,
            keyring: Arc::new(keyring),
            admission,
            health,
            process,
            epoch,
            _lock: Arc::new(lock),
        };
        duties::start(&deployment, sweeper);
        Ok(deployment)
    }
}

/// One server a database: the lock is gone with the process that holds it, however it ends.
fn lock_beside(database: &Path) -> Result<File, DeploymentError> {
    // The file itself, not a link to it: two names of one database have one lock.
    let path = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_path_buf()).with_extension("lock");
    let failed = |message: String| DeploymentError::File { path: path.clone(), message };
    let file = File::options().create(true).append(true).open(&path).map_err(|error| failed(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DeploymentError::AlreadyRunning(database.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(failed(error.to_string())),
    }
}
