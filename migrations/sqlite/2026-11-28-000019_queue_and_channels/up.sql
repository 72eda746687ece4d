-- How long calls waited in the queue, by the quarter of an hour in which they were received: those that had their turn, their waits in all,
-- and the longest. All waits of a time divided by its length is how many calls waited in it on average, so the queue's past depth follows from
-- this without anybody who looks at it again and again.
ALTER TABLE call_slots ADD COLUMN queued BIGINT NOT NULL DEFAULT 0;
ALTER TABLE call_slots ADD COLUMN queued_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE call_slots ADD COLUMN longest_queued_ms BIGINT NOT NULL DEFAULT 0;
-- Of calls whose details are removed already it is not known any more. The first six bytes of an id are its milliseconds.
UPDATE call_slots SET queued = n.queued, queued_ms = n.queued_ms, longest_queued_ms = n.longest_queued_ms
FROM (
    SELECT s.slot_start, c.model, COUNT(*) AS queued, CAST(SUM(c.queued_ms) AS BIGINT) AS queued_ms, MAX(c.queued_ms) AS longest_queued_ms
    FROM (SELECT DISTINCT slot_start FROM call_slots) s
    JOIN calls c ON c.queued_ms IS NOT NULL AND c.request_id >= unhex(printf('%012x', s.slot_start)) AND c.request_id < unhex(printf('%012x', s.slot_start + 900000))
    GROUP BY s.slot_start, c.model
) n
WHERE n.slot_start = call_slots.slot_start AND n.model = call_slots.model;

-- How channels do, by the quarter of an hour in which their tries ended; kept, as the counts of calls are. The minutes are of two days only.
CREATE TABLE channel_slots (
    slot_start    BIGINT NOT NULL,
    channel       TEXT   NOT NULL,
    attempts      BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    first_texts   BIGINT NOT NULL,
    first_text_ms BIGINT NOT NULL,
    last_error    TEXT,
    -- It lies in the same quarter of an hour.
    last_error_at BIGINT,
    PRIMARY KEY (slot_start, channel)
) WITHOUT ROWID;
INSERT INTO channel_slots (slot_start, channel, attempts, failures, first_texts, first_text_ms, last_error, last_error_at)
SELECT n.slot_start, n.channel, n.attempts, n.failures, n.first_texts, n.first_text_ms,
    (SELECT m.last_error FROM channel_minutes m WHERE m.channel = n.channel AND m.minute >= n.slot_start
        AND m.minute < n.slot_start + 900000 AND m.last_error_at = n.last_error_at LIMIT 1),
    n.last_error_at
FROM (
    SELECT minute / 900000 * 900000 AS slot_start, channel, CAST(SUM(attempts) AS BIGINT) AS attempts,
        CAST(SUM(failures) AS BIGINT) AS failures, CAST(SUM(first_texts) AS BIGINT) AS first_texts,
        CAST(SUM(first_text_ms) AS BIGINT) AS first_text_ms, MAX(last_error_at) AS last_error_at
    FROM channel_minutes GROUP BY 1, 2
) n;
