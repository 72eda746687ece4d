#!/usr/bin/env bash
# What the steps of docker/test/run.sh are made of: the stack's containers, and calls through the public port.
# shellcheck shell=bash

readonly base=http://127.0.0.1:8080
readonly question='你好 world, GPT-4!'
# What one such call costs with the default prices: 5 tokens at 10 and 5 at 30 per million.
readonly call_units=2 units=10000
# How long a caller waits, in seconds.
patience=30

step() { printf 'ok %4ds  %s\n' "$(($(date +%s) - started))" "$1"; }
fail() {
    echo "FAILED: $1" >&2
    exit 1
}

# Compose in the form that this machine has.
if docker compose version >/dev/null 2>&1; then
    compose() { docker compose --ansi never --progress quiet --project-name xiaoyi "$@"; }
else
    compose() { docker-compose --ansi never --project-name xiaoyi "$@"; }
fi

# containers SERVICE [ARGUMENT...]: the ids of its running containers; `--all` for all.
containers() {
    local service=$1
    shift
    docker ps --quiet --no-trunc "$@" --filter label=com.docker.compose.project=xiaoyi \
        --filter "label=com.docker.compose.service=$service"
}

# Commands of the program, in JSON.
xiaoyi() { compose exec -T admin xiaoyi --json "$@"; }

# within SECONDS WHAT COMMAND...: waits until the command succeeds.
within() {
    local seconds=$1 what=$2 end=$((SECONDS + $1))
    shift 2
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then fail "not within $seconds s: $what"; fi
        sleep 0.2
    done
}

# healthy SERVICE=COUNT...: whether so many containers run and are healthy.
healthy() {
    local pair id
    for pair in "$@"; do
        local ids=()
        mapfile -t ids < <(containers "${pair%=*}")
        [ "${#ids[@]}" -eq "${pair#*=}" ] || return 1
        for id in "${ids[@]}"; do
            [ "$(docker inspect --format '{{.State.Health.Status}}' "$id" 2>/dev/null)" = healthy ] || return 1
        done
    done
}

# call [FILE]: one plain call. Its status and code go to the file of calls; it succeeds when the answer is right.
call() {
    local answer=${1:-$work/answer} status code
    status=$(curl --silent --max-time "$patience" --output "$answer" --write-out '%{http_code}' \
        --header "Authorization: Bearer $(cat "$work/key")" --header 'Content-Type: application/json' \
        --data "{\"model\":\"gpt-3.5\",\"messages\":[{\"role\":\"user\",\"content\":\"$question\"}]}" \
        "$base/v1/chat/completions") || status=000
    code=$(jq -r '.code' "$answer" 2>/dev/null) || code=-
    echo "$status $code" >>"$work/calls"
    [ "$status" = 200 ] && [ "$(jq -r '.choices[0].message.content' "$answer")" = "$question" ]
}

# streamed: the same call as a stream, with its headers and its end.
streamed() {
    curl --silent --max-time "$patience" --no-buffer --dump-header "$work/headers" --output "$work/stream" \
        --header "Authorization: Bearer $(cat "$work/key")" --header 'Content-Type: application/json' \
        --data "{\"model\":\"gpt-3.5\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"$question\"}]}" \
        "$base/v1/chat/completions" || return 1
    echo "$(awk 'NR == 1 { print $2 }' "$work/headers") 0" >>"$work/calls"
    grep -qi '^content-type: text/event-stream' "$work/headers" || fail "the stream is no event stream"
    grep -qi '^x-accel-buffering: no' "$work/headers" || fail "the proxy swallows X-Accel-Buffering"
    [ "$(grep '^data: ' "$work/stream" | tail -n 1 | tr -d '\r')" = 'data: [DONE]' ] || return 1
    [ "$(sed -n 's/^data: {/{/p' "$work/stream" | jq -rj '.choices[0].delta.content // empty')" = "$question" ]
}

# several N: N calls one after another, all of which must be answered.
several() {
    local number
    for ((number = 1; number <= $1; number++)); do
        call || fail "call $number of $1: $(tail -n 1 "$work/calls"): $(head -c 500 "$work/answer")"
    done
}

# callers N: N callers in the background, each with one call after another, until `callers_stop`. That says how the calls
# ended, one status and code a line, in the file `during`.
callers() {
    local number
    calls_before=$(wc -l <"$work/calls") callers=()
    for ((number = 1; number <= $1; number++)); do
        while [ ! -e "$work/enough" ]; do call "$work/answer-$number" || true; done &
        callers+=($!)
    done
}
callers_stop() {
    touch "$work/enough"
    wait "${callers[@]}"
    rm "$work/enough"
    tail -n "+$((calls_before + 1))" "$work/calls" >"$work/during"
}

# check_books: the balance is what the calls cost, to the last unit. A call whose outcome nobody knows (code 50001, or a
# connection that died) may have been charged or not; every other failure is free.
check_books() {
    local answered unknown posted spent
    answered=$(grep -c '^200 ' "$work/calls" || true)
    unknown=$(grep -c -e '^000 ' -e ' 50001$' "$work/calls" || true)
    within 60 "no amount is held any more" nothing_held
    posted=$(xiaoyi balance --tenant acme | jq -r .posted)
    spent=$(awk -v posted="$posted" -v units="$units" 'BEGIN { printf "%.0f", (100 - posted) * units }')
    if [ "$spent" -lt "$((answered * call_units))" ] || [ "$spent" -gt "$(((answered + unknown) * call_units))" ]; then
        fail "$answered answered and $unknown unknown calls, but the balance is $posted"
    fi
    xiaoyi ledger audit | jq -e '.ok == true and .violations == []' >/dev/null || fail "the audit found something"
    books="$answered calls charged, $unknown of unknown outcome, balance $posted, audit clean"
}
nothing_held() { [ "$(xiaoyi balance --tenant acme | jq -r '.held | tonumber')" = 0 ]; }

# crash ID: kills the container's first process from outside, as a crash does; Docker starts it again by its restart
# policy. (After `docker kill` it would not: that counts as an order.)
crash() {
    local pid
    pid=$(docker inspect --format '{{.State.Pid}}' "$1")
    [ "$pid" -gt 1 ] || fail "container $1 does not run"
    kill -KILL "$pid"
}

# first SERVICE: one of its running containers.
first() { containers "$1" | head -n 1; }
