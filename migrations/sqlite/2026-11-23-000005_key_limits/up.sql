-- What a Secret Key may do in a time, and from where. NULL: as much as it likes, from everywhere.
ALTER TABLE keys ADD COLUMN rpm BIGINT CHECK (rpm > 0);
ALTER TABLE keys ADD COLUMN tpm BIGINT CHECK (tpm > 0);
-- Calls that run at the same time.
ALTER TABLE keys ADD COLUMN concurrency BIGINT CHECK (concurrency > 0);
-- The networks that it may be used from, in CIDR notation, as a JSON array.
ALTER TABLE keys ADD COLUMN ips TEXT;
