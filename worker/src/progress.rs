//! How far a call has come, readable when it is interrupted.

use std::sync::{Mutex, PoisonError};

use shared::billing::Produced;
use shared::tokens::Tally;

/// What reached the client up to now.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Sent>);

#[derive(Debug, Default, Clone, Copy)]
struct Sent {
    has_text: bool,
    completion: Tally,
}

impl Progress {
    /// Text up to this count was sent.
    pub(crate) fn sent(&self, completion: Tally) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Sent { has_text: true, completion };
    }

    /// What a call that ends now has produced; `None` when no text was sent, so that it costs nothing.
    pub(crate) fn produced(&self) -> Option<Produced> {
        let Sent { has_text, completion } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        has_text.then_some(Produced { completion, finished_early: true, ..Produced::default() })
    }
}
