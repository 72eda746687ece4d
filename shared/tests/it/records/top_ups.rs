//! Booking and taking back payments, and the list of them.

use rstest::rstest;
use shared::id::{TenantId, TransferId};
use shared::ledger::{self, TopUp, TopUpDecision, TopUpReversal, TopUpSource};
use shared::money::Amount;
use shared::page::{Cursor, Page};
use shared::top_ups::{self, Payment, TopUpError, TopUpExport, TopUpFilter, TopUpRecord, TopUpReversed, TopUpSums};

use super::{START, there_and_back};
use crate::ledger::books::{Books, capture, top_up};

fn nanos(amount: i64) -> Amount {
    Amount::from_nanos(amount)
}

async fn book(
    books: &Books,
    id: TransferId,
    tenant: TenantId,
    amount: i64,
    reference: &str,
) -> Result<TopUpDecision, TopUpError> {
    let payment = Payment { amount: nanos(amount), reference: reference.to_owned(), note: Some("by hand".to_owned()) };
    let now = books.clock.now();
    books.change(move |connection| top_ups::book(connection, id, tenant, payment, now)).await
}

async fn reverse(books: &Books, id: TransferId, transfer: TransferId) -> Result<TopUpReversal, TopUpError> {
    let now = books.clock.now();
    books.change(move |connection| top_ups::reverse(connection, id, transfer, " paid twice ", now)).await
}

async fn page(books: &Books, filter: TopUpFilter, cursor: Cursor<TransferId>, limit: usize) -> Page<TopUpRecord> {
    books.look(move |connection| top_ups::page(connection, &filter, cursor, limit)).await
}

#[tokio::test]
async fn a_payment_is_booked_once_and_taken_back_once() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 0).await;
    let id = TransferId::new();
    let posted = |replayed| TopUpDecision::Posted { id, posted: nanos(100), replayed };
    assert_eq!(book(&books, id, tenant, 100, "r").await.unwrap(), posted(false));
    assert_eq!(book(&books, id, tenant, 100, "r").await.unwrap(), posted(true));
    // From another form, in another amount, and the same form for something else.
    assert_eq!(book(&books, TransferId::new(), tenant, 100, "r").await.unwrap(), posted(true));
    let taken = TopUpDecision::ReferenceTaken { amount: nanos(100) };
    assert_eq!(book(&books, TransferId::new(), tenant, 101, "r").await.unwrap(), taken);
    let other = book(&books, id, tenant, 100, "s").await;
    assert!(matches!(other, Err(TopUpError::IdTaken(taken)) if taken == id), "{other:?}");
    let other = book(&books, TransferId::new(), tenant, 100, "code:1/1").await;
    assert!(matches!(other, Err(TopUpError::ReservedReference)), "{other:?}");

    // 30 are used and 20 held; 50 can be taken back.
    let used = books.held(tenant, 30).await;
    books.ledger.capture(capture(used, tenant, 30)).await.unwrap().unwrap();
    books.held(tenant, 20).await;
    let back = TransferId::new();
    let reversed = |replayed| TopUpReversal::Reversed {
        id: back,
        recovered: nanos(50),
        not_recovered: nanos(50),
        posted: nanos(20),
        replayed,
    };
    assert_eq!(reverse(&books, back, id).await.unwrap(), reversed(false));
    assert_eq!(reverse(&books, back, id).await.unwrap(), reversed(true));
    let already = TopUpReversal::AlreadyReversed { id: back, recovered: nanos(50) };
    assert_eq!(reverse(&books, TransferId::new(), id).await.unwrap(), already);
    assert_eq!(books.balance(tenant).await, (20, 20));

    let next = TransferId::new();
    book(&books, next, tenant, 7, "next").await.unwrap();
    books.held(tenant, 7).await;
    let nothing = TopUpReversal::NothingAvailable { amount: nanos(7) };
    assert_eq!(reverse(&books, TransferId::new(), next).await.unwrap(), nothing);
    let other = reverse(&books, back, next).await;
    assert!(matches!(other, Err(TopUpError::IdTaken(taken)) if taken == back), "{other:?}");
    for no_top_up in [TransferId::new(), used, back] {
        let reversal = reverse(&books, TransferId::new(), no_top_up).await.unwrap();
        assert_eq!(reversal, TopUpReversal::NoSuchTopUp);
    }
    let totals = books.look(move |connection| ledger::totals(connection, tenant)).await.unwrap();
    assert_eq!((totals.granted, totals.used), (nanos(57), nanos(30)));
    books.prove().await;
}

/// Two operators press the button at the same moment, each several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    let (paid, forms) = (TransferId::new(), [TransferId::new(), TransferId::new()]);
    let booking =
        (0..10).map(|number| book(&books, if number == 0 { paid } else { TransferId::new() }, tenant, 100, "r"));
    let booked = futures_util::future::join_all(booking).await;
    let (mut first, mut transfers) = (0, std::collections::HashSet::new());
    for decision in booked {
        let TopUpDecision::Posted { id, replayed, .. } = decision.unwrap() else { panic!("another amount") };
        first += usize::from(!replayed);
        transfers.insert(id);
    }
    assert_eq!((first, transfers.len()), (1, 1));
    let paid = transfers.into_iter().next().unwrap();
    let reversals =
        futures_util::future::join_all((0..10).map(|number| reverse(&books, forms[number % 2], paid))).await;
    let done = reversals.iter().filter(|reversal| {
        matches!(reversal, Ok(TopUpReversal::Reversed { replayed: false, recovered, .. }) if *recovered == nanos(100))
    });
    assert_eq!(done.count(), 1, "{reversals:?}");
    assert_eq!(books.balance(tenant).await, (1_000, 0));
    books.prove().await;
}

#[tokio::test]
async fn a_promotion_goes_back_where_it_came_from() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 0).await;
    let given = TopUp { source: TopUpSource::Promotion, ..top_up(tenant, 10, "code:1/1") };
    books.ledger.top_up(given.clone()).await.unwrap();
    // The same from another source is something else.
    let paid = books.ledger.top_up(top_up(tenant, 10, "code:1/1")).await.unwrap();
    assert_eq!(paid, TopUpDecision::ReferenceTaken { amount: nanos(10) });
    reverse(&books, TransferId::new(), given.id).await.unwrap();
    let ends = books.numbers("SELECT credit AS number FROM transfers WHERE kind = 'reversal'");
    assert_eq!(ends, [i128::from(ledger::PROMOTION)]);
    let statement = books.look(move |connection| ledger::statement(connection, tenant, None, None, 5)).await;
    let lines: Vec<_> =
        statement.entries.iter().map(|line| (line.kind.as_str(), line.delta.nanos(), line.reverses)).collect();
    assert_eq!(lines, [("reversal", -10, Some(given.id)), ("top_up", 10, None)]);
    assert_eq!(statement.entries[0].note.as_deref(), Some("paid twice"));
    books.prove().await;
}

#[tokio::test]
async fn the_list_has_pages_and_filters() {
    let books = Books::at(START).await;
    let (one, other) = (books.tenant("one", 0).await, books.tenant("other", 0).await);
    let mut ids = Vec::new();
    for (tenant, reference) in [(one, "INV-1"), (other, "INV-2"), (one, "100%_a!"), (one, "发票"), (other, "inv-1")] {
        // Two of each moment.
        books.advance(if ids.len() % 2 == 0 { 1_000 } else { 0 });
        let id = TransferId::new();
        book(&books, id, tenant, 10 + ids.len() as i64, reference).await.unwrap();
        ids.push(id);
    }
    let back = TransferId::new();
    reverse(&books, back, ids[1]).await.unwrap();
    // To and fro, with the sums of all of it, and as a file.
    let shown = async |filter: TopUpFilter| -> Vec<usize> {
        let at = |cursor| page(&books, filter.clone(), cursor, 2);
        let rows = there_and_back(at, |row| row.id).await;
        let mut export = TopUpExport::new(&books.database, filter.clone());
        assert_eq!(export.next().await.unwrap().unwrap_or_default(), rows);
        assert_eq!(export.next().await.unwrap(), None);
        let sum = |of: fn(&TopUpRecord) -> Amount| Some(nanos(rows.iter().map(|row| of(row).nanos()).sum()));
        let recovered = |row: &TopUpRecord| row.reversal.as_ref().map_or(Amount::ZERO, |reversal| reversal.recovered);
        let (booked, recovered) = (sum(|row| row.amount), sum(recovered));
        let left = booked.unwrap().checked_sub(recovered.unwrap());
        let expected = TopUpSums { count: rows.len().try_into().unwrap(), booked, recovered, left };
        assert_eq!(books.look(move |connection| top_ups::sums(connection, &filter)).await, expected);
        rows.iter().map(|row| ids.iter().position(|id| *id == row.id).unwrap()).collect()
    };
    let all = TopUpFilter::default();
    assert_eq!(shown(all.clone()).await, [4, 3, 2, 1, 0]);
    assert_eq!(shown(TopUpFilter { tenant: Some(one), ..all.clone() }).await, [3, 2, 0]);
    assert_eq!(shown(TopUpFilter { tenant: Some(TenantId(9)), ..all.clone() }).await, [0_usize; 0]);
    for (part, expected) in
        [("inv", vec![4, 1, 0]), ("V-1", vec![4, 0]), ("%", vec![2]), ("_", vec![2]), ("票", vec![3])]
    {
        assert_eq!(shown(TopUpFilter { reference: part.to_owned(), ..all.clone() }).await, expected, "{part}");
    }
    let (from, to) = (Some(START.plus_ms(1_001)), Some(START.plus_ms(3_000)));
    assert_eq!(shown(TopUpFilter { from, ..all.clone() }).await, [4, 3, 2]);
    assert_eq!(shown(TopUpFilter { from, to, tenant: Some(one), ..all.clone() }).await, [3, 2]);
    assert!(
        page(&books, all.clone(), Cursor::Behind(TransferId::new()), 9).await.rows.is_empty(),
        "behind an unknown one"
    );

    let found = page(&books, TopUpFilter { tenant: Some(other), ..all }, Cursor::First, 9).await.rows.remove(1);
    let expected = TopUpRecord {
        id: ids[1],
        tenant: other,
        tenant_name: "other".to_owned(),
        amount: nanos(11),
        source: TopUpSource::Cash,
        reference: "INV-2".to_owned(),
        note: Some("by hand".to_owned()),
        created_at: START.plus_ms(1_000),
        reversal: Some(TopUpReversed {
            id: back,
            recovered: nanos(11),
            not_recovered: Amount::ZERO,
            reason: "paid twice".to_owned(),
            created_at: START.plus_ms(3_000),
        }),
    };
    assert_eq!(found, expected);
    let (id, unknown) = (ids[1], TransferId::new());
    assert_eq!(books.look(move |connection| top_ups::find(connection, id)).await, Some(expected));
    assert_eq!(books.look(move |connection| top_ups::find(connection, unknown)).await, None);
    assert_eq!(books.look(move |connection| top_ups::find(connection, back)).await, None);
}

/// A reversal never takes what is held, whatever comes at the same time.
#[rstest]
#[tokio::test]
async fn beside_calls(#[values(0, 1, 2, 3)] place: usize) {
    let books = Books::new().await;
    let tenant = books.tenant("t", 0).await;
    let paid = top_up(tenant, 100, "r");
    books.ledger.top_up(paid.clone()).await.unwrap();
    let mut operations: Vec<_> = (0..3).map(|_| ledger::Operation::Hold(books.hold(tenant, 30))).collect();
    let (id, reason) = (TransferId::new(), "by mistake".to_owned());
    operations.insert(place, ledger::Operation::ReverseTopUp { id, account: tenant, transfer: paid.id, reason });
    let held = 30 * i64::try_from(place).unwrap();
    let answers = books.together(operations).await;
    let ledger::Outcome::TopUpReversal(TopUpReversal::Reversed { recovered, .. }) = answers[place].as_ref().unwrap()
    else {
        panic!("{answers:?}")
    };
    assert_eq!(recovered.nanos(), 100 - held);
    assert_eq!(books.balance(tenant).await, (held, held));
    books.prove().await;
}
