//! What decisions are made from and what they give: the rows that a batch touches, and those that it writes.

use std::collections::{BTreeMap, HashMap};

use super::operation::{Charge, Hold, Settlement, TopUpSource};
use crate::id::{RequestId, TenantId, TransferId};
use crate::idempotency::Mark;
use crate::money::Amount;

/// A customer's account as the batch sees it: what the database had, and what the operations before this one made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AccountRow {
    pub(super) posted: Amount,
    pub(super) held: Amount,
    pub(super) seq: i64,
    pub(super) change: Change,
    /// What the decisions start from.
    pub(super) start: Numbers,
}

impl AccountRow {
    pub(super) fn starting_with(start: Numbers) -> Self {
        let Numbers { posted, held, seq } = start;
        Self { posted, held, seq, change: Change::None, start }
    }

    pub(super) fn numbers(&self) -> Numbers {
        Numbers { posted: self.posted, held: self.held, seq: self.seq }
    }
}

/// The numbers of an account at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) posted: Amount,
    pub(super) held: Amount,
    pub(super) seq: i64,
}

/// What a batch changed of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    None,
    /// Only what is held.
    Held,
    /// What is posted, and perhaps what is held.
    Posted,
}

/// A hold, and its settlement if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct HoldRow {
    pub(super) account: TenantId,
    pub(super) amount: Amount,
    pub(super) settlement: Option<Settlement>,
}

/// A capture's transfers, as a reversal needs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct CaptureRow {
    pub(super) account: TenantId,
    pub(super) paid: Amount,
    pub(super) written_off: Option<(TransferId, Amount)>,
    pub(super) reversed: bool,
}

/// The top-up that a reference belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReferredRow {
    pub(super) id: TransferId,
    pub(super) amount: Amount,
    pub(super) source: TopUpSource,
}

/// A top-up, as its reversal needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopUpRow {
    pub(super) account: TenantId,
    pub(super) amount: Amount,
    pub(super) source: TopUpSource,
    /// The transfer that took it back, and how much.
    pub(super) reversal: Option<(TransferId, Amount)>,
}

/// What the decisions of a batch need to know. A key with `None` was looked for and is not there.
#[derive(Debug, Default)]
pub(super) struct State<'a> {
    pub(super) accounts: BTreeMap<TenantId, Option<AccountRow>>,
    pub(super) holds: HashMap<RequestId, Option<HoldRow>>,
    /// By their references.
    pub(super) references: HashMap<(TenantId, &'a str), Option<ReferredRow>>,
    /// By their ids.
    pub(super) top_ups: HashMap<TransferId, Option<TopUpRow>>,
    pub(super) captures: HashMap<RequestId, Option<CaptureRow>>,
    /// The calls that marks belong to, by the keys of those.
    pub(super) marked: HashMap<(TenantId, [u8; 32]), Option<RequestId>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransferKind {
    TopUp,
    Capture,
    WriteOff,
    Reversal,
}

impl TransferKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Capture => "capture",
            Self::WriteOff => "write_off",
            Self::Reversal => "reversal",
        }
    }
}

#[derive(Debug)]
pub(super) struct Transfer<'a> {
    pub(super) id: TransferId,
    pub(super) kind: TransferKind,
    pub(super) debit: i64,
    pub(super) credit: i64,
    pub(super) amount: Amount,
    pub(super) request_id: Option<RequestId>,
    pub(super) reverses: Option<TransferId>,
    pub(super) reference: Option<&'a str>,
    pub(super) note: Option<&'a str>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) account: TenantId,
    pub(super) seq: i64,
    pub(super) transfer: TransferId,
    pub(super) delta: i64,
    pub(super) prev_balance: Amount,
    pub(super) balance: Amount,
}

#[derive(Debug)]
pub(super) struct ChargeRow<'a> {
    pub(super) account: TenantId,
    pub(super) request_id: RequestId,
    pub(super) charge: &'a Charge,
    pub(super) written_off: Amount,
}

/// The rows that a batch writes; changed accounts are marked in the [`State`].
#[derive(Debug, Default)]
pub(super) struct Effects<'a> {
    pub(super) holds: Vec<&'a Hold>,
    pub(super) settlements: Vec<(RequestId, Settlement)>,
    pub(super) transfers: Vec<Transfer<'a>>,
    pub(super) lines: Vec<Line>,
    pub(super) charges: Vec<ChargeRow<'a>>,
    /// Marks, and the calls that they belong to from now on.
    pub(super) marks: Vec<(TenantId, &'a Mark, RequestId)>,
    /// Sealed answers.
    pub(super) answers: Vec<(RequestId, &'a [u8])>,
}

impl Effects<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty() && self.settlements.is_empty() && self.transfers.is_empty()
    }
}
