//! Why something about people's accounts was not done.

use super::email::InvalidEmail;
use super::password::{HashingFailed, WeakPassword};
use crate::db::DbError;
use crate::seal::SealError;
use crate::throttle::TooMany;

/// Why something about people's accounts was not done. None of them holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// A text is no e-mail address.
    #[error(transparent)]
    BadEmail(#[from] InvalidEmail),
    /// Somebody uses this address already.
    #[error("{0} has an account already")]
    EmailTaken(String),
    /// There is no such account.
    #[error("nobody here is known as {0}: see `xiaoyi staff list`")]
    Unknown(String),
    /// Nobody would be left who can invite others.
    #[error("this is the only owner who can sign in: make somebody else an owner first")]
    LastOwner,
    /// The password is too easy to find.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// Address and password do not fit, or the account cannot sign in. It is not said which.
    #[error("the e-mail address or the password is wrong")]
    Refused,
    /// The session in which it was asked for has been ended meanwhile.
    #[error("this session has ended")]
    SignedOut,
    /// The password of somebody who is signed in is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// The code is wrong, or was used before.
    #[error("the code is wrong, or it was used before")]
    WrongCode,
    /// The invitation, or the time to enter a code, is over.
    #[error("this has expired or was used")]
    Over,
    /// Codes are asked for already.
    #[error("codes are on already: turn them off first")]
    TotpIsOn,
    /// It was tried too often.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A password could not be hashed.
    #[error(transparent)]
    Hashing(#[from] HashingFailed),
    /// The secret of the codes could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for StaffError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
