-- Of the calls of a day, those that named no end user: as many as half of all calls are too many to be counted one by one. Of calls whose
-- details are removed already it is not known any more. The first six bytes of an id are its milliseconds.
ALTER TABLE call_days ADD COLUMN unnamed BIGINT NOT NULL DEFAULT 0;
UPDATE call_days SET unnamed = n.calls
FROM (
    SELECT d.day_start, c.tenant, c.key_id, c.model, c.status, COUNT(*) AS calls
    FROM (SELECT DISTINCT day_start FROM call_days) d
    JOIN calls c ON c.end_user IS NULL AND c.request_id >= unhex(printf('%012x', d.day_start)) AND c.request_id < unhex(printf('%012x', d.day_start + 86400000))
    GROUP BY d.day_start, c.tenant, c.key_id, c.model, c.status
) n
WHERE n.day_start = call_days.day_start AND n.tenant = call_days.tenant AND n.key_id = call_days.key_id AND n.model = call_days.model
    AND n.status = call_days.status;

-- With the sums themselves: a table without row numbers is looked up anew for each row that an index finds.
DROP INDEX usage_sums_without_user;
CREATE INDEX usage_sums_without_user
    ON usage_sums (start, tenant, key_id, model, requests, prompt_tokens, completion_tokens, images, amount) WHERE grain = 3 AND end_user = '';
