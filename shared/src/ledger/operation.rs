//! What can be asked of the ledger, and what it answers.

use std::time::Duration;

use serde::Serialize;

use super::{CASH, LedgerError, PROMOTION};
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::id::{ProcessId, RequestId, TenantId, TransferId};
use crate::idempotency::Mark;
use crate::money::Amount;
use crate::price::{Basis, PriceVersion};
use crate::queue::Endpoint;
use crate::secret_key::KeyId;
use crate::tokens::Tally;

/// How long a hold is asked for again while the connection is made anew.
const HOLD_PATIENCE: Duration = Duration::from_secs(1);

/// One thing to do, decided and written as a whole or not at all.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Set money aside for a request.
    Hold(Hold),
    /// Charge a request for what it used and release its hold.
    Capture(Box<Capture>),
    /// Release a hold without a charge.
    End {
        /// The request.
        request_id: RequestId,
        /// Whose money is held.
        account: TenantId,
        /// Why there is no charge.
        ended: Ended,
    },
    /// A customer paid.
    TopUp(TopUp),
    /// Give back what a request was charged, because its answer was not delivered.
    ReverseCapture {
        /// The request.
        request_id: RequestId,
        /// Who was charged.
        account: TenantId,
    },
    /// Take a top-up back, as far as the money is there.
    ReverseTopUp {
        /// The new transfer's id: the same again is the same reversal.
        id: TransferId,
        /// Whose top-up it was.
        account: TenantId,
        /// The top-up.
        transfer: TransferId,
        /// Why, for people.
        reason: String,
    },
}

/// Money to set aside before anything is asked of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The request that it is for; it can have one hold ever.
    pub request_id: RequestId,
    /// Who pays.
    pub account: TenantId,
    /// How much; zero or more.
    pub amount: Amount,
    /// The process that answers for it.
    pub owner: ProcessId,
    /// After this moment the sweeper ends it.
    pub expires_at: Timestamp,
    /// The price that it was computed with; the charge uses it too.
    pub price_version: PriceVersion,
    /// What a repetition of the call is known by, if it may be repeated. Only one call that is charged can have it.
    pub idempotency: Option<Mark>,
}

/// A request's end with a charge.
#[derive(Debug, Clone)]
pub struct Capture {
    /// The request.
    pub request_id: RequestId,
    /// Who pays: the account of its hold. A hold on another one is not found.
    pub account: TenantId,
    /// The arithmetic.
    pub charge: Charge,
    /// What the caller is sent, sealed, for those who ask again: see [`crate::idempotency::Collected::seal`].
    pub answer: Option<Vec<u8>>,
}

/// The arithmetic of a charge, kept for ever, so that it can be recomputed by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The key that called.
    pub key: KeyId,
    /// What was called.
    pub endpoint: Endpoint,
    /// The model's public name.
    pub model: String,
    /// The caller's own name for the end user.
    pub end_user: Option<String>,
    /// The price.
    pub price_version: PriceVersion,
    /// Which count was billed. `Estimate` with a price of basis `Upstream`: the provider's own was missing or implausible.
    pub basis: Basis,
    /// The estimate of the prompt.
    pub prompt: Tally,
    /// The estimate of what was generated.
    pub completion: Tally,
    /// The provider's own count of the prompt and of what was generated, in its tokens.
    pub upstream: Option<(i64, i64)>,
    /// Images delivered.
    pub images: i64,
    /// Their size.
    pub image_size: Option<String>,
    /// Price of a million prompt tokens.
    pub prompt_price: Amount,
    /// Price of a million completion tokens.
    pub completion_price: Amount,
    /// Price of one image.
    pub image_price: Amount,
    /// Billed prompt tokens at their price, rounded up to 1e-9.
    pub prompt_cost: Amount,
    /// Billed completion tokens at their price, rounded up to 1e-9.
    pub completion_cost: Amount,
    /// Images at their price.
    pub image_cost: Amount,
    /// The call ended before its answer did: it pays what was generated until then.
    pub finished_early: bool,
}

impl Charge {
    /// The sum of the components. `None` when it leaves the range of 64 bits.
    pub fn total(&self) -> Option<Amount> {
        self.prompt_cost.checked_add(self.completion_cost)?.checked_add(self.image_cost)
    }
}

/// What makes a customer's balance grow: a payment, or a code that was redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUp {
    /// The new transfer's id.
    pub id: TransferId,
    /// Whose balance grows.
    pub account: TenantId,
    /// By how much; above zero.
    pub amount: Amount,
    /// Where the money comes from.
    pub source: TopUpSource,
    /// The payment's own name, unique per tenant: the same again is the same payment.
    pub reference: String,
    /// Words for people.
    pub note: Option<String>,
}

/// Where the money of a top-up comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TopUpSource {
    /// The customer paid.
    Cash,
    /// The house gives it, for a code.
    Promotion,
}

impl TopUpSource {
    /// The house account.
    pub const fn account(self) -> i64 {
        match self {
            Self::Cash => CASH,
            Self::Promotion => PROMOTION,
        }
    }

    /// The source whose house account this is.
    pub fn of_account(account: i64) -> Option<Self> {
        [Self::Cash, Self::Promotion].into_iter().find(|source| source.account() == account)
    }
}

/// How a hold ends without a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The call failed before any text.
    Voided,
    /// Nobody settled it in time.
    Expired,
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SettlementOutcome {
    /// With a charge.
    Captured,
    /// Without one.
    Voided,
    /// Without one, by the sweeper.
    Expired,
}

impl SettlementOutcome {
    /// The word that the database keeps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Expired => "expired",
        }
    }

    /// Reads the database's word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Captured, Self::Voided, Self::Expired].into_iter().find(|outcome| outcome.as_str() == word)
    }
}

impl From<Ended> for SettlementOutcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Voided => Self::Voided,
            Ended::Expired => Self::Expired,
        }
    }
}

/// A request's one and only end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// How.
    pub outcome: SettlementOutcome,
    /// What the customer paid; zero unless captured.
    pub amount: Amount,
}

/// The answer to a [`Hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldDecision {
    /// The money is set aside.
    Held,
    /// This request has a hold already; nothing was changed.
    Replayed,
    /// Another call of the same mark runs or was charged; nothing was changed.
    Repeated,
    /// The balance cannot cover it.
    Insufficient {
        /// What the hold needs.
        needed: Amount,
        /// What is posted and not held.
        available: Amount,
    },
}

/// The answer to a [`Capture`] that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured {
    /// What the customer paid.
    pub paid: Amount,
    /// What the call cost above its hold and the free balance; the house bears it.
    pub written_off: Amount,
}

impl Captured {
    /// Says in the log what the house bears, if anything: an operator may want another price, or a larger hold.
    pub(crate) fn warn_of_write_off(&self, request_id: RequestId) {
        if self.written_off > Amount::ZERO {
            tracing::warn!(%request_id, written_off = %self.written_off, "a call cost more than its hold and the free balance; the rest was written off");
        }
    }
}

/// The answer to a [`TopUp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopUpDecision {
    /// Done, or done before under the same reference with the same amount.
    Posted {
        /// The transfer.
        id: TransferId,
        /// The balance now.
        posted: Amount,
        /// Whether it was done before.
        replayed: bool,
    },
    /// The reference belongs to a top-up of another amount, or from another source.
    ReferenceTaken {
        /// That top-up's amount.
        amount: Amount,
    },
}

/// The answer to [`Operation::ReverseCapture`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reversal {
    /// The customer has this back.
    Reversed(Amount),
    /// It was given back before.
    Already,
    /// There is no capture with a transfer to give back.
    NothingCaptured,
}

/// The answer to [`Operation::ReverseTopUp`]. What the customer has used or holds for running calls is never taken back, so a balance does
/// not fall below what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopUpReversal {
    /// Done, or done before under the same id.
    Reversed {
        /// The new transfer.
        id: TransferId,
        /// What was taken back, above zero.
        recovered: Amount,
        /// What of the top-up was not there any more.
        not_recovered: Amount,
        /// The balance now.
        posted: Amount,
        /// Whether it was done before.
        replayed: bool,
    },
    /// It was taken back before, under another id; nothing was changed.
    AlreadyReversed {
        /// The transfer that did.
        id: TransferId,
        /// What was taken back then.
        recovered: Amount,
    },
    /// Nothing of the balance is available, so nothing can be taken back; nothing was changed.
    NothingAvailable {
        /// The top-up's amount.
        amount: Amount,
    },
    /// This tenant has no such top-up.
    NoSuchTopUp,
}

/// What the ledger decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// To a hold.
    Hold(HoldDecision),
    /// A capture that was carried out.
    Captured(Captured),
    /// A hold was released.
    Ended,
    /// The request was settled before; nothing was changed.
    AlreadySettled(Settlement),
    /// The request has no hold; nothing was changed.
    NoSuchHold,
    /// To a top-up.
    TopUp(TopUpDecision),
    /// To the reversal of a capture.
    Reversal(Reversal),
    /// To the reversal of a top-up.
    TopUpReversal(TopUpReversal),
}

impl Outcome {
    /// What to say of an answer to another operation than was asked for.
    pub(crate) fn unexpected(self) -> LedgerError {
        LedgerError::Database(DbError::Corrupt(format!("the ledger answered another operation: {self:?}")))
    }
}

impl Operation {
    /// The account whose turn it needs. Every operation names its own, so that the accounts of a batch can be locked before anything is
    /// read: what is about to be committed by another connection, even one that was lost, is committed then or never.
    pub const fn account(&self) -> TenantId {
        match self {
            Self::Hold(hold) => hold.account,
            Self::Capture(capture) => capture.account,
            Self::TopUp(top_up) => top_up.account,
            Self::End { account, .. } | Self::ReverseCapture { account, .. } | Self::ReverseTopUp { account, .. } => {
                *account
            }
        }
    }

    /// The bytes of the answer that it keeps.
    pub(super) fn answer_bytes(&self) -> usize {
        match self {
            Self::Capture(capture) => capture.answer.as_ref().map_or(0, Vec::len),
            _ => 0,
        }
    }

    /// Whether it writes more than the ledger's own tables.
    pub(super) const fn is_idempotent(&self) -> bool {
        match self {
            Self::Hold(hold) => hold.idempotency.is_some(),
            Self::Capture(capture) => capture.answer.is_some(),
            _ => false,
        }
    }

    /// For how long to ask again when the connection was lost. A hold's caller can be told that nothing happened and ask later; what ends a
    /// call has nowhere else to go.
    pub(super) fn patience(&self, timeout: Duration) -> Duration {
        match self {
            Self::Hold(_) => timeout.min(HOLD_PATIENCE),
            _ => timeout,
        }
    }

    /// What `outcome` means when the operation was asked for before and may have been carried out then.
    pub(super) fn own_trace(&self, outcome: Outcome) -> Outcome {
        match (self, outcome) {
            // No other call has this request id.
            (Self::Hold(_), Outcome::Hold(HoldDecision::Replayed)) => Outcome::Hold(HoldDecision::Held),
            (
                Self::Capture(_),
                Outcome::AlreadySettled(Settlement { outcome: SettlementOutcome::Captured, amount }),
            ) => Outcome::Captured(Captured { paid: amount, written_off: Amount::ZERO }),
            (Self::End { ended: Ended::Voided, .. }, Outcome::AlreadySettled(settlement))
                if settlement.outcome == SettlementOutcome::Voided =>
            {
                Outcome::Ended
            }
            (_, outcome) => outcome,
        }
    }
}
