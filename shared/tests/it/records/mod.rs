//! What people who operate the service look up and write down: top-ups, codes, notes, tenants, keys, blocked end users; and
//! what the console's forms do once.

mod blocked_users;
mod last_used;
mod notes;
mod overviews;
mod rotation;
mod sent_forms;
mod top_ups;
mod vouchers;

use std::time::Duration;

use shared::clock::{Clock, Timestamp};
use shared::db::{Connection, DbError};
use shared::epoch::EpochWatch;
use shared::id::TenantId;
use shared::key::{self, Key, KeyError, KeyPolicy, NewSecret};
use shared::keyring::{Keyring, KeyringSettings};
use shared::page::{Cursor, Page};
use shared::secret_key::{PlainSecretKey, TagKey, hash};

use crate::ledger::books::Books;

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_767_225_600_000);

/// All of a list, page by page from its beginning. From its end the same pages come back.
async fn there_and_back<T, K, F>(at: impl Fn(Cursor<K>) -> F, key: impl Fn(&T) -> K) -> Vec<T>
where
    T: Clone + std::fmt::Debug + PartialEq,
    F: Future<Output = Page<T>>,
{
    let mut pages = vec![at(Cursor::First).await];
    while let Some(last) = pages.last().filter(|page| page.has_more).and_then(|page| page.rows.last()) {
        let next = at(Cursor::Behind(key(last))).await;
        assert!(next.has_before && !next.rows.is_empty(), "{next:?}");
        pages.push(next);
    }
    assert!(!pages[0].has_before);
    for pair in pages.windows(2) {
        assert_eq!(at(Cursor::Before(key(&pair[1].rows[0]))).await, pair[0]);
    }
    pages.into_iter().flat_map(|page| page.rows).collect()
}

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
        self.issue(tenant, &TagKey::generate().unwrap(), policy).await.0
    }

    /// A new key of `tenant`, which whoever has this key of the tags can verify.
    async fn issue(&self, tenant: TenantId, tag_key: &TagKey, policy: KeyPolicy) -> (Key, PlainSecretKey) {
        let (id, plain) = PlainSecretKey::generate(tag_key).unwrap();
        let last_four = plain.expose()[plain.expose().len() - 4..].to_owned();
        let (secret, now) = (NewSecret { id, hash: hash(&plain).unwrap(), last_four }, self.clock.now());
        let issued = self.change::<_, KeyError>(move |connection| key::issue(connection, tenant, policy, &secret, now));
        (issued.await.unwrap(), plain)
    }

    /// A keyring of this process, or of one more.
    fn keyring(&self, tag_key: &TagKey, epoch: &EpochWatch) -> Keyring {
        let settings = KeyringSettings { remember: Duration::from_secs(30), entries: 100, hashes: 1 };
        let tag_key = TagKey::from_bytes(tag_key.expose()).unwrap();
        Keyring::new(self.database.clone(), epoch.clone(), self.clock.clone(), tag_key, settings).unwrap()
    }

    /// What a process knows of the epoch, which never grows old.
    async fn epoch(&self) -> EpochWatch {
        EpochWatch::start(&self.database, Clock::manual(self.clock.now())).await.unwrap()
    }
}
