//! What every handler works with.

use std::time::Duration;

use shared::db::{Connection, DbError};
use shared::deployment::Deployment;
use shared::refusal::Refusal;

use crate::room::Room;
use crate::visit::Visit;

/// How long a stream is silent before a comment keeps it alive, and how long its status line waits for the first text.
const SILENCE: Duration = Duration::from_secs(10);

/// The deployment, as the handlers see it.
pub(crate) struct Surface {
    pub(crate) deployment: Deployment,
    pub(crate) silence: Duration,
    /// What bodies that are on their way may take.
    pub(crate) room: Room,
}

impl Surface {
    pub(crate) fn new(deployment: Deployment) -> Self {
        let room = Room::new(&deployment.settings.limits);
        Self { deployment, silence: SILENCE, room }
    }

    /// Reads from the database. A failure is logged here, under the request's id, and the caller is told that we are unavailable.
    pub(crate) async fn read<T, F>(&self, visit: &Visit, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    {
        was_read(visit, self.deployment.database.read_records(work).await)
    }
}

/// What was read for a request; see [`Surface::read`].
pub(crate) fn was_read<T>(visit: &Visit, read: Result<T, DbError>) -> Result<T, Refusal> {
    read.map_err(|error| {
        tracing::error!(request_id = %visit.request_id(), %error, "the database could not be read for a request");
        Refusal::unavailable()
    })
}
