//! What an installation is made of beside its rows: the currency, the master secret and its check value, the key of the Secret Keys' tags.

use secrecy::ExposeSecret;

use crate::db::{Connection, DbError};
use crate::facts::{self, CURRENCY, SECRET_CHECK, TAG_KEY};
use crate::seal::{SealContext, SealError, Sealer};
use crate::secret_key::TagKey;

const CHECK_TEXT: &[u8] = b"xiaoyi";

/// Why this program cannot work with this database.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The database was made with another currency.
    #[error("XIAOYI_CURRENCY is {wanted}, but this database counts in {stored}; amounts cannot change their currency")]
    OtherCurrency {
        /// The setting.
        wanted: String,
        /// The database's.
        stored: String,
    },
    /// The secret does not open what is sealed in this database.
    #[error("XIAOYI_SECRET_KEY does not open this database: it was sealed with another secret")]
    WrongSecret,
    /// The database was never prepared.
    #[error("this database was never prepared: run `xiaoyi serve` or `xiaoyi migrate` once")]
    NotPrepared,
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for InstallationError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

fn context(name: &str) -> SealContext<'_> {
    SealContext { table: "facts", row: name, host: "" }
}

/// Writes what is missing (at the first start everything) and checks what is there. Call it in a write transaction.
///
/// # Errors
/// [`InstallationError::OtherCurrency`], [`InstallationError::WrongSecret`], or the database's.
pub fn prepare(connection: &mut Connection, sealer: &Sealer, currency: &str) -> Result<(), InstallationError> {
    if facts::read(connection, SECRET_CHECK)?.is_none() {
        facts::write(connection, SECRET_CHECK, &sealer.seal(CHECK_TEXT, &context(SECRET_CHECK))?)?;
    }
    if facts::read(connection, CURRENCY)?.is_none() {
        facts::write(connection, CURRENCY, currency.as_bytes())?;
    }
    check(connection, sealer, currency)?;
    if facts::read(connection, TAG_KEY)?.is_none() {
        let tag_key = TagKey::generate()?;
        facts::write(connection, TAG_KEY, &sealer.seal(tag_key.expose(), &context(TAG_KEY))?)?;
    }
    Ok(())
}

/// Checks that the settings fit this database.
///
/// # Errors
/// [`InstallationError`].
pub fn check(connection: &mut Connection, sealer: &Sealer, currency: &str) -> Result<(), InstallationError> {
    let sealed = facts::read(connection, SECRET_CHECK)?.ok_or(InstallationError::NotPrepared)?;
    if sealer.open(&sealed, &context(SECRET_CHECK)).is_err() {
        return Err(InstallationError::WrongSecret);
    }
    let stored = facts::read(connection, CURRENCY)?.ok_or(InstallationError::NotPrepared)?;
    if stored != currency.as_bytes() {
        let stored = String::from_utf8_lossy(&stored).into_owned();
        return Err(InstallationError::OtherCurrency { wanted: currency.to_owned(), stored });
    }
    Ok(())
}

/// The key of the Secret Keys' tags.
///
/// # Errors
/// [`InstallationError::NotPrepared`], [`InstallationError::WrongSecret`] or the database's.
pub fn tag_key(connection: &mut Connection, sealer: &Sealer) -> Result<TagKey, InstallationError> {
    let sealed = facts::read(connection, TAG_KEY)?.ok_or(InstallationError::NotPrepared)?;
    let plain = sealer.open(&sealed, &context(TAG_KEY))?;
    TagKey::from_bytes(plain.expose_secret()).ok_or(InstallationError::WrongSecret)
}

/// Seals everything anew under the sealer's first secret, and gives how many values there were. Call it in a write transaction.
///
/// # Errors
/// [`InstallationError`].
pub fn reseal(connection: &mut Connection, sealer: &Sealer) -> Result<usize, InstallationError> {
    let mut count = 0;
    for name in [SECRET_CHECK, TAG_KEY] {
        let sealed = facts::read(connection, name)?.ok_or(InstallationError::NotPrepared)?;
        let plain = sealer.open(&sealed, &context(name))?;
        facts::write(connection, name, &sealer.seal(plain.expose_secret(), &context(name))?)?;
        count += 1;
    }
    Ok(count)
}
