-- Redeem codes are made in batches, each worth the same. Of a code only its hash is kept. What was made never changes, but a batch can be
-- revoked.
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
);

CREATE TABLE codes (
    batch     BIGINT NOT NULL REFERENCES code_batches (id),
    -- From 1, as in the reference of its top-up: code:BATCH/NUMBER.
    number    BIGINT NOT NULL CHECK (number > 0),
    hash      BYTEA  NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    last_four TEXT   NOT NULL CHECK (length(last_four) = 4),
    PRIMARY KEY (batch, number)
);

-- The key lets a code be redeemed once. A redemption stands behind its top-up in one transaction, and is one of just this code: from
-- promotion, to this tenant, of this value, under this reference. `key_id` is the key that the console's session belonged to.
CREATE TABLE redemptions (
    batch       BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    tenant      BIGINT NOT NULL,
    key_id      TEXT   NOT NULL CHECK (length(key_id) = 12),
    transfer    BYTEA  NOT NULL UNIQUE,
    redeemed_at BIGINT NOT NULL,
    PRIMARY KEY (batch, number),
    FOREIGN KEY (batch, number) REFERENCES codes (batch, number)
);

-- A look is as good as a foreign key: a transfer never changes or vanishes.
CREATE FUNCTION check_redemption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM transfers t JOIN code_batches b ON b.id = NEW.batch
                   WHERE t.id = NEW.transfer AND t.kind = 'top_up' AND t.debit = 4 AND t.credit = NEW.tenant AND t.amount = b.value
                     AND t.reference = 'code:' || NEW.batch || '/' || NEW.number) THEN
        RAISE EXCEPTION 'this is not the top-up of this code';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER redemptions_refer BEFORE INSERT ON redemptions FOR EACH ROW EXECUTE FUNCTION check_redemption();

CREATE FUNCTION refuse_batch_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a batch of codes is never altered or removed, only revoked, and it stays revoked';
END $$;
CREATE TRIGGER code_batches_identity BEFORE UPDATE OF id, name, value, count, expires_at, created_by, created_at ON code_batches
    FOR EACH ROW EXECUTE FUNCTION refuse_batch_change();
CREATE TRIGGER code_batches_stay_revoked BEFORE UPDATE ON code_batches FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL)
    EXECUTE FUNCTION refuse_batch_change();
CREATE TRIGGER code_batches_no_delete BEFORE DELETE ON code_batches FOR EACH ROW EXECUTE FUNCTION refuse_batch_change();
CREATE TRIGGER code_batches_no_truncate BEFORE TRUNCATE ON code_batches EXECUTE FUNCTION refuse_batch_change();
CREATE TRIGGER codes_no_change BEFORE UPDATE OR DELETE ON codes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER codes_no_truncate BEFORE TRUNCATE ON codes EXECUTE FUNCTION refuse_change();
CREATE TRIGGER redemptions_no_change BEFORE UPDATE OR DELETE ON redemptions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER redemptions_no_truncate BEFORE TRUNCATE ON redemptions EXECUTE FUNCTION refuse_change();
