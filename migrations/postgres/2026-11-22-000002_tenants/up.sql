-- A tenant is a customer; its id is its account's in the ledger.
CREATE TABLE tenants (
    id           BIGINT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    name         TEXT   NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
    suspended_at BIGINT,
    created_at   BIGINT NOT NULL
);

-- A Secret Key of a tenant. Only its Argon2id hash is kept.
CREATE TABLE keys (
    id           TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 12),
    tenant       BIGINT NOT NULL REFERENCES tenants (id),
    name         TEXT   NOT NULL CHECK (length(name) <= 200),
    hash         TEXT   NOT NULL,
    last_four    TEXT   NOT NULL CHECK (length(last_four) = 4),
    -- The models that it may use, as a JSON array; NULL: all.
    models       TEXT,
    -- What it may see in the console and in the records: its own calls, all of the tenant's, or nothing in the console.
    console      TEXT   NOT NULL CHECK (console IN ('key', 'tenant', 'none')),
    expires_at   BIGINT,
    -- Set by a rotation: the key works until then, and no longer than expires_at.
    grace_until  BIGINT,
    revoked_at   BIGINT,
    created_at   BIGINT NOT NULL
);
CREATE INDEX keys_tenant ON keys (tenant, created_at);
