//! What can go wrong between us and Redis, in words that never hold the password.

use std::path::PathBuf;

/// A failure of Redis or of the way to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisStoreError {
    /// The URL cannot be used; it is not shown, since it may hold a password.
    #[error("the address of Redis cannot be used: {0}")]
    Url(&'static str),
    /// The prefix of the keys would not keep them together.
    #[error("the prefix of the keys in Redis must be letters, digits, '-', '_' or '.'")]
    Prefix,
    /// The file of trusted certificates cannot be read.
    #[error("the certificates in {} cannot be read: {why}", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// No connection, or one that broke.
    #[error("Redis at {at} cannot be reached: {why}")]
    Unreachable {
        /// Host, port and database number.
        at: String,
        /// The reason.
        why: String,
    },
    /// No answer in time.
    #[error("Redis at {at} did not answer in time")]
    TimedOut {
        /// Host, port and database number.
        at: String,
    },
    /// Redis answered with an error: a wrong password, no memory left, a command that is not allowed.
    #[error("Redis at {at} refused a command: {why}")]
    Refused {
        /// Host, port and database number.
        at: String,
        /// What Redis said.
        why: String,
    },
}

impl RedisStoreError {
    /// Whether it may pass by itself: Redis is away, not misused.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }
}
