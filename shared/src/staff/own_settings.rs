//! What people change about their own account. Whatever guards it (password, codes) ends their other sessions when it changes.

use std::sync::Arc;

use diesel::prelude::*;
use serde_json::{Value, json};

use super::account::{self, Account, Staff};
use super::error::StaffError;
use super::password::{HashedPassword, NewPassword, PlainPassword};
use super::reception::Reception;
use super::recovery::{self, RecoveryCode};
use super::totp::{TotpSecret, TotpSetup};
use super::{codes, session};
use crate::audit_log::Origin;
use crate::clock::Timestamp;
use crate::db::Connection;
use crate::db::schema::staff as table;
use crate::id::StaffId;
use crate::token::TokenHash;

/// Somebody who is signed in and changes their own account.
#[derive(Debug, Clone)]
pub struct Oneself {
    /// Who.
    pub id: StaffId,
    /// The session that goes on; `None` ends all.
    session: Option<TokenHash>,
    /// For the audit log.
    origin: Origin,
}

impl Oneself {
    /// The person `staff`, in the session of this token.
    pub fn new(staff: &Staff, session: &str, origin: Origin) -> Self {
        Self { id: staff.id, session: session::hash_of(session), origin }
    }
}

impl Reception {
    /// Sets another password, and ends all other sessions of the person. A secret for codes that is not confirmed yet goes with the old
    /// password: whoever knew that may have seen it.
    ///
    /// # Errors
    /// [`StaffError::WrongPassword`] when `old` is not the present one, [`StaffError::WeakPassword`], [`StaffError::TooMany`], or what
    /// failed.
    pub async fn change_password(
        &self,
        oneself: Oneself,
        old: PlainPassword,
        new: PlainPassword,
    ) -> Result<(), StaffError> {
        let (staff, verified) = self.verified(oneself.id, old).await?;
        let new = self.passwords.hash(NewPassword::choose(new, &staff.email)?).await?;
        let now = self.clock.now();
        self.database
            .write(move |connection| {
                let account = unchanged(connection, oneself.id, &verified)?;
                let row = table::table.find(oneself.id.0);
                diesel::update(row).set(table::password.eq(new.as_str())).execute(connection)?;
                if !account.staff.has_totp {
                    codes::remove(connection, oneself.id)?;
                }
                secured_anew(connection, &account.staff, &oneself, "staff.password", (None, None), now)
            })
            .await
    }

    /// The secret for an authenticator: the same one until its first code was entered.
    ///
    /// # Errors
    /// [`StaffError::TotpIsOn`], or what failed.
    pub async fn set_totp_up(&self, id: StaffId) -> Result<TotpSetup, StaffError> {
        let sealer = Arc::clone(&self.sealer);
        self.database
            .write(move |connection| {
                let account = account::known(connection, id)?;
                if account.staff.has_totp {
                    return Err(StaffError::TotpIsOn);
                }
                let secret = match codes::open(&sealer, &account)? {
                    Some(secret) => secret,
                    None => {
                        let secret = TotpSecret::generate()?;
                        codes::keep(connection, &sealer, id, &secret)?;
                        secret
                    }
                };
                Ok(TotpSetup::of(&secret, &account.staff.email))
            })
            .await
    }

    /// Asks for codes from now on, after a first one, and ends all other sessions of the person. Gives the recovery codes, which are shown
    /// this one time.
    ///
    /// # Errors
    /// [`StaffError::WrongPassword`], [`StaffError::WrongCode`], [`StaffError::TotpIsOn`], [`StaffError::TooMany`], or what failed.
    pub async fn turn_totp_on(
        &self,
        oneself: Oneself,
        password: PlainPassword,
        code: &str,
    ) -> Result<Vec<RecoveryCode>, StaffError> {
        let (_, verified) = self.verified(oneself.id, password).await?;
        self.throttles.attempt_code(oneself.id)?;
        let recovery_codes = recovery::generate()?;
        let (sealer, code, now) = (Arc::clone(&self.sealer), code.to_owned(), self.clock.now());
        let (staff, recovery_codes) = self
            .database
            .write(move |connection| {
                let account = unchanged(connection, oneself.id, &verified)?;
                if account.staff.has_totp {
                    return Err(StaffError::TotpIsOn);
                }
                if !codes::take_step(connection, &sealer, &account, &code, now)? {
                    return Err(StaffError::WrongCode);
                }
                let row = table::table.find(oneself.id.0);
                diesel::update(row).set(table::totp_on_at.eq(now.0)).execute(connection)?;
                recovery::replace(connection, oneself.id, &recovery_codes)?;
                let change = (Some(json!({"totp": false})), Some(json!({"totp": true})));
                secured_anew(connection, &account.staff, &oneself, "staff.totp_on", change, now)?;
                Ok((account.staff, recovery_codes))
            })
            .await?;
        self.throttles.forget_codes(&staff);
        Ok(recovery_codes)
    }

    /// Asks for codes no more, and ends all other sessions of the person.
    ///
    /// # Errors
    /// [`StaffError::WrongPassword`], [`StaffError::TooMany`], or what failed.
    pub async fn turn_totp_off(&self, oneself: Oneself, password: PlainPassword) -> Result<(), StaffError> {
        let (_, verified) = self.verified(oneself.id, password).await?;
        let now = self.clock.now();
        self.database
            .write(move |connection| {
                let account = unchanged(connection, oneself.id, &verified)?;
                codes::remove(connection, oneself.id)?;
                let change = (Some(json!({"totp": account.staff.has_totp})), Some(json!({"totp": false})));
                secured_anew(connection, &account.staff, &oneself, "staff.totp_off", change, now)
            })
            .await
    }

    /// The person and the hash that `password` fits, if it is theirs.
    async fn verified(&self, id: StaffId, password: PlainPassword) -> Result<(Staff, HashedPassword), StaffError> {
        self.throttles.attempt_own_password(id)?;
        let account = self.database.read(move |connection| account::with_secrets(connection, id)).await?;
        let account = account.ok_or_else(|| StaffError::Unknown(id.to_string()))?;
        let is_right = self.passwords.verify(password, account.password.clone()).await?;
        let hash = account.password.filter(|_| is_right).ok_or(StaffError::WrongPassword)?;
        self.throttles.forget_own_passwords(id);
        Ok((account.staff, hash))
    }
}

/// The account, if its password is still the one that was verified and the person may still sign in.
pub(super) fn unchanged(
    connection: &mut Connection,
    id: StaffId,
    verified: &HashedPassword,
) -> Result<Account, StaffError> {
    let account = account::known(connection, id)?;
    if account.password.as_ref() != Some(verified) || !account.staff.is_active() {
        return Err(StaffError::WrongPassword);
    }
    Ok(account)
}

/// Ends the person's other sessions and writes the change down, unless the session at hand was ended while the form was on its way.
fn secured_anew(
    connection: &mut Connection,
    staff: &Staff,
    oneself: &Oneself,
    action: &'static str,
    change: (Option<Value>, Option<Value>),
    now: Timestamp,
) -> Result<(), StaffError> {
    if let Some(own) = &oneself.session
        && !session::is_there(connection, own)?
    {
        return Err(StaffError::SignedOut);
    }
    session::end_others(connection, oneself.id, oneself.session.as_ref())?;
    Ok(staff.record(connection, &oneself.origin, action, change, now)?)
}
