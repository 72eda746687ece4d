-- Of the calls of a day, those that named no end user: as many as half of all calls are too many to be counted one by one. Of calls whose
-- details are removed already it is not known any more. The first six bytes of an id are its milliseconds.
ALTER TABLE call_days ADD COLUMN unnamed BIGINT NOT NULL DEFAULT 0;
UPDATE call_days SET unnamed = n.calls
FROM (
    SELECT d.day_start, c.tenant, c.key_id, c.model, c.status, COUNT(*) AS calls
    FROM (SELECT DISTINCT day_start FROM call_days) d
    JOIN calls c ON c.end_user IS NULL AND c.request_id >= decode(lpad(to_hex(d.day_start), 12, '0'), 'hex') AND c.request_id < decode(lpad(to_hex(d.day_start + 86400000), 12, '0'), 'hex')
    GROUP BY d.day_start, c.tenant, c.key_id, c.model, c.status
) n
WHERE n.day_start = call_days.day_start AND n.tenant = call_days.tenant AND n.key_id = call_days.key_id AND n.model = call_days.model
    AND n.status = call_days.status;
