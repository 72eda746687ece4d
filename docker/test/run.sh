#!/usr/bin/env bash
# The part of scripts/compose-test.sh that runs in namespaces of its own: the Docker daemon, the images, the steps.
# Usage: docker/test/run.sh WORK CACHE BINARY STARTED
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$1 cache=$2/ready binary=$3 started=$4
# Nothing of the caller's own settings for compose.
unset "${!XIAOYI_@}" "${!POSTGRES_@}" "${!REDIS_@}" "${!COMPOSE_@}" NGINX_IMAGE RUNTIME_IMAGE RUST_IMAGE RUST_LOG
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=${DOCKER_CONFIG:-$work/config}
# The classic builder: it needs neither a plugin nor a front end from a registry.
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 COMPOSE_HTTP_TIMEOUT=180
source docker/test/stack.sh

report() {
    local status=$?
    trap - EXIT
    if [ "$status" -ne 0 ]; then
        {
            docker ps --all
            compose logs --no-color --tail=60
            echo "--- the daemon"
            tail -n 30 "$work/dockerd.log"
        } >&2 || true
        exit 1
    fi
}
trap report EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

source docker/test/daemon.sh
start_daemon
step "a Docker daemon of its own runs ($(docker info --format '{{.ServerVersion}}, {{.Driver}}'))"

build_images
step "base images and stand-ins for PostgreSQL, Redis and nginx are built"

export XIAOYI_SECRETS=$work/secrets XIAOYI_BUILD_TARGET=prebuilt XIAOYI_BINARY=target/release/xiaoyi
docker/make-secrets.sh "$XIAOYI_SECRETS" >/dev/null
build_program
step "the image of the program is built from $binary"

compose up -d --scale api=2 --scale worker=2 >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "up"; }
within 120 "all containers are healthy" healthy postgres=1 redis=1 api=2 worker=2 admin=1 proxy=1
step "up: 2 api, 2 worker, admin, proxy, PostgreSQL and Redis are healthy"

for steps in isolation calls scaling faults ending; do
    source "docker/test/steps/$steps.sh"
done
