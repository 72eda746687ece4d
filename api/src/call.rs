//! The way of a call: body, key, policy, parameters, admission, answer. The endpoints differ only in their rules.

use actix_web::dev::Payload;
use actix_web::http::header::{ContentType, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use shared::admission::request::{Body, Rules};
use shared::admission::{CallRequest, NotAdmitted, Once, Step, without_an_end};
use shared::idempotency::Mark;
use shared::keyring::Caller;
use shared::queue::Endpoint;
use shared::refusal::{Reason, Refusal};

use crate::body::{self, Received};
use crate::idempotency_key::{REPLAYED, idempotency_key};
use crate::reply::Refused;
use crate::room::Share;
use crate::steps::Steps;
use crate::surface::Surface;
use crate::visit::Visit;
use crate::{auth, stream};

/// A body above this is read on another thread, so that its parsing does not keep other connections waiting.
const LARGE_BODY: usize = 256 * 1024;

/// Answers one call.
pub(crate) async fn answer(
    endpoint: Endpoint,
    surface: web::Data<Surface>,
    visit: Visit,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let read = read(endpoint, &surface, &visit, &request, payload).await;
    let Asked { caller, wanted, mark, share } = read.map_err(|NotRead { refused, model }| {
        // Only of a key that is known: anybody can send nonsense.
        if let Some((key, tenant)) = visit.caller() {
            let admission = &surface.deployment.admission;
            admission.count_refusal(tenant, key, model.as_deref(), refused.refusal().reason);
        }
        refused
    })?;
    let is_stream = wanted.stream;
    let admission = &surface.deployment.admission;
    let not_admitted = |not_admitted| refused(not_admitted, &visit, &surface);
    let Some(mark) = mark else {
        let admitted = admission.admit(&caller, visit.new_request_id(), wanted, None).await;
        let call = admitted.map_err(not_admitted)?;
        // From here on its bytes are counted among those of the queue.
        drop(share);
        visit.set_allowances(call.allowances());
        return follow(call, is_stream, visit, &surface).await;
    };
    let once = admission.admit_once(&caller, || visit.new_request_id(), wanted, mark, share).await;
    match once.map_err(not_admitted)? {
        Once::New(call) => {
            visit.set_allowances(call.allowances());
            follow(call, is_stream, visit, &surface).await
        }
        Once::Before(replay) => {
            // The call that was charged, as the ledger has it.
            visit.set_request_id(replay.request_id());
            let mut response = follow(replay, is_stream, visit, &surface).await.map_err(replayed)?;
            response.headers_mut().insert(HeaderName::from_static(REPLAYED), HeaderValue::from_static("true"));
            Ok(response)
        }
    }
}

fn replayed(refused: Refused) -> Refused {
    refused.with_header(REPLAYED, "true")
}

/// The reply to a call that was let in.
async fn follow(steps: impl Steps, is_stream: bool, visit: Visit, surface: &Surface) -> Result<HttpResponse, Refused> {
    let currency = surface.deployment.settings.currency.clone();
    if is_stream {
        return Ok(stream::reply(steps, visit, currency, surface.silence).await?);
    }
    whole(steps, &currency).await
}

/// Who calls, and what they want.
struct Asked {
    caller: Caller,
    wanted: CallRequest,
    /// What the call is known by when it is asked for again.
    mark: Option<Mark>,
    /// The room that its body took.
    share: Option<Share>,
}

/// Who calls, and what they want.
async fn read(
    endpoint: Endpoint,
    surface: &web::Data<Surface>,
    visit: &Visit,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Asked, NotRead> {
    let Received { bytes, caller, share } = body::receive(surface, visit, request, payload).await?;
    let key = idempotency_key(request.headers());
    let order = Order { endpoint, surface: surface.clone(), key, share };
    match caller {
        Some(caller) if bytes.len() > LARGE_BODY => Ok(order.read_elsewhere(bytes, caller).await?),
        Some(caller) => Ok(order.read(&Body::parse(&bytes)?, caller, Rules::OpenAi)?),
        None => {
            let body = Body::parse(&bytes)?;
            let caller = key_in_body(surface, visit, request, &body).await?;
            Ok(order.read(&body, caller, Rules::Original)?)
        }
    }
}

/// A call that was refused while it was read.
struct NotRead {
    refused: Refused,
    /// The model that it named, as far as that was read.
    model: Option<String>,
}

impl From<Refused> for NotRead {
    fn from(refused: Refused) -> Self {
        Self { refused, model: None }
    }
}

impl From<Refusal> for NotRead {
    fn from(refusal: Refusal) -> Self {
        Self { refused: refusal.into(), model: None }
    }
}

impl From<Unfit> for NotRead {
    fn from(Unfit { refusal, model }: Unfit) -> Self {
        Self { refused: refusal.into(), model }
    }
}

/// The same where it may have been found on another thread.
struct Unfit {
    refusal: Refusal,
    model: Option<String>,
}

impl From<Refusal> for Unfit {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, model: None }
    }
}

/// Who presents the key inside this body.
pub(crate) async fn key_in_body(
    surface: &Surface,
    visit: &Visit,
    request: &HttpRequest,
    body: &Body<'_>,
) -> Result<Caller, Refusal> {
    let key = body.api_secret_key()?.ok_or_else(auth::missing)?;
    auth::authenticate(surface, visit, request, &key).await
}

/// What is needed to read a call out of a body.
struct Order {
    endpoint: Endpoint,
    surface: web::Data<Surface>,
    /// What the caller gave as an Idempotency-Key.
    key: Result<Option<Vec<u8>>, Refusal>,
    /// The room that the body takes.
    share: Option<Share>,
}

impl Order {
    fn read(mut self, body: &Body<'_>, caller: Caller, rules: Rules) -> Result<Asked, Unfit> {
        let share = self.share.take();
        // With a key in a header it is not looked at further, but it is a key or nothing.
        body.api_secret_key()?;
        let model = body.model(self.endpoint, &self.surface.deployment.settings.models)?;
        match self.read_for(body, &caller, rules, &model) {
            Ok((wanted, mark)) => Ok(Asked { caller, wanted, mark, share }),
            Err(refusal) => Err(Unfit { refusal, model: Some(model) }),
        }
    }

    fn read_for(
        self,
        body: &Body<'_>,
        caller: &Caller,
        rules: Rules,
        model: &str,
    ) -> Result<(CallRequest, Option<Mark>), Refusal> {
        let limits = self.surface.deployment.admission.model(caller, model)?;
        let key = self.key?;
        let wanted = body.call(self.endpoint, rules, model.to_owned(), &limits)?;
        Ok((wanted, key.map(|key| body.mark(self.endpoint, &key))))
    }

    /// The same on another thread, for a large body; only a key in a header allows one.
    async fn read_elsewhere(self, bytes: Bytes, caller: Caller) -> Result<Asked, Unfit> {
        let reading = web::block(move || self.read(&Body::parse(&bytes)?, caller, Rules::OpenAi));
        reading.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a large body could not be read on another thread");
            Err(Refusal::internal().into())
        })
    }
}

/// Waits for the end and passes the one whole reply on.
async fn whole(mut steps: impl Steps, currency: &str) -> Result<HttpResponse, Refused> {
    let request_id = steps.request_id();
    while let Some(step) = steps.next().await {
        match step {
            // Nobody asked for a stream; the end brings all of it.
            Step::Chunk(_) => {}
            Step::Answered { mut held_back, .. } => {
                let reply =
                    if held_back.len() == 1 { held_back.swap_remove(0) } else { Bytes::from(held_back.concat()) };
                return Ok(HttpResponse::Ok().content_type(ContentType::json()).body(reply));
            }
            Step::Failed(failed) => return Err(failed.told(currency).into()),
        }
    }
    tracing::error!(%request_id, "a call ended without an end");
    Err(without_an_end(request_id).into())
}

/// A refusal by admission, with the limit that was met.
fn refused(not_admitted: NotAdmitted, visit: &Visit, surface: &Surface) -> Refused {
    let NotAdmitted { refusal, allowances, is_for_good } = not_admitted;
    visit.set_allowances(allowances);
    let is_limited = refusal.reason == Reason::RateLimitExceeded;
    let refused = Refused::from(refusal);
    if is_for_good {
        // Clients that try a 429 again by themselves would do so for nothing.
        return refused.with_header("x-should-retry", "false");
    }
    if !is_limited || !allowances.is_empty() {
        return refused;
    }
    // The key has no limits of its own: it was the tenant's share of the queue.
    let share = surface.deployment.settings.queue.tenant_share;
    refused
        .with_header("x-ratelimit-limit-requests", share.to_string())
        .with_header("x-ratelimit-remaining-requests", "0")
}
