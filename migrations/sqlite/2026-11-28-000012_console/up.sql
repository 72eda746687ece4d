-- Who is signed in to the developers' console. The BLAKE3 hash of the token in the browser is the key. A session belongs to one Secret Key,
-- and opens nothing when that would not.
CREATE TABLE console_sessions (
    hash       BLOB   NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    key_id     TEXT   NOT NULL REFERENCES keys (id),
    address    TEXT,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);
CREATE INDEX console_sessions_key ON console_sessions (key_id, created_at);
CREATE INDEX console_sessions_seen ON console_sessions (seen_at);
