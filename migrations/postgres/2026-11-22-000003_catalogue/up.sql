-- A channel is one way to a provider.
CREATE TABLE channels (
    id         BIGINT  NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
    kind       TEXT    NOT NULL CHECK (kind IN ('openai', 'echo')),
    base_url   TEXT    NOT NULL,
    -- The provider's key, sealed with XChaCha20-Poly1305 under XIAOYI_SECRET_KEY; NULL: the provider needs none.
    sealed_key BYTEA,
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
);
CREATE INDEX prices_model ON prices (model, version);
CREATE FUNCTION refuse_price_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a price is never altered or removed: set a new one';
END $$;
CREATE TRIGGER prices_no_change BEFORE UPDATE OR DELETE ON prices FOR EACH ROW EXECUTE FUNCTION refuse_price_change();
CREATE TRIGGER prices_no_truncate BEFORE TRUNCATE ON prices EXECUTE FUNCTION refuse_price_change();
