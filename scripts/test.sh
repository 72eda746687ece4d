#!/usr/bin/env bash
# Installs what the tests need (Debian packages, only those that are missing) and runs them all.
# Needs Rust and a C compiler. Usage: scripts/test.sh [arguments for `cargo test`]
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,3p' "$0" | cut -c3-
    echo "Example: scripts/test.sh --test it samples   (only the end-to-end tests whose name holds 'samples')"
    exit 0
    ;;
esac

# install PACKAGE COMMAND: installs PACKAGE when COMMAND fails.
missing=()
needs() {
    local package=$1
    shift
    if ! "$@" >/dev/null 2>&1; then missing+=("$package"); fi
}
needs curl curl --version
needs php-cli php --version
needs python3 python3 --version
needs libc-bin iconv --version
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

if [ "$#" -gt 0 ]; then
    exec cargo test --locked --workspace "$@"
fi
cargo test --locked --workspace
