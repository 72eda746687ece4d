//! The loop that takes jobs, and the way of one job.

use std::sync::Arc;
use std::time::Duration;

use shared::calls::{CallRecord, Status};
use shared::clock::Clock;
use shared::deployment::Deployment;
use shared::ledger::{OpenHolds, settle};
use shared::queue::{Delivery, End, Interruption, Job, Queue, TryOutcome, Way};
use shared::refusal::{Reason, Refusal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::attempt::attempt;
use crate::channels::Channels;
use crate::ending::Ending;
use crate::progress::Progress;

/// Takers that wait for jobs at the same time: a queue in another process gives several at once for the price of one.
const TAKERS: usize = 16;

/// What is left of the time to stop for giving up what still runs.
const GIVING_UP: Duration = Duration::from_secs(3);

/// The running workers of this process.
#[derive(Debug)]
pub struct Workers {
    queue: Arc<dyn Queue>,
    taking: Vec<JoinHandle<JoinSet<()>>>,
    hurry: watch::Sender<bool>,
}

struct Context {
    deployment: Deployment,
    channels: Channels,
    open_holds: OpenHolds,
    /// Whether the process is about to end: who still works gives up what it has.
    hurry: watch::Receiver<bool>,
}

impl Workers {
    /// Starts taking jobs from the deployment's queue, which bounds how many run at once.
    pub fn start(deployment: &Deployment) -> Self {
        let hurry = watch::Sender::new(false);
        let context = Arc::new(Context {
            hurry: hurry.subscribe(),
            channels: Channels::new(&deployment.settings, deployment.clock.clone()),
            open_holds: OpenHolds::new(deployment.database.clone()),
            deployment: deployment.clone(),
        });
        let queue = Arc::clone(&deployment.queue);
        let taking = (0..TAKERS).map(|_| tokio::spawn(take_jobs(Arc::clone(&context)))).collect();
        Self { queue, taking, hurry }
    }

    /// Takes no further job, and waits at most `within` for those that run. What still runs shortly before is given up: without text it
    /// goes back for another worker, with text it ends there and is charged. Gives whether all came to their end.
    pub async fn stop(self, within: Duration) -> bool {
        self.queue.close();
        let finished = async {
            for taking in self.taking {
                let Ok(mut running) = taking.await else { continue };
                while running.join_next().await.is_some() {}
            }
        };
        tokio::pin!(finished);
        if tokio::time::timeout(within.saturating_sub(GIVING_UP), &mut finished).await.is_ok() {
            return true;
        }
        self.hurry.send_replace(true);
        tokio::time::timeout(within.min(GIVING_UP), finished).await.is_ok()
    }
}

async fn take_jobs(context: Arc<Context>) -> JoinSet<()> {
    let mut running = JoinSet::new();
    while let Some(delivery) = context.deployment.queue.take().await {
        running.spawn(work(Arc::clone(&context), delivery));
        while let Some(ended) = running.try_join_next() {
            if let Err(error) = ended {
                // The delivery went with the task, so whoever waits for its answer knows and settles.
                tracing::error!(%error, "the work on a job ended in a panic");
            }
        }
    }
    running
}

async fn work(context: Arc<Context>, delivery: Delivery) {
    let Deployment { queue, clock, catalogue, .. } = &context.deployment;
    let job = &delivery.job;
    let progress = Progress::begin(clock, job);
    metrics::histogram!("xiaoyi_queue_wait_seconds")
        .record(Duration::from_millis(u64::try_from(progress.queued_ms()).unwrap_or(0)));
    if is_too_late(clock, &delivery) {
        let late = Refusal::new(
            Reason::Timeout,
            "the call waited too long for its turn; nothing was charged, please try again",
        );
        let ending = Ending::without_charge(job, &progress, TryOutcome::Timeout, late);
        return finish(&context, delivery, ending).await;
    }
    if delivery.needs_open_hold_check()
        && let Err(ending) = make_sure_of_hold(&context.open_holds, job, &progress).await
    {
        return finish(&context, delivery, ending).await;
    }
    let snapshot = catalogue.now();
    let served = snapshot.model(&job.model);
    let attempted = tokio::select! {
        attempted = attempt(&context.channels, clock, served, &delivery, &progress) => attempted,
        interruption = queue.watch(&delivery) => match interruption {
            Interruption::LeaseLost => {
                tracing::warn!(request_id = %job.request_id, "a job was given to another worker");
                return;
            }
            Interruption::ClientLeft => {
                // A call that may be asked for again does not end with its client, but with the process that followed it.
                let left = match job.idempotency {
                    Some(_) => Refusal::interrupted(),
                    None => Refusal::new(Reason::UpstreamError, "the client has left"),
                };
                let ending = Ending::early(job, &progress, TryOutcome::ClientLeft, left);
                return finish(&context, delivery, ending).await;
            }
        },
        () = told_to_hurry(&context) => {
            tracing::warn!(request_id = %job.request_id, "the process ends before a call that it runs");
            if progress.produced().is_none() {
                return queue.hand_back(delivery).await;
            }
            let stopped = Refusal::interrupted();
            let ending = Ending::early(job, &progress, TryOutcome::Interrupted, stopped);
            return finish(&context, delivery, ending).await;
        }
    };
    let ending = Ending::of(job, attempted, &progress);
    finish(&context, delivery, ending).await;
}

/// Resolves when the process is about to end, and never if it is not.
async fn told_to_hurry(context: &Context) {
    if context.hurry.clone().wait_for(|&hurry| hurry).await.is_err() {
        std::future::pending().await
    }
}

/// A job may come again after its call was settled: nothing is asked of a provider without a hold that covers it.
async fn make_sure_of_hold(open_holds: &OpenHolds, job: &Job, progress: &Progress) -> Result<(), Ending> {
    let request_id = job.request_id;
    match open_holds.contains(request_id).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            tracing::warn!(%request_id, "a job whose hold is settled or unknown came once more; it is not called");
            Err(Ending::lost())
        }
        Err(error) => {
            tracing::error!(%request_id, %error, "it could not be found out whether a job's hold is open; it is not called");
            Err(Ending::without_charge(job, progress, TryOutcome::Interrupted, Refusal::unavailable()))
        }
    }
}

/// Sends the end. If nobody receives it, the call is settled here.
async fn finish(context: &Context, delivery: Delivery, ending: Ending) {
    let Deployment { queue, ledger, calls, clock, sealer, .. } = &context.deployment;
    let request_id = delivery.job.request_id;
    let (end, settlement) = ending.into_parts();
    let way = match &end {
        End::Answered { way, .. } | End::Failed { way, .. } => way.clone(),
        End::Lost => Way::default(),
    };
    let record = CallRecord::beside(&delivery.job, Status::CLIENT_LEFT, None, clock.now(), way);
    match queue.finish(delivery, end).await {
        Ok(()) => {}
        Err(Interruption::LeaseLost) => {
            tracing::warn!(%request_id, "an end came after its job was given to another worker");
        }
        Err(Interruption::ClientLeft) => {
            // Who settled it before has also kept its details.
            if let Some(settlement) = settlement
                && settle(ledger, request_id, settlement.sealed(sealer)).await
            {
                calls.record(record);
            }
        }
    }
}

fn is_too_late(clock: &Clock, delivery: &Delivery) -> bool {
    let deadlines = &delivery.job.deadlines;
    clock.now() >= deadlines.first_text.min(deadlines.end)
}
