-- Sums of what was charged, so that usage over a year is read in a moment. Made from the ledger, in the order of request ids, up to a mark
-- below which every hold is settled (the fact `usage_state`); what comes after it is summed when somebody asks. A charge that was given
-- back is taken out again where it was counted. They can be made anew at any time.
CREATE TABLE usage_sums (
    -- 0: quarters of an hour, by all that follows. 1: quarters of an hour of all tenants together, by model. 2: days, by key and model.
    -- 3: days, by key, model and end user. All these by when it was charged; 4 and 5 are like 2 and 3, by when the call was received.
    grain             BIGINT NOT NULL CHECK (grain BETWEEN 0 AND 5),
    -- Of a quarter of an hour its beginning, in Unix milliseconds; of a day in the service's time zone its number since 1970-01-01.
    start             BIGINT NOT NULL,
    -- 0 and empty where the grain leaves it out. An end user is empty also where none was named.
    tenant            BIGINT NOT NULL,
    key_id            TEXT   NOT NULL,
    model             TEXT   NOT NULL,
    end_user          TEXT   NOT NULL,
    requests          BIGINT NOT NULL,
    -- As billed.
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    images            BIGINT NOT NULL,
    -- What the customer paid.
    amount            BIGINT NOT NULL,
    PRIMARY KEY (grain, tenant, start, key_id, model, end_user)
);
-- A time of all tenants, and which of them were there.
CREATE INDEX usage_sums_start ON usage_sums (grain, start, tenant);
-- An end user, whoever the tenant is.
CREATE INDEX usage_sums_end_user ON usage_sums (end_user, grain, start) WHERE end_user <> '';

-- Charges that were given back and taken out of the sums.
CREATE TABLE usage_reversals (
    request_id BYTEA NOT NULL PRIMARY KEY
);

-- What is rare among transfers: payments, what was given back, what was written off. Charges pay nothing for it.
CREATE INDEX transfers_rare ON transfers (id) WHERE kind <> 'capture';
