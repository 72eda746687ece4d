//! Whether a commit is on the disk when the database says so, and whether the ledger's constraints hold.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use shared::db::{Connection, DbError};

use super::{Check, State};

/// A write-ahead log above this is not being folded into the database, in bytes.
const LARGE_LOG: u64 = 1 << 30;

/// What a connection of ours has been set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Durability {
    Sqlite { journal_mode: String, synchronous: i64, foreign_keys: i64 },
    Postgres { fsync: String, full_page_writes: String, synchronous_commit: String, version: String },
}

impl Durability {
    /// Asks the database.
    pub(super) fn read(connection: &mut Connection) -> Result<Self, DbError> {
        match connection {
            Connection::Sqlite(connection) => read_sqlite(connection),
            Connection::Postgres(connection) => read_postgres(connection),
        }
    }

    /// SQLite: WAL, FULL (2) and foreign keys. PostgreSQL: everything that its documentation says not to switch off.
    pub(super) fn check(&self) -> Check {
        let (is_durable, found, needed) = match self {
            Self::Sqlite { journal_mode, synchronous, foreign_keys } => (
                journal_mode == "wal" && *synchronous >= 2 && *foreign_keys == 1,
                format!("journal_mode={journal_mode} synchronous={synchronous} foreign_keys={foreign_keys}"),
                "needed are wal, 2 (FULL) and 1: does this file system support WAL?",
            ),
            Self::Postgres { fsync, full_page_writes, synchronous_commit, version } => (
                fsync == "on"
                    && full_page_writes == "on"
                    && synchronous_commit != "off"
                    && synchronous_commit != "local",
                format!(
                    "PostgreSQL {version}, fsync={fsync} full_page_writes={full_page_writes} synchronous_commit={synchronous_commit}"
                ),
                "all must be on: without them a crash of the server's machine loses commits",
            ),
        };
        let state = if is_durable { State::Ok } else { State::Error };
        Check::new("durability", state, if is_durable { found } else { format!("{found}; {needed}") })
    }
}

fn read_sqlite(connection: &mut SqliteConnection) -> Result<Durability, DbError> {
    #[derive(QueryableByName)]
    struct JournalMode {
        #[diesel(sql_type = Text)]
        journal_mode: String,
    }
    #[derive(QueryableByName)]
    struct Synchronous {
        #[diesel(sql_type = BigInt)]
        synchronous: i64,
    }
    #[derive(QueryableByName)]
    struct ForeignKeys {
        #[diesel(sql_type = BigInt)]
        foreign_keys: i64,
    }
    let JournalMode { journal_mode } = diesel::sql_query("PRAGMA journal_mode").get_result(connection)?;
    let Synchronous { synchronous } = diesel::sql_query("PRAGMA synchronous").get_result(connection)?;
    let ForeignKeys { foreign_keys } = diesel::sql_query("PRAGMA foreign_keys").get_result(connection)?;
    Ok(Durability::Sqlite { journal_mode, synchronous, foreign_keys })
}

fn read_postgres(connection: &mut PgConnection) -> Result<Durability, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        fsync: String,
        #[diesel(sql_type = Text)]
        full_page_writes: String,
        #[diesel(sql_type = Text)]
        synchronous_commit: String,
        #[diesel(sql_type = Text)]
        version: String,
    }
    let asked = "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, \
                 current_setting('synchronous_commit') AS synchronous_commit, current_setting('server_version') AS version";
    let Row { fsync, full_page_writes, synchronous_commit, version } =
        diesel::sql_query(asked).get_result(connection)?;
    Ok(Durability::Postgres { fsync, full_page_writes, synchronous_commit, version })
}

/// SQLite's log beside the file.
pub(super) fn write_ahead_log(database: &Path) -> Check {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let size = std::fs::metadata(&name).map_or(0, |metadata| metadata.len());
    if size > LARGE_LOG {
        let detail = format!("{size} bytes: some program keeps a long read transaction open on the database; end it");
        return Check::new("write-ahead log", State::Warn, detail);
    }
    Check::new("write-ahead log", State::Ok, format!("{size} bytes"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("wal", 2, 1, State::Ok)]
    #[case("delete", 2, 1, State::Error)]
    #[case("wal", 1, 1, State::Error)]
    #[case("wal", 2, 0, State::Error)]
    fn sqlite(
        #[case] journal_mode: &str,
        #[case] synchronous: i64,
        #[case] foreign_keys: i64,
        #[case] expected: State,
    ) {
        let durability = Durability::Sqlite { journal_mode: journal_mode.to_owned(), synchronous, foreign_keys };
        assert_eq!(durability.check().state, expected);
    }

    #[rstest]
    #[case("on", "on", "on", State::Ok)]
    #[case("on", "on", "remote_apply", State::Ok)]
    #[case("off", "on", "on", State::Error)]
    #[case("on", "off", "on", State::Error)]
    #[case("on", "on", "off", State::Error)]
    fn postgres(
        #[case] fsync: &str,
        #[case] full_page_writes: &str,
        #[case] synchronous_commit: &str,
        #[case] expected: State,
    ) {
        let [fsync, full_page_writes, synchronous_commit] =
            [fsync, full_page_writes, synchronous_commit].map(str::to_owned);
        let version = "15.0".to_owned();
        let durability = Durability::Postgres { fsync, full_page_writes, synchronous_commit, version };
        assert_eq!(durability.check().state, expected);
    }
}
