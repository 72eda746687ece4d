//! The database and its secret: what every command needs, and what a server starts from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{DeploymentError, patience, places};
use crate::catalogue::price_list::{self, NewPrice};
use crate::clock::Clock;
use crate::config::{DatabaseUrl, Settings};
use crate::db::Database;
use crate::installation::{self, InstallationError};
use crate::price::Basis;
use crate::redis_store::{RedisPool, ServerFacts};
use crate::seal::{MasterSecret, Sealer};

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
        let url = places::database(&settings)?;
        let database = Database::open(&url)?;
        Self::with(settings, database).await
    }

    /// For `serve`: a SQLite database is made and brought up to date; one on a server must be there and up to date, and is waited for.
    /// Gives the migrations that were run.
    ///
    /// # Errors
    /// [`DeploymentError`].
    pub async fn for_serving(settings: Settings) -> Result<(Self, usize), DeploymentError> {
        let url = places::database(&settings)?;
        if matches!(url, DatabaseUrl::Sqlite(_)) {
            return Self::create(settings).await;
        }
        let wait = Duration::from_secs(settings.start.wait_s);
        let database =
            patience::until_reached(wait, "the database", || std::future::ready(Database::open(&url))).await?;
        Ok((Self::with(settings, database).await?, 0))
    }

    /// For `demo` and `migrate`: makes what is missing and brings the schema up to date; a server is waited for. Gives the migrations
    /// that were run.
    ///
    /// # Errors
    /// [`DeploymentError`].
    pub async fn create(settings: Settings) -> Result<(Self, usize), DeploymentError> {
        let url = places::database(&settings)?;
        let sealer = Arc::new(secret_for(&settings, &url)?);
        let clock = Clock::System;
        let wait = Duration::from_secs(settings.start.wait_s);
        let opened =
            patience::until_reached(wait, "the database", || std::future::ready(Database::open_or_create(&url)));
        let (database, migrations) = opened.await?;
        let (for_prepare, currency, now) = (Arc::clone(&sealer), settings.currency.clone(), clock.now());
        let default_price = default_price_of(&settings);
        database
            .write(move |connection| {
                installation::prepare(connection, &for_prepare, &currency)?;
                // Another value counts only for the server that holds the lock: see `Deployment::start`.
                if price_list::default_price(connection)?.is_none() {
                    price_list::set(connection, default_price, now)?;
                }
                Ok::<_, InstallationError>(())
            })
            .await?;
        Ok((Self { settings: Arc::new(settings), clock, database, sealer }, migrations))
    }

    /// What the Redis of the settings says of itself; `None` where the queue is in process.
    ///
    /// # Errors
    /// [`DeploymentError`] when it cannot be reached or used.
    pub async fn redis_facts(&self) -> Result<Option<ServerFacts>, DeploymentError> {
        let Some(settings) = places::redis(&self.settings)? else { return Ok(None) };
        Ok(Some(RedisPool::connect(&settings).await?.facts().await?))
    }

    async fn with(settings: Settings, database: Database) -> Result<Self, DeploymentError> {
        let sealer = Arc::new(existing_secret(&settings)?.ok_or_else(|| no_secret(&settings, database.url()))?);
        let (for_check, currency) = (Arc::clone(&sealer), settings.currency.clone());
        let checked =
            database.read(move |connection| Ok(installation::check(connection, &for_check, &currency))).await?;
        checked?;
        Ok(Self { settings: Arc::new(settings), clock: Clock::System, database, sealer })
    }
}

/// The secret that is there, or a new one for a new file.
fn secret_for(settings: &Settings, url: &DatabaseUrl) -> Result<Sealer, DeploymentError> {
    match (existing_secret(settings)?, url) {
        (Some(sealer), _) => Ok(sealer),
        (None, DatabaseUrl::Sqlite(path)) if !path.exists() => make_secret(&settings.secret_key_path()),
        (None, url) => Err(no_secret(settings, url)),
    }
}

fn no_secret(settings: &Settings, url: &DatabaseUrl) -> DeploymentError {
    match url {
        DatabaseUrl::Sqlite(path) => {
            DeploymentError::SecretLost { database: path.clone(), secret: settings.secret_key_path() }
        }
        DatabaseUrl::Postgres(_) => DeploymentError::NoSecret,
    }
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

/// The price that the settings give to models without one of their own.
pub(super) fn default_price_of(settings: &Settings) -> NewPrice {
    NewPrice {
        model: None,
        prompt: settings.price.prompt,
        completion: settings.price.completion,
        image: settings.price.image,
        images: BTreeMap::new(),
        basis: Basis::Estimate,
    }
}
