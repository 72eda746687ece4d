//! Sums by end user: how many there are, which of them are the largest, reading them piece by piece, and forgetting them in time.

use chrono_tz::Tz;
use shared::calls::{self, CallFilter};
use shared::clock::Timestamp;
use shared::db::{Database, DbError};
use shared::id::{RequestId, TenantId};
use shared::ledger::{Capture, Charge, Hold, Period, Reversal, UsageRow};
use shared::rollups::{self, By, Largest, Rolled, Usage, UsageFilter};

use super::books::{Books, charge, request_at};
use super::office::START;

const DAY: i64 = 86_400_000;
const ALWAYS: Period = (Timestamp(0), Timestamp(4_102_444_800_000));

struct Users {
    books: Books,
    tenant: TenantId,
    made: u64,
}

impl Users {
    async fn new() -> Self {
        let books = Books::at(START).await;
        let tenant = books.tenant("one", 1_000_000_000).await;
        Self { books, tenant, made: 0 }
    }

    async fn call(&mut self, end_user: Option<&str>, nanos: i64) -> RequestId {
        self.made += 1;
        let id = request_at(self.books.clock.now(), self.made);
        let hold = Hold { request_id: id, ..self.books.hold(self.tenant, nanos) };
        self.books.ledger.hold(hold).await.unwrap();
        let charge = Charge { end_user: end_user.map(str::to_owned), ..charge(nanos) };
        self.books
            .ledger
            .capture(Capture { request_id: id, account: self.tenant, charge, answer: None })
            .await
            .unwrap()
            .unwrap();
        id
    }

    async fn roll(&self, zone: Tz) {
        let step = || rollups::step(&self.books.database, zone, self.books.clock.now());
        while step().await.unwrap() == Rolled::Partly {}
    }

    async fn purge(&self, days: u32) -> bool {
        let now = self.books.clock.now();
        let purged = self.books.database.write(move |connection| rollups::purge(connection, days, now)).await;
        purged.map_err(|error: DbError| error).unwrap()
    }

    async fn usage(&self, filter: UsageFilter, period: Period, by: By) -> Usage {
        let database = &self.books.database;
        database.read(move |connection| rollups::usage(connection, &filter, period, by)).await.unwrap()
    }

    async fn largest(&self, by: By, most: usize) -> Largest {
        let database = &self.books.database;
        let filter = UsageFilter::default();
        database.read(move |connection| rollups::largest(connection, &filter, ALWAYS, by, most)).await.unwrap()
    }

    /// All groups, read so many at a time.
    async fn in_pieces(&self, by: By, most: usize) -> Vec<UsageRow> {
        let (mut rows, mut than) = (Vec::<UsageRow>::new(), None::<String>);
        loop {
            let read = move |connection: &mut _| {
                rollups::usage_behind(connection, &UsageFilter::default(), ALWAYS, by, (than.as_deref(), most))
            };
            let piece = self.books.database.read(read).await.unwrap().rows;
            assert!(piece.len() <= most);
            let Some(last) = piece.last() else { return rows };
            than = Some(last.group.clone());
            rows.extend(piece);
        }
    }

    /// How many sums there are, by grain.
    fn rows(&self) -> Vec<String> {
        let count = "SELECT CAST(grain AS TEXT) || ': ' || CAST(COUNT(*) AS TEXT) AS word FROM usage_sums GROUP BY grain ORDER BY grain";
        self.books.words(count)
    }
}

#[tokio::test]
async fn a_charge_of_a_new_end_user_makes_one_sum_of_its_own() {
    let mut users = Users::new().await;
    for number in 0..200 {
        users.call(Some(&format!("user {number}")), 10).await;
    }
    users.books.advance(600_000);
    users.roll(Tz::UTC).await;
    // Of one key and one model in one quarter of an hour; the 200 are what grows with end users.
    assert_eq!(users.rows(), ["0: 1", "1: 1", "2: 1", "3: 200"]);
}

#[tokio::test]
async fn what_was_summed_by_end_user_before_is_folded() {
    let mut users = Users::new().await;
    for user in ["ann", "bob", "ann"] {
        users.call(Some(user), 10).await;
    }
    users.books.advance(600_000);
    users.roll(Tz::UTC).await;
    // As it was before: quarters by end user, one of them named by nobody, and days by when calls were received.
    let before = "UPDATE usage_sums SET requests = 1, amount = 10, prompt_tokens = 10 WHERE grain = 0; \
        INSERT INTO usage_sums SELECT 0, start, tenant, key_id, model, 'ann', 1, 10, 0, 0, 10 FROM usage_sums WHERE grain = 0; \
        INSERT INTO usage_sums SELECT 0, start, tenant, key_id, model, 'bob', 1, 10, 0, 0, 10 FROM usage_sums \
        WHERE grain = 0 AND end_user = ''; \
        INSERT INTO usage_sums SELECT grain + 2, start, tenant, key_id, model, end_user, 1, 10, 0, 0, 10 FROM usage_sums WHERE grain > 1; \
        DROP INDEX usage_sums_without_user; DROP INDEX calls_without_user; \
        DELETE FROM __diesel_schema_migrations WHERE version = '20261128000017'";
    users.books.database.write(move |connection| run(connection, before)).await.unwrap();
    assert_eq!(users.rows(), ["0: 3", "1: 1", "2: 1", "3: 2", "4: 1", "5: 2"]);
    let (_, migrations) = Database::open_or_create(users.books.database.url()).unwrap();
    assert!(migrations > 0);
    assert_eq!(users.rows(), ["0: 1", "1: 1", "2: 1", "3: 2"]);
    let quarter = (START, START.plus_ms(900_000));
    let by_key = users.usage(UsageFilter::default(), quarter, By::Key).await.rows;
    assert_eq!(by_key.iter().map(|row| (row.requests, row.amount.nanos())).collect::<Vec<_>>(), [(3, 30)]);
}

#[tokio::test]
async fn the_largest_come_first_and_pieces_are_all_of_them_in_order() {
    let mut users = Users::new().await;
    // In the order of bytes; a language would put them otherwise.
    let names = ["", "B", "Z", "a", "a b", "a-b", "ab", "é", "波", "🙂"];
    for (number, name) in (0_i64..).zip(names) {
        for _ in 0..=number % 3 {
            users.call(Some(name).filter(|name| !name.is_empty()), 100 + number / 2).await;
        }
        if number == 4 {
            // Half of all are in the sums, and the others are not.
            users.books.advance(600_000);
            users.roll(Tz::UTC).await;
        }
    }
    let given_back = users.call(Some("gone"), 5_000).await;
    users.books.ledger.reverse_capture(given_back, users.tenant).await.unwrap();
    let all = users.usage(UsageFilter::default(), ALWAYS, By::User).await.rows;
    assert_eq!(all.iter().map(|row| row.group.as_str()).collect::<Vec<_>>(), names);
    for most in [1, 3, 10, 11] {
        assert_eq!(users.in_pieces(By::User, most).await, all, "{most} at a time");
        let mut expected = all.clone();
        expected.sort_by_key(|row| std::cmp::Reverse(row.amount));
        let largest = users.largest(By::User, most).await;
        assert_eq!(largest.has_more, most < 10);
        assert_eq!(largest.rows, expected[..most.min(10)], "among equals by name");
        assert_eq!(largest.total.requests, all.iter().map(|row| row.requests).sum::<i64>());
        assert_eq!(largest.total.amount.nanos(), all.iter().map(|row| row.amount.nanos()).sum::<i64>());
    }
}

#[tokio::test]
async fn tenants_are_in_the_order_of_their_numbers() {
    let mut users = Users::new().await;
    let insert = "INSERT INTO usage_sums (grain, start, tenant, key_id, model, end_user, requests, prompt_tokens, completion_tokens, images, amount) \
         VALUES (2, 20000, 9999, 'k', 'm', '', 1, 0, 0, 0, 7), (2, 20000, 10000, 'k', 'm', '', 1, 0, 0, 0, 9)";
    users.call(None, 8).await;
    users.books.advance(600_000);
    users.roll(Tz::UTC).await;
    users.books.database.write(move |connection| run(connection, insert)).await.unwrap();
    let all = users.usage(UsageFilter::default(), ALWAYS, By::Tenant).await.rows;
    let groups = |rows: &[UsageRow]| rows.iter().map(|row| row.group.clone()).collect::<Vec<_>>();
    assert_eq!(groups(&all), [users.tenant.to_string().as_str(), "9999", "10000"]);
    assert_eq!(users.in_pieces(By::Tenant, 1).await, all);
    assert_eq!(groups(&users.largest(By::Tenant, 2).await.rows), ["10000", &users.tenant.to_string()]);
}

fn run(connection: &mut shared::db::Connection, sql: &str) -> Result<(), DbError> {
    use diesel::connection::SimpleConnection as _;
    Ok(connection.batch_execute(sql)?)
}

#[tokio::test]
async fn end_users_are_forgotten_in_time_and_nothing_else_is() {
    let mut users = Users::new().await;
    let ann = UsageFilter { end_user: Some("ann".to_owned()), ..UsageFilter::default() };
    let mut old = Vec::new();
    for number in 0..600 {
        old.push(users.call(Some(&format!("user {number}")), 10).await);
    }
    old.push(users.call(Some("ann"), 70).await);
    let first_day = users.books.clock.now();
    users.books.advance(3 * DAY);
    users.call(Some("ann"), 5).await;
    users.books.advance(600_000);
    users.roll(Tz::UTC).await;
    let days = users.usage(UsageFilter::default(), ALWAYS, By::Day(Tz::UTC)).await;
    let before = users.usage(ann.clone(), ALWAYS, By::Model).await;
    assert_eq!((before.rows[0].amount.nanos(), before.known_from), (75, None));

    assert!(!users.purge(3).await, "the day three days ago is one of the three");
    assert_eq!(users.usage(ann.clone(), ALWAYS, By::Model).await, before, "nothing was removed, so all is known");
    assert!(users.purge(2).await, "a step removes 500");
    assert!(users.rows().contains(&"3: 102".to_owned()), "{:?}", users.rows());
    let day_of = |moment: Timestamp| Timestamp(moment.0 - moment.0.rem_euclid(DAY));
    let second_day = day_of(first_day.plus_ms(DAY));
    let known_from = Some(second_day);
    // Half of that day's are still there, and none counts.
    let check = async |users: &Users, when: &str| {
        let by_user = users.usage(UsageFilter::default(), ALWAYS, By::User).await;
        assert_eq!(
            by_user.rows.iter().map(|row| (row.group.as_str(), row.amount.nanos())).collect::<Vec<_>>(),
            [("ann", 5)],
            "{when}"
        );
        assert_eq!(by_user.known_from, known_from, "{when}");
        let of_ann = users.usage(ann.clone(), ALWAYS, By::Model).await;
        assert_eq!((of_ann.rows[0].amount.nanos(), of_ann.known_from), (5, known_from), "{when}");
        let largest = users.largest(By::User, 9).await;
        assert_eq!((largest.total.amount.nanos(), largest.known_from), (5, known_from), "{when}");
        let since = (second_day, ALWAYS.1);
        assert_eq!(users.usage(ann.clone(), since, By::User).await.known_from, None, "{when}");
        let filter = CallFilter { end_user: Some("ann".to_owned()), ..CallFilter::default() };
        let totals = users.books.database.read(move |connection| calls::totals(connection, &filter)).await.unwrap();
        assert_eq!((totals.amount.nanos(), totals.known_from), (5, known_from), "{when}");
    };
    check(&users, "halfway").await;
    assert!(!users.purge(2).await);
    check(&users, "removed").await;
    assert_eq!(users.usage(UsageFilter::default(), ALWAYS, By::Day(Tz::UTC)).await, days, "all is in the other sums");
    let all = users.books.database.read(|connection| calls::totals(connection, &CallFilter::default())).await.unwrap();
    assert_eq!((all.amount.nanos(), all.known_from), (6_075, None));

    // What is given back of those days leaves no end user behind with less than nothing.
    for id in [old[0], old[600]] {
        let reversed = users.books.ledger.reverse_capture(id, users.tenant).await.unwrap();
        assert!(matches!(reversed, Reversal::Reversed(_)));
    }
    check(&users, "given back").await;
    users.roll(Tz::UTC).await;
    check(&users, "and taken out").await;
    assert_eq!(users.rows().last().unwrap(), "3: 1");
    // Nor does counting anew bring them back; the days of this zone begin later.
    users.roll(Tz::America__New_York).await;
    assert_eq!(users.rows().last().unwrap(), "3: 1");
    let again = users.usage(ann.clone(), ALWAYS, By::Model).await;
    assert_eq!((again.rows[0].amount.nanos(), again.known_from), (5, Some(second_day.plus_ms(5 * 3_600_000))));
    users.books.prove().await;
}
