//! What is settled behind a call's back: not on the thread of a connection that is going away, and not forgotten when the process ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::calls::{CallLog, CallRecord, Status};
use crate::clock::{Clock, Timestamp};
use crate::id::{RequestId, TenantId};
use crate::ledger::{Ledger, release, undo};
use crate::queue::{Job, Way};
use crate::seal::Sealer;

/// How long a worker that was told that its client has left may take to settle. It hears of it at once, or at its next renewal of the
/// lease (10 s); whoever has not settled by then is dead. No worker needs longer, so the hold is nobody's, and must not wait for its expiry.
const WORKERS_TURN: Duration = Duration::from_secs(30);
/// What is left of the time to end for giving up what still runs.
const GIVING_UP: Duration = Duration::from_secs(1);

/// Where that happens. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Settling {
    runtime: Handle,
    ledger: Ledger,
    calls: CallLog,
    clock: Clock,
    sealer: Arc<Sealer>,
    tasks: TaskTracker,
    /// Whether the process is about to end.
    giving_up: watch::Sender<bool>,
}

impl Settling {
    /// In the present runtime, which lives as long as the process.
    pub(super) fn new(ledger: Ledger, calls: CallLog, clock: Clock, sealer: Arc<Sealer>) -> Self {
        Self {
            runtime: Handle::current(),
            ledger,
            calls,
            clock,
            sealer,
            tasks: TaskTracker::new(),
            giving_up: watch::Sender::new(false),
        }
    }

    /// The ledger that it settles in.
    pub(super) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Seals what callers were sent.
    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// What is known of a call that ends now, for whoever looks at it later.
    pub(super) fn record_of(&self, job: Job, status: Status, first_text_at: Option<Timestamp>, way: Way) -> CallRecord {
        CallRecord::of(job, status, first_text_at, self.clock.now(), way)
    }

    /// Keeps it.
    pub(super) fn record(&self, record: CallRecord) {
        self.calls.record(record);
    }

    /// Runs `task`, which the process waits for before it ends.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Voids a hold now.
    pub(super) fn release(&self, request_id: RequestId, account: TenantId) {
        let ledger = self.ledger.clone();
        self.spawn(async move {
            release(&ledger, request_id, account).await;
        });
    }

    /// Gives back what was charged for a call whose caller got nothing, or voids its hold.
    pub(super) fn undo(&self, request_id: RequestId, account: TenantId) {
        let ledger = self.ledger.clone();
        self.spawn(async move { undo(&ledger, request_id, account).await });
    }

    /// Voids a hold that a worker should settle, if it has not, and then keeps `record`: a worker that settles keeps its own. A process
    /// that ends before does not wait: its open holds are swept.
    pub(super) fn release_after_workers_turn(
        &self,
        request_id: RequestId,
        account: TenantId,
        record: Option<CallRecord>,
    ) {
        let (ledger, calls) = (self.ledger.clone(), self.calls.clone());
        self.runtime.spawn(async move {
            tokio::time::sleep(WORKERS_TURN).await;
            if release(&ledger, request_id, account).await
                && let Some(record) = record
            {
                calls.record(record);
            }
        });
    }

    /// Resolves when the process is about to end.
    pub(super) fn until_giving_up(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut told = self.giving_up.subscribe();
        async move {
            // An error: nothing of the process is left.
            let _ = told.wait_for(|&giving_up| giving_up).await;
        }
    }

    /// Waits until all that was begun is settled, at most so long. Calls that run on without their clients are given up shortly before:
    /// what was generated is charged, and one that no worker has is released.
    pub(super) async fn finished(&self, within: Duration) -> bool {
        self.tasks.close();
        if tokio::time::timeout(within.saturating_sub(GIVING_UP), self.tasks.wait()).await.is_ok() {
            return true;
        }
        self.giving_up.send_replace(true);
        tokio::time::timeout(within.min(GIVING_UP), self.tasks.wait()).await.is_ok()
    }
}
