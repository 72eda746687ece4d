//! The schema's versions, compiled into the program; the same names on both engines.

use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Connection, DbError, Statement, sql};

const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../migrations/postgres");

/// The advisory lock of whoever brings a schema up to date, until its connection ends. The number is ours for good.
const MIGRATING: &str = "SELECT pg_advisory_lock(7811906570)";

/// Which migrations have been run, and which this program knows.
pub(super) struct Versions {
    applied: Vec<String>,
    known: Vec<String>,
}

impl Versions {
    /// Only reads: the role of a service makes no tables, and the library would make its own.
    pub(super) fn read(connection: &mut Connection) -> Result<Self, DbError> {
        let known = match connection {
            Connection::Postgres(_) => names::<diesel::pg::Pg>(POSTGRES),
            Connection::Sqlite(_) => names::<diesel::sqlite::Sqlite>(SQLITE),
        }?;
        Ok(Self { applied: applied(connection)?, known })
    }

    /// Refuses a database that a newer program has migrated: this one would not keep that one's rules.
    pub(super) fn refuse_newer(&self) -> Result<(), DbError> {
        match self.applied.iter().find(|version| !self.known.contains(version)) {
            None => Ok(()),
            Some(version) => {
                Err(DbError::Migration(format!("it has {version}, which this program does not know: use a newer one")))
            }
        }
    }

    /// How many migrations have not been run.
    pub(super) fn pending(&self) -> usize {
        self.known.iter().filter(|version| !self.applied.contains(version)).count()
    }
}

/// Runs what is pending, all of it or (on an error) as far as it came, and gives how many were run. Two that begin at the same time go
/// one after the other.
pub(super) fn run(connection: &mut Connection) -> Result<usize, DbError> {
    if let Connection::Postgres(connection) = connection {
        connection.batch_execute(MIGRATING)?;
    }
    if Versions::read(connection)?.pending() == 0 {
        return Ok(0);
    }
    match connection {
        Connection::Postgres(connection) => run_pending(connection, POSTGRES),
        Connection::Sqlite(connection) => run_pending(connection, SQLITE),
    }
}

fn run_pending<DB: Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
) -> Result<usize, DbError> {
    connection.run_pending_migrations(source).map(|run| run.len()).map_err(failed)
}

fn names<DB: Backend>(source: EmbeddedMigrations) -> Result<Vec<String>, DbError> {
    let known: Vec<Box<dyn Migration<DB>>> = source.migrations().map_err(failed)?;
    Ok(known.iter().map(|migration| migration.name().version().to_string()).collect())
}

fn applied(connection: &mut Connection) -> Result<Vec<String>, DbError> {
    #[derive(QueryableByName)]
    struct Tables {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    #[derive(QueryableByName)]
    struct Version {
        #[diesel(sql_type = Text)]
        version: String,
    }
    let tables: Tables = match connection {
        Connection::Postgres(_) => Statement::new(
            sql!("SELECT CAST(CASE WHEN to_regclass('__diesel_schema_migrations') IS NULL THEN 0 ELSE 1 END AS BIGINT) AS count"),
            &[],
        )
        .get_result(connection)?,
        Connection::Sqlite(_) => {
            Statement::new(sql!("SELECT count(*) AS count FROM sqlite_master WHERE name = '__diesel_schema_migrations'"), &[])
                .get_result(connection)?
        }
    };
    if tables.count == 0 {
        return Ok(Vec::new());
    }
    let rows: Vec<Version> =
        Statement::new(sql!("SELECT version FROM __diesel_schema_migrations"), &[]).load(connection)?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

fn failed(error: impl std::fmt::Display) -> DbError {
    DbError::Migration(error.to_string())
}
