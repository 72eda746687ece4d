//! A call with an Idempotency-Key: let in once, and answered from what is kept when it is asked for again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::call::Step;
use super::detached::{Detached, detach};
use super::failure::Failure;
use super::not_admitted::NotAdmitted;
use super::{Admission, CallRequest};
use crate::id::RequestId;
use crate::idempotency::{self, Answer, Kept, Mark, Standing};
use crate::keyring::Caller;
use crate::refusal::{Reason, Refusal};

/// How soon it is looked again whether the first call has ended; then after twice as long each time, up to [`LONGEST_LOOK`].
const FIRST_LOOK: Duration = Duration::from_millis(25);
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// What a caller is told to wait while the first call runs, in seconds.
const IN_PROGRESS_RETRY_S: u32 = 2;

/// What became of a call that may be asked for again.
#[derive(Debug)]
pub enum Once {
    /// It is the first: it runs, and runs on when its caller leaves.
    New(Detached),
    /// It was charged before: its answer once more.
    Before(Replay),
}

/// The answer of a call that was charged before.
#[derive(Debug)]
pub struct Replay {
    request_id: RequestId,
    steps: VecDeque<Step>,
}

impl Replay {
    /// The call that was charged.
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// What comes next. `None` after the end.
    pub fn next_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn of(kept: &Kept, answer: Answer) -> Self {
        let Answer { parts, failure } = answer;
        let charged = kept.charged;
        let steps = match failure {
            None => VecDeque::from([Step::Answered { held_back: parts, charged }]),
            Some(refusal) => {
                let failed = Step::Failed(Failure { refusal, charged: Some(charged) });
                parts.into_iter().map(Step::Chunk).chain([failed]).collect()
            }
        };
        Self { request_id: kept.request_id, steps }
    }
}

impl Admission {
    /// As [`Admission::admit`], for a call that may be asked for again: while the first one runs it is waited for (as long as the settings
    /// say), and once it was charged its answer is given again. `new_id` makes the id of a call that is let in: it must be young then.
    ///
    /// # Errors
    /// Those of [`Admission::admit`]; [`Reason::IdempotencyInProgress`] when the first call runs for longer;
    /// [`Reason::IdempotencyMismatch`]; [`Reason::AnswerNotKept`].
    pub async fn admit_once(
        &self,
        caller: &Caller,
        new_id: impl Fn() -> RequestId,
        request: CallRequest,
        mark: Mark,
    ) -> Result<Once, NotAdmitted> {
        self.refuse_blocked(caller, &request)?;
        let refused = |refusal: Refusal| {
            self.count_refusal(caller.tenant, caller.key, Some(&request.model), refusal.reason);
            NotAdmitted::from(refusal)
        };
        let deadline = Instant::now() + Duration::from_secs(self.inner.settings.idempotency.wait_s);
        let mut look = FIRST_LOOK;
        loop {
            match self.standing(caller, mark).await.map_err(refused)? {
                Standing::Free => match self.admit(caller, new_id(), request.clone(), Some(mark)).await {
                    Ok(call) => {
                        let (detached, running) = detach(call);
                        self.inner.settling.spawn(running);
                        return Ok(Once::New(detached));
                    }
                    // Another one came first, in this very moment.
                    Err(not_admitted) if not_admitted.refusal.reason == Reason::IdempotencyInProgress => {}
                    Err(not_admitted) => return Err(not_admitted),
                },
                Standing::Running => {}
                Standing::AnotherBody => return Err(refused(mismatch())),
                Standing::Charged(kept) => return self.replay(&kept).map(Once::Before).map_err(refused),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(refused(in_progress()));
            }
            tokio::time::sleep(look.min(left)).await;
            look = (look * 2).min(LONGEST_LOOK);
        }
    }

    async fn standing(&self, caller: &Caller, mark: Mark) -> Result<Standing, Refusal> {
        let (tenant, now) = (caller.tenant, self.inner.clock.now());
        let read = self.inner.database.read(move |connection| idempotency::find(connection, tenant, &mark, now));
        read.await.map_err(|error| {
            tracing::error!(%error, "it could not be found out whether a call was made before");
            Refusal::unavailable()
        })
    }

    fn replay(&self, kept: &Kept) -> Result<Replay, Refusal> {
        let request_id = kept.request_id;
        let Some(sealed) = &kept.sealed else { return Err(not_kept(request_id)) };
        match Answer::open(sealed, request_id, &self.inner.sealer) {
            Ok(answer) => Ok(Replay::of(kept, answer)),
            Err(error) => {
                tracing::error!(%request_id, %error, "a kept answer could not be opened");
                Err(not_kept(request_id))
            }
        }
    }
}

pub(super) fn in_progress() -> Refusal {
    let message =
        "a call with this Idempotency-Key is still running; ask again shortly with the same key for its answer";
    Refusal::of_field(Reason::IdempotencyInProgress, "Idempotency-Key", message).retry_after(IN_PROGRESS_RETRY_S)
}

fn mismatch() -> Refusal {
    let message = "this Idempotency-Key was used for another request within the last 24 hours; use a new key for each new request";
    Refusal::of_field(Reason::IdempotencyMismatch, "Idempotency-Key", message)
}

fn not_kept(request_id: RequestId) -> Refusal {
    let message = format!(
        "the call with this Idempotency-Key was charged, but its answer is too large to be kept; nothing was charged again: \
         GET /v1/ledger shows request {request_id}, and a new key asks for a new answer"
    );
    Refusal::of_field(Reason::AnswerNotKept, "Idempotency-Key", message)
}
