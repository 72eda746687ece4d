//! Reading sums: what is kept of a period, and what has to be read from the ledger itself.
//!
//! `CROSS JOIN` is an inner join whose tables SQLite takes in the order in which they stand: the one of which few rows are wanted first.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::cells::Grain;
use super::dashboard::Step;
use super::days;
use super::state::State;
use crate::calls::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Value, snapshot};
use crate::id::{RequestId, TenantId};
use crate::ledger::Period;

/// Behind all that can be.
pub(crate) const END_OF_TIME: Timestamp = Timestamp(1 << 48);
/// A charge is posted at most this long after its request's id was made, in milliseconds; it bounds what is read where nothing is counted yet.
const LATEST_CHARGE_MS: i64 = 90_000_000;

/// What a charge `c` bills, column by column.
macro_rules! billed {
    (prompt_tokens) => {
        "CASE WHEN c.endpoint = 'images' THEN 0 WHEN c.basis = 'upstream' THEN COALESCE(c.upstream_prompt, 0) ELSE c.prompt_tokens END"
    };
    (completion_tokens) => {
        "CASE c.basis WHEN 'upstream' THEN COALESCE(c.upstream_completion, 0) ELSE c.completion_tokens END"
    };
    (amount) => {
        "c.prompt_cost + c.completion_cost + c.image_cost - c.written_off"
    };
}
pub(crate) use billed;

/// Sums of charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) requests: i64,
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) images: i64,
    /// What was paid, in 1e-9 of the currency.
    pub(crate) amount: i64,
}

impl Sums {
    /// Adds others to these.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), DbError> {
        let out_of_range = || DbError::Corrupt("usage out of range".to_owned());
        let sum = |one: i64, other: i64| one.checked_add(other).ok_or_else(out_of_range);
        *self = Self {
            requests: sum(self.requests, other.requests)?,
            prompt_tokens: sum(self.prompt_tokens, other.prompt_tokens)?,
            completion_tokens: sum(self.completion_tokens, other.completion_tokens)?,
            images: sum(self.images, other.images)?,
            amount: sum(self.amount, other.amount)?,
        };
        Ok(())
    }

    /// The same, to be taken out.
    pub(crate) const fn negative(&self) -> Self {
        Self {
            requests: -self.requests,
            prompt_tokens: -self.prompt_tokens,
            completion_tokens: -self.completion_tokens,
            images: -self.images,
            amount: -self.amount,
        }
    }
}

/// Which charges. Each condition that is there has to be met.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conditions<'a> {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) key: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) end_user: Option<&'a str>,
}

/// By what sums are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    None,
    Tenant,
    Key,
    Model,
    User,
    /// The beginning of its quarter of an hour, in Unix milliseconds.
    Quarter,
    /// The number of its day.
    Day(Tz),
}

/// Which moment of a charge decides whether it belongs to a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Charged,
    Received,
}

/// Sums of the charges of calls that were received in a period. Those that were given back do not count.
pub(crate) fn received(
    connection: &mut Connection,
    conditions: Conditions<'_>,
    period: Period,
) -> Result<Sums, DbError> {
    let groups = sums(connection, conditions, Moment::Received, period, Group::None)?;
    Ok(groups.into_values().next().unwrap_or_default())
}

/// Sums of the charges of a period, told apart by `group`. Those that were given back do not count.
pub(super) fn sums(
    connection: &mut Connection,
    conditions: Conditions<'_>,
    moment: Moment,
    period: Period,
    group: Group,
) -> Result<BTreeMap<String, Sums>, DbError> {
    let texts = [conditions.key, conditions.model, conditions.end_user];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        // No text of ours has it, and PostgreSQL would not even be asked.
        return Ok(BTreeMap::new());
    }
    snapshot(connection, |connection| {
        let query = Query { conditions, moment, period, group };
        let state = State::read(connection)?;
        let mut groups = BTreeMap::new();
        for part in query.parts(&state) {
            query.run(connection, &part, &mut groups)?;
        }
        // What was given back leaves a sum of nothing behind.
        groups.retain(|_, sums| *sums != Sums::default());
        Ok(groups)
    })
}

/// The tenants that were charged in a period, by the step of each charge. See [`Step::place`].
pub(super) fn active_tenants(
    connection: &mut Connection,
    (from, to): Period,
    step: Step,
) -> Result<BTreeMap<i64, BTreeSet<i64>>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        start: i64,
        #[diesel(sql_type = BigInt)]
        tenant: i64,
    }
    let out_of_range = || DbError::Corrupt("usage out of range".to_owned());
    let state = State::read(connection)?;
    let mark = if state.is_clearing { RequestId::zero() } else { state.counted_below };
    let mut steps = BTreeMap::<i64, BTreeSet<i64>>::new();
    let quarters = (floor(from.0, SLOT_MS), to.0);
    let mut statement = Composed::new("SELECT DISTINCT ");
    let mut are_days = false;
    match step {
        Step::Day(zone) if zone.name() == state.zone => {
            are_days = true;
            let days = days::of(from, zone).zip(days::of(to.plus_ms(-1), zone)).ok_or_else(out_of_range)?;
            statement.and(
                "start, tenant FROM usage_sums WHERE grain = ? AND start >= ? AND start <= ?",
                [Value::Int(Grain::Day as i64), Value::Int(days.0), Value::Int(days.1)],
            );
        }
        Step::Hour => {
            statement.and(
                "start / 3600000 * 3600000 AS start, tenant FROM usage_sums WHERE grain = ? AND start >= ? AND start < ?",
                [Value::Int(Grain::Quarter as i64), Value::Int(quarters.0), Value::Int(quarters.1)],
            );
        }
        Step::Quarter | Step::Day(_) => {
            statement.and(
                "start, tenant FROM usage_sums WHERE grain = ? AND start >= ? AND start < ?",
                [Value::Int(Grain::Quarter as i64), Value::Int(quarters.0), Value::Int(quarters.1)],
            );
        }
    }
    let kept: Vec<Row> = if mark > RequestId::zero() { statement.load(connection)? } else { Vec::new() };
    let first = mark.max(RequestId::floor(from.plus_ms(-LATEST_CHARGE_MS)));
    let mut statement = Composed::new("SELECT DISTINCT c.charged_at / 900000 * 900000 AS start, c.account AS tenant ");
    statement.and(
        "FROM holds h CROSS JOIN charges c WHERE c.account = h.account AND c.request_id = h.request_id \
         AND h.request_id >= ? AND c.charged_at >= ? AND c.charged_at < ?",
        [Value::Blob(first.as_bytes()), Value::Int(from.0), Value::Int(to.0)],
    );
    let newest: Vec<Row> = statement.load(connection)?;
    for (row, is_day) in kept.into_iter().map(|row| (row, are_days)).chain(newest.into_iter().map(|row| (row, false))) {
        let place = if is_day { row.start } else { step.place(row.start).ok_or_else(out_of_range)? };
        steps.entry(place).or_default().insert(row.tenant);
    }
    Ok(steps)
}

/// Where a part of the answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Sums that are kept, from one start on and before another.
    Kept { grain: Grain, from: i64, to: i64 },
    /// Charges of requests from one id on and before another.
    Charges { ids: (RequestId, RequestId), moments: Option<(i64, i64)>, is_counted: bool },
    /// Charges that are counted, were given back, and were not taken out yet.
    GivenBack { ids: (RequestId, RequestId), since: RequestId },
}

struct Query<'a> {
    conditions: Conditions<'a>,
    moment: Moment,
    period: Period,
    group: Group,
}

/// A reversal's id is this much younger at most than what was last counted when it was looked for, in milliseconds.
const REVERSALS_BACK_MS: i64 = 86_400_000;

/// The id from which on reversals are looked for that were not taken out yet.
pub(super) fn reversals_since(counted_below: RequestId) -> RequestId {
    RequestId::floor(counted_below.made_at().plus_ms(-REVERSALS_BACK_MS))
}

impl Query<'_> {
    fn parts(&self, state: &State) -> Vec<Part> {
        let (from, to) = self.period;
        let mark = if state.is_clearing { RequestId::zero() } else { state.counted_below };
        // Which requests can have charges of the period at all.
        let (first, behind) = match self.moment {
            Moment::Charged => (RequestId::floor(from.plus_ms(-LATEST_CHARGE_MS)), RequestId::floor(to.plus_ms(1))),
            Moment::Received => (RequestId::floor(from), RequestId::floor(to)),
        };
        let moments = (self.moment == Moment::Charged).then_some((from.0, to.0));
        let mut parts = Vec::new();
        if from < to && mark > RequestId::zero() {
            let ids = match self.moment {
                Moment::Charged => {
                    self.kept_by_charge(state, &mut parts);
                    (RequestId::zero(), mark)
                }
                Moment::Received => {
                    self.kept_by_receipt(state, &mut parts);
                    (first, behind.min(mark))
                }
            };
            parts.push(Part::GivenBack { ids, since: reversals_since(mark) });
        }
        parts.push(Part::Charges { ids: (mark.max(first), behind), moments, is_counted: false });
        parts
    }

    fn kept_by_charge(&self, state: &State, parts: &mut Vec<Part>) {
        let (from, to) = self.period;
        // Nothing that is counted was booked later, so an end beyond that need not be looked at closely.
        let last = Timestamp(state.last_charged_at);
        let is_open = to > last;
        let to = if is_open { Timestamp(ceiling(last.0.saturating_add(1))) } else { to };
        let days = self.day_grain(state).and_then(|(grain, zone)| {
            let first = days::first_whole(from, zone)?;
            let behind = if is_open { days::of(last, zone)? + 1 } else { days::of(to, zone)? };
            let (begin, end) = (days::start(first, zone)?, days::start(behind, zone)?);
            (first < behind).then_some((Part::Kept { grain, from: first, to: behind }, begin, end))
        });
        let Some((days, begin, end)) = days else { return self.quarters(state, from, to, parts) };
        parts.push(days);
        self.quarters(state, from, begin, parts);
        if !is_open {
            self.quarters(state, end, to, parts);
        }
    }

    /// Whole quarters of an hour from their sums, and what is left at both ends from the charges.
    fn quarters(&self, state: &State, from: Timestamp, to: Timestamp, parts: &mut Vec<Part>) {
        if from >= to {
            return;
        }
        let (first, behind) = (ceiling(from.0), floor(to.0, SLOT_MS));
        let mut charges = |from: i64, to: i64| {
            if from < to {
                let since = RequestId::floor(Timestamp(from).plus_ms(-state.most_delay_ms));
                let until = RequestId::floor(Timestamp(to).plus_ms(1 - state.least_delay_ms)).min(state.counted_below);
                parts.push(Part::Charges { ids: (since, until), moments: Some((from, to)), is_counted: true });
            }
        };
        if first >= behind {
            return charges(from.0, to.0);
        }
        charges(from.0, first);
        charges(behind, to.0);
        let grain = if self.is_of_the_house() { Grain::HouseQuarter } else { Grain::Quarter };
        parts.push(Part::Kept { grain, from: first, to: behind });
    }

    fn kept_by_receipt(&self, state: &State, parts: &mut Vec<Part>) {
        let (from, to) = self.period;
        // Nothing that is counted was received later.
        let last = state.counted_below.made_at();
        let is_open = to > last;
        let mut charges = |from: Timestamp, to: Timestamp| {
            let ids = (RequestId::floor(from), RequestId::floor(to).min(state.counted_below));
            if ids.0 < ids.1 {
                parts.push(Part::Charges { ids, moments: None, is_counted: true });
            }
        };
        let grain = if self.conditions.end_user.is_some() { Grain::ReceivedUserDay } else { Grain::ReceivedDay };
        let days = state.zone.parse().ok().and_then(|zone: Tz| {
            let first = days::first_whole(from, zone)?;
            let behind = if is_open { days::of(last, zone)? + 1 } else { days::of(to, zone)? };
            let (begin, end) = (days::start(first, zone)?, days::start(behind, zone)?);
            (first < behind).then_some((Part::Kept { grain, from: first, to: behind }, begin, end))
        });
        let Some((days, begin, end)) = days else { return charges(from, to) };
        charges(from, begin);
        if !is_open {
            charges(end, to);
        }
        parts.push(days);
    }

    /// The sums of days that answer this, if any do.
    fn day_grain(&self, state: &State) -> Option<(Grain, Tz)> {
        let zone: Tz = state.zone.parse().ok()?;
        let is_by_user = self.conditions.end_user.is_some() || self.group == Group::User;
        match self.group {
            Group::Quarter => None,
            Group::Day(other) if other != zone => None,
            _ if is_by_user => Some((Grain::UserDay, zone)),
            // Fewer rows than those of days, where there are many tenants.
            _ if self.is_of_the_house() => None,
            _ => Some((Grain::Day, zone)),
        }
    }

    /// Whether it asks for all tenants, and for nothing that tells them apart.
    fn is_of_the_house(&self) -> bool {
        let Conditions { tenant, key, end_user, .. } = self.conditions;
        let tells_no_tenants = matches!(self.group, Group::None | Group::Model | Group::Quarter | Group::Day(_));
        tenant.is_none() && key.is_none() && end_user.is_none() && tells_no_tenants
    }

    fn run(
        &self,
        connection: &mut Connection,
        part: &Part,
        groups: &mut BTreeMap<String, Sums>,
    ) -> Result<(), DbError> {
        let mut statement = Composed::new("SELECT ");
        match part {
            Part::Kept { grain, from, to } => self.read_kept(&mut statement, *grain, *from, *to),
            Part::Charges { ids, moments, is_counted } => self.read_charges(&mut statement, ids, *moments, *is_counted),
            Part::GivenBack { ids, since } => self.read_given_back(&mut statement, ids, since),
        }
        let is_day = matches!(part, Part::Kept { grain, .. } if !matches!(grain, Grain::Quarter | Grain::HouseQuarter));
        let rows: Vec<GroupRow> = statement.load(connection)?;
        for row in rows {
            let sums = Sums {
                requests: row.requests,
                prompt_tokens: row.prompt_tokens,
                completion_tokens: row.completion_tokens,
                images: row.images,
                amount: row.amount,
            };
            let sums = if matches!(part, Part::GivenBack { .. }) { sums.negative() } else { sums };
            let name = match self.group {
                Group::Day(zone) if !is_day => quarter_to_day(&row.grouped, zone)?,
                _ => row.grouped,
            };
            groups.entry(name).or_default().add(&sums)?;
        }
        Ok(())
    }

    fn read_kept<'b>(&'b self, statement: &mut Composed<'b>, grain: Grain, from: i64, to: i64) {
        let grouped = match self.group {
            Group::None => "''",
            Group::Tenant => "CAST(tenant AS TEXT)",
            Group::Key => "key_id",
            Group::Model => "model",
            Group::User => "end_user",
            Group::Quarter | Group::Day(_) => "CAST(start AS TEXT)",
        };
        statement.and(grouped, []).and(
            " AS grouped, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(prompt_tokens) AS BIGINT) AS prompt_tokens, \
             CAST(SUM(completion_tokens) AS BIGINT) AS completion_tokens, CAST(SUM(images) AS BIGINT) AS images, \
             CAST(SUM(amount) AS BIGINT) AS amount FROM usage_sums WHERE grain = ? AND start >= ? AND start < ?",
            [Value::Int(grain as i64), Value::Int(from), Value::Int(to)],
        );
        let Conditions { tenant, key, model, end_user } = self.conditions;
        if let Some(tenant) = tenant {
            statement.and(" AND tenant = ?", [Value::Int(tenant.0)]);
        } else if grain == Grain::HouseQuarter {
            statement.and(" AND tenant = 0", []);
        }
        if let Some(key) = key {
            statement.and(" AND key_id = ?", [Value::Text(key)]);
        }
        if let Some(model) = model {
            statement.and(" AND model = ?", [Value::Text(model)]);
        }
        if let Some(end_user) = end_user {
            statement.and(" AND end_user = ?", [Value::Text(end_user)]);
            // So that SQLite sees that their index has them.
            statement.and(if end_user.is_empty() { "" } else { " AND end_user <> ''" }, []);
        }
        statement.and(" GROUP BY 1", []);
    }

    fn read_charges<'b>(
        &'b self,
        statement: &mut Composed<'b>,
        (first, behind): &'b (RequestId, RequestId),
        moments: Option<(i64, i64)>,
        is_counted: bool,
    ) {
        self.select_charges(statement);
        let ids = [Value::Blob(first.as_bytes()), Value::Blob(behind.as_bytes())];
        if self.conditions.tenant.is_some() {
            statement.and(" FROM charges c WHERE c.request_id >= ? AND c.request_id < ?", ids);
        } else {
            // Not every engine has an index by request alone.
            statement.and(
                " FROM holds h CROSS JOIN charges c WHERE c.account = h.account AND c.request_id = h.request_id \
                 AND h.request_id >= ? AND h.request_id < ?",
                ids,
            );
        }
        if let Some((from, to)) = moments {
            statement.and(" AND c.charged_at >= ? AND c.charged_at < ?", [Value::Int(from), Value::Int(to)]);
        }
        if is_counted {
            // Of those that are not taken out yet, another part takes care.
            statement.and(" AND NOT EXISTS (SELECT 1 FROM usage_reversals u WHERE u.request_id = c.request_id)", []);
        } else {
            statement.and(" AND NOT EXISTS (SELECT 1 FROM transfers r WHERE r.reverses = c.request_id)", []);
        }
        self.conditions_of_charges(statement);
    }

    fn read_given_back<'b>(
        &'b self,
        statement: &mut Composed<'b>,
        (first, behind): &'b (RequestId, RequestId),
        since: &'b RequestId,
    ) {
        self.select_charges(statement);
        statement.and(
            " FROM transfers r CROSS JOIN charges c WHERE c.account = r.credit AND c.request_id = r.reverses \
             AND r.kind = 'reversal' AND r.kind <> 'capture' AND r.id >= ? AND r.reverses >= ? AND r.reverses < ? \
             AND NOT EXISTS (SELECT 1 FROM usage_reversals u WHERE u.request_id = r.reverses)",
            [Value::Blob(since.as_bytes()), Value::Blob(first.as_bytes()), Value::Blob(behind.as_bytes())],
        );
        if self.moment == Moment::Charged {
            let (from, to) = self.period;
            statement.and(" AND c.charged_at >= ? AND c.charged_at < ?", [Value::Int(from.0), Value::Int(to.0)]);
        }
        self.conditions_of_charges(statement);
    }

    fn select_charges(&self, statement: &mut Composed<'_>) {
        let grouped = match self.group {
            Group::None => "''",
            Group::Tenant => "CAST(c.account AS TEXT)",
            Group::Key => "c.key_id",
            Group::Model => "c.model",
            Group::User => "COALESCE(c.end_user, '')",
            Group::Quarter | Group::Day(_) => "CAST(c.charged_at / 900000 * 900000 AS TEXT)",
        };
        statement.and(grouped, []).and(
            concat!(
                " AS grouped, CAST(COUNT(*) AS BIGINT) AS requests, CAST(SUM(",
                billed!(prompt_tokens),
                ") AS BIGINT) AS prompt_tokens, CAST(SUM(",
                billed!(completion_tokens),
                ") AS BIGINT) AS completion_tokens, CAST(SUM(c.images) AS BIGINT) AS images, CAST(SUM(",
                billed!(amount),
                ") AS BIGINT) AS amount"
            ),
            [],
        );
    }

    fn conditions_of_charges<'b>(&'b self, statement: &mut Composed<'b>) {
        let Conditions { tenant, key, model, end_user } = self.conditions;
        if let Some(tenant) = tenant {
            statement.and(" AND c.account = ?", [Value::Int(tenant.0)]);
        }
        if let Some(key) = key {
            statement.and(" AND c.key_id = ?", [Value::Text(key)]);
        }
        if let Some(model) = model {
            statement.and(" AND c.model = ?", [Value::Text(model)]);
        }
        if let Some(end_user) = end_user {
            statement.and(" AND COALESCE(c.end_user, '') = ?", [Value::Text(end_user)]);
        }
        statement.and(" GROUP BY 1", []);
    }
}

/// The first quarter of an hour that does not begin before `moment`.
const fn ceiling(moment: i64) -> i64 {
    floor(moment.saturating_add(SLOT_MS - 1), SLOT_MS)
}

/// The number of the day in which a quarter of an hour lies.
fn quarter_to_day(start: &str, zone: Tz) -> Result<String, DbError> {
    let day = start.parse().ok().and_then(|start| days::of(Timestamp(start), zone));
    day.map(|day| day.to_string()).ok_or_else(|| DbError::Corrupt("usage out of range".to_owned()))
}

#[derive(QueryableByName)]
struct GroupRow {
    #[diesel(sql_type = Text)]
    grouped: String,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    prompt_tokens: i64,
    #[diesel(sql_type = BigInt)]
    completion_tokens: i64,
    #[diesel(sql_type = BigInt)]
    images: i64,
    #[diesel(sql_type = BigInt)]
    amount: i64,
}
