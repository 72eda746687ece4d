//! Accepts what was read: from then on the job is this worker's, until its lease ends.
//!
//! An entry of the stream is accepted by whoever deletes it. Since a job's token is its entry's id, the one who can delete the entry is
//! the only one who may do anything with the job. It is one round trip for all entries of one read.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::{FromRedisValue, Value};
use tokio::time::{Instant, timeout};

use super::super::{Job, MaybeSettled};
use super::codec::{Header, Kind};
use super::hands::{Gone, Signal};
use super::lease::{self, Started};
use super::reader::{Entry, Reader};
use super::scripts;
use super::shared::Shared;
use super::timings::{ACCEPT_BYTES, ACCEPT_WITHIN};
use crate::id::RequestId;
use crate::redis_store::RedisStoreError;

/// What a worker wants to know of a job.
pub(super) const FIELDS: [&str; 8] = ["owner", "attempt", "told", "left", "sent", "number", "had", "at"];
type Fields = (
    Option<String>,
    Option<u32>,
    Option<String>,
    Option<String>,
    Option<u64>,
    Option<u64>,
    Option<String>,
    Option<i64>,
);

/// An entry for which a slot is kept. Its signal is known, so that no hint is missed from here on.
struct Held {
    entry: Entry,
    request_id: RequestId,
    signal: Arc<Signal>,
}

/// Accepts the entries and offers their jobs to who waits for them.
///
/// # Errors
/// The reader's connection broke. What it was to accept was accepted in another way, if that was possible.
pub(super) async fn accept(
    shared: &Arc<Shared>,
    reader: &mut Reader,
    entries: Vec<Entry>,
) -> Result<(), RedisStoreError> {
    let mut accepted = Ok(());
    let mut held: Vec<Held> = entries.into_iter().filter_map(|entry| Held::new(shared, entry)).collect();
    while !held.is_empty() {
        let rest = held.split_off(as_many_as_fit(&held));
        accepted = if accepted.is_ok() { accept_over(shared, reader, &held).await } else { accepted };
        if accepted.is_err() {
            join_all(held.iter().map(|held| claim(shared, held))).await;
        }
        held = rest;
    }
    // Closed in the meantime: nobody comes for them any more.
    if shared.is_closed() {
        shared.hands.give_back_all();
    }
    accepted
}

/// How many of them are accepted at once: their bodies come with the answer.
fn as_many_as_fit(held: &[Held]) -> usize {
    let mut bytes = 0_usize;
    let fitting = held.iter().take_while(|held| {
        bytes = bytes.saturating_add(held.entry.weight);
        bytes <= ACCEPT_BYTES
    });
    fitting.count().max(1)
}

/// Over the connection that has read them. On an error it is not known whether that was carried out.
async fn accept_over(shared: &Arc<Shared>, reader: &mut Reader, held: &[Held]) -> Result<(), RedisStoreError> {
    let mut accepting = redis::pipe();
    for Held { entry, .. } in held {
        accepting.cmd("XDEL").arg(shared.pool.key("jobs")).arg(&entry.token);
        accepting.cmd("HMGET").arg(shared.pool.key(format_args!("job:{}", entry.id))).arg(&FIELDS);
        accepting.cmd("GET").arg(shared.pool.key(format_args!("body:{}", entry.id)));
        accepting.cmd("EXISTS").arg(shared.pool.key(format_args!("replies:{}", entry.answers)));
    }
    accepting.cmd("TIME");
    let at = Instant::now();
    let answers = match timeout(ACCEPT_WITHIN, accepting.query_async::<Vec<Value>>(&mut reader.connection)).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => return Err(shared.pool.failed(&error)),
        Err(_) => return Err(shared.pool.timed_out()),
    };
    let mut answers = answers.into_iter();
    let now = answers.next_back().and_then(|time| <(i64, i64)>::from_redis_value(time).ok());
    let now_ms = now.map_or(i64::MAX, |(seconds, micros)| seconds.saturating_mul(1000).saturating_add(micros / 1000));
    for held in held {
        let (deleted, fields) = (answers.next(), answers.next());
        let (body, exists) = (answers.next(), answers.next());
        let is_ours = matches!(deleted, Some(Value::Int(1)));
        let fields = fields.and_then(|fields| Fields::from_redis_value(fields).ok()).unwrap_or_default();
        if !is_ours || fields.0.as_ref() != Some(&held.entry.token) {
            // It was called off, or was not accepted for so long that it was handed out anew.
            shared.hands.let_go(held.request_id, &held.signal);
            continue;
        }
        // Its lease counts from when it was handed out.
        let age = held.entry.handed_out_at().map_or(0, |handed_out| now_ms.saturating_sub(handed_out).max(0));
        let handed_out = at.checked_sub(Duration::from_millis(age.unsigned_abs()));
        let is_awaited = matches!(exists, Some(Value::Int(1)));
        let newest = Some(reader.newest);
        let body = if let Some(Value::BulkString(body)) = body { body } else { Vec::new() };
        begin(shared, held, (fields, body), Circumstances { handed_out, is_awaited, newest, now: (at, now_ms) }).await;
    }
    Ok(())
}

/// Takes a job of which it is not known whether it was accepted.
async fn claim(shared: &Arc<Shared>, held: &Held) {
    let token = format!("{}/{}", shared.process, shared.hands.next_token());
    let claiming =
        shared.pool.script(&scripts::CLAIM).arg(&held.entry.id).arg(&held.entry.token).arg(token).arg(&FIELDS[..]);
    let at = Instant::now();
    match claiming.run::<Option<(Fields, Vec<u8>, bool)>>().await {
        Ok(Some((fields, body, is_awaited))) => {
            let circumstances = Circumstances { handed_out: Some(at), is_awaited, newest: None, now: (at, i64::MAX) };
            begin(shared, held, (fields, body), circumstances).await;
        }
        Ok(None) => shared.hands.let_go(held.request_id, &held.signal),
        Err(error) => {
            tracing::warn!(request_id = %held.request_id, %error, "it is not known whether a job was accepted; it is handed out anew, or its lease runs out");
            shared.hands.let_go(held.request_id, &held.signal);
        }
    }
}

/// How it came that a job is ours.
struct Circumstances {
    /// From when its lease counts.
    handed_out: Option<Instant>,
    is_awaited: bool,
    /// The reader's [`Reader::newest`], if the job was read and accepted over its connection.
    newest: Option<u64>,
    /// A moment no later than that in which the job was accepted, and the time then, in milliseconds by the clock of Redis.
    now: (Instant, i64),
}

/// The job is ours.
async fn begin(shared: &Arc<Shared>, held: &Held, (fields, body): (Fields, Vec<u8>), circumstances: Circumstances) {
    let (token, attempt, told, left, sent, number, had, submitted_at) = fields;
    let (token, attempt) = (token.unwrap_or_default(), attempt.unwrap_or(1));
    let is_new = number.zip(circumstances.newest).is_some_and(|(number, newest)| number > newest);
    let job = match serde_json::from_slice::<Job>(&body) {
        Ok(job) if job.request_id == held.request_id => job,
        Ok(_) => return give_up_unreadable(shared, held, &token, "it is another call's").await,
        // Only where and what kind: the words of the error may hold a part of the body.
        Err(error) => {
            let why = format!("it cannot be read: {:?} at column {}", error.classify(), error.column());
            return give_up_unreadable(shared, held, &token, &why).await;
        }
    };
    if let Some(handed_out) = circumstances.handed_out {
        held.signal.begins(handed_out);
    }
    if told.is_some() {
        held.signal.tell();
    }
    if left.is_some() || !circumstances.is_awaited {
        held.signal.tell();
        held.signal.go(Gone::Left);
    }
    let started = Started {
        token,
        job,
        attempt,
        signal: Arc::clone(&held.signal),
        sent: sent.unwrap_or(0),
        settled: match submitted_at {
            // It is certain that no worker had it before, and so young that who submitted it has not given it up either.
            Some(submitted_at) if is_new && attempt == 1 && had.is_none() => {
                let (at, now_ms) = circumstances.now;
                let age = Duration::from_millis(now_ms.saturating_sub(submitted_at).max(0).unsigned_abs());
                MaybeSettled::From(at + shared.timings.young.saturating_sub(age))
            }
            _ => MaybeSettled::Always,
        },
    };
    shared.hands.offer(lease::begin(shared, started));
}

async fn give_up_unreadable(shared: &Shared, held: &Held, token: &str, why: &str) {
    let Held { request_id, signal, .. } = held;
    tracing::error!(%request_id, why, "a job is never called");
    let header = Header::without_run(*request_id, Kind::Over).to_text();
    let giving_up = shared.pool.script(&scripts::ABANDON).arg(&held.entry.id).arg(token).arg(header).arg(why);
    if let Err(error) = giving_up.run::<Vec<String>>().await {
        tracing::warn!(%request_id, %error, "a job could not be given up; its lease will run out");
    }
    shared.hands.let_go(*request_id, signal);
}

impl Held {
    fn new(shared: &Shared, entry: Entry) -> Option<Self> {
        let Ok(request_id) = entry.id.parse::<RequestId>() else {
            tracing::error!("something that is no job was handed out");
            return None;
        };
        let signal = Arc::new(Signal::new());
        shared.hands.hold(request_id, &signal);
        Some(Self { entry, request_id, signal })
    }
}
