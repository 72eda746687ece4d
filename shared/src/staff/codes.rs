//! The second step as it is kept: the sealed secret of an account, the step that was used last, and recovery codes.

use diesel::prelude::*;
use secrecy::ExposeSecret;

use super::account::{self, Account};
use super::error::StaffError;
use super::recovery;
use super::totp::TotpSecret;
use crate::clock::Timestamp;
use crate::db::schema::staff as table;
use crate::db::{Connection, DbError};
use crate::id::StaffId;
use crate::seal::{SealContext, Sealer};

/// What a person has shown beside the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Code,
    RecoveryCode,
}

impl Proof {
    /// The words of the audit log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "password and code",
            Self::RecoveryCode => "password and recovery code",
        }
    }
}

/// Takes a code of the authenticator or a recovery code, which is used up by it. Call it in a write transaction.
pub(super) fn prove(
    connection: &mut Connection,
    sealer: &Sealer,
    account: &Account,
    typed: &str,
    now: Timestamp,
) -> Result<Option<Proof>, StaffError> {
    let id = account.staff.id;
    if !account.staff.has_totp {
        return Ok(None);
    }
    if take_step(connection, sealer, account, typed, now)? {
        return Ok(Some(Proof::Code));
    }
    Ok(recovery::use_up(connection, id, typed)?.then_some(Proof::RecoveryCode))
}

/// Uses the step of a code up: whether it was right and not used before. It counts also where codes are not on yet. Call it in a write
/// transaction.
pub(super) fn take_step(
    connection: &mut Connection,
    sealer: &Sealer,
    account: &Account,
    typed: &str,
    now: Timestamp,
) -> Result<bool, StaffError> {
    let Some(secret) = open(sealer, account)? else { return Ok(false) };
    let typed: String = typed.chars().filter(|character| !matches!(character, ' ' | '-')).collect();
    let Some(step) = secret.step_of(typed.trim(), account.totp_step, now) else { return Ok(false) };
    let unused = table::totp_step.is_null().or(table::totp_step.lt(step));
    let row = table::table.find(account.staff.id.0).filter(unused);
    Ok(diesel::update(row).set(table::totp_step.eq(step)).execute(connection)? == 1)
}

/// The secret of an account, whether it is confirmed or not.
pub(super) fn open(sealer: &Sealer, account: &Account) -> Result<Option<TotpSecret>, StaffError> {
    let Some(sealed) = &account.totp_secret else { return Ok(None) };
    let row = account.staff.id.to_string();
    let plain = sealer.open(sealed, &context(&row))?;
    let secret = TotpSecret::from_bytes(plain.expose_secret());
    Ok(Some(secret.ok_or_else(|| DbError::Corrupt(format!("totp_secret of staff {row}")))?))
}

/// Keeps a new secret, which counts once it is confirmed. Call it in a write transaction.
pub(super) fn keep(
    connection: &mut Connection,
    sealer: &Sealer,
    id: StaffId,
    secret: &TotpSecret,
) -> Result<(), StaffError> {
    let sealed = sealer.seal(secret.expose(), &context(&id.to_string()))?;
    diesel::update(table::table.find(id.0))
        .set((table::totp_secret.eq(sealed), table::totp_step.eq(None::<i64>)))
        .execute(connection)?;
    Ok(())
}

/// Removes the secret and the recovery codes of a person. Call it in a write transaction.
pub(super) fn remove(connection: &mut Connection, id: StaffId) -> Result<(), StaffError> {
    diesel::update(table::table.find(id.0))
        .set((
            table::totp_secret.eq(None::<Vec<u8>>),
            table::totp_on_at.eq(None::<i64>),
            table::totp_step.eq(None::<i64>),
        ))
        .execute(connection)?;
    Ok(recovery::remove(connection, id)?)
}

/// Seals the secrets of all accounts anew under the sealer's first secret, and gives how many there were. Call it in a write transaction.
///
/// # Errors
/// [`StaffError::Seal`] or the database's.
pub fn reseal(connection: &mut Connection, sealer: &Sealer) -> Result<usize, StaffError> {
    let with_codes = table::table.filter(table::totp_secret.is_not_null());
    let ids: Vec<i64> = with_codes.order(table::id).select(table::id).load(connection)?;
    for id in &ids {
        let account = account::known(connection, StaffId(*id))?;
        let Some(secret) = open(sealer, &account)? else { continue };
        let sealed = sealer.seal(secret.expose(), &context(&id.to_string()))?;
        diesel::update(table::table.find(*id)).set(table::totp_secret.eq(sealed)).execute(connection)?;
    }
    Ok(ids.len())
}

/// The place of a person's secret. It is never sent anywhere.
fn context(row: &str) -> SealContext<'_> {
    SealContext { table: "staff", row, host: "" }
}
