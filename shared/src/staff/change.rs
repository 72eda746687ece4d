//! Changes by people who are signed in. Between letting somebody in and writing lies the time that a form takes to arrive: in it the
//! session may be ended, the account disabled, or another role given.

use super::role::Right;
use super::session;
use crate::clock::Timestamp;
use crate::db::{Connection, Database, DbError, WriteError};

/// Why somebody who was let in may not change anything any more. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The session has been ended, or the account disabled.
    SignedOut,
    /// The role has the right no more.
    Forbidden,
}

/// Writes in one transaction, like [`Database::write`], if whoever presents `token` is signed in by then and has the `right` (`None`:
/// whatever the role). `now` is the moment at which it was asked for, so a session does not run out while a form arrives.
///
/// # Errors
/// [`Denied`]; and inside what `work` gives (rolled back then), or the database's.
pub async fn write_as<T, E, F>(
    database: &Database,
    token: &str,
    right: Option<Right>,
    now: Timestamp,
    work: F,
) -> Result<Result<T, E>, Denied>
where
    T: Send + 'static,
    E: WriteError,
    F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
{
    let token = token.to_owned();
    let written = database.write(move |connection| match session::find(connection, &token, now)? {
        None => Err(Stopped::Denied(Denied::SignedOut)),
        Some(found) if right.is_some_and(|right| !found.staff.may(right)) => Err(Stopped::Denied(Denied::Forbidden)),
        Some(_) => work(connection).map_err(Stopped::Failed),
    });
    match written.await {
        Ok(done) => Ok(Ok(done)),
        Err(Stopped::Failed(error)) => Ok(Err(error)),
        Err(Stopped::Denied(denied)) => Err(denied),
    }
}

/// Why a transaction was rolled back.
enum Stopped<E> {
    Denied(Denied),
    Failed(E),
}

impl<E: From<DbError>> From<DbError> for Stopped<E> {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl<E: From<diesel::result::Error>> From<diesel::result::Error> for Stopped<E> {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error.into())
    }
}
