//! The database: where it is, whether a commit is on the disk, its secret, and who works with it.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use shared::clock::Timestamp;
use shared::db::schema::processes::dsl;
use shared::db::{Connection, DbError};
use shared::deployment::Workbench;

use super::{Check, State};
use crate::failure::Failure;

/// A server shows that it lives every 5 s; after three of them it is taken for gone, in milliseconds.
const SILENT_MS: i64 = 15_000;
/// A write-ahead log above this is not being folded into the database, in bytes.
const LARGE_LOG: u64 = 1 << 30;

/// Looks at all of it.
pub(super) async fn checks(workbench: &Workbench) -> Result<Vec<Check>, Failure> {
    let path = workbench.database.path();
    let (durability, seen_at) =
        workbench.database.read(|connection| Ok((Durability::read(connection)?, last_seen(connection)?))).await?;
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let detail = format!("{} ({size} bytes), all migrations run", path.display());
    Ok(vec![
        Check::new("database", State::Ok, detail),
        durability.check(),
        write_ahead_log(path),
        secret(workbench),
        server(seen_at, workbench.clock.now()),
    ])
}

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

/// What a connection of ours has been set to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Durability {
    journal_mode: String,
    synchronous: i64,
    foreign_keys: i64,
}

impl Durability {
    fn read(connection: &mut Connection) -> Result<Self, DbError> {
        let JournalMode { journal_mode } = diesel::sql_query("PRAGMA journal_mode").get_result(connection)?;
        let Synchronous { synchronous } = diesel::sql_query("PRAGMA synchronous").get_result(connection)?;
        let ForeignKeys { foreign_keys } = diesel::sql_query("PRAGMA foreign_keys").get_result(connection)?;
        Ok(Self { journal_mode, synchronous, foreign_keys })
    }

    /// WAL, FULL (2) and foreign keys: then a commit is on the disk, and the ledger's constraints hold.
    fn check(&self) -> Check {
        let Self { journal_mode, synchronous, foreign_keys } = self;
        let is_durable = journal_mode == "wal" && *synchronous >= 2 && *foreign_keys == 1;
        let state = if is_durable { State::Ok } else { State::Error };
        let found = format!("journal_mode={journal_mode} synchronous={synchronous} foreign_keys={foreign_keys}");
        let detail = if is_durable {
            found
        } else {
            format!("{found}; needed are wal, 2 (FULL) and 1: does this file system support WAL?")
        };
        Check::new("durability", state, detail)
    }
}

fn write_ahead_log(database: &Path) -> Check {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let size = std::fs::metadata(&name).map_or(0, |metadata| metadata.len());
    if size > LARGE_LOG {
        let detail = format!("{size} bytes: some program keeps a long read transaction open on the database; end it");
        return Check::new("write-ahead log", State::Warn, detail);
    }
    Check::new("write-ahead log", State::Ok, format!("{size} bytes"))
}

fn secret(workbench: &Workbench) -> Check {
    if workbench.settings.secret.key.is_some() {
        return Check::new("secret", State::Ok, "XIAOYI_SECRET_KEY opens the database");
    }
    let path = workbench.settings.secret_key_path();
    if is_readable_by_others(&path) {
        let detail =
            format!("{path} opens the database, but others may read it: chmod 600 {path}", path = path.display());
        return Check::new("secret", State::Warn, detail);
    }
    Check::new(
        "secret",
        State::Ok,
        format!("{} opens the database; keep a copy of it apart from the database's", path.display()),
    )
}

fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

fn last_seen(connection: &mut Connection) -> Result<Option<Timestamp>, DbError> {
    let newest: Option<i64> = dsl::processes.select(diesel::dsl::max(dsl::seen_at)).first(connection)?;
    Ok(newest.map(Timestamp))
}

fn server(seen_at: Option<Timestamp>, now: Timestamp) -> Check {
    let detail = match seen_at.map(|seen_at| now.since(seen_at)) {
        Some(silence_ms) if silence_ms < SILENT_MS => {
            format!("one is running, or was {} s ago", silence_ms.max(0) / 1000)
        }
        _ => "none is running".to_owned(),
    };
    Check::new("server", State::Ok, detail)
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
    fn durability(
        #[case] journal_mode: &str,
        #[case] synchronous: i64,
        #[case] foreign_keys: i64,
        #[case] expected: State,
    ) {
        let durability = Durability { journal_mode: journal_mode.to_owned(), synchronous, foreign_keys };
        assert_eq!(durability.check().state, expected);
    }

    #[test]
    fn a_silent_server_is_gone() {
        let now = Timestamp(100_000);
        assert!(server(Some(Timestamp(98_000)), now).detail.contains("2 s ago"));
        assert_eq!(server(Some(Timestamp(85_000)), now).detail, "none is running");
        assert_eq!(server(None, now).detail, "none is running");
    }
}
