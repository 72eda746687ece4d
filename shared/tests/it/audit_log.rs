//! The audit log: what is kept of a change, and how it is found again. That it cannot be altered, the attacks on the ledger's tables show.

use rstest::rstest;
use serde_json::json;
use shared::audit_log::{self, Actor, Entry, Filter, Origin, Record};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::id::{StaffId, TenantId};
use shared::page::{Cursor, Page};
use shared::tenant;

use crate::ledger::books::{Books, KEY};

const START: Timestamp = Timestamp(1_767_225_600_000);

fn ann() -> Origin {
    let actor = Actor::Staff { id: StaffId(7), email: "ann@example.com".to_owned() };
    Origin { actor, address: Some("2001:db8::1".parse().unwrap()) }
}

fn holder() -> Origin {
    Origin { actor: Actor::Key(KEY.parse().unwrap()), address: Some("192.0.2.1".parse().unwrap()) }
}

fn entry(action: &'static str, subject: &'static str, tenant: Option<i64>) -> Entry<'static> {
    Entry { action, tenant: tenant.map(TenantId), subject, before: None, after: None }
}

async fn record(books: &Books, origin: Origin, entry: Entry<'static>) {
    let now = books.clock.now();
    let write = move |connection: &mut Connection| audit_log::record(connection, &origin, &entry, now);
    books.database.write::<_, DbError, _>(write).await.unwrap();
}

async fn page(books: &Books, filter: Filter, before: Option<i64>, limit: usize) -> Vec<Record> {
    page_at(books, filter, before.into(), limit).await.rows
}

async fn page_at(books: &Books, filter: Filter, cursor: Cursor<i64>, limit: usize) -> Page<Record> {
    let read = move |connection: &mut Connection| audit_log::page(connection, &filter, cursor, limit);
    books.database.read(read).await.unwrap()
}

/// Seven entries, a second apart.
async fn written() -> Books {
    let books = Books::at(START).await;
    for (origin, entry) in [
        (ann(), entry("tenant.create", "acme", Some(1001))),
        (ann(), entry("key.issue", KEY, Some(1001))),
        (holder(), entry("key.rotate", KEY, Some(1001))),
        (Origin::COMMAND_LINE, entry("key.revoke", KEY, Some(1001))),
        (Origin::COMMAND_LINE, entry("top_up", "invoice-7", Some(1002))),
        (Origin::SERVICE, entry("topping", "100%", None)),
        (ann(), entry("staff.invite", "bob@example.com", None)),
    ] {
        record(&books, origin, entry).await;
        books.advance(1_000);
    }
    books
}

#[tokio::test]
async fn an_entry_comes_back_as_it_was_written() {
    let books = Books::at(START).await;
    let before = json!({"suspended_at": null, "note": "</script> ' \" \u{202e} 😀"});
    let after = json!({"suspended_at": "2026-01-01T00:00:00.000Z", "list": [1, {"a": 0.5}]});
    let (kept_before, kept_after) = (before.clone(), after.clone());
    let subject = "acme 名前 ' \"";
    let write = move |connection: &mut Connection| {
        let entry = Entry {
            action: "tenant.suspend",
            tenant: Some(TenantId(1001)),
            subject,
            before: Some(kept_before),
            after: Some(kept_after),
        };
        audit_log::record(connection, &ann(), &entry, START)
    };
    books.database.write::<_, DbError, _>(write).await.unwrap();
    let expected = Record {
        id: 1,
        at: START,
        origin: ann(),
        action: "tenant.suspend".to_owned(),
        tenant: Some(TenantId(1001)),
        subject: subject.to_owned(),
        before: Some(before),
        after: Some(after),
    };
    assert_eq!(page(&books, Filter::default(), None, 10).await, [expected]);
}

#[rstest]
#[case::all(Filter::default(), &[7, 6, 5, 4, 3, 2, 1])]
#[case::person(Filter { actor: Some("ann@example.com".into()), ..Filter::default() }, &[7, 2, 1])]
#[case::key(Filter { actor: Some(KEY.into()), ..Filter::default() }, &[3])]
#[case::command_line(Filter { actor: Some("command line".into()), ..Filter::default() }, &[5, 4])]
#[case::service(Filter { actor: Some("service".into()), ..Filter::default() }, &[6])]
#[case::nobody(Filter { actor: Some("ann".into()), ..Filter::default() }, &[])]
#[case::actions(Filter { action: Some("key.".into()), ..Filter::default() }, &[4, 3, 2])]
#[case::one_action(Filter { action: Some("key.revoke".into()), ..Filter::default() }, &[4])]
#[case::no_wildcard(Filter { action: Some("top_".into()), ..Filter::default() }, &[5])]
#[case::no_wildcard_either(Filter { action: Some("%".into()), ..Filter::default() }, &[])]
#[case::tenant(Filter { tenant: Some(TenantId(1001)), ..Filter::default() }, &[4, 3, 2, 1])]
#[case::subject(Filter { subject: Some(KEY.into()), ..Filter::default() }, &[4, 3, 2])]
#[case::from(Filter { from: Some(START.plus_ms(5_000)), ..Filter::default() }, &[7, 6])]
#[case::to(Filter { to: Some(START.plus_ms(1_000)), ..Filter::default() }, &[1])]
#[case::together(
    Filter {
        actor: Some("ann@example.com".into()),
        action: Some("key".into()),
        tenant: Some(TenantId(1001)),
        subject: Some(KEY.into()),
        from: Some(START),
        to: Some(START.plus_ms(10_000)),
    },
    &[2],
)]
#[tokio::test]
async fn a_filter_gives_what_it_says(#[case] filter: Filter, #[case] expected: &[i64]) {
    let books = written().await;
    let ids: Vec<i64> = page(&books, filter, None, 100).await.iter().map(|record| record.id).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn pages_follow_each_other_while_entries_come_in() {
    let books = written().await;
    let filter = || Filter { tenant: Some(TenantId(1001)), ..Filter::default() };
    let first = page(&books, filter(), None, 3).await;
    record(&books, ann(), entry("key.issue", "later", Some(1001))).await;
    let second = page(&books, filter(), first.last().map(|record| record.id), 3).await;
    let ids: Vec<i64> = first.iter().chain(&second).map(|record| record.id).collect();
    assert_eq!(ids, [4, 3, 2, 1]);
    // And back, where one has come meanwhile.
    let back = page_at(&books, filter(), Cursor::Before(second[0].id), 3).await;
    assert_eq!((&back.rows, back.has_before, back.has_more), (&first, true, true));
    let newest = page_at(&books, filter(), Cursor::Before(first[0].id), 3).await;
    assert_eq!((newest.rows.len(), newest.has_before), (1, false));
}

#[tokio::test]
async fn a_change_that_fails_leaves_no_entry() {
    let books = Books::at(START).await;
    let twice = move |connection: &mut Connection| {
        tenant::create(connection, "acme", START)?;
        audit_log::record(connection, &Origin::COMMAND_LINE, &entry("tenant.create", "acme", None), START)?;
        tenant::create(connection, "acme", START)?;
        Ok::<_, tenant::TenantError>(())
    };
    books.database.write(twice).await.unwrap_err();
    assert_eq!(page(&books, Filter::default(), None, 10).await, []);
}

#[tokio::test]
async fn two_processes_number_their_entries_one_after_the_other() {
    let books = Books::at(START).await;
    let other = books.another_process(books.database.url());
    let writes = (0..20).map(|number| {
        let books = if number % 2 == 0 { &books } else { &other };
        record(books, ann(), entry("key.issue", KEY, Some(1001)))
    });
    crate::ledger::books::in_order(writes.collect(), || {}).await;
    let ids: Vec<i64> = page(&books, Filter::default(), None, 100).await.iter().map(|record| record.id).collect();
    assert!(ids.into_iter().rev().eq(1..=20));
}
