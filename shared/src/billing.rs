//! What a call costs: the hold before it, and the charge after it.

use serde::{Deserialize, Serialize};

use crate::ledger::{Capture, Charge};
use crate::money::Amount;
use crate::price::{Basis, Price};
use crate::queue::{Endpoint, ImageOrder, Job};
use crate::tokens::Tally;

/// No provider's tokenizer makes more tokens of a text than it has bytes; parts that are not text (an image by its address) may count this
/// much more. Above that a provider is not believed.
const PROMPT_MARGIN: i64 = 200_000;
/// No model answers with more tokens than this, hidden reasoning included. Above that a provider is not believed.
const LONGEST_ANSWER: i64 = 1_000_000;

/// What is held for a call: `prompt` and `completion` tokens at the model's price; for images, what was ordered.
/// `None` when it leaves the range of 64 bits.
pub fn hold_amount(price: &Price, prompt: i64, completion: i64, images: Option<&ImageOrder>) -> Option<Amount> {
    match images {
        Some(order) => price.image_cost(&order.size, order.count),
        None => price.tokens_cost(prompt, completion).map(|cost| cost.total),
    }
}

/// What a call produced, as far as it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Produced {
    /// The estimate of the generated text.
    pub completion: Tally,
    /// The provider's own count of prompt and completion, if it sent one.
    pub upstream: Option<(i64, i64)>,
    /// Images delivered.
    pub images: i64,
    /// The call ended before its answer did.
    pub finished_early: bool,
}

/// The charge for what a call produced. `None` when it leaves the range of 64 bits.
pub fn charge(job: &Job, produced: Produced) -> Option<Charge> {
    let price = &job.price;
    let is_image = job.endpoint == Endpoint::Images;
    let upstream = produced.upstream.filter(|counts| is_plausible(job, produced, *counts));
    let (basis, (prompt_tokens, completion_tokens)) = match (price.basis, upstream) {
        (Basis::Upstream, Some(counts)) if !produced.finished_early => (Basis::Upstream, counts),
        _ => (Basis::Estimate, (job.prompt.tokens, produced.completion.tokens)),
    };
    // Images have a price of their own and pay no tokens.
    let (prompt_price, completion_price) =
        if is_image { (Amount::ZERO, Amount::ZERO) } else { (price.prompt, price.completion) };
    let prompt_cost = crate::price::cost_of_tokens(prompt_tokens, prompt_price)?;
    let completion_cost = crate::price::cost_of_tokens(completion_tokens, completion_price)?;
    let size = job.images.as_ref().map(|order| order.size.as_str()).unwrap_or_default();
    let image_cost = price.image_cost(size, produced.images)?;
    Some(Charge {
        key: job.key,
        endpoint: job.endpoint,
        model: job.model.clone(),
        end_user: job.end_user.clone(),
        price_version: price.version,
        basis,
        prompt: job.prompt,
        completion: produced.completion,
        upstream: produced.upstream,
        images: produced.images,
        image_size: job.images.as_ref().map(|order| order.size.clone()),
        prompt_price,
        completion_price,
        image_price: price.image_cost(size, 1)?,
        prompt_cost,
        completion_cost,
        image_cost,
        finished_early: produced.finished_early,
    })
}

/// The capture for what a call produced: whoever makes it, worker or waiting side, it is the same. `None`, and a word in the log, when its
/// charge leaves the range of 64 bits.
pub fn capture(job: &Job, produced: Produced) -> Option<Capture> {
    let (request_id, account) = (job.request_id, job.tenant);
    let charge = charge(job, produced);
    if charge.is_none() {
        tracing::error!(%request_id, "the cost of a call is out of range; it is not charged");
    }
    charge.map(|charge| Capture { request_id, account, charge, answer: None })
}

/// The tokens that a charge bills: prompt and completion, by its basis.
pub fn billed_tokens(charge: &Charge) -> (i64, i64) {
    match (charge.basis, charge.upstream) {
        (Basis::Upstream, Some(counts)) => counts,
        _ => (charge.prompt.tokens, charge.completion.tokens),
    }
}

/// Whether a provider's count can be true: neither negative, nor nothing where there is text, nor above what any model can count.
fn is_plausible(job: &Job, produced: Produced, (prompt, completion): (i64, i64)) -> bool {
    let most_prompt = i64::try_from(job.weight()).unwrap_or(i64::MAX).saturating_add(PROMPT_MARGIN);
    let most_completion = job.choices.max(1).saturating_mul(LONGEST_ANSWER);
    let fits = |count: i64, estimate: i64, most: i64| (0..=most).contains(&count) && (count > 0 || estimate == 0);
    fits(prompt, job.prompt.tokens, most_prompt) && fits(completion, produced.completion.tokens, most_completion)
}
