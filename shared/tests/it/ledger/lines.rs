//! What was booked, of all and of one, by kind, reference and time, page by page.

use shared::clock::Timestamp;
use shared::id::{RequestId, TenantId, TransferId};
use shared::ledger::{self, LedgerLine, LineExport, LineFilter, LineKind, LinePage};
use shared::page::Cursor;

use super::books::{Books, capture, top_up};

/// 2026-12-01T00:00:00Z, later than ids that are made while the test runs would be in a filter's way.
fn now() -> Timestamp {
    shared::clock::Clock::System.now()
}

struct Journal {
    books: Books,
    rich: TenantId,
    poor: TenantId,
}

impl Journal {
    /// Payments and charges of two, one of which was given back and one above all that was there.
    async fn write() -> Self {
        let books = Books::at(now()).await;
        let (rich, poor) = (books.tenant("rich", 1_000_000).await, books.tenant("poor", 1_000).await);
        for number in 0..20_i64 {
            books.advance(60_000);
            let request = books.held(rich, 100).await;
            books.ledger.capture(capture(request, rich, 50 + number)).await.unwrap().unwrap();
        }
        let request = books.held(rich, 100).await;
        books.ledger.capture(capture(request, rich, 9)).await.unwrap().unwrap();
        books.ledger.reverse_capture(request, rich).await.unwrap();
        let request = books.held(poor, 1_000).await;
        books.ledger.capture(capture(request, poor, 1_500)).await.unwrap().unwrap();
        books.advance(3_600_000);
        books.ledger.top_up(top_up(poor, 2_000, "INV_100% Über")).await.unwrap();
        books.ledger.top_up(top_up(rich, 3_000, "inv-2")).await.unwrap();
        Self { books, rich, poor }
    }

    async fn page(&self, filter: &LineFilter, cursor: Cursor<TransferId>, limit: usize) -> LinePage {
        let filter = filter.clone();
        self.books
            .database
            .read_records(move |connection| ledger::lines(connection, &filter, cursor, limit))
            .await
            .unwrap()
    }

    /// All of a filter, by pages of three in one direction and then in the other.
    async fn all(&self, filter: &LineFilter) -> Vec<LedgerLine> {
        let (mut cursor, mut seen) = (Cursor::First, Vec::new());
        loop {
            let page = self.page(filter, cursor, 3).await;
            seen.extend(page.lines);
            match page.older {
                Some(older) => cursor = Cursor::Behind(older),
                None => break,
            }
        }
        let mut next = seen.last().map(|line| line.id);
        let mut back: Vec<LedgerLine> = seen.last().cloned().into_iter().collect();
        while let Some(newer) = next {
            let page = self.page(filter, Cursor::Before(newer), 3).await;
            back.extend(page.lines.iter().rev().cloned());
            next = page.newer;
        }
        back.reverse();
        assert_eq!(back, seen, "{filter:?}, from the oldest");
        seen
    }

    async fn kinds(&self, filter: LineFilter) -> Vec<String> {
        let lines = self.all(&filter).await;
        let kinds = |line: &LedgerLine| format!("{} {}", line.kind, line.delta.unwrap_or(line.amount).nanos());
        lines.iter().map(kinds).collect()
    }
}

fn of(kind: LineKind) -> LineFilter {
    LineFilter { kind: Some(kind), ..LineFilter::default() }
}

#[tokio::test]
async fn every_filter_finds_its_lines() {
    let journal = Journal::write().await;
    let Journal { books, rich, poor } = &journal;
    let all = journal.all(&LineFilter::default()).await;
    assert_eq!(all.len(), 2 + 20 + 2 + 2 + 2, "payments, charges, one given back, one written off; no openings");
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id));

    let of_rich = LineFilter { tenant: Some(*rich), ..LineFilter::default() };
    let lines = journal.all(&of_rich).await;
    assert_eq!(lines.iter().map(|line| line.seq.unwrap()).collect::<Vec<_>>(), (1..=24).rev().collect::<Vec<_>>());
    assert!(lines.windows(2).all(|pair| {
        pair[0].balance.unwrap().nanos() == pair[1].balance.unwrap().nanos() + pair[0].delta.unwrap().nanos()
    }));
    let given_back = &lines[1];
    assert_eq!((given_back.kind.as_str(), given_back.reverses), ("reversal", Some(lines[2].id)));
    assert_eq!(lines[2].reversed_by, Some(given_back.id));

    assert_eq!(journal.kinds(of(LineKind::WriteOff)).await, ["write_off 500"]);
    assert_eq!(journal.kinds(of(LineKind::Reversal)).await, ["reversal 9"]);
    let payments = ["top_up 3000", "top_up 2000", "top_up 1000", "top_up 1000000"];
    assert_eq!(journal.kinds(of(LineKind::TopUp)).await, payments);
    assert_eq!(journal.all(&of(LineKind::Capture)).await.len(), 22);
    let of_poor = |kind| LineFilter { tenant: Some(*poor), ..of(kind) };
    assert_eq!(journal.kinds(of_poor(LineKind::WriteOff)).await, ["write_off 500"]);
    assert_eq!(journal.kinds(of_poor(LineKind::TopUp)).await, ["top_up 2000", "top_up 1000"]);
    assert_eq!(journal.kinds(of_poor(LineKind::Capture)).await, ["capture -1000"]);
    assert_eq!(journal.kinds(of_poor(LineKind::Reversal)).await, [""; 0]);

    let named = |text: &str| LineFilter { reference: Some(text.to_owned()), ..LineFilter::default() };
    assert_eq!(journal.kinds(named("inv")).await, ["top_up 3000", "top_up 2000"]);
    assert_eq!(journal.kinds(named("_100%")).await, ["top_up 2000"]);
    assert_eq!(journal.kinds(named("%")).await, ["top_up 2000"], "a sign of patterns stands for itself");
    assert_eq!(journal.kinds(LineFilter { tenant: Some(*rich), ..named("INV") }).await, ["top_up 3000"]);

    // The hour before the last payments, of all and of one.
    let (from, to) = (Some(books.clock.now().plus_ms(-3_600_001)), Some(books.clock.now()));
    let before = LineFilter { from, to, ..LineFilter::default() };
    assert_eq!(journal.all(&before).await.len(), 5, "the last charges and what followed");
    assert_eq!(journal.all(&LineFilter { tenant: Some(*rich), ..before.clone() }).await.len(), 3);
    let since = LineFilter { from: Some(books.clock.now()), ..LineFilter::default() };
    assert_eq!(journal.kinds(since.clone()).await, ["top_up 3000", "top_up 2000"]);
    assert_eq!(journal.kinds(LineFilter { tenant: Some(*rich), ..since }).await, ["top_up 3000"]);

    let mut export = LineExport::new(&books.database, LineFilter::default());
    assert_eq!(export.next().await.unwrap().unwrap(), all);
    assert!(export.next().await.unwrap().is_none());

    let line = |id| books.database.read_records(move |connection| ledger::line(connection, id));
    assert_eq!(line(all[0].id).await.unwrap().as_ref(), Some(&all[0]));
    assert_eq!(line(RequestId::new()).await.unwrap(), None);
}
