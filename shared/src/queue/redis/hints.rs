//! Hears at once what stands in the jobs anyway: that a client has left, or has read. A lost hint costs time, nothing else.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::{Msg, RedisError};
use tokio::time::timeout;

use super::hands::Gone;
use super::shared::Shared;
use crate::redis_store::RedisStoreError;

const PAUSE: Duration = Duration::from_millis(200);
/// A silent connection is asked this often whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Listens until the task is stopped.
pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        if let Err(error) = session(&shared).await {
            tracing::debug!(%error, "the connection for hints broke");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn session(shared: &Shared) -> Result<(), RedisStoreError> {
    let patience = shared.timings.patience;
    let (mut sink, mut messages) = shared.pool.subscriber(patience).await?.split();
    let within = async |asked: Result<Result<(), RedisError>, tokio::time::error::Elapsed>| match asked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(shared.pool.failed(&error)),
        Err(_) => Err(shared.pool.timed_out()),
    };
    // All workers hear all hints, and heed those for what they have in hand: so nobody has to note who has what.
    let channel = shared.pool.key("hints");
    within(timeout(patience, sink.subscribe(channel)).await).await?;
    shared.hands.look_at_all();
    loop {
        match timeout(PING_EVERY, messages.next()).await {
            Ok(Some(message)) => heed(shared, &message),
            Ok(None) => return Ok(()),
            Err(_) => within(timeout(patience, sink.ping::<redis::Value>()).await.map(|pong| pong.map(drop))).await?,
        }
    }
}

fn heed(shared: &Shared, message: &Msg) {
    let Ok(text) = std::str::from_utf8(message.get_payload_bytes()) else { return };
    let Some((word, id)) = text.split_once(' ') else { return };
    let Some(signal) = id.parse().ok().and_then(|id| shared.hands.signal(id)) else { return };
    match word {
        "told" => signal.tell(),
        "left" => signal.go(Gone::Left),
        "room" => signal.room.notify_one(),
        _ => {}
    }
}
