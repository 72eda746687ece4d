//! The bodies that the API takes, as strictly as `shared::admission::request` reads them and not more so: what passes through unlooked at
//! has no type here. `tests.rs` holds each range to the reader itself.
//!
//! Some rules join two fields, which a schema says badly; they stand in the fields' descriptions: `best_of` is at least `n`, and both
//! `best_of` over 1 and `stream_options` depend on `stream`.

#![expect(dead_code, reason = "no body is read into these: they are what the description says of it")]

mod chat;
mod completion;
mod embedding;
mod image;
mod message;
mod moderation;

use utoipa::ToSchema;

pub(crate) use self::chat::ChatRequest;
pub(crate) use self::completion::CompletionRequest;
pub(crate) use self::embedding::EmbeddingRequest;
pub(crate) use self::image::ImageRequest;
pub(crate) use self::moderation::ModerationRequest;

/// A body that only says who asks.
#[derive(ToSchema)]
pub(crate) struct KeyedRequest {
    /// The Secret Key, where no header has one.
    #[schema(nullable)]
    api_secret_key: Option<String>,
}
