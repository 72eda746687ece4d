//! A worker that follows the test's script instead of asking a provider.

use std::sync::Arc;

use bytes::Bytes;
use shared::billing::{self, Produced};
use shared::clock::Timestamp;
use shared::deployment::Deployment;
use shared::ledger::Capture;
use shared::queue::{Chunk, Delivery, End, Interruption, Job, Way};
use shared::refusal::Refusal;
use shared::tokens::Tally;
use tokio::sync::Notify;

/// One thing that the worker does with a call; the last one ends it.
#[derive(Clone)]
pub(crate) enum Act {
    /// Sends a chunk, of which each generated this many words.
    Chunk(&'static str, usize),
    /// Waits for the test.
    Wait(Arc<Notify>),
    /// Ends with an answer that costs what was generated and so many words more.
    Answer(&'static [&'static str], usize),
    /// Ends without a charge.
    Fail(Refusal),
    /// Fails after what was generated.
    FailCharged(Refusal),
    /// Found its hold settled.
    Lost,
    /// Dies without an end.
    Die,
    /// Waits until it is interrupted, and tells the test.
    AwaitInterruption(tokio::sync::mpsc::UnboundedSender<Interruption>),
}

pub(crate) type Script = Arc<dyn Fn(&Job) -> Vec<Act> + Send + Sync>;

/// Takes jobs until the queue is closed.
pub(crate) async fn work(deployment: Deployment, script: Script) {
    while let Some(delivery) = deployment.queue.take().await {
        tokio::spawn(follow(deployment.clone(), script(&delivery.job), delivery));
    }
}

async fn follow(deployment: Deployment, acts: Vec<Act>, delivery: Delivery) {
    let mut generated = Tally::default();
    for act in acts {
        match act {
            Act::Chunk(json, words) => {
                generated.add_text(&"word ".repeat(words));
                if delivery.send(Chunk { json: Bytes::from_static(json.as_bytes()), generated }).await.is_err() {
                    return;
                }
            }
            Act::Wait(notify) => notify.notified().await,
            Act::Answer(bodies, words) => {
                generated.add_text(&"word ".repeat(words));
                let produced = produced(&delivery.job, generated);
                let held_back = bodies.iter().map(|body| Bytes::from_static(body.as_bytes())).collect();
                return finish(&deployment, delivery, End::Answered { held_back, produced, way: Way::default() }).await;
            }
            Act::Fail(refusal) => {
                return finish(&deployment, delivery, End::Failed { refusal, produced: None, way: Way::default() })
                    .await;
            }
            Act::FailCharged(refusal) => {
                let produced = Some(produced(&delivery.job, generated));
                return finish(&deployment, delivery, End::Failed { refusal, produced, way: Way::default() }).await;
            }
            Act::Lost => return finish(&deployment, delivery, End::Lost).await,
            Act::Die => return drop(delivery),
            Act::AwaitInterruption(tell) => {
                let interruption = deployment.queue.watch(&delivery).await;
                charge(&deployment, &delivery.job, generated).await;
                tell.send(interruption).unwrap();
                return;
            }
        }
    }
}

async fn finish(deployment: &Deployment, delivery: Delivery, end: End) {
    // The client may have left, which is what some tests are about.
    let _ = deployment.queue.finish(delivery, end).await;
}

fn produced(job: &Job, completion: Tally) -> Produced {
    let images = job.images.as_ref().map_or(0, |order| order.count);
    Produced { completion, images, ..Produced::default() }
}

/// As a worker does whose end nobody receives.
async fn charge(deployment: &Deployment, job: &Job, completion: Tally) {
    let charge = billing::charge(job, produced(job, completion)).unwrap();
    assert_ne!(job.accepted_at, Timestamp(0));
    let capture = Capture { request_id: job.request_id, account: job.tenant, charge, answer: None };
    deployment.ledger.capture(capture).await.unwrap().unwrap();
}
