//! Pages of calls, newest first, each with what it cost by the ledger.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::filter::{CallFilter, Path};
use super::{DAY_MS, SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Value, snapshot};
use crate::export::{Export, Listed, Piece};
use crate::id::{RequestId, TenantId};
use crate::money::Amount;
use crate::page::Cursor;
use crate::queue::Try;
use crate::rollups::billed;
use crate::secret_key::KeyId;

/// A page of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPage {
    /// The calls, newest first.
    pub rows: Vec<CallRow>,
    /// With [`Cursor::Behind`], the page after this one; `None`: there is none.
    pub older: Option<RequestId>,
    /// With [`Cursor::Before`], the page before this one; `None`: there is none.
    pub newer: Option<RequestId>,
}

/// A call that got a hold, after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRow {
    /// The call.
    pub request_id: RequestId,
    /// When it was received.
    pub received_at: Timestamp,
    /// Who paid.
    pub tenant: TenantId,
    /// The key that called.
    pub key: KeyId,
    /// `chat`, `completions` or `images`.
    pub endpoint: String,
    /// The model's public name.
    pub model: String,
    /// The caller's own name for the end user.
    pub end_user: Option<String>,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// 0: answered; else the code of [`super::Status`].
    pub status: u32,
    /// The same in a word.
    pub word: String,
    /// How long it waited for a worker, in milliseconds. `None`: no worker said so.
    pub queued_ms: Option<i64>,
    /// How long its first text took, in milliseconds.
    pub first_text_ms: Option<i64>,
    /// How long it took, in milliseconds.
    pub ended_ms: i64,
    /// The channel that answered. For operators only.
    pub channel: Option<String>,
    /// Every try of a channel, in order. For operators only.
    pub tries: Vec<Try>,
    /// What it cost; `None`: nothing.
    pub charge: Option<RowCharge>,
}

/// What a call of a list cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCharge {
    /// What the customer paid.
    pub amount: Amount,
    /// Billed prompt tokens.
    pub prompt_tokens: i64,
    /// Billed completion tokens.
    pub completion_tokens: i64,
    /// Images.
    pub images: i64,
    /// Whether it was given back.
    pub is_reversed: bool,
}

/// At most `limit` calls that `filter` lets through.
///
/// # Errors
/// [`DbError`].
pub fn list(
    connection: &mut Connection,
    filter: &CallFilter,
    cursor: Cursor<RequestId>,
    limit: usize,
) -> Result<CallPage, DbError> {
    let (first, behind) = filter.ids();
    let (ids, is_towards_past) = match cursor {
        Cursor::First => ((first, behind), true),
        Cursor::Behind(than) => ((first, behind.min(than)), true),
        Cursor::Before(than) => ((first.max(than.after()), behind), false),
    };
    // One more, to know whether there are more.
    let wanted = limit.saturating_add(1);
    let mut rows = snapshot(connection, |connection| {
        if !filter.is_possible() {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        for ids in windows(connection, filter, ids, is_towards_past, wanted)? {
            rows.extend(read(connection, filter, ids, is_towards_past, wanted - rows.len())?);
            if rows.len() >= wanted {
                break;
            }
        }
        Ok(rows)
    })?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    if !is_towards_past {
        rows.reverse();
    }
    let (newest, oldest) = (rows.first().map(|row| row.request_id), rows.last().map(|row| row.request_id));
    let (older, newer) = match cursor {
        Cursor::First => (oldest.filter(|_| has_more), None),
        // The one that the page begins behind lies on its other side.
        Cursor::Behind(than) => (oldest.filter(|_| has_more), Some(newest.unwrap_or_else(|| than.before()))),
        Cursor::Before(than) => (Some(oldest.unwrap_or_else(|| than.after())), newest.filter(|_| has_more)),
    };
    Ok(CallPage { rows, older, newer })
}

/// All calls of a filter, newest first.
pub type CallExport = Export<CallFilter>;

impl Listed for CallFilter {
    type Row = CallRow;
    type Key = RequestId;

    fn rows(
        &self,
        connection: &mut Connection,
        cursor: Cursor<RequestId>,
        limit: usize,
    ) -> Result<Piece<Self>, DbError> {
        let page = list(connection, self, cursor, limit)?;
        Ok((page.rows, page.older))
    }
}

/// The call of this id, if its details are still kept.
///
/// # Errors
/// [`DbError`].
pub(super) fn find(connection: &mut Connection, request_id: RequestId) -> Result<Option<CallRow>, DbError> {
    let ids = (request_id, request_id.after());
    Ok(read(connection, &CallFilter::default(), ids, true, 1)?.pop())
}

/// The ranges of ids to look at, in the order in which they are read. Usually all at once; no index knows models, but it is known which times
/// have calls of one: quarters of an hour of all tenants together, days of a tenant's or a key's.
fn windows(
    connection: &mut Connection,
    filter: &CallFilter,
    ids: (RequestId, RequestId),
    is_towards_past: bool,
    wanted: usize,
) -> Result<Vec<(RequestId, RequestId)>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        start: i64,
    }
    let Some(model) = &filter.model else { return Ok(vec![ids]) };
    let (first, behind) = ids;
    let path = filter.path();
    let width = match path {
        Path::All => SLOT_MS,
        Path::Tenant | Path::Key => DAY_MS,
        Path::EndUser | Path::WithoutUser | Path::Failed | Path::TenantFailed => return Ok(vec![ids]),
    };
    let mut statement = Composed::new("SELECT ");
    if path == Path::All {
        // Calls that failed are found in another way.
        let which = if filter.status.is_some() { "answered > 0" } else { "calls > 0" };
        statement.and("slot_start AS start FROM call_slots WHERE ", []).and(which, []);
        statement.and(" AND slot_start >= ? AND slot_start <= ?", times(first, behind, width));
    } else {
        statement.and("DISTINCT day_start AS start FROM call_days WHERE TRUE", []);
        statement.and(" AND day_start >= ? AND day_start <= ?", times(first, behind, width));
        if let Some(tenant) = filter.tenant {
            statement.and(" AND tenant = ?", [Value::Int(tenant.0)]);
        }
        if let Some(key) = &filter.key {
            statement.and(" AND key_id = ?", [Value::Text(key.as_str())]);
        }
    }
    statement.and(" AND model = ?", [Value::Text(model)]);
    statement.and(if is_towards_past { " ORDER BY start DESC" } else { " ORDER BY start" }, []);
    // Each has one at least, but for those at the ends; or there is a status, which days do not tell.
    let is_enough = path == Path::All || filter.status.is_none();
    let most = if is_enough { wanted.saturating_add(2) } else { usize::MAX };
    statement.and(" LIMIT ?", [Value::Int(i64::try_from(most).unwrap_or(i64::MAX))]);
    let rows: Vec<Row> = statement.load(connection)?;
    let window = |row: Row| {
        let (from, to) = (Timestamp(row.start), Timestamp(row.start + width));
        (RequestId::floor(from).max(first), RequestId::floor(to).min(behind))
    };
    Ok(joined(rows.into_iter().map(window)))
}

/// The times in which the first and the last of these ids lie.
fn times(first: RequestId, behind: RequestId, width: i64) -> [Value<'static>; 2] {
    [Value::Int(floor(first.made_at().0, width)), Value::Int(behind.made_at().0)]
}

/// The same ranges with those in one that touch each other, since each costs a statement.
fn joined(windows: impl Iterator<Item = (RequestId, RequestId)>) -> Vec<(RequestId, RequestId)> {
    let mut joined: Vec<(RequestId, RequestId)> = Vec::new();
    for (first, behind) in windows {
        match joined.last_mut() {
            Some(last) if last.0 == behind => last.0 = first,
            Some(last) if last.1 == first => last.1 = behind,
            _ => joined.push((first, behind)),
        }
    }
    joined
}

fn read(
    connection: &mut Connection,
    filter: &CallFilter,
    (first, behind): (RequestId, RequestId),
    is_towards_past: bool,
    limit: usize,
) -> Result<Vec<CallRow>, DbError> {
    let order = if is_towards_past { " ORDER BY request_id DESC" } else { " ORDER BY request_id" };
    let mut statement = Composed::new(concat!(
        "SELECT k.request_id, k.tenant, k.key_id, k.endpoint, k.model, k.end_user, k.streamed, k.status, k.word, k.queued_ms, \
         k.first_text_ms, k.ended_ms, k.channel, k.tries, ",
        billed!(prompt_tokens),
        " AS prompt_tokens, ",
        billed!(completion_tokens),
        " AS completion_tokens, c.images, ",
        billed!(amount),
        " AS amount, r.id AS reversal FROM (SELECT *"
    ));
    filter.select_from(&mut statement, connection);
    statement
        .and(" AND request_id >= ? AND request_id < ?", [Value::Blob(first.as_bytes()), Value::Blob(behind.as_bytes())])
        .and(order, [])
        .and(" LIMIT ?", [Value::Int(i64::try_from(limit).unwrap_or(i64::MAX))])
        .and(
            ") k LEFT JOIN charges c ON c.account = k.tenant AND c.request_id = k.request_id \
             LEFT JOIN transfers r ON r.reverses = k.request_id",
            [],
        )
        .and(if is_towards_past { " ORDER BY k.request_id DESC" } else { " ORDER BY k.request_id" }, []);
    let rows: Vec<Row> = statement.load(connection)?;
    rows.into_iter().map(Row::into_call).collect()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    request_id: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    tenant: i64,
    #[diesel(sql_type = Text)]
    key_id: String,
    #[diesel(sql_type = Text)]
    endpoint: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Nullable<Text>)]
    end_user: Option<String>,
    #[diesel(sql_type = Bool)]
    streamed: bool,
    #[diesel(sql_type = BigInt)]
    status: i64,
    #[diesel(sql_type = Text)]
    word: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    queued_ms: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    first_text_ms: Option<i64>,
    #[diesel(sql_type = BigInt)]
    ended_ms: i64,
    #[diesel(sql_type = Nullable<Text>)]
    channel: Option<String>,
    #[diesel(sql_type = Text)]
    tries: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    prompt_tokens: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    completion_tokens: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    images: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    amount: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    reversal: Option<Vec<u8>>,
}

impl Row {
    fn into_call(self) -> Result<CallRow, DbError> {
        let corrupt = |what: &str| DbError::Corrupt(format!("{what} of a call"));
        let request_id = RequestId::from_slice(&self.request_id).ok_or_else(|| corrupt("the id"))?;
        let charge = self.amount.map(|amount| RowCharge {
            amount: Amount::from_nanos(amount),
            prompt_tokens: self.prompt_tokens.unwrap_or_default(),
            completion_tokens: self.completion_tokens.unwrap_or_default(),
            images: self.images.unwrap_or_default(),
            is_reversed: self.reversal.is_some(),
        });
        Ok(CallRow {
            request_id,
            received_at: request_id.made_at(),
            tenant: TenantId(self.tenant),
            key: self.key_id.parse().map_err(|_| corrupt("the key"))?,
            endpoint: self.endpoint,
            model: self.model,
            end_user: self.end_user,
            streamed: self.streamed,
            status: u32::try_from(self.status).map_err(|_| corrupt("the status"))?,
            word: self.word,
            queued_ms: self.queued_ms,
            first_text_ms: self.first_text_ms,
            ended_ms: self.ended_ms,
            channel: self.channel,
            tries: serde_json::from_str(&self.tries).map_err(|_| corrupt("the tries"))?,
            charge,
        })
    }
}
