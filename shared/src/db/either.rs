//! One connection of either engine. A file of its own, because diesel's derive wants the name `Connection` for a trait of its own.

use diesel::{MultiConnection, PgConnection, SqliteConnection};

/// The connection that every statement runs on, [`super::Connection`] elsewhere. The variant is chosen by the database's URL.
#[derive(MultiConnection)]
pub enum EitherConnection {
    /// A server.
    Postgres(PgConnection),
    /// A file.
    Sqlite(SqliteConnection),
}
