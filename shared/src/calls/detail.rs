//! One call with all that is known of it: its way, its hold, how it was settled, the arithmetic of its charge, and what was given back.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::list::{CallRow, find};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, snapshot, sql};
use crate::id::{RequestId, TenantId, TransferId};
use crate::ledger::{ChargeDetail, SettlementOutcome, charge_of};
use crate::money::Amount;

/// A call.
#[derive(Debug, Clone)]
pub struct CallDetail {
    /// The call.
    pub request_id: RequestId,
    /// Who paid.
    pub tenant: TenantId,
    /// How it went. `None`: it has not ended, or its details are not kept any more, or they were lost.
    pub row: Option<CallRow>,
    /// The money that was set aside.
    pub hold: HoldDetail,
    /// How the hold ended. `None`: it is open.
    pub settlement: Option<SettlementDetail>,
    /// The arithmetic of its charge.
    pub charge: Option<ChargeDetail>,
    /// The line of the charge: its number, and the balance after it.
    pub line: Option<(i64, Amount)>,
    /// What was given back.
    pub reversal: Option<ReversalDetail>,
}

/// Money that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldDetail {
    /// How much.
    pub amount: Amount,
    /// When it would end by itself.
    pub expires_at: Timestamp,
    /// The price that it was computed with.
    pub price_version: i64,
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementDetail {
    /// How.
    pub outcome: SettlementOutcome,
    /// What the customer paid.
    pub amount: Amount,
    /// When.
    pub settled_at: Timestamp,
}

/// A charge that was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversalDetail {
    /// The transfer.
    pub id: TransferId,
    /// How much.
    pub amount: Amount,
    /// When.
    pub created_at: Timestamp,
    /// Why.
    pub note: Option<String>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    account: i64,
    #[diesel(sql_type = BigInt)]
    amount: i64,
    #[diesel(sql_type = BigInt)]
    expires_at: i64,
    #[diesel(sql_type = BigInt)]
    price_version: i64,
    #[diesel(sql_type = Nullable<Text>)]
    outcome: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    paid: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    settled_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    seq: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    balance: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    reversal: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<BigInt>)]
    given_back: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    given_back_at: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    why: Option<String>,
}

/// The call of this id; `None` when it never got a hold.
///
/// # Errors
/// [`DbError`].
pub fn detail(connection: &mut Connection, request_id: RequestId) -> Result<Option<CallDetail>, DbError> {
    snapshot(connection, |connection| {
        let row: Option<Row> = Statement::new(
            sql!(
                "SELECT h.account, h.amount, h.expires_at, h.price_version, s.outcome, s.amount AS paid, s.settled_at, l.seq, l.balance, \
                 r.id AS reversal, r.amount AS given_back, r.created_at AS given_back_at, r.note AS why \
                 FROM holds h LEFT JOIN settlements s ON s.request_id = h.request_id LEFT JOIN lines l ON l.transfer = h.request_id \
                 LEFT JOIN transfers r ON r.reverses = h.request_id WHERE h.request_id = ?"
            ),
            &[Value::Blob(request_id.as_bytes())],
        )
        .get_result(connection)
        .optional()?;
        let Some(row) = row else { return Ok(None) };
        let tenant = TenantId(row.account);
        let corrupt = |what: &str| DbError::Corrupt(format!("{what} of request {request_id}"));
        let settlement = match (row.outcome, row.paid, row.settled_at) {
            (Some(word), Some(paid), Some(settled_at)) => Some(SettlementDetail {
                outcome: SettlementOutcome::from_word(&word).ok_or_else(|| corrupt("the settlement"))?,
                amount: Amount::from_nanos(paid),
                settled_at: Timestamp(settled_at),
            }),
            _ => None,
        };
        let reversal = match (row.reversal, row.given_back, row.given_back_at) {
            (Some(id), Some(amount), Some(created_at)) => Some(ReversalDetail {
                id: TransferId::from_slice(&id).ok_or_else(|| corrupt("the reversal"))?,
                amount: Amount::from_nanos(amount),
                created_at: Timestamp(created_at),
                note: row.why,
            }),
            _ => None,
        };
        Ok(Some(CallDetail {
            request_id,
            tenant,
            row: find(connection, request_id)?,
            hold: HoldDetail {
                amount: Amount::from_nanos(row.amount),
                expires_at: Timestamp(row.expires_at),
                price_version: row.price_version,
            },
            settlement,
            charge: charge_of(connection, tenant, request_id)?,
            line: row.seq.zip(row.balance.map(Amount::from_nanos)),
            reversal,
        }))
    })
}
