//! How far a call has come, readable when it is interrupted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use shared::billing::Produced;
use shared::clock::{Clock, Timestamp};
use shared::idempotency::Collected;
use shared::queue::{Job, Try, TryOutcome, Way};
use shared::tokens::Tally;

/// What reached the client up to now, and the way there.
#[derive(Debug)]
pub(crate) struct Progress {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    has_text: bool,
    completion: Tally,
    /// What was sent, where the caller may ask again.
    collected: Option<Collected>,
    way: Way,
    running: Option<Running>,
}

/// The try that is going on.
#[derive(Debug)]
struct Running {
    channel: String,
    begun_at: Timestamp,
    first_text_ms: Option<i64>,
}

impl Progress {
    /// Of a job that was just taken.
    pub(crate) fn begin(clock: &Clock, job: &Job) -> Self {
        let queued_ms = clock.now().since(job.accepted_at).max(0);
        let way = Way { queued_ms: Some(queued_ms), tries: Vec::new() };
        let collected = job.idempotency.is_some().then(Collected::default);
        Self { clock: clock.clone(), state: Mutex::new(State { way, collected, ..State::default() }) }
    }

    /// How long the job waited, in milliseconds.
    pub(crate) fn queued_ms(&self) -> i64 {
        self.lock().way.queued_ms.unwrap_or_default()
    }

    /// A channel is tried from now on.
    pub(crate) fn try_begins(&self, channel: &str) {
        let running = Running { channel: channel.to_owned(), begun_at: self.clock.now(), first_text_ms: None };
        self.lock().running = Some(running);
    }

    /// The try is over. Gives how long it took, in milliseconds.
    pub(crate) fn try_ends(&self, outcome: TryOutcome) -> i64 {
        let now = self.clock.now();
        let mut state = self.lock();
        let Some(Running { channel, begun_at, first_text_ms }) = state.running.take() else { return 0 };
        let ms = now.since(begun_at).max(0);
        state.way.tries.push(Try { channel, outcome, ms, first_text_ms });
        ms
    }

    /// The way up to now. A try that is still going on ends like this.
    pub(crate) fn take_way(&self, outcome: TryOutcome) -> Way {
        self.try_ends(outcome);
        std::mem::take(&mut self.lock().way)
    }

    /// A part was sent, for which nothing is to be paid yet.
    pub(crate) fn sent_early(&self, json: &Bytes) {
        if let Some(collected) = &mut self.lock().collected {
            collected.push(json);
        }
    }

    /// A part was sent: text up to this count.
    pub(crate) fn sent(&self, completion: Tally, json: &Bytes) {
        let mut state = self.lock();
        state.completion = completion;
        if let Some(collected) = &mut state.collected {
            collected.push(json);
        }
        if !state.has_text {
            state.has_text = true;
            let now = self.clock.now();
            if let Some(running) = &mut state.running {
                running.first_text_ms = Some(now.since(running.begun_at).max(0));
            }
        }
    }

    /// What was sent up to now; `None` where nobody can ask for it again.
    pub(crate) fn take_collected(&self) -> Option<Collected> {
        self.lock().collected.take()
    }

    /// What a call that ends now has produced; `None` when no text was sent, so that it costs nothing.
    pub(crate) fn produced(&self) -> Option<Produced> {
        let state = self.lock();
        let completion = state.completion;
        state.has_text.then_some(Produced { completion, finished_early: true, ..Produced::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(clock: &Clock) -> Progress {
        let way = Way { queued_ms: Some(4), tries: Vec::new() };
        Progress { clock: clock.clone(), state: Mutex::new(State { way, ..State::default() }) }
    }

    #[test]
    fn the_way_has_each_try_and_when_its_text_began() {
        let clock = Clock::manual(Timestamp(0));
        let progress = progress(&clock);
        progress.try_begins("one");
        clock.advance(30);
        assert_eq!(progress.try_ends(TryOutcome::Failed), 30);
        progress.try_begins("two");
        clock.advance(5);
        progress.sent(Tally { texts: 1, tokens: 2, ..Tally::default() }, &Bytes::new());
        clock.advance(5);
        progress.sent(Tally { texts: 1, tokens: 9, ..Tally::default() }, &Bytes::new());
        assert_eq!(progress.produced().map(|produced| produced.completion.tokens), Some(9));
        let way = progress.take_way(TryOutcome::ClientLeft);
        let tried =
            |channel: &str, outcome, ms, first_text_ms| Try { channel: channel.to_owned(), outcome, ms, first_text_ms };
        assert_eq!(way.queued_ms, Some(4));
        assert_eq!(
            way.tries,
            [tried("one", TryOutcome::Failed, 30, None), tried("two", TryOutcome::ClientLeft, 10, Some(5))]
        );
        assert_eq!((way.channel(), way.first_text_ms()), (Some("two"), Some(39)));
        assert_eq!(progress.take_way(TryOutcome::Ok), Way::default(), "it is taken once");
    }
}
