#!/bin/bash
# What the official image's entry point does, as far as docker-compose.yml relies on it: POSTGRES_PASSWORD_FILE,
# POSTGRES_DB, POSTGRES_INITDB_ARGS, and the scripts of /docker-entrypoint-initdb.d, for an empty volume, with a server
# that listens on its socket only. Like the official one it may be started as postgres itself.
set -eo pipefail

if [ "$1" != postgres ]; then exec "$@"; fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ ! -s "${POSTGRES_PASSWORD_FILE:?}" ]; then
        echo "postgres: $POSTGRES_PASSWORD_FILE is missing or empty" >&2
        exit 1
    fi
    chmod 0700 "$PGDATA"
    # The words of POSTGRES_INITDB_ARGS are separate arguments, as in the official image.
    # shellcheck disable=SC2086
    LANG=C.UTF-8 initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" ${POSTGRES_INITDB_ARGS:-}
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    export POSTGRES_USER=postgres POSTGRES_DB=${POSTGRES_DB:-postgres}
    if [ "$POSTGRES_DB" != postgres ]; then createdb --username postgres "$POSTGRES_DB"; fi
    for script in /docker-entrypoint-initdb.d/*.sh; do
        if [ -x "$script" ]; then "$script"; else . "$script"; fi
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@" -c "listen_addresses=*"
