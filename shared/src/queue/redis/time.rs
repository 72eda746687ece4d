//! What time it is by the clock of Redis, as far as this process knows without asking.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After so long two clocks may have drifted apart.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The time of Redis, as it came with the last beat.
#[derive(Debug, Default)]
pub(super) struct RedisTime {
    heard: Mutex<Option<(Instant, i64)>>,
}

impl RedisTime {
    /// It was this time, in milliseconds, a moment ago.
    pub(super) fn hear(&self, now_ms: i64) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), now_ms));
    }

    /// A time that has come, in milliseconds; 0 where nothing is known. It is behind by as long as an answer travels.
    pub(super) fn now_ms(&self) -> i64 {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, then)) = heard else { return 0 };
        let since = at.elapsed();
        if since > KNOWN_FOR {
            return 0;
        }
        then.saturating_add(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_from_what_was_heard_for_a_minute() {
        let time = RedisTime::default();
        assert_eq!(time.now_ms(), 0);
        time.hear(5_000);
        tokio::time::advance(KNOWN_FOR).await;
        assert_eq!(time.now_ms(), 65_000);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(time.now_ms(), 0);
        time.hear(70_000);
        assert_eq!(time.now_ms(), 70_000);
    }
}
