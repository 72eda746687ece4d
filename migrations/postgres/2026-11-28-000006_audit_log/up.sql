-- Who changed what, when and from where, in the transaction of the change itself. Append-only, as the ledger is, and kept for ever.
-- Numbered in the order of the commits, which pages go by.
CREATE TABLE audit_log (
    id         BIGINT NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor_kind TEXT   NOT NULL CHECK (actor_kind IN ('staff', 'key', 'command_line', 'service')),
    -- What people know the actor by, as it was then: an e-mail address, a key's id, or a word.
    actor      TEXT   NOT NULL,
    staff      BIGINT,
    -- NULL: from the machine itself.
    address    TEXT,
    action     TEXT   NOT NULL,
    tenant     BIGINT,
    subject    TEXT   NOT NULL,
    -- JSON objects, without any secret.
    before     TEXT,
    after      TEXT,
    CHECK ((actor_kind = 'staff') = (staff IS NOT NULL))
);
CREATE INDEX audit_log_actor ON audit_log (actor, id);
CREATE INDEX audit_log_tenant ON audit_log (tenant, id);
CREATE INDEX audit_log_subject ON audit_log (subject, id);

CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log EXECUTE FUNCTION refuse_change();
