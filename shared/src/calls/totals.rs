//! How many calls a filter lets through, and what they cost.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::filter::{CallFilter, StatusFilter};
use super::{DAY_MS, Status, floor};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Value, snapshot};
use crate::id::RequestId;
use crate::money::Amount;
use crate::refusal::Reason;
use crate::rollups::{self, Conditions, Sums, Total, billed};
use crate::secret_key::KeyId;

/// Sums over the calls of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallTotals {
    /// How many.
    pub calls: i64,
    /// Of these, with the whole answer.
    pub answered: i64,
    /// Of these, in any other way.
    pub failed: i64,
    /// Billed prompt tokens.
    pub prompt_tokens: i64,
    /// Billed completion tokens.
    pub completion_tokens: i64,
    /// Images.
    pub images: i64,
    /// What they cost, by the ledger; what was given back does not count.
    pub amount: Amount,
    /// Calls of an end user, or of none, were asked for, and what such cost is not known before this moment. They are counted, and what they cost
    /// is in none of the sums.
    pub known_from: Option<Timestamp>,
}

/// The totals of all pages of `filter`. What calls cost whose details are not kept any more is in them.
///
/// # Errors
/// [`DbError`].
pub fn totals(connection: &mut Connection, filter: &CallFilter) -> Result<CallTotals, DbError> {
    if !filter.is_possible() {
        return Ok(CallTotals::default());
    }
    snapshot(connection, |connection| {
        let (answered, failed) = count(connection, filter)?;
        let Total { sums, known_from } = cost(connection, filter)?;
        Ok(CallTotals {
            calls: answered + failed,
            answered,
            failed,
            prompt_tokens: sums.prompt_tokens,
            completion_tokens: sums.completion_tokens,
            images: sums.images,
            amount: Amount::from_nanos(sums.amount),
            known_from,
        })
    })
}

/// How many were answered, and how many were not.
fn count(connection: &mut Connection, filter: &CallFilter) -> Result<(i64, i64), DbError> {
    let (first, behind) = filter.ids();
    if filter.end_user.as_deref().is_some_and(|end_user| !end_user.is_empty()) {
        // What is counted by days knows no names of end users; their own index does.
        return count_rows(connection, filter, first, behind);
    }
    let begin = filter.from.map_or(i64::MIN, |from| floor(from.0.saturating_add(DAY_MS - 1), DAY_MS));
    let end = filter.to.map_or(i64::MAX, |to| floor(to.0, DAY_MS));
    if begin >= end {
        return count_rows(connection, filter, first, behind);
    }
    let mut counted = count_days(connection, filter, begin, end)?;
    let edges = [
        filter.from.map(|_| (first, RequestId::floor(Timestamp(begin)))),
        filter.to.map(|_| (RequestId::floor(Timestamp(end)), behind)),
    ];
    for (first, behind) in edges.into_iter().flatten().filter(|(first, behind)| first < behind) {
        let (answered, failed) = count_rows(connection, filter, first, behind)?;
        counted = (counted.0 + answered, counted.1 + failed);
    }
    Ok(counted)
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = BigInt)]
    answered: i64,
}

fn count_rows(
    connection: &mut Connection,
    filter: &CallFilter,
    first: RequestId,
    behind: RequestId,
) -> Result<(i64, i64), DbError> {
    let mut statement = Composed::new(
        "SELECT CAST(COUNT(*) AS BIGINT) AS calls, CAST(COALESCE(SUM(CASE WHEN status = 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS answered",
    );
    filter.select_from(&mut statement, connection);
    let ids = [Value::Blob(first.as_bytes()), Value::Blob(behind.as_bytes())];
    statement.and(" AND request_id >= ? AND request_id < ?", ids);
    let rows: Vec<Counted> = statement.load(connection)?;
    Ok(rows.first().map_or((0, 0), |row| (row.answered, row.calls - row.answered)))
}

fn count_days(connection: &mut Connection, filter: &CallFilter, begin: i64, end: i64) -> Result<(i64, i64), DbError> {
    macro_rules! select {
        ($column:literal) => {
            concat!(
                "SELECT CAST(COALESCE(SUM(",
                $column,
                "), 0) AS BIGINT) AS calls, CAST(COALESCE(SUM(CASE WHEN status = 0 THEN ",
                $column,
                " ELSE 0 END), 0) AS BIGINT) AS answered FROM call_days WHERE TRUE"
            )
        };
    }
    let mut statement = Composed::new(if filter.end_user.is_some() { select!("unnamed") } else { select!("calls") });
    statement.and(" AND day_start >= ? AND day_start < ?", [Value::Int(begin), Value::Int(end)]);
    if let Some(tenant) = filter.tenant {
        statement.and(" AND tenant = ?", [Value::Int(tenant.0)]);
    }
    if let Some(key) = &filter.key {
        statement.and(" AND key_id = ?", [Value::Text(key.as_str())]);
    }
    if let Some(model) = &filter.model {
        statement.and(" AND model = ?", [Value::Text(model)]);
    }
    match filter.status {
        None => {}
        Some(StatusFilter::Answered) => {
            statement.and(" AND status = 0", []);
        }
        Some(StatusFilter::Failed) => {
            statement.and(" AND status <> 0", []);
        }
        Some(StatusFilter::Code(code)) => {
            statement.and(" AND status = ?", [Value::Int(i64::from(code))]);
        }
    }
    let rows: Vec<Counted> = statement.load(connection)?;
    Ok(rows.first().map_or((0, 0), |row| (row.answered, row.calls - row.answered)))
}

fn cost(connection: &mut Connection, filter: &CallFilter) -> Result<Total, DbError> {
    match filter.status {
        None => all(connection, filter),
        Some(StatusFilter::Failed | StatusFilter::Code(_)) => {
            Ok(Total { sums: of_failed(connection, filter)?, known_from: None })
        }
        Some(StatusFilter::Answered) => {
            let mut total = all(connection, filter)?;
            let from = total.known_from.or(filter.from);
            let failed = CallFilter { status: Some(StatusFilter::Failed), from, ..filter.clone() };
            total.sums.add(&of_failed(connection, &failed)?.negative())?;
            Ok(total)
        }
    }
}

/// Of all calls of the filter, however they ended: from the sums.
fn all(connection: &mut Connection, filter: &CallFilter) -> Result<Total, DbError> {
    let conditions = Conditions {
        tenant: filter.tenant,
        key: filter.key.as_ref().map(KeyId::as_str),
        model: filter.model.as_deref(),
        end_user: filter.end_user.as_deref(),
    };
    let period = (filter.from.unwrap_or(Timestamp(0)), filter.to.unwrap_or(rollups::END_OF_TIME));
    rollups::received(connection, conditions, period)
}

/// Of those that failed: one by one, since few do, and fewer cost something. What failed before its first text costs nothing, unless its
/// caller left, who is not asked whether a whole answer had come, or nobody knows.
fn of_failed(connection: &mut Connection, filter: &CallFilter) -> Result<Sums, DbError> {
    #[derive(QueryableByName)]
    struct Row {
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
    let (first, behind) = filter.ids();
    let unknown = Status::from(Reason::OutcomeUnknown);
    let code = |status: Status| Value::Int(i64::from(status.code));
    let mut statement = Composed::new(concat!(
        "SELECT CAST(COUNT(*) AS BIGINT) AS requests, CAST(COALESCE(SUM(",
        billed!(prompt_tokens),
        "), 0) AS BIGINT) AS prompt_tokens, CAST(COALESCE(SUM(",
        billed!(completion_tokens),
        "), 0) AS BIGINT) AS completion_tokens, CAST(COALESCE(SUM(c.images), 0) AS BIGINT) AS images, CAST(COALESCE(SUM(",
        billed!(amount),
        "), 0) AS BIGINT) AS amount FROM (SELECT tenant, request_id"
    ));
    filter.select_from(&mut statement, connection);
    statement
        .and(
            " AND request_id >= ? AND request_id < ? AND (first_text_ms IS NOT NULL OR status = ? OR status = ?)",
            [Value::Blob(first.as_bytes()), Value::Blob(behind.as_bytes()), code(Status::CLIENT_LEFT), code(unknown)],
        )
        .and(
            match connection {
                // Few of many: each is looked up by itself.
                Connection::Postgres(_) => {
                    ") k CROSS JOIN LATERAL (SELECT * FROM charges WHERE account = k.tenant AND request_id = k.request_id OFFSET 0) c \
                     WHERE TRUE"
                }
                Connection::Sqlite(_) => {
                    ") k CROSS JOIN charges c WHERE c.account = k.tenant AND c.request_id = k.request_id"
                }
            },
            [],
        )
        .and(" AND NOT EXISTS (SELECT 1 FROM transfers r WHERE r.reverses = k.request_id)", []);
    let rows: Vec<Row> = statement.load(connection)?;
    let sums = |row: &Row| Sums {
        requests: row.requests,
        prompt_tokens: row.prompt_tokens,
        completion_tokens: row.completion_tokens,
        images: row.images,
        amount: row.amount,
    };
    Ok(rows.first().map(sums).unwrap_or_default())
}
