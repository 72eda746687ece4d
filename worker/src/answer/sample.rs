//! Jobs for the tests of this folder.

use shared::clock::Timestamp;
use shared::id::RequestId;
use shared::queue::{Endpoint, ImageOrder, Job};

/// The id of every job here, as replies show it.
pub(super) const ID: &str = "00112233445566778899aabbccddeeff";
/// When every job here was accepted, in seconds.
pub(super) const ACCEPTED_AT: i64 = 1_700_000_000;

/// A job that asks for so many choices of the model `gpt-3.5`.
pub(super) fn job(endpoint: Endpoint, choices: i64) -> Job {
    let accepted_at = Timestamp(ACCEPTED_AT * 1000 + 500);
    Job {
        request_id: ID.parse::<RequestId>().unwrap(),
        model: "gpt-3.5".to_owned(),
        choices,
        accepted_at,
        ..crate::sample::job(endpoint, "\"messages\":[]", true)
    }
}

/// A job whose choices each repeat their prompt.
pub(super) fn echoing_job(prompts: &[&str], choices: i64) -> Job {
    let echoed_prompts = prompts.iter().map(|prompt| (*prompt).to_owned()).collect();
    Job { echoed_prompts, ..job(Endpoint::Completions, choices) }
}

/// A job that asks for so many images.
pub(super) fn image_job(count: i64) -> Job {
    let images = Some(ImageOrder { count, size: "1024x1024".to_owned() });
    Job { images, ..job(Endpoint::Images, count) }
}
