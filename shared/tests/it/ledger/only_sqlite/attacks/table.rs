//! The attacks: SQL (with the names of [`Scene`](crate::ledger::scene::Scene)) and what of the database's answer shows which rule refused it.

// What the database's answer has in it, by the rule that refused.
const CHECK: &str = "CHECK constraint failed";
const EMPTY: &str = "an account starts with nothing";
const FOLLOWS: &str = "this line does not follow the newest one, or its transfer has a line";
const HOLDER: &str = "this charge exists, or the hold of its request is on another account";
const IDENTITY: &str = "an account keeps its id and kind";
const KEPT: &str = "accounts are never removed";
const NEWEST: &str = "posted and seq are those of the newest line";
const NOT_NULL: &str = "NOT NULL constraint failed";
const SETTLED: &str = "this request is settled";
const TRANSFER: &str = "this transfer exists, or it does not give back what it reverses";
const TYPE: &str = "cannot store";

/// Tables whose rows are never changed or removed, and their rule.
pub(super) const APPEND_ONLY: [(&str, &str); 7] = [
    ("holds", "holds is append-only"),
    ("settlements", "settlements is append-only"),
    ("transfers", "transfers is append-only"),
    ("lines", "lines is append-only"),
    ("charges", "charges is append-only"),
    ("prices", "a price is never"),
    ("audit_log", "audit_log is append-only"),
];

/// Rows that are in the way of another by one of its keys: table, a column to overwrite it by, the row, the rule.
/// Each is tried with every way that SQL has to insert.
pub(super) const COLLIDING: &[(&str, &str, &str, &str)] = &[
    ("accounts", "posted", "(1001, 'customer', 0, 0, 0)", "this account exists"),
    ("accounts", "held", "('1001', 'customer', 0, 0, 0)", "this account exists"),
    ("accounts", "kind", "(2, 'revenue', 0, 0, 0)", "this account exists"),
    ("holds", "amount", "(:open, 1001, 1, :nobody, 0, 1)", "this request has a hold"),
    ("holds", "account", "(:captured, 1002, 5000, :nobody, 0, 1)", "this request has a hold"),
    // A second settlement, of each kind after each other.
    ("settlements", "outcome", "(:captured, 'voided', 0, 0)", SETTLED),
    ("settlements", "amount", "(:captured, 'captured', 2999, 0)", SETTLED),
    ("settlements", "outcome", "(:voided, 'captured', 5, 0)", SETTLED),
    ("settlements", "outcome", "(:voided, 'expired', 0, 0)", SETTLED),
    // A second capture, payment, reversal and write-off.
    ("transfers", "amount", "(:captured, 'capture', 1001, 2, 1, :captured, NULL, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'top_up', 1, 1001, 5, NULL, NULL, 'the first payment', NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 2, 1001, 4000, :reversed, :reversed, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'write_off', 3, 2, 1, :written_off, NULL, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'top_up', 4, 1003, 500, NULL, NULL, 'code:1/1', NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 1003, 1, 1, NULL, :paid, NULL, NULL, 0)", TRANSFER),
    // More given back than was moved, less of a capture, another way than it came, and what is no transfer or gives back already.
    ("transfers", "amount", "(:new, 'reversal', 2, 1001, 3001, :captured, :captured, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 2, 1001, 2999, :captured, :captured, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 2, 1002, 3000, :captured, :captured, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 1003, 4, 501, NULL, :given, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 1003, 1, 500, NULL, :given, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 1001, 4, 500, NULL, :given, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 2, 1003, 500, NULL, :given, NULL, NULL, 0)", TRANSFER),
    ("transfers", "amount", "(:new, 'reversal', 2, 1001, 5, NULL, :nobody, NULL, NULL, 0)", TRANSFER),
    // By a line's number and balance, and by its transfer: of the same account, of another, at the right place.
    ("lines", "delta", "(1001, 4, :lineless, 4000, 3, 993000, 997000)", FOLLOWS),
    ("lines", "delta", "(1001, 0, :lineless, 0, 0, 0, 0)", FOLLOWS),
    ("lines", "balance", "(1001, 5, :captured, -1, 4, 997000, 996999)", FOLLOWS),
    ("lines", "balance", "(1002, 3, :captured, 3000, 2, 0, 3000)", FOLLOWS),
    ("charges", "prompt_cost", "(1001, :captured, :charge_tail)", HOLDER),
    ("prices", "prompt", "(1, 'gpt-4', 1, 1, 1, '{}', 'estimate', 0)", "this price version exists"),
    (
        "audit_log",
        "actor",
        "(1, 0, 'key', 'x', NULL, NULL, 'x', NULL, 'x', NULL, NULL)",
        "this entry of the audit log exists",
    ),
];

/// Single statements.
pub(super) const SINGLE: &[(&str, &str)] = &[
    // Forks, gaps, and lines that do not follow the newest one's balance.
    ("INSERT INTO lines VALUES (1001, 4, :lineless, 1, 3, 993000, 993001)", FOLLOWS),
    ("INSERT OR REPLACE INTO lines VALUES (1001, 4, :lineless, 1, 3, 993000, 993001)", FOLLOWS),
    ("INSERT INTO lines VALUES (1001, 1, :lineless, 5, 0, 0, 5)", FOLLOWS),
    ("INSERT INTO lines VALUES (1001, 6, :lineless, -1, 4, 997000, 996999)", CHECK),
    ("INSERT INTO lines VALUES (1001, 6, :lineless, -1, 5, 997000, 996999)", FOLLOWS),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, 996000, 995999)", FOLLOWS),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 5, 996999, 996999)", FOLLOWS),
    ("INSERT INTO lines VALUES (1002, 5, :lineless, -1, 4, 997000, 996999)", FOLLOWS),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, 997000, 997001)", CHECK),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, 0, 4, 997000, 997000)", CHECK),
    ("INSERT INTO lines VALUES (1001, -1, :lineless, -1, 4, 997000, 996999)", CHECK),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, 9223372036854775807, 4, 997000, 9223372036854775807)", CHECK),
    ("INSERT INTO lines VALUES (1002, 3, :lineless, -1, 2, 0, -1)", CHECK),
    (
        "INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, 997000, 996999), (1001, 5, :new, -2, 4, 997000, 996998)",
        FOLLOWS,
    ),
    (
        "INSERT OR REPLACE INTO lines VALUES (1001, 5, :lineless, -1, 4, 997000, 996999), (1001, 6, :lineless, -1, 5, 996999, 996998)",
        FOLLOWS,
    ),
    ("INSERT INTO lines VALUES (9999, 0, :lineless, 0, 0, 0, 0)", FOLLOWS),
    ("INSERT INTO lines VALUES (9999, 1, :lineless, 5, 0, 0, 5)", FOLLOWS),
    ("INSERT INTO lines VALUES (2, 0, :lineless, 0, 0, 0, 0)", CHECK),
    // NULL and what is no whole number.
    ("INSERT INTO lines VALUES (NULL, 5, :lineless, -1, 4, 997000, 996999)", FOLLOWS),
    ("INSERT INTO lines VALUES (NULL, 0, :lineless, 0, 0, 0, 0)", FOLLOWS),
    ("INSERT INTO lines VALUES (1001, NULL, :lineless, -1, 4, 997000, 996999)", NOT_NULL),
    ("INSERT OR REPLACE INTO lines VALUES (1001, NULL, :lineless, -1, 4, 997000, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5, NULL, -1, 4, 997000, 996999)", NOT_NULL),
    ("INSERT OR REPLACE INTO lines VALUES (1001, 5, NULL, -1, 4, 997000, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, NULL, 4, 997000, 996999)", NOT_NULL),
    ("INSERT OR REPLACE INTO lines VALUES (1001, 5, :lineless, NULL, 4, 997000, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, NULL, 997000, 996999)", FOLLOWS),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, NULL, 996999)", FOLLOWS),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, 997000, NULL)", NOT_NULL),
    ("INSERT OR REPLACE INTO lines VALUES (1001, 5, :lineless, -1, 4, 997000, NULL)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5.5, :lineless, -1, 4, 997000, 996999)", TYPE),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -0.5, 4, 997000, 996999.5)", TYPE),
    ("INSERT INTO lines VALUES (1001, 5, 'a text of 16 char', -1, 4, 997000, 996999)", TYPE),
    // Holds.
    ("INSERT INTO holds VALUES (:new, 2, 5, :nobody, 0, 1)", CHECK),
    ("INSERT INTO holds VALUES (:new, 1001, -5, :nobody, 0, 1)", CHECK),
    ("INSERT INTO holds VALUES (X'00', 1001, 5, :nobody, 0, 1)", CHECK),
    ("INSERT INTO holds VALUES (NULL, 1001, 5, :nobody, 0, 1)", NOT_NULL),
    ("INSERT INTO holds VALUES ('a text of 16 cha', 1001, 5, :nobody, 0, 1)", TYPE),
    // Settlements.
    ("INSERT INTO settlements VALUES (:open, 'lost', 0, 0)", CHECK),
    ("INSERT INTO settlements VALUES (:open, NULL, 0, 0)", NOT_NULL),
    ("INSERT INTO settlements VALUES (:open, 'voided', 5, 0)", CHECK),
    ("INSERT INTO settlements VALUES (:open, 'captured', -5, 0)", CHECK),
    ("INSERT INTO settlements VALUES (:open, 'voided', 0, 0), (:open, 'expired', 0, 0)", SETTLED),
    // A second capture under another id, and captures that are none.
    ("INSERT INTO transfers VALUES (:new, 'capture', 1001, 2, 1, :captured, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT OR REPLACE INTO transfers VALUES (:new, 'capture', 1001, 2, 1, :captured, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'capture', 1001, 2, 1, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:voided, 'capture', 1001, 1, 1, :voided, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:voided, 'capture', 1, 2, 1, :voided, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:voided, 'capture', 1001, 2, -1, :voided, NULL, NULL, NULL, 0)", CHECK),
    // Other transfers that are none.
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 0, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1001, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1002, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1, 2, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'opening', 1001, 1001, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'opening', 1, 1001, 0, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'opening', 1, 1, 0, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 2, 1001, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1, 1001, 3000, NULL, :captured, NULL, NULL, 0)", TRANSFER),
    // A reversal of a reversal.
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1, 1003, 2000, NULL, :back, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1003, 4, -5, NULL, :given, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 4, 1003, 500, NULL, :back, 'r', NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 2, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 3, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 5, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, :captured, :captured, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'gift', 1, 1001, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, NULL, 1, 1001, 5, NULL, NULL, NULL, NULL, 0)", NOT_NULL),
    // A charge that another account would see in its usage, and what is no charge.
    ("INSERT INTO charges VALUES (1002, :captured, :charge_tail)", HOLDER),
    ("INSERT INTO charges VALUES (1001, :new, :charge_tail)", HOLDER),
    (
        "INSERT INTO charges SELECT 1001, :open, key_id, endpoint, model, end_user, price_version, 'guess', \
      0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM charges",
        CHECK,
    ),
    (
        "INSERT INTO charges SELECT 1001, :open, key_id, endpoint, model, end_user, price_version, basis, \
      0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, 0, 0, 0, -1, 1, 0, 0, 0, 0 FROM charges",
        CHECK,
    ),
    // Balances.
    ("UPDATE accounts SET posted = posted + 1 WHERE id = 1001", NEWEST),
    ("UPDATE OR REPLACE accounts SET posted = posted + 1 WHERE id = 1001", NEWEST),
    ("UPDATE OR IGNORE accounts SET posted = posted + 1 WHERE id = 1001", NEWEST),
    ("UPDATE accounts SET seq = seq + 1 WHERE id = 1001", NEWEST),
    ("UPDATE accounts SET posted = 993000, seq = 3 WHERE id = 1001", NEWEST),
    ("UPDATE accounts SET posted = 0, seq = 0", NEWEST),
    ("UPDATE accounts SET posted = NULL WHERE id = 1001", NEWEST),
    ("UPDATE OR REPLACE accounts SET posted = NULL, seq = NULL WHERE id = 1001", NEWEST),
    ("UPDATE accounts SET held = posted + 1 WHERE id = 1001", CHECK),
    ("UPDATE OR REPLACE accounts SET held = posted + 1 WHERE id = 1001", CHECK),
    ("UPDATE OR IGNORE accounts SET held = posted + 1 WHERE id = 1001", CHECK),
    ("UPDATE accounts SET held = -1 WHERE id = 1001", CHECK),
    ("UPDATE OR REPLACE accounts SET held = -1 WHERE id = 1001", CHECK),
    ("UPDATE accounts SET held = NULL WHERE id = 1001", NOT_NULL),
    ("UPDATE accounts SET held = 1.5 WHERE id = 1001", TYPE),
    // Accounts that appear, vanish, or become others.
    ("INSERT INTO accounts VALUES (1004, 'customer', 5, 0, 0)", EMPTY),
    ("INSERT OR REPLACE INTO accounts VALUES (1004, 'customer', 5, 0, 0)", EMPTY),
    ("INSERT INTO accounts VALUES (1004, 'customer', 0, 0, 1)", EMPTY),
    ("INSERT INTO accounts VALUES (1004, 'customer', 5, 5, 0)", EMPTY),
    ("INSERT INTO accounts VALUES (6, 'customer', 0, 0, 0)", CHECK),
    ("INSERT INTO accounts VALUES (1004, 'cash', 0, 0, 0)", CHECK),
    ("INSERT INTO accounts VALUES (6, 'gift', 0, 0, 0)", CHECK),
    ("INSERT INTO accounts VALUES (NULL, 'customer', 0, 0, 0)", NOT_NULL),
    ("DELETE FROM accounts", KEPT),
    ("DELETE FROM accounts WHERE id = 1002", KEPT),
    ("DELETE FROM accounts WHERE id = 4", KEPT),
    ("UPDATE accounts SET id = 1004 WHERE id = 1002", IDENTITY),
    ("UPDATE OR REPLACE accounts SET id = 1001 WHERE id = 1002", IDENTITY),
    ("UPDATE OR IGNORE accounts SET id = 1001 WHERE id = 1002", IDENTITY),
    ("UPDATE accounts SET kind = 'cash' WHERE id = 2", IDENTITY),
    ("UPDATE accounts SET id = 6, kind = 'cash', posted = 0, seq = 0 WHERE id = 1002", IDENTITY),
    // The house has no balance.
    ("UPDATE accounts SET posted = 5 WHERE id = 2", CHECK),
    ("UPDATE accounts SET posted = 5, held = 5 WHERE id = 2", CHECK),
    ("UPDATE accounts SET seq = 1 WHERE id = 1", CHECK),
    ("UPDATE OR REPLACE accounts SET posted = 5 WHERE id = 3", CHECK),
    ("INSERT INTO accounts VALUES (6, 'cash', 5, 0, 0)", EMPTY),
    ("INSERT INTO prices VALUES (2, 'gpt-4', -1, 0, 0, '{}', 'estimate', 0)", CHECK),
    ("INSERT INTO prices VALUES (NULL, 'gpt-4', 1, 0, 0, '{}', 'estimate', 0)", NOT_NULL),
    // What nobody did, or somebody who has no account.
    ("INSERT INTO audit_log VALUES (2, 0, 'nobody', 'x', NULL, NULL, 'x', NULL, 'x', NULL, NULL)", CHECK),
    ("INSERT INTO audit_log VALUES (2, 0, 'staff', 'x', NULL, NULL, 'x', NULL, 'x', NULL, NULL)", CHECK),
    ("INSERT INTO audit_log VALUES (2, 0, 'service', 'x', 7, NULL, 'x', NULL, 'x', NULL, NULL)", CHECK),
];

/// What a plain foreign key alone refuses: where a connection has switched these off, the audit names it.
pub(super) const FOREIGN: &[(&str, &str, &str)] = &[
    ("INSERT INTO holds VALUES (:new, 9999, 5, :nobody, 0, 1)", "hold_has_its_account", "request :new"),
    (
        "INSERT INTO settlements VALUES (:new, 'voided', 0, 0)",
        "settlement_is_transferred_and_explained",
        "request :new",
    ),
    (
        "INSERT INTO settlements VALUES (:new, 'captured', 0, 0)",
        "settlement_is_transferred_and_explained",
        "request :new",
    ),
    (
        "INSERT INTO transfers VALUES (:new, 'top_up', 1, 9999, 5, NULL, NULL, 'r', NULL, 0)",
        "transfer_has_its_line_and_settlement",
        "transfer :new",
    ),
    (
        "INSERT INTO transfers VALUES (:open, 'capture', 1001, 2, 5, :open, NULL, NULL, NULL, 0)",
        "transfer_has_its_line_and_settlement",
        "transfer :open",
    ),
    (
        "INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, :open, NULL, NULL, NULL, 0)",
        "transfer_has_its_line_and_settlement",
        "transfer :new",
    ),
    (
        "INSERT INTO lines VALUES (1001, 5, :new, -1, 4, 997000, 996999)",
        "line_follows_line_and_transfer",
        "account 1001 line 5",
    ),
    ("INSERT INTO charges VALUES (1001, :open, :charge_tail)", "charge_adds_up", "request :open"),
];
