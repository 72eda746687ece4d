#!/bin/sh
# Makes the secrets that docker-compose.yml reads, those that do not exist yet.
# Usage: docker/make-secrets.sh [FOLDER]   (docker/secrets when none is given)
#
# The folder may be entered by its owner only, which is what protects the files. The files themselves are readable by
# all, because compose passes them into the containers as they are, where users without root read them.
set -eu
case "${1:-}" in
-h | --help)
    sed -n '2,6p' "$0" | cut -c3-
    exit 0
    ;;
esac
folder=${1:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$folder"
chmod 0700 "$folder"

# make NAME: 32 random bytes as the standard input of the command that follows; its output is the secret.
make() {
    name=$1
    shift
    if [ -s "$folder/$name" ]; then
        echo "$name: kept"
        return
    fi
    head -c 32 /dev/urandom | "$@" | tr -d ' \n' >"$folder/$name"
    chmod 0444 "$folder/$name"
    echo "$name: made"
}

make postgres_password od -An -v -tx1
make database_owner_password od -An -v -tx1
make database_password od -An -v -tx1
make redis_password od -An -v -tx1
make xiaoyi_secret_key base64
echo "Keep a copy of xiaoyi_secret_key apart from the database's: without it, providers' keys and all Secret Keys are lost."
