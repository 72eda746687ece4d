//! What a charge is made of, for whoever writes its arithmetic out.

use std::cmp::Ordering;

use super::statement::ChargeDetail;
use crate::money::Amount;
use crate::price::Basis;

const TOKENS_PER_PRICE: i128 = 1_000_000;

/// The tokens of a prompt or of a completion, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCharge {
    /// Hanzi of the estimate.
    pub hanzi: i64,
    /// Words of the estimate.
    pub words: i64,
    /// Tokens of the estimate.
    pub tokens: i64,
    /// The provider's own count, where that was billed.
    pub upstream: Option<i64>,
    /// Price of a million tokens.
    pub price: Amount,
    /// What they cost.
    pub cost: Amount,
}

impl TokenCharge {
    /// The tokens that were billed.
    pub fn billed(&self) -> i64 {
        self.upstream.unwrap_or(self.tokens)
    }

    /// Whether the cost is what the price says to the last digit; otherwise it was rounded up.
    pub fn is_exact(&self) -> bool {
        i128::from(self.billed()) * i128::from(self.price.nanos()) == i128::from(self.cost.nanos()) * TOKENS_PER_PRICE
    }

    /// The tokens of the estimate against `hanzi + words x 1.3` of all texts together: less where several texts were each rounded down,
    /// more where tokens that are no text came to it.
    pub fn against_the_sum(&self) -> Ordering {
        let of_the_sum = i128::from(self.hanzi) + i128::from(self.words) * 13 / 10;
        i128::from(self.tokens).cmp(&of_the_sum)
    }
}

/// What a charge comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeTotal {
    /// The components' sum.
    pub sum: Amount,
    /// What of it went beyond hold and balance, and the house bears.
    pub written_off: Amount,
    /// What was charged.
    pub charged: Amount,
}

impl ChargeDetail {
    /// Prompt and completion. `None` for images: they have a price of their own, and their prompt costs nothing.
    pub fn tokens(&self) -> Option<[TokenCharge; 2]> {
        if self.image_size.is_some() {
            return None;
        }
        let is_upstream = self.basis == Basis::Upstream.as_str();
        let upstream = |count: Option<i64>| count.filter(|_| is_upstream);
        let prompt = TokenCharge {
            hanzi: self.prompt_hanzi,
            words: self.prompt_words,
            tokens: self.prompt_tokens,
            upstream: upstream(self.upstream_prompt),
            price: Amount::from_nanos(self.prompt_price),
            cost: Amount::from_nanos(self.prompt_cost),
        };
        let completion = TokenCharge {
            hanzi: self.completion_hanzi,
            words: self.completion_words,
            tokens: self.completion_tokens,
            upstream: upstream(self.upstream_completion),
            price: Amount::from_nanos(self.completion_price),
            cost: Amount::from_nanos(self.completion_cost),
        };
        Some([prompt, completion])
    }

    /// What it comes to.
    pub fn total(&self) -> ChargeTotal {
        let sum = [self.prompt_cost, self.completion_cost, self.image_cost].into_iter().fold(0, i64::saturating_add);
        let [sum, written_off, charged] =
            [sum, self.written_off, sum.saturating_sub(self.written_off)].map(Amount::from_nanos);
        ChargeTotal { sum, written_off, charged }
    }
}
