//! The queue against a model that is too simple to be wrong, through random histories with workers that wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;
use proptest::sample::Index;

use super::MemoryQueue;
use crate::clock::Clock;
use crate::id::{RequestId, TenantId};
use crate::queue::contract::job_of;
use crate::queue::{Cancellation, Delivery, End, Frames, Queue, QueueLimits, SLOW_CLIENT_MS, SubmitError};

#[derive(Debug, Clone)]
enum Step {
    Submit(i64),
    /// A worker comes and waits for a job.
    Come,
    /// A waiting worker goes, perhaps one that was just woken.
    Go(Index),
    /// All woken workers look.
    Look,
    Finish(Index),
    Die(Index),
    HandBack(Index),
    CancelWaiting(Index),
    CancelRunning(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<Index>;
    let step = prop_oneof![
        6 => (1..=4_i64).prop_map(Step::Submit),
        5 => Just(Step::Come),
        1 => index().prop_map(Step::Go),
        4 => Just(Step::Look),
        2 => index().prop_map(Step::Finish),
        1 => index().prop_map(Step::Die),
        1 => index().prop_map(Step::HandBack),
        1 => index().prop_map(Step::CancelWaiting),
        1 => index().prop_map(Step::CancelRunning),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn the_queue_does_what_the_model_does(steps in steps(), slots in 1..7_usize) {
        // `finish` asks for a timer, which needs a runtime to be there; nothing runs on it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let limits = QueueLimits { capacity: 10, tenant_share: 5, large_bytes: 1 << 30, frames: 1, slots, slow_client_ms: SLOW_CLIENT_MS };
        let queue = MemoryQueue::new(limits, Clock::default());
        let mut history = History::new(&queue, limits);
        for step in steps {
            history.step(step);
            history.compare_depth();
        }
        history.look();
        if !history.workers.is_empty() {
            assert_eq!(history.model.take(), None, "a worker sleeps beside a job that it could take");
        }
        drop(history);
        queue.drain();
        assert!(queue.shared.lock().is_empty(), "something was left behind");
    }
}

/// A job as the model sees it: whose, which, and which try.
type Seen = (TenantId, RequestId, u32);

struct Model {
    limits: QueueLimits,
    turns: Vec<TenantId>,
    waiting: Vec<Seen>,
    running: Vec<Seen>,
}

impl Model {
    fn submit(&mut self, tenant: TenantId, request_id: RequestId) -> Result<(), SubmitError> {
        let share = self.limits.tenant_share;
        if self.waiting.iter().filter(|job| job.0 == tenant).count() >= share {
            return Err(SubmitError::TenantShareFull { share });
        }
        if self.waiting.len() >= self.limits.capacity {
            return Err(SubmitError::Full);
        }
        self.waiting.push((tenant, request_id, 1));
        self.fix_turns();
        Ok(())
    }

    fn take(&mut self) -> Option<Seen> {
        if self.running.len() >= self.limits.slots {
            return None;
        }
        let runs = |tenant| self.running.iter().filter(|job| job.0 == tenant).count();
        let may_go = |tenant| self.turns.len() == 1 || runs(tenant) < 1.max(self.limits.slots / 2);
        let turn = self.turns.iter().position(|&tenant| may_go(tenant))?;
        let tenant = self.turns.remove(turn);
        let place = self.waiting.iter().position(|job| job.0 == tenant)?;
        let job = self.waiting.remove(place);
        self.running.push(job);
        self.fix_turns();
        Some(job)
    }

    fn hand_back(&mut self, place: usize) {
        let (tenant, request_id, attempt) = self.running.remove(place);
        self.waiting.insert(0, (tenant, request_id, attempt + 1));
        self.fix_turns();
    }

    fn cancel_waiting(&mut self, place: usize) -> RequestId {
        let job = self.waiting.remove(place);
        self.fix_turns();
        job.1
    }

    /// Exactly those who wait have a turn; who has none yet comes last.
    fn fix_turns(&mut self) {
        self.turns.retain(|&tenant| self.waiting.iter().any(|job| job.0 == tenant));
        for job in &self.waiting {
            if !self.turns.contains(&job.0) {
                self.turns.push(job.0);
            }
        }
    }
}

/// A worker in `take`, and whether it was woken.
struct Worker<'a> {
    take: Pin<Box<dyn Future<Output = Option<Delivery>> + Send + 'a>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The same history in both; `in_hand` and `model.running` hold the same jobs in the same order.
struct History<'a> {
    queue: &'a MemoryQueue,
    model: Model,
    workers: Vec<Worker<'a>>,
    in_hand: Vec<Delivery>,
    clients: Vec<Frames>,
}

impl<'a> History<'a> {
    fn new(queue: &'a MemoryQueue, limits: QueueLimits) -> Self {
        let model = Model { limits, turns: Vec::new(), waiting: Vec::new(), running: Vec::new() };
        Self { queue, model, workers: Vec::new(), in_hand: Vec::new(), clients: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Submit(tenant) => {
                let job = job_of(TenantId(tenant));
                let expected = self.model.submit(job.tenant, job.request_id);
                let submitted = at_once(self.queue.submit(job));
                assert_eq!(submitted.as_ref().err(), expected.as_ref().err());
                self.clients.extend(submitted);
            }
            Step::Come => {
                let worker = Worker { take: self.queue.take(), woken: Arc::new(Woken(AtomicBool::new(true))) };
                self.workers.push(worker);
                let newest = self.workers.len() - 1;
                self.look_of(newest);
            }
            Step::Go(index) if !self.workers.is_empty() => {
                self.workers.remove(index.index(self.workers.len()));
            }
            Step::Look => self.look(),
            Step::Finish(index) if !self.in_hand.is_empty() => {
                let place = index.index(self.in_hand.len());
                self.model.running.remove(place);
                at_once(self.queue.finish(self.in_hand.remove(place), End::Lost)).unwrap();
            }
            Step::Die(index) if !self.in_hand.is_empty() => {
                let place = index.index(self.in_hand.len());
                self.model.running.remove(place);
                drop(self.in_hand.remove(place));
            }
            Step::HandBack(index) if !self.in_hand.is_empty() => {
                let place = index.index(self.in_hand.len());
                self.model.hand_back(place);
                at_once(self.queue.hand_back(self.in_hand.remove(place)));
            }
            Step::CancelWaiting(index) if !self.model.waiting.is_empty() => {
                let place = index.index(self.model.waiting.len());
                let request_id = self.model.cancel_waiting(place);
                assert_eq!(at_once(self.queue.cancel(request_id)), Cancellation::Removed);
                assert_eq!(at_once(self.queue.cancel(request_id)), Cancellation::NotFound);
            }
            Step::CancelRunning(index) if !self.in_hand.is_empty() => {
                let delivery = &self.in_hand[index.index(self.in_hand.len())];
                assert_eq!(at_once(self.queue.cancel(delivery.job.request_id)), Cancellation::Told);
            }
            _ => {}
        }
    }

    fn look(&mut self) {
        while let Some(worker) = self.workers.iter().position(|worker| worker.woken.0.load(Ordering::SeqCst)) {
            self.look_of(worker);
        }
    }

    fn look_of(&mut self, place: usize) {
        let worker = &mut self.workers[place];
        worker.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&worker.woken));
        let expected = self.model.take();
        match worker.take.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(delivery) => {
                let delivery = delivery.expect("the queue is open");
                assert_eq!(Some((delivery.job.tenant, delivery.job.request_id, delivery.attempt)), expected);
                self.in_hand.push(delivery);
                self.workers.remove(place);
            }
            Poll::Pending => assert_eq!(expected, None),
        }
    }

    fn compare_depth(&self) {
        let depth = at_once(self.queue.depth());
        assert_eq!((depth.waiting, depth.running), (self.model.waiting.len(), self.model.running.len()));
    }
}

/// The output of a future that need not wait for anything.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}
