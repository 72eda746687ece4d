#!/usr/bin/env bash
# Makes what the images of the test are built from, in a folder that later runs use again: a minimal Debian
# (debootstrap) and the packages of PostgreSQL, Redis and nginx. Run by scripts/compose-test.sh, as root.
# Usage: docker/test/base.sh FOLDER
set -euo pipefail
cache=$1
suite=bookworm

# What is in $cache/ready is whole, since it is written elsewhere and renamed at the end; and made by this very script.
if cmp --silent "$0" "$cache/ready/base.sh"; then exit 0; fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/making.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The same mirror and proxy that this machine's apt uses.
# The words in $() are for apt-get.
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 2>/dev/null |
    awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }') || true
mirror=${mirror:-http://deb.debian.org/debian}
proxy=$(apt-config dump --format '%v' Acquire::http::Proxy)
if [ -n "$proxy" ]; then export http_proxy=$proxy; fi

debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/root" "$mirror" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; exit 1; }
rm -f "$work"/root/var/cache/apt/archives/*.deb
# As the official slim image: without documentation, here and in what is installed later.
for folder in doc info locale man; do
    echo "path-exclude=/usr/share/$folder/*"
    rm -rf "$work/root/usr/share/$folder"
done >"$work/root/etc/dpkg/dpkg.cfg.d/slim"
mkdir -p "$work/ready/debs"
tar -C "$work/root" --numeric-owner --exclude=./dev/* --exclude=./var/lib/apt/lists/* -cf "$work/ready/base.tar" .

# download NAME PACKAGE...: the packages that the base lacks for these.
download() {
    local name=$1
    shift
    chroot "$work/root" apt-get install -y -qq --no-install-recommends --download-only "$@" >>"$work/log" 2>&1 ||
        { tail -n 20 "$work/log" >&2; exit 1; }
    mkdir "$work/ready/debs/$name"
    mv "$work"/root/var/cache/apt/archives/*.deb "$work/ready/debs/$name/"
}
chroot "$work/root" apt-get update -qq >>"$work/log" 2>&1
download postgres postgresql-15
download redis redis-server
download nginx nginx-light curl
cp "$0" "$work/ready/base.sh"
rm -rf "$cache/ready"
mv "$work/ready" "$cache/ready"
