//! What an owner does about other people's accounts. There is always an owner who can sign in, once there was one.

use diesel::prelude::*;

use super::account::{self, Staff};
use super::email::Email;
use super::error::StaffError;
use super::role::Role;
use super::{invitation, session};
use crate::audit_log::Origin;
use crate::clock::Timestamp;
use crate::db::schema::staff as table;
use crate::db::{Connection, DbError};
use crate::id::StaffId;
use crate::token::TokenHash;

/// An account, and until when its invitation can be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The account.
    pub staff: Staff,
    /// Until when its invitation can be accepted, if it has one.
    pub invited_until: Option<Timestamp>,
}

/// All accounts, by address.
///
/// # Errors
/// [`DbError`].
pub fn list(connection: &mut Connection, now: Timestamp) -> Result<Vec<Listed>, DbError> {
    let invited = invitation::expiries(connection, now)?;
    let rows: Vec<account::Row> =
        table::table.order(table::email).select(account::Row::as_select()).load(connection)?;
    let listed = rows.into_iter().map(|row| {
        let staff = row.into_account()?.staff;
        let invited_until = invited.iter().find(|(id, _)| *id == staff.id).map(|(_, expires_at)| *expires_at);
        Ok(Listed { staff, invited_until })
    });
    listed.collect()
}

/// Makes an account with an invitation of the token that has this hash. An account that was never taken into use, or is disabled, is
/// invited again: with this role, and the token before counts no longer. Call it in a write transaction.
///
/// # Errors
/// [`StaffError::EmailTaken`] when the person can sign in, or the database's.
pub fn invite(
    connection: &mut Connection,
    email: &Email,
    role: Role,
    token: &TokenHash,
    origin: &Origin,
    now: Timestamp,
) -> Result<Staff, StaffError> {
    let before = account::find_by_email(connection, email)?;
    let staff = match &before {
        Some(staff) if staff.is_active() => return Err(StaffError::EmailTaken(email.to_string())),
        Some(staff) => {
            diesel::update(table::table.find(staff.id.0)).set(table::role.eq(role.as_str())).execute(connection)?;
            Staff { role, ..staff.clone() }
        }
        None => add(connection, email, role, now)?,
    };
    invitation::make(connection, staff.id, token, now)?;
    let facts = (before.map(|before| before.facts()), Some(staff.facts()));
    staff.record(connection, origin, "staff.invite", facts, now)?;
    Ok(staff)
}

/// Makes an account that nobody can sign in to yet. Call it in a write transaction.
pub(super) fn add(connection: &mut Connection, email: &Email, role: Role, now: Timestamp) -> Result<Staff, StaffError> {
    let newest: Option<i64> = table::table.select(diesel::dsl::max(table::id)).first(connection)?;
    let id = StaffId(newest.unwrap_or(0) + 1);
    let staff = Staff {
        id,
        email: email.to_string(),
        role,
        language: account::Language::default(),
        theme: account::Theme::default(),
        is_accepted: false,
        has_totp: false,
        disabled_at: None,
        created_at: now,
    };
    diesel::insert_into(table::table)
        .values((
            table::id.eq(id.0),
            table::email.eq(email.as_str()),
            table::role.eq(role.as_str()),
            table::language.eq(staff.language.as_str()),
            table::theme.eq(staff.theme.as_str()),
            table::created_at.eq(now.0),
        ))
        .execute(connection)?;
    Ok(staff)
}

/// Gives a person another role, which counts from their next click on. Call it in a write transaction.
///
/// # Errors
/// [`StaffError::LastOwner`], [`StaffError::Unknown`] or the database's.
pub fn change_role(
    connection: &mut Connection,
    id: StaffId,
    role: Role,
    origin: &Origin,
    now: Timestamp,
) -> Result<Staff, StaffError> {
    let before = account::known(connection, id)?.staff;
    if role != Role::Owner {
        keep_an_owner(connection, &before)?;
    }
    diesel::update(table::table.find(id.0)).set(table::role.eq(role.as_str())).execute(connection)?;
    let staff = Staff { role, ..before.clone() };
    staff.record(connection, origin, "staff.role", (Some(before.facts()), Some(staff.facts())), now)?;
    Ok(staff)
}

/// Lets a person sign in no more, ends their sessions and withdraws their invitation; one who is disabled stays so since then. Call it in a
/// write transaction.
///
/// # Errors
/// [`StaffError::LastOwner`], [`StaffError::Unknown`] or the database's.
pub fn disable(connection: &mut Connection, id: StaffId, origin: &Origin, now: Timestamp) -> Result<Staff, StaffError> {
    let before = account::known(connection, id)?.staff;
    keep_an_owner(connection, &before)?;
    let disabled_at = before.disabled_at.unwrap_or(now);
    diesel::update(table::table.find(id.0)).set(table::disabled_at.eq(disabled_at.0)).execute(connection)?;
    session::end_others(connection, id, None)?;
    invitation::withdraw(connection, id)?;
    let staff = Staff { disabled_at: Some(disabled_at), ..before.clone() };
    staff.record(connection, origin, "staff.disable", (Some(before.facts()), Some(staff.facts())), now)?;
    Ok(staff)
}

/// Refuses what would leave no owner who can sign in. Writes of this kind go one at a time, so two owners cannot remove each other.
fn keep_an_owner(connection: &mut Connection, leaving: &Staff) -> Result<(), StaffError> {
    if leaving.role != Role::Owner || !leaving.is_active() {
        return Ok(());
    }
    let others: i64 = table::table
        .filter(table::role.eq(Role::Owner.as_str()))
        .filter(table::password.is_not_null())
        .filter(table::disabled_at.is_null())
        .filter(table::id.ne(leaving.id.0))
        .count()
        .get_result(connection)?;
    if others == 0 { Err(StaffError::LastOwner) } else { Ok(()) }
}
