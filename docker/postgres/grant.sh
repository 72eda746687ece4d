#!/bin/sh
# Gives the service's role its rights on the tables, after every migration.
set -eu
PGPASSWORD=$(cat /run/secrets/database_owner_password)
export PGPASSWORD
exec psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -v role=xiaoyi \
    --host postgres --username xiaoyi_owner --dbname xiaoyi --file /migrations/service-role.sql
