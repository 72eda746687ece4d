//! The benchmark, and the provider that answers in it. `scripts/bench.sh` builds all that it needs and starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    trials::bench::main()
}
