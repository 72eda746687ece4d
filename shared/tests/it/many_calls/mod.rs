//! A database of many calls: every list, total, search and dashboard answers in a moment, and reads no table from end to end.
//!
//! By itself it has 30,000; `scripts/records.sh` runs it with a million, on both engines, and shows the table of times.

mod load;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::calls::{self, CallFilter, StatusFilter};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::id::{RequestId, TransferId};
use shared::ledger::{self, LineFilter, LineKind};
use shared::page::Cursor;
use shared::rollups::{self, By, Step, UsageFilter};
use shared::search;
use shared::top_ups::{self, TopUpFilter};

use self::load::{DAYS, Load, TENANTS};
use crate::place;

/// How many calls, when the environment says nothing else.
const CALLS: i64 = 30_000;
/// From so many on PostgreSQL goes through an index whenever it can.
const MANY: i64 = 500_000;
const VARIABLE: &str = "XIAOYI_RECORDS_CALLS";
/// Where the table of times is written to, if anywhere.
const REPORT: &str = "XIAOYI_RECORDS_REPORT";
/// What the slowest may take, at best of three: other work of the machine is not its own.
const MOST: Duration = Duration::from_millis(200);
const PAGE: usize = 50;
/// Groups of a page of sums, and of a piece of a file of them.
const GROUPS: usize = 200;
const PIECE: usize = 10_000;
const DAY_MS: i64 = 86_400_000;
/// Tables with a row, or more, for each call.
const LARGE: [&str; 6] = ["calls", "holds", "settlements", "transfers", "lines", "charges"];
/// One that may have as many, of which PostgreSQL reads all where that is nearly what is asked for.
const SUMS: &str = "usage_sums";

/// What they are called in statements that name more than one table.
const ALIASES: [&str; 6] = ["c", "h", "l", "r", "s", "x"];

type Ask = Box<dyn Fn(&mut Connection) -> Result<usize, DbError> + Send + Sync>;

/// Questions of people, each with whether its answer must not be empty.
struct Questions(Vec<(String, Arc<Ask>)>);

impl Questions {
    fn ask(
        &mut self,
        name: impl Into<String>,
        ask: impl Fn(&mut Connection) -> Result<usize, DbError> + Send + Sync + 'static,
    ) {
        self.0.push((name.into(), Arc::new(Box::new(ask))));
    }

    fn list(&mut self, name: &str, filter: CallFilter, cursor: Cursor<RequestId>) {
        let wanted = filter.clone();
        self.ask(format!("calls: {name}"), move |connection| {
            Ok(calls::list(connection, &wanted, cursor, PAGE)?.rows.len())
        });
        if cursor == Cursor::First {
            self.ask(format!("totals: {name}"), move |connection| {
                Ok(usize::try_from(calls::totals(connection, &filter)?.calls).unwrap())
            });
        }
    }

    fn lines(&mut self, name: &str, filter: LineFilter, cursor: Cursor<TransferId>) {
        if cursor == Cursor::First {
            let summed = filter.clone();
            self.ask(format!("ledger sums: {name}"), move |connection| {
                Ok(ledger::line_sums(connection, &summed)?.sums.len())
            });
        }
        self.ask(format!("ledger: {name}"), move |connection| {
            Ok(ledger::lines(connection, &filter, cursor, PAGE)?.lines.len())
        });
    }

    fn usage(&mut self, name: &str, filter: UsageFilter, period: (Timestamp, Timestamp), by: By) {
        self.ask(format!("usage: {name}"), move |connection| {
            Ok(rollups::usage(connection, &filter, period, by)?.rows.len())
        });
    }

    fn largest(&mut self, name: &str, filter: UsageFilter, period: (Timestamp, Timestamp), by: By) {
        self.ask(format!("usage: {name}, the largest"), move |connection| {
            Ok(rollups::largest(connection, &filter, period, by, GROUPS)?.rows.len())
        });
    }
}

fn all_questions(load: &Load) -> Questions {
    let (from, to) = (load.from, load.to);
    let zone = chrono_tz::Asia::Shanghai;
    let mut questions = Questions(Vec::new());
    let (big, small) = (Load::tenant(0), Load::tenant(TENANTS - 1));
    let (big_key, small_key) = (Load::key(0, 1), Load::key(TENANTS - 1, 2));
    let month = |filter: CallFilter| CallFilter {
        from: Some(from.plus_ms(9 * DAY_MS + 1)),
        to: Some(from.plus_ms(39 * DAY_MS)),
        ..filter
    };
    let middle = load.call(load.calls / 2);

    let everything = CallFilter::default();
    let of = |tenant| CallFilter { tenant: Some(tenant), ..CallFilter::default() };
    let with_key = |key| CallFilter { key: Some(key), ..CallFilter::default() };
    let with_model = |model: &str, filter: CallFilter| CallFilter { model: Some(model.to_owned()), ..filter };
    let with_status = |status, filter: CallFilter| CallFilter { status: Some(status), ..filter };
    let with_user = |filter: CallFilter| CallFilter { end_user: Some("user 41".to_owned()), ..filter };
    let without_user = |filter: CallFilter| CallFilter { end_user: Some(String::new()), ..filter };
    for (name, filter) in [
        ("all", everything.clone()),
        ("a month", month(everything.clone())),
        ("a large tenant", of(big)),
        ("a large tenant, a month", month(of(big))),
        ("a small tenant", of(small)),
        ("a key of a large tenant", with_key(big_key)),
        ("a key of a small tenant", with_key(small_key)),
        ("a model", with_model("gpt-4", everything.clone())),
        ("a rare model", with_model("rare", everything.clone())),
        ("a rare model, a month", month(with_model("rare", everything.clone()))),
        ("a rare model of a large tenant", with_model("rare", of(big))),
        ("a rare model of a key", with_model("rare", with_key(big_key))),
        ("a model that there is not", with_model("none", everything.clone())),
        ("a model that a large tenant does not have", with_model("none", of(big))),
        ("answered", with_status(StatusFilter::Answered, everything.clone())),
        ("answered, a large tenant", with_status(StatusFilter::Answered, of(big))),
        ("failed", with_status(StatusFilter::Failed, everything.clone())),
        ("failed, a large tenant", with_status(StatusFilter::Failed, of(big))),
        ("timeouts, a small tenant", with_status(StatusFilter::Code(50_400), of(small))),
        ("timeouts of a key, a month", month(with_status(StatusFilter::Code(50_400), with_key(big_key)))),
        ("a code that there is not", with_status(StatusFilter::Code(50_300), everything.clone())),
        ("an end user", with_user(everything.clone())),
        ("an end user of a large tenant", with_user(of(big))),
        ("without an end user", without_user(everything.clone())),
        ("without an end user, a small tenant", without_user(of(small))),
        ("without an end user, a month", month(without_user(everything.clone()))),
        ("without an end user, answered", with_status(StatusFilter::Answered, without_user(everything.clone()))),
        ("without an end user, failed", with_status(StatusFilter::Failed, without_user(everything.clone()))),
        ("without an end user, failed, a large tenant", with_status(StatusFilter::Failed, without_user(of(big)))),
        ("without an end user, a key, a month", month(without_user(with_key(big_key)))),
        ("an end user, failed", with_status(StatusFilter::Failed, with_user(everything.clone()))),
    ] {
        questions.list(name, filter.clone(), Cursor::First);
        questions.list(&format!("{name}, older"), filter.clone(), Cursor::Behind(middle));
        questions.list(&format!("{name}, newer"), filter, Cursor::Before(middle));
    }
    questions.ask("one call", move |connection| Ok(calls::detail(connection, middle)?.into_iter().count()));
    let last_day = to.plus_ms(-DAY_MS);
    questions.ask("channels, a day", move |connection| Ok(calls::channel_health(connection, last_day)?.len()));

    let lines_of = |tenant| LineFilter { tenant: Some(tenant), ..LineFilter::default() };
    let a_month = |filter: LineFilter| LineFilter {
        from: Some(from.plus_ms(9 * DAY_MS)),
        to: Some(from.plus_ms(39 * DAY_MS)),
        ..filter
    };
    let of_kind = |kind, filter: LineFilter| LineFilter { kind: Some(kind), ..filter };
    let with_reference = |text: &str| LineFilter { reference: Some(text.to_owned()), ..LineFilter::default() };
    for (name, filter) in [
        ("all", LineFilter::default()),
        ("a month", a_month(LineFilter::default())),
        ("a large tenant", lines_of(big)),
        ("a large tenant, a month", a_month(lines_of(big))),
        ("a small tenant", lines_of(small)),
        ("charges of a large tenant", of_kind(LineKind::Capture, lines_of(big))),
        ("payments", of_kind(LineKind::TopUp, LineFilter::default())),
        ("payments of a large tenant", of_kind(LineKind::TopUp, lines_of(big))),
        ("given back", of_kind(LineKind::Reversal, LineFilter::default())),
        ("written off, a large tenant", of_kind(LineKind::WriteOff, lines_of(big))),
        ("charges", of_kind(LineKind::Capture, LineFilter::default())),
        ("charges of a month", a_month(of_kind(LineKind::Capture, LineFilter::default()))),
        ("written off", of_kind(LineKind::WriteOff, LineFilter::default())),
        ("a reference", with_reference("2026-00042")),
        ("a reference that there is not", with_reference("nothing")),
    ] {
        questions.lines(name, filter.clone(), Cursor::First);
        questions.lines(&format!("{name}, older"), filter.clone(), Cursor::Behind(middle));
        questions.lines(&format!("{name}, newer"), filter, Cursor::Before(middle));
    }

    for (name, whose, key) in [
        ("a large tenant", big, None),
        ("a small tenant", small, None),
        ("a key of a large tenant", big, Some(big_key)),
        ("a key of a small tenant", small, Some(small_key)),
        ("a key that never called", big, Some(Load::key(0, 99))),
    ] {
        for (place, before) in [("", None), (", older", Some(load.calls / 100))] {
            questions.ask(format!("statement: {name}{place}"), move |connection| {
                Ok(ledger::statement(connection, whose, key, before, 50)?.entries.len())
            });
        }
    }

    let (payments, payment) = (TopUpFilter::default(), load.payment());
    for (name, filter) in [
        ("all", payments.clone()),
        ("a month", TopUpFilter { from: Some(to.plus_ms(-30 * DAY_MS)), to: Some(to), ..payments.clone() }),
        ("a large tenant", TopUpFilter { tenant: Some(big), ..payments.clone() }),
        ("a reference", TopUpFilter { reference: "2026-00042".to_owned(), ..payments }),
    ] {
        for (place, cursor) in
            [("", Cursor::First), (", older", Cursor::Behind(payment)), (", newer", Cursor::Before(payment))]
        {
            let filter = filter.clone();
            questions.ask(format!("top-ups: {name}{place}"), move |connection| {
                Ok(top_ups::page(connection, &filter, cursor, PAGE)?.rows.len())
            });
        }
        questions.ask(format!("top-up sums: {name}"), move |connection| {
            Ok(usize::try_from(top_ups::sums(connection, &filter)?.count).unwrap())
        });
    }

    questions.ask("the house's balances", |connection| {
        let house = ledger::house_balances(connection)?;
        Ok([house.cash, house.revenue, house.write_off].into_iter().flatten().count())
    });

    let always = (Timestamp(0), to.plus_ms(DAY_MS));
    let odd_month = (from.plus_ms(9 * DAY_MS + 12_345), from.plus_ms(39 * DAY_MS + 54_321));
    let usage_of = |tenant| UsageFilter { tenant: Some(tenant), ..UsageFilter::default() };
    for (times, period) in [("always", always), ("a month", odd_month)] {
        for (whose, filter) in [
            ("all", UsageFilter::default()),
            ("a large tenant", usage_of(big)),
            ("a small tenant", usage_of(small)),
            ("a key", UsageFilter { key: Some(big_key), ..usage_of(big) }),
            ("a model", UsageFilter { model: Some("gpt-4".to_owned()), ..UsageFilter::default() }),
            ("an end user", UsageFilter { end_user: Some("user 41".to_owned()), ..usage_of(big) }),
        ] {
            for (what, by) in [("day", By::Day(zone)), ("model", By::Model), ("key", By::Key), ("tenant", By::Tenant)] {
                questions.usage(&format!("{whose} by {what}, {times}"), filter.clone(), period, by);
            }
        }
        for (whose, filter) in [("a large tenant", usage_of(big)), ("a small tenant", usage_of(small))] {
            questions.usage(&format!("{whose} by end user, {times}"), filter.clone(), period, By::User);
            questions.largest(&format!("{whose} by end user, {times}"), filter.clone(), period, By::User);
            questions.ask(format!("usage: {whose} by end user, {times}, a piece of a file"), move |connection| {
                let piece = (Some("user 3"), PIECE);
                Ok(rollups::usage_behind(connection, &filter, period, By::User, piece)?.rows.len())
            });
        }
        let without_user = UsageFilter { end_user: Some(String::new()), ..UsageFilter::default() };
        questions.usage(&format!("without an end user by model, {times}"), without_user, period, By::Model);
        for (what, by) in [("model", By::Model), ("key", By::Key), ("tenant", By::Tenant)] {
            questions.largest(&format!("all by {what}, {times}"), UsageFilter::default(), period, by);
        }
    }
    // Of all tenants, the panel sums end users over a month at most.
    questions.largest("all by end user, a month", UsageFilter::default(), odd_month, By::User);
    for (name, begin, step) in [
        ("an hour", to.plus_ms(-3_600_000), Step::Quarter),
        ("a day", to.plus_ms(-DAY_MS), Step::Quarter),
        ("a week", to.plus_ms(-7 * DAY_MS), Step::Hour),
        ("30 days", to.plus_ms(-30 * DAY_MS), Step::Day(zone)),
        ("everything", to.plus_ms(-DAYS * DAY_MS), Step::Day(zone)),
        ("everything, by weeks", to.plus_ms(-DAYS * DAY_MS), Step::Week(zone)),
    ] {
        let end = to.plus_ms(1);
        questions.ask(format!("dashboard: {name}"), move |connection| {
            let did = rollups::dashboard(connection, begin, end, step)?;
            Ok(did.points.len() + did.channels.len())
        });
    }
    for query in
        ["tenant 7", "1003", "INV-2026-00042", &middle.to_string(), &format!("chatcmpl-{}", middle.simple()), "nothing"]
    {
        let query = query.to_owned();
        questions.ask(format!("search: {query}"), move |connection| Ok(search::search(connection, &query, 20)?.len()));
    }
    questions
}

/// The shortest of three, with how many rows came.
async fn time(load: &Load, ask: &Arc<Ask>) -> (Duration, usize) {
    let mut best = (Duration::MAX, 0);
    for _ in 0..3 {
        let ask = Arc::clone(ask);
        let begun = Instant::now();
        let rows = load.books.database.read_records(move |connection| ask(connection)).await.unwrap();
        best = best.min((begun.elapsed(), rows));
    }
    best
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_question_is_answered_in_a_moment() {
    let set = |name| std::env::var_os(name).map(|value| value.to_str().unwrap().to_owned());
    let calls = set(VARIABLE).map_or(CALLS, |calls| calls.parse().unwrap());
    let begun = Instant::now();
    let load = Load::write(calls).await;
    let loaded = begun.elapsed();
    let questions = all_questions(&load);
    if load.books.is_sqlite() {
        check_plans(&load, &questions);
    }
    let scans = || {
        load.books.numbers(&format!("SELECT CAST(COALESCE(sum(seq_scan), 0) AS BIGINT) AS number FROM pg_stat_user_tables WHERE relname IN ('{}')", LARGE.join("', '")))
    };
    // A small table is read whole where that is less work.
    let scans_before = (!load.books.is_sqlite() && calls >= MANY).then(&scans);

    let mut report = format!("{calls} calls, written and summed in {} s\n", loaded.as_secs());
    let mut slow = Vec::new();
    for (name, ask) in &questions.0 {
        let (took, rows) = time(&load, ask).await;
        let (whole, part) = (took.as_micros() / 1_000, took.as_micros() % 1_000 / 100);
        writeln!(report, "{whole:>6}.{part} ms {rows:>8} {name}").unwrap();
        if took > MOST {
            slow.push(format!("{name}: {took:?}"));
        }
    }
    if let Some(path) = set(REPORT) {
        std::fs::write(path, &report).unwrap();
    }
    assert!(slow.is_empty(), "slower than {MOST:?}: {slow:#?}");
    if let Some(before) = scans_before {
        // Connections tell of what they did at the end of a transaction, once a second at most.
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(3) {
            assert_eq!(scans(), before, "a table of many rows was read from end to end");
            tokio::task::yield_now().await;
        }
    }
    if calls == CALLS {
        check_statement(&load).await;
        load.books.prove().await;
    }
    let counted = load.books.numbers("SELECT CAST(sum(requests) AS BIGINT) AS number FROM usage_sums WHERE grain = 1");
    let charged = load.books.numbers("SELECT CAST(count(*) AS BIGINT) AS number FROM charges");
    let given_back =
        load.books.numbers("SELECT CAST(count(*) AS BIGINT) AS number FROM transfers WHERE kind = 'reversal'");
    assert_eq!(counted[0], charged[0] - given_back[0]);
}

/// The pages of a key of the largest tenant are its part of all lines, whether one read of them finds some, few or none.
async fn check_statement(load: &Load) {
    let (tenant, database) = (Load::tenant(0), &load.books.database);
    for (key, is_known) in [(Load::key(0, 1), true), (Load::key(0, 99), false)] {
        let wanted = load.books.numbers(&format!(
            "SELECT l.seq AS number FROM lines l JOIN transfers x ON x.id = l.transfer JOIN charges c ON c.request_id = x.request_id \
             WHERE l.account = {} AND c.account = l.account AND c.key_id = '{key}' ORDER BY l.seq DESC",
            tenant.0
        ));
        assert_eq!(!wanted.is_empty(), is_known);
        let first = database.read(move |connection| ledger::statement(connection, tenant, Some(key), None, 1_000_000));
        let first = first.await.unwrap();
        assert!(
            first.next.is_some() && (first.entries.len() < wanted.len() || !is_known),
            "one read looks at all lines"
        );
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = ledger::statement_page(database, tenant, Some(key), before, 700).await.unwrap();
            assert!(page.entries.len() == 700 || page.next.is_none(), "it is read on until it is full");
            found.extend(page.entries.iter().map(|entry| i128::from(entry.seq)));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted);
    }
}

/// Whatever is asked of SQLite, no plan goes through all rows of a large table. Its plans do not depend on how many rows there are.
fn check_plans(load: &Load, questions: &Questions) {
    let mut connection = load.books.bare_connection();
    for (name, ask) in &questions.0 {
        let asked = place::asked(&mut connection, |connection| {
            ask(connection).unwrap();
        });
        for sql in asked {
            if !sql.starts_with("SELECT") {
                continue;
            }
            for step in place::plan(&mut connection, &sql) {
                let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
                let is_large =
                    table.is_some_and(|table| LARGE.contains(&table) || ALIASES.contains(&table) || table == SUMS);
                assert!(!is_large || step.contains("transfers_rare"), "{name}: {step}, in {sql}");
            }
        }
    }
}
