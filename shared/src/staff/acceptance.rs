//! Accepting an invitation, in one transaction: of two who do it at the same time, one finds it used.

use std::net::IpAddr;

use diesel::prelude::*;

use super::account::Staff;
use super::email::Email;
use super::error::StaffError;
use super::invitation::{self, Invited};
use super::password::HashedPassword;
use super::reception::origin_of;
use super::role::Role;
use super::{codes, management, session};
use crate::clock::Timestamp;
use crate::db::Connection;
use crate::db::schema::staff as table;
use crate::token::TokenHash;

/// What an acceptance needs.
pub(super) struct Accepting {
    pub(super) invitation: TokenHash,
    pub(super) email: Email,
    pub(super) password: HashedPassword,
    /// Of the session that begins.
    pub(super) session: TokenHash,
    pub(super) address: Option<IpAddr>,
}

/// Uses the invitation up, and begins the account anew: with this password, without codes, and with one session.
pub(super) fn accept(connection: &mut Connection, accepting: Accepting, now: Timestamp) -> Result<Staff, StaffError> {
    let Accepting { invitation, email, password, session, address } = accepting;
    let invited = match invitation::use_up(connection, &invitation, now)?.ok_or(StaffError::Over)? {
        Invited::FirstOwner => management::add(connection, &email, Role::Owner, now)?,
        Invited::Person(staff) => *staff,
    };
    diesel::update(table::table.find(invited.id.0))
        .set((table::password.eq(password.as_str()), table::disabled_at.eq(None::<i64>)))
        .execute(connection)?;
    codes::remove(connection, invited.id)?;
    session::end_others(connection, invited.id, None)?;
    session::begin(connection, invited.id, &session, false, address, now)?;
    let staff = Staff { is_accepted: true, has_totp: false, disabled_at: None, ..invited };
    staff.record(connection, &origin_of(&staff, address), "staff.accept", (None, Some(staff.facts())), now)?;
    Ok(staff)
}
