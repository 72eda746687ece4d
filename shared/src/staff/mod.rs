//! The people who operate the service: their accounts, what they may do, and how they show who they are.
//!
//! An account begins with an invitation, whose acceptance sets its password; there is no other first password. Whoever signs in has a
//! session here, which can be ended from here. Every change is written into the audit log by the function that makes it.

mod acceptance;
mod account;
mod base32;
mod change;
mod codes;
mod email;
mod error;
pub mod invitation;
mod management;
mod own_settings;
mod password;
mod reception;
mod recovery;
mod role;
pub mod session;
mod sign_in;
#[cfg(test)]
mod tests;
mod totp;

pub use account::{Language, Staff, Theme, find, find_by_email, named, set_language, set_theme};
pub use change::{Denied, write_as};
pub use codes::reseal;
pub use email::{Email, InvalidEmail};
pub use error::StaffError;
pub use management::{Listed, change_role, disable, invite, list};
pub use own_settings::Oneself;
pub use password::{HashingFailed, PlainPassword, WeakPassword};
pub use reception::Reception;
pub use recovery::{RecoveryCode, left as recovery_codes_left};
pub use role::{Right, Role};
pub use sign_in::Entrance;
pub use totp::TotpSetup;
