# Orders to stop, a restart of everything, and the end. Run by docker/test/run.sh.
# shellcheck shell=bash

for service in worker api admin; do
    id=$(first "$service")
    began=$SECONDS
    docker stop -t 60 "$id" >/dev/null
    took=$((SECONDS - began))
    [ "$took" -lt 30 ] || fail "$service took $took s to stop"
    code=$(docker inspect --format '{{.State.ExitCode}}' "$id")
    [ "$code" -eq 0 ] || fail "$service ended with status $code after SIGTERM"
    docker start "$id" >/dev/null
done
within 60 "all is healthy again" healthy api=2 worker=2 admin=1
step "SIGTERM: worker, api and admin stop within 30 s with status 0"

posted=$(xiaoyi balance --tenant acme | jq -r .posted)
compose down >"$work/down.log" 2>&1 || { cat "$work/down.log" >&2; fail "down"; }
[ -z "$(docker ps --all --quiet)" ] || fail "down leaves containers"
compose up -d --scale api=2 --scale worker=2 >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "up again"; }
within 120 "all containers are healthy" healthy postgres=1 redis=1 api=2 worker=2 admin=1 proxy=1
[ "$(xiaoyi balance --tenant acme | jq -r .posted)" = "$posted" ] || fail "the balance was not kept"
several 5
streamed || fail "the stream after a restart: $(head -c 500 "$work/stream")"
check_books
step "down and up again: $books"

look_for_secrets
step "still no secret in docker inspect, logs or arguments"

compose down --volumes >"$work/down.log" 2>&1 || { cat "$work/down.log" >&2; fail "down --volumes"; }
[ -z "$(docker ps --all --quiet)$(docker volume ls --quiet)" ] || fail "down --volumes leaves something"
step "taken down"
