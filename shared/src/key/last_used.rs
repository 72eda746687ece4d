//! When keys were last used, to the minute. A call pays for a look at a number in memory; what is due is written a little later, many keys
//! at once, and moves no epoch: nobody's calls are decided by it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::db::{Column, Connection, Database, DbError, Statement, Value, sql};
use crate::secret_key::KeyId;

/// A key's use is written down at most this often, in milliseconds.
const EVERY_MS: i64 = 60_000;
/// How often what is due is written, in milliseconds.
pub(crate) const WRITE_MS: u64 = 5_000;
/// The most keys whose use waits to be written; beyond it a use is left out, and the next one a minute later is not.
const MOST_WAITING: usize = 100_000;
/// The most keys of one transaction.
const AT_ONCE: usize = 500;

/// Uses that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    waiting: Mutex<HashMap<KeyId, Timestamp>>,
}

/// When a key was last used, as far as this process knows.
#[derive(Debug)]
pub(crate) struct LastUsed(AtomicI64);

impl LastUsed {
    /// As the database had it.
    pub(crate) fn new(at: Option<Timestamp>) -> Self {
        Self(AtomicI64::new(at.map_or(i64::MIN, |at| at.0)))
    }

    /// Whether a use at `now` is due to be written. Of those who ask at the same time one is told so.
    fn is_due(&self, now: Timestamp) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        now.since(Timestamp(last)) >= EVERY_MS
            && self.0.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Uses {
    /// Notes that `key` is used now.
    pub(crate) fn note(&self, key: KeyId, last_used: &LastUsed, now: Timestamp) {
        if !last_used.is_due(now) {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST_WAITING || waiting.contains_key(&key) {
            waiting.insert(key, now);
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// [`DbError`]; what was not written yet is forgotten, and comes again with the key's next use.
    pub(crate) async fn write(&self, database: &Database) -> Result<(), DbError> {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<(KeyId, Timestamp)> = waiting.into_iter().collect();
        // Those who write the same keys elsewhere meet them in the same order.
        uses.sort_unstable();
        for some in uses.chunks(AT_ONCE) {
            let some = some.to_vec();
            database.write(move |connection| write(connection, &some)).await?;
        }
        Ok(())
    }
}

/// Other processes may have written the same keys less than a minute ago; then these are left as they are.
fn write(connection: &mut Connection, uses: &[(KeyId, Timestamp)]) -> Result<(), DbError> {
    if let Connection::Postgres(_) = connection {
        let keys = Column::Texts(uses.iter().map(|(key, _)| key.as_str()).collect());
        let moments = Column::Ints(uses.iter().map(|(_, at)| at.0).collect());
        let sql = sql!(
            "UPDATE keys SET last_used_at = v.at FROM (SELECT unnest(?::text[]) AS id, unnest(?::bigint[]) AS at) v \
             WHERE keys.id = v.id AND (keys.last_used_at IS NULL OR keys.last_used_at <= v.at - ?)"
        );
        let values = [Value::Column(&keys), Value::Column(&moments), Value::Int(EVERY_MS)];
        Statement::new(sql, &values).execute(connection)?;
        return Ok(());
    }
    for (key, at) in uses {
        let sql = sql!("UPDATE keys SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at <= ?)");
        let values = [Value::Int(at.0), Value::Text(key.as_str()), Value::Int(at.plus_ms(-EVERY_MS).0)];
        Statement::new(sql, &values).execute(connection)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> KeyId {
        format!("{number:012}").parse().unwrap()
    }

    #[test]
    fn a_use_is_due_once_a_minute() {
        let (uses, last_used) = (Uses::default(), LastUsed::new(None));
        let waiting = || std::mem::take(&mut *uses.waiting.lock().unwrap());
        for (now, is_due) in [(0, true), (1, false), (59_999, false), (60_000, true), (60_000, false), (180_000, true)]
        {
            uses.note(key(1), &last_used, Timestamp(now));
            assert_eq!(waiting().get(&key(1)), is_due.then_some(&Timestamp(now)), "at {now}");
        }
        let just_read = LastUsed::new(Some(Timestamp(150_000)));
        uses.note(key(1), &just_read, Timestamp(200_000));
        assert!(waiting().is_empty(), "another process has written it");
    }

    #[test]
    fn no_more_waits_than_the_bound() {
        let uses = Uses::default();
        for number in 0..MOST_WAITING + 10 {
            uses.note(key(number), &LastUsed::new(None), Timestamp(0));
        }
        uses.note(key(1), &LastUsed::new(None), Timestamp(5));
        let waiting = uses.waiting.lock().unwrap();
        assert_eq!((waiting.len(), waiting[&key(1)]), (MOST_WAITING, Timestamp(5)));
    }
}
