#!/bin/sh
# Starts Redis with the password of the secret file. It goes in by the standard input, since arguments can be read
# by every user of the machine.
set -eu
if [ ! -s /run/secrets/redis_password ]; then
    echo "redis: /run/secrets/redis_password is missing or empty; make it with docker/make-secrets.sh" >&2
    exit 1
fi
exec redis-server /usr/local/etc/redis/redis.conf - <<END
maxmemory ${REDIS_MAXMEMORY:-512mb}
requirepass $(cat /run/secrets/redis_password)
END
