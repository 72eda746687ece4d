//! How far charges are summed.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::days;
use crate::clock::Timestamp;
use crate::db::{Connection, DbError};
use crate::facts::{self, USAGE_STATE};
use crate::id::RequestId;

/// The mark, and what is known of the charges below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Every charge of a request below this one is in the sums, and no other.
    pub(super) counted_below: RequestId,
    /// The time zone by which days were cut; empty before the first charge was counted.
    pub(super) zone: String,
    /// How long after its request was made a counted charge was booked, at least and at most, in milliseconds.
    pub(super) least_delay_ms: i64,
    pub(super) most_delay_ms: i64,
    /// When the last of them was booked.
    pub(super) last_charged_at: i64,
    /// The sums are being removed, to be made anew: they do not count.
    pub(super) is_clearing: bool,
    /// The first day (see [`days`]) whose sums by end user are kept; `None`: all are.
    #[serde(default)]
    pub(super) users_since: Option<i64>,
}

impl State {
    /// Nothing is counted.
    pub(super) fn nothing(zone: &str) -> Self {
        Self {
            counted_below: RequestId::zero(),
            zone: zone.to_owned(),
            least_delay_ms: 0,
            most_delay_ms: 0,
            last_charged_at: 0,
            is_clearing: false,
            users_since: None,
        }
    }

    /// Nothing is counted in `zone`; sums by end user that were removed are not to be made again.
    pub(super) fn anew(&self, zone: Tz) -> Self {
        let users_since = self.users_from().and_then(|moment| days::first_whole(moment, zone));
        Self { users_since, ..Self::nothing(zone.name()) }
    }

    /// Every charge of a request below this one is read from the sums.
    pub(super) const fn mark(&self) -> RequestId {
        if self.is_clearing { RequestId::zero() } else { self.counted_below }
    }

    /// The time zone by which days were cut.
    pub(super) fn zone(&self) -> Option<Tz> {
        self.zone.parse().ok()
    }

    /// From when on it is known which end users there were; `None`: always.
    pub(super) fn users_from(&self) -> Option<Timestamp> {
        days::start(self.users_since?, self.zone()?)
    }

    pub(super) fn read(connection: &mut Connection) -> Result<Self, DbError> {
        let Some(bytes) = facts::read(connection, USAGE_STATE)? else { return Ok(Self::nothing("")) };
        serde_json::from_slice(&bytes)
            .map_err(|error| DbError::Corrupt(format!("the state of the usage's sums: {error}")))
    }

    pub(super) fn write(&self, connection: &mut Connection) -> Result<(), DbError> {
        let bytes = serde_json::to_vec(self).map_err(|error| DbError::Corrupt(error.to_string()))?;
        facts::write(connection, USAGE_STATE, &bytes)
    }

    /// Notes that a charge of a request made at `made_at` was booked at `charged_at`.
    pub(super) fn note(&mut self, made_at: i64, charged_at: i64) {
        let delay = charged_at.saturating_sub(made_at);
        self.least_delay_ms = self.least_delay_ms.min(delay);
        self.most_delay_ms = self.most_delay_ms.max(delay);
        self.last_charged_at = self.last_charged_at.max(charged_at);
    }
}
