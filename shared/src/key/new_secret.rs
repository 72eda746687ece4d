//! The secret of a new key. Command line, panel and console make it in this one way.

use crate::db::Connection;
use crate::installation::{self, InstallationError};
use crate::seal::Sealer;
use crate::secret_key::{HashError, HashedSecretKey, KeyId, PlainSecretKey, hash};

/// The parts of a new secret that are kept.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// The id inside it.
    pub id: KeyId,
    /// Its hash.
    pub hash: HashedSecretKey,
    /// Its last four characters.
    pub last_four: String,
}

/// Why there is no new secret.
#[derive(Debug, thiserror::Error)]
pub enum NewSecretError {
    /// It could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The key of the tags cannot be read, or there are no random bytes.
    #[error(transparent)]
    Installation(#[from] InstallationError),
}

/// Makes the secret of a new key of this id: the secret itself, to be shown once, and what of it is kept. It writes nothing.
///
/// # Errors
/// [`NewSecretError`].
pub fn new_secret(
    connection: &mut Connection,
    sealer: &Sealer,
    id: KeyId,
) -> Result<(PlainSecretKey, NewSecret), NewSecretError> {
    let tag_key = installation::tag_key(connection, sealer)?;
    let plain = PlainSecretKey::generate_as(id, &tag_key).map_err(InstallationError::from)?;
    let last_four = plain.expose().chars().skip(plain.expose().len().saturating_sub(4)).collect();
    let hash = hash(&plain)?;
    Ok((plain, NewSecret { id, hash, last_four }))
}
