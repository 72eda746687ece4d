//! The writer's connection, and its successor after it was lost.

use crate::db::{Connection, Database, DbError, take_over};
use crate::id::ProcessId;

/// The one connection that a ledger writes on.
pub(super) struct Link {
    database: Database,
    /// The name of its session, by which the next one finds what is left of the last.
    session: String,
    /// `None` after it was lost; the next use makes another.
    connection: Option<Connection>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// [`DbError`].
    pub(super) fn open(database: &Database) -> Result<Self, DbError> {
        let session = format!("xiaoyi ledger {}", ProcessId::new().simple());
        let mut link = Self { database: database.clone(), session, connection: None };
        link.connected()?;
        Ok(link)
    }

    /// The connection, made anew if it was lost.
    ///
    /// # Errors
    /// [`DbError`].
    pub(super) fn connected(&mut self) -> Result<&mut Connection, DbError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let mut connection = self.database.own_connection()?;
                // A statement may still lie there unread, and a void that overtakes the hold it is for would find nothing.
                take_over(&mut connection, &self.session)?;
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Gives up a connection that is gone.
    pub(super) fn lose(&mut self) {
        self.connection = None;
    }
}
