//! Books with prices as of a service, a tenant who calls it, and the reading of its records.

use shared::clock::Timestamp;
use shared::id::{RequestId, TenantId};
use shared::ledger::{self, Capture, Charge, Grouping, Hold, HoldDecision, Page, Period, UsageRow};
use shared::money::Amount;
use shared::price::{Basis, PriceVersion};
use shared::queue::Endpoint;
use shared::tokens::Tally;

use super::books::{Books, charge, request_at};

/// 2026-01-01T00:00:00Z.
pub(super) const START: Timestamp = Timestamp(1_767_225_600_000);

/// Books with two prices more and a tenant who has paid 10.00.
pub(super) struct Office {
    pub(super) books: Books,
    pub(super) tenant: TenantId,
    pub(super) estimate: PriceVersion,
    pub(super) upstream: PriceVersion,
}

impl Office {
    pub(super) async fn open() -> Self {
        let books = Books::at(START).await;
        let estimate = books.price(amount("3.50"), amount("10.50"), amount("0.20"), Basis::Estimate).await;
        let upstream = books.price(amount("1.00"), amount("2.00"), Amount::ZERO, Basis::Upstream).await;
        let tenant = books.tenant("t", 10_000_000_000).await;
        Self { books, tenant, estimate, upstream }
    }

    /// A chat with gpt-4 at 3.50 and 10.50 per million tokens; the costs are worked out by hand.
    pub(super) fn chat(&self, tokens: (i64, i64), costs: (&str, &str)) -> Charge {
        Charge {
            price_version: self.estimate,
            prompt: Tally { tokens: tokens.0, ..Tally::default() },
            completion: Tally { tokens: tokens.1, ..Tally::default() },
            prompt_price: amount("3.50"),
            completion_price: amount("10.50"),
            prompt_cost: amount(costs.0),
            completion_cost: amount(costs.1),
            ..charge(0)
        }
    }

    pub(super) fn images(&self, count: i64, cost: &str) -> Charge {
        Charge {
            endpoint: Endpoint::Images,
            model: "dall-e-3".to_owned(),
            completion: Tally::default(),
            images: count,
            image_size: Some("1024x1024".to_owned()),
            prompt_price: Amount::ZERO,
            completion_price: Amount::ZERO,
            image_price: amount("0.20"),
            image_cost: amount(cost),
            // Recorded, and not billed.
            ..self.chat((12, 0), ("0", "0"))
        }
    }

    /// Books a charge at this moment, for a request that was made at another, and gives the request.
    pub(super) async fn charged(
        &self,
        tenant: TenantId,
        moment: Timestamp,
        made: Timestamp,
        charge: Charge,
    ) -> RequestId {
        let books = &self.books;
        books.advance(moment.since(books.clock.now()));
        let number = books.numbers("SELECT count(*) AS number FROM holds")[0];
        let request_id = request_at(made, number.try_into().unwrap());
        let amount = charge.total().unwrap().min(amount("1.00"));
        let hold = Hold { request_id, amount, price_version: charge.price_version, ..books.hold(tenant, 0) };
        assert_eq!(books.ledger.hold(hold).await.unwrap(), HoldDecision::Held);
        books.ledger.capture(Capture { request_id, account: tenant, charge, answer: None }).await.unwrap().unwrap();
        request_id
    }

    /// A chat of 1,000 and 200 tokens, for 0.0056.
    pub(super) async fn chatted_at(&self, moment: Timestamp) -> RequestId {
        self.charged(self.tenant, moment, moment, self.chat((1_000, 200), ("0.0035", "0.0021"))).await
    }

    pub(super) async fn usage(&self, key: Option<&str>, period: Period, grouping: Grouping) -> Vec<UsageRow> {
        let (tenant, key) = (self.tenant, key.map(|key| key.parse().unwrap()));
        self.books
            .database
            .read(move |connection| Ok(ledger::usage(connection, tenant, key, period, grouping, 1_000)?.rows))
            .await
            .unwrap()
    }

    pub(super) async fn charged_between(&self, key: Option<&str>, period: Period) -> Amount {
        let (tenant, key) = (self.tenant, key.map(|key| key.parse().unwrap()));
        self.books
            .database
            .read(move |connection| ledger::charged_between(connection, tenant, key, period))
            .await
            .unwrap()
    }

    pub(super) async fn statement(&self, key: Option<&str>, before: Option<i64>, limit: i64) -> Page {
        let (tenant, key) = (self.tenant, key.map(|key| key.parse().unwrap()));
        self.books
            .database
            .read(move |connection| ledger::statement(connection, tenant, key, before, limit))
            .await
            .unwrap()
    }
}

pub(super) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

pub(super) fn moment(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}
