//! Identifiers, each with a type of its own so that they cannot be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;

/// One request: a time-ordered 16-byte value (UUID version 7). It is the `x-request-id` of a reply and the
/// `request_id` of the ledger. Time order keeps new rows at the end of every index (twice the rate on SQLite).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new identifier, later than all before it.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The identifier before all others.
    pub const fn zero() -> Self {
        Self(Uuid::nil())
    }

    /// The first identifier that could be made at `moment`.
    pub fn floor(moment: Timestamp) -> Self {
        let milliseconds = u128::try_from(moment.0.clamp(0, (1 << 48) - 1)).unwrap_or(0);
        Self(Uuid::from_u128(milliseconds << 80))
    }

    /// When it was made, to the millisecond.
    pub fn made_at(&self) -> Timestamp {
        // 48 bits: this always fits.
        Timestamp(i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX))
    }

    /// The largest identifier below this one.
    #[must_use]
    pub fn before(self) -> Self {
        Self(Uuid::from_u128(self.0.as_u128().saturating_sub(1)))
    }

    /// The smallest identifier above this one.
    #[must_use]
    pub fn after(self) -> Self {
        Self(Uuid::from_u128(self.0.as_u128().saturating_add(1)))
    }

    /// The bytes as the database keeps them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads the bytes as the database keeps them. `None` when there are not 16.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }

    /// 32 hexadecimal digits without hyphens, as in `chatcmpl-...`.
    pub fn simple(&self) -> impl fmt::Display {
        self.0.simple()
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for RequestId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// One transfer of the ledger. A capture's is its request's, which is what allows one capture a request.
pub type TransferId = RequestId;

/// One run of the program, from start to end; it owns the holds that it made.
pub type ProcessId = RequestId;

/// A tenant: a customer, and at the same time the customer's account in the ledger (1001 and up; below are house accounts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub i64);

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The account of a person who operates the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StaffId(pub i64);

impl fmt::Display for StaffId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
