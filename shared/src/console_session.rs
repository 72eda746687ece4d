//! Who is signed in to the developers' console. A session belongs to one Secret Key: it sees what the key may see, obeys the key's policy,
//! and opens nothing from the moment on from which the key would not. The browser has a random token, the database its hash.

use std::net::IpAddr;
use std::sync::Arc;

use diesel::prelude::*;

use crate::audit_log::{Actor, Origin};
use crate::blocked_users::{self, BlockedSet};
use crate::clock::Timestamp;
use crate::db::schema::console_sessions::dsl;
use crate::db::{Connection, DbError};
use crate::key::{self, Barred, Console, Key};
use crate::keyring::Caller;
use crate::secret_key::KeyId;
use crate::token::TokenHash;

/// A session ends when nothing was asked for so long.
pub const IDLE_MS: i64 = 30 * 60_000;
/// It ends so long after it began, whatever is asked.
pub const LONGEST_MS: i64 = 12 * 60 * 60_000;
/// A session's last use is written so often at most. It ends up to that much early.
const SEEN_EVERY_MS: i64 = 60_000;
/// So many sessions of a key are kept; the one that began first ends for a new one.
const MOST_OF_A_KEY: usize = 20;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Session {
    /// What it is kept by. It opens nothing.
    pub hash: TokenHash,
    /// The key that it belongs to, as it is now.
    pub key: Key,
    /// The name of the key's tenant.
    pub tenant_name: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    blocked_users: Option<Arc<BlockedSet>>,
}

impl Session {
    /// Who makes a call in this session.
    pub fn caller(&self) -> Caller {
        Caller::of(self.key.clone(), self.blocked_users.clone())
    }

    /// The origin of what is done in it from `address`.
    pub fn origin(&self, address: Option<IpAddr>) -> Origin {
        Origin { actor: Actor::Key(self.key.id), address }
    }

    /// Whether it may see and rotate all of the tenant's keys, not only its own.
    pub fn sees_all(&self) -> bool {
        self.key.policy.console == Console::Tenant
    }

    /// Whether its use must be written down: see [`touch`].
    pub fn is_to_be_touched(&self, now: Timestamp) -> bool {
        now.since(self.seen_at) >= SEEN_EVERY_MS
    }
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// There is no such session, or its time is over.
    Over,
    /// Its key is refused.
    Barred(Barred),
    /// Its key may not be used from this address.
    NotFromHere,
}

/// The session of this token for a request from `address`, or why there is none.
///
/// # Errors
/// [`DbError`].
pub fn find(
    connection: &mut Connection,
    hash: &TokenHash,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Result<Session, Shut>, DbError> {
    let row: Option<(String, i64, i64)> = dsl::console_sessions
        .find(hash.as_bytes().as_slice())
        .select((dsl::key_id, dsl::created_at, dsl::seen_at))
        .first(connection)
        .optional()?;
    let Some((id, created_at, seen_at)) = row else { return Ok(Err(Shut::Over)) };
    let (created_at, seen_at) = (Timestamp(created_at), Timestamp(seen_at));
    if now.since(seen_at) >= IDLE_MS || now.since(created_at) >= LONGEST_MS {
        return Ok(Err(Shut::Over));
    }
    let id: KeyId = id.parse().map_err(|_| DbError::Corrupt(format!("the key {id} of a session")))?;
    let Some(found) = key::find(connection, id)? else { return Ok(Err(Shut::Over)) };
    if let Some(barred) = found.barred_at(now) {
        return Ok(Err(Shut::Barred(barred)));
    }
    let blocked_users = blocked_users::set_of(connection, found.key.tenant)?;
    let (key, tenant_name) = (found.key, found.tenant_name);
    let session = Session { hash: *hash, key, tenant_name, created_at, seen_at, blocked_users };
    if !session.caller().may_call_from(address) {
        return Ok(Err(Shut::NotFromHere));
    }
    Ok(Ok(session))
}

/// Begins a session of `key`, which was verified, and forgets those that are over. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn begin(
    connection: &mut Connection,
    key: KeyId,
    hash: &TokenHash,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), DbError> {
    // One that is too old is not used any more, so it is idle soon.
    diesel::delete(dsl::console_sessions.filter(dsl::seen_at.le(now.0 - IDLE_MS))).execute(connection)?;
    let newest_first: Vec<Vec<u8>> = dsl::console_sessions
        .filter(dsl::key_id.eq(key.as_str()))
        .order((dsl::created_at.desc(), dsl::hash))
        .select(dsl::hash)
        .load(connection)?;
    for hash in newest_first.into_iter().skip(MOST_OF_A_KEY - 1) {
        diesel::delete(dsl::console_sessions.find(hash)).execute(connection)?;
    }
    diesel::insert_into(dsl::console_sessions)
        .values((
            dsl::hash.eq(hash.as_bytes().as_slice()),
            dsl::key_id.eq(key.as_str()),
            dsl::address.eq(address.map(|address| address.to_string())),
            dsl::created_at.eq(now.0),
            dsl::seen_at.eq(now.0),
        ))
        .execute(connection)?;
    Ok(())
}

/// Writes down that a session was used. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn touch(connection: &mut Connection, hash: &TokenHash, now: Timestamp) -> Result<(), DbError> {
    // Never back, should an older write come later.
    let session = dsl::console_sessions.find(hash.as_bytes().as_slice()).filter(dsl::seen_at.lt(now.0));
    diesel::update(session).set(dsl::seen_at.eq(now.0)).execute(connection)?;
    Ok(())
}

/// Ends a session. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn end(connection: &mut Connection, hash: &TokenHash) -> Result<(), DbError> {
    diesel::delete(dsl::console_sessions.find(hash.as_bytes().as_slice())).execute(connection)?;
    Ok(())
}
