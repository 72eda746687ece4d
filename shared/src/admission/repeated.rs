//! A call with an Idempotency-Key: let in once, and answered from what is kept when it is asked for again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::call::Step;
use super::detached::{Detached, detach};
use super::failure::Failure;
use super::not_admitted::NotAdmitted;
use super::repeats::{Place, REPLAY_BYTES};
use super::{Admission, CallRequest};
use crate::db::{Connection, DbError};
use crate::id::{RequestId, TenantId};
use crate::idempotency::{self, Answer, Kept, Mark, Standing};
use crate::keyring::Caller;
use crate::limits::KeyLimits;
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
    /// Of the memory that such answers may take.
    _place: Place,
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

    fn new(kept: Kept, answer: Answer, place: Place) -> Self {
        let Answer { parts, failure } = answer;
        let charged = kept.charged;
        let steps = match failure {
            None => VecDeque::from([Step::Answered { held_back: parts, charged }]),
            Some(refusal) => {
                let failed = Step::Failed(Failure { refusal, charged: Some(charged) });
                parts.into_iter().map(Step::Chunk).chain([failed]).collect()
            }
        };
        Self { request_id: kept.request_id, steps, _place: place }
    }
}

/// A look at a call that is asked for again.
enum Look {
    Done(Once),
    /// The first call runs.
    Running,
}

impl Admission {
    /// As [`Admission::admit`], for a call that may be asked for again: while the first one runs it is waited for (as long as the settings
    /// say), and once it was charged its answer is given again. Whoever is not the first takes one of its key's requests a minute and
    /// nothing else of its limits. `new_id` makes the id of a call that is let in: it must be young then. `room` is what the request takes
    /// of its caller's memory: it is dropped as soon as the request is counted here, or by the queue.
    ///
    /// # Errors
    /// Those of [`Admission::admit`]; [`Reason::IdempotencyInProgress`] when the first call runs for longer, or too many wait;
    /// [`Reason::IdempotencyMismatch`]; [`Reason::AnswerNotKept`].
    pub async fn admit_once(
        &self,
        caller: &Caller,
        new_id: impl Fn() -> RequestId,
        request: CallRequest,
        mark: Mark,
        room: impl Send,
    ) -> Result<Once, NotAdmitted> {
        self.refuse_blocked(caller, &request)?;
        let deadline = Instant::now() + Duration::from_secs(self.inner.settings.idempotency.wait_s);
        let mut look = FIRST_LOOK;
        let mut waiting = None;
        let mut room = Some(room);
        loop {
            // One at a time: those who come in the same moment would all ask for the limits of one call.
            if let Some(_turn) = self.inner.repeats.turn(caller.tenant, mark)
                && let Look::Done(once) = self.look(caller, &new_id, &request, mark, waiting.is_some()).await?
            {
                return Ok(once);
            }
            let in_progress = || self.refused(caller, &request, in_progress());
            if waiting.is_none() {
                let place = self.inner.repeats.place(caller.tenant, request.fields.len()).ok_or_else(in_progress)?;
                self.count_repetition(caller, &request).await?;
                waiting = Some(place);
                drop(room.take());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(in_progress());
            }
            tokio::time::sleep(look.min(left)).await;
            look = (look * 2).min(LONGEST_LOOK);
        }
    }

    /// `is_counted`: whether a request was taken for this repetition already.
    async fn look(
        &self,
        caller: &Caller,
        new_id: &impl Fn() -> RequestId,
        request: &CallRequest,
        mark: Mark,
        is_counted: bool,
    ) -> Result<Look, NotAdmitted> {
        let refused = |refusal| self.refused(caller, request, refusal);
        match self.standing(caller, mark).await.map_err(refused)? {
            Standing::Running => Ok(Look::Running),
            Standing::AnotherBody => Err(refused(mismatch())),
            Standing::Charged(kept) => {
                if !is_counted {
                    self.count_repetition(caller, request).await?;
                }
                let replay = self.replay(caller.tenant, kept).await.map_err(refused)?;
                Ok(Look::Done(Once::Before(replay)))
            }
            Standing::Free => match self.admit(caller, new_id(), request.clone(), Some(mark)).await {
                Ok(call) => {
                    let (detached, running) = detach(call, self.inner.settling.until_giving_up());
                    self.inner.settling.spawn(running);
                    Ok(Look::Done(Once::New(detached)))
                }
                // Another process let one in, in this very moment.
                Err(not_admitted) if not_admitted.refusal.reason == Reason::IdempotencyInProgress => Ok(Look::Running),
                Err(not_admitted) if not_admitted.refusal.reason == Reason::RateLimitExceeded => {
                    match self.standing(caller, mark).await {
                        Ok(Standing::Running | Standing::Charged(_)) => Ok(Look::Running),
                        _ => Err(not_admitted),
                    }
                }
                Err(not_admitted) => Err(not_admitted),
            },
        }
    }

    fn refused(&self, caller: &Caller, request: &CallRequest, refusal: Refusal) -> NotAdmitted {
        self.count_refusal(caller.tenant, caller.key, Some(&request.model), refusal.reason);
        refusal.into()
    }

    async fn count_repetition(&self, caller: &Caller, request: &CallRequest) -> Result<(), NotAdmitted> {
        let limits = KeyLimits { tpm: None, concurrency: None, ..caller.limits };
        match self.inner.limits.check(caller.key, &limits, 0).await {
            Ok(permit) => {
                permit.release().await;
                Ok(())
            }
            Err(error) => {
                let not_admitted = NotAdmitted::from(error);
                let reason = not_admitted.refusal.reason;
                self.count_refusal(caller.tenant, caller.key, Some(&request.model), reason);
                Err(not_admitted)
            }
        }
    }

    async fn standing(&self, caller: &Caller, mark: Mark) -> Result<Standing, Refusal> {
        let (tenant, now) = (caller.tenant, self.inner.clock.now());
        self.read_of_repeated(move |connection| idempotency::find(connection, tenant, &mark, now)).await
    }

    async fn replay(&self, tenant: TenantId, kept: Kept) -> Result<Replay, Refusal> {
        let request_id = kept.request_id;
        let mut place = self.inner.repeats.place(tenant, REPLAY_BYTES).ok_or_else(in_progress)?;
        let sealed = self.read_of_repeated(move |connection| idempotency::answer(connection, request_id)).await?;
        let Some(sealed) = sealed else {
            return Err(not_kept(request_id, "its answer is too large to be kept, or had to make room for later ones"));
        };
        match Answer::open(&sealed, request_id, &self.inner.sealer) {
            Ok(answer) => {
                place.shrink_to(sealed.len());
                Ok(Replay::new(kept, answer, place))
            }
            Err(error) => {
                tracing::error!(%request_id, %error, "a kept answer could not be opened");
                Err(not_kept(request_id, "its answer cannot be read any more"))
            }
        }
    }

    /// By connections of its own: whoever asks again and again delays no revocation of a key, and whoever reads records no call.
    async fn read_of_repeated<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.inner.database.read_calls(read).await.map_err(|error| {
            tracing::error!(%error, "it could not be found out whether a call was made before");
            Refusal::unavailable()
        })
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

fn not_kept(request_id: RequestId, why: &str) -> Refusal {
    let message = format!(
        "the call with this Idempotency-Key was charged, but {why}; nothing was charged again: \
         GET /v1/ledger shows request {request_id}, and a new key asks for a new answer"
    );
    Refusal::of_field(Reason::AnswerNotKept, "Idempotency-Key", message)
}
