-- The ledger: append-only double entry. Amounts are whole numbers of 1e-9 of the currency, times are Unix milliseconds, request and
-- transfer ids are time-ordered 16-byte values. The same tables as on SQLite, with what this engine has of its own: TRUNCATE is refused
-- beside UPDATE and DELETE, and a fork of the chain by a unique key instead of a trigger.
--
-- Which row refers to which is checked once a statement, by the triggers at the end: a foreign key would look at each row by itself and
-- lock what it finds, for a third of all the time that a charge takes. Nothing that is referred to here can ever change or vanish, so a
-- look is as good as a lock. Only the chain of `lines` is a foreign key; it is the proof, and stands by itself.

-- House accounts (below 1000) are names only: their balance is the sum of their transfers. A customer's account is its tenant's.
-- Every call changes its customer's row twice; room in each page lets the new version stand beside the old one, without new index entries.
CREATE TABLE accounts (
    id     BIGINT NOT NULL PRIMARY KEY,
    kind   TEXT   NOT NULL CHECK (kind IN ('customer', 'cash', 'revenue', 'write_off', 'promotion', 'adjustment')),
    posted BIGINT NOT NULL DEFAULT 0,
    held   BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    seq    BIGINT NOT NULL DEFAULT 0,
    CHECK (posted - held >= 0),
    CHECK ((kind = 'customer') = (id > 1000)),
    CHECK (kind = 'customer' OR (posted = 0 AND held = 0 AND seq = 0))
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);

-- Money set aside for one request before anything is asked of a provider. `account` refers to `accounts`.
CREATE TABLE holds (
    request_id    BYTEA  NOT NULL PRIMARY KEY CHECK (octet_length(request_id) = 16),
    account       BIGINT NOT NULL CHECK (account > 1000),
    amount        BIGINT NOT NULL CHECK (amount >= 0),
    owner         BYTEA  NOT NULL CHECK (octet_length(owner) = 16),
    expires_at    BIGINT NOT NULL,
    price_version BIGINT NOT NULL
);

-- How a hold ended. The primary key allows one end. `request_id` refers to `holds`.
CREATE TABLE settlements (
    request_id BYTEA  NOT NULL PRIMARY KEY,
    outcome    TEXT   NOT NULL CHECK (outcome IN ('captured', 'voided', 'expired')),
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    settled_at BIGINT NOT NULL,
    CHECK (outcome = 'captured' OR amount = 0)
);

-- Double entry: `amount` moves from `debit` to `credit`. A capture's id is its request's, so there is one a request. A top-up comes from
-- cash, or from promotion where a code was redeemed. A reversal goes the other way between the same accounts: all of a capture or of its
-- write-off, and of a top-up what is left of it.
-- `debit` and `credit` refer to `accounts`, `request_id` to `settlements`, `reverses` to another transfer.
CREATE TABLE transfers (
    id         BYTEA  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    kind       TEXT   NOT NULL,
    debit      BIGINT NOT NULL,
    credit     BIGINT NOT NULL,
    amount     BIGINT NOT NULL,
    request_id BYTEA,
    reverses   BYTEA,
    reference  TEXT,
    note       TEXT,
    created_at BIGINT NOT NULL,
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
);
CREATE UNIQUE INDEX transfers_reverses ON transfers (reverses) WHERE reverses IS NOT NULL;
CREATE UNIQUE INDEX transfers_reference ON transfers (credit, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX transfers_write_off ON transfers (request_id) WHERE kind = 'write_off';
-- The list of top-ups, newest first, with what it is searched by.
CREATE INDEX transfers_top_ups ON transfers (created_at, id, credit, reference) WHERE reference IS NOT NULL;

-- A customer's side of a transfer. Each line names the line before it by account, number and balance, so a balance cannot be
-- altered without altering every line after it, which nothing can. Line 0 (all zero) names itself.
-- `transfer` refers to `transfers`, and line 0 to its account; every later line leads back to it.
CREATE TABLE lines (
    account      BIGINT NOT NULL CHECK (account > 1000),
    seq          BIGINT NOT NULL,
    transfer     BYTEA  NOT NULL UNIQUE,
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

-- The arithmetic of a captured request, so that every charge can be recomputed by hand. Its request is settled, and held on the same
-- account; a request has one hold, so the key allows one charge a request.
CREATE TABLE charges (
    account               BIGINT  NOT NULL,
    request_id            BYTEA   NOT NULL,
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
    charged_at            BIGINT  NOT NULL,
    PRIMARY KEY (account, request_id)
);

-- A batch takes its turn at the accounts that it touches, in the same order as every other batch. NO KEY: what refers to an account need
-- not wait. A function, so that the service can begin and lock in one round trip with a plan that is made once a connection.
CREATE FUNCTION lock_accounts(ids BIGINT[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM accounts WHERE id = ANY (ids) AND kind = 'customer' ORDER BY id FOR NO KEY UPDATE;
END $$;

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

-- What refers to what. Each look finds one row by key: `OFFSET 0` makes it a look for each row, and the service's own connections have
-- `enable_seqscan` off, since the server would keep a plan that was made while the tables were small and read all of them for ever. It
-- comes at the end of the statement, which may have made what is referred to as well.
CREATE FUNCTION check_holds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM added n WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = n.account OFFSET 0)) THEN
        RAISE EXCEPTION 'a hold has an account';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER holds_refer AFTER INSERT ON holds REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION check_holds();

CREATE FUNCTION check_settlements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM added n WHERE NOT EXISTS (SELECT 1 FROM holds WHERE request_id = n.request_id OFFSET 0)) THEN
        RAISE EXCEPTION 'a settlement has a hold';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER settlements_refer AFTER INSERT ON settlements REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION check_settlements();

-- That a house account is there needs no look: its number is one of the five by CHECK.
CREATE FUNCTION check_transfers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM added n WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = greatest(n.debit, n.credit) OFFSET 0)
               OR (n.request_id IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM settlements WHERE request_id = n.request_id OFFSET 0))
               OR (n.reverses IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM transfers WHERE id = n.reverses AND debit = n.credit AND credit = n.debit
                                   AND (amount = n.amount OR (kind = 'top_up' AND amount OPERATOR(pg_catalog.>) n.amount))
                                   OFFSET 0))) THEN
        RAISE EXCEPTION 'a transfer has accounts, a settlement if it is for a request, and gives back no more than what it reverses';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER transfers_refer AFTER INSERT ON transfers REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION check_transfers();

CREATE FUNCTION check_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM added n WHERE NOT EXISTS (SELECT 1 FROM transfers WHERE id = n.transfer OFFSET 0)
               OR (n.seq = 0 AND NOT EXISTS (SELECT 1 FROM accounts WHERE id = n.account OFFSET 0))) THEN
        RAISE EXCEPTION 'a line has a transfer, and the first one an account';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER lines_refer AFTER INSERT ON lines REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION check_lines();

CREATE FUNCTION check_charges() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM added n
               WHERE NOT EXISTS (SELECT 1 FROM holds WHERE request_id = n.request_id AND account = n.account OFFSET 0)
                  OR NOT EXISTS (SELECT 1 FROM settlements WHERE request_id = n.request_id OFFSET 0)) THEN
        RAISE EXCEPTION 'a charge has a hold on its account, and a settlement';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER charges_refer AFTER INSERT ON charges REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION check_charges();

-- A balance is what the newest line says, and nothing else can set it.
CREATE FUNCTION check_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM changed n WHERE n.kind = 'customer' AND NOT EXISTS (
                   SELECT 1 FROM (SELECT seq, balance FROM lines WHERE account = n.id ORDER BY seq DESC LIMIT 1) newest
                   WHERE newest.seq = n.seq AND newest.balance = n.posted)) THEN
        RAISE EXCEPTION 'posted and seq are those of the newest line';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER accounts_posted_is_newest_line AFTER UPDATE ON accounts REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION check_balances();

-- Whoever calls them, these functions look at the tables of this schema and compare as PostgreSQL does: a temporary table of the same name
-- would go before them, and so would an operator of the caller's own. Both schemas are written into their text, because a `search_path`
-- that is set for each call costs more than the check itself.
DO $$
DECLARE name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['check_holds', 'check_settlements', 'check_transfers', 'check_lines', 'check_charges', 'check_balances'] LOOP
        EXECUTE replace(regexp_replace(pg_get_functiondef(name::regproc), '\mFROM (accounts|holds|settlements|transfers|lines)\M',
                                       format('FROM %I.\1', current_schema()), 'g'), ' = ', ' OPERATOR(pg_catalog.=) ');
    END LOOP;
END $$;

CREATE FUNCTION refuse_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an account keeps its id and kind, starts with nothing and is never removed';
END $$;
CREATE TRIGGER accounts_identity BEFORE UPDATE OF id, kind ON accounts FOR EACH ROW EXECUTE FUNCTION refuse_account();
CREATE TRIGGER accounts_no_delete BEFORE DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION refuse_account();
CREATE TRIGGER accounts_no_truncate BEFORE TRUNCATE ON accounts EXECUTE FUNCTION refuse_account();
CREATE TRIGGER accounts_start_empty BEFORE INSERT ON accounts FOR EACH ROW
    WHEN (NEW.posted <> 0 OR NEW.held <> 0 OR NEW.seq <> 0) EXECUTE FUNCTION refuse_account();
