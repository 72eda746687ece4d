//! Top-ups as people who operate the service make them: what one may be, how it is booked and taken back, and the list of all. The panel and
//! the command line share this way.

mod list;

use diesel::prelude::*;

pub use list::{TopUpExport, TopUpFilter, TopUpRecord, TopUpReversed, TopUpSums, find, page, referenced, sums};

use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::{TenantId, TransferId};
use crate::ledger::{self, LedgerError, Operation, Outcome, TopUp, TopUpDecision, TopUpReversal, TopUpSource};
use crate::money::Amount;
use crate::typed_text::is_line;

/// The most characters of a reference.
pub const LONGEST_REFERENCE: usize = 200;
/// The most characters of a note.
pub const LONGEST_NOTE: usize = 1000;
/// The most characters of the reason of a reversal.
pub const LONGEST_REASON: usize = 1000;
/// How the references of redeemed codes begin; no other top-up's may.
pub(crate) const CODE_PREFIX: &str = "code:";

/// Why a top-up was not booked or taken back. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TopUpError {
    /// The amount is zero or below.
    #[error("the amount must be above zero, not {0}; nothing was booked")]
    NotPositive(Amount),
    /// The reference is empty or too long, or has control characters or space around it.
    #[error("a reference has 1 to {LONGEST_REFERENCE} characters, no control characters, and no space around it")]
    BadReference,
    /// The reference is like that of a redeemed code.
    #[error("references that begin with {CODE_PREFIX} are those of redeemed codes; choose another one")]
    ReservedReference,
    /// The note is too long or has control characters.
    #[error("a note has at most {LONGEST_NOTE} characters and no control characters")]
    BadNote,
    /// The reason is empty or too long, or has control characters.
    #[error("a reversal needs a reason, of at most {LONGEST_REASON} characters and without control characters")]
    BadReason,
    /// Another amount than the one that was confirmed would be taken back.
    #[error("{now} would be taken back now, not {confirmed}; nothing was taken back")]
    NotAsConfirmed {
        /// What somebody has seen and confirmed.
        confirmed: Amount,
        /// What it would have been.
        now: Amount,
    },
    /// Another transfer has this id: what it was made for is done already, and this is something else.
    #[error("what this was sent for is booked already as transfer {0}; begin anew for another one")]
    IdTaken(TransferId),
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<DbError> for TopUpError {
    fn from(error: DbError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<diesel::result::Error> for TopUpError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Ledger(error.into())
    }
}

/// A payment as somebody wants it booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// How much; above zero.
    pub amount: Amount,
    /// The payment's own name, unique per tenant: the same again is the same payment.
    pub reference: String,
    /// Words for people.
    pub note: Option<String>,
}

impl Payment {
    /// Whether it can be booked, before anything is written.
    ///
    /// # Errors
    /// [`TopUpError`], of what was typed.
    pub fn check(&self) -> Result<(), TopUpError> {
        if self.amount <= Amount::ZERO {
            return Err(TopUpError::NotPositive(self.amount));
        }
        if !is_line(&self.reference, 1..=LONGEST_REFERENCE) || self.reference.trim() != self.reference {
            return Err(TopUpError::BadReference);
        }
        if self.reference.starts_with(CODE_PREFIX) {
            return Err(TopUpError::ReservedReference);
        }
        if !self.note.as_ref().is_none_or(|note| is_line(note, 0..=LONGEST_NOTE)) {
            return Err(TopUpError::BadNote);
        }
        Ok(())
    }
}

/// Checks a payment of `tenant` and books it as a transfer of this `id`; under a reference that is there already, nothing is booked again and
/// the answer names the first transfer. Call it in a write transaction.
///
/// # Errors
/// [`TopUpError`]; roll back then.
pub fn book(
    connection: &mut Connection,
    id: TransferId,
    tenant: TenantId,
    payment: Payment,
    now: Timestamp,
) -> Result<TopUpDecision, TopUpError> {
    payment.check()?;
    let Payment { amount, reference, note } = payment;
    let other = sql!(
        "SELECT CAST(1 AS BIGINT) AS number FROM transfers WHERE id = ? AND NOT (credit = ? AND COALESCE(reference, '') = ?)"
    );
    let values = [Value::Blob(id.as_bytes()), Value::Int(tenant.0), Value::Text(&reference)];
    if !Statement::new(other, &values).load::<Found>(connection)?.is_empty() {
        return Err(TopUpError::IdTaken(id));
    }
    let source = TopUpSource::Cash;
    let top_up = Operation::TopUp(TopUp { id, account: tenant, amount, source, reference, note });
    match ledger::apply_one(connection, top_up, now)? {
        Outcome::TopUp(decision) => Ok(decision),
        other => Err(other.unexpected().into()),
    }
}

/// Takes the top-up `transfer` back, as far as the money is available, by a new transfer of this `id`: asked for again under the same id,
/// it is the same reversal. Call it in a write transaction.
///
/// # Errors
/// [`TopUpError::BadReason`] or the ledger's; roll back then.
pub fn reverse(
    connection: &mut Connection,
    id: TransferId,
    transfer: TransferId,
    reason: &str,
    now: Timestamp,
) -> Result<TopUpReversal, TopUpError> {
    let reason = reason.trim().to_owned();
    check_reason(&reason)?;
    let other =
        sql!("SELECT CAST(1 AS BIGINT) AS number FROM transfers WHERE id = ? AND (reverses IS NULL OR reverses <> ?)");
    let values = [Value::Blob(id.as_bytes()), Value::Blob(transfer.as_bytes())];
    if !Statement::new(other, &values).load::<Found>(connection)?.is_empty() {
        return Err(TopUpError::IdTaken(id));
    }
    let of = sql!("SELECT credit AS number FROM transfers WHERE id = ? AND kind = 'top_up'");
    let row: Option<Found> =
        Statement::new(of, &[Value::Blob(transfer.as_bytes())]).get_result(connection).optional()?;
    let Some(Found { number: account }) = row else { return Ok(TopUpReversal::NoSuchTopUp) };
    let reversal = Operation::ReverseTopUp { id, account: TenantId(account), transfer, reason };
    match ledger::apply_one(connection, reversal, now)? {
        Outcome::TopUpReversal(reversal) => Ok(reversal),
        other => Err(other.unexpected().into()),
    }
}

/// The same, if just the amount `confirmed` is taken back; what was taken back before, under this id or another, is what it is.
///
/// # Errors
/// [`TopUpError::NotAsConfirmed`] or those of [`reverse`]; roll back then.
pub fn reverse_as_confirmed(
    connection: &mut Connection,
    id: TransferId,
    transfer: TransferId,
    confirmed: Amount,
    reason: &str,
    now: Timestamp,
) -> Result<TopUpReversal, TopUpError> {
    match reverse(connection, id, transfer, reason, now)? {
        TopUpReversal::Reversed { recovered, replayed: false, .. } if recovered != confirmed => {
            Err(TopUpError::NotAsConfirmed { confirmed, now: recovered })
        }
        reversal => Ok(reversal),
    }
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// Whether a reversal may have this reason, before anything is written.
///
/// # Errors
/// [`TopUpError::BadReason`].
pub fn check_reason(reason: &str) -> Result<(), TopUpError> {
    if is_line(reason.trim(), 1..=LONGEST_REASON) { Ok(()) } else { Err(TopUpError::BadReason) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::fine(1, "invoice-7", "", None)]
    #[case::hanzi(1, "发票七", "谢谢", None)]
    #[case::zero(0, "r", "", Some("above zero"))]
    #[case::negative(-1, "r", "", Some("above zero"))]
    #[case::no_reference(1, "", "", Some("a reference has"))]
    #[case::spaces(1, " r", "", Some("a reference has"))]
    #[case::control(1, "a\tb", "", Some("a reference has"))]
    #[case::long_reference(1, &"r".repeat(201), "", Some("a reference has"))]
    #[case::longest_reference(1, &"小".repeat(200), "", None)]
    #[case::of_a_code(1, "code:1/2", "", Some("redeemed codes"))]
    #[case::nearly_of_a_code(1, "codes:1/2", "", None)]
    #[case::long_note(1, "r", &"n".repeat(1001), Some("a note has"))]
    #[case::note_of_two_lines(1, "r", "a\nb", Some("a note has"))]
    fn checks(#[case] nanos: i64, #[case] reference: &str, #[case] note: &str, #[case] why: Option<&str>) {
        let (amount, reference) = (Amount::from_nanos(nanos), reference.to_owned());
        let checked = Payment { amount, reference, note: Some(note.to_owned()) }.check();
        match (checked, why) {
            (Ok(()), None) => {}
            (Err(error), Some(why)) => assert!(error.to_string().contains(why), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case("paid twice", true)]
    #[case(" 付了两次 ", true)]
    #[case(&"r".repeat(1000), true)]
    #[case(&"r".repeat(1001), false)]
    #[case("", false)]
    #[case("  ", false)]
    #[case("a\nb", false)]
    fn reasons(#[case] reason: &str, #[case] allowed: bool) {
        assert_eq!(check_reason(reason).is_ok(), allowed);
    }
}
