//! What a reply says of itself: its id, kind, time and model.

use shared::queue::{Endpoint, Job};

use super::object::{Members, ObjectWriter, quoted};

/// The first members of a call's reply, or of each chunk of it. Values are JSON.
#[derive(Debug)]
pub(super) struct Identity {
    id: String,
    object: &'static str,
    created: String,
    model: String,
}

impl Identity {
    /// The names of the members that [`Identity::write`] writes.
    pub(super) const MEMBERS: [&str; 4] = ["id", "object", "created", "model"];

    /// That of an answer in one piece.
    pub(super) fn of_whole(job: &Job) -> Self {
        match job.endpoint {
            Endpoint::Completions => Self::new(job, "cmpl", r#""text_completion""#),
            Endpoint::Moderations => Self::new(job, "modr", ""),
            Endpoint::Chat | Endpoint::Images | Endpoint::Embeddings => {
                Self::new(job, "chatcmpl", r#""chat.completion""#)
            }
        }
    }

    /// That of every chunk of a stream.
    pub(super) fn of_chunks(job: &Job) -> Self {
        match job.endpoint {
            Endpoint::Completions => Self::of_whole(job),
            _ => Self::new(job, "chatcmpl", r#""chat.completion.chunk""#),
        }
    }

    fn new(job: &Job, prefix: &str, object: &'static str) -> Self {
        Self {
            id: format!("\"{prefix}-{}\"", job.request_id.simple()),
            object,
            created: job.accepted_at.seconds().to_string(),
            model: quoted(&job.model),
        }
    }

    /// Takes over the provider's `created`, so that chunks of our own bear the same as its chunks.
    pub(super) fn created_by(&mut self, provider: &Members<'_>) {
        if let Some(created) = provider.get("created") {
            created.get().clone_into(&mut self.created);
        }
    }

    /// Writes all four: `id` and `model` are always ours, `object` and `created` only where the provider has none.
    pub(super) fn write(&self, out: &mut ObjectWriter, provider: Option<&Members<'_>>) {
        let theirs = |name| provider.and_then(|members| members.get(name));
        out.member("id", &self.id);
        out.member("object", theirs("object").map_or(self.object, |object| object.get()));
        out.member("created", self.created(theirs("created").map(|created| created.get())));
        out.member("model", &self.model);
    }

    /// Our id of the call.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The public name of the model.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// The provider's time, or else ours: when the call was accepted.
    pub(super) fn created<'a>(&'a self, theirs: Option<&'a str>) -> &'a str {
        theirs.unwrap_or(&self.created)
    }
}
