//! An audit that cries wolf is switched off: of a ledger that is right it says nothing, whatever else goes on.

use shared::catalogue::price_list::{self, NewPrice};
use shared::clock::Clock;
use shared::db::{Database, DbError};
use shared::id::{ProcessId, RequestId, TenantId};
use shared::ledger::{self, Audit, AuditReport, Capture, Charge, Ended, Hold, HoldDecision, Ledger, Reversal, Sweeper};
use shared::money::Amount;
use shared::price::{Basis, Price, PriceVersion};
use shared::queue::Endpoint;
use shared::tenant;
use testkit::Pair;

use super::books::{Books, capture, charge, top_up};
use super::scene::Scene;
use crate::place::Place;

/// Clients, and what each does one after another; together more than the audit looks at in one page (2,000 rows).
const CLIENTS: usize = 24;
const ROUNDS: usize = 60;

#[tokio::test]
async fn an_empty_ledger() {
    let place = Place::new(Pair::of_this_run());
    let (database, _) = Database::open_or_create(&place.url).unwrap();
    let nothing = AuditReport { ok: true, ..AuditReport::default() };
    assert_eq!(ledger::audit(&database, &Clock::System).await.unwrap(), nothing);
    let mut watch = Audit::from_now(&database, &Clock::System).await.unwrap();
    assert_eq!(watch.run(&database, &Clock::System).await.unwrap(), nothing);

    let books = Books::new().await;
    books.tenant("no money", 0).await;
    assert_eq!(
        ledger::audit(&books.database, &books.clock).await.unwrap(),
        AuditReport { lines: 1, transfers: 1, ..nothing }
    );
}

#[tokio::test]
async fn reversals_write_offs_and_charges_of_nothing() {
    let Scene { books, .. } = Scene::set().await;
    let mut watch = Audit::from_now(&books.database, &books.clock).await.unwrap();
    let (rich, poor) = (TenantId(1001), TenantId(1002));

    // What was written off is given back with what was paid.
    books.ledger.top_up(top_up(poor, 10, "second")).await.unwrap();
    let lost = books.held(poor, 10).await;
    assert_eq!(
        books.ledger.capture(capture(lost, poor, 25)).await.unwrap().unwrap().written_off,
        Amount::from_nanos(15)
    );
    assert_eq!(books.ledger.reverse_capture(lost, poor).await.unwrap(), Reversal::Reversed(Amount::from_nanos(10)));
    assert_eq!(books.ledger.reverse_capture(lost, poor).await.unwrap(), Reversal::Already);

    // A charge of nothing has no transfer; one that nothing is left for is all written off.
    let free = books.held(rich, 5).await;
    books.ledger.capture(capture(free, rich, 0)).await.unwrap().unwrap();
    let (first, second) = (books.held(poor, 10).await, books.held(poor, 0).await);
    books.ledger.capture(capture(second, poor, 7)).await.unwrap().unwrap();
    books.ledger.capture(capture(first, poor, 10)).await.unwrap().unwrap();
    let forgotten = books.held(rich, 5).await;
    books.ledger.end(forgotten, rich, Ended::Expired).await.unwrap().unwrap();

    assert_quiet(&books, &mut watch).await;
    books.prove().await;
}

#[tokio::test]
async fn every_kind_of_charge_at_its_listed_price() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000_000).await;
    let mut watch = Audit::from_now(&books.database, &books.clock).await.unwrap();
    let price = set_price(&books).await;
    let tokens = Charge {
        price_version: price.version,
        basis: Basis::Upstream,
        // The estimate is kept beside it.
        upstream: Some((3, 5)),
        prompt_price: price.prompt,
        completion_price: price.completion,
        image_price: price.image,
        // Rounded up each: 3 and 5 tokens at 1.5 nanos.
        prompt_cost: Amount::from_nanos(5),
        completion_cost: Amount::from_nanos(8),
        ..charge(100)
    };
    let estimate = Charge {
        basis: Basis::Estimate,
        upstream: None,
        prompt_cost: Amount::from_nanos(150),
        completion_cost: Amount::ZERO,
        ..tokens.clone()
    };
    let image = |size: &str, each: i64| Charge {
        endpoint: Endpoint::Images,
        basis: Basis::Estimate,
        images: 3,
        image_size: Some(size.to_owned()),
        prompt_price: Amount::ZERO,
        completion_price: Amount::ZERO,
        image_price: Amount::from_nanos(each),
        prompt_cost: Amount::ZERO,
        completion_cost: Amount::ZERO,
        image_cost: Amount::from_nanos(3 * each),
        ..tokens.clone()
    };
    for charge in [image("512x512", 40), image("any other", 70), estimate, tokens.clone()] {
        let hold = Hold { price_version: price.version, ..books.hold(tenant, 1_000) };
        books.ledger.hold(hold.clone()).await.unwrap();
        books
            .ledger
            .capture(Capture { request_id: hold.request_id, account: tenant, charge, answer: None })
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(books.balance(tenant).await, (1_000_000 - 120 - 210 - 150 - 13, 0));
    // An old call keeps its price when there is a new one.
    set_price(&books).await;
    assert_quiet(&books, &mut watch).await;
}

/// Deadlines may be set to hours: a hold that is older than what the running audit looks at again is still counted.
#[tokio::test]
async fn a_hold_open_for_hours() {
    let books = Books::at(Clock::System.now()).await;
    let tenant = books.tenant("t", 1_000).await;
    ledger::register_process(&books.database, books.owner, "all", books.clock.now()).await.unwrap();
    let hold = Hold { expires_at: books.clock.now().plus_ms(4 * 3_600_000), ..books.hold(tenant, 10) };
    books.ledger.hold(hold.clone()).await.unwrap();
    let mut watch = Audit::from_now(&books.database, &books.clock).await.unwrap();
    let mut sweeper = Sweeper::load(&books.database, books.owner, books.clock.now()).await.unwrap();
    for _ in 0..6 {
        books.advance(1_800_000);
        ledger::heartbeat(&books.database, books.owner, books.clock.now()).await.unwrap();
        sweeper.expire(&books.database, &books.ledger, books.clock.now(), 30_000).await.unwrap();
        sweeper.save(&books.database).await.unwrap();
        assert_quiet(&books, &mut watch).await;
        // One that begins only now knows from the sweeper how far back it must look.
        let mut late = Audit::from_now(&books.database, &books.clock).await.unwrap();
        assert_quiet(&books, &mut late).await;
    }
    books.ledger.capture(capture(hold.request_id, tenant, 4)).await.unwrap().unwrap();
    assert_quiet(&books, &mut watch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_busy_writer() {
    let books = Books::new().await;
    ledger::register_process(&books.database, books.owner, "all", books.clock.now()).await.unwrap();
    let accounts =
        [books.tenant("rich", 1_000_000).await, books.tenant("poor", 100).await, books.tenant("tight", 1_000).await];
    let mut watch = Audit::from_now(&books.database, &books.clock).await.unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let (ledger, database) = (books.ledger.clone(), books.database.clone());
        clients.spawn(client(number, ledger, database, accounts, books.owner));
    }
    let load = tokio::spawn(clients.join_all());
    let mut audits = 0;
    while !load.is_finished() {
        assert_quiet(&books, &mut watch).await;
        audits += 1;
    }
    let operations: usize = load.await.unwrap().into_iter().sum();

    assert!(operations > 5_000, "{operations} operations");
    assert!(audits > 3, "{audits} audits");
    assert_quiet(&books, &mut watch).await;
    books.prove().await;
    let report = ledger::audit(&books.database, &books.clock).await.unwrap();
    let count =
        |table: &str| u64::try_from(books.numbers(&format!("SELECT count(*) AS number FROM {table}"))[0]).unwrap();
    assert!(count("holds") > 2_000 && count("lines") > 2_000);
    assert_eq!((report.lines, report.transfers), (count("lines"), count("transfers")), "no page was left out");
    assert_eq!(report.requests, count("holds") + count("settlements"));
}

/// Holds, and ends what it holds in every way there is; ids are not in the order of their commits. Gives the operations done.
async fn client(number: usize, ledger: Ledger, database: Database, accounts: [TenantId; 3], owner: ProcessId) -> usize {
    let mut operations = 0;
    for round in 0..ROUNDS {
        let account = accounts[(number + round) % accounts.len()];
        // The younger one's life is over before the older one's begins.
        let ids = [RequestId::new(), RequestId::new()];
        for (place, request_id) in ids.into_iter().rev().enumerate() {
            let amount = Amount::from_nanos(10);
            let (expires_at, price_version) = (Clock::System.now().plus_ms(600_000), PriceVersion(1));
            let idempotency = None;
            let hold = Hold { request_id, account, amount, owner, expires_at, price_version, idempotency };
            if ledger.hold(hold).await.unwrap() != HoldDecision::Held {
                let paid = top_up(account, 15, &format!("{number} {round} {place}"));
                ledger.top_up(paid.clone()).await.unwrap();
                operations += 1;
                // All of it, a part, or nothing: others use the account too.
                if round % 5 == 0 {
                    let reason = "by mistake".to_owned();
                    ledger.reverse_top_up(RequestId::new(), account, paid.id, reason).await.unwrap();
                    operations += 1;
                }
            }
            // Where there is no hold nothing happens.
            match (number + round + 3 * place) % 6 {
                0 => ledger.end(request_id, account, Ended::Voided).await.map(|_| ()).unwrap(),
                1 => ledger.end(request_id, account, Ended::Expired).await.map(|_| ()).unwrap(),
                2 => ledger.capture(capture(request_id, account, 25)).await.map(|_| ()).unwrap(),
                3 => {
                    let _ = ledger.capture(capture(request_id, account, 12)).await.unwrap();
                    ledger.reverse_capture(request_id, account).await.unwrap();
                    operations += 1;
                }
                _ => ledger.capture(capture(request_id, account, 7)).await.map(|_| ()).unwrap(),
            }
            operations += 2;
        }
        if round % 20 == number % 20 {
            let name = format!("tenant of {number} in {round}");
            let made =
                database.write(move |connection| tenant::create(connection, &name, Clock::System.now())).await.unwrap();
            ledger.top_up(top_up(made.id, 5, "first")).await.unwrap();
            operations += 1;
        }
    }
    operations
}

/// Neither audit finds anything.
async fn assert_quiet(books: &Books, watch: &mut Audit) {
    let report = watch.run(&books.database, &books.clock).await.unwrap();
    assert!(report.ok, "what is new: {:?}", report.violations);
    let report = ledger::audit(&books.database, &books.clock).await.unwrap();
    assert!(report.ok, "all: {:?}", report.violations);
}

/// 1.5 nanos a token by the provider's count, an image 70, or 40 if it is small.
async fn set_price(books: &Books) -> Price {
    let now = books.clock.now();
    let new = NewPrice {
        model: Some("gpt-4".to_owned()),
        prompt: Amount::from_nanos(1_500_000),
        completion: Amount::from_nanos(1_500_000),
        image: Amount::from_nanos(70),
        images: [("512x512".to_owned(), Amount::from_nanos(40))].into(),
        basis: Basis::Upstream,
    };
    books
        .database
        .write(move |connection| price_list::set(connection, new, now))
        .await
        .map_err(|error: DbError| error)
        .unwrap()
}
