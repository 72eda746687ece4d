//! The schema's versions, compiled into the program.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Connection, DbError};

const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");

/// How many migrations have not been run.
pub(super) fn pending(connection: &mut Connection) -> Result<usize, DbError> {
    connection.pending_migrations(SQLITE).map(|pending| pending.len()).map_err(|error| DbError::Migration(error.to_string()))
}

/// Runs what is pending, all of it or (on an error) as far as it came, and gives how many were run.
pub(super) fn run(connection: &mut Connection) -> Result<usize, DbError> {
    connection.run_pending_migrations(SQLITE).map(|run| run.len()).map_err(|error| DbError::Migration(error.to_string()))
}
