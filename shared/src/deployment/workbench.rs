//! The database and its secret: what every command needs, and what a server starts from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::DeploymentError;
use crate::catalogue::price_list::{self, NewPrice};
use crate::clock::Clock;
use crate::config::{DatabaseUrl, Settings};
use crate::db::Database;
use crate::installation::{self, InstallationError};
use crate::price::Basis;
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
        let path = sqlite_path(&settings)?;
        let database = Database::open(&path)?;
        let sealer = Arc::new(
            existing_secret(&settings)?
                .ok_or_else(|| DeploymentError::SecretLost { database: path, secret: settings.secret_key_path() })?,
        );
        let (for_check, currency) = (Arc::clone(&sealer), settings.currency.clone());
        let checked =
            database.read(move |connection| Ok(installation::check(connection, &for_check, &currency))).await?;
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
