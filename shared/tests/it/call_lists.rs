//! Lists of calls and their totals: every filter, page by page in both directions, against a list that the test keeps itself.

use chrono_tz::Tz;
use diesel::connection::SimpleConnection as _;
use shared::calls::{self, CallExport, CallFilter, CallLog, CallPage, CallRecord, CallTotals, Status, StatusFilter};
use shared::clock::Timestamp;
use shared::db::Database;
use shared::id::{RequestId, TenantId};
use shared::ledger::{Capture, Charge, Ended, Hold, Reversal, SettlementOutcome};
use shared::money::Amount;
use shared::page::Cursor;
use shared::queue::{Endpoint, Try, TryOutcome, Way};
use shared::refusal::Reason;
use shared::rollups::{self, Rolled};

use crate::ledger::books::{Books, KEY, charge, request_at};
use crate::ledger::model::Random;

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_767_225_600_000);
const OTHER_KEY: &str = "BA9876543210";
const CALLS: u64 = 240;

struct Call {
    record: CallRecord,
    nanos: i64,
    is_charged: bool,
    is_given_back: bool,
}

struct Archive {
    books: Books,
    calls: Vec<Call>,
    random: Random,
    seed: u64,
}

impl Archive {
    /// Calls of some eight days, part of which are in the sums.
    async fn fill(seed: u64) -> Self {
        let books = Books::at(START).await;
        let log = CallLog::start(&books.database);
        let tenants = [books.tenant("one", 1_000_000_000).await, books.tenant("two", 1_000_000_000).await];
        let mut archive = Self { books, calls: Vec::new(), random: Random(seed), seed };
        for number in 0..CALLS {
            archive.call(tenants, number, &log).await;
            if number % 60 == 59 {
                while archive.roll().await == Rolled::Partly {}
            }
        }
        log.flush().await;
        archive.calls.sort_by_key(|call| call.record.request_id);
        archive
    }

    async fn roll(&self) -> Rolled {
        rollups::step(&self.books.database, Tz::Asia__Shanghai, self.books.clock.now()).await.unwrap()
    }

    async fn call(&mut self, tenants: [TenantId; 2], number: u64, log: &CallLog) {
        let Self { books, random, .. } = self;
        let pause = if random.below(20) == 0 { 12 * 3_600_000 } else { 40 * 60_000 };
        books.advance(random.below(pause).try_into().unwrap());
        let made_at = books.clock.now().plus_ms(i64::try_from(random.below(10) / 9 * 30_000).unwrap());
        let (tenant, request_id) = (tenants[random.index(2)], request_at(made_at, number));
        let nanos = i64::try_from(random.below(5_000)).unwrap() + 1;
        let key = [KEY, OTHER_KEY][random.index(2)].parse().unwrap();
        let model = ["gpt-4", "gpt-4", "gpt-4", "rare"][random.index(4)].to_owned();
        let end_user = [None, Some("ann"), Some("波波")][random.index(3)].map(str::to_owned);
        let status = match random.below(10) {
            0 => Status::CLIENT_LEFT,
            1 => Status::from(Reason::UpstreamError),
            2 => Status::from(Reason::Timeout),
            3 => Status::from(Reason::OutcomeUnknown),
            _ => Status::ANSWERED,
        };
        let hold = Hold { request_id, ..books.hold(tenant, nanos) };
        books.ledger.hold(hold).await.unwrap();
        // Some go on for hours, into another day; of some the process that made the id has a clock that is ahead.
        let longest = if random.below(10) == 0 { 4 * 3_600_000 } else { 20_000 };
        let ended_ms = i64::try_from(random.below(longest)).unwrap();
        books.advance(ended_ms);
        let is_charged = status == Status::ANSWERED || random.below(2) == 0;
        if is_charged {
            let charge = Charge { key, model: model.clone(), end_user: end_user.clone(), ..charge(nanos) };
            books.ledger.capture(Capture { request_id, account: tenant, charge, answer: None }).await.unwrap().unwrap();
        } else {
            books.ledger.end(request_id, tenant, Ended::Voided).await.unwrap().unwrap();
        }
        let is_given_back = is_charged && random.below(12) == 0;
        if is_given_back {
            let reversal = books.ledger.reverse_capture(request_id, tenant).await.unwrap();
            assert!(matches!(reversal, Reversal::Reversed(_)));
        }
        let tries = vec![Try { channel: "c".to_owned(), outcome: TryOutcome::Ok, ms: ended_ms, first_text_ms: None }];
        let record = CallRecord {
            request_id,
            tenant,
            key,
            endpoint: Endpoint::Chat,
            model,
            end_user,
            streamed: random.below(2) == 0,
            status,
            // Nothing is charged for a failure before any text.
            first_text_ms: (is_charged && status.code > 50_001).then_some(2),
            ended_ms,
            way: Way { queued_ms: Some(3), tries },
        };
        log.record(record.clone());
        self.calls.push(Call { record, nanos, is_charged, is_given_back });
    }

    fn filter(&mut self) -> CallFilter {
        let random = &mut self.random;
        let mut maybe = |share: u64| random.below(share) == 0;
        let (tenant, key, model, end_user, status) = (maybe(3), maybe(3), maybe(3), maybe(4), maybe(2));
        let (from, to) = (maybe(3), maybe(3));
        let one = self.calls[self.random.index(self.calls.len())].record.clone();
        let statuses =
            [StatusFilter::Answered, StatusFilter::Failed, StatusFilter::Code(50_200), StatusFilter::Code(49_900)];
        let mut moment = || {
            let at = self.calls[self.random.index(self.calls.len())].record.request_id.made_at();
            // Often at the beginning of a day.
            [at, Timestamp(at.0 - at.0.rem_euclid(86_400_000)), at.plus_ms(1)][self.random.index(3)]
        };
        CallFilter {
            tenant: tenant.then_some(one.tenant),
            key: key.then_some(one.key),
            model: model.then_some(one.model),
            end_user: end_user.then(|| one.end_user.unwrap_or_default()),
            from: from.then(&mut moment),
            to: to.then(&mut moment),
            status: status.then(|| statuses[self.random.index(4)]),
        }
    }

    /// Newest first.
    fn expected(&self, filter: &CallFilter) -> Vec<&Call> {
        let fits = |call: &&Call| {
            let CallRecord { tenant, key, model, end_user, status, request_id, .. } = &call.record;
            let received = request_id.made_at();
            filter.tenant.is_none_or(|wanted| wanted == *tenant)
                && filter.key.is_none_or(|wanted| wanted == *key)
                && filter.model.as_ref().is_none_or(|wanted| wanted == model)
                && filter.end_user.as_ref().is_none_or(|wanted| *wanted == end_user.clone().unwrap_or_default())
                && filter.from.is_none_or(|from| received >= from)
                && filter.to.is_none_or(|to| received < to)
                && match filter.status {
                    None => true,
                    Some(StatusFilter::Answered) => status.code == 0,
                    Some(StatusFilter::Failed) => status.code != 0,
                    Some(StatusFilter::Code(code)) => status.code == code,
                }
        };
        self.calls.iter().rev().filter(fits).collect()
    }

    async fn page(&self, filter: &CallFilter, cursor: Cursor<RequestId>, limit: usize) -> CallPage {
        let filter = filter.clone();
        self.books
            .database
            .read_records(move |connection| calls::list(connection, &filter, cursor, limit))
            .await
            .unwrap()
    }

    async fn totals(&self, filter: &CallFilter) -> CallTotals {
        let filter = filter.clone();
        self.books.database.read_records(move |connection| calls::totals(connection, &filter)).await.unwrap()
    }

    async fn check(&self, filter: &CallFilter) {
        let expected = self.expected(filter);
        let ids: Vec<RequestId> = expected.iter().map(|call| call.record.request_id).collect();
        let (mut cursor, mut seen, mut last) = (Cursor::First, Vec::new(), None);
        loop {
            let page = self.page(filter, cursor, 17).await;
            for row in &page.rows {
                let call = expected.iter().find(|call| call.record.request_id == row.request_id).unwrap();
                let charge = row.charge.map(|charge| (charge.amount.nanos(), charge.is_reversed));
                assert_eq!(charge, call.is_charged.then_some((call.nanos, call.is_given_back)));
                assert_eq!((row.status, row.word.as_str()), (call.record.status.code, call.record.status.word));
                assert_eq!((row.ended_ms, &row.tries), (call.record.ended_ms, &call.record.way.tries));
            }
            seen.extend(page.rows.iter().map(|row| row.request_id));
            last = page.rows.last().map(|row| row.request_id).or(last);
            match page.older {
                Some(older) => cursor = Cursor::Behind(older),
                None => break,
            }
        }
        assert_eq!(seen, ids, "seed {}: {filter:?}", self.seed);
        // And back again, from the oldest one.
        if let Some(last) = last {
            let mut back = vec![last];
            let mut next = Some(last);
            while let Some(newer) = next {
                let page = self.page(filter, Cursor::Before(newer), 17).await;
                assert!(page.older.is_some());
                back.extend(page.rows.iter().rev().map(|row| row.request_id));
                next = page.newer;
            }
            back.reverse();
            assert_eq!(back, ids, "seed {}: {filter:?}, from the oldest", self.seed);
        }
        let answered = expected.iter().filter(|call| call.record.status == Status::ANSWERED).count();
        let paid = expected.iter().filter(|call| call.is_charged && !call.is_given_back).map(|call| call.nanos).sum();
        let count = |number: usize| i64::try_from(number).unwrap();
        let totals = CallTotals {
            calls: count(ids.len()),
            answered: count(answered),
            failed: count(ids.len() - answered),
            prompt_tokens: paid,
            completion_tokens: 0,
            images: 0,
            amount: Amount::from_nanos(paid),
            known_from: None,
        };
        assert_eq!(self.totals(filter).await, totals, "seed {}: {filter:?}", self.seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_filter_finds_its_calls_and_sums_them() {
    let given = std::env::var_os("XIAOYI_TEST_SEED").map(|seed| seed.to_str().unwrap().parse::<u64>().unwrap());
    let seed = given.unwrap_or_else(|| u64::from_be_bytes(RequestId::new().as_bytes()[8..].try_into().unwrap()) >> 16);
    let mut archive = Archive::fill(seed).await;
    archive.check(&CallFilter::default()).await;
    for _ in 0..60 {
        let filter = archive.filter();
        archive.check(&filter).await;
    }
    let nobody = CallFilter { tenant: Some(TenantId(9_999)), ..CallFilter::default() };
    archive.check(&nobody).await;

    let mut export = CallExport::new(&archive.books.database, CallFilter::default());
    let mut exported = 0;
    while let Some(rows) = export.next().await.unwrap() {
        exported += rows.len();
    }
    assert_eq!(exported, archive.calls.len());
    assert!(export.next().await.unwrap().is_none());
}

/// An installation of before the days knew which calls named no end user.
#[tokio::test]
async fn what_was_counted_without_end_users_is_counted_again() {
    let archive = Archive::fill(7).await;
    let unnamed = CallFilter { end_user: Some(String::new()), ..CallFilter::default() };
    let days = "SELECT day_start || ' ' || tenant || ' ' || key_id || ' ' || model || ' ' || status || ' ' || calls || ' ' || unnamed AS word \
        FROM call_days ORDER BY day_start, tenant, key_id, model, status";
    let before = archive.books.words(days);
    archive.check(&unnamed).await;
    let older = "ALTER TABLE call_days DROP COLUMN unnamed; DELETE FROM __diesel_schema_migrations WHERE version = '20261128000018'";
    archive.books.bare_connection().batch_execute(older).unwrap();
    let (_, migrations) = Database::open_or_create(archive.books.database.url()).unwrap();
    assert!(migrations > 0);
    assert_eq!(archive.books.words(days), before);
    archive.check(&unnamed).await;
}

#[tokio::test]
async fn calls_are_counted_also_where_their_costs_are_forgotten() {
    let archive = Archive::fill(8).await;
    while archive.roll().await == Rolled::Partly {}
    let now = archive.books.clock.now();
    archive.books.database.write(move |connection| rollups::purge(connection, 3, now)).await.unwrap();
    let unnamed = CallFilter { end_user: Some(String::new()), ..CallFilter::default() };
    let totals = archive.totals(&unnamed).await;
    assert_eq!(totals.calls, i64::try_from(archive.expected(&unnamed).len()).unwrap());
    assert!(totals.known_from.is_some());
    let since = CallFilter { from: totals.known_from, ..unnamed.clone() };
    archive.check(&since).await;
    let known = archive.totals(&since).await;
    assert!(0 < known.calls && known.calls < totals.calls);
    assert_eq!(totals.amount, known.amount);
    // What failed is read from the calls themselves.
    let failed = CallFilter { status: Some(StatusFilter::Failed), ..unnamed };
    archive.check(&failed).await;
}

#[tokio::test]
async fn one_call_has_all_that_is_known_of_it() {
    let archive = Archive::fill(5).await;
    let detail = |request_id| {
        let database = archive.books.database.clone();
        async move { database.read_records(move |connection| calls::detail(connection, request_id)).await.unwrap() }
    };
    for call in &archive.calls {
        let found = detail(call.record.request_id).await.unwrap();
        assert_eq!((found.request_id, found.tenant), (call.record.request_id, call.record.tenant));
        assert_eq!((found.hold.amount.nanos(), found.hold.price_version), (call.nanos, 1));
        let settlement = found.settlement.unwrap();
        let outcome = if call.is_charged { SettlementOutcome::Captured } else { SettlementOutcome::Voided };
        assert_eq!(
            (settlement.outcome, settlement.amount.nanos()),
            (outcome, if call.is_charged { call.nanos } else { 0 })
        );
        assert_eq!(found.charge.map(|charge| charge.prompt_cost), call.is_charged.then_some(call.nanos));
        assert_eq!(found.line.is_some(), call.is_charged);
        assert_eq!(found.reversal.map(|reversal| reversal.amount.nanos()), call.is_given_back.then_some(call.nanos));
        assert_eq!(found.row.unwrap().channel.as_deref(), Some("c"));
    }
    // One that is under way, and one that never was.
    let open = archive.books.held(archive.calls[0].record.tenant, 5).await;
    let found = detail(open).await.unwrap();
    assert!(found.row.is_none() && found.settlement.is_none() && found.charge.is_none() && found.line.is_none());
    assert!(detail(RequestId::new()).await.is_none());
}

#[tokio::test]
async fn pages_end_where_they_should() {
    let archive = Archive::fill(6).await;
    let all = CallFilter::default();
    let count = archive.calls.len();
    let whole = archive.page(&all, Cursor::First, count).await;
    assert_eq!((whole.rows.len(), whole.older, whole.newer), (count, None, None));
    let most = archive.page(&all, Cursor::First, count - 1).await;
    assert_eq!((most.older, most.newer), (Some(whole.rows[count - 2].request_id), None));
    let rest = archive.page(&all, Cursor::Behind(most.older.unwrap()), 9).await;
    assert_eq!(rest.rows, whole.rows[count - 1..]);
    assert_eq!((rest.older, rest.newer), (None, Some(whole.rows[count - 1].request_id)));
    let beyond = archive.page(&all, Cursor::Behind(whole.rows[count - 1].request_id), 9).await;
    assert!(beyond.rows.is_empty() && beyond.older.is_none());
    let back = archive.page(&all, Cursor::Before(beyond.newer.unwrap()), 1).await;
    assert_eq!(back.rows, whole.rows[count - 1..], "the way back from behind the end leads to the last one");
    let newest = archive.page(&all, Cursor::Before(whole.rows[0].request_id), 9).await;
    assert!(newest.rows.is_empty() && newest.newer.is_none());
    let again = archive.page(&all, Cursor::Behind(newest.older.unwrap()), 1).await;
    assert_eq!(again.rows, whole.rows[..1]);
}
