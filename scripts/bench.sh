#!/usr/bin/env bash
# Measures xiaoyi beside nginx and the provider alone, all in turns on this machine, checks that every answer was charged, and prints a
# Markdown table and whether the marks of docs/performance.md are met (exit status 1 if not, or if something goes wrong).
# Installs what it needs (Debian packages, only those that are missing) and builds in release. Needs Rust and a C compiler.
#
# Usage: scripts/bench.sh [--quick] [--only embedded|separate] [--rounds N] [--seconds N] [--json] [--xiaoyi FILE]
#
# Examples:
#   scripts/bench.sh                      everything, some five minutes
#   scripts/bench.sh --quick              the same in half a minute: shows that it works, not how fast it is
#   scripts/bench.sh --only embedded      without PostgreSQL and Redis
#   scripts/bench.sh --rounds 9 --json    more rounds; one JSON value with all of them
#   TMPDIR=/var/tmp scripts/bench.sh      databases on another file system (one in memory makes commits free)
set -euo pipefail
cd "$(dirname "$0")/.."

separate=1
for argument in "$@"; do
    case "$argument" in
    -h | --help)
        sed -n '2,/^set /p' "$0" | grep '^#' | cut -c3-
        exit 0
        ;;
    embedded | --only=embedded) separate=0 ;;
    esac
done

missing=()
# needs PACKAGE COMMAND...: PACKAGE is to be installed when COMMAND fails.
needs() {
    local package=$1
    shift
    if ! "$@" >/dev/null 2>&1; then missing+=("$package"); fi
}
needs wrk command -v wrk
needs nginx test -x /usr/sbin/nginx
if [ "$separate" -eq 1 ]; then
    needs postgresql ls /usr/lib/postgresql/*/bin/postgres
    needs redis-server command -v redis-server
fi
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing: ${missing[*]}" >&2
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

cargo build --quiet --locked --release -p server -p trials --bin xiaoyi --bin bench
exec "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
