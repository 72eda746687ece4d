//! The seam: the one place that looks at the settings to choose the database, the queue and the limits. Everything else gets a
//! [`Deployment`] and cannot tell.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::admission::Admission;
use crate::catalogue::price_list::{NewPrice, ensure_default};
use crate::catalogue::Catalogue;
use crate::clock::Clock;
use crate::config::{DatabaseUrl, Settings};
use crate::db::{Database, DbError};
use crate::epoch::{self, EpochWatch};
use crate::health::Health;
use crate::id::ProcessId;
use crate::installation::{self, InstallationError};
use crate::keyring::{Keyring, KeyringSettings};
use crate::ledger::{self, Audit, Ledger, LedgerError, Sweeper, WriterSettings};
use crate::price::Basis;
use crate::queue::{MemoryQueue, Queue, QueueLimits};
use crate::seal::{MasterSecret, MasterSecretError, Sealer};

/// How often a process shows that it lives, in milliseconds.
const HEARTBEAT_MS: u64 = 5_000;
/// A sweeper judges other processes only after it has been connected itself for this long, in milliseconds.
const SWEEP_AFTER_MS: i64 = 15_000;
/// How often the sweeper's mark is kept, in sweeps.
const SAVE_MARK_EVERY: u32 = 12;

/// Why the program cannot start with these settings here.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// A form of deployment that this version does not serve.
    #[error("{0}")]
    Unsupported(String),
    /// Another server uses the data folder.
    #[error("another xiaoyi server is running on {}: stop it first, or set another XIAOYI_DATA_DIR and DATABASE_URL", .0.display())]
    AlreadyRunning(PathBuf),
    /// A file beside the database cannot be read or written.
    #[error("cannot use {}: {message}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        message: String,
    },
    /// There is no secret, and this command does not make one.
    #[error("no XIAOYI_SECRET_KEY is set and {} does not exist: start `xiaoyi serve` (or run `xiaoyi migrate`) first", .0.display())]
    NoSecret(PathBuf),
    /// The database was sealed with a secret that is gone.
    #[error("the database {} exists, but its secret {} does not: restore that file, or set XIAOYI_SECRET_KEY", .database.display(), .secret.display())]
    SecretLost {
        /// The database.
        database: PathBuf,
        /// Where the secret should be.
        secret: PathBuf,
    },
    /// The secret cannot be used.
    #[error("{name} cannot be used: {error}")]
    BadSecret {
        /// The setting or file.
        name: String,
        /// Why.
        error: MasterSecretError,
    },
    /// The settings do not fit the database.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What a command works with: the settings, the database, and the means to open what is sealed in it.
#[derive(Debug, Clone)]
pub struct Workbench {
    /// All settings.
    pub settings: Arc<Settings>,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub database: Database,
    /// Opens and seals secrets.
    pub sealer: Arc<Sealer>,
}

impl Workbench {
    /// For a command: everything must exist already.
    ///
    /// # Errors
    /// [`DeploymentError`].
    pub async fn open(settings: Settings) -> Result<Self, DeploymentError> {
        let path = sqlite_path(&settings)?;
        let database = Database::open(&path)?;
        let sealer = Arc::new(existing_secret(&settings)?.ok_or_else(|| DeploymentError::NoSecret(settings.secret_key_path()))?);
        let (for_check, currency) = (Arc::clone(&sealer), settings.currency.clone());
        let checked = database.read(move |connection| Ok(installation::check(connection, &for_check, &currency))).await?;
        checked?;
        Ok(Self { settings: Arc::new(settings), clock: Clock::System, database, sealer })
    }

    /// For `serve`, `demo` and `migrate`: makes what is missing and brings the schema up to date. Gives the migrations that were run.
    ///
    /// # Errors
    /// [`DeploymentError`].
    pub async fn create(settings: Settings) -> Result<(Self, usize), DeploymentError> {
        let path = sqlite_path(&settings)?;
        let is_new = !path.exists();
        let sealer = match existing_secret(&settings)? {
            Some(sealer) => sealer,
            None if is_new => make_secret(&settings.secret_key_path())?,
            None => return Err(DeploymentError::SecretLost { database: path, secret: settings.secret_key_path() }),
        };
        let sealer = Arc::new(sealer);
        let clock = Clock::System;
        let (database, migrations) = Database::open_or_create(&path)?;
        let (for_prepare, currency, now) = (Arc::clone(&sealer), settings.currency.clone(), clock.now());
        let default_price = NewPrice {
            model: None,
            prompt: settings.price.prompt,
            completion: settings.price.completion,
            image: settings.price.image,
            images: Default::default(),
            basis: Basis::Estimate,
        };
        database
            .write(move |connection| {
                installation::prepare(connection, &for_prepare, &currency)?;
                ensure_default(connection, default_price, now)?;
                Ok::<_, InstallationError>(())
            })
            .await?;
        Ok((Self { settings: Arc::new(settings), clock, database, sealer }, migrations))
    }
}

fn sqlite_path(settings: &Settings) -> Result<PathBuf, DeploymentError> {
    let path = match &settings.database.url {
        DatabaseUrl::Sqlite(path) => path.clone(),
        DatabaseUrl::Postgres(_) => {
            let message = "DATABASE_URL names PostgreSQL, which this version does not serve yet: use sqlite://...";
            return Err(DeploymentError::Unsupported(message.to_owned()));
        }
    };
    if settings.redis.url.is_some() {
        let message = "REDIS_URL is set, but SQLite serves one process with its queue inside: unset REDIS_URL";
        return Err(DeploymentError::Unsupported(message.to_owned()));
    }
    Ok(path)
}

fn existing_secret(settings: &Settings) -> Result<Option<Sealer>, DeploymentError> {
    let parse = |name: String, text: &SecretString| {
        Sealer::from_list(text.expose_secret().trim()).map_err(|error| DeploymentError::BadSecret { name, error })
    };
    if let Some(text) = &settings.secret.key {
        return parse("XIAOYI_SECRET_KEY".to_owned(), text).map(Some);
    }
    let path = settings.secret_key_path();
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(path.display().to_string(), &SecretString::from(text)).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DeploymentError::File { path, message: error.to_string() }),
    }
}

/// Makes a new secret in a file that only its owner can read.
fn make_secret(path: &Path) -> Result<Sealer, DeploymentError> {
    let failed = |error: std::io::Error| DeploymentError::File { path: path.to_path_buf(), message: error.to_string() };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let bad = |error| DeploymentError::BadSecret { name: path.display().to_string(), error };
    let secret = MasterSecret::generate().map_err(bad)?;
    let text = secret.to_base64();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(text.expose_secret().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Sealer::new(secret))
}

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
        ledger::register_process(&database, process, "all", clock.now()).await?;
        let mut sweeper = Sweeper::load(&database).await?;
        let released = sweeper.void_dead_owners(&database, &ledger, process, clock.now()).await?;
        if released > 0 {
            tracing::warn!(holds = released, "the server before this one ended without settling; its holds were released");
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
        let limits = QueueLimits {
            capacity: settings.queue.capacity,
            tenant_share: settings.queue.tenant_share,
            frames: settings.queue.frames,
            slots: settings.worker.concurrency,
        };
        let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(limits, clock.clone()));
        let admission =
            Admission::new(ledger.clone(), Arc::clone(&queue), catalogue.clone(), Arc::clone(&settings), clock.clone(), process);
        let health = Health::new(database.clone(), ledger.clone(), epoch.clone());
        let deployment = Self {
            settings,
            clock,
            database,
            ledger,
            queue,
            catalogue,
            keyring: Arc::new(keyring),
            admission,
            health,
            process,
            epoch,
            _lock: Arc::new(lock),
        };
        tokio::spawn(deployment.clone().watch_epoch());
        tokio::spawn(deployment.clone().show_life());
        tokio::spawn(deployment.clone().sweep(sweeper));
        tokio::spawn(deployment.clone().audit());
        Ok(deployment)
    }

    async fn watch_epoch(self) {
        let mut tick = ticks(epoch::POLL_MS);
        let mut stale = false;
        loop {
            tick.tick().await;
            match self.epoch.poll(&self.database).await {
                Ok(moved) => stale |= moved,
                Err(error) => tracing::error!(%error, "the epoch could not be read"),
            }
            if stale {
                match self.catalogue.reload(&self.database).await {
                    Ok(()) => stale = false,
                    Err(error) => tracing::error!(%error, "models, channels and prices could not be read again; the old ones stay"),
                }
            }
        }
    }

    async fn show_life(self) {
        let mut tick = ticks(HEARTBEAT_MS);
        loop {
            tick.tick().await;
            if let Err(error) = ledger::heartbeat(&self.database, self.process, self.clock.now()).await {
                tracing::error!(%error, "the heartbeat could not be written");
            }
        }
    }

    async fn sweep(self, mut sweeper: Sweeper) {
        let started = self.clock.now();
        let silence_ms = i64::try_from(self.settings.ledger.owner_silence_s).unwrap_or(i64::MAX).saturating_mul(1000);
        let mut tick = ticks(self.settings.ledger.sweep_s.saturating_mul(1000));
        let mut sweeps: u32 = 0;
        loop {
            tick.tick().await;
            let now = self.clock.now();
            if now.since(started) < SWEEP_AFTER_MS {
                continue;
            }
            if let Err(error) = sweeper.expire(&self.database, &self.ledger, now, silence_ms).await {
                tracing::error!(%error, "forgotten holds could not be looked for");
                continue;
            }
            sweeps = sweeps.wrapping_add(1);
            if sweeps.is_multiple_of(SAVE_MARK_EVERY)
                && let Err(error) = sweeper.save(&self.database).await
            {
                tracing::error!(%error, "the sweeper's mark could not be kept");
            }
        }
    }

    async fn audit(self) {
        let mut audit = match Audit::from_now(&self.database, &self.clock).await {
            Ok(audit) => audit,
            Err(error) => {
                tracing::error!(%error, "the running audit could not begin");
                return;
            }
        };
        let mut tick = ticks(self.settings.ledger.audit_s.saturating_mul(1000));
        tick.tick().await;
        loop {
            tick.tick().await;
            match audit.run(&self.database, &self.clock).await {
                Ok(report) => {
                    for violation in &report.violations {
                        tracing::error!(check = violation.check, subject = %violation.subject, detail = %violation.detail, "the ledger is violated");
                    }
                    let count = report.violations.len() as u64;
                    metrics::counter!("xiaoyi_ledger_violations_total").increment(count);
                    self.health.found_violations(count);
                }
                Err(error) => tracing::error!(%error, "the running audit failed"),
            }
        }
    }
}

/// One tick at once, then one every `milliseconds`; late ones are skipped, not made up for.
fn ticks(milliseconds: u64) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(Duration::from_millis(milliseconds.max(1)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// One server a database: the lock is gone with the process that holds it, however it ends.
fn lock_beside(database: &Path) -> Result<File, DeploymentError> {
    let path = database.with_extension("lock");
    let failed = |message: String| DeploymentError::File { path: path.clone(), message };
    let file = File::options().create(true).append(true).open(&path).map_err(|error| failed(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DeploymentError::AlreadyRunning(database.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(failed(error.to_string())),
    }
}
