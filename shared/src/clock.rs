//! The time, as a parameter: nothing else in the workspace asks the operating system for it, so tests can set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment moved by `milliseconds`, stopping at the ends of the range.
    pub const fn plus_ms(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to this moment, negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds since 1970, as OpenAI's `created` gives them.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment in RFC 3339, in UTC, to the millisecond.
    pub fn to_rfc3339(self) -> String {
        chrono::DateTime::from_timestamp_millis(self.0)
            .map(|moment| moment.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
            .unwrap_or_else(|| format!("{} ms", self.0))
    }

    /// Reads RFC 3339 (`2026-01-31T08:00:00+08:00`). `None` when it is not that.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        chrono::DateTime::parse_from_rfc3339(text).ok().map(|moment| Self(moment.timestamp_millis()))
    }
}

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that a test moves by hand.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                Timestamp(since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)))
            }
            Self::Manual(milliseconds) => Timestamp(milliseconds.load(Ordering::SeqCst)),
        }
    }

    /// How long it is until `moment`; nothing when it has passed.
    pub fn until(&self, moment: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(moment.since(self.now())).unwrap_or(0))
    }

    /// Moves a manual clock by `milliseconds`; the machine's clock stays as it is.
    pub fn advance(&self, milliseconds: i64) {
        if let Self::Manual(now) = self {
            now.fetch_add(milliseconds, Ordering::SeqCst);
        }
    }
}

/// Serialises an optional moment as RFC 3339.
pub(crate) fn as_rfc3339<S: serde::Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    moment.map(Timestamp::to_rfc3339).serialize(serializer)
}
