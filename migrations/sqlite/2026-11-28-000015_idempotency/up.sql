-- Which call an Idempotency-Key belongs to. `key` is the BLAKE3 hash of endpoint and key, `body` that of the request. How the call stands is
-- not repeated here: its hold and its settlement say so. A key whose call was not charged may be given to another call. (Nothing refers to
-- the ledger's tables, whose rows are never removed.)
CREATE TABLE idempotency_keys (
    account    BIGINT NOT NULL REFERENCES accounts (id),
    key        BLOB   NOT NULL CHECK (length(key) = 32),
    body       BLOB   NOT NULL CHECK (length(body) = 32),
    request_id BLOB   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- What the caller of such a call was sent, sealed; written in the transaction of its charge.
CREATE TABLE idempotency_answers (
    request_id BLOB   NOT NULL PRIMARY KEY,
    sealed     BLOB   NOT NULL,
    bytes      BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX idempotency_answers_created ON idempotency_answers (created_at, request_id, bytes);
