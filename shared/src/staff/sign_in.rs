//! Signing in: the password first, then a code where the person has set that up.
//!
//! Whether there is an account, whether it is disabled, whether its password is this one: for all of it there is one answer, after the same
//! work. What lies between password and code is a half-open session, which opens nothing.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::account::{self, Account, Staff};
use super::email::Email;
use super::error::StaffError;
use super::password::{HashedPassword, PlainPassword};
use super::reception::{Reception, origin_of};
use super::{codes, session};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError};
use crate::id::StaffId;
use crate::seal::Sealer;
use crate::token::{Token, TokenHash};

/// The longest address that is looked up or counted; longer ones are nobody's.
const LONGEST_TYPED: usize = 254;

/// What the right password opens.
#[derive(Debug)]
pub enum Entrance {
    /// A session.
    Open(Token),
    /// A half-open session, for [`Reception::enter_code`]: a code is to follow within 5 minutes.
    NeedsCode(Token),
}

impl Reception {
    /// Signs a person in by e-mail address and password.
    ///
    /// # Errors
    /// [`StaffError::Refused`], [`StaffError::TooMany`], or what failed.
    pub async fn sign_in(
        &self,
        email: &str,
        password: PlainPassword,
        address: Option<IpAddr>,
    ) -> Result<Entrance, StaffError> {
        self.throttles.attempt_from(address)?;
        let typed: String = email.trim().to_lowercase().chars().take(LONGEST_TYPED).collect();
        self.throttles.attempt_password(&typed, address)?;
        let account = match email.parse::<Email>() {
            Ok(email) => {
                self.database.read(move |connection| account::with_secrets_by_email(connection, &email)).await?
            }
            Err(_) => None,
        };
        let hash = account.as_ref().and_then(|account| account.password.clone());
        let is_right = self.passwords.verify(password, hash.clone()).await?;
        let (Some(account), Some(hash), true) = (account, hash, is_right) else {
            tracing::warn!(?address, "somebody could not sign in: address or password were wrong");
            return Err(StaffError::Refused);
        };
        let (token, now) = (Token::generate()?, self.clock.now());
        let session = token.hash();
        let id = account.staff.id;
        let staff = self.database.write(move |connection| enter(connection, id, &hash, &session, address, now)).await?;
        self.throttles.forget_passwords(&staff, address);
        if staff.has_totp {
            return Ok(Entrance::NeedsCode(token));
        }
        Ok(Entrance::Open(token))
    }

    /// The second step: a code of the authenticator, or a recovery code. Gives the session's token; the half-open one is over.
    ///
    /// # Errors
    /// [`StaffError::WrongCode`] (five end the half-open session), [`StaffError::Over`] when it is over, [`StaffError::TooMany`], or what
    /// failed.
    pub async fn enter_code(&self, half_open: &str, code: &str, address: Option<IpAddr>) -> Result<Token, StaffError> {
        self.throttles.attempt_from(address)?;
        let half_open = session::hash_of(half_open).ok_or(StaffError::Over)?;
        let now = self.clock.now();
        let id = self.database.read(move |connection| session::half_open(connection, &half_open, now)).await?;
        self.throttles.attempt_code(id.ok_or(StaffError::Over)?)?;
        let token = Token::generate()?;
        let step = SecondStep { half_open, session: token.hash(), code: code.to_owned(), address };
        let sealer = Arc::clone(&self.sealer);
        // A wrong code is counted, so it is no error of the transaction.
        let outcome = self.database.write(move |connection| step.take(connection, &sealer, now)).await?;
        let staff = outcome.ok_or(StaffError::WrongCode)?;
        self.throttles.forget_codes(&staff);
        Ok(token)
    }

    /// Whether a half-open session waits for a code, so that a page can ask for one.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn waits_for_code(&self, half_open: &str) -> Result<bool, DbError> {
        let Some(hash) = session::hash_of(half_open) else { return Ok(false) };
        let now = self.clock.now();
        let found = self.database.read(move |connection| session::half_open(connection, &hash, now)).await?;
        Ok(found.is_some())
    }
}

/// Begins the session of a person whose password was right a moment ago, and must be so still.
pub(super) fn enter(
    connection: &mut Connection,
    id: StaffId,
    verified: &HashedPassword,
    session: &TokenHash,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Staff, StaffError> {
    let Account { staff, password, .. } = account::known(connection, id)?;
    if !staff.is_active() || password.as_ref() != Some(verified) {
        return Err(StaffError::Refused);
    }
    session::begin(connection, id, session, staff.has_totp, address, now)?;
    if !staff.has_totp {
        record(connection, &staff, "password", address, now)?;
    }
    Ok(staff)
}

struct SecondStep {
    half_open: TokenHash,
    session: TokenHash,
    code: String,
    address: Option<IpAddr>,
}

impl SecondStep {
    /// The person, if the code is right.
    fn take(self, connection: &mut Connection, sealer: &Sealer, now: Timestamp) -> Result<Option<Staff>, StaffError> {
        let id = session::half_open(connection, &self.half_open, now)?.ok_or(StaffError::Over)?;
        let account = account::known(connection, id)?;
        if !account.staff.is_active() {
            return Err(StaffError::Over);
        }
        let Some(proof) = codes::prove(connection, sealer, &account, &self.code, now)? else {
            tracing::warn!(staff = id.0, address = ?self.address, "a code was wrong");
            session::count_wrong_code(connection, &self.half_open)?;
            return Ok(None);
        };
        session::end(connection, &self.half_open)?;
        session::begin(connection, id, &self.session, false, self.address, now)?;
        record(connection, &account.staff, proof.as_str(), self.address, now)?;
        Ok(Some(account.staff))
    }
}

fn record(
    connection: &mut Connection,
    staff: &Staff,
    by: &'static str,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), DbError> {
    let by: Value = json!({"by": by});
    staff.record(connection, &origin_of(staff, address), "staff.sign_in", (None, Some(by)), now)
}
