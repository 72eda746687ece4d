//! What the house's accounts hold is the sum of their transfers, whatever happened.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use shared::ledger::{self, HouseBalances};
use shared::money::Amount;

use super::books::Books;
use super::scene::Scene;

#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = BigInt)]
    sum: i64,
}

/// The balance of a house account, from all transfers.
fn summed(books: &Books, account: i64) -> Option<Amount> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(CASE WHEN credit = {account} THEN amount ELSE 0 END), 0) \
         - COALESCE(SUM(CASE WHEN debit = {account} THEN amount ELSE 0 END), 0) AS BIGINT) AS sum FROM transfers"
    );
    let mut connection = books.database.own_connection().unwrap();
    let row: Sum = diesel::sql_query(sql).get_result(&mut connection).unwrap();
    Some(Amount::from_nanos(row.sum))
}

#[tokio::test]
async fn house_accounts_hold_what_their_transfers_moved() {
    let scene = Scene::set().await;
    let books = &scene.books;
    let found = books.database.read(ledger::house_balances).await.unwrap();
    let expected = HouseBalances {
        cash: Some(Amount::from_nanos(-1_001_000)),
        promotion: Some(Amount::from_nanos(-500)),
        // 3,000, what 1002 had, and what was written off for it; what was reversed is gone again.
        revenue: Some(Amount::from_nanos(4_500)),
        write_off: Some(Amount::from_nanos(-500)),
        customers: Some(Amount::from_nanos(997_500)),
    };
    assert_eq!(found, expected);
    for (balance, account) in [
        (found.cash, ledger::CASH),
        (found.promotion, ledger::PROMOTION),
        (found.revenue, ledger::REVENUE),
        (found.write_off, ledger::WRITE_OFF),
    ] {
        assert_eq!(balance, summed(books, account), "account {account}");
    }
}

#[tokio::test]
async fn balances_beyond_64_bits_are_none() {
    let scene = Scene::set().await;
    let books = &scene.books;
    for name in ["much", "more"] {
        books.tenant(name, i64::MAX - 10).await;
    }
    let found = books.database.read(ledger::house_balances).await.unwrap();
    assert_eq!((found.cash, found.customers), (None, None));
    assert_eq!(found.write_off, Some(Amount::from_nanos(-500)));
}
