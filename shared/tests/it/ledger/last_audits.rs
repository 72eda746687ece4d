//! What audits found is kept, and a violation stands until an audit of the whole ledger finds nothing.

use shared::clock::Timestamp;
use shared::ledger::{self, AuditReport, AuditScope, LastAudits, Violation};

use super::books::Books;
use super::scene::Scene;

async fn keep(books: &Books, violations: usize, scope: AuditScope, at: i64) {
    let violation = |number| Violation {
        check: "held_is_open_holds",
        subject: format!("account {number}"),
        detail: "5 is not 6".to_owned(),
    };
    let violations: Vec<Violation> = (0..violations).map(violation).collect();
    let report = AuditReport { ok: violations.is_empty(), violations, lines: 7, transfers: 8, requests: 9 };
    let kept = books.database.write(move |connection| ledger::keep_audit(connection, &report, scope, Timestamp(at)));
    kept.await.unwrap();
}

async fn last(books: &Books) -> LastAudits {
    books.database.read(ledger::last_audits).await.unwrap()
}

#[tokio::test]
async fn a_violation_stands_until_the_whole_ledger_is_right() {
    let scene = Scene::set().await;
    let books = &scene.books;
    assert_eq!(last(books).await, LastAudits::default());

    keep(books, 0, AuditScope::News, 1).await;
    let found = last(books).await;
    let newest = found.newest.unwrap();
    assert_eq!((newest.at, newest.scope, newest.violations), (Timestamp(1), AuditScope::News, 0));
    assert_eq!((newest.lines, newest.transfers, newest.requests), (7, 8, 9));
    assert_eq!(found.standing, None);

    keep(books, 30, AuditScope::News, 2).await;
    keep(books, 0, AuditScope::News, 3).await;
    let found = last(books).await;
    let standing = found.standing.unwrap();
    assert_eq!((standing.at, standing.violations, standing.first.len()), (Timestamp(2), 30, 20));
    assert_eq!(standing.first[3].subject, "account 3");
    assert_eq!(found.newest.unwrap().at, Timestamp(3));

    keep(books, 0, AuditScope::Whole, 4).await;
    assert_eq!(last(books).await.standing, None);
    keep(books, 1, AuditScope::Whole, 5).await;
    assert_eq!(last(books).await.standing.unwrap().at, Timestamp(5));
}
