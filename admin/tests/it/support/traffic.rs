//! Calls as the service makes them: a hold, a charge where there is one, and the details.

use std::sync::atomic::{AtomicU64, Ordering};

use shared::calls::{CallRecord, Status};
use shared::catalogue::price_list::{self, NewPrice};
use shared::clock::Timestamp;
use shared::db::DbError;
use shared::id::{RequestId, TenantId, TransferId};
use shared::ledger::{Capture, Charge, Ended, Hold, HoldDecision, Reversal, TopUp, TopUpDecision, TopUpSource};
use shared::money::Amount;
use shared::price::{Basis, Price, PriceVersion};
use shared::queue::{Endpoint, Try, TryOutcome, Way};
use shared::secret_key::KeyId;
use shared::tokens::Tally;

use super::Scene;

/// Parts of ids, so that none comes twice.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// How a call is paid.
#[derive(Debug, Clone)]
pub(crate) enum Paid {
    /// For these texts, by our estimate.
    Estimate(Tally, Tally),
    /// For the provider's count.
    Upstream(i64, i64),
    /// For so many images of this size.
    Images(i64, &'static str),
    /// Nothing: the hold was released.
    Nothing,
    /// Nothing yet: the call runs.
    Open,
}

/// A call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) tenant: TenantId,
    pub(crate) key: KeyId,
    pub(crate) model: &'static str,
    pub(crate) end_user: Option<&'static str>,
    pub(crate) status: Status,
    pub(crate) paid: Paid,
    pub(crate) way: Way,
    pub(crate) ended_ms: i64,
    /// What is set aside for it.
    pub(crate) held: &'static str,
}

impl Call {
    /// An answered chat: `12 hanzi + 5 words` for the prompt, 2 words for the answer, by the channel `first`.
    pub(crate) fn of(tenant: TenantId, key: KeyId) -> Self {
        Self {
            tenant,
            key,
            model: "gpt-4",
            end_user: None,
            status: Status::ANSWERED,
            paid: Paid::Estimate(tally(12, 5), tally(0, 2)),
            way: Way { queued_ms: Some(7), tries: vec![tried("first", TryOutcome::Ok, 230)] },
            ended_ms: 240,
            held: "0.01",
        }
    }
}

/// The count of one text.
pub(crate) fn tally(hanzi: i64, words: i64) -> Tally {
    Tally { texts: 1, hanzi, words, tokens: hanzi + words * 13 / 10 }
}

/// A try of a channel; its first text came 30 ms before its end.
pub(crate) fn tried(channel: &str, outcome: TryOutcome, ms: i64) -> Try {
    let first_text_ms = (outcome == TryOutcome::Ok).then_some(ms - 30);
    Try { channel: channel.to_owned(), outcome, ms, first_text_ms }
}

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// The cost of tokens at a price per million, rounded up: by arithmetic of the tests' own.
fn cost(tokens: i64, price: Amount) -> Amount {
    let exact = i128::from(tokens) * i128::from(price.nanos());
    Amount::from_nanos(i64::try_from((exact + 999_999) / 1_000_000).unwrap())
}

impl Scene {
    /// A tenant who has paid this under the reference `first`.
    pub(crate) async fn tenant(&self, name: &'static str, paid: &str) -> TenantId {
        let tenant = self.customer(name).await;
        if amount(paid) > Amount::ZERO {
            self.top_up(tenant, paid, "first", None).await;
        }
        tenant
    }

    /// A payment, at the moment of the clock.
    pub(crate) async fn top_up(&self, tenant: TenantId, paid: &str, reference: &str, note: Option<&str>) -> TransferId {
        let top_up = TopUp {
            id: id_at(self.workbench.clock.now()),
            account: tenant,
            amount: amount(paid),
            source: TopUpSource::Cash,
            reference: reference.to_owned(),
            note: note.map(str::to_owned),
        };
        match self.deployment.ledger.top_up(top_up).await.unwrap() {
            TopUpDecision::Posted { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    /// The price of a call: the default one, or one of the same amounts that bills the provider's count.
    async fn price(&self, call: &Call) -> Price {
        let default = self.read(price_list::default_price).await.unwrap();
        if !matches!(call.paid, Paid::Upstream(..)) {
            return default;
        }
        let Price { prompt, completion, image, images, .. } = default;
        let basis = Basis::Upstream;
        let new = NewPrice { model: Some(call.model.to_owned()), prompt, completion, image, images, basis };
        let now = self.workbench.clock.now();
        self.write(move |connection| price_list::set(connection, new, now))
            .await
            .map_err(|error: DbError| error)
            .unwrap()
    }

    /// Makes a call now, with its details, and gives its id.
    pub(crate) async fn call(&self, call: Call) -> RequestId {
        let price = self.price(&call).await;
        let request_id = self.hold(&call, price.version).await;
        let charge = Charge {
            key: call.key,
            endpoint: Endpoint::Chat,
            model: call.model.to_owned(),
            end_user: call.end_user.map(str::to_owned),
            price_version: price.version,
            basis: Basis::Estimate,
            prompt: Tally::default(),
            completion: Tally::default(),
            upstream: None,
            images: 0,
            image_size: None,
            prompt_price: price.prompt,
            completion_price: price.completion,
            image_price: price.image,
            prompt_cost: Amount::ZERO,
            completion_cost: Amount::ZERO,
            image_cost: Amount::ZERO,
            finished_early: false,
        };
        let charge = match call.paid {
            Paid::Estimate(prompt, completion) => Some(Charge {
                prompt,
                completion,
                prompt_cost: cost(prompt.tokens, price.prompt),
                completion_cost: cost(completion.tokens, price.completion),
                ..charge
            }),
            Paid::Upstream(prompt, completion) => Some(Charge {
                basis: Basis::Upstream,
                prompt: tally(12, 5),
                completion: tally(0, 2),
                upstream: Some((prompt, completion)),
                prompt_cost: cost(prompt, price.prompt),
                completion_cost: cost(completion, price.completion),
                ..charge
            }),
            Paid::Images(count, size) => Some(Charge {
                endpoint: Endpoint::Images,
                images: count,
                image_size: Some(size.to_owned()),
                image_cost: Amount::from_nanos(price.image.nanos() * count),
                ..charge
            }),
            Paid::Nothing | Paid::Open => None,
        };
        let (ledger, account, is_open) = (&self.deployment.ledger, call.tenant, matches!(call.paid, Paid::Open));
        match charge {
            Some(charge) => {
                ledger.capture(Capture { request_id, account, charge, answer: None }).await.unwrap().unwrap();
            }
            None if is_open => return request_id,
            None => {
                ledger.end(request_id, account, Ended::Voided).await.unwrap().unwrap();
            }
        }
        let first_text_ms = call.way.first_text_ms();
        let endpoint = if matches!(call.paid, Paid::Images(..)) { Endpoint::Images } else { Endpoint::Chat };
        self.deployment.calls.record(CallRecord {
            request_id,
            tenant: call.tenant,
            key: call.key,
            endpoint,
            model: call.model.to_owned(),
            end_user: call.end_user.map(str::to_owned),
            streamed: true,
            status: call.status,
            first_text_ms,
            ended_ms: call.ended_ms,
            way: call.way,
        });
        self.deployment.calls.flush().await;
        request_id
    }

    /// Gives back what a call was charged.
    pub(crate) async fn give_back(&self, request_id: RequestId, tenant: TenantId) {
        let reversed = self.deployment.ledger.reverse_capture(request_id, tenant).await.unwrap();
        assert!(matches!(reversed, Reversal::Reversed(_)), "{reversed:?}");
    }

    async fn hold(&self, call: &Call, price_version: PriceVersion) -> RequestId {
        let now = self.workbench.clock.now();
        let hold = Hold {
            request_id: id_at(now),
            account: call.tenant,
            amount: amount(call.held),
            owner: self.deployment.process,
            expires_at: now.plus_ms(600_000),
            price_version,
            idempotency: None,
        };
        let request_id = hold.request_id;
        assert_eq!(self.deployment.ledger.hold(hold).await.unwrap(), HoldDecision::Held);
        request_id
    }
}

/// A new id of this moment, later than those before it.
fn id_at(moment: Timestamp) -> RequestId {
    let mut bytes = *RequestId::floor(moment).as_bytes();
    bytes[8..].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    RequestId::from_slice(&bytes).unwrap()
}
