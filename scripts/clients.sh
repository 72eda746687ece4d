#!/usr/bin/env bash
# Installs the clients that the tests use, OpenAI's SDKs, LangChain and schemathesis, from PyPI and npm: into target/clients, and only when
# server/tests/clients asks for others than are there. Needs python3 with venv, node and npm; scripts/test.sh installs these.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=server/tests/clients
clients=${CARGO_TARGET_DIR:-target}/clients
mkdir -p "$clients"
exec {lock}>"$clients/lock"
flock "$lock"

# up_to_date STAMP TEXT: whether this was installed last.
up_to_date() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

python=$(python3 --version && cat "$wanted/requirements.txt" "$wanted/constraints.txt")
if ! up_to_date "$clients/python/stamp" "$python"; then
    echo "installing clients of Python"
    python3 -m venv --clear "$clients/python"
    "$clients/python/bin/pip" install --quiet --disable-pip-version-check --no-input \
        --requirement "$wanted/requirements.txt" --constraint "$wanted/constraints.txt"
    echo "$python" >"$clients/python/stamp"
fi

node=$(node --version && cat "$wanted/package.json" "$wanted/package-lock.json")
if ! up_to_date "$clients/node/stamp" "$node"; then
    echo "installing clients of Node"
    mkdir -p "$clients/node"
    rm -f "$clients/node/stamp"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$clients/node/"
    npm ci --prefix "$clients/node" --silent --no-audit --no-fund --ignore-scripts
    echo "$node" >"$clients/node/stamp"
fi
