//! What travels back from a worker to the one who waits for the answer.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::way::Way;
use crate::billing::Produced;
use crate::refusal::Refusal;
use crate::tokens::Tally;

/// One piece of an answer, in order; exactly one [`Frame::End`] comes last, unless the worker died.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Frame {
    /// A part of a stream.
    Chunk(Chunk),
    /// The end of the call.
    End(End),
}

/// A part of a streamed answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chunk {
    /// The JSON of one `data:` line, ready for the client.
    pub json: Bytes,
    /// What was generated up to and with this chunk. Who waits can charge from it if the worker dies.
    pub generated: Tally,
}

/// How a call ended, seen from the worker. Nothing is settled yet: whoever receives the end settles it as it says, before anybody else
/// sees it. An end that nobody receives is settled by the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum End {
    /// The answer is whole, and `produced` is to be charged. For a stream, `held_back` is what ends the answer (from the last
    /// `finish_reason` on); otherwise it is the one whole reply.
    Answered {
        /// What may be sent once the charge is committed.
        held_back: Vec<Bytes>,
        /// What to charge.
        produced: Produced,
        /// How it came there.
        way: Way,
    },
    /// It failed. What had been streamed by then is to be charged; with `None` there was nothing, and the hold is to be voided.
    Failed {
        /// What the caller is told.
        refusal: Refusal,
        /// What to charge, if anything.
        produced: Option<Produced>,
        /// How far it came.
        way: Way,
    },
    /// The hold was settled before the call was made: no provider was asked.
    Lost,
}

impl End {
    /// How the call came to it; nothing is left of that here. What is settled does not depend on it.
    pub fn take_way(&mut self) -> Way {
        match self {
            Self::Answered { way, .. } | Self::Failed { way, .. } => std::mem::take(way),
            Self::Lost => Way::default(),
        }
    }
}
