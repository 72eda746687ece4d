//! The schema's versions, compiled into the program.

use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Connection, DbError};

const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");

/// How many migrations have not been run.
pub(super) fn pending(connection: &mut Connection) -> Result<usize, DbError> {
    connection.pending_migrations(SQLITE).map(|pending| pending.len()).map_err(failed)
}

/// Runs what is pending, all of it or (on an error) as far as it came, and gives how many were run.
pub(super) fn run(connection: &mut Connection) -> Result<usize, DbError> {
    connection.run_pending_migrations(SQLITE).map(|run| run.len()).map_err(failed)
}

/// Refuses a database that a newer program has migrated: this one would not keep that one's rules.
pub(super) fn refuse_newer(connection: &mut Connection) -> Result<(), DbError> {
    let known: Vec<Box<dyn Migration<Sqlite>>> = SQLITE.migrations().map_err(failed)?;
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
