//! Whether this process can serve, part by part.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::db::Database;
use crate::epoch::EpochWatch;
use crate::ledger::Ledger;
use crate::redis_store::RedisPool;

/// What `/readyz` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// `ok`, or `error` when this process cannot serve.
    pub status: &'static str,
    /// The database: `ok` or `error`.
    pub database: &'static str,
    /// The queue: `ok`, or `error` when Redis does not answer.
    pub queue: &'static str,
    /// What the running audit found: `ok`, or `violation`, which is shown but stops nothing.
    pub ledger: &'static str,
}

impl Readiness {
    /// Whether this process can serve.
    pub fn is_ready(&self) -> bool {
        self.status == "ok"
    }
}

/// Watches the parts of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health {
    database: Database,
    ledger: Ledger,
    epoch: EpochWatch,
    redis: Option<RedisPool>,
    violations: Arc<AtomicU64>,
}

impl Health {
    /// Health of these parts.
    pub fn new(database: Database, ledger: Ledger, epoch: EpochWatch, redis: Option<RedisPool>) -> Self {
        Self { database, ledger, epoch, redis, violations: Arc::default() }
    }

    /// Remembers how many violations the running audit has found in all.
    pub fn found_violations(&self, count: u64) {
        self.violations.fetch_add(count, Ordering::Relaxed);
    }

    /// Asks every part.
    pub async fn readiness(&self) -> Readiness {
        let queues = async {
            match &self.redis {
                Some(redis) => redis.ping().await.is_ok(),
                None => true,
            }
        };
        let (reads, queues) = tokio::join!(self.database.read(crate::epoch::read), queues);
        let database = reads.is_ok() && !self.ledger.is_failing() && self.epoch.current().is_some();
        let word = |good: bool| if good { "ok" } else { "error" };
        Readiness {
            status: word(database && queues),
            database: word(database),
            queue: word(queues),
            ledger: if self.violations.load(Ordering::Relaxed) == 0 { "ok" } else { "violation" },
        }
    }
}
