//! The database: where it is, whether a commit is on the disk, its secret, and who works with it.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use shared::clock::Timestamp;
use shared::db::schema::processes::dsl;
use shared::db::{Connection, DbError};
use shared::deployment::Workbench;

use super::durability::{Durability, write_ahead_log};
use super::{Check, State};
use crate::failure::Failure;

/// A server shows that it lives every 5 s; after three of them it is taken for gone, in milliseconds.
const SILENT_MS: i64 = 15_000;
/// Clocks may be so far apart, in milliseconds.
const CLOCKS_APART_MS: i64 = 1_000;

/// Looks at all of it.
pub(super) async fn checks(workbench: &Workbench) -> Result<Vec<Check>, Failure> {
    let own = workbench.clock.now();
    let read = workbench.database.read(move |connection| {
        let now = shared::db::now(connection, own)?;
        Ok((Durability::read(connection)?, has_present_form(connection)?, last_seen(connection)?, now))
    });
    let (durability, has_present_form, seen_at, now) = read.await?;
    let place = workbench.database.url().place();
    let mut checks = Vec::new();
    match workbench.database.file() {
        Some(file) => {
            let size = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
            checks.push(Check::new("database", State::Ok, format!("{place} ({size} bytes), all migrations run")));
            checks.push(durability.check());
            checks.push(write_ahead_log(file));
        }
        None => {
            checks.push(Check::new("database", State::Ok, format!("{place}, all migrations run")));
            checks.push(durability.check());
            checks.push(clocks(own, now));
        }
    }
    if !has_present_form {
        let detail = "made by an early form of this program, before the first release: make the database anew";
        checks.push(Check::new("tables", State::Error, detail));
    }
    checks.push(secret(workbench));
    checks.push(server(seen_at, now));
    Ok(checks)
}

/// The first migration was changed before the first release, so that all migrations have run says nothing of a database from then. Its index of
/// top-ups came last.
fn has_present_form(connection: &mut Connection) -> Result<bool, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let Row { count } = match connection {
        Connection::Sqlite(connection) => {
            diesel::sql_query("SELECT count(*) AS count FROM sqlite_master WHERE name = 'transfers_top_ups'")
                .get_result(connection)?
        }
        Connection::Postgres(connection) => {
            diesel::sql_query("SELECT count(to_regclass('transfers_top_ups')) AS count").get_result(connection)?
        }
    };
    Ok(count == 1)
}

/// Deadlines are told between processes as times, so their clocks must agree.
fn clocks(own: Timestamp, databases: Timestamp) -> Check {
    let apart_ms = own.since(databases).abs();
    let detail = format!("this machine's clock and the database's are {apart_ms} ms apart");
    if apart_ms > CLOCKS_APART_MS {
        return Check::new("clocks", State::Warn, format!("{detail}: set both by NTP"));
    }
    Check::new("clocks", State::Ok, detail)
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
    use super::*;

    #[test]
    fn a_silent_server_is_gone() {
        let now = Timestamp(100_000);
        assert!(server(Some(Timestamp(98_000)), now).detail.contains("2 s ago"));
        assert_eq!(server(Some(Timestamp(85_000)), now).detail, "none is running");
        assert_eq!(server(None, now).detail, "none is running");
    }
}
