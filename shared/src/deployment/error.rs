//! Why the program cannot start.

use std::path::PathBuf;

use super::Role;
use crate::db::DbError;
use crate::installation::InstallationError;
use crate::ledger::LedgerError;
use crate::redis_store::RedisStoreError;
use crate::seal::MasterSecretError;

/// Clocks of machines that serve together may be so far apart, in seconds.
pub(super) const CLOCKS_APART_S: i64 = 5;

/// Why the program cannot start with these settings here.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// A form of deployment that this version does not serve.
    #[error("{0}")]
    Unsupported(String),
    /// Another server uses the data folder.
    #[error("another xiaoyi server is running on {}: stop it first, or set another XIAOYI_DATA_DIR and DATABASE_URL", .0.display())]
    AlreadyRunning(PathBuf),
    /// Separate roles meet in Redis and PostgreSQL.
    #[error(
        "serve --role {0} needs PostgreSQL and Redis, which join the processes: set DATABASE_URL=postgres://... and REDIS_URL=redis://..., or leave --role out"
    )]
    RoleNeedsRedis(Role),
    /// Another process serves the database, and one of the two has its queue inside itself.
    #[error(
        "another xiaoyi process serves {place}: without REDIS_URL one process serves a database alone, so stop it, or give all of them the same REDIS_URL"
    )]
    NotAlone {
        /// The database.
        place: String,
    },
    /// Deadlines are told between processes as times, so their clocks must agree.
    #[error(
        "this machine's clock and that of {place} are {apart_s} s apart, at most {CLOCKS_APART_S} are allowed: set both by NTP"
    )]
    ClocksApart {
        /// The database.
        place: String,
        /// How far, in seconds.
        apart_s: i64,
    },
    /// A database on a server is sealed with a secret that must be given.
    #[error(
        "set XIAOYI_SECRET_KEY or XIAOYI_SECRET_KEY_FILE: on PostgreSQL no secret is made by itself (32 random bytes in base64, such as `openssl rand -base64 32` prints; every process needs the same)"
    )]
    NoSecret,
    /// A file beside the database cannot be read or written.
    #[error("cannot use {}: {message}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        message: String,
    },
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
    /// Redis cannot be reached or used.
    #[error(transparent)]
    Redis(#[from] RedisStoreError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
