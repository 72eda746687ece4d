//! The rows that an audit reads, and what must be true of each.

use super::{
    BigInt, Binary, Bool, Nullable, NullableText, QueryableByName, Text, Violation, hexadecimal, is_customer,
    sides_fit, unknown_word,
};

pub(super) const ACCOUNTS: &str = "SELECT a.id, a.posted, a.seq, \
    (SELECT l.seq FROM lines l WHERE l.account = a.id ORDER BY l.seq DESC LIMIT 1) AS newest, \
    (SELECT l.balance FROM lines l WHERE l.account = a.id ORDER BY l.seq DESC LIMIT 1) AS newest_balance \
    FROM accounts a WHERE a.kind = 'customer' ORDER BY a.id";

pub(super) const LINES: &str = "SELECT l.account, l.seq, l.transfer, l.delta, l.prev_seq, l.prev_balance, l.balance, p.balance AS before, \
    t.kind, t.debit, t.credit, t.amount FROM lines l \
    LEFT JOIN lines p ON p.account = l.account AND p.seq = l.seq - 1 \
    LEFT JOIN transfers t ON t.id = l.transfer \
    WHERE l.account = ? AND l.seq > ? ORDER BY l.seq LIMIT ?";

macro_rules! transfers {
    ($condition:literal) => {
        concat!(
            "SELECT t.id, t.kind, t.debit, t.credit, t.amount, \
             (SELECT count(*) FROM lines l WHERE l.transfer = t.id) AS line_count, \
             s.outcome, s.amount AS settled, h.account AS holder, \
             r.kind AS reversed_kind, r.amount AS reversed_amount, r.debit AS reversed_debit, r.credit AS reversed_credit \
             FROM transfers t LEFT JOIN settlements s ON s.request_id = t.request_id \
             LEFT JOIN holds h ON h.request_id = t.request_id LEFT JOIN transfers r ON r.id = t.reverses WHERE ",
            $condition,
            " ORDER BY t.id LIMIT ?"
        )
    };
}

pub(super) const TRANSFERS: &str = transfers!("t.id > ?");

/// All but captures, by their own index (`transfers_rare`).
pub(super) const RARE_TRANSFERS: &str = transfers!("t.kind <> 'capture' AND t.id > ? AND t.id <= ?");

pub(super) const SETTLEMENTS: &str = "SELECT s.request_id, s.outcome, s.amount, h.account AS holder, t.amount AS transferred, \
    c.prompt_cost + c.completion_cost + c.image_cost - c.written_off AS charged, c.written_off, w.amount AS write_off \
    FROM settlements s LEFT JOIN holds h ON h.request_id = s.request_id \
    LEFT JOIN transfers t ON t.id = s.request_id AND t.kind = 'capture' \
    LEFT JOIN charges c ON c.account = h.account AND c.request_id = s.request_id \
    LEFT JOIN transfers w ON w.kind = 'write_off' AND w.request_id = s.request_id \
    WHERE s.request_id > ? ORDER BY s.request_id LIMIT ?";

pub(super) const HOLDS: &str = "SELECT h.request_id, h.account, h.expires_at, \
    NOT EXISTS (SELECT 1 FROM settlements s WHERE s.request_id = h.request_id) AS open, \
    NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = h.account) AS orphan \
    FROM holds h WHERE h.request_id > ? ORDER BY h.request_id LIMIT ?";

pub(super) const HELD: &str = "SELECT a.id, a.held, CAST(COALESCE(o.total, 0) AS BIGINT) AS open FROM accounts a \
    LEFT JOIN (SELECT h.account, SUM(h.amount) AS total FROM holds h WHERE h.request_id > ? \
    AND NOT EXISTS (SELECT 1 FROM settlements s WHERE s.request_id = h.request_id) GROUP BY h.account) o ON o.account = a.id \
    WHERE a.kind = 'customer' AND a.held <> COALESCE(o.total, 0) ORDER BY a.id LIMIT 1000";

// In halves, since a sum of BIGINT may leave 64 bits; PostgreSQL sums it as NUMERIC, so the sums are made BIGINT again.
pub(super) const SUM: &str = "SELECT (SELECT CAST(COALESCE(SUM(posted >> 32), 0) AS BIGINT) FROM accounts) AS customers_high, \
    (SELECT CAST(COALESCE(SUM(posted & 4294967295), 0) AS BIGINT) FROM accounts) AS customers_low, \
    CAST(COALESCE(SUM(side * (amount >> 32)), 0) AS BIGINT) AS house_high, \
    CAST(COALESCE(SUM(side * (amount & 4294967295)), 0) AS BIGINT) AS house_low \
    FROM (SELECT amount, CASE WHEN credit < ? THEN 1 ELSE 0 END - CASE WHEN debit < ? THEN 1 ELSE 0 END AS side FROM transfers) moved";

#[derive(QueryableByName)]
pub(super) struct LineCheck {
    #[diesel(sql_type = BigInt)]
    account: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) seq: i64,
    #[diesel(sql_type = Binary)]
    transfer: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    delta: i64,
    #[diesel(sql_type = BigInt)]
    prev_seq: i64,
    #[diesel(sql_type = BigInt)]
    prev_balance: i64,
    #[diesel(sql_type = BigInt)]
    balance: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    before: Option<i64>,
    #[diesel(sql_type = NullableText)]
    kind: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    debit: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    credit: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    amount: Option<i64>,
}

impl LineCheck {
    pub(super) fn violation(&self, expected_seq: i64) -> Option<Violation> {
        let chained = if self.seq == 0 {
            self.delta == 0 && self.balance == 0 && self.prev_seq == 0 && self.prev_balance == 0
        } else {
            self.prev_seq == self.seq - 1
                && self.before == Some(self.prev_balance)
                && self.prev_balance.checked_add(self.delta) == Some(self.balance)
        };
        // The customer's side of its transfer, with the right sign.
        let mirrored = match (self.debit, self.credit, self.amount) {
            (Some(debit), Some(credit), Some(amount)) if debit != credit => {
                (debit == self.account && self.delta == -amount) || (credit == self.account && self.delta == amount)
            }
            (Some(debit), Some(_), Some(0)) => debit == self.account && self.delta == 0,
            _ => false,
        };
        if self.seq == expected_seq && chained && mirrored && self.balance >= 0 {
            return None;
        }
        Some(Violation {
            check: "line_follows_line_and_transfer",
            subject: format!("account {} line {}", self.account, self.seq),
            detail: format!(
                "expected line {expected_seq}; delta {}, balance {} after {} (stored before: {:?}); transfer {} is {} of {:?}",
                self.delta,
                self.balance,
                self.prev_balance,
                self.before,
                hexadecimal(&self.transfer),
                unknown_word(self.kind.as_ref()),
                self.amount
            ),
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct TransferCheck {
    #[diesel(sql_type = Binary)]
    pub(super) id: Vec<u8>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    debit: i64,
    #[diesel(sql_type = BigInt)]
    credit: i64,
    #[diesel(sql_type = BigInt)]
    amount: i64,
    #[diesel(sql_type = BigInt)]
    line_count: i64,
    #[diesel(sql_type = NullableText)]
    outcome: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    settled: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    holder: Option<i64>,
    #[diesel(sql_type = NullableText)]
    reversed_kind: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    reversed_amount: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    reversed_debit: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    reversed_credit: Option<i64>,
}

impl TransferCheck {
    pub(super) fn violation(&self) -> Option<Violation> {
        let customer_sides = i64::from(is_customer(self.debit) || is_customer(self.credit));
        let settled = match self.kind.as_str() {
            "capture" => {
                self.outcome.as_deref() == Some("captured")
                    && self.settled == Some(self.amount)
                    && self.holder == Some(self.debit)
            }
            "write_off" => self.outcome.as_deref() == Some("captured"),
            "reversal" => self.gives_back(),
            _ => true,
        };
        if self.line_count == customer_sides && settled && sides_fit(&self.kind, self.debit, self.credit) {
            return None;
        }
        Some(Violation {
            check: "transfer_has_its_line_and_settlement",
            subject: format!("transfer {}", hexadecimal(&self.id)),
            detail: format!(
                "{} of {} from account {} to {}: {} lines (should be {customer_sides}), settlement {} of {:?}",
                self.kind,
                self.amount,
                self.debit,
                self.credit,
                self.line_count,
                unknown_word(self.outcome.as_ref()),
                self.settled
            ),
        })
    }

    /// Whether it turns what it reverses round: all of it, or of a top-up at most that.
    fn gives_back(&self) -> bool {
        let turned_round = self.reversed_debit == Some(self.credit) && self.reversed_credit == Some(self.debit);
        let as_much = match (self.reversed_kind.as_deref(), self.reversed_amount) {
            (Some("top_up"), Some(amount)) => self.amount <= amount,
            (Some("capture" | "write_off"), Some(amount)) => self.amount == amount,
            _ => false,
        };
        turned_round && as_much
    }
}

#[derive(QueryableByName)]
pub(super) struct SettlementCheck {
    #[diesel(sql_type = Binary)]
    pub(super) request_id: Vec<u8>,
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = BigInt)]
    amount: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    holder: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    transferred: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    charged: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    written_off: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    write_off: Option<i64>,
}

impl SettlementCheck {
    pub(super) fn violation(&self) -> Option<Violation> {
        let fits = if self.outcome == "captured" {
            self.transferred.unwrap_or(0) == self.amount
                && self.charged == Some(self.amount)
                && self.write_off.unwrap_or(0) == self.written_off.unwrap_or(0)
        } else {
            self.amount == 0 && self.transferred.is_none() && self.charged.is_none() && self.write_off.is_none()
        };
        if fits && self.holder.is_some() {
            return None;
        }
        Some(Violation {
            check: "settlement_is_transferred_and_explained",
            subject: format!("request {}", hexadecimal(&self.request_id)),
            detail: format!(
                "{} with {}: transferred {:?}, explained {:?}, written off {:?} of {:?}, held by account {:?}",
                self.outcome,
                self.amount,
                self.transferred,
                self.charged,
                self.write_off,
                self.written_off,
                self.holder
            ),
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct HoldCheck {
    #[diesel(sql_type = Binary)]
    pub(super) request_id: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    account: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) expires_at: i64,
    #[diesel(sql_type = Bool)]
    pub(super) open: bool,
    #[diesel(sql_type = Bool)]
    orphan: bool,
}

impl HoldCheck {
    pub(super) fn violation(&self) -> Option<Violation> {
        if !self.orphan {
            return None;
        }
        Some(Violation {
            check: "hold_has_its_account",
            subject: format!("request {}", hexadecimal(&self.request_id)),
            detail: format!("the hold is on account {}, which is not there", self.account),
        })
    }
}
