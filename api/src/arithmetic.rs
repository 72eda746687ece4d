//! The arithmetic of a charge, written out so that a person can recompute it by hand.

use std::cmp::Ordering;

use shared::ledger::{ChargeDetail, ChargeTotal, TokenCharge};
use shared::money::Amount;

/// The whole arithmetic in one text. Components that cost nothing because the call has none of them are left out.
pub(crate) fn of(charge: &ChargeDetail) -> String {
    let total = total(charge.total());
    match charge.tokens() {
        Some([prompt, completion]) => {
            format!("prompt: {}; completion: {}; {total}", tokens(&prompt), tokens(&completion))
        }
        None => format!("{}; {total}", images(charge)),
    }
}

/// `12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 10.00 / 1,000,000 = 0.00018`
fn tokens(part: &TokenCharge) -> String {
    let count = match part.upstream {
        Some(count) => format!("{count} tokens, as the provider counted"),
        None => estimate(part),
    };
    let (billed, price, cost) = (part.billed(), part.price, part.cost);
    let rounding = if part.is_exact() { "" } else { " (rounded up)" };
    format!("{count}; {billed} x {price} / 1,000,000 = {cost}{rounding}")
}

fn estimate(part: &TokenCharge) -> String {
    let TokenCharge { hanzi, words, tokens, .. } = part;
    let why = match part.against_the_sum() {
        Ordering::Equal => "",
        Ordering::Less => " (rounded down per text)",
        Ordering::Greater => " (rounded down per text, and with tokens that are no text)",
    };
    format!("{hanzi} hanzi + {words} words x 1.3 = {tokens} tokens{why}")
}

fn images(charge: &ChargeDetail) -> String {
    let (price, cost) = (Amount::from_nanos(charge.image_price), Amount::from_nanos(charge.image_cost));
    let size = charge.image_size.as_deref().unwrap_or("any size");
    format!("{} images of {size} x {price} = {cost}", charge.images)
}

fn total(ChargeTotal { sum, written_off, charged }: ChargeTotal) -> String {
    if written_off == Amount::ZERO {
        return format!("together {sum}");
    }
    format!("together {sum}, of which {written_off} went beyond the balance and was not charged: {charged}")
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
