//! Which pair of backends a run of the tests is for. Every test of the service runs on both; `scripts/test.sh` sees to it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{shared_postgres, shared_redis};

/// Says which pair: `embedded` (also when it is unset) or `servers`.
const VARIABLE: &str = "XIAOYI_TEST_PAIR";

/// A database and a queue that go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// SQLite and the queue in process.
    Embedded,
    /// PostgreSQL and Redis.
    Servers,
}

impl Pair {
    /// The pair of this run.
    ///
    /// # Panics
    /// When the variable says something else: a pair that was misspelt must not pass for one that ran.
    #[expect(clippy::disallowed_methods, clippy::panic, reason = "tests get their pair by the environment")]
    pub fn of_this_run() -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("" | "embedded") => Self::Embedded,
            Ok("servers") => Self::Servers,
            Ok(other) => panic!("{VARIABLE}={other}: must be embedded or servers"),
        }
    }

    /// The settings that choose this pair for one installation of its own: a new database, and names of its own in Redis. A SQLite file
    /// lies in `folder`.
    ///
    /// # Panics
    /// When a server does not start: a pair that cannot run fails.
    pub fn settings(self, folder: &Path) -> Vec<(String, String)> {
        static INSTALLATIONS: AtomicU64 = AtomicU64::new(0);
        let setting = |name: &str, value: String| (name.to_owned(), value);
        match self {
            Self::Embedded => vec![setting("DATABASE_URL", format!("sqlite://{}", folder.join("xiaoyi.db").display()))],
            Self::Servers => {
                let number = INSTALLATIONS.fetch_add(1, Ordering::Relaxed);
                vec![
                    setting("DATABASE_URL", shared_postgres().database()),
                    setting("REDIS_URL", shared_redis().url()),
                    setting("XIAOYI_REDIS_PREFIX", format!("test-{number}")),
                    // 32 bytes; nothing that it seals outlives the test.
                    setting("XIAOYI_SECRET_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
                ]
            }
        }
    }
}
