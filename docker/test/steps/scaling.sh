# More and fewer containers, and a rolling restart under load. Run by docker/test/run.sh.
# shellcheck shell=bash

# scale API WORKER
scale() {
    compose up -d --no-recreate --scale "api=$1" --scale "worker=$2" >"$work/up.log" 2>&1 ||
        { cat "$work/up.log" >&2; fail "scaling"; }
    within 120 "$1 api and $2 worker are healthy" healthy "api=$1" "worker=$2" proxy=1
}
scale 1 3
several 10
scale 2 2
several 10
step "scaled to 1 api and 3 worker and back; 20 calls answered"

callers 4
for service in api worker; do
    for id in $(containers "$service"); do
        docker stop -t 35 "$id" >/dev/null
        docker start "$id" >/dev/null
        within 60 "$service is healthy again" healthy "$service=2"
    done
done
callers_stop
lost=$(grep -vc '^200 ' "$work/during" || true)
[ "$lost" -eq 0 ] || fail "$lost of $(wc -l <"$work/during") calls failed: $(grep -v '^200 ' "$work/during" | sort | uniq -c)"
step "a rolling restart of api and worker under load: $(wc -l <"$work/during") calls, none lost"
