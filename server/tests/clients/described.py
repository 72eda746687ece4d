"""What schemathesis needs to know beside the API's description, to send requests that must succeed.

A JSON Schema says badly what joins two fields, or what only this installation has. Only cases that are meant to be accepted are
changed here, so that the check "valid data is accepted" can ask for a success of every one of them.
"""

import hashlib
import uuid
from datetime import date, datetime, timedelta

import schemathesis

MODELS = {
    "/v1/chat/completions": "gpt-4",
    "/v1/completions": "text-davinci-003",
    "/v1/images/generations": "dall-e-3",
    "/v1/embeddings": "text-embedding-3-small",
    "/v1/moderations": "omni-moderation-latest",
}
LONGEST_PERIOD = 366


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    if isinstance(case.body, dict) and case.operation.path in MODELS:
        case.body = accepted_body(case.operation.path, case.body)
    if case.headers and case.headers.get("Idempotency-Key"):
        case.headers["Idempotency-Key"] = of_its_own(case.headers["Idempotency-Key"])
    if case.operation.path == "/v1/models/{model}":
        case.path_parameters = {"model": "gpt-4"}
    for start, end in (("from", "to"), ("start_date", "end_date")):
        if case.query and (case.query.get(start) or case.query.get(end)):
            case.query = {**case.query, **accepted_period(case.query, start, end)}


def accepted_body(path, body):
    body = in_plain_digits(body)
    # Only the tests know which models this installation has.
    if body.get("model") is not None:
        body["model"] = MODELS[path]
    if body.get("stream_options") is not None and path != "/v1/images/generations":
        body["stream"] = True
    if body.get("best_of") is not None:
        if body.get("stream"):
            body["best_of"] = 1
        if body.get("n") is not None:
            body["n"] = min(body["n"], body["best_of"])
    # What the echo channel has at most.
    if body.get("dimensions") is not None:
        body["dimensions"] = min(body["dimensions"], 4096)
    return body


def in_plain_digits(value):
    """The service refuses 6.0 where a whole number is wanted, as OpenAI does; for JSON Schema that is an integer like any other."""
    if isinstance(value, dict):
        return {name: in_plain_digits(member) for name, member in value.items()}
    if isinstance(value, list):
        return [in_plain_digits(entry) for entry in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


def of_its_own(key):
    """The same key with another body is refused."""
    fresh = uuid.uuid4().hex
    return key[: -len(fresh)] + fresh if len(key) > len(fresh) else fresh


def accepted_period(query, start, end):
    """A period begins before it ends, and has at most 366 days; without an end it ends now."""
    first, last = query.get(start), query.get(end)
    if not first:
        return {}
    days = 1 + int(hashlib.sha256(f"{first} {last}".encode()).hexdigest(), 16) % (LONGEST_PERIOD - 1)
    if not last:
        earlier = datetime.now().astimezone() - timedelta(days=days)
        return {start: earlier.date().isoformat() if is_day(first) else earlier.isoformat()}
    if is_day(first):
        later = min(date.fromisoformat(first), date(9998, 1, 1)) + timedelta(days=days)
        return {start: (later - timedelta(days=days)).isoformat(), end: later.isoformat()}
    year = int(first[:4])
    beginning = first if 1 <= year < 9998 else "9997" + first[4:].replace("-02-29", "-02-28")
    # The same moment of a later day that every month has.
    return {start: beginning[:8] + "01" + beginning[10:], end: beginning[:8] + "02" + beginning[10:]}


def is_day(text):
    return len(text) == len("2026-01-31")
