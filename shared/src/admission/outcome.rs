//! What the end of a call means. Here, and only here, it is decided: nobody sees the end of an answer before its charge is committed, and
//! nobody is told that nothing was charged before that is.

use bytes::Bytes;

use super::call::Step;
use super::failure::Failure;
use super::settling::Settling;
use crate::billing::{self, Produced};
use crate::id::RequestId;
use crate::idempotency::Collected;
use crate::ledger::{Capture, Ended, LedgerError, Operation, Reversal, Settlement, SettlementOutcome};
use crate::money::Amount;
use crate::queue::{End, Job, Silence};
use crate::refusal::{Reason, Refusal};
use crate::seal::Sealer;
use crate::tokens::Tally;

/// How a call came to its end.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// As a worker sent it, or as a deadline made it.
    Told(End),
    /// No end came, and none will.
    Silent(Silence),
}

impl Ending {
    /// What settles the call, and keeps what its caller was sent. `forwarded` is what the caller has seen of it.
    pub(super) fn settlement(
        &self,
        job: &Job,
        forwarded: Tally,
        collected: Option<&Collected>,
        sealer: &Sealer,
    ) -> Operation {
        let produced = match self {
            Self::Told(End::Answered { produced, .. }) => Some(*produced),
            Self::Told(End::Failed { produced, .. }) => *produced,
            Self::Told(End::Lost) => None,
            Self::Silent(_) => seen(forwarded),
        };
        let (request_id, account) = (job.request_id, job.tenant);
        match produced.and_then(|produced| billing::capture(job, produced)) {
            Some(capture) => {
                let answer = collected.and_then(|collected| match self {
                    Self::Told(End::Answered { held_back, .. }) => {
                        collected.clone().with(held_back).seal(None, request_id, sealer)
                    }
                    Self::Told(End::Failed { refusal, .. }) => collected.seal(Some(refusal), request_id, sealer),
                    Self::Told(End::Lost) | Self::Silent(_) => {
                        collected.seal(Some(&Refusal::interrupted()), request_id, sealer)
                    }
                });
                Operation::Capture(Box::new(Capture { answer, ..capture }))
            }
            None => Operation::End { request_id, account, ended: Ended::Voided },
        }
    }
}

/// What a call pays that no worker will end; `None` if its caller saw nothing.
fn seen(forwarded: Tally) -> Option<Produced> {
    let produced = Produced { completion: forwarded, finished_early: true, ..Produced::default() };
    (forwarded.tokens > 0).then_some(produced)
}

/// Settles a call and says what comes of it.
pub(super) struct Settler<'a> {
    pub(super) settling: &'a Settling,
    pub(super) job: &'a Job,
    /// What the caller was sent, where it may ask again.
    pub(super) collected: Option<&'a Collected>,
}

impl Settler<'_> {
    /// The last step of a call. `forwarded` is what the caller has seen of it.
    pub(super) async fn last_step(&self, ending: Ending, forwarded: Tally) -> Step {
        let failure = match ending {
            Ending::Told(End::Answered { held_back, produced, .. }) => {
                match self.charge(produced, &held_back, None).await {
                    Ok(Some(charged)) => return Step::Answered { held_back, charged },
                    Ok(None) => self.void(took_too_long()).await,
                    Err(failure) => failure,
                }
            }
            Ending::Told(End::Failed { refusal, produced, .. }) => self.fail(produced, refusal).await,
            Ending::Told(End::Lost) => self.void(took_too_long()).await,
            Ending::Silent(silence) => {
                let produced = seen(forwarded);
                self.fail(produced, self.broken_off(silence, produced.is_some())).await
            }
        };
        Step::Failed(failure)
    }

    /// Charges what was produced and says why there is no more; where there was nothing, releases the hold.
    async fn fail(&self, produced: Option<Produced>, refusal: Refusal) -> Failure {
        let Some(produced) = produced else { return self.void(refusal).await };
        match self.charge(produced, &[], Some(&refusal)).await {
            Ok(charged) => Failure { refusal, charged },
            Err(failure) => failure,
        }
    }

    /// Makes a charge and gives what was paid, by it or by one that came first. `None`: somebody settled the call without a charge. With it
    /// is kept what the caller is sent: what was sent up to now, then `held_back`, then `failure`.
    async fn charge(
        &self,
        produced: Produced,
        held_back: &[Bytes],
        failure: Option<&Refusal>,
    ) -> Result<Option<Amount>, Failure> {
        let (request_id, account) = (self.job.request_id, self.job.tenant);
        let Some(capture) = billing::capture(self.job, produced) else {
            return Err(self.void(Refusal::internal()).await);
        };
        let sealer = self.settling.sealer();
        let answer =
            self.collected.and_then(|collected| collected.clone().with(held_back).seal(failure, request_id, sealer));
        match self.settling.ledger().capture(Capture { answer, ..capture }).await {
            Ok(Ok(captured)) => {
                captured.warn_of_write_off(request_id);
                Ok(Some(captured.paid))
            }
            // A worker that could not know whether its end arrived has charged for it.
            Ok(Err(Some(Settlement { outcome: SettlementOutcome::Captured, amount }))) => Ok(Some(amount)),
            Ok(Err(settlement)) => {
                tracing::warn!(%request_id, ?settlement, "a call was settled by someone else before its answer was ready");
                Ok(None)
            }
            Err(error @ (LedgerError::TimedOut | LedgerError::Stopped)) => {
                // If the charge was not committed, the hold is nobody's.
                self.settling.release_after_workers_turn(request_id, account, None);
                Err(unknown_after(&error, request_id))
            }
            Err(error) => {
                tracing::error!(%request_id, %error, "a call could not be charged");
                Err(self.void(Refusal::unavailable()).await)
            }
        }
    }

    /// Makes it true that nothing is charged, then says so.
    pub(super) async fn void(&self, refusal: Refusal) -> Failure {
        let (request_id, account) = (self.job.request_id, self.job.tenant);
        match self.settling.ledger().end(request_id, account, Ended::Voided).await {
            Ok(Ok(())) => Failure { refusal, charged: None },
            // A charge came first, and its answer did not reach the caller.
            Ok(Err(Some(Settlement { outcome: SettlementOutcome::Captured, amount }))) if amount > Amount::ZERO => {
                self.reverse(refusal).await
            }
            Ok(Err(_)) => Failure { refusal, charged: None },
            Err(error) => {
                self.settling.undo(request_id, account);
                unknown_after(&error, request_id)
            }
        }
    }

    async fn reverse(&self, refusal: Refusal) -> Failure {
        let (request_id, account) = (self.job.request_id, self.job.tenant);
        match self.settling.ledger().reverse_capture(request_id, account).await {
            Ok(Reversal::Reversed(_) | Reversal::Already | Reversal::NothingCaptured) => {
                Failure { refusal, charged: None }
            }
            Err(error) => {
                self.settling.undo(request_id, account);
                unknown_after(&error, request_id)
            }
        }
    }

    /// What the caller is told when no end will come.
    fn broken_off(&self, silence: Silence, has_text: bool) -> Refusal {
        let request_id = self.job.request_id;
        match silence {
            Silence::NoWorker => tracing::error!(%request_id, "a worker died before the end of a call"),
            Silence::QueueLost => tracing::error!(%request_id, "the queue was lost before the end of a call"),
        }
        match silence {
            Silence::NoWorker if has_text => {
                Refusal::new(Reason::InternalError, "the answer was interrupted by a fault of ours")
            }
            Silence::NoWorker => Refusal::internal(),
            Silence::QueueLost if has_text => {
                let message = "the answer was interrupted: the service cannot reach a part that it needs";
                Refusal::new(Reason::Unavailable, message)
            }
            Silence::QueueLost => Refusal::unavailable(),
        }
    }
}

fn took_too_long() -> Refusal {
    let message = "the call took longer than its money was held for; nothing was charged, please try again";
    Refusal::new(Reason::Timeout, message)
}

fn unknown_after(error: &LedgerError, request_id: RequestId) -> Failure {
    tracing::error!(%request_id, %error, "the database could not be asked whether a call was charged");
    outcome_unknown(request_id)
}

/// The one failure that makes no claim about money.
fn outcome_unknown(request_id: RequestId) -> Failure {
    let message = format!(
        "it could not be found out whether this call was charged; do not repeat it blindly: GET /v1/ledger shows request {request_id} if it was"
    );
    Failure { refusal: Refusal::new(Reason::OutcomeUnknown, message), charged: None }
}
