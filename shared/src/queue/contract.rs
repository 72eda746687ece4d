//! What every form of the [`Queue`] must do. A form's tests hold it to all of it with one line:
//! `queue_contract!(async |limits| Arc::new(...) as Arc<dyn Queue>)`, where the queue is empty at first.

mod delivery;
mod interruption;
mod turns;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

pub(crate) use self::{delivery::*, interruption::*, turns::*};
use super::{Chunk, Deadlines, Delivery, Endpoint, Frame, Frames, Job, Queue, QueueLimits, SLOW_CLIENT_MS};
use crate::clock::Timestamp;
use crate::id::{RequestId, TenantId};
use crate::money::Amount;
use crate::price::{Basis, Price, PriceVersion};
use crate::tokens::Tally;

/// Generates one test for each property.
macro_rules! queue_contract {
    ($make:expr) => {
        crate::queue::contract::queue_contract! {
            $make, flavor = "current_thread":
            a_job_arrives_whole_and_once,
            chunks_and_end_arrive_in_order,
            a_full_queue_refuses_until_one_is_taken,
            a_full_share_refuses_only_its_tenant_until_one_is_taken,
            tenants_take_turns,
            large_jobs_are_bounded_by_their_bytes_until_they_end,
            a_tenant_alone_may_use_all_slots,
            a_tenant_gets_half_of_the_slots_while_others_wait,
            a_cancellation_that_leaves_one_tenant_waiting_lets_it_go_on,
            an_end_that_lets_two_go_on_wakes_two_workers,
            slots_bound_what_runs,
            a_cancelled_waiting_job_reaches_no_worker,
            a_cancelled_running_job_interrupts_its_worker,
            a_withdrawn_job_reaches_no_worker_and_a_running_one_is_not_disturbed,
            who_leaves_gets_an_end_that_was_sent_before,
            a_cancellation_outlives_a_hand_back,
            a_client_that_leaves_interrupts_its_worker,
            a_client_that_leaves_while_waiting_is_still_delivered,
            finishing_for_a_client_that_left_frees_the_slot,
            a_job_handed_back_comes_again_with_the_same_frames,
            a_job_handed_back_comes_before_its_tenants_others,
            a_dropped_delivery_ends_its_frames_and_frees_the_slot,
            a_dropped_take_loses_nothing,
            a_client_that_pauses_gets_everything,
            a_client_that_never_reads_is_gone,
            a_closed_queue_delivers_and_accepts_nothing,
            what_runs_when_the_queue_closes_goes_on,
            depth_counts_what_waits_and_what_runs
        }
        crate::queue::contract::queue_contract! {
            $make, flavor = "multi_thread":
            many_jobs_are_delivered_once_each
        }
    };
    ($make:expr, flavor = $flavor:literal: $($property:ident),+) => {
        $(#[tokio::test(flavor = $flavor)]
        async fn $property() {
            crate::queue::contract::$property($make).await;
        })+
    };
}
pub(crate) use queue_contract;

/// Bounds that none of the properties meets unless it says so.
pub(crate) const LIMITS: QueueLimits = QueueLimits {
    capacity: 100,
    tenant_share: 100,
    large_bytes: 1 << 30,
    frames: 16,
    slots: 4,
    slow_client_ms: SLOW_CLIENT_MS,
};
const A: TenantId = TenantId(1001);
const B: TenantId = TenantId(1002);

/// Makes the empty queue that a property is tried on.
pub(crate) trait Make: AsyncFn(QueueLimits) -> Arc<dyn Queue> {}

impl<F: AsyncFn(QueueLimits) -> Arc<dyn Queue>> Make for F {}

/// Longer than anything here takes: what has not come by then never comes.
const NEVER: Duration = Duration::from_secs(20);
/// How long it is watched that nothing comes. In one process a single look would do; over a network it takes a while.
const A_WHILE: Duration = Duration::from_millis(100);

/// A job like any other.
pub(crate) fn job_of(tenant: TenantId) -> Job {
    let nanos = Amount::from_nanos;
    Job {
        request_id: RequestId::new(),
        tenant,
        key: "abcdefABCDEF".parse().unwrap(),
        endpoint: Endpoint::Chat,
        model: "gpt-3.5".to_owned(),
        fields: r#""messages":[{"role":"user","content":"你好 \u0000"}],"temperature":0.10"#.to_owned(),
        stream: true,
        include_usage: true,
        stream_options: r#""x":1.0"#.to_owned(),
        choices: 2,
        prompt: Tally { texts: 1, hanzi: 2, words: 0, tokens: 2 },
        echoed_prompts: vec!["你好".to_owned()],
        hold: nanos(i64::MAX),
        price: Price {
            version: PriceVersion(7),
            model: "gpt-3.5".to_owned(),
            prompt: nanos(10_000_000_000),
            completion: nanos(30_000_000_000),
            images: BTreeMap::from([("256x256".to_owned(), nanos(1))]),
            image: nanos(300_000_000),
            basis: Basis::Upstream,
            is_default: true,
        },
        images: None,
        end_user: Some("小一".to_owned()),
        idempotency: None,
        left_out: 0,
        accepted_at: Timestamp(1_700_000_000_123),
        deadlines: Deadlines {
            first_text: Timestamp(1_700_000_060_123),
            between_chunks_ms: 30_000,
            end: Timestamp(1_700_000_600_123),
        },
    }
}

async fn submitted(queue: &Arc<dyn Queue>, tenant: TenantId) -> (RequestId, Frames) {
    let job = job_of(tenant);
    (job.request_id, queue.submit(job).await.unwrap())
}

async fn taken(queue: &Arc<dyn Queue>) -> Delivery {
    within(queue.take()).await.expect("the queue is open")
}

async fn nothing_to_take(queue: &Arc<dyn Queue>) {
    if let Ok(delivery) = timeout(A_WHILE, queue.take()).await {
        panic!("delivered: {delivery:?}");
    }
}

fn chunk(number: i64) -> Chunk {
    let generated = Tally { texts: 1, hanzi: number, words: 0, tokens: number };
    Chunk { json: Bytes::from(number.to_string()), generated }
}

/// Waits until so many wait and run: what a worker that dies leaves behind is cleared up behind its back.
async fn depth_becomes(queue: &Arc<dyn Queue>, waiting: usize, running: usize) {
    within(async {
        loop {
            let depth = queue.depth().await;
            if (depth.waiting, depth.running) == (waiting, running) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// The number of the chunk that must come next.
async fn next_chunk(frames: &mut Frames) -> i64 {
    match within(frames.next()).await {
        Ok(Frame::Chunk(chunk)) => {
            assert_eq!(chunk.json, chunk.generated.tokens.to_string());
            chunk.generated.tokens
        }
        other => panic!("not a chunk: {other:?}"),
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(NEVER, future).await.expect("it never came")
}

/// Starts a future, or looks at it once more.
async fn looked<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
