//! A call that does not need its caller: it runs to its end, whoever follows it. So it is with a call that may be asked for again, since who
//! asks again wants the answer of this one.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::call::{Call, Step};
use super::failure::Failure;
use crate::id::RequestId;
use crate::limits::Allowances;
use crate::queue::SLOW_CLIENT_MS;
use crate::refusal::{Reason, Refusal};

/// The steps that wait for a slow caller.
const STEPS: usize = 16;

/// Follows such a call. Dropping it changes nothing of the call.
#[derive(Debug)]
pub struct Detached {
    request_id: RequestId,
    allowances: Allowances,
    steps: mpsc::Receiver<Step>,
    has_ended: bool,
}

impl Detached {
    /// The call's id.
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// What the call's key may still do after it was let in.
    pub const fn allowances(&self) -> Allowances {
        self.allowances
    }

    /// What comes next. `None` after the end.
    pub async fn next(&mut self) -> Option<Step> {
        let step = match self.steps.recv().await {
            None if !self.has_ended => Some(Step::Failed(too_slow(self.request_id))),
            step => step,
        };
        self.has_ended = !matches!(step, Some(Step::Chunk(_)));
        step
    }
}

/// What a caller is told that the call did not wait for. It says nothing of money: the call runs on, and is charged at its end.
fn too_slow(request_id: RequestId) -> Failure {
    let message = format!(
        "the answer was read too slowly, so the rest of it is not sent here; request {request_id} runs on: \
         ask again with the same Idempotency-Key for the whole answer"
    );
    Failure { refusal: Refusal::new(Reason::OutcomeUnknown, message), charged: None }
}

/// Takes a call off its caller's hands, with the work that follows it to its end, or until `given_up`.
pub(super) fn detach(
    mut call: Call,
    given_up: impl Future<Output = ()> + Send + 'static,
) -> (Detached, impl Future<Output = ()> + Send + 'static) {
    let (sender, steps) = mpsc::channel(STEPS);
    let detached = Detached { request_id: call.request_id(), allowances: call.allowances(), steps, has_ended: false };
    let running = async move {
        let mut follower = Some(sender);
        let mut given_up = pin!(given_up);
        loop {
            // Dropping the future loses nothing, and dropping the call settles it.
            let step = tokio::select! {
                biased;
                step = call.next() => step,
                () = &mut given_up => return,
            };
            let Some(step) = step else { return };
            let Some(sender) = &follower else { continue };
            // A caller that has left, or reads much too slowly: nobody else has to wait for it.
            if !matches!(timeout(Duration::from_millis(SLOW_CLIENT_MS / 2), sender.send(step)).await, Ok(Ok(()))) {
                follower = None;
            }
        }
    };
    (detached, running)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn who_is_not_waited_for_is_told_to_ask_again() {
        let (sender, steps) = mpsc::channel(STEPS);
        let (request_id, allowances) = (RequestId::new(), Allowances::default());
        let mut detached = Detached { request_id, allowances, steps, has_ended: false };
        sender.send(Step::Chunk(Bytes::from_static(b"{}"))).await.unwrap();
        drop(sender);
        assert!(matches!(detached.next().await, Some(Step::Chunk(_))));
        let Some(Step::Failed(failure)) = detached.next().await else { panic!("no words for the slow") };
        assert_eq!(failure.refusal.reason, Reason::OutcomeUnknown);
        assert!(failure.refusal.message.contains("ask again with the same Idempotency-Key"));
        assert!(detached.next().await.is_none());
    }
}
