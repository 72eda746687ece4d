//! Asking again without paying again. A call with an Idempotency-Key leaves its mark in the transaction of its hold, and what its caller was
//! sent in the transaction of its charge; who asks with the same key is given that. A mark keeps no state of its own: whether its call runs,
//! was charged or came to nothing is what the ledger says of it.

mod answer;
mod mark;
mod records;

pub use answer::{Answer, Collected, KeptAnswerError, MOST_BYTES};
pub use mark::{LONGEST_KEY, Mark};
pub use records::{Kept, LIFE_MS, Standing, answer, find, full_since, purge, reseal};
