//! Reading the parts of an answer: all of them in one statement, so that the database adds them up, orders them and gives no more than is
//! wanted.
//!
//! `CROSS JOIN` is an inner join whose tables SQLite takes in the order in which they stand: the one of which few rows are wanted first.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::cells::Grain;
use super::days;
use super::plan::{Charges, Conditions, Group, Moment, Part, Question};
use super::state::State;
use super::sums::{Sums, billed, out_of_range};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Value};

/// Which groups of the answer are wanted, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// All, in the order of their names (tenants by number).
    All,
    /// So many that cost the most, the dearest first.
    Largest(usize),
    /// So many in the order of their names, behind this one; from the first one on with `None`.
    Behind(Option<&'a str>, usize),
}

/// The groups of an answer that is told apart by names.
pub(super) fn named(
    connection: &mut Connection,
    question: &Question<'_>,
    state: &State,
    wanted: Wanted<'_>,
) -> Result<Vec<(String, Sums)>, DbError> {
    if question.is_impossible() {
        return Ok(Vec::new());
    }
    let parts = question.parts(state);
    read(connection, question, parts.iter(), Some(wanted))
}

/// The groups of an answer that is told apart by time: numbers of days, or beginnings of quarters of an hour.
pub(super) fn timed(
    connection: &mut Connection,
    question: &Question<'_>,
    state: &State,
) -> Result<BTreeMap<i64, Sums>, DbError> {
    let mut times = BTreeMap::<i64, Sums>::new();
    if question.is_impossible() {
        return Ok(times);
    }
    let parts = question.parts(state);
    for are_days in [true, false] {
        let parts = parts.iter().filter(|part| part.is_of_days() == are_days);
        for (start, sums) in read(connection, question, parts, None)? {
            let start = start.parse().map_err(|_| out_of_range())?;
            let start = match question.group {
                Group::Day(zone) if !are_days => day_of(start, zone)?,
                _ => start,
            };
            times.entry(start).or_default().add(&sums)?;
        }
    }
    // What was given back leaves a sum of nothing behind.
    times.retain(|_, sums| *sums != Sums::default());
    Ok(times)
}

/// The number of the day in which a quarter of an hour lies.
fn day_of(quarter: i64, zone: Tz) -> Result<i64, DbError> {
    days::of(Timestamp(quarter), zone).ok_or_else(out_of_range)
}

/// The sums of these parts; `wanted` where they are the whole answer.
fn read<'a>(
    connection: &mut Connection,
    question: &'a Question<'a>,
    parts: impl Iterator<Item = &'a Part>,
    wanted: Option<Wanted<'a>>,
) -> Result<Vec<(String, Sums)>, DbError> {
    let mut statement = Composed::new(
        "SELECT CAST(g AS TEXT) AS grouped, CAST(SUM(requests) AS BIGINT) AS requests, \
         CAST(SUM(prompt_tokens) AS BIGINT) AS prompt_tokens, CAST(SUM(completion_tokens) AS BIGINT) AS completion_tokens, \
         CAST(SUM(images) AS BIGINT) AS images, CAST(SUM(amount) AS BIGINT) AS amount FROM (",
    );
    let is_postgres = matches!(connection, Connection::Postgres(_));
    let mut is_empty = true;
    for part in parts {
        statement.and(if is_empty { "" } else { " UNION ALL " }, []);
        is_empty = false;
        match part {
            Part::Kept { grain, from, to } => question.read_kept(&mut statement, is_postgres, *grain, (*from, *to)),
            Part::Charges(charges) => question.read_charges(&mut statement, charges),
            Part::GivenBack { ids, since } => {
                question.select_charges(&mut statement, true);
                statement.and(
                    " FROM transfers r CROSS JOIN charges c WHERE c.account = r.credit AND c.request_id = r.reverses \
                     AND r.kind = 'reversal' AND r.kind <> 'capture' AND r.id >= ? AND r.reverses >= ? AND r.reverses < ? \
                     AND NOT EXISTS (SELECT 1 FROM usage_reversals u WHERE u.request_id = r.reverses)",
                    [Value::Blob(since.as_bytes()), Value::Blob(ids.0.as_bytes()), Value::Blob(ids.1.as_bytes())],
                );
                if question.moment == Moment::Charged {
                    let (from, to) = question.period;
                    statement
                        .and(" AND c.charged_at >= ? AND c.charged_at < ?", [Value::Int(from.0), Value::Int(to.0)]);
                }
                question.conditions_of_charges(&mut statement);
            }
        }
    }
    if is_empty {
        return Ok(Vec::new());
    }
    statement.and(") p", []);
    match wanted {
        None => drop(statement.and(" GROUP BY g", [])),
        Some(wanted) => question.choose(&mut statement, is_postgres, wanted)?,
    }
    let rows: Vec<Row> = statement.load(connection)?;
    Ok(rows.into_iter().map(Row::into_group).collect())
}

impl Question<'_> {
    /// Whether no charge can be like this: no text of ours has U+0000 in it, and PostgreSQL would not even be asked.
    fn is_impossible(&self) -> bool {
        let Conditions { key, model, end_user, .. } = self.conditions;
        [key, model, end_user].into_iter().flatten().any(|text| text.contains('\0'))
    }

    /// Adds which of the groups are wanted, and in which order.
    fn choose<'b>(&self, statement: &mut Composed<'b>, is_postgres: bool, wanted: Wanted<'b>) -> Result<(), DbError> {
        // Texts go by their bytes, whatever the database's own language is.
        let name = if is_postgres && self.group != Group::Tenant { "g COLLATE \"C\"" } else { "g" };
        if let Wanted::Behind(Some(than), _) = wanted {
            let than = match self.group {
                Group::Tenant => Value::Int(than.parse().map_err(|_| out_of_range())?),
                _ => Value::Text(than),
            };
            statement.and(" WHERE ", []).and(name, []).and(" > ?", [than]);
        }
        // What was given back leaves a sum of nothing behind.
        statement.and(" GROUP BY g HAVING SUM(requests) <> 0 ORDER BY ", []);
        let most = match wanted {
            Wanted::All => None,
            Wanted::Largest(most) => {
                statement.and("SUM(amount) DESC, ", []);
                Some(most)
            }
            Wanted::Behind(_, most) => Some(most),
        };
        statement.and(name, []);
        if let Some(most) = most {
            statement.and(" LIMIT ?", [Value::Int(i64::try_from(most).unwrap_or(i64::MAX))]);
        }
        Ok(())
    }

    fn read_kept<'b>(&'b self, statement: &mut Composed<'b>, is_postgres: bool, grain: Grain, (from, to): (i64, i64)) {
        let grouped = match self.group {
            Group::None => "''",
            Group::Tenant => "tenant",
            Group::Key => "key_id",
            Group::Model => "model",
            Group::User => "end_user",
            Group::Quarter | Group::Day(_) => "start",
        };
        let Conditions { tenant, key, model, end_user } = self.conditions;
        // PostgreSQL knows how many rows each index would find. SQLite does not, and takes what is said.
        let index = if end_user == Some("") && !is_postgres { " INDEXED BY usage_sums_without_user" } else { "" };
        statement
            .and("SELECT ", [])
            .and(grouped, [])
            .and(" AS g, requests, prompt_tokens, completion_tokens, images, amount FROM usage_sums", [])
            .and(index, [])
            .and(" WHERE start >= ? AND start < ?", [Value::Int(from), Value::Int(to)]);
        match end_user {
            // Their own index has few of all rows; its conditions have to stand here as they are.
            Some("") => statement.and(" AND grain = 3 AND end_user = ''", []),
            Some(end_user) => statement.and(
                " AND grain = ? AND end_user = ? AND end_user <> ''",
                [Value::Int(grain as i64), Value::Text(end_user)],
            ),
            None => statement.and(" AND grain = ?", [Value::Int(grain as i64)]),
        };
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
    }

    fn read_charges<'b>(&'b self, statement: &mut Composed<'b>, charges: &'b Charges) {
        self.select_charges(statement, charges.is_taken_out);
        let (first, behind) = &charges.ids;
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
        if let Some((from, to)) = charges.moments {
            statement.and(" AND c.charged_at >= ? AND c.charged_at < ?", [Value::Int(from), Value::Int(to)]);
        }
        if charges.is_counted {
            // Of those that are not taken out yet, another part takes care.
            statement.and(" AND NOT EXISTS (SELECT 1 FROM usage_reversals u WHERE u.request_id = c.request_id)", []);
        } else {
            statement.and(" AND NOT EXISTS (SELECT 1 FROM transfers r WHERE r.reverses = c.request_id)", []);
        }
        self.conditions_of_charges(statement);
    }

    fn select_charges(&self, statement: &mut Composed<'_>, is_taken_out: bool) {
        macro_rules! columns {
            ($one:literal, $sign:literal) => {
                concat!(
                    " AS g, ",
                    $one,
                    " AS requests, ",
                    $sign,
                    "(",
                    billed!(prompt_tokens),
                    ") AS prompt_tokens, ",
                    $sign,
                    "(",
                    billed!(completion_tokens),
                    ") AS completion_tokens, ",
                    $sign,
                    "c.images AS images, ",
                    $sign,
                    "(",
                    billed!(amount),
                    ") AS amount"
                )
            };
        }
        let grouped = match self.group {
            Group::None => "''",
            Group::Tenant => "c.account",
            Group::Key => "c.key_id",
            Group::Model => "c.model",
            Group::User => "COALESCE(c.end_user, '')",
            Group::Quarter | Group::Day(_) => "c.charged_at / 900000 * 900000",
        };
        let columns = if is_taken_out { columns!("-1", "-") } else { columns!("1", "") };
        statement.and("SELECT ", []).and(grouped, []).and(columns, []);
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
    }
}

#[derive(QueryableByName)]
struct Row {
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

impl Row {
    fn into_group(self) -> (String, Sums) {
        let Self { grouped, requests, prompt_tokens, completion_tokens, images, amount } = self;
        (grouped, Sums { requests, prompt_tokens, completion_tokens, images, amount })
    }
}
