//! Says regularly that this process lives, and clears up behind those that do not.

use std::sync::Arc;

use super::codec::{Header, Kind};
use super::scripts;
use super::shared::Shared;
use super::timings::millis;
use crate::redis_store::RedisStoreError;

/// Beats until the task is stopped.
pub(super) async fn beat(shared: Arc<Shared>) {
    let mut is_failing = false;
    loop {
        tokio::time::sleep(shared.timings.tick).await;
        shared.hands.give_back_older_than(shared.timings.tick);
        match tick(&shared).await {
            Ok(()) => is_failing = false,
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::error!(%error, "the queue in Redis cannot be reached");
            }
            Err(_) => {}
        }
    }
}

/// One beat.
pub(super) async fn tick(shared: &Shared) -> Result<(), RedisStoreError> {
    let timings = &shared.timings;
    let worker = if shared.takes_jobs && !shared.is_closed() { shared.worker() } else { String::new() };
    let beating = shared
        .pool
        .script(&scripts::TICK)
        .arg(worker)
        .arg(shared.hands.slots())
        .arg(shared.routes.stream().as_deref().unwrap_or_default())
        .arg(millis(timings.answers))
        .arg(Header::tail(Kind::Over))
        .arg(millis(timings.lease))
        .arg(millis(timings.accept))
        // A little less than a beat, so that one process alone does it at each.
        .arg(millis(timings.tick * 9 / 10).max(1));
    shared.time.hear(beating.run().await?);
    Ok(())
}
