//! Letting a call in: rules, estimate, limits, hold, submission; and waiting for its end. Whatever makes a call (the API, a playground) makes it
//! here, so that there is one way for money to be set aside and one place that decides about an uncertain outcome.

mod call;
mod detached;
mod failure;
mod not_admitted;
mod outcome;
mod repeated;
mod repeats;
pub mod request;
mod settling;
mod submission;

use std::sync::Arc;
use std::time::Duration;

use self::call::HoldGuard;
use self::repeated::in_progress;
use self::repeats::Repeats;
use self::settling::Settling;
use self::submission::Submission;
pub use call::{Call, Step};
pub use detached::Detached;
pub use failure::{Failure, without_an_end};
pub use not_admitted::NotAdmitted;
pub use repeated::{Once, Replay};
pub use request::CallRequest;

use crate::billing;
use crate::calls::CallLog;
use crate::catalogue::Catalogue;
use crate::clock::Clock;
use crate::config::{ModelLimits, Settings};
use crate::db::Database;
use crate::id::{ProcessId, RequestId, TenantId};
use crate::idempotency::Mark;
use crate::keyring::Caller;
use crate::ledger::{Hold, HoldDecision, Ledger};
use crate::limits::Limits;
use crate::price::Basis;
use crate::queue::{Deadlines, Frames, Job, Queue, SubmitError};
use crate::refusal::{Reason, Refusal};
use crate::seal::Sealer;
use crate::secret_key::KeyId;

/// A hold outlives its call's deadline by this, in milliseconds, so that the call's own end comes first.
const HOLD_GRACE_MS: i64 = 30_000;
/// What a caller is told to wait when no channel serves the model just now, in seconds.
const NO_CHANNEL_RETRY_S: u32 = 30;

/// Lets calls in. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    inner: Arc<Inner>,
}

/// What admission needs.
#[derive(Debug)]
pub struct AdmissionParts {
    /// Where it is read what became of calls.
    pub database: Database,
    /// Where money is set aside and charged.
    pub ledger: Ledger,
    /// Where calls wait for a worker.
    pub queue: Arc<dyn Queue>,
    /// What keys may do in a time.
    pub limits: Arc<dyn Limits>,
    /// Models, channels and prices.
    pub catalogue: Catalogue,
    /// All settings.
    pub settings: Arc<Settings>,
    /// The time.
    pub clock: Clock,
    /// Seals what callers are sent where they may ask again.
    pub sealer: Arc<Sealer>,
    /// Whose holds it makes.
    pub process: ProcessId,
    /// Where the details of calls are kept.
    pub calls: CallLog,
}

struct Inner {
    parts: AdmissionParts,
    settling: Settling,
    repeats: Repeats,
}

impl std::ops::Deref for Inner {
    type Target = AdmissionParts;

    fn deref(&self) -> &AdmissionParts {
        &self.parts
    }
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Admission").field("process", &self.inner.process).finish_non_exhaustive()
    }
}

impl Admission {
    /// Of these parts. Call it inside the runtime that lives as long as the process.
    pub fn new(parts: AdmissionParts) -> Self {
        let settling =
            Settling::new(parts.ledger.clone(), parts.calls.clone(), parts.clock.clone(), Arc::clone(&parts.sealer));
        Self { inner: Arc::new(Inner { parts, settling, repeats: Repeats::default() }) }
    }

    /// Counts a call of this key that its caller was refused before [`Admission::admit`], which counts what it refuses itself.
    pub fn count_refusal(&self, tenant: TenantId, key: KeyId, model: Option<&str>, reason: Reason) {
        // Anybody can name models that do not exist, without end.
        let model = model.filter(|model| self.is_known(model)).unwrap_or_default();
        self.inner.calls.refused(tenant, key, model, reason, self.inner.clock.now());
    }

    /// Waits until every call that was left is settled, at most so long; for the end of a process, when no more calls come. Gives whether
    /// all are.
    pub async fn settled(&self, within: Duration) -> bool {
        self.inner.settling.finished(within).await
    }

    /// What holds for the model that a call names, once it is known to exist and the caller may use it.
    ///
    /// # Errors
    /// [`Reason::ModelNotAllowed`], [`Reason::ModelNotFound`].
    pub fn model(&self, caller: &Caller, model: &str) -> Result<ModelLimits, Refusal> {
        if !caller.may_use(model) {
            let message = format!(
                "this Secret Key may not use the model \"{}\"; GET /v1/models lists those that it may",
                shown(model)
            );
            return Err(Refusal::of_field(Reason::ModelNotAllowed, "model", message));
        }
        if !self.is_known(model) {
            let message = format!("the model \"{}\" does not exist; GET /v1/models lists those that do", shown(model));
            return Err(Refusal::of_field(Reason::ModelNotFound, "model", message));
        }
        Ok(self.inner.settings.model_limits(model))
    }

    /// The models that `caller` may use, in order.
    pub fn models(&self, caller: &Caller) -> Vec<String> {
        let snapshot = self.inner.catalogue.now();
        let mut names: Vec<String> = snapshot.model_names().map(str::to_owned).collect();
        names.extend(self.inner.settings.models.known.iter().cloned());
        names.sort();
        names.dedup();
        names.retain(|name| caller.may_use(name));
        names
    }

    fn is_known(&self, model: &str) -> bool {
        let models = &self.inner.settings.models;
        let defaults = [&models.chat_default, &models.image_default, &models.moderation_default];
        defaults.into_iter().any(|default| default == model)
            || self.inner.catalogue.now().model(model).is_some()
            || models.known.iter().any(|known| known == model)
    }

    /// Refuses a blocked end user, asks the key's limits, holds the call's cost and hands it to the workers. What a call has taken of its
    /// key's requests and tokens a minute stays taken, also when it is refused after that; its place is free again when it ends, however it
    /// does. With `idempotency` there is at most one such call at a time, and none once one was charged.
    ///
    /// # Errors
    /// [`NotAdmitted`]; nothing is held then. [`Reason::IdempotencyInProgress`] when another call has the mark: it runs, or was charged.
    pub async fn admit(
        &self,
        caller: &Caller,
        request_id: RequestId,
        request: CallRequest,
        idempotency: Option<Mark>,
    ) -> Result<Call, NotAdmitted> {
        let inner = &self.inner;
        self.refuse_blocked(caller, &request)?;
        let tokens = if caller.limits.tpm.is_some() { self.most_tokens(&request) } else { 0 };
        let job = self.job(caller, request_id, request, idempotency)?;
        let counted = |refused: NotAdmitted| {
            self.count_refusal(job.tenant, job.key, Some(&job.model), refused.refusal.reason);
            refused
        };
        // Only a look, so that a flood takes nothing and writes nothing.
        inner.queue.room(job.tenant).await.map_err(|error| counted(refused_by_queue(&error).into()))?;
        let permit =
            inner.limits.check(caller.key, &caller.limits, tokens).await.map_err(|error| counted(error.into()))?;
        let allowances = permit.allowances();
        let after_limits = |refusal| NotAdmitted { allowances, ..NotAdmitted::from(refusal) };
        match self.hold_and_submit(job).await {
            Ok((job, frames)) => {
                let (queue, settling) = (Arc::clone(&inner.queue), inner.settling.clone());
                Ok(Call::new(queue, inner.clock.clone(), settling, job, frames, permit))
            }
            Err(refusal) => {
                permit.release().await;
                Err(after_limits(refusal))
            }
        }
    }

    fn refuse_blocked(&self, caller: &Caller, request: &CallRequest) -> Result<(), Refusal> {
        if !caller.blocks(request.end_user.as_deref()) {
            return Ok(());
        }
        self.count_refusal(caller.tenant, caller.key, Some(&request.model), Reason::UserBlocked);
        let message = "the end user of this call (`user`) is blocked; nothing was charged, please ask the operator of the service";
        Err(Refusal::of_field(Reason::UserBlocked, "user", message))
    }

    /// Gives the job without its body back.
    async fn hold_and_submit(&self, job: Job) -> Result<(Job, Frames), Refusal> {
        let inner = &self.inner;
        let request_id = job.request_id;
        let hold = Hold {
            request_id,
            account: job.tenant,
            amount: job.hold,
            owner: inner.process,
            expires_at: job.deadlines.end.plus_ms(HOLD_GRACE_MS),
            price_version: job.price.version,
            idempotency: job.idempotency,
        };
        // From here on, whatever happens to this future, the hold is voided unless someone else has taken it over.
        let guard = HoldGuard::new(request_id, job.tenant, inner.settling.clone());
        let counted = |refusal: Refusal| {
            self.count_refusal(job.tenant, job.key, Some(&job.model), refusal.reason);
            refusal
        };
        match inner.ledger.hold(hold).await {
            Ok(HoldDecision::Held) => {}
            Ok(HoldDecision::Repeated) => {
                guard.release();
                return Err(in_progress());
            }
            Ok(HoldDecision::Insufficient { needed, available }) => {
                guard.release();
                let currency = &inner.settings.currency;
                let message = format!(
                    "the balance is too low for this call: it needs {needed} {currency}, {available} {currency} are available; \
                     top up, or lower max_tokens, n or the length of the prompt"
                );
                return Err(counted(Refusal::new(Reason::InsufficientQuota, message)));
            }
            Ok(HoldDecision::Replayed) => {
                guard.release();
                tracing::error!(%request_id, "a new request id had a hold already");
                return Err(counted(Refusal::internal()));
            }
            Err(error) => {
                tracing::error!(%request_id, %error, "a hold could not be made");
                return Err(counted(Refusal::unavailable()));
            }
        }
        Submission::of(job, guard, Arc::clone(&inner.queue), inner.settling.clone()).await
    }

    /// What the call may use of its key's tokens a minute: its prompt, and the longest answer that it allows. A provider's own count is
    /// not known yet and does not matter here.
    fn most_tokens(&self, request: &CallRequest) -> u64 {
        let longest = self.inner.settings.model_limits(&request.model).max_output;
        let answers = match request.images {
            Some(_) => 0,
            None => request.max_output.unwrap_or(longest).min(longest).saturating_mul(request.candidates),
        };
        u64::try_from(request.prompt.tokens.saturating_add(answers)).unwrap_or(0)
    }

    fn job(
        &self,
        caller: &Caller,
        request_id: RequestId,
        request: CallRequest,
        idempotency: Option<Mark>,
    ) -> Result<Job, Refusal> {
        let settings = &self.inner.settings;
        let snapshot = self.inner.catalogue.now();
        let counted = |refusal: Refusal| {
            self.count_refusal(caller.tenant, caller.key, Some(&request.model), refusal.reason);
            refusal
        };
        let Some(served) = snapshot.model(&request.model) else {
            let message =
                format!("no channel serves the model \"{}\" at the moment; nothing was charged", request.model);
            return Err(counted(Refusal::new(Reason::NoChannel, message).retry_after(NO_CHANNEL_RETRY_S)));
        };
        let limits = settings.model_limits(&request.model);
        let price = snapshot.price(&request.model);
        // A provider's tokens are not ours, so more is held than our estimate says; echo obeys our own count.
        let factor = if served.is_echo() { 1 } else { limits.hold_factor };
        let each = request.max_output.unwrap_or(limits.max_output).min(limits.max_output);
        let too_much = || {
            let message = "this call could cost more than any balance can hold; ask for less";
            counted(Refusal::new(Reason::InvalidParameter, message))
        };
        let completion =
            each.checked_mul(factor).and_then(|tokens| tokens.checked_mul(request.candidates)).ok_or_else(too_much)?;
        let prompt = match (request.candidates, price.basis) {
            // Nothing is generated, so that the prompt alone has to make up for the other count, where that is billed.
            (0, Basis::Upstream) => request.prompt.tokens.checked_mul(factor).ok_or_else(too_much)?,
            _ => request.prompt.tokens,
        };
        let hold = billing::hold_amount(&price, prompt, completion, request.images.as_ref()).ok_or_else(too_much)?;
        let now = self.inner.clock.now();
        let after = |seconds: u64| now.plus_ms(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000));
        let deadline = &settings.deadline;
        Ok(Job {
            request_id,
            tenant: caller.tenant,
            key: caller.key,
            endpoint: request.endpoint,
            model: request.model,
            fields: request.fields,
            stream: request.stream,
            include_usage: request.include_usage,
            stream_options: request.stream_options,
            choices: request.choices,
            prompt: request.prompt,
            echoed_prompts: request.echoed_prompts,
            hold,
            price,
            images: request.images,
            end_user: request.end_user,
            idempotency,
            left_out: 0,
            accepted_at: now,
            deadlines: Deadlines {
                first_text: after(deadline.first_text_s.min(deadline.total_s)),
                between_chunks_ms: i64::try_from(deadline.between_chunks_s).unwrap_or(i64::MAX).saturating_mul(1000),
                end: after(deadline.total_s),
            },
        })
    }
}

fn refused_by_queue(error: &SubmitError) -> Refusal {
    match error {
        SubmitError::TenantShareFull { share } => {
            let message = format!(
                "too many of this account's calls are waiting (at most {share}); nothing was charged, try again shortly"
            );
            Refusal::new(Reason::RateLimitExceeded, message).retry_after(1)
        }
        SubmitError::Full => {
            let message = "the service is at its limit and takes no further calls just now; nothing was charged, try again shortly";
            Refusal::new(Reason::QueueFull, message).retry_after(2)
        }
        SubmitError::Unavailable => Refusal::unavailable(),
    }
}

/// A name of a caller's, short enough for a message.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(100).collect()
}
