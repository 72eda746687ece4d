-- How calls went, for people. What they cost is the ledger's; nothing here is read where money is decided. Rows come in batches, behind
-- the calls; what is lost on the way is missed by nobody but whoever looks.

-- A call that got a hold, once it has ended. Its time is in its id. Old ones are removed; the counts below stay.
CREATE TABLE calls (
    request_id    BYTEA   NOT NULL PRIMARY KEY CHECK (octet_length(request_id) = 16),
    tenant        BIGINT  NOT NULL,
    key_id        TEXT    NOT NULL,
    endpoint      TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    end_user      TEXT,
    streamed      BOOLEAN NOT NULL,
    -- 0: answered; 49900: the client left; else the public code of what the caller was told. And the same in a word.
    status        BIGINT  NOT NULL,
    word          TEXT    NOT NULL,
    -- Since the call was admitted.
    queued_ms     BIGINT,
    first_text_ms BIGINT,
    ended_ms      BIGINT  NOT NULL,
    -- The one that answered, and all that were tried: [{"c": channel, "o": outcome, "m": milliseconds, "f": first text}].
    channel       TEXT,
    tries         TEXT    NOT NULL
);
-- Pages of one tenant's and of one key's calls, newest first. The model stands behind, so that looking for a rare one reads no rows.
CREATE INDEX calls_tenant ON calls (tenant, request_id, model);
CREATE INDEX calls_key ON calls (key_id, request_id, model);
-- Pages of one end user's calls, and their number. Only calls that name one pay for it.
CREATE INDEX calls_end_user ON calls (end_user, request_id, tenant, status) WHERE end_user IS NOT NULL;
-- Pages of what went wrong, of all and of one tenant, with what their totals look at. Answered calls cost nothing here.
CREATE INDEX calls_failed ON calls (request_id, tenant, status, first_text_ms) WHERE status <> 0;
CREATE INDEX calls_tenant_failed ON calls (tenant, request_id, status, first_text_ms) WHERE status <> 0;

-- Rows that are counted up leave room in their page for the next version.
-- Calls by the quarter of an hour in which they were received, with what a line of latency needs: answered calls in 16 classes of
-- time from admission to end (25, 50, 100, 200, 400, 700, 1000, 1500, 2500, 4000, 7000, 12000, 20000, 40000, 90000 ms and above).
CREATE TABLE call_slots (
    slot_start    BIGINT NOT NULL,
    model         TEXT   NOT NULL,
    calls         BIGINT NOT NULL,
    answered      BIGINT NOT NULL,
    -- With a code from 50000 on.
    failed        BIGINT NOT NULL,
    refused       BIGINT NOT NULL,
    -- Of answered calls.
    ended_ms      BIGINT NOT NULL,
    first_texts   BIGINT NOT NULL,
    first_text_ms BIGINT NOT NULL,
    c0  BIGINT NOT NULL, c1  BIGINT NOT NULL, c2  BIGINT NOT NULL, c3  BIGINT NOT NULL,
    c4  BIGINT NOT NULL, c5  BIGINT NOT NULL, c6  BIGINT NOT NULL, c7  BIGINT NOT NULL,
    c8  BIGINT NOT NULL, c9  BIGINT NOT NULL, c10 BIGINT NOT NULL, c11 BIGINT NOT NULL,
    c12 BIGINT NOT NULL, c13 BIGINT NOT NULL, c14 BIGINT NOT NULL, c15 BIGINT NOT NULL,
    PRIMARY KEY (slot_start, model)
) WITH (fillfactor = 80);

-- The same by the day of UTC, tenant and key: how many calls a filter finds, without counting them.
CREATE TABLE call_days (
    day_start BIGINT NOT NULL,
    tenant    BIGINT NOT NULL,
    key_id    TEXT   NOT NULL,
    model     TEXT   NOT NULL,
    status    BIGINT NOT NULL,
    calls     BIGINT NOT NULL,
    PRIMARY KEY (day_start, tenant, key_id, model, status)
) WITH (fillfactor = 80);
CREATE INDEX call_days_tenant ON call_days (tenant, day_start);

-- Calls that were refused before they got a hold, once their key was known. `model` is empty where none was named, or one that does not exist.
CREATE TABLE refusals (
    slot_start BIGINT NOT NULL,
    tenant     BIGINT NOT NULL,
    key_id     TEXT   NOT NULL,
    model      TEXT   NOT NULL,
    code       BIGINT NOT NULL,
    refused    BIGINT NOT NULL,
    PRIMARY KEY (slot_start, tenant, key_id, model, code)
);
CREATE INDEX refusals_tenant ON refusals (tenant, slot_start);

-- How channels do, by the minute; of the last two days.
CREATE TABLE channel_minutes (
    minute        BIGINT NOT NULL,
    channel       TEXT   NOT NULL,
    attempts      BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    first_texts   BIGINT NOT NULL,
    first_text_ms BIGINT NOT NULL,
    last_error    TEXT,
    last_error_at BIGINT,
    PRIMARY KEY (minute, channel)
) WITH (fillfactor = 80);
