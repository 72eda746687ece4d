-- The ledger: append-only double entry. Amounts are whole numbers of 1e-9 of the currency, times are Unix milliseconds, request and
-- transfer ids are time-ordered 16-byte values. The same tables as on SQLite, with what this engine has of its own: a chain of foreign
-- keys needs no trigger here, since two unique keys cost less, and TRUNCATE is refused beside UPDATE and DELETE.

-- House accounts (below 1000) are names only: their balance is the sum of their transfers. A customer's account is its tenant's.
-- Every call changes its customer's row twice; room in each page lets the new version stand beside the old one, without new index entries.
CREATE TABLE accounts (
    id     BIGINT NOT NULL PRIMARY KEY,
    kind   TEXT   NOT NULL CHECK (kind IN ('customer', 'cash', 'revenue', 'write_off', 'promotion', 'adjustment')),
    posted BIGINT NOT NULL DEFAULT 0,
    held   BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    seq    BIGINT NOT NULL DEFAULT 0 CHECK (seq >= 0),
    CHECK (posted - held >= 0),
    CHECK ((kind = 'customer') = (id > 1000)),
    CHECK (kind = 'customer' OR (posted = 0 AND held = 0 AND seq = 0))
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);

-- Money set aside for one request before anything is asked of a provider.
CREATE TABLE holds (
    request_id    BYTEA  NOT NULL PRIMARY KEY CHECK (octet_length(request_id) = 16),
    account       BIGINT NOT NULL REFERENCES accounts (id) CHECK (account > 1000),
    amount        BIGINT NOT NULL CHECK (amount >= 0),
    owner         BYTEA  NOT NULL CHECK (octet_length(owner) = 16),
    expires_at    BIGINT NOT NULL,
    price_version BIGINT NOT NULL
);

-- How a hold ended. The primary key allows one end.
CREATE TABLE settlements (
    request_id BYTEA  NOT NULL PRIMARY KEY REFERENCES holds (request_id),
    outcome    TEXT   NOT NULL CHECK (outcome IN ('captured', 'voided', 'expired')),
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    settled_at BIGINT NOT NULL,
    CHECK (outcome = 'captured' OR amount = 0)
);

-- Double entry: `amount` moves from `debit` to `credit`. A capture's id is its request's, so there is one a request.
CREATE TABLE transfers (
    id         BYTEA  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    kind       TEXT   NOT NULL,
    debit      BIGINT NOT NULL REFERENCES accounts (id),
    credit     BIGINT NOT NULL REFERENCES accounts (id),
    amount     BIGINT NOT NULL,
    request_id BYTEA  REFERENCES settlements (request_id),
    reverses   BYTEA  REFERENCES transfers (id),
    reference  TEXT,
    note       TEXT,
    created_at BIGINT NOT NULL,
    CHECK ((kind = 'opening' AND amount = 0 AND debit = credit) OR (kind <> 'opening' AND amount > 0 AND debit <> credit)),
    CHECK (CASE kind
           WHEN 'capture'   THEN debit > 1000 AND credit = 2
           WHEN 'top_up'    THEN debit = 1 AND credit > 1000
           WHEN 'write_off' THEN debit = 3 AND credit = 2
           WHEN 'reversal'  THEN debit = 2 AND (credit > 1000 OR credit = 3)
           WHEN 'opening'   THEN debit > 1000
           ELSE FALSE END),
    CHECK (kind <> 'capture' OR (request_id IS NOT NULL AND id = request_id)),
    CHECK (kind <> 'write_off' OR request_id IS NOT NULL),
    CHECK ((kind = 'reversal') = (reverses IS NOT NULL)),
    CHECK ((kind = 'top_up') = (reference IS NOT NULL))
);
CREATE UNIQUE INDEX transfers_reverses ON transfers (reverses) WHERE reverses IS NOT NULL;
CREATE UNIQUE INDEX transfers_reference ON transfers (credit, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX transfers_write_off ON transfers (request_id) WHERE kind = 'write_off';

-- A customer's side of a transfer. Each line names the line before it by account, number and balance, so a balance cannot be
-- altered without altering every line after it, which nothing can. Line 0 (all zero) names itself.
CREATE TABLE lines (
    account      BIGINT NOT NULL CHECK (account > 1000),
    seq          BIGINT NOT NULL,
    transfer     BYTEA  NOT NULL UNIQUE REFERENCES transfers (id),
    delta        BIGINT NOT NULL,
    prev_seq     BIGINT NOT NULL,
    prev_balance BIGINT NOT NULL,
    balance      BIGINT NOT NULL CHECK (balance >= 0),
    PRIMARY KEY (account, seq),
    UNIQUE (account, seq, balance),
    FOREIGN KEY (account, prev_seq, prev_balance) REFERENCES lines (account, seq, balance),
    CHECK (balance = prev_balance + delta),
    CHECK ((seq = 0 AND prev_seq = 0 AND prev_balance = 0 AND delta = 0) OR (seq > 0 AND seq = prev_seq + 1 AND delta <> 0))
);

-- The arithmetic of a captured request, so that every charge can be recomputed by hand.
CREATE TABLE charges (
    account               BIGINT  NOT NULL,
    request_id            BYTEA   NOT NULL PRIMARY KEY,
    key_id                TEXT    NOT NULL,
    endpoint              TEXT    NOT NULL,
    model                 TEXT    NOT NULL,
    end_user              TEXT,
    price_version         BIGINT  NOT NULL,
    basis                 TEXT    NOT NULL CHECK (basis IN ('estimate', 'upstream')),
    prompt_hanzi          BIGINT  NOT NULL,
    prompt_words          BIGINT  NOT NULL,
    prompt_tokens         BIGINT  NOT NULL,
    completion_hanzi      BIGINT  NOT NULL,
    completion_words      BIGINT  NOT NULL,
    completion_tokens     BIGINT  NOT NULL,
    upstream_prompt       BIGINT,
    upstream_completion   BIGINT,
    images                BIGINT  NOT NULL,
    image_size            TEXT,
    prompt_price          BIGINT  NOT NULL,
    completion_price      BIGINT  NOT NULL,
    image_price           BIGINT  NOT NULL,
    prompt_cost           BIGINT  NOT NULL CHECK (prompt_cost >= 0),
    completion_cost       BIGINT  NOT NULL CHECK (completion_cost >= 0),
    image_cost            BIGINT  NOT NULL CHECK (image_cost >= 0),
    written_off           BIGINT  NOT NULL CHECK (written_off >= 0),
    finished_early        BOOLEAN NOT NULL,
    charged_at            BIGINT  NOT NULL
);
CREATE INDEX charges_account ON charges (account, request_id);

INSERT INTO accounts (id, kind) VALUES (1, 'cash'), (2, 'revenue'), (3, 'write_off'), (4, 'promotion'), (5, 'adjustment');

-- Nothing here is ever changed or removed.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER holds_no_change BEFORE UPDATE OR DELETE ON holds FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER holds_no_truncate BEFORE TRUNCATE ON holds EXECUTE FUNCTION refuse_change();
CREATE TRIGGER settlements_no_change BEFORE UPDATE OR DELETE ON settlements FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER settlements_no_truncate BEFORE TRUNCATE ON settlements EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfers_no_change BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfers_no_truncate BEFORE TRUNCATE ON transfers EXECUTE FUNCTION refuse_change();
CREATE TRIGGER lines_no_change BEFORE UPDATE OR DELETE ON lines FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER lines_no_truncate BEFORE TRUNCATE ON lines EXECUTE FUNCTION refuse_change();
CREATE TRIGGER charges_no_change BEFORE UPDATE OR DELETE ON charges FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER charges_no_truncate BEFORE TRUNCATE ON charges EXECUTE FUNCTION refuse_change();

-- A charge belongs to a settled request of the same account. One look for both, where two foreign keys would be two looks and one
-- more index; what it looks at can never change afterwards. (The settlement may come in the same statement, so this runs at its end.)
CREATE FUNCTION check_charge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM holds h JOIN settlements s ON s.request_id = h.request_id
                   WHERE h.request_id = NEW.request_id AND h.account = NEW.account) THEN
        RAISE EXCEPTION 'this request is not settled, or its hold is on another account';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER charges_belong AFTER INSERT ON charges FOR EACH ROW EXECUTE FUNCTION check_charge();

-- Line 0 belongs to an account that is there; every later one leads back to it.
CREATE FUNCTION check_first_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM accounts WHERE id = NEW.account) THEN
        RAISE EXCEPTION 'this line has no account';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER lines_first AFTER INSERT ON lines FOR EACH ROW WHEN (NEW.seq = 0) EXECUTE FUNCTION check_first_line();

-- A balance is what the newest line says, and nothing else can set it.
CREATE FUNCTION check_newest_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM (SELECT seq, balance FROM lines WHERE account = NEW.id ORDER BY seq DESC LIMIT 1) newest
                   WHERE newest.seq = NEW.seq AND newest.balance = NEW.posted) THEN
        RAISE EXCEPTION 'posted and seq are those of the newest line';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER accounts_posted_is_newest_line AFTER UPDATE ON accounts FOR EACH ROW
    WHEN (NEW.kind = 'customer' AND (OLD.posted <> NEW.posted OR OLD.seq <> NEW.seq)) EXECUTE FUNCTION check_newest_line();

CREATE FUNCTION refuse_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an account keeps its id and kind, starts with nothing and is never removed';
END $$;
CREATE TRIGGER accounts_identity BEFORE UPDATE ON accounts FOR EACH ROW
    WHEN (OLD.id <> NEW.id OR OLD.kind <> NEW.kind) EXECUTE FUNCTION refuse_account();
CREATE TRIGGER accounts_no_delete BEFORE DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION refuse_account();
CREATE TRIGGER accounts_no_truncate BEFORE TRUNCATE ON accounts EXECUTE FUNCTION refuse_account();
CREATE TRIGGER accounts_start_empty BEFORE INSERT ON accounts FOR EACH ROW
    WHEN (NEW.posted <> 0 OR NEW.held <> 0 OR NEW.seq <> 0) EXECUTE FUNCTION refuse_account();
