//! Which lines of the ledger are asked for, and the part of a question that says so.

use std::str::FromStr;

use crate::clock::Timestamp;
use crate::db::{Composed, Connection, Value, containing};
use crate::id::{RequestId, TenantId};

/// A transfer is booked at most this long after its id was made, in milliseconds: a charge has its request's.
const LATEST_BOOKING_MS: i64 = 90_000_000;
/// Lines of one account are in the order of time, but for clocks of several processes; they differ by less than this, in milliseconds.
pub(super) const CLOCKS_APART_MS: i64 = 600_000;

/// Which transfers. Each condition that is there has to be met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineFilter {
    /// That concern one tenant.
    pub tenant: Option<TenantId>,
    /// Of one kind.
    pub kind: Option<LineKind>,
    /// With this in the payment's reference, small and capital letters being the same.
    pub reference: Option<String>,
    /// Booked at this moment or later.
    pub from: Option<Timestamp>,
    /// Booked before this moment.
    pub to: Option<Timestamp>,
}

/// A kind of transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineKind {
    /// A payment, or a code that was redeemed.
    TopUp,
    /// A charge.
    Capture,
    /// Something was given, or taken, back.
    Reversal,
    /// The house bears what a call cost above its hold and the free balance.
    WriteOff,
}

impl LineKind {
    const ALL: [Self; 4] = [Self::TopUp, Self::Capture, Self::Reversal, Self::WriteOff];

    /// The word that the database keeps.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Capture => "capture",
            Self::Reversal => "reversal",
            Self::WriteOff => "write_off",
        }
    }
}

/// A word that is no kind of transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kind is top_up, capture, reversal or write_off")]
pub struct NotALineKind;

impl FromStr for LineKind {
    type Err = NotALineKind;

    fn from_str(text: &str) -> Result<Self, NotALineKind> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or(NotALineKind)
    }
}

/// No transfer can have what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Impossible;

impl LineFilter {
    /// Whether what it asks for is in the index of what is rare.
    pub(super) fn is_rare(&self) -> bool {
        self.reference.is_some() || self.kind.is_some_and(|kind| kind != LineKind::Capture)
    }

    /// The pattern of its reference, if it asks for one.
    pub(super) fn pattern(&self) -> Result<Option<String>, Impossible> {
        self.reference.as_deref().map(|part| containing(part).ok_or(Impossible)).transpose()
    }

    /// The ids from which on, and before which, all lies that was booked in its time.
    pub(super) fn ids(&self) -> (RequestId, RequestId) {
        let first = self.from.map(|from| RequestId::floor(from.plus_ms(-LATEST_BOOKING_MS)));
        let behind = self.to.map_or(Timestamp(i64::MAX), |to| to.plus_ms(CLOCKS_APART_MS));
        (first.unwrap_or(RequestId::zero()), RequestId::floor(behind))
    }

    /// Adds the table with all conditions but those on ids. With `only_rare` charges are left out, and their number does not matter. Of a
    /// tenant there is what moved its money and, where it is asked for by itself, what was written off for it.
    pub(super) fn select_from<'a>(
        &'a self,
        statement: &mut Composed<'a>,
        connection: &Connection,
        only_rare: bool,
        pattern: Option<&'a str>,
    ) {
        match connection {
            // It would not know by itself how rare they are.
            Connection::Sqlite(_) if only_rare => statement.and("transfers INDEXED BY transfers_rare", []),
            Connection::Sqlite(_) => statement.and("transfers NOT INDEXED", []),
            Connection::Postgres(_) => statement.and("transfers", []),
        };
        statement.and(" WHERE kind <> 'opening'", []);
        if only_rare {
            statement.and(" AND kind <> 'capture'", []);
        }
        if let Some(kind) = self.kind {
            statement.and(" AND kind = ?", [Value::Text(kind.word())]);
        }
        if let Some(TenantId(tenant)) = self.tenant {
            let tenant = Value::Int(tenant);
            if self.is_rare() {
                statement.and(
                    " AND (credit = ? OR debit = ? OR (kind = 'write_off' AND EXISTS (SELECT 1 FROM holds h \
                     WHERE h.request_id = transfers.request_id AND h.account = ?)))",
                    [tenant, tenant, tenant],
                );
            } else {
                statement.and(" AND (credit = ? OR debit = ?)", [tenant, tenant]);
            }
        }
        if let Some(pattern) = pattern {
            statement.and(" AND lower(reference) LIKE lower(?) ESCAPE '!'", [Value::Text(pattern)]);
        }
        if let Some(from) = self.from {
            statement.and(" AND created_at >= ?", [Value::Int(from.0)]);
        }
        if let Some(to) = self.to {
            statement.and(" AND created_at < ?", [Value::Int(to.0)]);
        }
    }
}
