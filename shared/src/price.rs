//! What a call costs: the values of a price and its arithmetic. Where prices are kept is no concern of this file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::money::Amount;

/// The price of one model, in one version. A call is charged by the version that its hold was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Which version this is.
    pub version: PriceVersion,
    /// The public name of the model.
    pub model: String,
    /// Per million tokens of the prompt.
    pub prompt: Amount,
    /// Per million tokens of the completion.
    pub completion: Amount,
    /// Per image, by size such as `1024x1024`.
    pub images: BTreeMap<String, Amount>,
    /// Per image of any size that `images` does not list.
    pub image: Amount,
    /// Which count of tokens is billed.
    pub basis: Basis,
    /// Whether this is the default price of the settings, because the model has none of its own.
    pub is_default: bool,
}

impl Price {
    /// What a call with these counts costs, each component rounded up to 1e-9 of the currency. `None` when a count is
    /// negative or a cost does not fit.
    pub fn tokens_cost(&self, prompt_tokens: i64, completion_tokens: i64) -> Option<TokensCost> {
        let prompt = cost_of_tokens(prompt_tokens, self.prompt)?;
        let completion = cost_of_tokens(completion_tokens, self.completion)?;
        let total = prompt.checked_add(completion)?;
        Some(TokensCost { prompt, completion, total })
    }

    /// The price as people and scripts see it: amounts as text, units as in the fields.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("model".to_owned(), self.model.clone().into());
        for (name, amount) in [("prompt", self.prompt), ("completion", self.completion), ("image", self.image)] {
            object.insert(name.to_owned(), amount.to_string().into());
        }
        let images = self.images.iter().map(|(size, amount)| (size.clone(), amount.to_string().into()));
        object.insert("images".to_owned(), Value::Object(images.collect()));
        object.insert("basis".to_owned(), self.basis.as_str().into());
        object.insert("version".to_owned(), self.version.0.into());
        object.insert("default".to_owned(), self.is_default.into());
        Value::Object(object)
    }

    /// What `n` images of this size cost. `None` when `n` is negative or the cost does not fit.
    pub fn image_cost(&self, size: &str, n: i64) -> Option<Amount> {
        let each = self.images.get(size).copied().unwrap_or(self.image);
        if n < 0 || each < Amount::ZERO {
            return None;
        }
        each.nanos().checked_mul(n).map(Amount::from_nanos)
    }
}

/// What `tokens` cost at `per_million`, rounded up to 1e-9 of the currency: never below the exact value, and less than
/// 1e-9 above it. `None` when either is negative (a call never earns money) or the cost does not fit.
pub fn cost_of_tokens(tokens: i64, per_million: Amount) -> Option<Amount> {
    if tokens < 0 || per_million < Amount::ZERO {
        return None;
    }
    // Two values below 2^63 multiply to less than 2^126, so nothing here overflows.
    let millionths = i128::from(tokens) * i128::from(per_million.nanos());
    let nanos = (millionths + (TOKENS_PER_PRICE - 1)) / TOKENS_PER_PRICE;
    Amount::from_wide(nanos)
}

/// How many tokens a price is for.
const TOKENS_PER_PRICE: i128 = 1_000_000;

/// The cost of a call by tokens, with its components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokensCost {
    /// The prompt's share, rounded up.
    pub prompt: Amount,
    /// The completion's share, rounded up.
    pub completion: Amount,
    /// The sum of the two.
    pub total: Amount,
}

/// One version of a model's price: the id of a row in the table `prices`, which is never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriceVersion(pub i64);

impl fmt::Display for PriceVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Which count of tokens a model is billed by. Both counts are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Our own estimate (see [`crate::tokens`]).
    #[default]
    Estimate,
    /// The provider's usage; where that is missing or implausible, the estimate, and the record says so.
    Upstream,
}

impl Basis {
    /// The word for it in the database, on the command line and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Estimate => "estimate",
            Self::Upstream => "upstream",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A word that is not a basis of billing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the basis of a price is either estimate or upstream")]
pub struct UnknownBasis;

impl FromStr for Basis {
    type Err = UnknownBasis;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "estimate" => Ok(Self::Estimate),
            "upstream" => Ok(Self::Upstream),
            _ => Err(UnknownBasis),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn price() -> Price {
        Price {
            version: PriceVersion(7),
            model: "gpt-4".to_owned(),
            prompt: amount("3.50"),
            completion: amount("10.50"),
            images: BTreeMap::from([("1024x1024".to_owned(), amount("0.20"))]),
            image: amount("0.30"),
            basis: Basis::Estimate,
            is_default: false,
        }
    }

    #[rstest]
    #[case::nothing(0, "10.00", "0.00")]
    #[case::free(1_000_000, "0.00", "0.00")]
    #[case::one_million(1_000_000, "10.00", "10.00")]
    #[case::exact(18, "10.00", "0.00018")]
    #[case::one_token_at_the_smallest_price(1, "0.000000001", "0.000000001")]
    #[case::just_over_one_step(1_000_001, "0.000000001", "0.000000002")]
    #[case::a_third_of_a_step(7, "0.333333333", "0.000002334")]
    fn token_costs(#[case] tokens: i64, #[case] per_million: &str, #[case] expected: &str) {
        assert_eq!(cost_of_tokens(tokens, amount(per_million)), Some(amount(expected)));
    }

    #[test]
    fn what_cannot_be_charged_is_none() {
        let largest = Amount::from_nanos(i64::MAX);
        assert_eq!(cost_of_tokens(-1, amount("1.00")), None);
        assert_eq!(cost_of_tokens(1, amount("-1.00")), None);
        assert_eq!(cost_of_tokens(1_000_001, largest), None);
        assert_eq!(cost_of_tokens(i64::MAX, largest), None);
        assert_eq!(cost_of_tokens(1_000_000, largest), Some(largest));

        let dear = Price { prompt: largest, completion: largest, image: largest, ..price() };
        assert_eq!(dear.tokens_cost(1_000_000, 1), None);
        assert_eq!(dear.image_cost("any", 2), None);
        assert_eq!(price().image_cost("1024x1024", -1), None);
        assert_eq!(Price { image: amount("-0.30"), ..price() }.image_cost("any", 1), None);
    }

    #[test]
    fn components_are_rounded_up_apart() {
        let cheap = Price { prompt: amount("0.000000001"), completion: amount("0.000000001"), ..price() };
        let cost = cheap.tokens_cost(1, 1).unwrap();
        assert_eq!((cost.prompt.nanos(), cost.completion.nanos(), cost.total.nanos()), (1, 1, 2));

        let cost = price().tokens_cost(5, 20).unwrap();
        assert_eq!(cost.prompt, amount("0.0000175"));
        assert_eq!(cost.completion, amount("0.00021"));
        assert_eq!(cost.total, amount("0.0002275"));
    }

    #[rstest]
    #[case("1024x1024", 3, "0.60")]
    #[case("512x512", 2, "0.60")]
    #[case("1024x1024", 0, "0.00")]
    fn image_costs(#[case] size: &str, #[case] n: i64, #[case] expected: &str) {
        assert_eq!(price().image_cost(size, n), Some(amount(expected)));
    }

    #[test]
    fn the_words_for_a_basis_agree() {
        for basis in [Basis::Estimate, Basis::Upstream] {
            assert_eq!(basis.to_string().parse(), Ok(basis));
            assert_eq!(serde_json::to_string(&basis).unwrap(), format!("\"{basis}\""));
        }
        assert_eq!("Upstream".parse::<Basis>(), Err(UnknownBasis));
    }

    #[test]
    fn a_price_survives_json() {
        let text = serde_json::to_string(&price()).unwrap();
        assert_eq!(serde_json::from_str::<Price>(&text).unwrap(), price());
    }

    const MOST_TOKENS: i64 = 1_000_000_000;
    const HIGHEST_PRICE: i64 = 1_000_000_000_000;

    proptest! {
        #[test]
        fn less_than_one_step_above_the_exact_value(tokens in 0..MOST_TOKENS, per_million in 0..HIGHEST_PRICE) {
            let charged = i128::from(cost_of_tokens(tokens, Amount::from_nanos(per_million)).unwrap().nanos()) * 1_000_000;
            let exact = i128::from(tokens) * i128::from(per_million);
            prop_assert!(charged >= exact);
            prop_assert!(charged < exact + 1_000_000);
        }

        #[test]
        fn more_tokens_never_cost_less(
            (fewer, more) in (0..MOST_TOKENS, 0..MOST_TOKENS).prop_map(|(one, other)| (one.min(other), one.max(other))),
            (lower, higher) in (0..HIGHEST_PRICE, 0..HIGHEST_PRICE).prop_map(|(one, other)| (one.min(other), one.max(other))),
        ) {
            let least = cost_of_tokens(fewer, Amount::from_nanos(lower)).unwrap();
            prop_assert!(least <= cost_of_tokens(more, Amount::from_nanos(lower)).unwrap());
            prop_assert!(least <= cost_of_tokens(fewer, Amount::from_nanos(higher)).unwrap());
        }

        #[test]
        fn no_counts_or_prices_overflow(tokens: i64, per_million: i64) {
            if let Some(cost) = cost_of_tokens(tokens, Amount::from_nanos(per_million)) {
                prop_assert!(cost >= Amount::ZERO);
            }
        }
    }
}
