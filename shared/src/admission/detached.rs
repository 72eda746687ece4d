//! A call that does not need its caller: it runs to its end, whoever follows it. So it is with a call that may be asked for again, since who
//! asks again wants the answer of this one.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::call::{Call, Step};
use crate::id::RequestId;
use crate::limits::Allowances;
use crate::queue::SLOW_CLIENT_MS;

/// The steps that wait for a slow caller.
const STEPS: usize = 16;

/// Follows such a call. Dropping it changes nothing of the call.
#[derive(Debug)]
pub struct Detached {
    request_id: RequestId,
    allowances: Allowances,
    steps: mpsc::Receiver<Step>,
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

    /// What comes next. `None` after the end, and for who was too slow to be waited for.
    pub async fn next(&mut self) -> Option<Step> {
        self.steps.recv().await
    }
}

/// Takes a call off its caller's hands, with the work that follows it to its end.
pub(super) fn detach(mut call: Call) -> (Detached, impl Future<Output = ()> + Send + 'static) {
    let (sender, steps) = mpsc::channel(STEPS);
    let detached = Detached { request_id: call.request_id(), allowances: call.allowances(), steps };
    let running = async move {
        let mut follower = Some(sender);
        while let Some(step) = call.next().await {
            let Some(sender) = &follower else { continue };
            // A caller that has left, or reads much too slowly: nobody else has to wait for it.
            if !matches!(timeout(Duration::from_millis(SLOW_CLIENT_MS / 2), sender.send(step)).await, Ok(Ok(()))) {
                follower = None;
            }
        }
    };
    (detached, running)
}
