//! Moves the write-ahead log into the database beside the writer, on another core. The writer's own connection does that too when
//! the log has become long, but then most of it is moved already: an eighth more operations a second, and no long pauses.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use diesel::connection::SimpleConnection;

use crate::db::{Connection, Database, DbError};

/// Operations after which the log is moved; about two pages each.
const EVERY: usize = 512;

/// The thread that moves the log. It ends when this is dropped.
pub(super) struct Checkpoints {
    due: SyncSender<()>,
    written: usize,
}

impl Checkpoints {
    pub(super) fn start(database: &Database) -> Result<Self, DbError> {
        let connection = database.own_connection()?;
        let (due, asked) = sync_channel(1);
        std::thread::Builder::new()
            .name("ledger-checkpoint".to_owned())
            .spawn(move || run(connection, &asked))
            .map_err(|error| DbError::Open { path: database.path().to_path_buf(), message: error.to_string() })?;
        Ok(Self { due, written: 0 })
    }

    /// Tells it that so many operations were committed.
    pub(super) fn committed(&mut self, operations: usize) {
        self.written += operations;
        if self.written >= EVERY {
            self.written = 0;
            // Full: it is at work, or about to be.
            let _ = self.due.try_send(());
        }
    }
}

fn run(mut connection: Connection, asked: &Receiver<()>) {
    while asked.recv().is_ok() {
        // PASSIVE waits for nobody and nobody waits for it; what it leaves comes with the next.
        if let Err(error) = connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE)") {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database");
        }
    }
}
