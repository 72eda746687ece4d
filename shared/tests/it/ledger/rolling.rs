//! The sums of what was charged, against the charges themselves: at every moment, over random histories, in every grouping and period.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use shared::clock::Timestamp;
use shared::db::DbError;
use shared::id::{RequestId, TenantId};
use shared::ledger::{Capture, Charge, Ended, Hold, HoldDecision, Period, Reversal, UsageRow};
use shared::money::Amount;
use shared::rollups::{self, By, Rolled, Step, Usage, UsageFilter};

use super::books::{Books, KEY, charge, request_at};
use super::model::Random;
use super::office::START;

const OTHER_KEY: &str = "BA9876543210";
const MINUTE: u64 = 60_000;
const DAY: i64 = 86_400_000;
/// On SQLite with more requests than one step looks at.
const STEPS: [usize; 2] = [600, 1_500];
/// For so many days end users are known.
const USER_DAYS: u32 = 4;

/// A call, as the test remembers it.
#[derive(Debug, Clone)]
struct Call {
    id: RequestId,
    tenant: TenantId,
    charge: Charge,
    charged_at: Option<Timestamp>,
    is_over: bool,
    is_given_back: bool,
}

struct History {
    books: Books,
    tenants: [TenantId; 2],
    calls: Vec<Call>,
    random: Random,
    seed: u64,
    zone: Tz,
}

impl History {
    async fn begin(seed: u64) -> Self {
        let books = Books::at(START).await;
        let tenants = [books.tenant("one", 1_000_000_000).await, books.tenant("two", 1_000_000_000).await];
        Self { books, tenants, calls: Vec::new(), random: Random(seed), seed, zone: Tz::Asia__Kathmandu }
    }

    async fn go_on(&mut self) {
        let pause = match self.random.below(50) {
            0 => self.random.below(30 * 60) * MINUTE,
            1..10 => self.random.below(20 * MINUTE),
            _ => self.random.below(MINUTE),
        };
        self.books.advance(pause.try_into().unwrap());
        match self.random.below(100) {
            0..45 => self.hold().await,
            45..85 => self.capture().await,
            85..88 => self.void().await,
            88..94 => self.give_back().await,
            94 => self.purge().await,
            _ => {
                self.roll().await;
            }
        }
    }

    async fn hold(&mut self) {
        let nanos = i64::try_from(self.random.below(5_000)).unwrap();
        let end_user = [None, Some("ann"), Some("波波")][self.random.index(3)].map(str::to_owned);
        let charge = Charge {
            key: [KEY, OTHER_KEY][self.random.index(2)].parse().unwrap(),
            model: ["gpt-4", "dall-e-3"][self.random.index(2)].to_owned(),
            end_user,
            ..charge(nanos)
        };
        let tenant = self.tenants[self.random.index(2)];
        let id = request_at(self.books.clock.now(), self.calls.len() as u64);
        let hold = Hold { request_id: id, ..self.books.hold(tenant, nanos) };
        assert_eq!(self.books.ledger.hold(hold).await.unwrap(), HoldDecision::Held);
        self.calls.push(Call { id, tenant, charge, charged_at: None, is_over: false, is_given_back: false });
    }

    /// One of those that this holds for.
    fn one(&mut self, of: impl Fn(&Call) -> bool) -> Option<usize> {
        let places: Vec<usize> = (0..self.calls.len()).filter(|place| of(&self.calls[*place])).collect();
        (!places.is_empty()).then(|| places[self.random.index(places.len())])
    }

    async fn capture(&mut self) {
        // No call goes on for longer than a day.
        let oldest = self.books.clock.now().plus_ms(-DAY);
        let Some(place) = self.one(|call| !call.is_over && call.id.made_at() >= oldest) else { return };
        let call = &mut self.calls[place];
        let capture = Capture { request_id: call.id, account: call.tenant, charge: call.charge.clone(), answer: None };
        self.books.ledger.capture(capture).await.unwrap().unwrap();
        (call.charged_at, call.is_over) = (Some(self.books.clock.now()), true);
    }

    async fn void(&mut self) {
        let Some(place) = self.one(|call| !call.is_over) else { return };
        let call = &mut self.calls[place];
        self.books.ledger.end(call.id, call.tenant, Ended::Voided).await.unwrap().unwrap();
        call.is_over = true;
    }

    async fn give_back(&mut self) {
        let paid =
            |call: &Call| call.charged_at.is_some() && !call.is_given_back && call.charge.prompt_cost > Amount::ZERO;
        let Some(place) = self.one(paid) else { return };
        let call = &mut self.calls[place];
        let reversal = self.books.ledger.reverse_capture(call.id, call.tenant).await.unwrap();
        assert!(matches!(reversal, Reversal::Reversed(_)));
        call.is_given_back = true;
    }

    async fn roll(&self) -> Rolled {
        rollups::step(&self.books.database, self.zone, self.books.clock.now()).await.unwrap()
    }

    /// Forgets who the end users were, some days ago.
    async fn purge(&self) {
        let now = self.books.clock.now();
        let purged = self.books.database.write(move |connection| rollups::purge(connection, USER_DAYS, now)).await;
        purged.map_err(|error: DbError| error).unwrap();
    }

    async fn roll_all(&self) {
        while self.roll().await == Rolled::Partly {}
    }

    /// A moment of the history, often the beginning of something.
    fn moment(&mut self) -> Timestamp {
        let past = u64::try_from(self.books.clock.now().since(START)).unwrap() + 2 * 60 * MINUTE;
        let moment = START.0 - DAY + i64::try_from(self.random.below(past + DAY as u64)).unwrap();
        // 45 minutes after UTC, days begin at 18:15.
        let day = moment - (moment + 20_700_000).rem_euclid(DAY);
        Timestamp([moment, moment - moment.rem_euclid(900_000), day][self.random.index(3)])
    }

    fn period(&mut self) -> Period {
        let (one, other) = (self.moment(), self.moment());
        match self.random.below(5) {
            0 => (Timestamp(0), Timestamp(4_102_444_800_000)),
            1 => (one, self.books.clock.now().plus_ms(1)),
            _ => (one.min(other), one.max(other)),
        }
    }

    async fn check(&mut self) {
        for by in [
            By::Tenant,
            By::Key,
            By::Model,
            By::User,
            By::Day(self.zone),
            By::Day(Tz::Asia__Shanghai),
            By::Hour,
            By::Quarter,
        ] {
            let (filter, period) = (self.filter(), self.period());
            let asked = filter.clone();
            let usage =
                self.books.database.read(move |connection| rollups::usage(connection, &asked, period, by)).await;
            let Usage { rows, known_from } = usage.unwrap();
            if let Some(known_from) = known_from {
                let names_users = by == By::User || filter.end_user.is_some();
                // A day has 25 hours at most.
                let youngest = self.books.clock.now().plus_ms(-i64::from(USER_DAYS) * DAY + 3_600_000);
                assert!(names_users && known_from > period.0 && known_from <= youngest, "{known_from:?}");
            }
            let known = (known_from.unwrap_or(period.0), period.1);
            assert_eq!(
                rows,
                self.expected(&filter, known, by),
                "seed {}: {filter:?} {period:?} {by:?} {known_from:?}",
                self.seed
            );
        }
    }

    fn filter(&mut self) -> UsageFilter {
        let mut maybe = |share: u64| self.random.below(share) == 0;
        let (tenant, key, model, end_user) = (maybe(2), maybe(3), maybe(3), maybe(4));
        UsageFilter {
            tenant: tenant.then(|| self.tenants[self.random.index(2)]),
            key: key.then(|| [KEY, OTHER_KEY][self.random.index(2)].parse().unwrap()),
            model: model.then(|| ["gpt-4", "dall-e-3"][self.random.index(2)].to_owned()),
            end_user: end_user.then(|| ["", "ann", "波波"][self.random.index(3)].to_owned()),
        }
    }

    fn expected(&self, filter: &UsageFilter, (from, to): Period, by: By) -> Vec<UsageRow> {
        let mut groups = BTreeMap::<(i64, String), UsageRow>::new();
        for call in &self.calls {
            let Some(charged_at) = call.charged_at.filter(|moment| *moment >= from && *moment < to) else { continue };
            let Charge { key, model, end_user, .. } = &call.charge;
            let user = end_user.clone().unwrap_or_default();
            let fits = filter.tenant.is_none_or(|tenant| tenant == call.tenant)
                && filter.key.is_none_or(|wanted| wanted == *key)
                && filter.model.as_ref().is_none_or(|wanted| wanted == model)
                && filter.end_user.as_ref().is_none_or(|wanted| *wanted == user);
            if !fits || call.is_given_back {
                continue;
            }
            let number = |number: i64| (number, number.to_string());
            let group = match by {
                By::Tenant => number(call.tenant.0),
                By::Key => (0, key.to_string()),
                By::Model => (0, model.clone()),
                By::User => (0, user),
                By::Day(zone) => {
                    let local = chrono::DateTime::from_timestamp_millis(charged_at.0).unwrap().with_timezone(&zone);
                    (0, local.format("%Y-%m-%d").to_string())
                }
                By::Hour => number(charged_at.0 - charged_at.0.rem_euclid(3_600_000)),
                By::Quarter => number(charged_at.0 - charged_at.0.rem_euclid(900_000)),
            };
            let row = groups.entry(group.clone()).or_insert(UsageRow {
                group: group.1,
                requests: 0,
                prompt_tokens: 0,
                completion_tokens: 0,
                images: 0,
                amount: Amount::ZERO,
            });
            row.requests += 1;
            row.prompt_tokens += call.charge.prompt.tokens;
            row.amount = row.amount.checked_add(call.charge.prompt_cost).unwrap();
        }
        groups.into_values().collect()
    }

    /// How many of the charges the sums hold, by their own account.
    fn counted(&self) -> i128 {
        self.books
            .numbers("SELECT CAST(COALESCE(sum(requests), 0) AS BIGINT) AS number FROM usage_sums WHERE grain = 1")[0]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_exact_at_every_moment() {
    let given = std::env::var_os("XIAOYI_TEST_SEED").map(|seed| seed.to_str().unwrap().parse::<u64>().unwrap());
    let seed = given.unwrap_or_else(|| u64::from_be_bytes(RequestId::new().as_bytes()[8..].try_into().unwrap()) >> 16);
    let mut history = History::begin(seed).await;
    let steps = STEPS[usize::from(history.books.is_sqlite())];
    for step in 0..steps {
        history.go_on().await;
        if step % 50 == 0 {
            history.check().await;
        }
        if step == steps / 2 {
            // Days are cut elsewhere from now on; until all is counted anew, what is asked is read from the charges.
            history.zone = Tz::Europe__Berlin;
            for _ in 0..3 {
                history.roll().await;
                history.check().await;
            }
        }
    }
    while history.one(|call| !call.is_over).is_some() {
        history.void().await;
    }
    history.books.advance(10 * 60_000);
    history.roll_all().await;
    let charged = history.calls.iter().filter(|call| call.charged_at.is_some() && !call.is_given_back).count();
    assert_eq!(history.counted(), i128::try_from(charged).unwrap(), "all are in the sums by now");
    for _ in 0..10 {
        history.check().await;
    }
    history.books.prove().await;
}

#[tokio::test]
async fn the_mark_waits_for_whatever_may_still_be_charged() {
    let mut history = History::begin(1).await;
    history.zone = Tz::UTC;
    history.hold().await;
    history.hold().await;
    history.books.advance(3 * 3_600_000);
    // The second is settled, the first is not.
    let second = history.calls[1].clone();
    let capture = Capture { request_id: second.id, account: second.tenant, charge: second.charge, answer: None };
    history.books.ledger.capture(capture).await.unwrap().unwrap();
    history.calls[1].is_over = true;
    history.roll_all().await;
    assert_eq!(history.counted(), 0, "the first may still be charged, whenever");
    history.capture().await;
    history.roll_all().await;
    assert_eq!(history.counted(), 2);

    // What is young may have others beside it that are not committed yet.
    history.hold().await;
    history.capture().await;
    history.books.advance(119_000);
    history.roll_all().await;
    assert_eq!(history.counted(), 2);
    history.books.advance(2_000);
    history.roll_all().await;
    assert_eq!(history.counted(), 3);
    // And all of them are taken out again when they are given back, once.
    for call in history.calls.clone() {
        history.books.ledger.reverse_capture(call.id, call.tenant).await.unwrap();
        history.roll_all().await;
        history.roll_all().await;
    }
    let given_back = history.calls.iter().filter(|call| call.charge.prompt_cost > Amount::ZERO).count();
    assert_eq!(history.counted(), 3 - i128::try_from(given_back).unwrap());
}

#[tokio::test]
async fn the_dashboard_has_the_same_sums_step_by_step() {
    let mut history = History::begin(7).await;
    history.zone = Tz::Asia__Shanghai;
    for _ in 0..150 {
        history.go_on().await;
    }
    history.roll_all().await;
    for _ in 0..20 {
        history.hold().await;
        history.capture().await;
    }
    let (from, to) = (START, history.books.clock.now().plus_ms(1));
    let zones = [Tz::Asia__Shanghai, Tz::UTC];
    for step in [Step::Quarter, Step::Hour].into_iter().chain(zones.map(Step::Day)).chain(zones.map(Step::Week)) {
        let found = history
            .books
            .database
            .read(move |connection| rollups::dashboard(connection, from, to, step))
            .await
            .unwrap();
        let charged: Vec<&Call> =
            history.calls.iter().filter(|call| call.charged_at.is_some() && !call.is_given_back).collect();
        let revenue: i64 = charged.iter().map(|call| call.charge.prompt_cost.nanos()).sum();
        assert_eq!(found.total.revenue.nanos(), revenue, "{step:?}");
        assert_eq!(found.points.iter().map(|point| point.figures.revenue.nanos()).sum::<i64>(), revenue, "{step:?}");
        assert_eq!(found.total.active_tenants, 2);
        assert!(found.points.windows(2).all(|pair| pair[0].start < pair[1].start));
        assert!(found.points[0].start <= from && found.points.last().unwrap().start < to);
    }
}
