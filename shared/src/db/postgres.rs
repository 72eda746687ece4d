//! PostgreSQL: connecting with this program's settings.

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::{ConnectionError, ConnectionResult, PgConnection, QueryResult};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::READ_LIMIT;
use super::pool::Purpose;

/// What libpq is told unless the URL says otherwise: give up connecting after 5 s, and notice within about 20 s that the other side of
/// a connection is gone without a word.
const CLIENT_SETTINGS: [(&str, &str); 6] = [
    ("application_name", "xiaoyi"),
    ("connect_timeout", "5"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "3"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "15000"),
];

/// What the server is told for each connection. A process that stops in the middle of a transaction keeps its locks for 3 s at most, one
/// that is gone without a word is noticed within 25 s, and a wait for a lock ends after 10 s. A commit is on the disk whatever the
/// server's default says.
const SETTINGS: &str = "SET synchronous_commit = on; SET idle_in_transaction_session_timeout = '3s'; SET lock_timeout = '10s'; \
    SET statement_timeout = '60s'; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
    SET client_min_messages = warning; SET timezone = 'UTC'";
/// For writes. All their statements find few rows by key: a plan that was made while a table was empty would read or hash all of it for
/// ever. With only one way left to find a row, one plan is as good as another, so it is made once; and compiling it never pays.
const WRITER_SETTINGS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET plan_cache_mode = force_generic_plan; SET jit = off";

/// Opens a connection.
pub(super) fn establish(url: &SecretString, purpose: Purpose) -> ConnectionResult<PgConnection> {
    let mut connection = PgConnection::establish(&with_settings(url.expose_secret()))?;
    connection.batch_execute(SETTINGS).map_err(ConnectionError::CouldntSetupConfiguration)?;
    let settings = match purpose {
        // What is read for nobody any more must not keep the connection from the next one.
        Purpose::Read => &format!("SET statement_timeout = {}", READ_LIMIT.as_millis()),
        Purpose::Write => WRITER_SETTINGS,
        Purpose::Schema => return Ok(connection),
    };
    connection.batch_execute(settings).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Names the session of `connection` and ends those of the same name before it, so that what one of them was sent last is carried out by
/// now or never. A session that was told to end begins nothing more, even if it does not end within the second that this waits.
pub(super) fn take_over(connection: &mut PgConnection, name: &str) -> QueryResult<()> {
    connection.batch_execute(&format!(
        "SET application_name = '{name}'; SELECT pg_catalog.pg_terminate_backend(pid, 1000) FROM pg_catalog.pg_stat_activity \
         WHERE application_name = '{name}' AND pid <> pg_catalog.pg_backend_pid()"
    ))
}

fn with_settings(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return url.to_owned() };
    let known: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    for (name, value) in CLIENT_SETTINGS {
        if !known.iter().any(|known| known == name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_own_parameters_go_first() {
        let url = with_settings("postgres://user:pass%20word@db:5433/xiaoyi?connect_timeout=1&sslmode=require");
        assert!(
            url.starts_with("postgres://user:pass%20word@db:5433/xiaoyi?connect_timeout=1&sslmode=require&"),
            "{url}"
        );
        assert_eq!(url.matches("connect_timeout").count(), 1);
        assert!(url.contains("tcp_user_timeout=15000"));
    }
}
