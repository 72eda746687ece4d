#!/usr/bin/env bash
# Prints what each page of the panel and the console costs on the demo's data, as people run it (a release build): milliseconds until its
# last byte (the median of five), and kilobytes with all that it loads. Exit status 1 if one is over the budget.
# (`scripts/test.sh` holds the debug build to the same budget.) Needs Rust and a C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

exec cargo test --release --locked -p server --test it page_budget -- --nocapture
