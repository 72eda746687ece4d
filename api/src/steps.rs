//! Where the steps of an answer come from: a call that runs while its caller waits, one that runs on by itself, or one that was answered
//! before.

use std::future::{Future, ready};

use shared::admission::{Call, Detached, Replay, Step};
use shared::id::RequestId;

/// An answer, step by step.
pub(crate) trait Steps: 'static {
    /// The call.
    fn request_id(&self) -> RequestId;

    /// The next step. It is never broken off.
    fn next(&mut self) -> impl Future<Output = Option<Step>>;
}

impl Steps for Call {
    fn request_id(&self) -> RequestId {
        Self::request_id(self)
    }

    fn next(&mut self) -> impl Future<Output = Option<Step>> {
        Self::next(self)
    }
}

impl Steps for Detached {
    fn request_id(&self) -> RequestId {
        Self::request_id(self)
    }

    fn next(&mut self) -> impl Future<Output = Option<Step>> {
        Self::next(self)
    }
}

impl Steps for Replay {
    fn request_id(&self) -> RequestId {
        Self::request_id(self)
    }

    fn next(&mut self) -> impl Future<Output = Option<Step>> {
        ready(self.next_step())
    }
}
