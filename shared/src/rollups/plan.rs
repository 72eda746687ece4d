//! Planning: which sums that are kept, and which charges of the ledger itself, together answer a question.

use chrono_tz::Tz;

use super::cells::Grain;
use super::days;
use super::state::State;
use crate::calls::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::id::{RequestId, TenantId};
use crate::ledger::Period;

/// Behind all that can be.
pub(crate) const END_OF_TIME: Timestamp = Timestamp(1 << 48);
/// A charge is posted at most this long after its request's id was made, in milliseconds; it bounds what is read where nothing is counted yet.
pub(super) const LATEST_CHARGE_MS: i64 = 90_000_000;
/// A reversal's id is this much younger at most than what was last counted when it was looked for, in milliseconds.
const REVERSALS_BACK_MS: i64 = 86_400_000;

/// Which charges. Each condition that is there has to be met.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conditions<'a> {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) key: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    /// Empty: those that named none.
    pub(crate) end_user: Option<&'a str>,
}

/// By what sums are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    None,
    Tenant,
    Key,
    Model,
    User,
    /// The beginning of its quarter of an hour, in Unix milliseconds.
    Quarter,
    /// The number of its day.
    Day(Tz),
}

/// Which moment of a charge decides whether it belongs to a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Charged,
    Received,
}

/// Where a part of the answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Sums that are kept, from one start on and before another.
    Kept { grain: Grain, from: i64, to: i64 },
    /// Charges.
    Charges(Charges),
    /// Charges that are counted, were given back (since about this id), and were not taken out yet: they are to be taken out of the answer.
    GivenBack { ids: (RequestId, RequestId), since: RequestId },
}

impl Part {
    /// Whether what it groups by time are days, and not quarters of an hour.
    pub(super) const fn is_of_days(&self) -> bool {
        matches!(self, Self::Kept { grain: Grain::Day | Grain::UserDay, .. })
    }
}

/// Charges that are read one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charges {
    /// Of requests from one id on and before another.
    pub(super) ids: (RequestId, RequestId),
    /// Charged at one moment or later, and before another.
    pub(super) moments: Option<(i64, i64)>,
    /// Whether they are in the sums. A reversal takes those out in a part of its own.
    pub(super) is_counted: bool,
    /// Whether they are to be taken out of the answer, not added to it.
    pub(super) is_taken_out: bool,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) conditions: Conditions<'a>,
    pub(super) moment: Moment,
    pub(super) period: Period,
    pub(super) group: Group,
}

/// The id from which on reversals are looked for that were not taken out yet.
pub(super) fn reversals_since(counted_below: RequestId) -> RequestId {
    RequestId::floor(counted_below.made_at().plus_ms(-REVERSALS_BACK_MS))
}

impl Question<'_> {
    /// The parts whose sum is the answer.
    pub(super) fn parts(&self, state: &State) -> Vec<Part> {
        let (from, to) = self.period;
        let mark = state.mark();
        // Which requests can have charges of the period at all.
        let (first, behind) = match self.moment {
            Moment::Charged => (RequestId::floor(from.plus_ms(-LATEST_CHARGE_MS)), RequestId::floor(to.plus_ms(1))),
            Moment::Received => (RequestId::floor(from), RequestId::floor(to)),
        };
        let moments = (self.moment == Moment::Charged).then_some((from.0, to.0));
        let mut parts = Vec::new();
        if from < to && mark > RequestId::zero() {
            self.counted(state, &mut parts);
            let ids = match self.moment {
                Moment::Charged => (RequestId::zero(), mark),
                Moment::Received => {
                    self.apart(state, to, false, &mut parts);
                    self.apart(state, from, true, &mut parts);
                    (first, behind.min(mark))
                }
            };
            parts.push(Part::GivenBack { ids, since: reversals_since(mark) });
        }
        let ids = (mark.max(first), behind);
        if ids.0 < ids.1 {
            parts.push(Part::Charges(Charges { ids, moments, is_counted: false, is_taken_out: false }));
        }
        parts
    }

    /// What is counted and was charged in the period.
    fn counted(&self, state: &State, parts: &mut Vec<Part>) {
        let (from, to) = self.period;
        // Nothing that is counted was booked later, so an end beyond that need not be looked at closely.
        let last = Timestamp(state.last_charged_at);
        let is_open = to > last;
        let to = if is_open { Timestamp(ceiling(last.0.saturating_add(1))) } else { to };
        let days = self.day_grain(state).and_then(|(grain, zone)| {
            let first = days::first_whole(from, zone)?;
            let behind = if is_open { days::of(last, zone)? + 1 } else { days::of(to, zone)? };
            let (begin, end) = (days::start(first, zone)?, days::start(behind, zone)?);
            (first < behind).then_some((Part::Kept { grain, from: first, to: behind }, begin, end))
        });
        let Some((days, begin, end)) = days else { return self.quarters(state, from, to, parts) };
        parts.push(days);
        self.quarters(state, from, begin, parts);
        if !is_open {
            self.quarters(state, end, to, parts);
        }
    }

    /// Whole quarters of an hour from their sums, and what is left at both ends from the charges; of end users all from the charges, since
    /// only days know them.
    fn quarters(&self, state: &State, from: Timestamp, to: Timestamp, parts: &mut Vec<Part>) {
        let (first, behind) = (ceiling(from.0), floor(to.0, SLOT_MS));
        let mut charges = |from: i64, to: i64| {
            let since = RequestId::floor(Timestamp(from).plus_ms(-state.most_delay_ms));
            let until = RequestId::floor(Timestamp(to).plus_ms(1 - state.least_delay_ms)).min(state.counted_below);
            if from < to && since < until {
                let (ids, moments) = ((since, until), Some((from, to)));
                parts.push(Part::Charges(Charges { ids, moments, is_counted: true, is_taken_out: false }));
            }
        };
        if self.names_users() || first >= behind {
            return charges(from.0, to.0);
        }
        charges(from.0, first);
        charges(behind, to.0);
        let grain = if self.is_of_the_house() { Grain::HouseQuarter } else { Grain::Quarter };
        parts.push(Part::Kept { grain, from: first, to: behind });
    }

    /// What is counted and was received before `moment` but not charged by then, less what was charged before it but received then or later
    /// (clocks differ). What was received in a period is what was charged in it, with this of its end and without this of its beginning.
    fn apart(&self, state: &State, moment: Timestamp, is_beginning: bool, parts: &mut Vec<Part>) {
        let id = |milliseconds: i64| RequestId::floor(moment.plus_ms(milliseconds)).min(state.counted_below);
        for (ids, moments, is_late) in [
            ((id(-state.most_delay_ms), id(0)), (moment.0, i64::MAX), true),
            ((id(0), id(-state.least_delay_ms)), (i64::MIN, moment.0), false),
        ] {
            if ids.0 < ids.1 {
                let (moments, is_taken_out) = (Some(moments), is_late == is_beginning);
                parts.push(Part::Charges(Charges { ids, moments, is_counted: true, is_taken_out }));
            }
        }
    }

    /// The sums of days that answer this, if any do.
    fn day_grain(&self, state: &State) -> Option<(Grain, Tz)> {
        let zone = state.zone()?;
        match self.group {
            Group::Quarter => None,
            Group::Day(other) if other != zone => None,
            _ if self.names_users() => Some((Grain::UserDay, zone)),
            // Fewer rows than those of days, where there are many tenants.
            _ if self.is_of_the_house() => None,
            _ => Some((Grain::Day, zone)),
        }
    }

    /// Whether the answer depends on who the end users were.
    pub(super) fn names_users(&self) -> bool {
        self.conditions.end_user.is_some() || self.group == Group::User
    }

    /// Whether it asks for all tenants, and for nothing that tells them apart.
    fn is_of_the_house(&self) -> bool {
        let Conditions { tenant, key, end_user, .. } = self.conditions;
        let tells_no_tenants = matches!(self.group, Group::None | Group::Model | Group::Quarter | Group::Day(_));
        tenant.is_none() && key.is_none() && end_user.is_none() && tells_no_tenants
    }
}

/// The first quarter of an hour that does not begin before `moment`.
const fn ceiling(moment: i64) -> i64 {
    floor(moment.saturating_add(SLOT_MS - 1), SLOT_MS)
}
