-- A service may have as many end users as calls. So only sums of grain 3 (days, by when it was charged) tell them apart, and those are removed
-- after `records.user_days`; a quarter of an hour (grain 0) is by key and model. What calls cost that were received in a time is what was
-- charged in it, but for a few charges around its ends, so grains 4 and 5 are not kept.
INSERT INTO usage_sums (grain, start, tenant, key_id, model, end_user, requests, prompt_tokens, completion_tokens, images, amount)
    SELECT 0, start, tenant, key_id, model, '', SUM(requests), SUM(prompt_tokens), SUM(completion_tokens), SUM(images), SUM(amount)
    FROM usage_sums WHERE grain = 0 AND end_user <> '' GROUP BY start, tenant, key_id, model
    ON CONFLICT (grain, tenant, start, key_id, model, end_user) DO UPDATE SET requests = usage_sums.requests + excluded.requests,
        prompt_tokens = usage_sums.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = usage_sums.completion_tokens + excluded.completion_tokens,
        images = usage_sums.images + excluded.images, amount = usage_sums.amount + excluded.amount;
DELETE FROM usage_sums WHERE grain > 3 OR (grain = 0 AND end_user <> '');
-- What was charged for calls that named no end user, whoever the tenant is.
CREATE INDEX usage_sums_without_user ON usage_sums (start, tenant) WHERE grain = 3 AND end_user = '';

-- Pages of the calls that named no end user, and their number. Only they pay for it.
CREATE INDEX calls_without_user ON calls (request_id, tenant, key_id, model, status) WHERE end_user IS NULL;
