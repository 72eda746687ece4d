//! Several reads of one and the same moment.

use diesel::connection::AnsiTransactionManager;

use super::write::{Transaction, nothing_is_open};
use super::{Connection, DbError};

/// Runs `work`, all of whose reads see the database as it was at the first one. Inside a transaction of the caller's it is that one's.
///
/// # Errors
/// What `work` gives, or [`DbError`].
pub(crate) fn snapshot<T, F>(connection: &mut Connection, work: F) -> Result<T, DbError>
where
    F: FnOnce(&mut Connection) -> Result<T, DbError>,
{
    if nothing_is_open(connection).is_err() {
        return work(connection);
    }
    match connection {
        Connection::Postgres(connection) => {
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            AnsiTransactionManager::begin_transaction_sql(connection, begin)?;
        }
        Connection::Sqlite(connection) => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN")?,
    }
    let mut transaction = Transaction::begun(connection);
    let value = work(transaction.connection())?;
    transaction.commit()?;
    Ok(value)
}
