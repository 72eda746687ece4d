# Containers that are killed or crash. Run by docker/test/run.sh.
# shellcheck shell=bash

# What a person sees who tries again: an answer within 5 s.
answers() { patience=5 call; }

docker kill "$(first worker)" "$(first api)" >/dev/null
within 15 "the service answers with one api and one worker left" answers
several 5
compose up -d --no-recreate --scale api=2 --scale worker=2 >"$work/up.log" 2>&1 || fail "up after docker kill"
within 120 "the killed containers are healthy again" healthy api=2 worker=2
step "docker kill of a worker and an api: the others answered; up brought them back"

# restarted ID COUNT: whether Docker's restart policy has started it again and it is healthy.
restarted() {
    [ "$(docker inspect --format '{{.RestartCount}} {{.State.Health.Status}}' "$1")" = "$2 healthy" ]
}
callers 2
for service in worker api redis postgres proxy admin; do
    id=$(first "$service")
    count=$(docker inspect --format '{{.RestartCount}}' "$id")
    crash "$id"
    within 90 "$service is healthy again" restarted "$id" "$((count + 1))"
    within 5 "the service answers after the crash of $service" answers
done
callers_stop
# A service that waits for another may still be unhealthy for a moment.
within 60 "all is healthy again" healthy postgres=1 redis=1 api=2 worker=2 admin=1 proxy=1
several 5
check_books
step "crashes of worker, api, redis, postgres, proxy and admin under load: each came back by itself; $books"
