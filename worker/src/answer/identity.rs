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
        if let Some(created) = created_of(provider) {
            created.clone_into(&mut self.created);
        }
    }

    /// Writes all four. Only the time is the provider's, if it tells one.
    pub(super) fn write(&self, out: &mut ObjectWriter, provider: Option<&Members<'_>>) {
        out.member("id", &self.id);
        out.member("object", self.object);
        out.member("created", provider.map_or(&self.created, |members| self.created(members)));
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
    pub(super) fn created<'a>(&'a self, provider: &Members<'a>) -> &'a str {
        created_of(provider).unwrap_or(&self.created)
    }
}

/// The provider's time in whole seconds: clients with types read nothing else.
fn created_of<'a>(provider: &Members<'a>) -> Option<&'a str> {
    let created = provider.get("created")?.get();
    created.parse::<i64>().is_ok().then_some(created)
}
