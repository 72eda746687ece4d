//! A caller's body, read as far as its top level.

use std::borrow::Cow;
use std::fmt;

use super::{CallRequest, Rules, chat, completion, embeddings, field, image, moderation, provider, strictness, syntax};
use crate::config::{ModelLimits, ModelsSettings};
use crate::idempotency::Mark;
use crate::json_object::{Duplicates, Members};
use crate::queue::Endpoint;
use crate::refusal::Refusal;

/// The longest name of a model, in characters.
const LONGEST_MODEL: usize = 200;

/// A body that is a JSON object. It may hold a Secret Key, so `Debug` shows nothing of it.
pub struct Body<'a> {
    members: Members<'a>,
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Body").finish_non_exhaustive()
    }
}

impl<'a> Body<'a> {
    /// Reads the top level, and checks all below it for what only some readers of JSON accept.
    ///
    /// # Errors
    /// [`crate::refusal::Reason::InvalidJson`], with line and column: not UTF-8, not JSON, not an object, a top-level name twice, half
    /// of a surrogate pair, or too deeply nested.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|error| syntax::not_utf8(bytes, error.valid_up_to()))?;
        let members = Members::parse(text, Duplicates::Refuse).map_err(|error| syntax::not_an_object(text, &error))?;
        strictness::check(text)?;
        Ok(Self { members })
    }

    /// The Secret Key of a caller who puts it into the body; absent, `null` and empty are `None`.
    ///
    /// # Errors
    /// [`crate::refusal::Reason::InvalidParameter`] when it is not a string. The message never holds the value.
    pub fn api_secret_key(&self) -> Result<Option<Cow<'a, str>>, Refusal> {
        let name = provider::SECRET_KEY;
        let key = field::optional(&self.members, name, |value| {
            // Whatever it is, it was meant as a secret: the message says nothing of it.
            field::string(value).map_err(|_| field::Fault::invalid("must be a string"))
        })?;
        Ok(key.filter(|key| !key.is_empty()))
    }

    /// The public name of the model that is asked for, or the endpoint's usual one.
    ///
    /// # Errors
    /// [`crate::refusal::Reason::InvalidParameter`] when it is no string, empty or too long;
    /// [`crate::refusal::Reason::MissingParameter`] when the endpoint has no usual model.
    pub fn model(&self, endpoint: Endpoint, models: &ModelsSettings) -> Result<String, Refusal> {
        if let Some(model) = field::optional(&self.members, "model", model_name)? {
            return Ok(model.into_owned());
        }
        match endpoint {
            Endpoint::Chat => Ok(models.chat_default.clone()),
            Endpoint::Images => Ok(models.image_default.clone()),
            Endpoint::Moderations => Ok(models.moderation_default.clone()),
            Endpoint::Completions | Endpoint::Embeddings => {
                Err(field::missing("model", "the name of a model as a string; GET /v1/models lists them"))
            }
        }
    }

    /// What a repetition of the call is known by, with the caller's Idempotency-Key.
    pub fn mark(&self, endpoint: Endpoint, key: &[u8]) -> Mark {
        let members = self.members.iter().filter(|(name, _)| *name != provider::SECRET_KEY);
        Mark::new(endpoint, key, members.map(|(name, value)| (name, value.get())))
    }

    /// The call that the body asks for, by the rules of its endpoint.
    ///
    /// # Errors
    /// The reasons with status 400; [`Refusal::param`] names the field that is at fault.
    pub fn call(
        &self,
        endpoint: Endpoint,
        rules: Rules,
        model: String,
        limits: &ModelLimits,
    ) -> Result<CallRequest, Refusal> {
        match endpoint {
            Endpoint::Chat => chat::read(&self.members, rules, model, limits),
            Endpoint::Completions => completion::read(&self.members, model),
            Endpoint::Images => image::read(&self.members, model, limits),
            Endpoint::Embeddings => embeddings::read(&self.members, model),
            Endpoint::Moderations => moderation::read(&self.members, model, limits),
        }
    }
}

fn model_name(value: &serde_json::value::RawValue) -> Result<Cow<'_, str>, field::Fault> {
    let name = field::string(value)?;
    if name.is_empty() {
        return Err(field::must_be("the name of a model; GET /v1/models lists them", value));
    }
    field::at_most_characters(&name, LONGEST_MODEL)?;
    Ok(name)
}
