//! Which limit a call met, in the words that its caller is told.

use std::num::NonZeroU32;

use super::KeyLimits;
use super::allowance::{Allowances, Usage};
use super::bucket::PARTS;
use crate::refusal::{Reason, Refusal};

/// When to ask again for a place; nobody knows when a running call ends.
const PLACE_WAIT_MS: u64 = 1_000;

/// Why a call may not run now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// A limit is used up.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// What the key has used cannot be found out. Whoever has limits is not let in then: a flood would be, too.
    #[error("the limits of the key cannot be asked")]
    Unavailable,
}

/// A limit that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{obstacle:?}, for {wait_ms} ms")]
pub struct Exceeded {
    /// Which; of several, the one that takes longest.
    pub obstacle: Obstacle,
    /// Milliseconds until the rates would let the call in. For a place this is a guess.
    pub wait_ms: u64,
    /// What is left of each.
    pub allowances: Allowances,
}

/// What a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// So many requests a minute.
    Requests(NonZeroU32),
    /// So many tokens a minute.
    Tokens(NonZeroU32),
    /// So many calls at the same time.
    Places(NonZeroU32),
    /// The call alone is larger than what a minute allows: no waiting helps.
    CallTooLarge {
        /// What the call would take.
        tokens: u64,
        /// Tokens a minute.
        limit: NonZeroU32,
    },
}

impl Exceeded {
    /// What keeps a call of so many tokens from passing. `None`: nothing does.
    pub(super) fn by(limits: &KeyLimits, usage: &Usage, tokens: u64) -> Option<Self> {
        let allowances = usage.allowances(limits);
        if let Some(limit) = limits.tpm.filter(|limit| tokens > u64::from(limit.get())) {
            // A smaller call passes at the latest after a minute.
            return Some(Self { obstacle: Obstacle::CallTooLarge { tokens, limit }, wait_ms: PARTS, allowances });
        }
        let requests = usage.requests.map(|bucket| (bucket.holds_in_ms(1), Obstacle::Requests(bucket.limit)));
        let of_tokens = usage.tokens.map(|bucket| (bucket.holds_in_ms(tokens), Obstacle::Tokens(bucket.limit)));
        let rates = [requests, of_tokens].into_iter().flatten().filter(|(wait_ms, _)| *wait_ms > 0);
        let places = limits.concurrency.filter(|limit| usage.running >= limit.get());
        let (wait_ms, obstacle) = rates
            .max_by_key(|(wait_ms, _)| *wait_ms)
            .or_else(|| places.map(|limit| (PLACE_WAIT_MS, Obstacle::Places(limit))))?;
        Some(Self { obstacle, wait_ms, allowances })
    }

    /// Whether the same call would pass later.
    pub const fn passes_later(&self) -> bool {
        !matches!(self.obstacle, Obstacle::CallTooLarge { .. })
    }
}

impl From<&Exceeded> for Refusal {
    fn from(exceeded: &Exceeded) -> Self {
        let seconds = u32::try_from(exceeded.wait_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        let message = match exceeded.obstacle {
            Obstacle::Requests(limit) => format!(
                "the requests a minute of this Secret Key ({limit}) are used up; nothing was charged, try again in {seconds} s"
            ),
            Obstacle::Tokens(limit) => format!(
                "the tokens a minute of this Secret Key ({limit}; each call counts its prompt and the longest answer that \
                 it allows) do not suffice; nothing was charged, try again in {seconds} s, or lower max_tokens"
            ),
            Obstacle::Places(limit) => format!(
                "as many calls of this Secret Key are running as may at the same time ({limit}); nothing was charged, try again when one has ended"
            ),
            Obstacle::CallTooLarge { tokens, limit } => format!(
                "this call counts {tokens} tokens (its prompt and the longest answer that it allows), but this Secret Key has only \
                 {limit} a minute, so it can never pass; nothing was charged, lower max_tokens, n or the length of the prompt"
            ),
        };
        Self::new(Reason::RateLimitExceeded, message).retry_after(seconds)
    }
}
