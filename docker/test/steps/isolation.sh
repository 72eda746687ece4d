# What every container may not do, and where no secret is. Run by docker/test/run.sh.
# shellcheck shell=bash

for id in $(docker ps --quiet --filter label=com.docker.compose.project=xiaoyi); do
    name=$(docker inspect --format '{{.Name}}' "$id")
    [ "$(docker exec "$id" id -u)" -ne 0 ] || fail "$name runs as root"
    # $1 is expanded in the container.
    # shellcheck disable=SC2016
    docker exec "$id" sh -c '! touch /written 2>/dev/null && ! touch /usr/written 2>/dev/null' ||
        fail "the root file system of $name can be written"
    docker exec "$id" grep -Eq '^CapBnd:\s0+$' /proc/1/status || fail "$name may have capabilities"
    docker exec "$id" grep -Eq '^NoNewPrivs:\s1$' /proc/1/status || fail "$name may gain privileges"
done
step "no container runs as root, writes to its root file system, has a capability or can gain one"

[ "$(docker inspect --format '{{(index (index .NetworkSettings.Ports "8081/tcp") 0).HostIp}}' "$(first admin)")" = \
    127.0.0.1 ] || fail "the panel is published to others than this machine"
for service in postgres redis api worker; do
    ports=$(docker inspect --format '{{json .HostConfig.PortBindings}}' "$(first "$service")")
    [ "$ports" = '{}' ] || [ "$ports" = null ] || fail "$service publishes a port: $ports"
done
curl --silent --fail --output /dev/null --max-time 10 http://127.0.0.1:8081/ || fail "the panel does not answer"
step "only the proxy and, on 127.0.0.1, the panel have published ports"

# look_for_secrets: in what Docker shows of the containers, in their logs and in the arguments of all processes.
look_for_secrets() {
    local file secret id
    docker ps --all --quiet | xargs docker inspect >"$work/shown"
    for id in $(docker ps --all --quiet); do docker logs "$id" >>"$work/shown" 2>&1; done
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' >>"$work/shown" || true
    for file in "$XIAOYI_SECRETS"/* "$work/key"; do
        [ -e "$file" ] || continue
        secret=$(cat "$file")
        [ "${#secret}" -ge 16 ] || fail "$file holds no secret"
        if grep -qF -- "$secret" "$work/shown"; then fail "the secret $(basename "$file") can be seen"; fi
    done
    rm "$work/shown"
}
look_for_secrets
step "no secret in docker inspect, logs or arguments"
