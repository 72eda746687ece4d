//! What the house's own accounts hold. They have no balance row to contend for, so it is worked out of their transfers: the few
//! that are no charges are summed, and revenue, which every call adds to, is what is left, since all accounts together are zero.

use diesel::QueryableByName;
use diesel::sql_types::BigInt;

use super::{CASH, PROMOTION, REVENUE, WRITE_OFF};
use crate::db::{Connection, DbError, Statement, sql, whole};
use crate::money::Amount;

/// What the house's accounts hold, and all customers together. A balance that does not fit in 64 bits is `None`.
///
/// An account that money comes from is below zero: what customers paid is the balance of cash with the sign turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HouseBalances {
    /// Where payments come from.
    pub cash: Option<Amount>,
    /// Where money comes from that the house gives, as for codes.
    pub promotion: Option<Amount>,
    /// What calls paid.
    pub revenue: Option<Amount>,
    /// What calls cost beyond what their customers had.
    pub write_off: Option<Amount>,
    /// What all customers have.
    pub customers: Option<Amount>,
}

/// What moved on the house's accounts but for charges, and what customers have. In halves, since sums of BIGINT may leave 64 bits.
macro_rules! balances {
    ($transfers:literal) => {
        sql!(concat!(
            "SELECT moved.account, CAST(SUM(moved.side * (moved.amount >> 32)) AS BIGINT) AS high, \
             CAST(SUM(moved.side * (moved.amount & 4294967295)) AS BIGINT) AS low \
             FROM (SELECT debit AS account, -1 AS side, amount FROM ",
            $transfers,
            " WHERE kind <> 'capture' AND debit < 1000 UNION ALL SELECT credit, 1, amount FROM ",
            $transfers,
            " WHERE kind <> 'capture' AND credit < 1000) moved GROUP BY moved.account \
             UNION ALL SELECT CAST(0 AS BIGINT), CAST(COALESCE(SUM(posted >> 32), 0) AS BIGINT), \
             CAST(COALESCE(SUM(posted & 4294967295), 0) AS BIGINT) FROM accounts"
        ))
    };
}

/// The balances of this moment.
///
/// # Errors
/// [`DbError`].
pub fn house_balances(connection: &mut Connection) -> Result<HouseBalances, DbError> {
    let rows: Vec<Row> = match connection {
        // It would not know by itself how few they are.
        Connection::Sqlite(_) => {
            Statement::new(balances!("transfers INDEXED BY transfers_rare"), &[]).load(connection)?
        }
        Connection::Postgres(_) => Statement::new(balances!("transfers"), &[]).load(connection)?,
    };
    let held_by = |account| rows.iter().filter(|row| row.account == account).map(Row::sum).sum::<i128>();
    let others: i128 = rows.iter().filter(|row| row.account != REVENUE).map(Row::sum).sum();
    Ok(HouseBalances {
        cash: Amount::from_wide(held_by(CASH)),
        promotion: Amount::from_wide(held_by(PROMOTION)),
        revenue: Amount::from_wide(-others),
        write_off: Amount::from_wide(held_by(WRITE_OFF)),
        customers: Amount::from_wide(held_by(CUSTOMERS)),
    })
}

/// What stands for all customers in the rows.
const CUSTOMERS: i64 = 0;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    account: i64,
    #[diesel(sql_type = BigInt)]
    high: i64,
    #[diesel(sql_type = BigInt)]
    low: i64,
}

impl Row {
    fn sum(&self) -> i128 {
        whole(self.high, self.low)
    }
}
