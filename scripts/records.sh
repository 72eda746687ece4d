#!/usr/bin/env bash
# Asks a database of many calls all that people can ask, on SQLite and on PostgreSQL, and shows how long each answer took, slowest first.
# Fails when one takes 200 ms or more at best of three, or when a plan reads a large table from end to end. Some ten minutes.
# Usage: scripts/records.sh [number of calls, by itself 1000000]
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,4p' "$0" | cut -c3-
    exit 0
    ;;
esac

report=$(mktemp)
trap 'rm -f "$report"' EXIT
failed=0
for pair in embedded servers; do
    XIAOYI_TEST_PAIR=$pair XIAOYI_RECORDS_CALLS=${1:-1000000} XIAOYI_RECORDS_REPORT=$report \
        cargo test --locked -p shared --test it many_calls || failed=1
    echo "== $pair"
    sort -rn -k1,1 "$report"
done
exit "$failed"
