//! Accounts: who a person is, what they may do, and how the panel looks to them.

use std::fmt;
use std::str::FromStr;

use diesel::prelude::*;
use serde_json::{Value, json};

use super::email::Email;
use super::error::StaffError;
use super::password::HashedPassword;
use super::role::{Right, Role};
use crate::audit_log::{self, Actor, Entry, Origin};
use crate::clock::Timestamp;
use crate::db::schema::staff;
use crate::db::{Connection, DbError};
use crate::id::StaffId;

/// A person who operates the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    /// The account's id.
    pub id: StaffId,
    /// What the person is known by: an [`Email`].
    pub email: String,
    /// What the person may do.
    pub role: Role,
    /// The language of the panel.
    pub language: Language,
    /// The colours of the panel.
    pub theme: Theme,
    /// Whether the invitation was accepted, which sets a password.
    pub is_accepted: bool,
    /// Whether a code is asked for beside the password.
    pub has_totp: bool,
    /// Since when the person may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
}

impl Staff {
    /// Whether the person may do something of this kind.
    pub fn may(&self, right: Right) -> bool {
        self.role.may(right)
    }

    /// The person as the audit log names them.
    pub fn actor(&self) -> Actor {
        Actor::Staff { id: self.id, email: self.email.clone() }
    }

    /// Whether the person can sign in.
    pub fn is_active(&self) -> bool {
        self.is_accepted && self.disabled_at.is_none()
    }

    /// What the audit log keeps of the account.
    pub(super) fn facts(&self) -> Value {
        json!({
            "email": self.email,
            "role": self.role,
            "disabled_at": self.disabled_at.map(Timestamp::to_rfc3339),
        })
    }

    /// Writes down that something was done about this account.
    pub(super) fn record(
        &self,
        connection: &mut Connection,
        origin: &Origin,
        action: &'static str,
        (before, after): (Option<Value>, Option<Value>),
        now: Timestamp,
    ) -> Result<(), DbError> {
        let entry = Entry { action, tenant: None, subject: &self.email, before, after };
        audit_log::record(connection, origin, &entry, now)
    }
}

/// The language that a person wants the panel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// What the browser asks for.
    #[default]
    Auto,
    /// English.
    English,
    /// Chinese.
    Chinese,
}

impl Language {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::English, Self::Chinese];

    /// The word that the database keeps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|choice| choice.as_str() == text);
        found.ok_or_else(|| "must be auto, en or zh".to_owned())
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The colours that a person wants the panel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// What the system asks for.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// The word that the database keeps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl FromStr for Theme {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|choice| choice.as_str() == text);
        found.ok_or_else(|| "must be auto, light or dark".to_owned())
    }
}

impl fmt::Display for Theme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The account of this id.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, id: StaffId) -> Result<Option<Staff>, DbError> {
    Ok(with_secrets(connection, id)?.map(|account| account.staff))
}

/// The account of this address.
///
/// # Errors
/// [`DbError`].
pub fn find_by_email(connection: &mut Connection, email: &Email) -> Result<Option<Staff>, DbError> {
    Ok(with_secrets_by_email(connection, email)?.map(|account| account.staff))
}

/// The account of this address, or the error that says how to find the right one.
///
/// # Errors
/// [`StaffError::Unknown`] or the database's.
pub fn named(connection: &mut Connection, email: &Email) -> Result<Staff, StaffError> {
    find_by_email(connection, email)?.ok_or_else(|| StaffError::Unknown(email.to_string()))
}

/// Sets the language of a person's panel. Call it in a write transaction.
///
/// # Errors
/// [`StaffError::Unknown`] or the database's.
pub fn set_language(
    connection: &mut Connection,
    id: StaffId,
    language: Language,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), StaffError> {
    let staff = known(connection, id)?.staff;
    diesel::update(staff::table.find(id.0)).set(staff::language.eq(language.as_str())).execute(connection)?;
    let change = (json!({"language": staff.language.as_str()}), json!({"language": language.as_str()}));
    Ok(staff.record(connection, origin, "staff.language", (Some(change.0), Some(change.1)), now)?)
}

/// Sets the colours of a person's panel. Call it in a write transaction.
///
/// # Errors
/// [`StaffError::Unknown`] or the database's.
pub fn set_theme(
    connection: &mut Connection,
    id: StaffId,
    theme: Theme,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), StaffError> {
    let staff = known(connection, id)?.staff;
    diesel::update(staff::table.find(id.0)).set(staff::theme.eq(theme.as_str())).execute(connection)?;
    let change = (json!({"theme": staff.theme.as_str()}), json!({"theme": theme.as_str()}));
    Ok(staff.record(connection, origin, "staff.theme", (Some(change.0), Some(change.1)), now)?)
}

/// An account with what its person must know or have.
pub(super) struct Account {
    pub(super) staff: Staff,
    pub(super) password: Option<HashedPassword>,
    /// Sealed. It counts where `staff.has_totp`; before that it waits to be confirmed.
    pub(super) totp_secret: Option<Vec<u8>>,
    pub(super) totp_step: Option<i64>,
}

pub(super) fn with_secrets(connection: &mut Connection, id: StaffId) -> Result<Option<Account>, DbError> {
    let row: Option<Row> = staff::table.find(id.0).select(Row::as_select()).first(connection).optional()?;
    row.map(Row::into_account).transpose()
}

pub(super) fn with_secrets_by_email(connection: &mut Connection, email: &Email) -> Result<Option<Account>, DbError> {
    let row: Option<Row> =
        staff::table.filter(staff::email.eq(email.as_str())).select(Row::as_select()).first(connection).optional()?;
    row.map(Row::into_account).transpose()
}

/// An account that must be there.
pub(super) fn known(connection: &mut Connection, id: StaffId) -> Result<Account, StaffError> {
    with_secrets(connection, id)?.ok_or_else(|| StaffError::Unknown(id.to_string()))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = staff)]
pub(super) struct Row {
    id: i64,
    email: String,
    role: String,
    password: Option<String>,
    language: String,
    theme: String,
    totp_secret: Option<Vec<u8>>,
    totp_on_at: Option<i64>,
    totp_step: Option<i64>,
    disabled_at: Option<i64>,
    created_at: i64,
}

impl Row {
    pub(super) fn into_account(self) -> Result<Account, DbError> {
        let id = self.id;
        let corrupt = |what: &str| DbError::Corrupt(format!("{what} of staff {id}"));
        let staff = Staff {
            id: StaffId(id),
            role: self.role.parse().map_err(|_| corrupt("role"))?,
            language: self.language.parse().map_err(|_| corrupt("language"))?,
            theme: self.theme.parse().map_err(|_| corrupt("theme"))?,
            email: self.email,
            is_accepted: self.password.is_some(),
            has_totp: self.totp_on_at.is_some(),
            disabled_at: self.disabled_at.map(Timestamp),
            created_at: Timestamp(self.created_at),
        };
        Ok(Account {
            staff,
            password: self.password.map(HashedPassword::from_stored),
            totp_secret: self.totp_secret,
            totp_step: self.totp_step,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_leads_back_to_its_choice() {
        for choice in Language::ALL {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
        for choice in Theme::ALL {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
        assert!("EN".parse::<Language>().is_err());
        assert!("".parse::<Theme>().is_err());
    }
}
