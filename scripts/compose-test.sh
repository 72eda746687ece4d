#!/usr/bin/env bash
# Runs docker-compose.yml for real: several API containers and workers, PostgreSQL and Redis, calls through the public
# port, scaling, killed containers, restarts; then the books are audited and everything is taken down.
#
# Usage: scripts/compose-test.sh [--binary PATH] [--cache FOLDER] [--clean]
#   --binary PATH    the program to put into the image; otherwise `cargo build --release` makes it first
#   --cache FOLDER   where the parts of the base images are kept between runs
#                    (default: xiaoyi-compose-test in $TMPDIR or /var/tmp)
#   --clean          remove that folder at the end
#
# Needs root, Linux and Debian's packages (docker.io, docker-compose, debootstrap and smaller ones are installed when
# missing). It starts a Docker daemon of its own, with all of its files in a temporary folder and in network, mount and
# process namespaces of its own: it meets no other daemon, takes no port of this machine, and ends with the script.
# No image is pulled: what the files name is made here from Debian's packages. Each step prints one line; a failure
# prints the logs and ends with status 1.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n "2,15p" "$0" | cut -c3-; }
wrong() {
    echo "compose-test: $1; see --help" >&2
    exit 2
}

binary=""
cache=${TMPDIR:-/var/tmp}/xiaoyi-compose-test
clean=0
while [ "$#" -gt 0 ]; do
    case $1 in
    -h | --help) usage && exit 0 ;;
    --binary | --cache)
        [ -n "${2:-}" ] || wrong "$1 needs a value"
        if [ "$1" = --binary ]; then binary=$(realpath -m "$2"); else cache=$(realpath -m "$2"); fi
        shift 2
        ;;
    --clean) clean=1 && shift ;;
    *) wrong "unknown argument $1" ;;
    esac
done
[ "$(id -u)" -eq 0 ] || wrong "it has to run as root, since it starts a Docker daemon"
[ -z "$binary" ] || [ -x "$binary" ] || wrong "$binary is no program"

started=$(date +%s)
step() { printf 'ok %4ds  %s\n' "$(($(date +%s) - started))" "$1"; }

# PACKAGE:COMMAND, installed where the command is missing.
missing=()
for pair in docker.io:dockerd docker-compose:docker-compose debootstrap:debootstrap iptables:iptables iproute2:ip \
    jq:jq curl:curl util-linux:unshare binutils:strip; do
    command -v "${pair#*:}" >/dev/null || missing+=("${pair%%:*}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    # No package may start a service here: the daemon that is wanted is this script's own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
    rm -f "$policy"
    trap - EXIT
    step "installed ${missing[*]}"
fi

if [ -z "$binary" ]; then
    cargo build --locked --release
    binary=$PWD/target/release/xiaoyi
    step "built the program"
fi
docker/test/base.sh "$cache"
step "the parts of the base images are in $cache"

# Not below $TMPDIR, which may be long: the path of a socket has 107 characters at most.
work=$(mktemp -d /tmp/xct.XXXXXX)
inside=""
cleanup() {
    trap - EXIT INT TERM
    if [ -n "$inside" ]; then
        kill -KILL "$inside" 2>/dev/null || true
        wait "$inside" 2>/dev/null || true
    fi
    # The daemon's mounts went with its namespace; its control groups are empty directories now.
    find /sys/fs/cgroup -depth -type d -path "*/$(basename "$work")*" -exec rmdir {} + 2>/dev/null || true
    rm -rf "$work"
    if [ "$clean" -eq 1 ]; then rm -rf "$cache"; fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The first process in the namespaces is the test itself: when it ends, the kernel ends whatever it started; and it ends
# with this script, however that does.
setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private \
    docker/test/run.sh "$work" "$cache" "$binary" "$started" </dev/null &
inside=$!
status=0
wait "$inside" || status=$?
inside=""
cleanup
if [ "$status" -eq 0 ]; then step "everything is removed again, but for the cache (--clean)"; fi
exit "$status"
