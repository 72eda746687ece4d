//! Settings of models and of what they cost.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::base_url::BaseUrl;
use super::value::{Setting, amount, between, list, one, some_list};
use crate::money::Amount;

const MOST_OUTPUT: i64 = 10_000_000;
const MOST_HOLD_FACTOR: i64 = 100;
const MOST_PART_TOKENS: i64 = 1_000_000;

/// The channel that `serve` makes when an OpenAI key is set and no channel of that type exists.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAiSettings {
    /// The key; `None` makes no channel.
    #[serde(deserialize_with = "super::value::secret")]
    pub api_key: Option<SecretString>,
    /// Where it calls, up to and including the version.
    #[serde(deserialize_with = "one")]
    pub base_url: BaseUrl,
    /// The provider's model for each name that developers use.
    #[serde(deserialize_with = "mapping")]
    pub models: BTreeMap<String, String>,
}

/// What holds for every model that has no setting of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsSettings {
    /// Names that are known also when no channel serves them at present.
    #[serde(deserialize_with = "list")]
    pub known: Vec<String>,
    /// The model of a chat that names none.
    #[serde(deserialize_with = "one")]
    pub chat_default: String,
    /// The model of an image that names none.
    #[serde(deserialize_with = "one")]
    pub image_default: String,
    /// The model of a moderation that names none.
    #[serde(deserialize_with = "one")]
    pub moderation_default: String,
    /// The longest answer that is held for, in tokens: 1 to 10000000.
    #[serde(deserialize_with = "between::<_, _, 1, MOST_OUTPUT>")]
    pub max_output: i64,
    /// By how much the held answer is multiplied: 1 to 100.
    #[serde(deserialize_with = "between::<_, _, 1, MOST_HOLD_FACTOR>")]
    pub hold_factor: i64,
    /// What a part of a message that is not text counts, in tokens: 0 to 1000000.
    #[serde(deserialize_with = "between::<_, _, 0, MOST_PART_TOKENS>")]
    pub part_tokens: i64,
    /// The sizes of images, such as `1024x1024`.
    #[serde(deserialize_with = "image_sizes")]
    pub image_sizes: Vec<String>,
}

/// What holds for one model: its own settings, and [`ModelsSettings`] for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLimits {
    /// The longest answer that is held for, in tokens.
    pub max_output: i64,
    /// By how much the held answer is multiplied.
    pub hold_factor: i64,
    /// What a part of a message that is not text counts, in tokens.
    pub part_tokens: i64,
    /// The sizes of images, such as `1024x1024`.
    pub image_sizes: Vec<String>,
}

/// Prices of models that have none of their own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSettings {
    /// A million tokens of the prompt.
    #[serde(deserialize_with = "amount")]
    pub prompt: Amount,
    /// A million tokens of the answer.
    #[serde(deserialize_with = "amount")]
    pub completion: Amount,
    /// One image.
    #[serde(deserialize_with = "amount")]
    pub image: Amount,
}

/// Where one model differs from [`ModelsSettings`]: `[model."gpt-4"]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ModelOverride {
    #[serde(deserialize_with = "some::<_, 1, MOST_OUTPUT>")]
    max_output: Option<i64>,
    #[serde(deserialize_with = "some::<_, 1, MOST_HOLD_FACTOR>")]
    hold_factor: Option<i64>,
    #[serde(deserialize_with = "some::<_, 0, MOST_PART_TOKENS>")]
    part_tokens: Option<i64>,
    #[serde(deserialize_with = "some_image_sizes")]
    image_sizes: Option<Vec<String>>,
}

impl ModelOverride {
    /// The model's own sizes of images, if it has any.
    pub(super) fn image_sizes(&self) -> impl Iterator<Item = &String> {
        self.image_sizes.iter().flatten()
    }
}

impl ModelsSettings {
    /// These, with what `own` says put over them.
    pub(super) fn limits(&self, own: Option<&ModelOverride>) -> ModelLimits {
        let own = own.cloned().unwrap_or_default();
        ModelLimits {
            max_output: own.max_output.unwrap_or(self.max_output),
            hold_factor: own.hold_factor.unwrap_or(self.hold_factor),
            part_tokens: own.part_tokens.unwrap_or(self.part_tokens),
            image_sizes: own.image_sizes.unwrap_or_else(|| self.image_sizes.clone()),
        }
    }
}

/// One `public=upstream`.
struct Pair(String, String);

impl Setting for Pair {
    fn from_text(text: &str) -> Result<Self, String> {
        let (public, upstream) = text.split_once('=').unwrap_or((text, ""));
        let (public, upstream) = (public.trim(), upstream.trim());
        if public.is_empty() || upstream.is_empty() {
            return Err(format!("must be public=upstream pairs with commas between; {text:?} is none"));
        }
        Ok(Self(public.to_owned(), upstream.to_owned()))
    }
}

fn mapping<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let mut models = BTreeMap::new();
    for Pair(public, upstream) in list(deserializer)? {
        if let Some(earlier) = models.insert(public.clone(), upstream) {
            return Err(D::Error::custom(format!("must name {public:?} once; it is also mapped to {earlier:?}")));
        }
    }
    Ok(models)
}

/// `1024x1024`.
struct ImageSize(String);

impl Setting for ImageSize {
    fn from_text(text: &str) -> Result<Self, String> {
        let is_length = |digits: &str| {
            (1..=5).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        match text.split_once('x') {
            Some((width, height)) if is_length(width) && is_length(height) => Ok(Self(text.to_owned())),
            _ => Err(format!("must be sizes such as 1024x1024 with commas between; {text:?} is none")),
        }
    }
}

fn image_sizes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(some_list(deserializer)?.into_iter().map(|ImageSize(size)| size).collect())
}

fn some_image_sizes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    image_sizes(deserializer).map(Some)
}

fn some<'de, D: Deserializer<'de>, const MIN: i64, const MAX: i64>(deserializer: D) -> Result<Option<i64>, D::Error> {
    between::<D, i64, MIN, MAX>(deserializer).map(Some)
}
