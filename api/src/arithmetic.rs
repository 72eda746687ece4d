//! The arithmetic of a charge, written out so that a person can recompute it by hand.

use std::fmt::Write as _;

use shared::ledger::ChargeDetail;
use shared::money::Amount;
use shared::price::Basis;

const TOKENS_PER_PRICE: i128 = 1_000_000;

/// The whole arithmetic in one text. Components that cost nothing because the call has none of them are left out.
pub(crate) fn of(charge: &ChargeDetail) -> String {
    let is_upstream = charge.basis == Basis::Upstream.as_str();
    let upstream = |count: Option<i64>| count.filter(|_| is_upstream);
    let prompt = Tokens {
        hanzi: charge.prompt_hanzi,
        words: charge.prompt_words,
        tokens: charge.prompt_tokens,
        upstream: upstream(charge.upstream_prompt),
        price: charge.prompt_price,
        cost: charge.prompt_cost,
    };
    let completion = Tokens {
        hanzi: charge.completion_hanzi,
        words: charge.completion_words,
        tokens: charge.completion_tokens,
        upstream: upstream(charge.upstream_completion),
        price: charge.completion_price,
        cost: charge.completion_cost,
    };
    let mut parts = Vec::with_capacity(4);
    // Images have a price of their own, and their prompt costs nothing.
    if charge.image_size.is_none() {
        parts.push(format!("prompt: {}", prompt.text()));
        parts.push(format!("completion: {}", completion.text()));
    } else {
        parts.push(images(charge));
    }
    parts.push(total(charge));
    parts.join("; ")
}

struct Tokens {
    hanzi: i64,
    words: i64,
    tokens: i64,
    upstream: Option<i64>,
    price: i64,
    cost: i64,
}

impl Tokens {
    /// `12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 10.00 / 1,000,000 = 0.00018`
    fn text(&self) -> String {
        let mut text = match self.upstream {
            Some(count) => format!("{count} tokens, as the provider counted"),
            None => self.estimate(),
        };
        let billed = self.upstream.unwrap_or(self.tokens);
        let (price, cost) = (Amount::from_nanos(self.price), Amount::from_nanos(self.cost));
        let is_exact = i128::from(billed) * i128::from(self.price) == i128::from(self.cost) * TOKENS_PER_PRICE;
        let rounding = if is_exact { "" } else { " (rounded up)" };
        // Writing to a String cannot fail.
        let _ = write!(text, "; {billed} x {price} / 1,000,000 = {cost}{rounding}");
        text
    }

    fn estimate(&self) -> String {
        let Self { hanzi, words, tokens, .. } = self;
        let of_the_sum = i128::from(*hanzi) + i128::from(*words) * 13 / 10;
        let why = match i128::from(*tokens).cmp(&of_the_sum) {
            std::cmp::Ordering::Equal => "",
            std::cmp::Ordering::Less => " (rounded down per text)",
            std::cmp::Ordering::Greater => " (rounded down per text, and with tokens that are no text)",
        };
        format!("{hanzi} hanzi + {words} words x 1.3 = {tokens} tokens{why}")
    }
}

fn images(charge: &ChargeDetail) -> String {
    let (price, cost) = (Amount::from_nanos(charge.image_price), Amount::from_nanos(charge.image_cost));
    let size = charge.image_size.as_deref().unwrap_or("any size");
    format!("{} images of {size} x {price} = {cost}", charge.images)
}

fn total(charge: &ChargeDetail) -> String {
    let sum = [charge.prompt_cost, charge.completion_cost, charge.image_cost].into_iter().fold(0, i64::saturating_add);
    let written_off = charge.written_off;
    if written_off == 0 {
        return format!("together {}", Amount::from_nanos(sum));
    }
    let [sum, written_off, paid] = [sum, written_off, sum.saturating_sub(written_off)].map(Amount::from_nanos);
    format!("together {sum}, of which {written_off} went beyond the balance and was not charged: {paid}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn charge() -> ChargeDetail {
        ChargeDetail {
            key_id: "000000000000".to_owned(),
            endpoint: "chat".to_owned(),
            model: "gpt-4".to_owned(),
            end_user: None,
            price_version: 1,
            basis: "estimate".to_owned(),
            prompt_hanzi: 12,
            prompt_words: 5,
            prompt_tokens: 18,
            completion_hanzi: 0,
            completion_words: 2,
            completion_tokens: 2,
            upstream_prompt: Some(20),
            upstream_completion: Some(3),
            images: 0,
            image_size: None,
            prompt_price: 10_000_000_000,
            completion_price: 30_000_000_000,
            image_price: 300_000_000,
            prompt_cost: 180_000,
            completion_cost: 60_000,
            image_cost: 0,
            written_off: 0,
            finished_early: false,
        }
    }

    #[test]
    fn a_plain_charge() {
        let expected = "prompt: 12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 10.00 / 1,000,000 = 0.00018; \
                        completion: 0 hanzi + 2 words x 1.3 = 2 tokens; 2 x 30.00 / 1,000,000 = 0.00006; together 0.00024";
        assert_eq!(of(&charge()), expected);
    }

    #[rstest]
    #[case::per_text(17, "12 hanzi + 5 words x 1.3 = 17 tokens (rounded down per text)")]
    #[case::with_an_image(
        318,
        "12 hanzi + 5 words x 1.3 = 318 tokens (rounded down per text, and with tokens that are no text)"
    )]
    fn a_count_that_is_not_the_sum_says_why(#[case] prompt_tokens: i64, #[case] expected: &str) {
        let text = of(&ChargeDetail { prompt_tokens, ..charge() });
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_providers_count() {
        let charge =
            ChargeDetail { basis: "upstream".to_owned(), prompt_cost: 200_000, completion_cost: 90_000, ..charge() };
        let expected = "prompt: 20 tokens, as the provider counted; 20 x 10.00 / 1,000,000 = 0.0002; \
                        completion: 3 tokens, as the provider counted; 3 x 30.00 / 1,000,000 = 0.00009; together 0.00029";
        assert_eq!(of(&charge), expected);
    }

    #[test]
    fn rounding_and_what_was_written_off_are_said() {
        let charge = ChargeDetail { prompt_price: 1, prompt_cost: 1, written_off: 60_000, ..charge() };
        let text = of(&charge);
        assert!(text.contains("18 x 0.000000001 / 1,000,000 = 0.000000001 (rounded up)"), "{text}");
        assert!(
            text.ends_with(
                "together 0.000060001, of which 0.00006 went beyond the balance and was not charged: 0.000000001"
            ),
            "{text}"
        );
    }

    #[test]
    fn images_by_the_piece() {
        let images = ChargeDetail {
            images: 2,
            image_size: Some("512x512".to_owned()),
            image_cost: 600_000_000,
            prompt_cost: 0,
            completion_cost: 0,
            ..charge()
        };
        assert_eq!(of(&images), "2 images of 512x512 x 0.30 = 0.60; together 0.60");
    }
}
