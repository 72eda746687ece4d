//! Batches of codes: making, revoking, finding.

use std::fmt;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Code, LONGEST_NAME, MOST_CODES, VoucherError, list};
use crate::clock::Timestamp;
use crate::db::schema::code_batches::dsl;
use crate::db::{Column, Connection, DbError, Statement, Value, sql};
use crate::money::Amount;
use crate::typed_text::is_line;

/// The most characters of the name of who does something.
const LONGEST_AUTHOR: usize = 320;

/// A batch of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub i64);

impl fmt::Display for BatchId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A batch as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// A name for people, which no other batch has.
    pub name: String,
    /// What each code is worth; above zero.
    pub value: Amount,
    /// From when on its codes are no longer redeemed.
    pub expires_at: Timestamp,
    /// Who makes it.
    pub created_by: String,
}

impl NewBatch {
    /// Whether it can be made with so many codes, before anything is written.
    ///
    /// # Errors
    /// [`VoucherError`], all but what only the database knows.
    pub fn check(&self, count: usize, now: Timestamp) -> Result<(), VoucherError> {
        if !is_line(&self.name, 1..=LONGEST_NAME) || self.name.trim() != self.name {
            return Err(VoucherError::BadName);
        }
        if self.value <= Amount::ZERO {
            return Err(VoucherError::BadValue(self.value));
        }
        if !(1..=MOST_CODES).contains(&count) {
            return Err(VoucherError::BadCount(count));
        }
        if self.expires_at <= now {
            return Err(VoucherError::BadExpiry(self.expires_at));
        }
        check_author(&self.created_by)
    }
}

fn check_author(name: &str) -> Result<(), VoucherError> {
    if is_line(name, 1..=LONGEST_AUTHOR) { Ok(()) } else { Err(VoucherError::BadAuthor) }
}

/// A batch as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Its name.
    pub name: String,
    /// What each code is worth.
    pub value: Amount,
    /// How many codes it has.
    pub count: i64,
    /// How many of them are redeemed.
    pub redeemed: i64,
    /// From when on its codes are no longer redeemed.
    pub expires_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Since when no more of its codes are redeemed, and who saw to that.
    pub revoked: Option<(Timestamp, String)>,
}

/// Keeps a new batch with these codes, of which only the hashes are written down. Call it in a write transaction.
///
/// # Errors
/// [`VoucherError`].
pub fn create(
    connection: &mut Connection,
    new: &NewBatch,
    codes: &[Code],
    now: Timestamp,
) -> Result<Batch, VoucherError> {
    new.check(codes.len(), now)?;
    let taken: i64 = dsl::code_batches.filter(dsl::name.eq(&new.name)).count().get_result(connection)?;
    if taken > 0 {
        return Err(VoucherError::NameTaken(new.name.clone()));
    }
    let newest: Option<i64> = dsl::code_batches.select(diesel::dsl::max(dsl::id)).first(connection)?;
    let id = BatchId(newest.unwrap_or(0) + 1);
    let count = i64::try_from(codes.len()).unwrap_or(i64::MAX);
    diesel::insert_into(dsl::code_batches)
        .values((
            dsl::id.eq(id.0),
            dsl::name.eq(&new.name),
            dsl::value.eq(new.value.nanos()),
            dsl::count.eq(count),
            dsl::expires_at.eq(new.expires_at.0),
            dsl::created_by.eq(&new.created_by),
            dsl::created_at.eq(now.0),
        ))
        .execute(connection)?;
    write_codes(connection, id, codes)?;
    Ok(Batch {
        id,
        name: new.name.clone(),
        value: new.value,
        count,
        redeemed: 0,
        expires_at: new.expires_at,
        created_by: new.created_by.clone(),
        created_at: now,
        revoked: None,
    })
}

/// On PostgreSQL in one statement: a round trip for each of 10,000 codes would keep every other write waiting.
fn write_codes(connection: &mut Connection, batch: BatchId, codes: &[Code]) -> Result<(), DbError> {
    let batch = Value::Int(batch.0);
    let kept: Vec<(i64, [u8; 32], String)> =
        (1..).zip(codes).map(|(number, code)| (number, code.hash(), code.last_four())).collect();
    if let Connection::Postgres(_) = connection {
        let numbers = Column::Ints(kept.iter().map(|(number, ..)| *number).collect());
        let hashes = Column::Blobs(kept.iter().map(|(_, hash, _)| hash.as_slice()).collect());
        let last_fours = Column::Texts(kept.iter().map(|(.., last_four)| last_four.as_str()).collect());
        let sql = sql!(
            "INSERT INTO codes (batch, number, hash, last_four) \
             SELECT ?::bigint, unnest(?::bigint[]), unnest(?::bytea[]), unnest(?::text[])"
        );
        let values = [batch, Value::Column(&numbers), Value::Column(&hashes), Value::Column(&last_fours)];
        Statement::new(sql, &values).touch(kept.len(), connection)?;
        return Ok(());
    }
    for (number, hash, last_four) in &kept {
        let sql = sql!("INSERT INTO codes (batch, number, hash, last_four) VALUES (?, ?, ?, ?)");
        let values = [batch, Value::Int(*number), Value::Blob(hash), Value::Text(last_four)];
        Statement::new(sql, &values).touch_one(connection)?;
    }
    Ok(())
}

/// Lets no more codes of a batch be redeemed; one that is revoked stays revoked since the first time. Call it in a write transaction.
///
/// # Errors
/// [`VoucherError::Unknown`], [`VoucherError::BadAuthor`], or the database's.
pub fn revoke(connection: &mut Connection, id: BatchId, by: &str, now: Timestamp) -> Result<Batch, VoucherError> {
    check_author(by)?;
    let found = batch(connection, id)?.ok_or(VoucherError::Unknown(id))?;
    if found.revoked.is_some() {
        return Ok(found);
    }
    diesel::update(dsl::code_batches.find(id.0))
        .set((dsl::revoked_at.eq(now.0), dsl::revoked_by.eq(by)))
        .execute(connection)?;
    Ok(Batch { revoked: Some((now, by.to_owned())), ..found })
}

/// The batch of this id.
///
/// # Errors
/// [`DbError`].
pub fn batch(connection: &mut Connection, id: BatchId) -> Result<Option<Batch>, DbError> {
    list::batch(connection, id)
}
