"""What people do with OpenAI's SDK for Python. Only OPENAI_BASE_URL and OPENAI_API_KEY are set, as the SDK reads them by itself."""

import asyncio
import base64
import json
import struct

from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from checks import check, run

SAYING = "one two three four, 五六"
QUESTION = [{"role": "user", "content": "你好 world"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITIES = [{"city": "Paris"}, {"city": "北京"}]

client = OpenAI()


class Event(BaseModel):
    name: str
    day: str
    people: list[str]


def chat(**more):
    return client.chat.completions.create(**{"model": "gpt-4", "messages": QUESTION, **more})


def joined(stream, index=0):
    """The chunks of a stream, and the text of one of its answers."""
    chunks = list(stream)
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return chunks, "".join(choice.delta.content or "" for choice in choices)


@check
def chat_plain():
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "system", "content": "Be kind."}, *QUESTION]
    reply = chat(messages=messages, temperature=0.5, max_completion_tokens=100)
    assert reply.object == "chat.completion" and reply.model == "gpt-4" and reply.id.startswith("chatcmpl-"), reply
    choice = reply.choices[0]
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant"), choice
    assert choice.message.content == SAYING
    # "Be brief.", "Be kind." and the question are two words, two words, and a word with two hanzi.
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (7, 7, 14), reply.usage
    assert reply._request_id.replace("-", "") == reply.id.removeprefix("chatcmpl-")


@check
def chat_streamed():
    with chat(stream=True) as stream:
        chunks, text = joined(stream)
    assert text == SAYING
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"} and {chunk.model for chunk in chunks} == {"gpt-4"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason == "stop"
    # Nobody asked for it, so it is not there, not even as null.
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


@check
def usage_in_a_stream():
    chunks, text = joined(chat(stream=True, stream_options={"include_usage": True}))
    *others, last = chunks
    assert text == SAYING and last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (3, 7, 10), last.usage
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in others)
    chunks, text = joined(chat(stream=True, stream_options={"include_usage": False}))
    assert text == SAYING and all("usage" not in chunk.model_fields_set for chunk in chunks)


@check
def stream_helper():
    with client.chat.completions.stream(model="gpt-4", messages=QUESTION) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        assert "".join(deltas) == SAYING
        assert stream.get_final_completion().choices[0].message.content == SAYING


@check
def tools():
    reply = chat(tools=[TOOL], tool_choice="auto", parallel_tool_calls=True)
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    calls = choice.message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather"] * 2
    assert [json.loads(call.function.arguments) for call in calls] == CITIES


@check
def tool_results():
    message = chat(tools=[TOOL]).choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": json.loads(call.function.arguments)["city"] + " is sunny"}
        for call in message.tool_calls
    ]
    for asked in (message, message.model_dump(exclude_none=True)):
        reply = chat(messages=[*QUESTION, asked, *results], tools=[TOOL])
        assert reply.choices[0].message.content == "call_1: Paris is sunny; call_2: 北京 is sunny"


@check
def tools_streamed():
    arguments, names = {}, []
    for chunk in chat(tools=[TOOL], stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            if call.function.name:
                names.append((call.index, call.id, call.function.name))
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert names == [(0, "call_1", "get_weather"), (1, "call_2", "get_weather")]
    assert [json.loads(arguments[index]) for index in (0, 1)] == CITIES
    with client.chat.completions.stream(model="gpt-4", messages=QUESTION, tools=[TOOL]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        assert [json.loads(event.arguments) for event in done] == CITIES
        assert len(stream.get_final_completion().choices[0].message.tool_calls) == 2


@check
def functions():
    older = TOOL["function"]
    message = chat(functions=[older], function_call="auto").choices[0].message
    assert (message.function_call.name, json.loads(message.function_call.arguments)) == ("get_weather", CITIES[0])
    chunks = list(chat(functions=[older], stream=True))
    calls = [choice.delta.function_call for chunk in chunks for choice in chunk.choices if choice.delta.function_call]
    assert json.loads("".join(call.arguments for call in calls)) == CITIES[0]
    assert chunks[-1].choices[0].finish_reason == "function_call"


@check
def refusals():
    messages = [{"role": "user", "content": "do harm"}]
    reply = client.chat.completions.parse(model="gpt-4", messages=messages, response_format=Event)
    message = reply.choices[0].message
    assert (message.parsed, message.content, message.refusal) == (None, None, "I will not.")
    assert reply.usage.completion_tokens == 3
    with client.chat.completions.stream(model="gpt-4", messages=messages, response_format=Event) as stream:
        assert stream.get_final_completion().choices[0].message.refusal == "I will not."


@check
def json_mode():
    reply = chat(response_format={"type": "json_object"})
    assert json.loads(reply.choices[0].message.content) == {"answer": "pong"}


@check
def json_schema():
    reply = client.chat.completions.parse(model="gpt-4", messages=QUESTION, response_format=Event)
    event = reply.choices[0].message.parsed
    assert event == Event(name="Science Fair", day="Friday", people=["Alice", "鲍勃"])
    with client.chat.completions.stream(model="gpt-4", messages=QUESTION, response_format=Event) as stream:
        assert stream.until_done().get_final_completion().choices[0].message.parsed == event


@check
def vision():
    data = "data:image/png;base64,iVBORw0KGgo="
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://images.example/cat.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": data}},
    ]
    reply = chat(messages=[{"role": "user", "content": parts}])
    assert reply.choices[0].message.content == f"I see https://images.example/cat.png and {data}"
    large = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5_000_000}}
    reply = chat(messages=[{"role": "user", "content": [large]}])
    assert reply.choices[0].message.content == "I see 5000022 characters"


@check
def several_answers():
    reply = chat(n=3)
    assert [(choice.index, choice.message.content) for choice in reply.choices] == [(index, SAYING) for index in range(3)]
    assert reply.usage.completion_tokens == 3 * 7
    chunks = list(chat(n=3, stream=True))
    for index in range(3):
        assert joined(chunks, index)[1] == SAYING


@check
def stop():
    for stop in ("three", ["four", "three"]):
        choice = chat(stop=stop).choices[0]
        assert (choice.message.content, choice.finish_reason) == ("one two ", "stop")
    choice = chat(max_tokens=2).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("one two ", "length")


@check
def seed():
    assert chat(seed=42).system_fingerprint == "fp_42"
    assert {chunk.system_fingerprint for chunk in chat(seed=-7, stream=True)} == {"fp_-7"}


@check
def logprobs():
    tokens = chat(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == SAYING
    assert all(token.logprob == -0.25 and len(token.top_logprobs) == 2 for token in tokens)
    assert bytes(tokens[-1].bytes).decode() == tokens[-1].token
    chunks, text = joined(chat(logprobs=True, stream=True))
    spoken = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices[0].logprobs]
    assert text == SAYING == "".join(token.token for logprobs in spoken for token in logprobs.content)


@check
def unknown_fields():
    extra = {"x_python": {"深": [1, 2.50, None]}, "reasoning_effort": "low"}
    reply = chat(extra_body=extra, extra_headers={"X-Mine": "1"}, extra_query={"mine": "1"})
    assert reply.choices[0].message.content == SAYING


@check
def completions():
    reply = client.completions.create(model="text-davinci-003", prompt="Say it", max_tokens=50, temperature=0)
    assert reply.object == "text_completion" and reply.id.startswith("cmpl-")
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == (SAYING, "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (2, 7), reply.usage
    reply = client.completions.create(
        model="text-davinci-003", prompt=["a", "b"], n=2, best_of=2, echo=True, logprobs=1, stop="two", suffix="."
    )
    assert [(choice.index, choice.text) for choice in reply.choices] == list(enumerate(["aone ", "aone ", "bone ", "bone "]))
    assert reply.choices[3].logprobs.tokens == ["b", "one "]
    for tokens in ([1, 2, 3], [[1, 2], [3]]):
        reply = client.completions.create(model="text-davinci-003", prompt=tokens)
        assert reply.usage.prompt_tokens == 3


@check
def completions_streamed():
    for options in ({}, {"stream_options": {"include_usage": True}}):
        chunks = list(client.completions.create(model="text-davinci-003", prompt="Say it", stream=True, **options))
        choices = [choice for chunk in chunks for choice in chunk.choices]
        assert "".join(choice.text for choice in choices) == SAYING and choices[-1].finish_reason == "stop"
        assert (chunks[-1].usage is not None) == bool(options)


@check
def images():
    reply = client.images.generate(model="dall-e-3", prompt="a cat", n=2, size="512x512")
    assert [image.url for image in reply.data] == ["https://images.example/0.png", "https://images.example/1.png"]
    reply = client.images.generate(prompt="a cat", response_format="b64_json", quality="hd", style="vivid")
    assert [image.b64_json for image in reply.data] == ["iVBORw0KGgo="]


@check
def embeddings():
    def embed(given, **more):
        reply = client.embeddings.create(model="text-embedding-3-small", input=given, **more)
        assert reply.object == "list" and reply.model == "text-embedding-3-small"
        assert reply.usage.total_tokens == reply.usage.prompt_tokens
        return [entry.embedding for entry in reply.data], reply.usage.prompt_tokens

    # Without an encoding_format the SDK asks for base64, and gives numbers all the same.
    assert embed("你好 world") == ([[0, -1, -2, -3]], 3)
    assert embed(["a", "b"], dimensions=2) == ([[0, -1], [1, 0]], 2)
    assert embed([11, 12, 13]) == ([[0, -1, -2, -3]], 3)
    assert embed([[11, 12], [13]], dimensions=1) == ([[0], [1]], 3)
    assert embed("a", encoding_format="float", dimensions=2) == ([[0, -1]], 1)
    [encoded], _ = embed("a", encoding_format="base64", dimensions=2)
    assert struct.unpack("<2f", base64.b64decode(encoded)) == (0, -1)


@check
def moderations():
    def judge(given, **more):
        reply = client.moderations.create(input=given, **more)
        assert reply.model == "omni-moderation-latest" and reply.id.startswith("modr-")
        return [(result.flagged, result.categories.violence) for result in reply.results]

    assert judge("peace") == [(False, False)]
    assert judge(["peace", "violence"], model="omni-moderation-latest") == [(False, False), (True, True)]
    image = {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}
    assert judge([{"type": "text", "text": "violence"}, image]) == [(True, True)]


@check
def models():
    names = [model.id for model in client.models.list()]
    assert {"gpt-4", "text-davinci-003", "dall-e-3"} <= set(names), names
    for name in ("gpt-4", "acme/large-1.5:free"):
        model = client.models.retrieve(name)
        assert (model.id, model.object) == (name, "model") and model.created > 0 and model.owned_by


@check
def asynchronously():
    async def talk():
        async with AsyncOpenAI() as own:
            stream = await own.chat.completions.create(model="gpt-4", messages=QUESTION, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            several = [own.chat.completions.create(model="gpt-4", messages=QUESTION) for _ in range(5)]
            return [text, *[reply.choices[0].message.content for reply in await asyncio.gather(*several)]]

    assert asyncio.run(talk()) == [SAYING] * 6


@check
def cancelling():
    async def talk():
        async with AsyncOpenAI() as own:
            calling = own.chat.completions.create(model="silent", messages=QUESTION)
            try:
                await asyncio.wait_for(calling, 0.3)
            except asyncio.TimeoutError:
                return "given up"

    assert asyncio.run(talk()) == "given up"


@check
def raw_replies():
    raw = client.chat.completions.with_raw_response.create(model="gpt-4", messages=QUESTION)
    assert raw.headers["content-type"] == "application/json" and raw.http_response.json()["code"] == 0
    assert raw.headers["x-request-id"] == raw.request_id and raw.parse().choices[0].message.content == SAYING


run()
