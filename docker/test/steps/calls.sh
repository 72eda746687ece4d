# A customer, a key, calls; and what the service's role may not do to the ledger. Run by docker/test/run.sh.
# shellcheck shell=bash

xiaoyi tenant create acme | jq -e '.name == "acme"' >/dev/null || fail "tenant create"
xiaoyi topup --tenant acme --amount 100.00 --reference compose-test | jq -e '.posted == "100.00"' >/dev/null ||
    fail "topup"
xiaoyi channel add --name echo --type echo --models gpt-3.5=echo,gpt-4=echo >/dev/null || fail "channel add"
(umask 077 && xiaoyi key issue --tenant acme | jq -r .secret >"$work/key")
grep -Eq '^sk-xy[0-9A-Za-z]+$' "$work/key" || fail "key issue"
step "a customer, a top-up, a channel and a key are made with docker-compose exec"

within 5 "a new key and channel work" call
streamed || fail "the stream: $(head -c 500 "$work/stream")"
check_books
step "a plain and a streamed call through the public port: $books"

declare -A before
for id in $(containers api); do before[$id]=$(docker logs "$id" 2>&1 | wc -l); done
several 20
for id in $(containers api); do
    [ "$(docker logs "$id" 2>&1 | wc -l)" -gt "${before[$id]}" ] || fail "one API container got none of 20 calls"
done
step "both API containers answer"

head -c 11600000 /dev/zero | tr '\0' 'a' >"$work/large"
status=$(curl --silent --output "$work/answer" --write-out '%{http_code}' --header 'Content-Type: application/json' \
    --header 'Expect:' --data-binary "@$work/large" "$base/v1/chat/completions") || true
[ "$status" = 413 ] && [ "$(jq .code "$work/answer")" = 41300 ] || fail "a body of 11.6 MB got $status"
step "a body beyond the limit gets the error of the contract"

# As the service's role, over the network and with its password.
as_service() {
    docker exec --interactive "$(first postgres)" sh -c 'PGPASSWORD=$(cat /run/secrets/database_password) \
        exec psql -X -q -v ON_ERROR_STOP=1 --host postgres --username xiaoyi --dbname xiaoyi' 2>&1 <<<"$1"
}
as_service "SELECT count(*) FROM lines" >/dev/null || fail "the service's role cannot read the ledger"
for table in lines transfers settlements holds charges; do
    for statement in "DELETE FROM $table" "TRUNCATE $table" "UPDATE $table SET request_id = request_id" \
        "DROP TABLE $table" "ALTER TABLE $table DISABLE TRIGGER ALL"; do
        # `lines` has no request_id: there its own column.
        if [ "$table" = lines ]; then statement=${statement//request_id/delta}; fi
        if output=$(as_service "$statement"); then fail "the service's role may: $statement"; fi
        grep -Eq 'permission denied|must be owner' <<<"$output" || fail "$statement: $output"
    done
done
step "the service's role can neither change nor delete rows of the ledger"
