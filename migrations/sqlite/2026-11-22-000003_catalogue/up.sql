-- A channel is one way to a provider.
CREATE TABLE channels (
    id         BIGINT  NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
    kind       TEXT    NOT NULL CHECK (kind IN ('openai', 'echo')),
    base_url   TEXT    NOT NULL,
    -- The provider's key, sealed with XChaCha20-Poly1305 under XIAOYI_SECRET_KEY; NULL: the provider needs none.
    sealed_key BLOB,
    -- Lower is tried first; among equals the weight decides how often.
    priority   BIGINT  NOT NULL CHECK (priority BETWEEN 0 AND 1000),
    weight     BIGINT  NOT NULL CHECK (weight BETWEEN 1 AND 1000),
    enabled    BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL
);

-- Which models a channel serves: the public name and what the provider calls it.
CREATE TABLE channel_models (
    channel  BIGINT NOT NULL REFERENCES channels (id),
    model    TEXT   NOT NULL CHECK (length(model) BETWEEN 1 AND 100),
    upstream TEXT   NOT NULL CHECK (length(upstream) BETWEEN 1 AND 200),
    PRIMARY KEY (channel, model)
);

-- Prices are versions: the newest of a model counts, a running call keeps the one that it was held with.
-- WITHOUT ROWID: by a hidden row number a price could be replaced.
CREATE TABLE prices (
    version    BIGINT NOT NULL PRIMARY KEY,
    -- NULL: the default price of the settings, for models without one of their own.
    model      TEXT,
    -- Per million tokens, in 1e-9 of the currency.
    prompt     BIGINT NOT NULL CHECK (prompt >= 0),
    completion BIGINT NOT NULL CHECK (completion >= 0),
    -- Per image of a size that `sizes` does not list.
    image      BIGINT NOT NULL CHECK (image >= 0),
    -- Per image by size, as a JSON object of decimal strings.
    sizes      TEXT   NOT NULL,
    basis      TEXT   NOT NULL CHECK (basis IN ('estimate', 'upstream')),
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX prices_model ON prices (model, version);
CREATE TRIGGER prices_no_update BEFORE UPDATE ON prices BEGIN SELECT RAISE(ABORT, 'a price is never altered: set a new one'); END;
CREATE TRIGGER prices_no_delete BEFORE DELETE ON prices BEGIN SELECT RAISE(ABORT, 'a price is never removed'); END;
CREATE TRIGGER prices_no_replace BEFORE INSERT ON prices
    WHEN EXISTS (SELECT 1 FROM prices WHERE version = NEW.version)
    BEGIN SELECT RAISE(ABORT, 'this price version exists'); END;
