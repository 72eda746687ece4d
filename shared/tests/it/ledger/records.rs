//! Balances, statements and usage, against values that were worked out by hand.

use diesel::connection::{Connection as _, InstrumentationEvent};
use rstest::rstest;
use shared::clock::Timestamp;
use shared::id::TenantId;
use shared::ledger::{self, Charge, Grouping, Page, Period, StatementEntry, TopUp, UsageRow};
use shared::money::Amount;
use shared::price::Basis;

use super::books::{KEY, top_up};
use super::office::{Office, START, amount, moment};

const OTHER_KEY: &str = "BA9876543210";
const ALWAYS: Period = (Timestamp(0), Timestamp(4_102_444_800_000));

fn row(group: &str, requests: i64, tokens: (i64, i64), images: i64, cost: &str) -> UsageRow {
    UsageRow {
        group: group.to_owned(),
        requests,
        prompt_tokens: tokens.0,
        completion_tokens: tokens.1,
        images,
        amount: amount(cost),
    }
}

#[tokio::test]
async fn balance_and_totals() {
    let office = Office::open().await;
    let (books, tenant) = (&office.books, office.tenant);
    let totals = |tenant| books.database.read(move |connection| ledger::totals(connection, tenant));
    let empty = books.tenant("another", 0).await;
    let nothing = totals(empty).await.unwrap().unwrap();
    assert_eq!(
        (nothing.granted, nothing.used, nothing.balance.available()),
        (Amount::ZERO, Amount::ZERO, Amount::ZERO)
    );

    books.ledger.top_up(top_up(tenant, 5_500_000_000, "again")).await.unwrap();
    books.held(tenant, 1_000_000_000).await;
    office.charged(tenant, START, START, office.images(3, "0.60")).await;
    let given_back = office.chatted_at(START).await;
    books.ledger.reverse_capture(given_back, tenant).await.unwrap();

    let found = totals(tenant).await.unwrap().unwrap();
    assert_eq!((found.granted, found.used), (amount("15.50"), amount("0.60")));
    let balance = books.database.read(move |connection| ledger::balance(connection, tenant)).await.unwrap().unwrap();
    assert_eq!(balance, found.balance);
    assert_eq!((balance.posted, balance.held, balance.available()), (amount("14.90"), amount("1.00"), amount("13.90")));

    // Neither an unknown tenant nor a house account has a balance.
    for nobody in [TenantId(9_999), TenantId(ledger::REVENUE)] {
        assert!(totals(nobody).await.unwrap().is_none());
        assert!(books.database.read(move |connection| ledger::balance(connection, nobody)).await.unwrap().is_none());
    }
    books.prove().await;
}

/// A payment that is booked between the balance and the sum of all payments is in both or in neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_of_one_moment() {
    let office = Office::open().await;
    let (books, tenant) = (&office.books, office.tenant);
    let mut connection = books.bare_connection();
    let (ledger, runtime) = (books.ledger.clone(), tokio::runtime::Handle::current());
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && query.to_string().contains("AS granted")
        {
            std::thread::scope(|scope| {
                let payment = top_up(tenant, 1_000_000_000, "between");
                scope.spawn(|| runtime.block_on(ledger.top_up(payment)).unwrap());
            });
        }
    });
    let totals = tokio::task::block_in_place(|| ledger::totals(&mut connection, tenant)).unwrap().unwrap();
    assert_eq!((totals.granted, totals.used), (amount("10.00"), Amount::ZERO));
    assert_eq!(books.balance(tenant).await, (11_000_000_000, 0), "it was not booked between");
}

/// Calls in the last millisecond before a day, in its first and last one, and in the first after it.
#[rstest]
#[case::no_summer_time("Asia/Shanghai", "2026-01-31T16:00:00Z", "2026-02-01T16:00:00Z", ["2026-01-31", "2026-02-01", "2026-02-02"])]
#[case::day_of_23_hours("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", ["2026-03-28", "2026-03-29", "2026-03-30"])]
#[case::day_of_25_hours("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", ["2026-10-24", "2026-10-25", "2026-10-26"])]
#[case::west("America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", ["2026-03-07", "2026-03-08", "2026-03-09"])]
#[case::quarters_of_an_hour("Asia/Kathmandu", "2026-05-01T18:15:00Z", "2026-05-02T18:15:00Z", ["2026-05-01", "2026-05-02", "2026-05-03"])]
#[case::half_an_hour_of_summer("Australia/Lord_Howe", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z", ["2026-04-04", "2026-04-05", "2026-04-06"])]
#[tokio::test]
async fn usage_by_day(#[case] zone: &str, #[case] from: &str, #[case] to: &str, #[case] days: [&str; 3]) {
    let office = Office::open().await;
    let (from, to) = (moment(from), moment(to));
    for moment in [from.plus_ms(-1), from, to.plus_ms(-1), to] {
        office.chatted_at(moment).await;
    }
    let by_day = Grouping::Day(zone.parse().unwrap());
    let [before, day, after] = days;
    assert_eq!(
        office.usage(None, ALWAYS, by_day).await,
        [
            row(before, 1, (1_000, 200), 0, "0.0056"),
            row(day, 2, (2_000, 400), 0, "0.0112"),
            row(after, 1, (1_000, 200), 0, "0.0056"),
        ]
    );
    assert_eq!(office.usage(None, (from, to), by_day).await, [row(day, 2, (2_000, 400), 0, "0.0112")]);
    assert_eq!(office.charged_between(None, (from, to)).await, amount("0.0112"));
    office.books.prove().await;
}

#[tokio::test]
async fn usage_by_model_key_and_user() {
    let office = Office::open().await;
    let (tenant, other) = (office.tenant, office.books.tenant("another", 1_000_000_000).await);
    let (ann, bob) = (Some("ann".to_owned()), Some("bob".to_owned()));
    let other_key = OTHER_KEY.parse().unwrap();
    let calls = [
        Charge { end_user: ann.clone(), ..office.chat((1_000, 200), ("0.0035", "0.0021")) },
        Charge { model: "gpt-3.5".to_owned(), ..office.chat((100, 0), ("0.00035", "0")) },
        Charge { key: other_key, end_user: ann, ..office.chat((2_000, 1_000), ("0.007", "0.0105")) },
        Charge { key: other_key, end_user: bob, ..office.images(3, "0.60") },
    ];
    for call in calls {
        office.charged(tenant, START, START, call).await;
    }
    office.charged(other, START, START, office.chat((1_000, 200), ("0.0035", "0.0021"))).await;

    let images = row("dall-e-3", 1, (0, 0), 3, "0.60");
    assert_eq!(
        office.usage(None, ALWAYS, Grouping::Model).await,
        [images.clone(), row("gpt-3.5", 1, (100, 0), 0, "0.00035"), row("gpt-4", 2, (3_000, 1_200), 0, "0.0231")]
    );
    assert_eq!(
        office.usage(None, ALWAYS, Grouping::Key).await,
        [row(KEY, 2, (1_100, 200), 0, "0.00595"), row(OTHER_KEY, 2, (2_000, 1_000), 3, "0.6175")]
    );
    assert_eq!(
        office.usage(None, ALWAYS, Grouping::User).await,
        [
            row("", 1, (100, 0), 0, "0.00035"),
            row("ann", 2, (3_000, 1_200), 0, "0.0231"),
            row("bob", 1, (0, 0), 3, "0.60")
        ]
    );
    assert_eq!(
        office.usage(Some(OTHER_KEY), ALWAYS, Grouping::Model).await,
        [images, row("gpt-4", 1, (2_000, 1_000), 0, "0.0175")]
    );
    assert_eq!(office.usage(Some("000000000000"), ALWAYS, Grouping::Model).await, []);
    assert_eq!(office.charged_between(None, ALWAYS).await, amount("0.62345"));
    assert_eq!(office.charged_between(Some(KEY), ALWAYS).await, amount("0.00595"));
    office.books.prove().await;
}

#[tokio::test]
async fn a_period_has_its_first_moment_and_not_its_last() {
    let office = Office::open().await;
    let (from, to) = (moment("2026-02-01T00:00:00+08:00"), moment("2026-03-01T00:00:00+08:00"));
    // What counts is when it was charged, not when the request came.
    for (charged_at, made) in [
        (from.plus_ms(-1), from.plus_ms(-1)),
        (from, from),
        (from, from.plus_ms(-90_000_000)),
        (to.plus_ms(-1), to.plus_ms(-1)),
        (to, to),
        (to, to.plus_ms(-600_000)),
    ] {
        office.charged(office.tenant, charged_at, made, office.chat((1_000, 200), ("0.0035", "0.0021"))).await;
    }
    assert_eq!(office.usage(None, (from, to), Grouping::Model).await, [row("gpt-4", 3, (3_000, 600), 0, "0.0168")]);
    assert_eq!(office.charged_between(None, (from, to)).await, amount("0.0168"));
    assert_eq!(office.charged_between(None, (from, from)).await, Amount::ZERO);
    assert_eq!(office.usage(None, (to.plus_ms(1), ALWAYS.1), Grouping::Key).await, []);
}

#[tokio::test]
async fn what_was_given_back_or_written_off_is_not_usage() {
    let office = Office::open().await;
    let given_back = office.chatted_at(START).await;
    office.chatted_at(START).await;
    office.charged(office.tenant, START, START, office.chat((0, 0), ("0", "0"))).await;
    office.books.ledger.reverse_capture(given_back, office.tenant).await.unwrap();
    assert_eq!(office.usage(None, ALWAYS, Grouping::Model).await, [row("gpt-4", 2, (1_000, 200), 0, "0.0056")]);

    // 9.9944 are left of 10.00; 50 images cost 10.00.
    office.charged(office.tenant, START, START, office.images(50, "10.00")).await;
    assert_eq!(office.usage(None, ALWAYS, Grouping::Model).await[0], row("dall-e-3", 1, (0, 0), 50, "9.9944"));
    assert_eq!(office.charged_between(None, ALWAYS).await, amount("10.00"));
    office.books.prove().await;
}

#[tokio::test]
async fn usage_counts_the_tokens_that_were_billed() {
    let office = Office::open().await;
    let upstream = Charge {
        price_version: office.upstream,
        basis: Basis::Upstream,
        upstream: Some((50, 70)),
        prompt_price: amount("1.00"),
        completion_price: amount("2.00"),
        ..office.chat((40, 60), ("0.00005", "0.00014"))
    };
    // The provider's count was not believed.
    let estimate = Charge {
        basis: Basis::Estimate,
        prompt_cost: amount("0.00004"),
        completion_cost: amount("0.00012"),
        upstream: Some((0, 9_999)),
        ..upstream.clone()
    };
    office.charged(office.tenant, START, START, upstream).await;
    assert_eq!(office.usage(None, ALWAYS, Grouping::Model).await, [row("gpt-4", 1, (50, 70), 0, "0.00019")]);
    office.charged(office.tenant, START, START, estimate).await;
    assert_eq!(office.usage(None, ALWAYS, Grouping::Model).await, [row("gpt-4", 2, (90, 130), 0, "0.00035")]);
    office.books.prove().await;
}

#[tokio::test]
async fn a_statement_has_pages_newest_first() {
    let office = Office::open().await;
    let day = START.plus_ms(86_400_000);
    let chat = office.chatted_at(day).await;
    let of_other_key = Charge { key: OTHER_KEY.parse().unwrap(), finished_early: true, ..office.images(3, "0.60") };
    let images = office.charged(office.tenant, day.plus_ms(1), day, of_other_key).await;
    office.books.advance(1);
    office.books.ledger.reverse_capture(chat, office.tenant).await.unwrap();
    let noted = TopUp { note: Some("by hand".to_owned()), ..top_up(office.tenant, 1_000_000_000, "INV-2") };
    let paid = noted.id;
    office.books.ledger.top_up(noted).await.unwrap();
    // Costs nothing, moves nothing: no line.
    office.charged(office.tenant, day.plus_ms(3), day, office.chat((0, 0), ("0", "0"))).await;

    let lines = |page: &Page| -> Vec<(i64, String, String, String)> {
        page.entries
            .iter()
            .map(|line| (line.seq, line.kind.clone(), line.delta.to_string(), line.balance.to_string()))
            .collect()
    };
    let line =
        |seq, kind: &str, delta: &str, balance: &str| (seq, kind.to_owned(), delta.to_owned(), balance.to_owned());
    let all = [
        line(5, "top_up", "1.00", "10.40"),
        line(4, "reversal", "0.0056", "9.40"),
        line(3, "capture", "-0.60", "9.3944"),
        line(2, "capture", "-0.0056", "9.9944"),
        line(1, "top_up", "10.00", "10.00"),
    ];
    let first = office.statement(None, None, 2).await;
    assert_eq!((lines(&first), first.next), (all[..2].to_vec(), Some(4)));
    let second = office.statement(None, first.next, 2).await;
    assert_eq!((lines(&second), second.next), (all[2..4].to_vec(), Some(2)));
    let third = office.statement(None, second.next, 2).await;
    assert_eq!((lines(&third), third.next), (all[4..].to_vec(), None));
    let whole = office.statement(None, None, 5).await;
    assert_eq!((lines(&whole), whole.next), (all.to_vec(), None));
    assert!(office.statement(None, Some(1), 5).await.entries.is_empty());

    let top_up = &first.entries[0];
    assert_eq!((top_up.transfer, top_up.request_id, top_up.created_at), (paid, None, day.plus_ms(2)));
    assert_eq!((top_up.reference.as_deref(), top_up.note.as_deref()), (Some("INV-2"), Some("by hand")));
    assert!(top_up.charge.is_none());
    assert_eq!((second.entries[0].request_id, second.entries[0].transfer), (Some(images), images));
    let detail = second.entries[0].charge.as_ref().unwrap();
    assert_eq!((detail.key_id.as_str(), detail.endpoint.as_str(), detail.images), (OTHER_KEY, "images", 3));
    assert_eq!((detail.image_price, detail.image_cost, detail.finished_early), (200_000_000, 600_000_000, true));
    let reversed = first.entries[1].charge.as_ref().unwrap();
    assert_eq!(
        (reversed.prompt_tokens, reversed.prompt_price, reversed.prompt_cost),
        (1_000, 3_500_000_000, 3_500_000)
    );

    // A key sees what its own calls moved, also by pages, and no payments.
    let own = office.statement(Some(KEY), None, 1).await;
    assert_eq!((lines(&own), own.next), (vec![all[1].clone()], Some(4)));
    let own = office.statement(Some(KEY), own.next, 1).await;
    assert_eq!((lines(&own), own.next), (vec![all[3].clone()], None));
    assert_eq!(lines(&office.statement(Some(OTHER_KEY), None, 9).await), [all[2].clone()]);
    office.books.prove().await;
}

/// Also where calls were made in another order than they were charged, several in a millisecond, and some given back later.
#[tokio::test]
async fn the_pages_of_a_key_are_its_part_of_the_whole() {
    let office = Office::open().await;
    let mut chats = Vec::new();
    for number in 0..24_i64 {
        let key = if number % 3 == 0 { OTHER_KEY } else { KEY }.parse().unwrap();
        let charge = Charge { key, ..office.chat((1_000, 200), ("0.0035", "0.0021")) };
        let (moment, made) = (START.plus_ms(number / 4), START.plus_ms(-1_000 * number));
        chats.push(office.charged(office.tenant, moment, made, charge).await);
        if number % 5 == 4 {
            office
                .books
                .ledger
                .reverse_capture(chats[usize::try_from(number / 2).unwrap()], office.tenant)
                .await
                .unwrap();
        }
    }
    let whole = office.statement(None, None, 100).await.entries;
    assert_eq!(whole.len(), 1 + 24 + 4);
    for key in [KEY, OTHER_KEY] {
        let is_own = |entry: &&StatementEntry| entry.charge.as_ref().is_some_and(|charge| charge.key_id == key);
        let wanted: Vec<i64> = whole.iter().filter(is_own).map(|entry| entry.seq).collect();
        assert!(whole.iter().filter(is_own).any(|entry| entry.kind == "reversal"), "{key} was given nothing back");
        for limit in 1..=7 {
            let (mut found, mut before) = (Vec::new(), None);
            loop {
                let page = office.statement(Some(key), before, limit).await;
                assert!(page.entries.len() as i64 <= limit);
                found.extend(page.entries.iter().map(|entry| entry.seq));
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(found, wanted, "{key} by pages of {limit}");
        }
    }
}
