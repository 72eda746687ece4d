//! `channel test`: one short call through one channel, outside the queue and the ledger. It is the one call that has no hold.

use std::sync::Arc;
use std::time::Duration;

use shared::catalogue::channel::OpenChannel;
use shared::clock::{Clock, Timestamp};
use shared::config::Settings;
use shared::id::{RequestId, TenantId};
use shared::money::Amount;
use shared::price::{Basis, Price, PriceVersion};
use shared::queue::{Deadlines, Endpoint, Job};
use shared::tokens::Tally;

use crate::answer::WholeAnswer;
use crate::channels::Channels;
use crate::upstream::{Answer, UpstreamError};

/// The longest that a test takes, in milliseconds.
const LIMIT_MS: u64 = 30_000;
/// Nobody's key.
const NO_KEY: &str = "000000000000";
/// What is asked for.
const CHAT: &str = r#""messages":[{"role":"user","content":"Say: pong"}],"max_tokens":16"#;
/// What is embedded or judged.
const INPUT: &str = r#""input":"ping""#;

/// What a channel answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelTest {
    /// The answer's text; of one that is none, a word for what came.
    pub answer: String,
    /// How long it took.
    pub milliseconds: i64,
}

/// Why a channel gave no answer, in words that an operator may read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelTestError(String);

/// Asks the channel under the provider's name of a model: for at most 16 tokens, or for a very short text to be embedded or judged. What
/// draws is asked for tokens too, since an image would cost something.
///
/// # Errors
/// [`ChannelTestError`], without the provider's key.
pub async fn test_channel(
    settings: &Settings,
    channel: OpenChannel,
    upstream_model: &str,
    endpoint: Endpoint,
) -> Result<ChannelTest, ChannelTestError> {
    let clock = Clock::System;
    let started = clock.now();
    let job = ping(endpoint, started)?;
    let adapter = Channels::new(settings, clock.clone()).adapter(&Arc::new(channel)).map_err(ChannelTestError)?;
    let called = tokio::time::timeout(Duration::from_millis(LIMIT_MS), adapter.call(&job, upstream_model)).await;
    let data = match called {
        Err(_) => return Err(ChannelTestError(format!("no answer within {} s", LIMIT_MS / 1000))),
        Ok(Err(UpstreamError::Rejected { status, message, .. })) => {
            return Err(ChannelTestError(format!("the provider rejected the request with status {status}: {message}")));
        }
        Ok(Err(error)) => return Err(ChannelTestError(error.to_string())),
        Ok(Ok(Answer::Stream(_))) => {
            return Err(ChannelTestError("the provider sent a stream that was not asked for".to_owned()));
        }
        Ok(Ok(Answer::Whole(data))) => data,
    };
    let redacted = |error: String| ChannelTestError(adapter.redact(&job, upstream_model, &error));
    let reply = WholeAnswer::read(&job, &data).map_err(|nonsense| redacted(nonsense.to_string()))?.into_reply(0, 0);
    let reply: serde_json::Value = serde_json::from_slice(&reply).map_err(|error| redacted(error.to_string()))?;
    let answer = match job.endpoint {
        Endpoint::Embeddings => "an embedding",
        Endpoint::Moderations => "a judgement",
        _ => reply["choices"][0]["message"]["content"].as_str().unwrap_or_default(),
    };
    let answer = answer.to_owned();
    Ok(ChannelTest { answer, milliseconds: clock.now().since(started) })
}

fn ping(endpoint: Endpoint, now: Timestamp) -> Result<Job, ChannelTestError> {
    let (endpoint, fields) = match endpoint {
        Endpoint::Embeddings | Endpoint::Moderations => (endpoint, INPUT),
        _ => (Endpoint::Chat, CHAT),
    };
    let end = now.plus_ms(i64::try_from(LIMIT_MS).unwrap_or(i64::MAX));
    Ok(Job {
        request_id: RequestId::new(),
        tenant: TenantId(0),
        key: NO_KEY.parse().map_err(|_| ChannelTestError("the test's key id is malformed".to_owned()))?,
        endpoint,
        model: "test".to_owned(),
        fields: fields.to_owned(),
        stream: false,
        include_usage: false,
        stream_options: String::new(),
        choices: 1,
        prompt: Tally::default(),
        echoed_prompts: Vec::new(),
        hold: Amount::ZERO,
        price: Price {
            version: PriceVersion(0),
            model: "test".to_owned(),
            prompt: Amount::ZERO,
            completion: Amount::ZERO,
            images: Default::default(),
            image: Amount::ZERO,
            basis: Basis::Estimate,
            is_default: true,
        },
        images: None,
        end_user: None,
        idempotency: None,
        left_out: 0,
        accepted_at: now,
        deadlines: Deadlines { first_text: end, between_chunks_ms: 0, end },
    })
}
