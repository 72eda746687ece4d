//! A job for the tests.

use std::collections::BTreeMap;

use shared::clock::Timestamp;
use shared::id::{RequestId, TenantId};
use shared::money::Amount;
use shared::price::{Basis, Price, PriceVersion};
use shared::queue::{Deadlines, Endpoint, Job};
use shared::tokens::Tally;

/// A job for this endpoint, with these members of the request.
pub(crate) fn job(endpoint: Endpoint, fields: &str, stream: bool) -> Job {
    Job {
        request_id: RequestId::new(),
        tenant: TenantId(1001),
        key: "0Az9Zz123456".parse().unwrap(),
        endpoint,
        model: "public-model".to_owned(),
        fields: fields.to_owned(),
        stream,
        include_usage: false,
        stream_options: String::new(),
        choices: 1,
        prompt: Tally { texts: 1, hanzi: 7, words: 0, tokens: 7 },
        echoed_prompts: Vec::new(),
        hold: Amount::ZERO,
        price: Price {
            version: PriceVersion(1),
            model: "public-model".to_owned(),
            prompt: Amount::ZERO,
            completion: Amount::ZERO,
            images: BTreeMap::new(),
            image: Amount::ZERO,
            basis: Basis::Estimate,
            is_default: true,
        },
        images: None,
        end_user: None,
        idempotency: None,
        left_out: 0,
        accepted_at: Timestamp(0),
        deadlines: Deadlines { first_text: Timestamp(120_000), between_chunks_ms: 60_000, end: Timestamp(600_000) },
    }
}
