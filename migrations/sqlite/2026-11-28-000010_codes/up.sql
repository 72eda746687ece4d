-- Redeem codes are made in batches, each worth the same. Of a code only its hash is kept. What was made never changes, but a batch can be
-- revoked. WITHOUT ROWID: by a hidden row number a row could be replaced.
CREATE TABLE code_batches (
    id         BIGINT NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
    -- What each code is worth, in 1e-9 of the currency.
    value      BIGINT NOT NULL CHECK (value > 0),
    -- How many codes there are.
    count      BIGINT NOT NULL CHECK (count BETWEEN 1 AND 10000),
    expires_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL CHECK (length(created_by) BETWEEN 1 AND 320),
    created_at BIGINT NOT NULL,
    -- From then on no more of its codes are redeemed.
    revoked_at BIGINT,
    revoked_by TEXT   CHECK (length(revoked_by) BETWEEN 1 AND 320),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) WITHOUT ROWID;

CREATE TABLE codes (
    batch     BIGINT NOT NULL REFERENCES code_batches (id),
    -- From 1, as in the reference of its top-up: code:BATCH/NUMBER.
    number    BIGINT NOT NULL CHECK (number > 0),
    hash      BLOB   NOT NULL UNIQUE CHECK (length(hash) = 32),
    last_four TEXT   NOT NULL CHECK (length(last_four) = 4),
    PRIMARY KEY (batch, number)
) WITHOUT ROWID;

-- The key lets a code be redeemed once. A redemption stands behind its top-up in one transaction, and is one of just this code: from
-- promotion, to this tenant, of this value, under this reference. `key_id` is the key that the console's session belonged to.
CREATE TABLE redemptions (
    batch       BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    tenant      BIGINT NOT NULL,
    key_id      TEXT   NOT NULL CHECK (length(key_id) = 12),
    transfer    BLOB   NOT NULL UNIQUE,
    redeemed_at BIGINT NOT NULL,
    PRIMARY KEY (batch, number),
    FOREIGN KEY (batch, number) REFERENCES codes (batch, number)
) WITHOUT ROWID;

CREATE TRIGGER code_batches_identity BEFORE UPDATE OF id, name, value, count, expires_at, created_by, created_at ON code_batches
    BEGIN SELECT RAISE(ABORT, 'a batch of codes is never altered, only revoked'); END;
CREATE TRIGGER code_batches_stay_revoked BEFORE UPDATE ON code_batches WHEN OLD.revoked_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a batch of codes stays revoked'); END;
CREATE TRIGGER code_batches_no_delete BEFORE DELETE ON code_batches BEGIN SELECT RAISE(ABORT, 'a batch of codes is never removed'); END;
CREATE TRIGGER code_batches_no_replace BEFORE INSERT ON code_batches
    WHEN EXISTS (SELECT 1 FROM code_batches WHERE id = NEW.id OR name = NEW.name)
    BEGIN SELECT RAISE(ABORT, 'this batch of codes exists'); END;
CREATE TRIGGER codes_no_update BEFORE UPDATE ON codes BEGIN SELECT RAISE(ABORT, 'codes is append-only'); END;
CREATE TRIGGER codes_no_delete BEFORE DELETE ON codes BEGIN SELECT RAISE(ABORT, 'codes is append-only'); END;
CREATE TRIGGER codes_no_replace BEFORE INSERT ON codes
    WHEN EXISTS (SELECT 1 FROM codes WHERE batch = NEW.batch AND number = NEW.number)
      OR EXISTS (SELECT 1 FROM codes WHERE hash = NEW.hash)
    BEGIN SELECT RAISE(ABORT, 'this code exists'); END;
CREATE TRIGGER redemptions_no_update BEFORE UPDATE ON redemptions BEGIN SELECT RAISE(ABORT, 'redemptions is append-only'); END;
CREATE TRIGGER redemptions_no_delete BEFORE DELETE ON redemptions BEGIN SELECT RAISE(ABORT, 'redemptions is append-only'); END;
CREATE TRIGGER redemptions_no_replace BEFORE INSERT ON redemptions
    WHEN EXISTS (SELECT 1 FROM redemptions WHERE batch = NEW.batch AND number = NEW.number)
      OR EXISTS (SELECT 1 FROM redemptions WHERE transfer = NEW.transfer)
      OR NOT EXISTS (SELECT 1 FROM transfers t JOIN code_batches b ON b.id = NEW.batch
                     WHERE t.id = NEW.transfer AND t.kind = 'top_up' AND t.debit = 4 AND t.credit = NEW.tenant AND t.amount = b.value
                       AND t.reference = 'code:' || NEW.batch || '/' || NEW.number)
    BEGIN SELECT RAISE(ABORT, 'this code is redeemed, or this is not its top-up'); END;
