//! Rotating a key: a new key with its policy, beside which it works on for a while.

use diesel::prelude::*;

use super::{Key, KeyError, KeyState, NewSecret, issue, known};
use crate::clock::Timestamp;
use crate::db::Connection;
use crate::db::schema::keys;
use crate::secret_key::KeyId;

/// Issues a new key with the policy of `id`, which itself works until `grace_until` (or until it would have ended anyway, if that is
/// sooner). Gives the new key and when the old one ends. Call it in a write transaction.
///
/// # Errors
/// [`KeyError::Unknown`], [`KeyError::Ended`] or the database's.
pub fn rotate(
    connection: &mut Connection,
    id: &str,
    grace_until: Timestamp,
    secret: &NewSecret,
    now: Timestamp,
) -> Result<(Key, Timestamp), KeyError> {
    let old = working(connection, id, now)?;
    // Beside the policy, not in it: a key in its grace hands its own expiry on, not the grace.
    let old_ends_at = old.ends_at().map_or(grace_until, |ends_at| ends_at.min(grace_until));
    diesel::update(keys::table.find(id)).set(keys::grace_until.eq(old_ends_at.0)).execute(connection)?;
    let new = issue(connection, old.tenant, old.policy, secret, now)?;
    Ok((new, old_ends_at))
}

/// The same for whoever is signed in with the key `by`. A key gets one successor in this way, and one that has its successor gives none to
/// other keys either: whoever found an old key would else have a lasting one by it for as long as its grace runs. Call it in a write
/// transaction, which decides between two at the same time.
///
/// # Errors
/// [`KeyError::Rotated`], which names the one of the two keys that was rotated, and as for [`rotate`].
pub fn rotate_once(
    connection: &mut Connection,
    id: KeyId,
    by: KeyId,
    grace_until: Timestamp,
    secret: &NewSecret,
    now: Timestamp,
) -> Result<(Key, Timestamp), KeyError> {
    for each in [by, id] {
        let key = working(connection, each.as_str(), now)?;
        if let Some(ends_at) = key.rotated_until() {
            return Err(KeyError::Rotated { id: key.id, ends_at });
        }
    }
    rotate(connection, id.as_str(), grace_until, secret, now)
}

/// The key of this id, unless it is revoked or has expired.
fn working(connection: &mut Connection, id: &str, now: Timestamp) -> Result<Key, KeyError> {
    let key = known(connection, id)?;
    if key.state(now) == KeyState::Active { Ok(key) } else { Err(KeyError::Ended(key.id)) }
}
