//! Who is signed in. The browser has a random token, the database its hash, so a session can be ended from this side at any time: by
//! signing out, by a new password, by another way to prove who one is, by disabling the account.

use std::net::IpAddr;

use diesel::prelude::*;

use super::account::{self, Staff};
use crate::clock::Timestamp;
use crate::db::schema::staff_sessions::dsl;
use crate::db::{Connection, Database, DbError};
use crate::id::StaffId;
use crate::token::{Token, TokenHash};

/// A session ends when nothing was asked for so long.
pub const IDLE_MS: i64 = 15 * 60_000;
/// It ends so long after it began, whatever is asked.
pub const LONGEST_MS: i64 = 12 * 60 * 60_000;
/// For so long a code may follow the password.
pub const HALF_OPEN_MS: i64 = 5 * 60_000;
/// A session's last use is written so often at most. It ends up to that much early.
const SEEN_EVERY_MS: i64 = 60_000;
/// After so many wrong codes the password must be entered again.
const WRONG_CODES: i64 = 5;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub staff: Staff,
    /// From where the session was begun.
    pub address: Option<IpAddr>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    hash: TokenHash,
}

impl SignedIn {
    /// Whether this is the session of `token`: of a person's sessions, the one at hand.
    pub fn is_of(&self, token: &str) -> bool {
        hash_of(token) == Some(self.hash)
    }

    /// Whether it has ended by itself.
    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.seen_at) >= IDLE_MS || now.since(self.created_at) >= LONGEST_MS
    }
}

/// Whoever presents this token, unless the session is over, waits for a code, or its account was disabled.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, token: &str, now: Timestamp) -> Result<Option<SignedIn>, DbError> {
    let Some(hash) = hash_of(token) else { return Ok(None) };
    let row: Option<Row> = dsl::staff_sessions
        .find(hash.as_bytes().as_slice())
        .filter(dsl::needs_code.eq(false))
        .select(Row::as_select())
        .first(connection)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let Some(staff) = account::find(connection, StaffId(row.staff))? else { return Ok(None) };
    let signed_in = row.into_signed_in(staff)?;
    Ok((!signed_in.is_over(now) && signed_in.staff.is_active()).then_some(signed_in))
}

/// Writes down that a session was just used, unless that was done within the last minute.
///
/// # Errors
/// [`DbError`]; the session may end early then.
pub async fn keep_alive(database: &Database, signed_in: &SignedIn, now: Timestamp) -> Result<(), DbError> {
    if now.since(signed_in.seen_at) < SEEN_EVERY_MS {
        return Ok(());
    }
    let hash = signed_in.hash;
    database
        .write(move |connection| {
            // Never back, should an older write come later.
            let session = dsl::staff_sessions.find(hash.as_bytes().as_slice()).filter(dsl::seen_at.lt(now.0));
            diesel::update(session).set(dsl::seen_at.eq(now.0)).execute(connection)?;
            Ok(())
        })
        .await
}

/// A person's open sessions, the newest first.
///
/// # Errors
/// [`DbError`].
pub fn list(connection: &mut Connection, staff: &Staff, now: Timestamp) -> Result<Vec<SignedIn>, DbError> {
    let rows: Vec<Row> = dsl::staff_sessions
        .filter(dsl::staff.eq(staff.id.0).and(dsl::needs_code.eq(false)))
        .order(dsl::created_at.desc())
        .select(Row::as_select())
        .load(connection)?;
    let sessions = rows.into_iter().map(|row| row.into_signed_in(staff.clone()));
    sessions.filter(|session| session.as_ref().map_or(true, |session| !session.is_over(now))).collect()
}

/// What the session of this text is kept by. `None` where the text is no token at all.
pub(super) fn hash_of(token: &str) -> Option<TokenHash> {
    Token::parse(token).map(|token| token.hash())
}

/// Whose code is still to come. `None` when the time for it is over.
pub(super) fn half_open(
    connection: &mut Connection,
    hash: &TokenHash,
    now: Timestamp,
) -> Result<Option<StaffId>, DbError> {
    let row: Option<(i64, i64)> = dsl::staff_sessions
        .find(hash.as_bytes().as_slice())
        .filter(dsl::needs_code.eq(true))
        .select((dsl::staff, dsl::created_at))
        .first(connection)
        .optional()?;
    Ok(row.filter(|(_, created_at)| now.since(Timestamp(*created_at)) < HALF_OPEN_MS).map(|(staff, _)| StaffId(staff)))
}

/// Begins a session, and forgets those that are over. Call it in a write transaction.
pub(super) fn begin(
    connection: &mut Connection,
    staff: StaffId,
    hash: &TokenHash,
    needs_code: bool,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), DbError> {
    purge(connection, now)?;
    diesel::insert_into(dsl::staff_sessions)
        .values((
            dsl::hash.eq(hash.as_bytes().as_slice()),
            dsl::staff.eq(staff.0),
            dsl::needs_code.eq(needs_code),
            dsl::wrong_codes.eq(0),
            dsl::address.eq(address.map(|address| address.to_string())),
            dsl::created_at.eq(now.0),
            dsl::seen_at.eq(now.0),
        ))
        .execute(connection)?;
    Ok(())
}

/// Counts a wrong code, and ends what waits for it after five. Call it in a write transaction.
pub(super) fn count_wrong_code(connection: &mut Connection, hash: &TokenHash) -> Result<(), DbError> {
    let session = || dsl::staff_sessions.find(hash.as_bytes().as_slice());
    diesel::update(session()).set(dsl::wrong_codes.eq(dsl::wrong_codes + 1)).execute(connection)?;
    diesel::delete(session().filter(dsl::wrong_codes.ge(WRONG_CODES))).execute(connection)?;
    Ok(())
}

/// Whether a session was not ended, by whomever.
pub(super) fn is_there(connection: &mut Connection, hash: &TokenHash) -> Result<bool, DbError> {
    let session = dsl::staff_sessions.find(hash.as_bytes().as_slice()).filter(dsl::needs_code.eq(false));
    Ok(diesel::select(diesel::dsl::exists(session)).get_result(connection)?)
}

/// Ends a session, half-open or not. Call it in a write transaction.
pub(super) fn end(connection: &mut Connection, hash: &TokenHash) -> Result<(), DbError> {
    diesel::delete(dsl::staff_sessions.find(hash.as_bytes().as_slice())).execute(connection)?;
    Ok(())
}

/// Ends a person's sessions but the one to `keep`. Call it in a write transaction.
pub(super) fn end_others(connection: &mut Connection, staff: StaffId, keep: Option<&TokenHash>) -> Result<(), DbError> {
    // No session has an empty hash.
    let keep = keep.map_or(&[][..], |hash| hash.as_bytes().as_slice());
    let others = dsl::staff_sessions.filter(dsl::staff.eq(staff.0).and(dsl::hash.ne(keep)));
    diesel::delete(others).execute(connection)?;
    Ok(())
}

/// Forgets what is over. Call it in a write transaction.
fn purge(connection: &mut Connection, now: Timestamp) -> Result<(), DbError> {
    let is_idle = dsl::seen_at.le(now.0 - IDLE_MS);
    let is_old = dsl::created_at.le(now.0 - LONGEST_MS);
    let has_no_code = dsl::needs_code.eq(true).and(dsl::created_at.le(now.0 - HALF_OPEN_MS));
    diesel::delete(dsl::staff_sessions.filter(is_idle.or(is_old).or(has_no_code))).execute(connection)?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = crate::db::schema::staff_sessions)]
struct Row {
    hash: Vec<u8>,
    staff: i64,
    address: Option<String>,
    created_at: i64,
    seen_at: i64,
}

impl Row {
    fn into_signed_in(self, staff: Staff) -> Result<SignedIn, DbError> {
        let corrupt = |what: &str| DbError::Corrupt(format!("{what} of a session of staff {}", self.staff));
        Ok(SignedIn {
            staff,
            address: self
                .address
                .as_ref()
                .map(|address| address.parse().map_err(|_| corrupt("address")))
                .transpose()?,
            created_at: Timestamp(self.created_at),
            seen_at: Timestamp(self.seen_at),
            hash: TokenHash::from_slice(&self.hash).ok_or_else(|| corrupt("hash"))?,
        })
    }
}
