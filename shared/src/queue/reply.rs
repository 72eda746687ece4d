//! What travels back from a worker to the one who waits for the answer.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::money::Amount;
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

/// How a call ended, seen from the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum End {
    /// The charge is committed. For a stream, `held_back` is what ends the answer (from the last `finish_reason` on);
    /// otherwise it is the one whole reply.
    Answered {
        /// What may be sent only now.
        held_back: Vec<Bytes>,
        /// What the call cost.
        charged: Amount,
    },
    /// It failed. `charged` is what the worker has charged for text that was already streamed;
    /// with `None` the hold is still open, and who waits voids it before saying so.
    Failed {
        /// What the caller is told.
        refusal: Refusal,
        /// The committed charge, if there is one.
        charged: Option<Amount>,
    },
    /// The settlement was refused: someone else has settled this call. No end of an answer may be shown.
    Lost,
    /// The database could not be asked in time whether the charge was committed.
    Unknown,
}
