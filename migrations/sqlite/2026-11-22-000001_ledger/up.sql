-- The ledger: append-only double entry. Amounts are 1e-9 of the currency, times are milliseconds since 1970 (UTC).
-- What a constraint can refuse, a constraint refuses; triggers do the rest, so that no program and no hand can break it
-- by accident. `accounts` is the only table here whose rows change. STRICT keeps texts and fractions out of the numbers
-- (an INTEGER has 64 bits), WITHOUT ROWID leaves no hidden key by which a row could be replaced. Words are checked with OR or
-- CASE: SQLite fills a temporary table for each row that is checked with IN and more than two words.

-- House accounts (below 1000) are names only: their balance is the sum of their transfers. A customer's account is its tenant's.
CREATE TABLE accounts (
    id     INTEGER NOT NULL PRIMARY KEY,
    kind   TEXT    NOT NULL CHECK (kind IN ('customer', 'cash', 'revenue', 'write_off', 'promotion', 'adjustment')),
    posted INTEGER NOT NULL DEFAULT 0,
    held   INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    seq    INTEGER NOT NULL DEFAULT 0 CHECK (seq >= 0),
    CHECK (posted - held >= 0),
    CHECK ((kind = 'customer') = (id > 1000)),
    CHECK (kind = 'customer' OR (posted = 0 AND held = 0 AND seq = 0))
) STRICT, WITHOUT ROWID;

-- Money set aside for one request before anything is asked of a provider.
CREATE TABLE holds (
    request_id    BLOB    NOT NULL PRIMARY KEY CHECK (length(request_id) = 16),
    account       INTEGER NOT NULL REFERENCES accounts (id) CHECK (account > 1000),
    amount        INTEGER NOT NULL CHECK (amount >= 0),
    owner         BLOB    NOT NULL CHECK (length(owner) = 16),
    expires_at    INTEGER NOT NULL,
    price_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How a hold ended. The primary key allows one end.
CREATE TABLE settlements (
    request_id BLOB    NOT NULL PRIMARY KEY REFERENCES holds (request_id),
    outcome    TEXT    NOT NULL CHECK (outcome = 'captured' OR outcome = 'voided' OR outcome = 'expired'),
    amount     INTEGER NOT NULL CHECK (amount >= 0),
    settled_at INTEGER NOT NULL,
    CHECK (outcome = 'captured' OR amount = 0)
) STRICT, WITHOUT ROWID;

-- Double entry: `amount` moves from `debit` to `credit`. A capture's id is its request's, so there is one a request. A top-up comes from
-- cash, or from promotion where a code was redeemed. A reversal goes the other way between the same accounts: all of a capture or of its
-- write-off, and of a top-up what is left of it.
CREATE TABLE transfers (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind       TEXT    NOT NULL,
    debit      INTEGER NOT NULL REFERENCES accounts (id),
    credit     INTEGER NOT NULL REFERENCES accounts (id),
    amount     INTEGER NOT NULL,
    request_id BLOB    REFERENCES settlements (request_id),
    reverses   BLOB    REFERENCES transfers (id),
    reference  TEXT,
    note       TEXT,
    created_at INTEGER NOT NULL,
    CHECK ((kind = 'opening' AND amount = 0 AND debit = credit) OR (kind <> 'opening' AND amount > 0 AND debit <> credit)),
    CHECK (CASE kind
           WHEN 'capture'   THEN debit > 1000 AND credit = 2
           WHEN 'top_up'    THEN (debit = 1 OR debit = 4) AND credit > 1000
           WHEN 'write_off' THEN debit = 3 AND credit = 2
           WHEN 'reversal'  THEN (debit = 2 AND (credit > 1000 OR credit = 3)) OR (debit > 1000 AND (credit = 1 OR credit = 4))
           WHEN 'opening'   THEN debit > 1000
           ELSE FALSE END),
    CHECK (kind <> 'capture' OR (request_id IS NOT NULL AND id = request_id)),
    CHECK (kind <> 'write_off' OR request_id IS NOT NULL),
    CHECK ((kind = 'reversal') = (reverses IS NOT NULL)),
    CHECK ((kind = 'top_up') = (reference IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX transfers_reverses ON transfers (reverses) WHERE reverses IS NOT NULL;
CREATE UNIQUE INDEX transfers_reference ON transfers (credit, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX transfers_write_off ON transfers (request_id) WHERE kind = 'write_off';
-- The list of top-ups, newest first, with what it is searched by.
CREATE INDEX transfers_top_ups ON transfers (created_at, id, credit, reference) WHERE reference IS NOT NULL;

-- A customer's side of a transfer. Each line names the line before it by account, number and balance, so a balance cannot be
-- altered without altering every line after it, which nothing can. Line 0 (all zero) names itself. The key has the balance in it
-- because the chain refers to it; that a number is there once is what the trigger `lines_chain` sees to.
CREATE TABLE lines (
    account      INTEGER NOT NULL CHECK (account > 1000),
    seq          INTEGER NOT NULL,
    transfer     BLOB    NOT NULL REFERENCES transfers (id),
    delta        INTEGER NOT NULL,
    prev_seq     INTEGER NOT NULL,
    prev_balance INTEGER NOT NULL,
    balance      INTEGER NOT NULL CHECK (balance >= 0),
    PRIMARY KEY (account, seq, balance),
    UNIQUE (transfer),
    FOREIGN KEY (account, prev_seq, prev_balance) REFERENCES lines (account, seq, balance),
    CHECK (balance = prev_balance + delta),
    CHECK ((seq = 0 AND prev_seq = 0 AND prev_balance = 0 AND delta = 0) OR (seq > 0 AND seq = prev_seq + 1 AND delta <> 0))
) STRICT, WITHOUT ROWID;

-- The arithmetic of a captured request, so that every charge can be recomputed by hand.
CREATE TABLE charges (
    account               INTEGER NOT NULL,
    request_id            BLOB    NOT NULL REFERENCES settlements (request_id),
    key_id                TEXT    NOT NULL,
    endpoint              TEXT    NOT NULL,
    model                 TEXT    NOT NULL,
    end_user              TEXT,
    price_version         INTEGER NOT NULL,
    basis                 TEXT    NOT NULL CHECK (basis IN ('estimate', 'upstream')),
    prompt_hanzi          INTEGER NOT NULL,
    prompt_words          INTEGER NOT NULL,
    prompt_tokens         INTEGER NOT NULL,
    completion_hanzi      INTEGER NOT NULL,
    completion_words      INTEGER NOT NULL,
    completion_tokens     INTEGER NOT NULL,
    upstream_prompt       INTEGER,
    upstream_completion   INTEGER,
    images                INTEGER NOT NULL,
    image_size            TEXT,
    prompt_price          INTEGER NOT NULL,
    completion_price      INTEGER NOT NULL,
    image_price           INTEGER NOT NULL,
    prompt_cost           INTEGER NOT NULL CHECK (prompt_cost >= 0),
    completion_cost       INTEGER NOT NULL CHECK (completion_cost >= 0),
    image_cost            INTEGER NOT NULL CHECK (image_cost >= 0),
    written_off           INTEGER NOT NULL CHECK (written_off >= 0),
    finished_early        INTEGER NOT NULL CHECK (finished_early IN (0, 1)),
    charged_at            INTEGER NOT NULL,
    PRIMARY KEY (request_id)
) STRICT, WITHOUT ROWID;
-- Beside the key, not in it: rows of this size in the order of accounts would touch another page for every charge.
CREATE INDEX charges_account ON charges (account, request_id);

INSERT INTO accounts (id, kind) VALUES (1, 'cash'), (2, 'revenue'), (3, 'write_off'), (4, 'promotion'), (5, 'adjustment');

-- Nothing here is ever changed or removed.
CREATE TRIGGER holds_no_update BEFORE UPDATE ON holds BEGIN SELECT RAISE(ABORT, 'holds is append-only'); END;
CREATE TRIGGER holds_no_delete BEFORE DELETE ON holds BEGIN SELECT RAISE(ABORT, 'holds is append-only'); END;
CREATE TRIGGER settlements_no_update BEFORE UPDATE ON settlements BEGIN SELECT RAISE(ABORT, 'settlements is append-only'); END;
CREATE TRIGGER settlements_no_delete BEFORE DELETE ON settlements BEGIN SELECT RAISE(ABORT, 'settlements is append-only'); END;
CREATE TRIGGER transfers_no_update BEFORE UPDATE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers is append-only'); END;
CREATE TRIGGER transfers_no_delete BEFORE DELETE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers is append-only'); END;
CREATE TRIGGER lines_no_update BEFORE UPDATE ON lines BEGIN SELECT RAISE(ABORT, 'lines is append-only'); END;
CREATE TRIGGER lines_no_delete BEFORE DELETE ON lines BEGIN SELECT RAISE(ABORT, 'lines is append-only'); END;
CREATE TRIGGER charges_no_update BEFORE UPDATE ON charges BEGIN SELECT RAISE(ABORT, 'charges is append-only'); END;
CREATE TRIGGER charges_no_delete BEFORE DELETE ON charges BEGIN SELECT RAISE(ABORT, 'charges is append-only'); END;

-- INSERT OR REPLACE removes the row in its way without firing a delete trigger, so an existing key is refused before the insert.
CREATE TRIGGER holds_no_replace BEFORE INSERT ON holds
    WHEN EXISTS (SELECT 1 FROM holds WHERE request_id = NEW.request_id)
    BEGIN SELECT RAISE(ABORT, 'this request has a hold'); END;
CREATE TRIGGER settlements_no_replace BEFORE INSERT ON settlements
    WHEN EXISTS (SELECT 1 FROM settlements WHERE request_id = NEW.request_id)
    BEGIN SELECT RAISE(ABORT, 'this request is settled'); END;
CREATE TRIGGER transfers_no_replace BEFORE INSERT ON transfers
    WHEN EXISTS (SELECT 1 FROM transfers WHERE id = NEW.id)
      OR (NEW.reverses IS NOT NULL AND (EXISTS (SELECT 1 FROM transfers WHERE reverses = NEW.reverses)
          OR NOT EXISTS (SELECT 1 FROM transfers WHERE id = NEW.reverses AND debit = NEW.credit AND credit = NEW.debit
                         AND (amount = NEW.amount OR (kind = 'top_up' AND amount > NEW.amount)))))
      OR (NEW.reference IS NOT NULL AND EXISTS (SELECT 1 FROM transfers WHERE credit = NEW.credit AND reference = NEW.reference))
      OR (NEW.kind = 'write_off' AND EXISTS (SELECT 1 FROM transfers WHERE kind = 'write_off' AND request_id = NEW.request_id))
    BEGIN SELECT RAISE(ABORT, 'this transfer exists, or it does not give back what it reverses'); END;
-- The audit comes from the hold: a charge on another account would be seen only by the one who reads that account's usage.
CREATE TRIGGER charges_no_replace BEFORE INSERT ON charges
    WHEN EXISTS (SELECT 1 FROM charges WHERE request_id = NEW.request_id)
      OR NOT EXISTS (SELECT 1 FROM holds WHERE request_id = NEW.request_id AND account = NEW.account)
    BEGIN SELECT RAISE(ABORT, 'this charge exists, or the hold of its request is on another account'); END;
-- A line follows the newest one of its account; the first belongs to an account that is there.
CREATE TRIGGER lines_chain BEFORE INSERT ON lines
    WHEN CASE WHEN NEW.seq = 0
         THEN EXISTS (SELECT 1 FROM lines WHERE account = NEW.account) OR NOT EXISTS (SELECT 1 FROM accounts WHERE id = NEW.account)
         ELSE (NEW.prev_seq, NEW.prev_balance) IS NOT (SELECT seq, balance FROM lines WHERE account = NEW.account ORDER BY seq DESC LIMIT 1)
         END
      OR EXISTS (SELECT 1 FROM lines WHERE transfer = NEW.transfer)
    BEGIN SELECT RAISE(ABORT, 'this line does not follow the newest one, or its transfer has a line'); END;

-- A balance is what the newest line says, and nothing else can set it.
CREATE TRIGGER accounts_posted_is_newest_line BEFORE UPDATE OF posted, seq ON accounts
    WHEN NEW.kind = 'customer'
     AND (NEW.seq, NEW.posted) IS NOT (SELECT seq, balance FROM lines WHERE account = NEW.id ORDER BY seq DESC LIMIT 1)
    BEGIN SELECT RAISE(ABORT, 'posted and seq are those of the newest line'); END;
CREATE TRIGGER accounts_identity BEFORE UPDATE OF id, kind ON accounts
    BEGIN SELECT RAISE(ABORT, 'an account keeps its id and kind'); END;
CREATE TRIGGER accounts_no_delete BEFORE DELETE ON accounts BEGIN SELECT RAISE(ABORT, 'accounts are never removed'); END;
CREATE TRIGGER accounts_no_replace BEFORE INSERT ON accounts
    WHEN EXISTS (SELECT 1 FROM accounts WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'this account exists'); END;
CREATE TRIGGER accounts_start_empty BEFORE INSERT ON accounts
    WHEN NEW.posted <> 0 OR NEW.held <> 0 OR NEW.seq <> 0
    BEGIN SELECT RAISE(ABORT, 'an account starts with nothing'); END;
