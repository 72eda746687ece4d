#!/usr/bin/env bash
# The arrows between the crates: shared <- api, worker, admin <- server. One line a rule; see ARCHITECTURE.md.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
# forbid CRATE DEPENDENCY: CRATE must not have DEPENDENCY anywhere below it.
forbid() {
    local tree
    # Without a tree there is nothing to say: the script ends here with cargo's own words.
    tree=$(cargo tree --quiet --locked -p "$1" -e normal,build --prefix none)
    if grep -q "^$2 v" <<<"$tree"; then
        echo "architecture: $1 must not depend on $2" >&2
        failed=1
    fi
}
# within FOLDER PATTERN WHY: no Rust file of FOLDER may hold PATTERN (files of tests may).
within() {
    [ -d "$1" ]
    if grep -rnE --include='*.rs' --exclude='tests.rs' --exclude-dir=tests "$2" "$1"; then
        echo "architecture: $1: $3" >&2
        failed=1
    fi
}

for crate in api worker admin server; do forbid shared "$crate"; done
for other in worker admin server; do forbid api "$other"; done
for other in api admin server; do forbid worker "$other"; done
for other in api worker server; do forbid admin "$other"; done
for crate in shared api worker admin server; do
    forbid "$crate" testkit
    forbid "$crate" trials
done
forbid shared actix-web
forbid worker actix-web
forbid admin reqwest
forbid api reqwest
forbid shared reqwest

# The seam: only the deployment looks at the settings to choose a database or a queue.
within api/src 'DatabaseUrl|MemoryQueue|RedisQueue|RedisPool|MemoryLimits|RedisLimits' 'only shared::deployment chooses the database, the queue and the limits'
within worker/src 'DatabaseUrl|MemoryQueue|RedisQueue|RedisPool|MemoryLimits|RedisLimits' 'only shared::deployment chooses the database, the queue and the limits'
within admin/src 'DatabaseUrl|MemoryQueue|RedisQueue|RedisPool|MemoryLimits|RedisLimits' 'only shared::deployment chooses the database, the queue and the limits'
# The ledger's tables are written in one place.
within server/src 'INSERT INTO|UPDATE accounts' 'only shared::ledger writes the ledger'
within api/src 'INSERT INTO|UPDATE accounts' 'only shared::ledger writes the ledger'
within worker/src 'INSERT INTO|UPDATE accounts' 'only shared::ledger writes the ledger'

if [ "$failed" -eq 0 ]; then echo "architecture: every rule holds"; fi
exit "$failed"
