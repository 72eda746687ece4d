//! The API described in OpenAPI 3.1, made once from the annotations that stand beside handlers and types.
//!
//! What the annotations cannot say is added here: the addresses of this installation, the sizes of images that it sells, the headers of
//! replies, and the paths that also lie outside of `/v1`. Tests hold the result to the routes, to the reasons of refusals, and to what the
//! reader of requests accepts.

mod addition;
mod events;
mod headers;
mod refusals;
mod replies;
mod requests;
mod schema;
#[cfg(test)]
mod tests;
mod told;
mod values;

use actix_web::http::header::{ETag, EntityTag};
use bytes::Bytes;
use shared::config::Settings;
use utoipa::OpenApi;

use self::addition::Additions;
use crate::endpoints;

pub(crate) use self::events::{CHAT_EVENTS, COMPLETION_EVENTS, ChatEvent, CompletionEvent};
pub(crate) use self::refusals::{
    CallRefusals, KeyedReadRefusals, ModelRefusals, OpenRefusals, QueryRefusals, ReadRefusals,
};
pub(crate) use self::replies::{ChatCompletion, Completion, EmbeddingsReply, ImagesReply, ModerationsReply};
pub(crate) use self::requests::{
    ChatRequest, CompletionRequest, EmbeddingRequest, ImageRequest, KeyedRequest, ModerationRequest,
};
pub(crate) use self::values::{Cursor, GroupBy, Moment, Money, PageSize};

/// The description, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    /// The document.
    pub(crate) json: Bytes,
    /// A tag of just these bytes.
    pub(crate) etag: ETag,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "xiaoyi", description = "", license(name = "MIT", identifier = "MIT")),
    paths(
        endpoints::chat::post,
        endpoints::completions::post,
        endpoints::images::post,
        endpoints::embeddings::post,
        endpoints::moderations::post,
        endpoints::models::list,
        endpoints::models::one,
        endpoints::balance::get,
        endpoints::usage::get,
        endpoints::ledger::get,
        endpoints::credit_grants::get,
        endpoints::credit_grants::post,
        endpoints::subscription::get,
        endpoints::billing_usage::get,
        endpoints::health::alive,
        endpoints::health::ready,
        endpoints::openapi::get,
    ),
    components(schemas(
        replies::ChatCompletionChunk,
        replies::CompletionChunk,
        crate::reply::Failure,
        crate::stream::ErrorFrame,
        Cursor,
        GroupBy,
        Moment,
        PageSize,
    )),
    security(("bearer" = []), ("x-api-key" = [])),
    tags(
        (name = "calls", description = "What is asked of a model, and charged."),
        (name = "models", description = "What the key may use."),
        (name = "records", description = "Balance, usage and the ledger. They work with an exhausted balance too."),
        (name = "billing", description = "The balance in the shapes that chat clients read; below `/v1` and without it."),
        (name = "service", description = "The service itself. No key is needed."),
    ),
    modifiers(&Additions),
)]
struct Api;

impl Description {
    /// The description of an installation that developers reach by `public_url`.
    pub(crate) fn new(public_url: &str, settings: &Settings) -> Self {
        let mut document = Api::openapi();
        addition::of_installation(&mut document, public_url, settings);
        let json = serde_json::to_vec(&document).unwrap_or_else(|error| {
            tracing::error!(%error, "the API's description could not be written");
            b"{}".to_vec()
        });
        let tag = blake3::hash(&json).to_hex();
        Self { json: json.into(), etag: ETag(EntityTag::new_strong(tag[..32].to_owned())) }
    }
}

#[cfg(test)]
pub(crate) use self::tests::default_settings;
