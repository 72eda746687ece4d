//! Invitations: links by which a person takes an account into use and sets its password. There is no password that anybody else has set.
//!
//! The first owner of an installation has an invitation without an account, which is made when nobody is there. The database allows one
//! invitation a person, and one of those.

use diesel::prelude::*;

use super::account::{self, Staff};
use crate::clock::Timestamp;
use crate::db::schema::{staff, staff_invitations as invitations};
use crate::db::{Connection, DbError};
use crate::id::StaffId;
use crate::token::{Token, TokenHash};

/// How long an invitation can be accepted.
pub const VALID_MS: i64 = 60 * 60_000;
/// The place of the first owner's invitation, among those that are called by their account's id.
const FIRST_OWNER: i64 = 0;

/// Whom an invitation is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invited {
    /// The first owner, who says their own address.
    FirstOwner,
    /// A person with an account.
    Person(Box<Staff>),
}

/// An invitation that can be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Whom it is for.
    pub whom: Invited,
    /// Until when.
    pub expires_at: Timestamp,
}

/// The invitation of this token, unless it is over. To look at it leaves it as it is.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, token: &str, now: Timestamp) -> Result<Option<Invitation>, DbError> {
    Token::parse(token).map_or(Ok(None), |token| find_by_hash(connection, &token.hash(), now))
}

/// The same, by what is kept of the token.
pub(super) fn find_by_hash(
    connection: &mut Connection,
    hash: &TokenHash,
    now: Timestamp,
) -> Result<Option<Invitation>, DbError> {
    let row: Option<(Option<i64>, i64)> = invitations::table
        .filter(invitations::hash.eq(hash.as_bytes().as_slice()).and(invitations::expires_at.gt(now.0)))
        .select((invitations::staff, invitations::expires_at))
        .first(connection)
        .optional()?;
    let Some((invited, expires_at)) = row else { return Ok(None) };
    let whom = match invited {
        Some(id) => account::find(connection, StaffId(id))?.map(|staff| Invited::Person(Box::new(staff))),
        None => is_empty(connection)?.then_some(Invited::FirstOwner),
    };
    Ok(whom.map(|whom| Invitation { whom, expires_at: Timestamp(expires_at) }))
}

/// What there is for the first owner of an installation.
#[derive(Debug)]
pub enum FirstOwner {
    /// Somebody has an account: whoever else is to have one is invited by an owner.
    IsThere,
    /// An invitation was made before, and can be accepted until then. Its token is not kept.
    InvitedUntil(Timestamp),
    /// An invitation, made now.
    Invited(Token),
}

/// Makes the invitation of the first owner, where nobody has an account and no such invitation is valid. Call it in a write transaction.
pub(super) fn of_first_owner(connection: &mut Connection, token: Token, now: Timestamp) -> Result<FirstOwner, DbError> {
    if !is_empty(connection)? {
        return Ok(FirstOwner::IsThere);
    }
    let expired = invitations::table.filter(invitations::place.eq(FIRST_OWNER).and(invitations::expires_at.le(now.0)));
    diesel::delete(expired).execute(connection)?;
    let present: Option<i64> =
        invitations::table.find(FIRST_OWNER).select(invitations::expires_at).first(connection).optional()?;
    if let Some(expires_at) = present {
        return Ok(FirstOwner::InvitedUntil(Timestamp(expires_at)));
    }
    insert(connection, None, &token.hash(), now)?;
    Ok(FirstOwner::Invited(token))
}

/// Makes an invitation for a person instead of the one before. Call it in a write transaction.
pub(super) fn make(connection: &mut Connection, id: StaffId, hash: &TokenHash, now: Timestamp) -> Result<(), DbError> {
    withdraw(connection, id)?;
    insert(connection, Some(id), hash, now)
}

/// Removes a person's invitation. Call it in a write transaction.
pub(super) fn withdraw(connection: &mut Connection, id: StaffId) -> Result<(), DbError> {
    diesel::delete(invitations::table.find(id.0)).execute(connection)?;
    Ok(())
}

/// Uses an invitation up, and gives whom it was for; `None` when it is over or somebody was faster. Call it in a write transaction.
pub(super) fn use_up(
    connection: &mut Connection,
    hash: &TokenHash,
    now: Timestamp,
) -> Result<Option<Invited>, DbError> {
    let Some(invitation) = find_by_hash(connection, hash, now)? else { return Ok(None) };
    let used = diesel::delete(invitations::table.filter(invitations::hash.eq(hash.as_bytes().as_slice())));
    Ok((used.execute(connection)? == 1).then_some(invitation.whom))
}

/// Until when a person's invitation can be accepted, by account.
pub(super) fn expiries(connection: &mut Connection, now: Timestamp) -> Result<Vec<(StaffId, Timestamp)>, DbError> {
    let rows: Vec<(Option<i64>, i64)> = invitations::table
        .filter(invitations::expires_at.gt(now.0))
        .select((invitations::staff, invitations::expires_at))
        .load(connection)?;
    let of_people = rows.into_iter().filter_map(|(id, expires_at)| Some((StaffId(id?), Timestamp(expires_at))));
    Ok(of_people.collect())
}

/// Whether nobody has an account.
fn is_empty(connection: &mut Connection) -> Result<bool, DbError> {
    let people: i64 = staff::table.count().get_result(connection)?;
    Ok(people == 0)
}

fn insert(connection: &mut Connection, id: Option<StaffId>, hash: &TokenHash, now: Timestamp) -> Result<(), DbError> {
    diesel::insert_into(invitations::table)
        .values((
            invitations::place.eq(id.map_or(FIRST_OWNER, |id| id.0)),
            invitations::staff.eq(id.map(|id| id.0)),
            invitations::hash.eq(hash.as_bytes().as_slice()),
            invitations::created_at.eq(now.0),
            invitations::expires_at.eq(now.plus_ms(VALID_MS).0),
        ))
        .execute(connection)?;
    Ok(())
}
