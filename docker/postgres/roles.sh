#!/bin/bash
# Makes the two roles of xiaoyi, or sets their passwords anew. PostgreSQL's image runs it once, for an empty volume;
# after a change of the secrets run it by hand:
#   docker compose exec postgres bash /docker-entrypoint-initdb.d/10-roles.sh
#
# xiaoyi_owner owns the database and changes tables; only `migrate` and `grant` use it. xiaoyi is the role of the
# running service: it owns nothing, and migrations/postgres/service-role.sql says what it may do.
set -eo pipefail
for secret in database_owner_password database_password; do
    if [ ! -s "/run/secrets/$secret" ]; then
        echo "roles: /run/secrets/$secret is missing or empty; make it with docker/make-secrets.sh" >&2
        exit 1
    fi
done
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -v database="${POSTGRES_DB:-xiaoyi}" \
    --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-xiaoyi}" <<'SQL'
\set owner_password `cat /run/secrets/database_owner_password`
\set password `cat /run/secrets/database_password`
-- A statement that fails is logged as text, and these hold passwords.
SET log_min_error_statement = panic;
SELECT 'CREATE ROLE xiaoyi_owner' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'xiaoyi_owner') \gexec
SELECT 'CREATE ROLE xiaoyi' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'xiaoyi') \gexec
ALTER ROLE xiaoyi_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
ALTER ROLE xiaoyi LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
ALTER DATABASE :"database" OWNER TO xiaoyi_owner;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO xiaoyi;
SQL
