-- What the service may do in its database, for a role of its own that is not the owner of the tables. Run it as the owner, after
-- `xiaoyi migrate` (which also needs the owner) and again after each later one:
--
--     psql -v role=xiaoyi -f migrations/postgres/service-role.sql "$OWNERS_DATABASE_URL"
--
-- The role must exist and be no superuser: CREATE ROLE xiaoyi LOGIN PASSWORD '...'. `xiaoyi serve` and all commands but `migrate` then
-- run with a DATABASE_URL of this role.
--
-- The triggers of the ledger refuse every UPDATE, DELETE and TRUNCATE of what was booked, by whomever. The owner of a table can take
-- them away; this role cannot, and has no such right in the first place. Not even the owner can do it by mistake. Who is a superuser
-- can do anything (`session_replication_role`): no service should be one.
\set ON_ERROR_STOP on
BEGIN;
SELECT current_database() AS database, current_schema() AS schema \gset

REVOKE ALL ON ALL TABLES IN SCHEMA :"schema" FROM :"role";
GRANT CONNECT ON DATABASE :"database" TO :"role";
GRANT USAGE ON SCHEMA :"schema" TO :"role";
-- It makes no tables: a table of its own in front of the real one could mislead a statement. Every role has these rights unless they
-- are taken from PUBLIC.
REVOKE CREATE ON SCHEMA :"schema" FROM PUBLIC, :"role";
REVOKE TEMPORARY ON DATABASE :"database" FROM PUBLIC, :"role";

GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";

-- Taking the turn at accounts, should functions not be everybody's here.
GRANT EXECUTE ON FUNCTION lock_accounts(BIGINT[]) TO :"role";

-- The ledger: rows are added, and of an account these three numbers change (the triggers hold them to its lines).
GRANT INSERT ON accounts, holds, settlements, transfers, lines, charges TO :"role";
GRANT UPDATE (posted, held, seq) ON accounts TO :"role";

-- The audit log: entries are added.
GRANT INSERT ON audit_log TO :"role";

-- People: an account keeps its address for ever, since the audit log names it; sessions, invitations and recovery codes come and go.
GRANT INSERT ON staff, staff_sessions, staff_invitations, staff_recovery_codes TO :"role";
GRANT UPDATE (role, password, language, theme, totp_secret, totp_on_at, totp_step, disabled_at) ON staff TO :"role";
GRANT UPDATE (wrong_codes, seen_at) ON staff_sessions TO :"role";
GRANT DELETE ON staff_sessions, staff_invitations, staff_recovery_codes TO :"role";

-- The rest: a new price is a new row; names, hashes and addresses never change.
GRANT INSERT ON prices, tenants, keys, channels, channel_models, facts, processes TO :"role";
GRANT UPDATE (suspended_at) ON tenants TO :"role";
GRANT UPDATE (revoked_at, grace_until, last_used_at) ON keys TO :"role";
GRANT UPDATE (enabled, sealed_key) ON channels TO :"role";
GRANT UPDATE (value) ON facts, epoch TO :"role";
GRANT UPDATE (seen_at) ON processes TO :"role";
GRANT DELETE ON processes TO :"role";

-- Details of calls and what is counted of them: rows are added, counted up, and removed when they are old.
GRANT INSERT, DELETE ON calls TO :"role";
GRANT INSERT, UPDATE, DELETE ON refusals, channel_minutes TO :"role";
GRANT INSERT, UPDATE ON call_slots, call_days, channel_slots TO :"role";
GRANT INSERT, UPDATE, DELETE ON usage_sums TO :"role";
GRANT INSERT, DELETE ON usage_reversals TO :"role";

-- What repeated calls are known by and were answered: an ended call's key goes to another, and all is removed when it is old.
GRANT INSERT, DELETE ON idempotency_keys, idempotency_answers TO :"role";
GRANT UPDATE (body, request_id, created_at) ON idempotency_keys TO :"role";
GRANT UPDATE (sealed) ON idempotency_answers TO :"role";

-- Sessions of the console come and go.
GRANT INSERT, DELETE ON console_sessions TO :"role";
GRANT UPDATE (seen_at) ON console_sessions TO :"role";

-- Forms of the console that were sent are remembered for a day.
GRANT INSERT, DELETE ON sent_forms TO :"role";

-- Redeem codes: a batch can only be revoked, and what was redeemed stays so. Notes are only added; who is blocked may be let go.
GRANT INSERT ON code_batches, codes, redemptions, tenant_notes, blocked_users TO :"role";
GRANT UPDATE (revoked_at, revoked_by) ON code_batches TO :"role";
GRANT DELETE ON blocked_users TO :"role";
COMMIT;
