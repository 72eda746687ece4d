//! The queue of many processes, on Redis: what waits outlives every one of them, and Redis' own restart.
//!
//! While a slot is free, the job whose turn it is is handed out: it gets an entry in a stream that all workers read, and the entry's id is
//! its token. Other jobs wait in their tenants' lines. A worker accepts a job by deleting its entry, and has it for as long as it renews
//! the lease; every step of a worker is a script that does nothing for an old token. Answers come back through one stream a process.
//! `lua/keys.lua` has the keys.

mod accept;
mod answer;
mod answers;
mod codec;
mod crowd;
mod dead_letters;
mod forwarder;
mod hands;
mod heartbeat;
mod hints;
mod lease;
mod reader;
mod routes;
mod scripts;
mod shared;
#[cfg(test)]
mod tests;
mod time;
mod timings;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use self::answers::Listener;
use self::codec::{Header, Kind};
use self::crowd::{Crowd, room_beside};
use self::hands::Hands;
use self::routes::Routes;
use self::shared::Shared;
use self::time::RedisTime;
use self::timings::GRACE_MS;
use super::{Cancellation, Delivery, Depth, End, Frames, Interruption, Job, Queue, QueueLimits, Source, SubmitError};
use crate::clock::Clock;
use crate::id::{ProcessId, RequestId, TenantId};
use crate::redis_store::{RedisPool, RedisStoreError};

pub(super) use answer::Answer;
pub use dead_letters::DeadLetter;
pub use timings::Timings;

/// The [`Queue`] of many processes.
pub struct RedisQueue {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for RedisQueue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RedisQueue").field("process", &self.shared.process).finish_non_exhaustive()
    }
}

impl RedisQueue {
    /// Takes part in the queue under the pool's prefix. A process that does not take jobs has no slots, whatever `limits` says; `capacity`
    /// and `tenant_share` are those of the whole queue, as this process sees them. Call it inside the runtime that lives as long as the process.
    ///
    /// # Errors
    /// [`RedisStoreError`].
    pub async fn connect(
        pool: RedisPool,
        limits: QueueLimits,
        process: ProcessId,
        takes_jobs: bool,
        clock: Clock,
        timings: Timings,
    ) -> Result<Self, RedisStoreError> {
        let shared = Arc::new(Shared {
            pool,
            clock,
            limits,
            timings,
            process,
            takes_jobs,
            runtime: Handle::current(),
            routes: Routes::default(),
            crowd: Crowd::default(),
            time: RedisTime::default(),
            hands: Hands::new(if takes_jobs { limits.slots } else { 0 }),
            is_closed: AtomicBool::new(false),
        });
        let listener = Listener::start(Arc::clone(&shared)).await?;
        heartbeat::tick(&shared).await?;
        let mut tasks = vec![tokio::spawn(listener.run()), tokio::spawn(heartbeat::beat(Arc::clone(&shared)))];
        if takes_jobs {
            tasks.push(tokio::spawn(hints::listen(Arc::clone(&shared))));
            tasks.push(tokio::spawn(reader::take_jobs(Arc::clone(&shared))));
        }
        Ok(Self { shared, tasks })
    }

    /// Closes the queue for this process and gives up its slots, so that the others know at once. What runs goes on.
    pub async fn unregister(&self) {
        self.close();
        if self.shared.takes_jobs {
            reader::unregister(&self.shared).await;
        }
    }

    /// The newest jobs that were given up, at most so many.
    ///
    /// # Errors
    /// [`RedisStoreError`].
    pub async fn dead_letters(&self, count: usize) -> Result<Vec<DeadLetter>, RedisStoreError> {
        dead_letters::newest(&self.shared.pool, count).await
    }

    async fn call_off(&self, request_id: RequestId, only_if_it_waits: bool) -> Cancellation {
        match call_off(&self.shared, request_id, only_if_it_waits).await {
            Ok(cancellation) => cancellation,
            Err(error) => {
                tracing::warn!(%request_id, %error, "a job could not be called off");
                Cancellation::NotFound
            }
        }
    }
}

impl Drop for RedisQueue {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn call_off(
    shared: &Shared,
    request_id: RequestId,
    only_if_it_waits: bool,
) -> Result<Cancellation, RedisStoreError> {
    let over = Header::without_run(request_id, Kind::Over).to_text();
    let only_if_it_waits = if only_if_it_waits { "1" } else { "0" };
    let calling_off = shared.pool.script(&scripts::CANCEL).arg(request_id.to_string()).arg(over).arg(only_if_it_waits);
    Ok(match calling_off.run::<String>().await?.as_str() {
        "removed" => Cancellation::Removed,
        "told" => Cancellation::Told,
        _ => Cancellation::NotFound,
    })
}

#[async_trait]
impl Queue for RedisQueue {
    async fn room(&self, tenant: TenantId) -> Result<(), SubmitError> {
        let shared = &self.shared;
        if shared.is_closed() || !shared.routes.is_listening() {
            return Err(SubmitError::Unavailable);
        }
        if !shared.crowd.is_near(tenant, &shared.limits) {
            return Ok(());
        }
        let mut looking = redis::pipe();
        looking.cmd("LLEN").arg(shared.pool.key(format_args!("line:{tenant}")));
        looking.cmd("ZCARD").arg(shared.pool.key("waiting"));
        let (own, all): (usize, usize) = shared.pool.pipeline(&looking).await.map_err(|error| {
            tracing::warn!(%error, "the queue could not be looked at");
            SubmitError::Unavailable
        })?;
        shared.crowd.hear(tenant, own, all);
        room_beside(own, all, &shared.limits)
    }

    async fn submit(&self, job: Job) -> Result<Frames, SubmitError> {
        let shared = &self.shared;
        let request_id = job.request_id;
        if shared.is_closed() {
            return Err(SubmitError::Unavailable);
        }
        let body = serde_json::to_vec(&job).map_err(|error| {
            tracing::error!(%request_id, %error, "a job cannot be written down");
            SubmitError::Unavailable
        })?;
        let opened = shared.routes.open(request_id, shared.buffer()).ok_or(SubmitError::Unavailable)?;
        // If this future is dropped from here on, the job, should it be there, learns that nobody waits.
        let answer = Answer::new(Arc::clone(shared), request_id, opened);
        let now = shared.clock.now();
        let limits = &shared.limits;
        let kept_ms = job.deadlines.end.since(now).max(0).saturating_add(GRACE_MS);
        let mut keeping_body = redis::cmd("SET");
        keeping_body.arg(shared.pool.key(format_args!("body:{request_id}"))).arg(body).arg("NX").arg("PX").arg(kept_ms);
        let submitting = shared
            .pool
            .script(&scripts::ENQUEUE)
            .after(keeping_body)
            .arg(request_id.to_string())
            .arg(job.tenant.0)
            .arg(job.weight())
            .arg(answer.stream())
            .arg(kept_ms)
            .arg(job.deadlines.first_text.since(now))
            .arg(limits.capacity)
            .arg(limits.tenant_share)
            .arg(limits.large_bytes)
            .arg(limits.tenants_large_bytes())
            .arg(shared.time.now_ms());
        let answered = submitting.run::<(String, usize, usize)>().await;
        if let Ok((_, own, all)) = &answered {
            shared.crowd.hear(job.tenant, *own, *all);
        }
        let refused = match answered.as_ref().map(|(word, ..)| word.as_str()) {
            Ok("ok") => {
                shared.routes.is_queued(request_id);
                return Ok(Frames { source: Source::Redis(answer) });
            }
            Ok("share") => SubmitError::TenantShareFull { share: limits.tenant_share },
            Ok("full") => SubmitError::Full,
            Ok("here") => {
                tracing::error!(%request_id, "a job was submitted twice");
                SubmitError::Unavailable
            }
            Ok(_) => SubmitError::Unavailable,
            Err(error) => {
                tracing::warn!(%request_id, %error, "a job could not be submitted");
                // It may be there all the same. Nobody will wait for it.
                let shared = Arc::clone(shared);
                self.shared.runtime.spawn(async move { call_off(&shared, request_id, false).await });
                SubmitError::Unavailable
            }
        };
        answer.forget();
        Err(refused)
    }

    async fn withdraw(&self, request_id: RequestId) -> bool {
        self.call_off(request_id, true).await == Cancellation::Removed
    }

    async fn cancel(&self, request_id: RequestId) -> Cancellation {
        self.call_off(request_id, false).await
    }

    async fn take(&self) -> Option<Delivery> {
        self.shared.hands.take(|| self.shared.is_closed()).await
    }

    async fn watch(&self, delivery: &Delivery) -> Interruption {
        lease::watch(delivery).await
    }

    async fn finish(&self, delivery: Delivery, end: End) -> Result<(), Interruption> {
        lease::finish(delivery, end).await
    }

    async fn hand_back(&self, delivery: Delivery) {
        lease::hand_back(delivery).await;
    }

    fn close(&self) {
        self.shared.close();
    }

    async fn depth(&self) -> Depth {
        let pool = &self.shared.pool;
        let mut looking = redis::pipe();
        looking.cmd("ZCARD").arg(pool.key("waiting"));
        looking.cmd("ZCARD").arg(pool.key("leases"));
        looking.cmd("XLEN").arg(pool.key("jobs"));
        looking.cmd("ZRANGE").arg(pool.key("waiting")).arg(0).arg(0).arg("WITHSCORES");
        looking.cmd("XRANGE").arg(pool.key("jobs")).arg("-").arg("+").arg("COUNT").arg(1);
        looking.cmd("TIME");
        type Looked = (usize, usize, usize, Vec<(String, i64)>, Vec<(String, redis::Value)>, (i64, i64));
        match pool.pipeline::<Looked>(&looking).await {
            Ok((in_line, leased, handed_out, oldest, entry, (seconds, micros))) => {
                let now = seconds.saturating_mul(1000).saturating_add(micros / 1000);
                // An entry's id begins with the millisecond in which it was handed out: that is how long it waits at least.
                let handed_out_at = entry.first().and_then(|(id, _)| id.split('-').next()?.parse::<i64>().ok());
                let since = oldest.first().map(|(_, since)| *since).into_iter().chain(handed_out_at).min();
                let oldest_ms = since.map_or(0, |since| now.saturating_sub(since).max(0));
                // What no worker has accepted still waits, though it has a slot.
                Depth { waiting: in_line + handed_out, running: leased.saturating_sub(handed_out), oldest_ms }
            }
            Err(error) => {
                tracing::warn!(%error, "the queue could not be counted");
                Depth::default()
            }
        }
    }
}
