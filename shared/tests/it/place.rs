//! Where a test's database is: a new one for each, on the engine of the run (`XIAOYI_TEST_PAIR`). What is about one engine's own ways
//! stands in a module named `only_sqlite` or `only_postgres` and takes that engine whatever the run is for; `scripts/test.sh` leaves
//! the other engine's out by that name, so a run says how many it left out.

use std::sync::{Arc, Mutex};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::{PgConnection, SqliteConnection};
use shared::config::DatabaseUrl;
use shared::db::Connection;
use testkit::Pair;

/// A database that is not there yet (a file) or empty (on the server of this test process).
pub(crate) struct Place {
    pub(crate) url: DatabaseUrl,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) fn new(pair: Pair) -> Self {
        match pair {
            Pair::Embedded => {
                let folder = tempfile::tempdir().unwrap();
                Self { url: DatabaseUrl::Sqlite(folder.path().join("books.db")), _folder: Some(folder) }
            }
            Pair::Servers => Self::on_server(&testkit::shared_postgres().database()),
        }
    }

    /// One that somebody else keeps.
    pub(crate) fn existing(url: DatabaseUrl) -> Self {
        Self { url, _folder: None }
    }

    /// A database on a server of one's own, or by way of a proxy, or as another role.
    pub(crate) fn on_server(url: &str) -> Self {
        Self { url: DatabaseUrl::Postgres(url.into()), _folder: None }
    }
}

/// A bare connection, without any of the service's own settings, as anybody who may reach the database could open one.
pub(crate) fn bare_connection(url: &DatabaseUrl) -> Connection {
    use diesel::Connection as _;
    use secrecy::ExposeSecret;
    match url {
        DatabaseUrl::Sqlite(path) => {
            let mut connection = SqliteConnection::establish(&path.display().to_string()).unwrap();
            connection.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON;").unwrap();
            Connection::Sqlite(connection)
        }
        DatabaseUrl::Postgres(url) => Connection::Postgres(PgConnection::establish(url.expose_secret()).unwrap()),
    }
}

/// The column `number` of a query's rows.
pub(crate) fn numbers(connection: &mut Connection, query: &str) -> Vec<i128> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        number: i64,
    }
    let rows: Vec<Row> = diesel::sql_query(query).load(connection).unwrap();
    rows.iter().map(|row| i128::from(row.number)).collect()
}

/// The column `word` of a query's rows.
pub(crate) fn words(connection: &mut Connection, query: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        word: String,
    }
    let rows: Vec<Row> = diesel::sql_query(query).load(connection).unwrap();
    rows.into_iter().map(|row| row.word).collect()
}

/// What `work` asks of the database, in order.
pub(crate) fn asked(connection: &mut Connection, work: impl FnOnce(&mut Connection)) -> Vec<String> {
    use diesel::connection::{Connection as _, InstrumentationEvent};
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let listening = Arc::clone(&asked);
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let query = query.to_string();
            // Behind it stand the values, which no plan wants.
            listening.lock().unwrap().push(query.split(" -- binds:").next().unwrap().trim().to_owned());
        }
    });
    work(connection);
    connection.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    std::mem::take(&mut *asked.lock().unwrap())
}

/// The steps of SQLite's plan for a query.
pub(crate) fn plan(connection: &mut Connection, query: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let rows: Vec<Row> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}")).load(connection).unwrap();
    rows.into_iter().map(|row| row.detail).collect()
}

/// Sixteen bytes as SQL writes them.
pub(crate) fn blob(connection: &DatabaseUrl, hexadecimal: &str) -> String {
    match connection {
        DatabaseUrl::Sqlite(_) => format!("X'{hexadecimal}'"),
        DatabaseUrl::Postgres(_) => format!("'\\x{hexadecimal}'::bytea"),
    }
}
