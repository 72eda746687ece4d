-- What people who operate the service write down of a tenant. Nothing of it is ever changed or removed.
CREATE TABLE tenant_notes (
    id         BIGINT NOT NULL PRIMARY KEY,
    tenant     BIGINT NOT NULL REFERENCES tenants (id),
    author     TEXT   NOT NULL CHECK (length(author) BETWEEN 1 AND 320),
    text       TEXT   NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
    created_at BIGINT NOT NULL
);
CREATE INDEX tenant_notes_tenant ON tenant_notes (tenant, id);
CREATE TRIGGER tenant_notes_no_change BEFORE UPDATE OR DELETE ON tenant_notes FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- End users (`user` of a call) whose calls are refused. In the order of their bytes, as on SQLite.
CREATE TABLE blocked_users (
    tenant     BIGINT NOT NULL REFERENCES tenants (id),
    end_user   TEXT   COLLATE "C" NOT NULL CHECK (length(end_user) BETWEEN 1 AND 512),
    blocked_at BIGINT NOT NULL,
    blocked_by TEXT   NOT NULL CHECK (length(blocked_by) BETWEEN 1 AND 320),
    PRIMARY KEY (tenant, end_user)
);
