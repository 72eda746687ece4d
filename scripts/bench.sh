#!/usr/bin/env bash
# Measures xiaoyi beside nginx and the provider alone, all in turns on this machine, and checks the marks of docs/performance.md.
# Installs what it needs (Debian packages, only those that are missing) and builds in release. Needs Rust and a C compiler.
# Usage: scripts/bench.sh [--quick] [--only embedded|separate] [--rounds N] [--seconds N] [--json]; --help says more.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --locked --release -p server -p trials --bin xiaoyi --bin bench
case " $* " in
*" --help "* | *" -h "*) exec cargo run --quiet --locked --release -p trials --bin bench -- --help ;;
esac

missing=()
# needs PACKAGE COMMAND...: PACKAGE is to be installed when COMMAND fails.
needs() {
    local package=$1
    shift
    if ! "$@" >/dev/null 2>&1; then missing+=("$package"); fi
}
needs wrk command -v wrk
needs nginx test -x /usr/sbin/nginx
needs postgresql ls /usr/lib/postgresql/*/bin/postgres
needs redis-server command -v redis-server
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing: ${missing[*]}" >&2
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

exec cargo run --quiet --locked --release -p trials --bin bench -- "$@"
