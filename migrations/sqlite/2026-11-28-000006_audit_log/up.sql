-- Who changed what, when and from where, in the transaction of the change itself. Append-only, as the ledger is, and kept for ever.
-- Numbered in the order of the commits, which pages go by. WITHOUT ROWID: by a hidden row number an entry could be replaced.
CREATE TABLE audit_log (
    id         INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor_kind TEXT    NOT NULL CHECK (actor_kind IN ('staff', 'key', 'command_line', 'service')),
    -- What people know the actor by, as it was then: an e-mail address, a key's id, or a word.
    actor      TEXT    NOT NULL,
    staff      INTEGER,
    -- NULL: from the machine itself.
    address    TEXT,
    action     TEXT    NOT NULL,
    tenant     INTEGER,
    subject    TEXT    NOT NULL,
    -- JSON objects, without any secret.
    before     TEXT,
    after      TEXT,
    CHECK ((actor_kind = 'staff') = (staff IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_log_actor ON audit_log (actor, id);
CREATE INDEX audit_log_tenant ON audit_log (tenant, id);
CREATE INDEX audit_log_subject ON audit_log (subject, id);

CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log
    WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'this entry of the audit log exists'); END;
