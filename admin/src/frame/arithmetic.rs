//! The arithmetic of a charge in words, so that a person can recompute it by hand: one line a component, and the sum.

use std::cmp::Ordering;

use shared::ledger::{ChargeDetail, ChargeTotal, TokenCharge};
use shared::money::Amount;

use super::language::Language;

/// A charge in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arithmetic {
    /// What it is made of: prompt and completion, or images.
    pub(crate) components: Vec<Component>,
    /// The sum, and what of it was charged.
    pub(crate) total: String,
    /// The components' sum.
    pub(crate) sum: Amount,
    /// What of the sum was charged: less what the house bears.
    pub(crate) charged: Amount,
}

/// A part of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    /// What it is for.
    pub(crate) name: &'static str,
    /// `12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 10.00 / 1,000,000 = 0.000180000`
    pub(crate) words: String,
    /// What it cost.
    pub(crate) cost: Amount,
}

/// The arithmetic of `charge`. Components that the call cannot have are left out: an image's prompt costs nothing.
pub(crate) fn of(charge: &ChargeDetail, language: Language) -> Arithmetic {
    let components = match charge.tokens() {
        None => vec![images(charge, language)],
        Some([prompt, completion]) => vec![
            tokens(&prompt, language.say("prompt", "输入"), language),
            tokens(&completion, language.say("completion", "输出"), language),
        ],
    };
    let total = charge.total();
    Arithmetic { components, total: words_of(total, language), sum: total.sum, charged: total.charged }
}

fn tokens(part: &TokenCharge, name: &'static str, language: Language) -> Component {
    let count = match part.upstream {
        Some(count) => match language {
            Language::English => format!("{count} tokens, as the provider counted"),
            Language::Chinese => format!("上游统计 {count} 个 token"),
        },
        None => estimate(part, language),
    };
    let (billed, price, cost) = (part.billed(), part.price, part.cost);
    let rounding = if part.is_exact() { "" } else { language.say(" (rounded up)", "（向上取整）") };
    let (semicolon, times) = (language.say("; ", "；"), language.say("x", "×"));
    let words = format!("{count}{semicolon}{billed} {times} {price} / 1,000,000 = {}{rounding}", nine_places(cost));
    Component { name, words, cost }
}

fn estimate(part: &TokenCharge, language: Language) -> String {
    let TokenCharge { hanzi, words, tokens, .. } = part;
    let why = match part.against_the_sum() {
        Ordering::Equal => "",
        Ordering::Less => language.say(" (rounded down per text)", "（每段文本分别向下取整）"),
        Ordering::Greater => language.say(
            " (rounded down per text, and with tokens that are no text)",
            "（每段文本分别向下取整，并含非文本的 token）",
        ),
    };
    match language {
        Language::English => format!("{hanzi} hanzi + {words} words x 1.3 = {tokens} tokens{why}"),
        Language::Chinese => format!("{hanzi} 个汉字 + {words} 个单词 × 1.3 = {tokens} 个 token{why}"),
    }
}

fn images(charge: &ChargeDetail, language: Language) -> Component {
    let (price, cost) = (Amount::from_nanos(charge.image_price), Amount::from_nanos(charge.image_cost));
    let size = charge.image_size.as_deref().unwrap_or("-");
    let words = match language {
        Language::English => format!("{} images of {size} x {price} = {}", charge.images, nine_places(cost)),
        Language::Chinese => format!("{} 张 {size} 图片 × {price} = {}", charge.images, nine_places(cost)),
    };
    Component { name: language.say("images", "图片"), words, cost }
}

fn words_of(ChargeTotal { sum, written_off, charged }: ChargeTotal, language: Language) -> String {
    let [sum, lost, charged] = [sum, written_off, charged].map(nine_places);
    match language {
        Language::English if written_off == Amount::ZERO => format!("together {sum}"),
        Language::English => {
            format!("together {sum}, of which {lost} went beyond the balance and was not charged: {charged}")
        }
        Language::Chinese if written_off == Amount::ZERO => format!("合计 {sum}"),
        Language::Chinese => format!("合计 {sum}，其中 {lost} 超出余额、未收取：实收 {charged}"),
    }
}

/// An amount with all its nine places: what was computed stands there to the last digit.
pub(crate) fn nine_places(amount: Amount) -> String {
    let text = amount.to_string();
    let places = text.rsplit_once('.').map_or(0, |(_, places)| places.len());
    format!("{text}{}", "0".repeat(9_usize.saturating_sub(places)))
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

    /// All of it in one line.
    fn line(charge: &ChargeDetail, language: Language) -> String {
        let Arithmetic { components, total, .. } = of(charge, language);
        let components = components.iter().map(|component| format!("{}: {}", component.name, component.words));
        components.chain([total]).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_plain_charge() {
        let arithmetic = of(&charge(), Language::English);
        assert_eq!(
            arithmetic.components[0].words,
            "12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 10.00 / 1,000,000 = 0.000180000"
        );
        assert_eq!(arithmetic.components[1].cost, Amount::from_nanos(60_000));
        assert_eq!(arithmetic.charged, Amount::from_nanos(240_000));
        assert_eq!(
            line(&charge(), Language::English),
            "prompt: 12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 10.00 / 1,000,000 = 0.000180000; \
             completion: 0 hanzi + 2 words x 1.3 = 2 tokens; 2 x 30.00 / 1,000,000 = 0.000060000; together 0.000240000"
        );
    }

    #[test]
    fn the_same_in_chinese() {
        assert_eq!(
            line(&charge(), Language::Chinese),
            "输入: 12 个汉字 + 5 个单词 × 1.3 = 18 个 token；18 × 10.00 / 1,000,000 = 0.000180000; \
             输出: 0 个汉字 + 2 个单词 × 1.3 = 2 个 token；2 × 30.00 / 1,000,000 = 0.000060000; 合计 0.000240000"
        );
    }

    #[rstest]
    #[case::per_text(17, "= 17 tokens (rounded down per text);")]
    #[case::with_an_image(318, "= 318 tokens (rounded down per text, and with tokens that are no text);")]
    fn a_count_that_is_not_the_sum_says_why(#[case] prompt_tokens: i64, #[case] expected: &str) {
        let text = line(&ChargeDetail { prompt_tokens, ..charge() }, Language::English);
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_providers_count() {
        let charge =
            ChargeDetail { basis: "upstream".to_owned(), prompt_cost: 200_000, completion_cost: 90_000, ..charge() };
        let text = line(&charge, Language::English);
        assert!(
            text.starts_with("prompt: 20 tokens, as the provider counted; 20 x 10.00 / 1,000,000 = 0.000200000; "),
            "{text}"
        );
    }

    #[test]
    fn rounding_and_what_was_written_off_are_said() {
        let charge = ChargeDetail { prompt_price: 1, prompt_cost: 1, written_off: 60_000, ..charge() };
        let arithmetic = of(&charge, Language::English);
        let text = line(&charge, Language::English);
        assert!(text.contains("18 x 0.000000001 / 1,000,000 = 0.000000001 (rounded up)"), "{text}");
        assert!(
            text.ends_with("of which 0.000060000 went beyond the balance and was not charged: 0.000000001"),
            "{text}"
        );
        assert_eq!((arithmetic.sum, arithmetic.charged), (Amount::from_nanos(60_001), Amount::from_nanos(1)));
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
        let text = line(&images, Language::English);
        assert_eq!(text, "images: 2 images of 512x512 x 0.30 = 0.600000000; together 0.600000000");
    }
}
