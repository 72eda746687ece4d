-- Facts of this installation, by name: the currency, the sealed tag key of the Secret Keys, the check value of XIAOYI_SECRET_KEY.
CREATE TABLE facts (
    name  TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- One row. Every change of a key, tenant, channel or price adds one to it in the same transaction; every process watches it.
CREATE TABLE epoch (
    id    BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);
INSERT INTO epoch (id, value) VALUES (1, 1);

-- The processes that serve, with their last sign of life.
CREATE TABLE processes (
    id         BYTEA  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    role       TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);
