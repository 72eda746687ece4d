//! What a key may still do, as its holder is told.

use super::KeyLimits;
use super::bucket::Bucket;

/// What is left of each limit that a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowances {
    /// Of the requests a minute.
    pub requests: Option<Allowance>,
    /// Of the tokens a minute.
    pub tokens: Option<Allowance>,
    /// Of the calls at the same time.
    pub places: Option<Places>,
}

impl Allowances {
    /// Whether nothing is limited.
    pub const fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none() && self.places.is_none()
    }
}

/// What is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The limit of a minute.
    pub limit: u32,
    /// What may be used at once.
    pub remaining: u32,
    /// Milliseconds until all of the limit may be used again.
    pub reset_ms: u64,
}

/// What is left of the calls that may run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// How many may run.
    pub limit: u32,
    /// How many more may begin.
    pub remaining: u32,
}

/// What a key has used, at one moment; only of the limits that it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) requests: Option<Bucket>,
    pub(super) tokens: Option<Bucket>,
    /// Calls that run.
    pub(super) running: u32,
}

impl Usage {
    /// What is left.
    pub(super) fn allowances(&self, limits: &KeyLimits) -> Allowances {
        let of_rate = |bucket: Bucket| Allowance {
            limit: bucket.limit.get(),
            remaining: bucket.remaining(),
            reset_ms: bucket.full_in_ms(),
        };
        let places = |limit: u32| Places { limit, remaining: limit.saturating_sub(self.running) };
        Allowances {
            requests: self.requests.map(of_rate),
            tokens: self.tokens.map(of_rate),
            places: limits.concurrency.map(|limit| places(limit.get())),
        }
    }
}
