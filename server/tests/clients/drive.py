"""Makes calls with OpenAI's SDK for Python, or with langchain-openai, as it is told, and says what became of each.

Each line of the standard input is an order, each line of the standard output an event or, at last, the order's result:
    {"call": "chat.completions.create", "arguments": [...], "body": {...}, "extra": {...}, "headers": {...}, "client": {...}, "leave": "text"}
    {"event": "begun"}      the head of a stream has come
    {"event": "leaving"}    the text of `leave` has come, and the stream is closed now, in the middle
    {"result": ...}         what came; of a stream its text
    {"raised": "...", "is": [...], ...}    an exception, the names of its classes, and what it says
"""

import functools
import json
import sys
import time

import openai

LANGCHAIN = "langchain."


def say(line):
    print(json.dumps(line), flush=True)


def carry_out(order):
    if order["call"].startswith(LANGCHAIN):
        return with_langchain(order)
    options = dict(order.get("client", {}))
    method = functools.reduce(getattr, order["call"].split("."), openai.OpenAI(**options))
    body = order.get("body", {})
    more = {f"extra_{name}": order[key] for name, key in (("body", "extra"), ("headers", "headers")) if key in order}
    reply = method(*order.get("arguments", []), **body, **more)
    if isinstance(reply, openai.Stream):
        return read(reply, (text_of(chunk) for chunk in reply), reply.close, order)
    return {"result": reply.to_dict(mode="json"), "request_id": getattr(reply, "_request_id", None)}


def with_langchain(order):
    from langchain_openai import ChatOpenAI

    body = dict(order["body"])
    messages = body.pop("messages")
    model = ChatOpenAI(**body, **order.get("client", {}))
    if order["call"] == "langchain.invoke":
        return {"result": model.invoke(messages).content}
    stream = model.stream(messages)
    return read(None, (chunk.content for chunk in stream), stream.close, order)


def read(stream, texts, close, order):
    if stream is not None:
        say({"event": "begun"})
    text = ""
    for piece in texts:
        if stream is None and not text:
            say({"event": "begun"})
        text += piece
        if order.get("leave") and order["leave"] in text:
            say({"event": "leaving"})
            close()
            break
    return {"result": text, "request_id": stream and stream.response.headers["x-request-id"]}


def text_of(chunk):
    return "".join(choice.delta.content or "" for choice in chunk.choices)


def raised(error):
    body = getattr(error, "body", None)
    return {
        "raised": type(error).__name__,
        "is": [each.__name__ for each in type(error).__mro__],
        "message": body.get("message") if isinstance(body, dict) else str(error),
        "status": getattr(error, "status_code", None),
        **{name: getattr(error, name, None) for name in ("code", "type", "param", "request_id")},
    }


def main():
    for line in sys.stdin:
        began = time.monotonic()
        try:
            outcome = carry_out(json.loads(line))
        except Exception as error:
            outcome = raised(error)
        say({**outcome, "took_ms": round((time.monotonic() - began) * 1000)})


main()
