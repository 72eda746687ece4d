//! The limits of a Secret Key: requests a minute, tokens a minute, and calls that run at the same time.
//!
//! One trait, and one contract test that every form of it is held to (`contract`). The two rates are token buckets: a bucket holds a
//! whole minute's worth and refills evenly, so an idle key may spend its minute at once, and in any span of time no more passes than
//! the limit and what refills in that span: at most twice the limit in any minute. What a call takes is not given back, whatever
//! becomes of the call. Calls that run at the same time each have a place, which is theirs until they end.
//!
//! A key without limits costs nothing here: nothing is locked, and nothing is asked over the network.

mod allowance;
mod bucket;
#[cfg(test)]
pub(crate) mod contract;
mod exceeded;
mod memory;
mod redis;

use std::fmt;
use std::num::NonZeroU32;

use async_trait::async_trait;

pub use allowance::{Allowance, Allowances, Places};
pub(crate) use bucket::Bucket;
pub use exceeded::{Exceeded, LimitError, Obstacle};
pub use memory::MemoryLimits;
pub use redis::RedisLimits;

use crate::secret_key::KeyId;

/// What a key may do in a time; `None`: as much as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyLimits {
    /// Requests a minute.
    pub rpm: Option<NonZeroU32>,
    /// Tokens a minute. A call takes its prompt's count and the longest answer that it allows, when it begins.
    pub tpm: Option<NonZeroU32>,
    /// Calls that run at the same time.
    pub concurrency: Option<NonZeroU32>,
}

impl KeyLimits {
    /// Whether there is none.
    pub const fn is_unlimited(&self) -> bool {
        self.rpm.is_none() && self.tpm.is_none() && self.concurrency.is_none()
    }
}

/// Counts what keys do, and refuses what is too much.
#[async_trait]
pub trait Limits: fmt::Debug + Send + Sync {
    /// Asks for the right to run one call, now, that may use so many tokens. All or nothing: what is refused has taken nothing.
    ///
    /// # Errors
    /// [`LimitError::Exceeded`] says which limit, and when the call could pass; [`LimitError::Unavailable`] comes within 2 s.
    async fn check(&self, key: KeyId, limits: &KeyLimits, tokens: u64) -> Result<Permit, LimitError> {
        if limits.is_unlimited() {
            return Ok(Permit { allowances: Allowances::default(), lease: None });
        }
        self.take(key, limits, tokens).await
    }

    /// The same for a key that has limits. Call [`Limits::check`] instead.
    ///
    /// # Errors
    /// As [`Limits::check`].
    async fn take(&self, key: KeyId, limits: &KeyLimits, tokens: u64) -> Result<Permit, LimitError>;
}

/// The right to run one call. Dropping it gives the call's place to the next one.
#[derive(Debug)]
pub struct Permit {
    allowances: Allowances,
    lease: Option<Box<dyn Lease>>,
}

impl Permit {
    /// What its key may still do after this call was let in.
    pub const fn allowances(&self) -> Allowances {
        self.allowances
    }

    /// Gives the place to the next call, and waits (for a short time) until that is so everywhere: a caller that makes one call after
    /// the other is not refused because its last one is still counted.
    pub async fn release(mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release().await;
        }
    }
}

/// A place among the calls that run at the same time. Dropping it gives it back.
#[async_trait]
trait Lease: fmt::Debug + Send + Sync {
    /// Gives it back, and waits until that is done.
    async fn release(self: Box<Self>);
}
