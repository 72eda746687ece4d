//! The workers: they take jobs from the queue, call a model through a channel, meter what comes, and send it back.
//!
//! A job goes one way: `workers` takes it, `attempt` finds a channel that answers, `relay` passes a stream on, `ending` says what
//! is to be charged: by the one who waits, or here if nobody does. `upstream` has one adapter a provider, `answer` reads and rewrites what
//! they send.

mod answer;
mod attempt;
mod channel_test;
mod channels;
mod ending;
mod progress;
mod relay;
#[cfg(test)]
mod sample;
mod upstream;
mod workers;

pub use channel_test::{ChannelTest, ChannelTestError, test_channel};
pub use workers::Workers;
