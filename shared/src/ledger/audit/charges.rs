//! Whether the arithmetic of a charge adds up, by the price that its hold was made with.

use std::collections::BTreeMap;

use super::{BigInt, Binary, Nullable, NullableText, QueryableByName, Text, Violation, hexadecimal, unknown_word};
use crate::money::Amount;
use crate::price::{Basis, cost_of_tokens};
use crate::queue::Endpoint;

pub(super) const CHARGES: &str = "SELECT h.request_id, s.outcome, c.endpoint, c.basis, c.prompt_tokens, c.completion_tokens, \
    c.upstream_prompt, c.upstream_completion, c.images, c.image_size, c.prompt_price, c.completion_price, c.image_price, \
    c.prompt_cost, c.completion_cost, c.image_cost, h.price_version AS held_at, c.price_version, \
    p.prompt AS listed_prompt, p.completion AS listed_completion, p.image AS listed_image, p.sizes AS listed_sizes, p.basis AS listed_basis \
    FROM holds h JOIN charges c ON c.account = h.account AND c.request_id = h.request_id \
    LEFT JOIN settlements s ON s.request_id = h.request_id LEFT JOIN prices p ON p.version = c.price_version \
    WHERE h.request_id > ? ORDER BY h.request_id LIMIT ?";

#[derive(QueryableByName)]
pub(super) struct ChargeCheck {
    #[diesel(sql_type = Binary)]
    pub(super) request_id: Vec<u8>,
    #[diesel(sql_type = NullableText)]
    outcome: Option<String>,
    #[diesel(sql_type = Text)]
    endpoint: String,
    #[diesel(sql_type = Text)]
    basis: String,
    #[diesel(sql_type = BigInt)]
    prompt_tokens: i64,
    #[diesel(sql_type = BigInt)]
    completion_tokens: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    upstream_prompt: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    upstream_completion: Option<i64>,
    #[diesel(sql_type = BigInt)]
    images: i64,
    #[diesel(sql_type = NullableText)]
    image_size: Option<String>,
    #[diesel(sql_type = BigInt)]
    prompt_price: i64,
    #[diesel(sql_type = BigInt)]
    completion_price: i64,
    #[diesel(sql_type = BigInt)]
    image_price: i64,
    #[diesel(sql_type = BigInt)]
    prompt_cost: i64,
    #[diesel(sql_type = BigInt)]
    completion_cost: i64,
    #[diesel(sql_type = BigInt)]
    image_cost: i64,
    #[diesel(sql_type = BigInt)]
    held_at: i64,
    #[diesel(sql_type = BigInt)]
    price_version: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    listed_prompt: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    listed_completion: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    listed_image: Option<i64>,
    #[diesel(sql_type = NullableText)]
    listed_sizes: Option<String>,
    #[diesel(sql_type = NullableText)]
    listed_basis: Option<String>,
}

impl ChargeCheck {
    pub(super) fn violation(&self) -> Option<Violation> {
        let (prompt, completion) = match self.basis.as_str() {
            "upstream" => (self.upstream_prompt.unwrap_or(-1), self.upstream_completion.unwrap_or(-1)),
            _ => (self.prompt_tokens, self.completion_tokens),
        };
        let cost = |tokens, price| cost_of_tokens(tokens, Amount::from_nanos(price)).map(Amount::nanos);
        let adds_up = cost(prompt, self.prompt_price) == Some(self.prompt_cost)
            && cost(completion, self.completion_price) == Some(self.completion_cost)
            && self.images.checked_mul(self.image_price) == Some(self.image_cost);
        if adds_up && self.is_as_listed() && self.held_at == self.price_version && self.outcome.is_some() {
            return None;
        }
        Some(Violation {
            check: "charge_adds_up",
            subject: format!("request {}", hexadecimal(&self.request_id)),
            detail: format!(
                "{prompt} tokens at {} = {}, {completion} at {} = {}, {} images at {} = {}; by {}, price version {} (held at {}), settlement {}",
                self.prompt_price,
                self.prompt_cost,
                self.completion_price,
                self.completion_cost,
                self.images,
                self.image_price,
                self.image_cost,
                self.basis,
                self.price_version,
                self.held_at,
                unknown_word(self.outcome.as_ref())
            ),
        })
    }

    /// Whether each price that was charged is the listed one, and the count one that it bills by.
    fn is_as_listed(&self) -> bool {
        // A call for images pays no tokens.
        let (prompt, completion) = if self.endpoint == Endpoint::Images.name() {
            (Some(0), Some(0))
        } else {
            (self.listed_prompt, self.listed_completion)
        };
        prompt == Some(self.prompt_price)
            && completion == Some(self.completion_price)
            && (self.images == 0 || self.listed_image_price() == Some(self.image_price))
            && (self.listed_basis == Some(self.basis.clone())
                || (self.listed_basis.is_some() && self.basis == Basis::Estimate.as_str()))
    }

    fn listed_image_price(&self) -> Option<i64> {
        let sizes: BTreeMap<String, Amount> = serde_json::from_str(self.listed_sizes.as_ref()?).ok()?;
        let own = self.image_size.as_ref().and_then(|size| sizes.get(size)).map(|price| price.nanos());
        own.or(self.listed_image)
    }
}
