//! The attacks: SQL (with the names of [`Scene`](crate::ledger::scene::Scene)) and what of the database's answer shows which rule refused it.

// What the database's answer has in it, by the rule that refused.
const ACCOUNT: &str = "an account keeps its id and kind, starts with nothing and is never removed";
const CHAIN: &str = "violates foreign key constraint \"lines_account_prev_seq_prev_balance_fkey\"";
const CHARGE: &str = "a charge has a hold on its account, and a settlement";
const CHECK: &str = "violates check constraint";
const HOLD: &str = "a hold has an account";
pub(super) const KEY: &str = "duplicate key value violates unique constraint";
const LINE: &str = "a line has a transfer, and the first one an account";
const NEWEST: &str = "posted and seq are those of the newest line";
const NOT_NULL: &str = "violates not-null constraint";
const RANGE: &str = "bigint out of range";
const REFERRED: &str = "cannot truncate a table referenced in a foreign key constraint";
const SETTLEMENT: &str = "a settlement has a hold";
const TRANSFER: &str =
    "a transfer has accounts, a settlement if it is for a request, and gives back no more than what it reverses";

/// Tables whose rows are never changed or removed, their key, and their rule.
pub(super) const APPEND_ONLY: [(&str, &str, &str); 7] = [
    ("holds", "request_id", "holds is append-only"),
    ("settlements", "request_id", "settlements is append-only"),
    ("transfers", "id", "transfers is append-only"),
    ("lines", "transfer", "lines is append-only"),
    ("charges", "request_id", "charges is append-only"),
    ("prices", "version", "a price is never"),
    ("audit_log", "id", "audit_log is append-only"),
];

/// Rows that are in the way of another by one of its keys: table, the key, a column to overwrite the other by, the row.
pub(super) const COLLIDING: &[(&str, &str, &str, &str)] = &[
    ("accounts", "(id)", "kind", "(1001, 'customer', 0, 0, 0)"),
    ("accounts", "(id)", "kind", "(2, 'revenue', 0, 0, 0)"),
    ("holds", "(request_id)", "amount", "(:open, 1001, 1, :nobody, 0, 1)"),
    ("holds", "(request_id)", "account", "(:captured, 1002, 5000, :nobody, 0, 1)"),
    // A second settlement, of each kind after each other.
    ("settlements", "(request_id)", "outcome", "(:captured, 'voided', 0, 0)"),
    ("settlements", "(request_id)", "amount", "(:captured, 'captured', 2999, 0)"),
    ("settlements", "(request_id)", "outcome", "(:voided, 'captured', 5, 0)"),
    ("settlements", "(request_id)", "outcome", "(:voided, 'expired', 0, 0)"),
    // A second capture, payment, reversal and write-off.
    ("transfers", "(id)", "amount", "(:captured, 'capture', 1001, 2, 1, :captured, NULL, NULL, NULL, 0)"),
    (
        "transfers",
        "(credit, reference) WHERE reference IS NOT NULL",
        "amount",
        "(:new, 'top_up', 1, 1001, 5, NULL, NULL, 'the first payment', NULL, 0)",
    ),
    (
        "transfers",
        "(reverses) WHERE reverses IS NOT NULL",
        "amount",
        "(:new, 'reversal', 2, 1001, 4000, :reversed, :reversed, NULL, NULL, 0)",
    ),
    (
        "transfers",
        "(request_id) WHERE kind = 'write_off'",
        "amount",
        "(:new, 'write_off', 3, 2, 1, :written_off, NULL, NULL, NULL, 0)",
    ),
    (
        "transfers",
        "(credit, reference) WHERE reference IS NOT NULL",
        "amount",
        "(:new, 'top_up', 4, 1003, 500, NULL, NULL, 'code:1/1', NULL, 0)",
    ),
    (
        "transfers",
        "(reverses) WHERE reverses IS NOT NULL",
        "amount",
        "(:new, 'reversal', 1003, 1, 1, NULL, :paid, NULL, NULL, 0)",
    ),
    // By a line's number, its number and balance, and its transfer: of the same account, of another, at the right place.
    ("lines", "(account, seq)", "delta", "(1001, 4, :lineless, 4000, 3, 993000, 997000)"),
    ("lines", "(account, seq)", "delta", "(1001, 0, :lineless, 0, 0, 0, 0)"),
    ("lines", "(transfer)", "balance", "(1001, 5, :captured, -1, 4, 997000, 996999)"),
    ("lines", "(transfer)", "balance", "(1002, 3, :captured, 3000, 2, 0, 3000)"),
    ("charges", "(account, request_id)", "prompt_cost", "(1001, :captured, :charge_tail)"),
    ("prices", "(version)", "prompt", "(1, 'gpt-4', 1, 1, 1, '{}', 'estimate', 0)"),
    ("audit_log", "(id)", "actor", "(1, 0, 'key', 'x', NULL, NULL, 'x', NULL, 'x', NULL, NULL)"),
];

/// Single statements, and some that need one before.
pub(super) const SINGLE: &[(&str, &str)] = &[
    // lines.
    ("INSERT INTO lines VALUES (1001, 4, :lineless, 1, 3, 993000, 993001)", KEY),
    ("INSERT INTO lines VALUES (1001, 1, :lineless, 5, 0, 0, 5)", KEY),
    ("INSERT INTO lines VALUES (1001, 6, :lineless, -1, 4, 997000, 996999)", CHECK),
    ("INSERT INTO lines VALUES (1001, 6, :lineless, -1, 5, 997000, 996999)", CHAIN),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, 996000, 995999)", CHAIN),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 5, 996999, 996999)", CHECK),
    ("INSERT INTO lines VALUES (1002, 5, :lineless, -1, 4, 997000, 996999)", CHAIN),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, 997000, 997001)", CHECK),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, 0, 4, 997000, 997000)", CHECK),
    ("INSERT INTO lines VALUES (1001, -1, :lineless, -1, 4, 997000, 996999)", CHECK),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, 9223372036854775807, 4, 997000, 9223372036854775807)", RANGE),
    ("INSERT INTO lines VALUES (1002, 3, :lineless, -1, 2, 0, -1)", CHECK),
    (
        "INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, 997000, 996999), (1001, 5, :new, -2, 4, 997000, 996998)",
        KEY,
    ),
    ("INSERT INTO lines VALUES (9999, 0, :lineless, 0, 0, 0, 0)", LINE),
    ("INSERT INTO lines VALUES (9999, 1, :lineless, 5, 0, 0, 5)", CHAIN),
    ("INSERT INTO lines VALUES (2, 0, :lineless, 0, 0, 0, 0)", CHECK),
    ("INSERT INTO lines VALUES (NULL, 5, :lineless, -1, 4, 997000, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (NULL, 0, :lineless, 0, 0, 0, 0)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, NULL, :lineless, -1, 4, 997000, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5, NULL, -1, 4, 997000, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, NULL, 4, 997000, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, NULL, 997000, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, NULL, 996999)", NOT_NULL),
    ("INSERT INTO lines VALUES (1001, 5, :lineless, -1, 4, 997000, NULL)", NOT_NULL),
    // holds.
    ("INSERT INTO holds VALUES (:new, 2, 5, :nobody, 0, 1)", CHECK),
    ("INSERT INTO holds VALUES (:new, 1001, -5, :nobody, 0, 1)", CHECK),
    ("INSERT INTO holds VALUES ('\\x00', 1001, 5, :nobody, 0, 1)", CHECK),
    ("INSERT INTO holds VALUES (NULL, 1001, 5, :nobody, 0, 1)", NOT_NULL),
    // settlements.
    ("INSERT INTO settlements VALUES (:open, 'lost', 0, 0)", CHECK),
    ("INSERT INTO settlements VALUES (:open, NULL, 0, 0)", NOT_NULL),
    ("INSERT INTO settlements VALUES (:open, 'voided', 5, 0)", CHECK),
    ("INSERT INTO settlements VALUES (:open, 'captured', -5, 0)", CHECK),
    ("INSERT INTO settlements VALUES (:open, 'voided', 0, 0), (:open, 'expired', 0, 0)", KEY),
    // transfers.
    ("INSERT INTO transfers VALUES (:new, 'capture', 1001, 2, 1, :captured, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'capture', 1001, 2, 1, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:voided, 'capture', 1001, 1, 1, :voided, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:voided, 'capture', 1, 2, 1, :voided, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:voided, 'capture', 1001, 2, -1, :voided, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 0, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1001, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1002, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1, 2, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'opening', 1001, 1001, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'opening', 1, 1001, 0, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'opening', 1, 1, 0, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 2, 1001, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1, 1001, 3000, NULL, :captured, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1, 1003, 2000, NULL, :back, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1003, 4, -5, NULL, :given, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 4, 1003, 500, NULL, :back, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 2, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 3, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 5, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, :captured, :captured, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, 'gift', 1, 1001, 5, NULL, NULL, NULL, NULL, 0)", CHECK),
    ("INSERT INTO transfers VALUES (:new, NULL, 1, 1001, 5, NULL, NULL, NULL, NULL, 0)", NOT_NULL),
    // charges.
    ("INSERT INTO charges VALUES (1002, :captured, :charge_tail)", CHARGE),
    ("INSERT INTO charges VALUES (1001, :new, :charge_tail)", CHARGE),
    // accounts.
    ("UPDATE accounts SET posted = posted + 1 WHERE id = 1001", NEWEST),
    ("UPDATE accounts SET seq = seq + 1 WHERE id = 1001", NEWEST),
    ("UPDATE accounts SET posted = 993000, seq = 3 WHERE id = 1001", NEWEST),
    ("UPDATE accounts SET posted = 0, seq = 0", CHECK),
    ("UPDATE accounts SET posted = NULL WHERE id = 1001", NOT_NULL),
    ("UPDATE accounts SET held = posted + 1 WHERE id = 1001", CHECK),
    ("UPDATE accounts SET held = -1 WHERE id = 1001", CHECK),
    ("UPDATE accounts SET held = NULL WHERE id = 1001", NOT_NULL),
    ("INSERT INTO accounts VALUES (1004, 'customer', 5, 0, 0)", ACCOUNT),
    ("INSERT INTO accounts VALUES (1004, 'customer', 0, 0, 1)", ACCOUNT),
    ("INSERT INTO accounts VALUES (1004, 'customer', 5, 5, 0)", ACCOUNT),
    ("INSERT INTO accounts VALUES (6, 'customer', 0, 0, 0)", CHECK),
    ("INSERT INTO accounts VALUES (1004, 'cash', 0, 0, 0)", CHECK),
    ("INSERT INTO accounts VALUES (6, 'gift', 0, 0, 0)", CHECK),
    ("INSERT INTO accounts VALUES (NULL, 'customer', 0, 0, 0)", NOT_NULL),
    ("DELETE FROM accounts", ACCOUNT),
    ("DELETE FROM accounts WHERE id = 1002", ACCOUNT),
    ("DELETE FROM accounts WHERE id = 4", ACCOUNT),
    ("UPDATE accounts SET id = 1004 WHERE id = 1002", ACCOUNT),
    ("UPDATE accounts SET kind = 'cash' WHERE id = 2", ACCOUNT),
    ("UPDATE accounts SET id = 6, kind = 'cash', posted = 0, seq = 0 WHERE id = 1002", ACCOUNT),
    ("UPDATE accounts SET posted = 5 WHERE id = 2", CHECK),
    ("UPDATE accounts SET posted = 5, held = 5 WHERE id = 2", CHECK),
    ("UPDATE accounts SET seq = 1 WHERE id = 1", CHECK),
    ("INSERT INTO accounts VALUES (6, 'cash', 5, 0, 0)", ACCOUNT),
    // prices.
    ("INSERT INTO prices VALUES (2, 'gpt-4', -1, 0, 0, '{}', 'estimate', 0)", CHECK),
    ("INSERT INTO prices VALUES (NULL, 'gpt-4', 1, 0, 0, '{}', 'estimate', 0)", NOT_NULL),
    // What nobody did, or somebody who has no account.
    ("INSERT INTO audit_log VALUES (2, 0, 'nobody', 'x', NULL, NULL, 'x', NULL, 'x', NULL, NULL)", CHECK),
    ("INSERT INTO audit_log VALUES (2, 0, 'staff', 'x', NULL, NULL, 'x', NULL, 'x', NULL, NULL)", CHECK),
    ("INSERT INTO audit_log VALUES (2, 0, 'service', 'x', 7, NULL, 'x', NULL, 'x', NULL, NULL)", CHECK),
    // Numbers and words out of their ranges.
    (
        "INSERT INTO charges VALUES (1001, :voided, '0123456789AB', 'chat', 'gpt-4', NULL, 1, 'guess', 0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, 0, FALSE, 0)",
        CHECK,
    ),
    (
        "INSERT INTO charges VALUES (1001, :voided, '0123456789AB', 'chat', 'gpt-4', NULL, 1, 'estimate', 0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, 0, 0, 0, -1, 1, 0, 0, FALSE, 0)",
        CHECK,
    ),
    (
        "INSERT INTO charges VALUES (1001, :voided, '0123456789AB', 'chat', 'gpt-4', NULL, 1, 'estimate', 0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, -1, 0, 0, FALSE, 0)",
        CHECK,
    ),
    (
        "INSERT INTO charges VALUES (1001, :voided, '0123456789AB', 'chat', 'gpt-4', NULL, 1, 'estimate', 0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, -1, 0, FALSE, 0)",
        CHECK,
    ),
    (
        "INSERT INTO charges VALUES (1001, :voided, '0123456789AB', 'chat', 'gpt-4', NULL, 1, 'estimate', 0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, -1, FALSE, 0)",
        CHECK,
    ),
    ("INSERT INTO holds VALUES (:new, 1001, 5, '\\x00', 0, 1)", CHECK),
    ("INSERT INTO transfers VALUES ('\\x00', 'top_up', 1, 1001, 5, NULL, NULL, 'r', NULL, 0)", CHECK),
    ("INSERT INTO prices VALUES (2, 'gpt-4', 0, -1, 0, '{}', 'estimate', 0)", CHECK),
    ("INSERT INTO prices VALUES (2, 'gpt-4', 0, 0, -1, '{}', 'estimate', 0)", CHECK),
    ("INSERT INTO prices VALUES (2, 'gpt-4', 0, 0, 0, '{}', 'guess', 0)", CHECK),
    // What a statement refers to is there.
    ("INSERT INTO holds VALUES (:new, 9999, 5, :nobody, 0, 1)", HOLD),
    ("INSERT INTO settlements VALUES (:new, 'voided', 0, 0)", SETTLEMENT),
    ("INSERT INTO settlements VALUES (:new, 'captured', 0, 0)", SETTLEMENT),
    ("INSERT INTO transfers VALUES (:new, 'top_up', 1, 9999, 5, NULL, NULL, 'r', NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'opening', 9999, 9999, 0, NULL, NULL, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:voided, 'capture', 9999, 2, 5, :voided, NULL, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:open, 'capture', 1001, 2, 5, :open, NULL, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, :open, NULL, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 2, 1001, 5, NULL, :nobody, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 2, 9999, 5, NULL, :captured, NULL, NULL, 0)", TRANSFER),
    // More given back than was moved, less of a capture, and another way than it came.
    ("INSERT INTO transfers VALUES (:new, 'reversal', 2, 1001, 3001, :captured, :captured, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 2, 1001, 2999, :captured, :captured, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 2, 1002, 3000, :captured, :captured, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1003, 4, 501, NULL, :given, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1003, 1, 500, NULL, :given, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 1001, 4, 500, NULL, :given, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO transfers VALUES (:new, 'reversal', 2, 1003, 500, NULL, :given, NULL, NULL, 0)", TRANSFER),
    ("INSERT INTO lines VALUES (1001, 5, :new, -1, 4, 997000, 996999)", LINE),
    ("INSERT INTO charges VALUES (1001, :open, :charge_tail)", CHARGE),
    // One of many in a statement that is right otherwise.
    (
        "INSERT INTO holds SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), CASE n WHEN 77 THEN 9999 ELSE 1001 END, 5, :nobody, 0, 1 FROM generate_series(1, 100) n",
        HOLD,
    ),
    ("INSERT INTO settlements VALUES (:open, 'voided', 0, 0), (:new, 'voided', 0, 0)", SETTLEMENT),
    (
        "WITH h AS (INSERT INTO holds VALUES (:new, 1002, 5, :nobody, 0, 1)), s AS (INSERT INTO settlements VALUES (:new, 'captured', 0, 0)) INSERT INTO charges VALUES (1001, :new, :charge_tail)",
        CHARGE,
    ),
    (
        "WITH t AS (INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 5, NULL, NULL, 'r', NULL, 0)), l AS (INSERT INTO lines VALUES (1001, 5, :new, 5, 4, 997000, 997005)) UPDATE accounts SET posted = 997006, seq = 5 WHERE id = 1001",
        NEWEST,
    ),
    // Other ways to write.
    (
        "MERGE INTO accounts a USING (VALUES (1001)) v (id) ON a.id = v.id WHEN MATCHED THEN UPDATE SET posted = a.posted + 1",
        NEWEST,
    ),
    ("MERGE INTO accounts a USING (VALUES (1001)) v (id) ON a.id = v.id WHEN MATCHED THEN DELETE", ACCOUNT),
    (
        "MERGE INTO settlements s USING (VALUES (1)) v (id) ON FALSE WHEN NOT MATCHED THEN INSERT VALUES (:voided, 'captured', 5, 0)",
        KEY,
    ),
    (
        "MERGE INTO settlements s USING (VALUES (1)) v (id) ON FALSE WHEN NOT MATCHED THEN INSERT VALUES (:new, 'captured', 5, 0)",
        SETTLEMENT,
    ),
    (
        "INSERT INTO accounts VALUES (1001, 'customer', 0, 0, 0) ON CONFLICT (id) DO UPDATE SET posted = accounts.posted + 1",
        NEWEST,
    ),
    ("UPDATE ONLY accounts SET posted = posted + 1 WHERE id = 1001", NEWEST),
    ("TRUNCATE accounts", REFERRED),
    ("TRUNCATE accounts CASCADE", ACCOUNT),
    ("TRUNCATE tenants, accounts", REFERRED),
    ("TRUNCATE accounts RESTART IDENTITY CASCADE", ACCOUNT),
    // Tables of one's own in front of the real ones.
    (
        "CREATE TEMPORARY TABLE accounts (id BIGINT, kind TEXT, posted BIGINT, held BIGINT, seq BIGINT); INSERT INTO accounts VALUES (9999, 'customer', 0, 0, 0); INSERT INTO public.holds VALUES (:new, 9999, 5, :nobody, 0, 1)",
        HOLD,
    ),
    (
        "CREATE TEMPORARY TABLE holds (request_id BYTEA); INSERT INTO holds VALUES (:new); INSERT INTO public.settlements VALUES (:new, 'voided', 0, 0)",
        SETTLEMENT,
    ),
    (
        "CREATE TEMPORARY TABLE settlements (request_id BYTEA); INSERT INTO settlements VALUES (:open); INSERT INTO transfers VALUES (:open, 'capture', 1001, 2, 5, :open, NULL, NULL, NULL, 0)",
        TRANSFER,
    ),
    (
        "CREATE TEMPORARY TABLE transfers (id BYTEA); INSERT INTO transfers VALUES (:new); INSERT INTO public.lines VALUES (1001, 5, :new, -1, 4, 997000, 996999)",
        LINE,
    ),
    (
        "CREATE TEMPORARY TABLE holds (request_id BYTEA, account BIGINT); INSERT INTO holds VALUES (:captured, 1002); INSERT INTO charges VALUES (1002, :captured, :charge_tail)",
        CHARGE,
    ),
    (
        "CREATE TEMPORARY TABLE lines (account BIGINT, seq BIGINT, balance BIGINT); INSERT INTO lines VALUES (1001, 9, 5); UPDATE accounts SET posted = 5, seq = 9, held = 0 WHERE id = 1001",
        NEWEST,
    ),
    (
        "CREATE TEMPORARY TABLE transfers (id BYTEA, kind TEXT, debit BIGINT, credit BIGINT, amount BIGINT); INSERT INTO transfers VALUES (:given, 'top_up', 4, 1003, 900); INSERT INTO public.transfers VALUES (:new, 'reversal', 1003, 4, 900, NULL, :given, NULL, NULL, 0)",
        TRANSFER,
    ),
    // An operator of one's own in front of the real one.
    (
        "CREATE SCHEMA evil; CREATE FUNCTION evil.yes(BIGINT, BIGINT) RETURNS BOOLEAN LANGUAGE sql AS 'SELECT TRUE'; CREATE OPERATOR evil.> (FUNCTION = evil.yes, LEFTARG = BIGINT, RIGHTARG = BIGINT); SET LOCAL search_path = evil, pg_catalog, public; INSERT INTO transfers VALUES (:new, 'reversal', 1003, 4, 900, NULL, :given, NULL, NULL, 0)",
        TRANSFER,
    ),
    (
        "CREATE SCHEMA evil; CREATE FUNCTION evil.yes(BIGINT, BIGINT) RETURNS BOOLEAN LANGUAGE sql AS 'SELECT TRUE'; CREATE OPERATOR evil.= (FUNCTION = evil.yes, LEFTARG = BIGINT, RIGHTARG = BIGINT); SET LOCAL search_path = evil, pg_catalog, public; UPDATE accounts SET posted = 5, held = 0 WHERE id = 1001",
        NEWEST,
    ),
];
