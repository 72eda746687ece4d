#!/usr/bin/env bash
# Installs what the tests need (Debian packages, only those that are missing, and OpenAI's SDKs and schemathesis, which
# scripts/clients.sh puts into target/clients) and runs them all, on both pairs of backends: SQLite with the queue in process, and
# PostgreSQL with Redis, whose private servers the tests start themselves.
# Needs Rust and a C compiler. Usage: scripts/test.sh [arguments for `cargo test`]
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,5p' "$0" | cut -c3-
    echo "Examples:"
    echo "  scripts/test.sh --test it samples                            (only the tests whose name holds 'samples', on SQLite)"
    echo "  XIAOYI_TEST_PAIR=servers scripts/test.sh --test it samples   (the same on PostgreSQL and Redis)"
    exit 0
    ;;
esac

# needs PACKAGE COMMAND...: PACKAGE is missing when COMMAND fails.
missing=()
needs() {
    local package=$1
    shift
    if ! "$@" >/dev/null 2>&1; then missing+=("$package"); fi
}
needs chromium chromium --version
needs chromium-driver chromedriver --version
needs curl curl --version
needs php-cli php --version
needs python3 python3 --version
needs python3-venv python3 -c 'import ensurepip, venv'
needs nodejs node --version
needs npm npm --version
needs libc-bin iconv --version
needs openssl openssl version
needs redis-server redis-server --version
needs postgresql compgen -G '/usr/lib/postgresql/*/bin/postgres'
if ! python3 -c 'import requests' >/dev/null 2>&1 && ! /usr/bin/python3 -c 'import requests' >/dev/null 2>&1; then
    missing+=(python3-requests)
fi
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing: ${missing[*]}"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

scripts/clients.sh

if [ "$#" -gt 0 ]; then
    exec cargo test --locked --workspace "$@"
fi
echo "== SQLite, queue in process; and all that does not depend on the pair"
XIAOYI_TEST_PAIR=embedded cargo test --locked --workspace -- \
    --skip chaos::two_minutes --skip processes::fairness --skip page_budget::
echo "== what measures times, alone"
XIAOYI_TEST_PAIR=embedded cargo test --locked -p server --test it -- \
    --test-threads 1 chaos::two_minutes processes::fairness page_budget::
echo "== PostgreSQL, Redis"
XIAOYI_TEST_PAIR=servers cargo test --locked -p shared -p api -p admin -p server --test it -- \
    --skip processes:: --skip chaos:: --skip only_sqlite:: --skip only_postgres:: --skip page_budget:: \
    --skip browser::harness --skip browser::every_page --skip browser::keyboard --skip browser::hostile \
    --skip clients::capabilities --skip clients::curl --skip clients::errors --skip clients::repetitions \
    --skip clients::retries --skip clients::schema --skip clients::timeouts --skip clients::documented \
    --skip clients::console_samples --skip clients::described::with_a_key_of_limits
