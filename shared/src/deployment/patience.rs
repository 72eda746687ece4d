//! Asking again for what is not there yet: databases and queues often start beside the service.

use std::time::Duration;

use crate::db::DbError;
use crate::redis_store::RedisStoreError;

/// The first pause.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// An error that may pass.
pub(super) trait MayPass: std::fmt::Display {
    /// Whether asking again can help.
    fn may_pass(&self) -> bool;
}

impl MayPass for DbError {
    fn may_pass(&self) -> bool {
        match self {
            // A wrong password or name stays wrong.
            Self::Open { message, .. } => !["authentication failed", "does not exist", "no pg_hba.conf entry"]
                .iter()
                .any(|words| message.contains(words)),
            Self::Disconnected(_) | Self::Busy(_) => true,
            _ => false,
        }
    }
}

impl MayPass for RedisStoreError {
    fn may_pass(&self) -> bool {
        match self {
            // It is reading its data from the disk.
            Self::Refused { why, .. } => why.contains("LOADING"),
            error => error.is_outage(),
        }
    }
}

/// Asks until it works, the error is one that stays, or `wait` is over; says once that it waits, and for what.
///
/// # Errors
/// The last one.
pub(super) async fn until_reached<T, E: MayPass, F: Future<Output = Result<T, E>>>(
    wait: Duration,
    what: &'static str,
    mut ask: impl FnMut() -> F,
) -> Result<T, E> {
    let until = tokio::time::Instant::now() + wait;
    let mut pause = FIRST_PAUSE;
    let mut is_told = false;
    loop {
        let error = match ask().await {
            Ok(reached) => return Ok(reached),
            Err(error) => error,
        };
        if !error.may_pass() || tokio::time::Instant::now() + pause > until {
            return Err(error);
        }
        if !is_told {
            tracing::warn!(%error, wait_s = wait.as_secs(), "{what} does not answer yet; asking again");
            is_told = true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> DbError {
        DbError::Open { place: "postgres://db:5432/x".to_owned(), message: "connection refused".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_reached() {
        let mut asked = 0;
        let reached = until_reached(Duration::from_secs(10), "the database", || {
            asked += 1;
            std::future::ready(if asked < 5 { Err(unreachable()) } else { Ok(asked) })
        });
        assert_eq!(reached.await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_in_time() {
        let started = tokio::time::Instant::now();
        let asked =
            until_reached(Duration::from_secs(10), "the database", || std::future::ready(Err::<(), _>(unreachable())));
        assert!(asked.await.is_err());
        assert!(
            (Duration::from_secs(6)..=Duration::from_secs(10)).contains(&started.elapsed()),
            "{:?}",
            started.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_wrong_is_asked_once() {
        let started = tokio::time::Instant::now();
        let wrong = || DbError::Open {
            place: "postgres://db:5432/x".to_owned(),
            message: "password authentication failed for user \"x\"".to_owned(),
        };
        let asked =
            until_reached(Duration::from_secs(10), "the database", || std::future::ready(Err::<(), _>(wrong())));
        assert!(asked.await.is_err());
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
