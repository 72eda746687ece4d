//! Who calls: a presented Secret Key becomes a [`Caller`], or a refusal.
//!
//! A made-up key fails at its tag and costs nothing. A key that was seen in the last 30 s costs a look into the cache; any other one
//! row and one Argon2id hash, one flight a key. An entry counts only while the epoch that was read before its row is the current one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::blocked_users::{BlockedSet, BlockedSets};
use crate::clock::{Clock, Timestamp};
use crate::config::Cidr;
use crate::db::{Database, DbError};
use crate::epoch::EpochWatch;
use crate::id::TenantId;
use crate::key::{self, Barred, Console, Key, KeyWithHash, LastUsed, Uses};
use crate::limits::KeyLimits;
use crate::refusal::{Reason, Refusal};
use crate::secret_key::{CacheDigest, DigestKey, InvalidKey, KeyId, PresentedKey, TagKey, verify};

/// A verified caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key that called.
    pub key: KeyId,
    /// Who pays.
    pub tenant: TenantId,
    /// The models that it may use; `None`: all.
    pub models: Option<Arc<[String]>>,
    /// What it may see.
    pub console: Console,
    /// What it may do in a time.
    pub limits: KeyLimits,
    /// The networks that it may be used from; `None`: from everywhere.
    pub networks: Option<Arc<[Cidr]>>,
    /// The end users whose calls are refused; `None`: nobody's.
    pub blocked_users: Option<Arc<BlockedSet>>,
}

impl Caller {
    /// Who calls with this key, of a tenant that blocks these end users.
    pub fn of(key: Key, blocked_users: Option<Arc<BlockedSet>>) -> Self {
        let Key { id, tenant, policy, .. } = key;
        Self {
            key: id,
            tenant,
            models: policy.models.map(Arc::from),
            console: policy.console,
            limits: policy.limits,
            networks: policy.networks.map(Arc::from),
            blocked_users,
        }
    }

    /// Whether the key's policy allows `model`.
    pub fn may_use(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|each| each == model))
    }

    /// Whether the key's policy allows its use from `address`. Of an address that is not known (`None`), no network is.
    pub fn may_call_from(&self, address: Option<IpAddr>) -> bool {
        let Some(networks) = &self.networks else { return true };
        address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
    }

    /// Whether calls for this end user are refused.
    pub fn blocks(&self, end_user: Option<&str>) -> bool {
        self.blocked_users.as_ref().zip(end_user).is_some_and(|(blocked, end_user)| blocked.contains(end_user))
    }

    /// The key that its view of the records is limited to; `None`: it sees all of the tenant's.
    pub fn sees_only(&self) -> Option<KeyId> {
        (self.console != Console::Tenant).then_some(self.key)
    }
}

/// Why whoever presents a key is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotACaller {
    /// It was never issued here.
    Malformed(InvalidKey),
    /// No key has this id and this secret.
    Unknown,
    /// The key itself is right.
    Barred(Barred),
    /// The database cannot be asked.
    Unavailable,
}

impl From<NotACaller> for Refusal {
    fn from(not_a_caller: NotACaller) -> Self {
        let invalid = |message: String| Self::new(Reason::InvalidApiKey, message);
        match not_a_caller {
            NotACaller::Malformed(error) => invalid(format!("this is not a Secret Key of this service: {error}")),
            NotACaller::Unknown => invalid("this Secret Key is not known; check that it was copied whole".to_owned()),
            NotACaller::Barred(Barred::Revoked) => invalid("this Secret Key was revoked; ask for a new one".to_owned()),
            NotACaller::Barred(Barred::Expired) => invalid("this Secret Key has expired; ask for a new one".to_owned()),
            NotACaller::Barred(Barred::TenantSuspended) => {
                let message = "this account is suspended; please ask the operator of the service";
                Self::new(Reason::TenantSuspended, message)
            }
            NotACaller::Unavailable => Self::unavailable(),
        }
    }
}

/// The bounds of a keyring.
#[derive(Debug, Clone, Copy)]
pub struct KeyringSettings {
    /// How long a verified key is remembered.
    pub remember: Duration,
    /// How many are remembered.
    pub entries: u64,
    /// How many hashes are computed at the same time.
    pub hashes: usize,
}

/// Verifies Secret Keys.
pub struct Keyring {
    database: Database,
    epoch: EpochWatch,
    clock: Clock,
    tag_key: Arc<TagKey>,
    digest_key: DigestKey,
    cache: Cache<CacheDigest, Arc<Entry>>,
    hashing: Arc<Semaphore>,
    blocked: Arc<BlockedSets>,
    uses: Uses,
}

struct Entry {
    epoch: i64,
    verified: Option<Verified>,
}

struct Verified {
    caller: Caller,
    expires_at: Option<Timestamp>,
    revoked: bool,
    suspended: bool,
    last_used: LastUsed,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keyring").field("cached", &self.cache.entry_count()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// A keyring with nothing in its cache.
    ///
    /// # Errors
    /// When the operating system gives no random bytes for the cache's digest key.
    pub fn new(
        database: Database,
        epoch: EpochWatch,
        clock: Clock,
        tag_key: TagKey,
        settings: KeyringSettings,
    ) -> Result<Self, getrandom::Error> {
        let cache = Cache::builder().max_capacity(settings.entries).time_to_live(settings.remember).build();
        let hashing = Arc::new(Semaphore::new(settings.hashes));
        Ok(Self {
            database,
            epoch,
            clock,
            tag_key: Arc::new(tag_key),
            digest_key: DigestKey::generate()?,
            cache,
            hashing,
            blocked: Arc::default(),
            uses: Uses::default(),
        })
    }

    /// Who presents this key, or what a developer's call is told.
    ///
    /// # Errors
    /// [`Reason::InvalidApiKey`], [`Reason::TenantSuspended`], or [`Reason::Unavailable`] when the database cannot be asked.
    pub async fn authenticate(&self, presented: &str) -> Result<Caller, Refusal> {
        Ok(self.verify(presented).await?)
    }

    /// Who presents this key.
    ///
    /// # Errors
    /// [`NotACaller`].
    pub async fn verify(&self, presented: &str) -> Result<Caller, NotACaller> {
        let presented = PresentedKey::parse(presented, &self.tag_key).map_err(NotACaller::Malformed)?;
        let digest = self.digest_key.digest(&presented);
        loop {
            let Some(current) = self.epoch.current() else {
                tracing::error!("the database has not answered for 5 s; calls are refused until it does");
                return Err(NotACaller::Unavailable);
            };
            let entry = match self.cache.get(&digest).await {
                Some(entry) => entry,
                None => self.look_up(digest, presented).await?,
            };
            // An entry may be newer than the last look at the epoch, never older.
            if entry.epoch >= current {
                return self.admit(&entry);
            }
            self.cache.invalidate(&digest).await;
        }
    }

    fn admit(&self, entry: &Entry) -> Result<Caller, NotACaller> {
        let Some(verified) = &entry.verified else { return Err(NotACaller::Unknown) };
        let Verified { caller, expires_at, revoked, suspended, last_used } = verified;
        let now = self.clock.now();
        if let Some(barred) = Barred::of(*revoked, *expires_at, *suspended, now) {
            return Err(NotACaller::Barred(barred));
        }
        self.uses.note(caller.key, last_used, now);
        Ok(caller.clone())
    }

    /// Writes down which keys were used; a duty of the deployment, every few seconds.
    ///
    /// # Errors
    /// [`DbError`]; what was not written then comes again with the next use of each key.
    pub async fn write_uses(&self) -> Result<(), DbError> {
        self.uses.write(&self.database).await
    }

    async fn look_up(&self, digest: CacheDigest, presented: PresentedKey<'_>) -> Result<Arc<Entry>, NotACaller> {
        let load = self.load(presented);
        self.cache.try_get_with(digest, load).await.map_err(|error: Arc<DbError>| {
            tracing::error!(%error, "a Secret Key could not be looked up");
            NotACaller::Unavailable
        })
    }

    async fn load(&self, presented: PresentedKey<'_>) -> Result<Arc<Entry>, DbError> {
        let id = presented.key_id();
        // The epoch before the row: a change in between leaves an entry that is too old, never one that is too new.
        let blocked_sets = Arc::clone(&self.blocked);
        let (epoch, row, blocked) = self
            .database
            .read(move |connection| {
                let epoch = crate::epoch::read(connection)?;
                let row = key::find(connection, id)?;
                let blocked = match &row {
                    Some(row) => blocked_sets.of(connection, row.key.tenant, epoch)?,
                    None => None,
                };
                Ok((epoch, row, blocked))
            })
            .await?;
        let Some(row) = row else {
            return Ok(Arc::new(Entry { epoch, verified: None }));
        };
        let busy = |error: String| DbError::Busy(format!("a key's hash could not be computed: {error}"));
        let _turn = Arc::clone(&self.hashing).acquire_owned().await.map_err(|error| busy(error.to_string()))?;
        let text = secrecy::SecretString::from(presented.secret_text());
        let tag_key = Arc::clone(&self.tag_key);
        let checked = tokio::task::spawn_blocking(move || {
            use secrecy::ExposeSecret;
            let is_right = PresentedKey::parse(text.expose_secret(), &tag_key)
                .is_ok_and(|presented| verify(&presented, &row.hash));
            is_right.then_some(row)
        });
        let row = checked.await.map_err(|error| busy(error.to_string()))?;
        let verified = row.map(|row| Verified::new(row, blocked));
        Ok(Arc::new(Entry { epoch, verified }))
    }
}

impl Verified {
    fn new(row: KeyWithHash, blocked_users: Option<Arc<BlockedSet>>) -> Self {
        Self {
            expires_at: row.key.ends_at(),
            revoked: row.key.revoked_at.is_some(),
            suspended: row.tenant_suspended_at.is_some(),
            last_used: LastUsed::new(row.key.last_used_at),
            caller: Caller::of(row.key, blocked_users),
        }
    }
}
