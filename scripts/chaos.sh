#!/usr/bin/env bash
# Kills, stops and confuses the parts of a running service and proves that no money went wrong; exit 1 when any check fails.
# Builds everything in release, installs PostgreSQL and Redis (Debian packages) when they are missing. Usage: scripts/chaos.sh [arguments]
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,3p' "$0" | cut -c3-
    echo "Example: scripts/chaos.sh --seconds 120 --seed 7    (without arguments: ten minutes and a new seed)"
    echo
    exec cargo run --quiet --locked --release -p trials --bin chaos -- --help
    ;;
esac

missing=()
if ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then missing+=(postgresql); fi
if ! command -v redis-server >/dev/null; then missing+=(redis-server); fi
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing: ${missing[*]}" >&2
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    # Only the programs are needed: the trial has servers of its own.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

cargo build --locked --release -p server --bin xiaoyi -p trials --bin chaos
exec target/release/chaos --program target/release/xiaoyi "$@"
