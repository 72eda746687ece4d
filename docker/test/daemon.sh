#!/usr/bin/env bash
# The Docker daemon of the test, and the images that it cannot pull.
# shellcheck shell=bash

# start_daemon: everything that it writes is in $work; storage falls back to plain copies where overlays do not work.
start_daemon() {
    ip link set lo up
    mount_cgroups
    local driver
    for driver in overlay2 vfs; do
        rm -rf "$work/data" "$work/exec"
        dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" \
            --storage-driver "$driver" --bridge none --exec-opt native.cgroupdriver=cgroupfs \
            --cgroup-parent "/$(basename "$work")" >"$work/dockerd.log" 2>&1 &
        local daemon=$! end=$((SECONDS + 60))
        while [ "$SECONDS" -lt "$end" ] && kill -0 "$daemon" 2>/dev/null; do
            if docker version >/dev/null 2>&1; then return; fi
            sleep 0.2
        done
        kill -KILL "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    done
    fail "no Docker daemon comes up"
}

# mount_cgroups: a machine without an init system may have no control groups mounted. Only this namespace sees these.
mount_cgroups() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ] || [ -d /sys/fs/cgroup/memory ]; then return; fi
    mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup
    local controller
    for controller in $(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups); do
        mkdir "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || rmdir "/sys/fs/cgroup/$controller"
    done
}

# build_images: the images that docker-compose.yml and Dockerfile name, under their names. What was built once is loaded
# from the cache, as long as nothing that it was made from has changed.
build_images() {
    local images=(debian:bookworm-slim postgres:15 redis:7 nginx:1.28) saved tag name
    saved=$cache/images-$(cat docker/test/*.Dockerfile docker/test/*-entrypoint.sh | sha256sum | cut -c -16).tar
    if [ -e "$saved" ]; then
        docker load --quiet --input "$saved" >/dev/null
        return
    fi
    docker import "$cache/base.tar" debian:bookworm-slim >/dev/null
    for tag in "${images[@]:1}"; do
        name=${tag%%:*}
        local context=$work/context-$name
        mkdir -p "$context"
        cp -r "$cache/debs/$name" "$context/debs"
        cp docker/test/*-entrypoint.sh "$context/"
        build --tag "$tag" --file "docker/test/$name.Dockerfile" "$context"
        rm -r "$context"
    done
    rm -f "$cache"/images-*.tar
    docker save --output "$saved.new" "${images[@]}"
    mv "$saved.new" "$saved"
}

# build_program: `docker-compose build`, with a copy of the repository's files so that the program can be any. The
# .dockerignore of the repository is in force, and what it lets through is all that the builder gets.
build_program() {
    local context=$work/source
    mkdir -p "$context/target/release"
    cp -r Dockerfile .dockerignore docker-compose.yml docker migrations "$context/"
    strip -o "$context/target/release/xiaoyi" "$binary"
    cd "$context"
    compose build migrate >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; fail "the image"; }
}

# Without a network: nothing may be downloaded by a build.
build() {
    docker build --network none "$@" >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; fail "an image"; }
}
