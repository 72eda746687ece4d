//! Takes jobs for this process: reads tickets, as many as somebody waits for, and starts as many jobs.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use tokio::time::timeout;

use super::super::Job;
use super::codec::{Header, Kind};
use super::lease::{self, Started};
use super::scripts;
use super::shared::Shared;
use super::timings::{START_BYTES, START_WITHIN, millis};
use crate::id::RequestId;
use crate::redis_store::RedisStoreError;

const GROUP: &str = "workers";
const PAUSE: Duration = Duration::from_millis(50);

/// Takes jobs until the queue is closed, then leaves the workers.
pub(super) async fn take_jobs(shared: Arc<Shared>) {
    let mut connection = None;
    while !shared.is_closed() {
        let wanted = shared.hands.wanted();
        if wanted == 0 {
            shared.hands.demand.notified().await;
            continue;
        }
        match read(&shared, &mut connection, wanted).await {
            Ok(tickets) if tickets.is_empty() => {}
            Ok(tickets) => {
                if let Err(error) = start(&shared, &tickets).await {
                    tracing::warn!(%error, "jobs could not be started");
                }
            }
            Err(error) => {
                tracing::debug!(%error, "no jobs can be read");
                connection = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    unregister(&shared).await;
}

/// Says that this process takes no more.
pub(super) async fn unregister(shared: &Shared) {
    let leaving = shared.pool.script(&scripts::UNREGISTER).arg(shared.worker());
    if let Err(error) = leaving.run::<i64>().await {
        tracing::warn!(%error, "the slots of this process could not be given up; they will be missed in 10 s");
    }
}

/// Waits a moment for tickets.
async fn read(
    shared: &Shared,
    connection: &mut Option<MultiplexedConnection>,
    wanted: usize,
) -> Result<Vec<String>, RedisStoreError> {
    let block = shared.timings.block;
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(shared.pool.dedicated(shared.timings.patience).await?),
    };
    let tickets = shared.pool.key("tickets");
    let mut reading = redis::cmd("XREADGROUP");
    reading.arg("GROUP").arg(GROUP).arg(shared.worker()).arg("COUNT").arg(wanted).arg("BLOCK").arg(millis(block));
    // A ticket is given up by deleting it; whoever took one and died is found by its age.
    reading.arg("NOACK").arg("STREAMS").arg(&tickets).arg(">");
    let read = timeout(block + shared.timings.patience, reading.query_async::<Option<StreamReadReply>>(connection));
    match read.await {
        Ok(Ok(reply)) => {
            let keys = reply.map(|reply| reply.keys).unwrap_or_default();
            Ok(keys.into_iter().flat_map(|key| key.ids).map(|ticket| ticket.id).collect())
        }
        Ok(Err(error)) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) => {
            // Redis was emptied. From 0 on, so that tickets which were there before the group are seen.
            let mut making = redis::cmd("XGROUP");
            making.arg("CREATE").arg(&tickets).arg(GROUP).arg("0").arg("MKSTREAM");
            match timeout(shared.timings.patience, making.query_async::<Value>(connection)).await {
                Ok(Ok(_)) => Ok(Vec::new()),
                Ok(Err(error)) if error.code() == Some("BUSYGROUP") => Ok(Vec::new()),
                Ok(Err(error)) => Err(shared.pool.failed(&error)),
                Err(_) => Err(shared.pool.timed_out()),
            }
        }
        Ok(Err(error)) => Err(shared.pool.failed(&error)),
        Err(_) => Err(shared.pool.timed_out()),
    }
}

/// Id, token, body, attempt, what to hear at once, chunks that were sent before.
type Row = (String, String, Vec<u8>, u32, String, u64);

/// Starts a job for each ticket that somebody still waits for, and gives the other tickets back.
async fn start(shared: &Arc<Shared>, tickets: &[String]) -> Result<(), RedisStoreError> {
    let count = if shared.is_closed() { 0 } else { shared.hands.wanted().min(tickets.len()) };
    let tokens: Vec<String> = (0..count).map(|_| format!("{}/{}", shared.process, shared.hands.next_token())).collect();
    let starting = shared
        .pool
        .script(&scripts::START)
        .arg(shared.worker())
        .arg(millis(shared.timings.lease))
        .arg(START_BYTES)
        .arg(count)
        .arg(tokens)
        .arg(tickets)
        .within(START_WITHIN);
    for row in starting.run::<Vec<Row>>().await? {
        let (id, token, body, attempt, word, sent) = row;
        match serde_json::from_slice::<Job>(&body) {
            Ok(job) if job.request_id.to_string() == id => {
                let (is_told, has_left) = (!word.is_empty(), word == "left");
                let started = Started { token, job, attempt, is_told, has_left, sent };
                shared.hands.offer(lease::begin(shared, started));
            }
            Ok(_) => give_up_unreadable(shared, &id, &token, "it is another call's").await,
            // Only where and what kind: the words of the error may hold a part of the body.
            Err(error) => {
                let why = format!("it cannot be read: {:?} at column {}", error.classify(), error.column());
                give_up_unreadable(shared, &id, &token, &why).await;
            }
        }
    }
    // Closed in the meantime: nobody comes for them any more.
    if shared.is_closed() {
        shared.hands.give_back_all();
    }
    Ok(())
}

async fn give_up_unreadable(shared: &Shared, id: &str, token: &str, why: &str) {
    tracing::error!(request_id = id, why, "a job is never called");
    let Ok(request_id) = id.parse::<RequestId>() else { return };
    let header = Header::without_run(request_id, Kind::Over).to_text();
    let giving_up = shared.pool.script(&scripts::ABANDON).arg(id).arg(token).arg(header).arg(why);
    if let Err(error) = giving_up.run::<Vec<String>>().await {
        tracing::warn!(request_id = id, %error, "a job could not be given up; its lease will run out");
    }
}
