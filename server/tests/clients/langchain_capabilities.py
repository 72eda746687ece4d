"""What people do with langchain-openai. Only OPENAI_BASE_URL and OPENAI_API_KEY are set, as it reads them by itself."""

import asyncio

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from checks import check, run

SAYING = "one two three four, 五六"
CITIES = [{"city": "Paris"}, {"city": "北京"}]

model = ChatOpenAI(model="gpt-4")


class Event(BaseModel):
    """An event in a calendar"""

    name: str
    day: str
    people: list[str]


@tool
def get_weather(city: str) -> str:
    """The weather in a city"""
    return city + " is sunny"


@check
def chat_plain():
    reply = model.invoke([SystemMessage("Be brief."), HumanMessage("你好 world")])
    assert reply.content == SAYING and reply.response_metadata["finish_reason"] == "stop"
    usage = reply.usage_metadata
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (5, 7, 12), usage


@check
def chat_streamed():
    whole = None
    for chunk in model.stream("你好 world"):
        whole = chunk if whole is None else whole + chunk
    assert whole.content == SAYING and whole.response_metadata["finish_reason"] == "stop", whole


@check
def usage_in_a_stream():
    for asks in (True, False):
        chunks = list(ChatOpenAI(model="gpt-4", stream_usage=asks).stream("你好 world"))
        counts = [chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata]
        assert counts == ([7] if asks else []), counts


@check
def tools():
    reply = model.bind_tools([get_weather]).invoke("你好 world")
    assert [(call["name"], call["args"]) for call in reply.tool_calls] == [("get_weather", city) for city in CITIES]


@check
def tool_results():
    question = HumanMessage("你好 world")
    asked = model.bind_tools([get_weather]).invoke([question])
    results = [get_weather.invoke(call) for call in asked.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    reply = model.bind_tools([get_weather]).invoke([question, asked, *results])
    assert reply.content == "call_1: Paris is sunny; call_2: 北京 is sunny"


@check
def tools_streamed():
    whole = None
    for chunk in model.bind_tools([get_weather]).stream("你好 world"):
        whole = chunk if whole is None else whole + chunk
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("get_weather", city) for city in CITIES]


@check
def json_mode():
    reply = model.bind(response_format={"type": "json_object"}).invoke("你好 world")
    assert reply.content == '{"answer": "pong"}'


@check
def json_schema():
    expected = Event(name="Science Fair", day="Friday", people=["Alice", "鲍勃"])
    # It takes a schema for no model of this name, and uses a function instead.
    assert model.with_structured_output(Event, method="function_calling").invoke("你好 world") == expected
    newer = ChatOpenAI(model="gpt-4o")
    assert newer.with_structured_output(Event).invoke("你好 world") == expected
    assert newer.with_structured_output(Event, strict=True).invoke("你好 world") == expected


@check
def vision():
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image", "url": "https://images.example/cat.png"}]
    assert model.invoke([HumanMessage(parts)]).content == "I see https://images.example/cat.png"


@check
def several_answers():
    several = ChatOpenAI(model="gpt-4", n=3).generate([[HumanMessage("你好 world")]])
    assert [generation.text for generation in several.generations[0]] == [SAYING] * 3


@check
def stop():
    assert model.invoke("你好 world", stop=["three"]).content == "one two "


@check
def seed():
    assert ChatOpenAI(model="gpt-4", seed=42).invoke("你好 world").response_metadata["system_fingerprint"] == "fp_42"


@check
def logprobs():
    reply = model.bind(logprobs=True, top_logprobs=2).invoke("你好 world")
    tokens = reply.response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == SAYING and len(tokens[0]["top_logprobs"]) == 2


@check
def unknown_fields():
    assert ChatOpenAI(model="gpt-4", extra_body={"x_langchain": {"深": [1]}}).invoke("你好 world").content == SAYING


@check
def completions():
    assert OpenAI(model="text-davinci-003").invoke("Say it") == SAYING


@check
def completions_streamed():
    assert "".join(OpenAI(model="text-davinci-003").stream("Say it")) == SAYING


@check
def embeddings():
    # Otherwise it counts tokens first, by a table that it fetches from OpenAI.
    embeddings = OpenAIEmbeddings(model="text-embedding-3-small", dimensions=2, check_embedding_ctx_length=False)
    assert embeddings.embed_query("a") == [0, -1]
    assert embeddings.embed_documents(["a", "b"]) == [[0, -1], [1, 0]]


@check
def asynchronously():
    async def talk():
        streamed = [chunk.content async for chunk in model.astream("你好 world")]
        several = await model.abatch(["你好 world"] * 3)
        return ["".join(streamed), *[reply.content for reply in several]]

    assert asyncio.run(talk()) == [SAYING] * 4


@check
def a_conversation():
    messages = [HumanMessage("你好 world"), AIMessage("Hello"), HumanMessage("你好 world")]
    assert model.invoke(messages).usage_metadata["input_tokens"] == 7


run()
