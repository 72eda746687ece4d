//! Secret Keys as they are kept: policy, state, and the hash of the secret.

mod last_used;
mod new_secret;
mod overview;
mod rotation;

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use diesel::prelude::*;
pub use new_secret::{NewSecret, NewSecretError, new_secret};
use serde::Serialize;

pub(crate) use last_used::{LastUsed, Uses, WRITE_MS};
pub use overview::{KeyFilter, KeyOverview, KeyState, overview, search};
pub use rotation::{rotate, rotate_once};

use crate::clock::Timestamp;
use crate::config::Cidr;
use crate::db::schema::{keys, tenants};
use crate::db::{Connection, DbError};
use crate::epoch;
use crate::id::TenantId;
use crate::limits::KeyLimits;
use crate::secret_key::{HashedSecretKey, KeyId};

/// The most networks of one key: each of its requests is compared with them.
pub const MOST_NETWORKS: usize = 100;
/// The most characters of a key's name.
pub const LONGEST_NAME: usize = 200;

/// What a key's holder may see in the records and in the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Console {
    /// The key's own calls and the tenant's balance.
    #[default]
    Key,
    /// All of the tenant's.
    Tenant,
    /// The key's own calls through the API, and no console.
    None,
}

impl Console {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Key, Self::Tenant, Self::None];

    /// The word that the database keeps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Console {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Console {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|console| console.as_str() == text)
            .ok_or_else(|| "must be key, tenant or none".to_owned())
    }
}

/// What a key may do. It never changes: a rotated key takes over the policy of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPolicy {
    /// A name for people.
    pub name: String,
    /// The models that it may use; `None`: all.
    pub models: Option<Vec<String>>,
    /// What its holder may see.
    pub console: Console,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// What it may do in a time.
    pub limits: KeyLimits,
    /// The networks that it may be used from; `None`: from everywhere.
    pub networks: Option<Vec<Cidr>>,
}

impl KeyPolicy {
    /// The networks in CIDR notation, as they are kept and shown.
    pub fn ips(&self) -> Option<Vec<String>> {
        self.networks.as_ref().map(|networks| networks.iter().map(Cidr::to_string).collect())
    }

    /// Whether a new key may have it.
    ///
    /// # Errors
    /// [`KeyError::BadName`], [`KeyError::ExpiresInThePast`], [`KeyError::TooManyNetworks`].
    pub fn check(&self, now: Timestamp) -> Result<(), KeyError> {
        self.check_name()?;
        if self.expires_at.is_some_and(|moment| moment <= now) {
            return Err(KeyError::ExpiresInThePast);
        }
        if self.networks.as_ref().is_some_and(|networks| networks.len() > MOST_NETWORKS) {
            return Err(KeyError::TooManyNetworks);
        }
        Ok(())
    }

    fn check_name(&self) -> Result<(), KeyError> {
        let is_bad = self.name.chars().count() > LONGEST_NAME || self.name.chars().any(char::is_control);
        if is_bad { Err(KeyError::BadName) } else { Ok(()) }
    }
}

/// A key as it is kept, without its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, which is also part of the secret.
    pub id: KeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it may do.
    pub policy: KeyPolicy,
    /// The secret's last four characters, to tell keys apart.
    pub last_four: String,
    /// Set by a rotation: until when it still works.
    pub grace_until: Option<Timestamp>,
    /// Since when it is revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl Key {
    /// What is known of it, for lists and for the audit log: as a JSON object, without the secret.
    pub fn facts(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id,
            "name": self.policy.name,
            "models": self.policy.models,
            "console": self.policy.console,
            "ips": self.policy.ips(),
            "rpm": self.policy.limits.rpm,
            "tpm": self.policy.limits.tpm,
            "concurrency": self.policy.limits.concurrency,
            "expires_at": self.policy.expires_at.map(Timestamp::to_rfc3339),
            "grace_until": self.grace_until.map(Timestamp::to_rfc3339),
            "last_four": self.last_four,
            "revoked_at": self.revoked_at.map(Timestamp::to_rfc3339),
            "created_at": self.created_at.to_rfc3339(),
        })
    }

    /// From when on it is refused: when its policy says so or the grace of its rotation ends, whichever is first.
    pub fn ends_at(&self) -> Option<Timestamp> {
        [self.policy.expires_at, self.grace_until].into_iter().flatten().min()
    }

    /// Until when it works beside its successor; `None`: it was not rotated.
    pub fn rotated_until(&self) -> Option<Timestamp> {
        self.grace_until.and(self.ends_at())
    }
}

/// A key with what is needed to let a call in.
#[derive(Debug, Clone)]
pub struct KeyWithHash {
    /// The key.
    pub key: Key,
    /// The hash of its secret.
    pub hash: HashedSecretKey,
    /// Its tenant's name.
    pub tenant_name: String,
    /// Since when its tenant is suspended.
    pub tenant_suspended_at: Option<Timestamp>,
}

/// Why a key is refused although its secret is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// It was revoked.
    Revoked,
    /// Its time is over, or that of its grace.
    Expired,
    /// Its tenant is suspended.
    TenantSuspended,
}

impl Barred {
    /// Why a key is refused at `now`, from what is known of it. What ends the key for good goes before what may pass.
    pub(crate) fn of(revoked: bool, ends_at: Option<Timestamp>, suspended: bool, now: Timestamp) -> Option<Self> {
        if revoked {
            Some(Self::Revoked)
        } else if ends_at.is_some_and(|ends_at| ends_at <= now) {
            Some(Self::Expired)
        } else {
            suspended.then_some(Self::TenantSuspended)
        }
    }
}

impl KeyWithHash {
    /// Why the key is refused at `now`; `None`: it is not.
    pub fn barred_at(&self, now: Timestamp) -> Option<Barred> {
        Barred::of(self.key.revoked_at.is_some(), self.key.ends_at(), self.tenant_suspended_at.is_some(), now)
    }
}

/// Why a key could not be issued or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such key.
    #[error("there is no key {0}: see `xiaoyi key list --tenant NAME`")]
    Unknown(String),
    /// A revoked or expired key cannot be rotated.
    #[error("key {0} is revoked or expired: issue a new one instead")]
    Ended(KeyId),
    /// It has a successor. Only whoever operates the service gives it another one.
    #[error("key {id} was rotated before and works until {}: it has a successor", .ends_at.to_rfc3339())]
    Rotated {
        /// The key.
        id: KeyId,
        /// Until when it works.
        ends_at: Timestamp,
    },
    /// The name is too long or holds control characters.
    #[error("a key's name has at most {LONGEST_NAME} characters and no control characters")]
    BadName,
    /// It would never work.
    #[error("the expiry lies in the past: the key would never work")]
    ExpiresInThePast,
    /// There are more networks than each request can be compared with.
    #[error("a key has at most {MOST_NETWORKS} addresses and networks")]
    TooManyNetworks,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for KeyError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Keeps a new key. Call it in a write transaction.
///
/// # Errors
/// [`KeyError::BadName`] or the database's.
pub fn issue(
    connection: &mut Connection,
    tenant: TenantId,
    policy: KeyPolicy,
    secret: &NewSecret,
    now: Timestamp,
) -> Result<Key, KeyError> {
    policy.check_name()?;
    let models = policy.models.as_ref().map(|models| serde_json::Value::from(models.clone()).to_string());
    let networks = policy.ips().map(|ips| serde_json::Value::from(ips).to_string());
    let number = |limit: Option<NonZeroU32>| limit.map(|limit| i64::from(limit.get()));
    diesel::insert_into(keys::table)
        .values((
            keys::id.eq(secret.id.as_str()),
            keys::tenant.eq(tenant.0),
            keys::name.eq(&policy.name),
            keys::hash.eq(secret.hash.as_str()),
            keys::last_four.eq(&secret.last_four),
            keys::models.eq(models),
            keys::console.eq(policy.console.as_str()),
            keys::expires_at.eq(policy.expires_at.map(|moment| moment.0)),
            keys::created_at.eq(now.0),
            keys::rpm.eq(number(policy.limits.rpm)),
            keys::tpm.eq(number(policy.limits.tpm)),
            keys::concurrency.eq(number(policy.limits.concurrency)),
            keys::ips.eq(networks),
        ))
        .execute(connection)?;
    epoch::advance(connection)?;
    Ok(Key {
        id: secret.id,
        tenant,
        policy,
        last_four: secret.last_four.clone(),
        grace_until: None,
        revoked_at: None,
        created_at: now,
        last_used_at: None,
    })
}

/// All keys of a tenant, oldest first.
///
/// # Errors
/// [`DbError`].
pub fn list(connection: &mut Connection, tenant: TenantId) -> Result<Vec<Key>, DbError> {
    let rows: Vec<Row> = keys::table
        .filter(keys::tenant.eq(tenant.0))
        .order((keys::created_at, keys::id))
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(Row::into_key).collect()
}

/// The key of this id, with its hash and its tenant's state.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, id: KeyId) -> Result<Option<KeyWithHash>, DbError> {
    let row: Option<(Row, String, String, Option<i64>)> = keys::table
        .inner_join(tenants::table)
        .filter(keys::id.eq(id.as_str()))
        .select((Row::as_select(), keys::hash, tenants::name, tenants::suspended_at))
        .first(connection)
        .optional()?;
    row.map(|(row, hash, tenant_name, suspended_at)| {
        Ok(KeyWithHash {
            key: row.into_key()?,
            hash: HashedSecretKey::from_stored(hash),
            tenant_name,
            tenant_suspended_at: suspended_at.map(Timestamp),
        })
    })
    .transpose()
}

/// Revokes a key; one that is revoked stays revoked since then. Call it in a write transaction.
///
/// # Errors
/// [`KeyError::Unknown`] or the database's.
pub fn revoke(connection: &mut Connection, id: &str, now: Timestamp) -> Result<Key, KeyError> {
    let key = known(connection, id)?;
    let revoked_at = key.revoked_at.unwrap_or(now);
    diesel::update(keys::table.find(id)).set(keys::revoked_at.eq(revoked_at.0)).execute(connection)?;
    epoch::advance(connection)?;
    Ok(Key { revoked_at: Some(revoked_at), ..key })
}

fn known(connection: &mut Connection, id: &str) -> Result<Key, KeyError> {
    let row: Option<Row> = keys::table.find(id).select(Row::as_select()).first(connection).optional()?;
    Ok(row.ok_or_else(|| KeyError::Unknown(id.to_owned()))?.into_key()?)
}

fn read_networks(json: &str) -> Option<Vec<Cidr>> {
    let texts: Vec<String> = serde_json::from_str(json).ok()?;
    texts.iter().map(|text| text.parse().ok()).collect()
}

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = keys)]
struct Row {
    id: String,
    tenant: i64,
    name: String,
    last_four: String,
    models: Option<String>,
    console: String,
    expires_at: Option<i64>,
    grace_until: Option<i64>,
    revoked_at: Option<i64>,
    created_at: i64,
    rpm: Option<i64>,
    tpm: Option<i64>,
    concurrency: Option<i64>,
    ips: Option<String>,
    last_used_at: Option<i64>,
}

impl Row {
    fn into_key(self) -> Result<Key, DbError> {
        let corrupt = |what: &str| DbError::Corrupt(format!("{what} of key {}", self.id));
        let models = self.models.as_deref().map(serde_json::from_str).transpose().map_err(|_| corrupt("models"))?;
        let networks = self.ips.as_deref().map(|json| read_networks(json).ok_or_else(|| corrupt("ips"))).transpose()?;
        let number = |name: &str, limit: Option<i64>| {
            let read = |limit| u32::try_from(limit).ok().and_then(NonZeroU32::new).ok_or_else(|| corrupt(name));
            limit.map(read).transpose()
        };
        let limits = KeyLimits {
            rpm: number("rpm", self.rpm)?,
            tpm: number("tpm", self.tpm)?,
            concurrency: number("concurrency", self.concurrency)?,
        };
        Ok(Key {
            id: self.id.parse().map_err(|_| corrupt("id"))?,
            tenant: TenantId(self.tenant),
            last_four: self.last_four.clone(),
            policy: KeyPolicy {
                name: self.name.clone(),
                models,
                console: self.console.parse().map_err(|_| corrupt("console"))?,
                expires_at: self.expires_at.map(Timestamp),
                limits,
                networks,
            },
            grace_until: self.grace_until.map(Timestamp),
            revoked_at: self.revoked_at.map(Timestamp),
            created_at: Timestamp(self.created_at),
            last_used_at: self.last_used_at.map(Timestamp),
        })
    }
}
