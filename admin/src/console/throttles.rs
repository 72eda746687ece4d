//! What bounds attempts in the console. Each process counts for itself. What is done once is counted in the transaction that finds out whether
//! it was done before: the same form again is no other attempt.

use std::net::IpAddr;
use std::num::NonZeroU32;

use shared::clock::Clock;
use shared::id::TenantId;
use shared::secret_key::KeyId;
use shared::throttle::{Allowed, Throttle, TooMany, network_of};

/// Signing in from one address: 30 in 10 minutes.
const SIGN_INS: Allowed = allowed(30, 10);
/// Codes with one key: 20 in 10 minutes, and each is looked at twice.
const CODES: Allowed = allowed(20, 10);
/// Calls of the playground with one key: 120 in 10 minutes, more than a person makes. What is remembered of the forms cannot grow beyond that.
const CALLS: Allowed = allowed(120, 10);
/// New secrets of one tenant: 10 in a day, since each is a key that works beside the one before for a while.
const ROTATIONS: Allowed = allowed(10, 24 * 60);

const fn allowed(attempts: u32, minutes: u32) -> Allowed {
    const fn at_least_one(number: u32) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(number.saturating_sub(1))
    }
    Allowed { attempts: at_least_one(attempts), minutes: at_least_one(minutes), subjects: 10_000 }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Throttles {
    sign_ins: Throttle<IpAddr>,
    codes: Throttle<KeyId>,
    calls: Throttle<KeyId>,
    rotations: Throttle<TenantId>,
}

impl Throttles {
    /// Nothing was tried yet.
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            sign_ins: Throttle::new(clock.clone(), SIGN_INS),
            codes: Throttle::new(clock.clone(), CODES),
            calls: Throttle::new(clock.clone(), CALLS),
            rotations: Throttle::new(clock.clone(), ROTATIONS),
        }
    }

    /// Counts an attempt to sign in; a connection without an address has none to count by.
    pub(super) fn sign_in(&self, address: Option<IpAddr>) -> Result<(), TooMany> {
        address.map_or(Ok(()), |address| self.sign_ins.attempt(&network_of(address)))
    }

    /// Counts a code that came with this key.
    pub(super) fn code(&self, key: KeyId) -> Result<(), TooMany> {
        self.codes.attempt(&key)
    }

    /// Counts a call that is wanted with this key.
    pub(super) fn call(&self, key: KeyId) -> Result<(), TooMany> {
        self.calls.attempt(&key)
    }

    /// Counts a new secret for this tenant.
    pub(super) fn rotation(&self, tenant: TenantId) -> Result<(), TooMany> {
        self.rotations.attempt(&tenant)
    }
}
