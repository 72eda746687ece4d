-- When a Secret Key was last used, to the minute. It moves no epoch.
ALTER TABLE keys ADD COLUMN last_used_at BIGINT;
-- The list of all keys, newest first.
CREATE INDEX keys_created ON keys (created_at, id);
