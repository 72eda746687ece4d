//! What people who operate the service look up and write down: top-ups, codes, notes, tenants, keys, blocked end users.

mod blocked_users;
mod last_used;
mod notes;
mod overviews;
mod top_ups;
mod vouchers;

use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::id::TenantId;
use shared::key::{self, Key, KeyError, KeyPolicy, NewSecret};
use shared::secret_key::{PlainSecretKey, TagKey, hash};

use crate::ledger::books::Books;

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_767_225_600_000);

impl Books {
    /// Reads.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    ) -> T {
        self.database.read(work).await.unwrap()
    }

    /// Writes, with the error of what is written.
    async fn change<T, E>(&self, work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + From<diesel::result::Error> + Send + 'static,
    {
        self.database.write(work).await
    }

    /// A new key of `tenant`.
    async fn key(&self, tenant: TenantId, policy: KeyPolicy) -> Key {
        let (id, plain) = PlainSecretKey::generate(&TagKey::generate().unwrap()).unwrap();
        let last_four = plain.expose()[plain.expose().len() - 4..].to_owned();
        let (secret, now) = (NewSecret { id, hash: hash(&plain).unwrap(), last_four }, self.clock.now());
        self.change::<_, KeyError>(move |connection| key::issue(connection, tenant, policy, &secret, now))
            .await
            .unwrap()
    }
}
