-- What people who operate the service write down of a tenant. Nothing of it is ever changed or removed.
CREATE TABLE tenant_notes (
    id         BIGINT NOT NULL PRIMARY KEY,
    tenant     BIGINT NOT NULL REFERENCES tenants (id),
    author     TEXT   NOT NULL CHECK (length(author) BETWEEN 1 AND 320),
    text       TEXT   NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX tenant_notes_tenant ON tenant_notes (tenant, id);
CREATE TRIGGER tenant_notes_no_update BEFORE UPDATE ON tenant_notes BEGIN SELECT RAISE(ABORT, 'tenant_notes is append-only'); END;
CREATE TRIGGER tenant_notes_no_delete BEFORE DELETE ON tenant_notes BEGIN SELECT RAISE(ABORT, 'tenant_notes is append-only'); END;
CREATE TRIGGER tenant_notes_no_replace BEFORE INSERT ON tenant_notes
    WHEN EXISTS (SELECT 1 FROM tenant_notes WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'this note exists'); END;

-- End users (`user` of a call) whose calls are refused.
CREATE TABLE blocked_users (
    tenant     BIGINT NOT NULL REFERENCES tenants (id),
    end_user   TEXT   NOT NULL CHECK (length(end_user) BETWEEN 1 AND 512),
    blocked_at BIGINT NOT NULL,
    blocked_by TEXT   NOT NULL CHECK (length(blocked_by) BETWEEN 1 AND 320),
    PRIMARY KEY (tenant, end_user)
) WITHOUT ROWID;
