//! The schema's versions, compiled into the program; the same names on both engines.

use diesel::backend::Backend;
use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Connection, DbError};

const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../migrations/postgres");

/// The same for a connection of either engine.
macro_rules! on_each {
    ($connection:expr, $function:ident) => {
        match $connection {
            Connection::Postgres(connection) => $function(connection, POSTGRES),
            Connection::Sqlite(connection) => $function(connection, SQLITE),
        }
    };
}

/// How many migrations have not been run.
pub(super) fn pending(connection: &mut Connection) -> Result<usize, DbError> {
    on_each!(connection, count_pending)
}

/// Runs what is pending, all of it or (on an error) as far as it came, and gives how many were run.
pub(super) fn run(connection: &mut Connection) -> Result<usize, DbError> {
    on_each!(connection, run_pending)
}

/// Refuses a database that a newer program has migrated: this one would not keep that one's rules.
pub(super) fn refuse_newer(connection: &mut Connection) -> Result<(), DbError> {
    on_each!(connection, refuse_unknown)
}

fn count_pending<DB: Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
) -> Result<usize, DbError> {
    connection.pending_migrations(source).map(|pending| pending.len()).map_err(failed)
}

fn run_pending<DB: Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
) -> Result<usize, DbError> {
    connection.run_pending_migrations(source).map(|run| run.len()).map_err(failed)
}

fn refuse_unknown<DB: Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
) -> Result<(), DbError> {
    let known: Vec<Box<dyn Migration<DB>>> = source.migrations().map_err(failed)?;
    let applied = connection.applied_migrations().map_err(failed)?;
    match applied.iter().find(|version| !known.iter().any(|migration| migration.name().version() == **version)) {
        None => Ok(()),
        Some(version) => {
            Err(DbError::Migration(format!("it has {version}, which this program does not know: use a newer one")))
        }
    }
}

fn failed(error: impl std::fmt::Display) -> DbError {
    DbError::Migration(error.to_string())
}
