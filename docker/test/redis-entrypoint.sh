#!/bin/sh
# What the official image's entry point does for a container that is not started as root.
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- redis-server "$@"; fi
umask 0077
exec "$@"
