// What people do with OpenAI's SDK for Node. Only OPENAI_BASE_URL and OPENAI_API_KEY are set, as the SDK reads them by itself.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { check, run } from './checks.mjs';

const SAYING = 'one two three four, 五六';
const QUESTION = [{ role: 'user', content: '你好 world' }];
const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
const CITIES = [{ city: 'Paris' }, { city: '北京' }];
const Event = z.object({ name: z.string(), day: z.string(), people: z.array(z.string()) });
const EVENT = { name: 'Science Fair', day: 'Friday', people: ['Alice', '鲍勃'] };

const client = new OpenAI();

const chat = (more) => client.chat.completions.create({ model: 'gpt-4', messages: QUESTION, ...more });

async function all(stream) {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(chunk);
  return chunks;
}

const text = (chunks, index = 0) =>
  chunks
    .flatMap((chunk) => chunk.choices)
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta?.content ?? choice.text ?? '')
    .join('');

check('chat_plain', async () => {
  const messages = [{ role: 'developer', content: 'Be brief.' }, { role: 'system', content: 'Be kind.' }, ...QUESTION];
  const reply = await chat({ messages, temperature: 0.5, max_completion_tokens: 100 });
  assert.equal(reply.object, 'chat.completion');
  assert.equal(reply.model, 'gpt-4');
  const { index, finish_reason, message } = reply.choices[0];
  assert.deepEqual([index, finish_reason, message.role, message.content], [0, 'stop', 'assistant', SAYING]);
  // "Be brief.", "Be kind." and the question are two words, two words, and a word with two hanzi.
  assert.deepEqual(reply.usage, { prompt_tokens: 7, completion_tokens: 7, total_tokens: 14 });
  assert.equal(reply.id, `chatcmpl-${reply._request_id.replaceAll('-', '')}`);
});

check('chat_streamed', async () => {
  const chunks = await all(chat({ stream: true }));
  assert.equal(text(chunks), SAYING);
  assert.deepEqual([...new Set(chunks.map((chunk) => chunk.object))], ['chat.completion.chunk']);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  // Nobody asked for it, so it is not there, not even as null.
  assert.ok(chunks.every((chunk) => !('usage' in chunk)));
});

check('usage_in_a_stream', async () => {
  const chunks = await all(chat({ stream: true, stream_options: { include_usage: true } }));
  const last = chunks.pop();
  assert.deepEqual([last.choices, last.usage], [[], { prompt_tokens: 3, completion_tokens: 7, total_tokens: 10 }]);
  assert.equal(text(chunks), SAYING);
  assert.ok(chunks.every((chunk) => chunk.usage === null));
  const without = await all(chat({ stream: true, stream_options: { include_usage: false } }));
  assert.ok(text(without) === SAYING && without.every((chunk) => !('usage' in chunk)));
});

check('stream_helper', async () => {
  const deltas = [];
  const stream = client.chat.completions.stream({ model: 'gpt-4', messages: QUESTION });
  stream.on('content', (delta) => deltas.push(delta));
  assert.equal(await stream.finalContent(), SAYING);
  assert.equal(deltas.join(''), SAYING);
});

check('tools', async () => {
  const { finish_reason, message } = (await chat({ tools: [TOOL], tool_choice: 'auto', parallel_tool_calls: true })).choices[0];
  assert.deepEqual([finish_reason, message.content], ['tool_calls', null]);
  assert.deepEqual(message.tool_calls.map((call) => call.function.name), ['get_weather', 'get_weather']);
  assert.deepEqual(message.tool_calls.map((call) => JSON.parse(call.function.arguments)), CITIES);
});

check('tool_results', async () => {
  const { message } = (await chat({ tools: [TOOL] })).choices[0];
  const results = message.tool_calls.map((call) => ({
    role: 'tool',
    tool_call_id: call.id,
    content: `${JSON.parse(call.function.arguments).city} is sunny`,
  }));
  const reply = await chat({ messages: [...QUESTION, message, ...results], tools: [TOOL] });
  assert.equal(reply.choices[0].message.content, 'call_1: Paris is sunny; call_2: 北京 is sunny');
  // The SDK's own loop: calls the function, sends its result, and gives the last answer.
  const parameters = TOOL.function.parameters;
  const weather = ({ city }) => `${city} is sunny`;
  const tool = { type: 'function', function: { name: 'get_weather', parameters, parse: JSON.parse, function: weather } };
  const runner = client.chat.completions.runTools({ model: 'gpt-4', messages: QUESTION, tools: [tool] });
  assert.equal(await runner.finalContent(), 'call_1: Paris is sunny; call_2: 北京 is sunny');
});

check('tools_streamed', async () => {
  const [calls, names] = [{}, []];
  for (const chunk of await all(chat({ tools: [TOOL], stream: true }))) {
    for (const call of chunk.choices[0].delta.tool_calls ?? []) {
      if (call.function.name) names.push([call.index, call.id, call.function.name]);
      calls[call.index] = (calls[call.index] ?? '') + (call.function.arguments ?? '');
    }
  }
  assert.deepEqual(names, [[0, 'call_1', 'get_weather'], [1, 'call_2', 'get_weather']]);
  assert.deepEqual([JSON.parse(calls[0]), JSON.parse(calls[1])], CITIES);
  const final = await client.chat.completions.stream({ model: 'gpt-4', messages: QUESTION, tools: [TOOL] }).finalChatCompletion();
  assert.deepEqual(final.choices[0].message.tool_calls.map((call) => JSON.parse(call.function.arguments)), CITIES);
});

check('functions', async () => {
  const functions = [TOOL.function];
  const { function_call } = (await chat({ functions, function_call: 'auto' })).choices[0].message;
  assert.deepEqual([function_call.name, JSON.parse(function_call.arguments)], ['get_weather', CITIES[0]]);
  const chunks = await all(chat({ functions, stream: true }));
  const parts = chunks.flatMap((chunk) => chunk.choices[0].delta.function_call?.arguments ?? []);
  assert.deepEqual(JSON.parse(parts.join('')), CITIES[0]);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'function_call');
});

check('refusals', async () => {
  const messages = [{ role: 'user', content: 'do harm' }];
  const order = { model: 'gpt-4', messages, response_format: zodResponseFormat(Event, 'event') };
  const reply = await client.chat.completions.parse(order);
  const { parsed, content, refusal } = reply.choices[0].message;
  assert.deepEqual([parsed, content, refusal, reply.usage.completion_tokens], [null, null, 'I will not.', 3]);
  const streamed = await client.chat.completions.stream(order).finalChatCompletion();
  assert.equal(streamed.choices[0].message.refusal, 'I will not.');
});

check('json_mode', async () => {
  const reply = await chat({ response_format: { type: 'json_object' } });
  assert.deepEqual(JSON.parse(reply.choices[0].message.content), { answer: 'pong' });
});

check('json_schema', async () => {
  const order = { model: 'gpt-4', messages: QUESTION, response_format: zodResponseFormat(Event, 'event') };
  const reply = await client.chat.completions.parse(order);
  assert.deepEqual(reply.choices[0].message.parsed, EVENT);
  const streamed = await client.chat.completions.stream(order).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, EVENT);
});

check('vision', async () => {
  const data = 'data:image/png;base64,iVBORw0KGgo=';
  const content = [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: 'https://images.example/cat.png', detail: 'low' } },
    { type: 'image_url', image_url: { url: data } },
  ];
  const reply = await chat({ messages: [{ role: 'user', content }] });
  assert.equal(reply.choices[0].message.content, `I see https://images.example/cat.png and ${data}`);
  const large = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(5_000_000)}` } };
  const other = await chat({ messages: [{ role: 'user', content: [large] }] });
  assert.equal(other.choices[0].message.content, 'I see 5000022 characters');
});

check('several_answers', async () => {
  const reply = await chat({ n: 3 });
  const expected = [0, 1, 2].map((index) => [index, SAYING]);
  assert.deepEqual(reply.choices.map((choice) => [choice.index, choice.message.content]), expected);
  assert.equal(reply.usage.completion_tokens, 3 * 7);
  const chunks = await all(chat({ n: 3, stream: true }));
  for (const index of [0, 1, 2]) assert.equal(text(chunks, index), SAYING);
});

check('stop', async () => {
  for (const stop of ['three', ['four', 'three']]) {
    const choice = (await chat({ stop })).choices[0];
    assert.deepEqual([choice.message.content, choice.finish_reason], ['one two ', 'stop']);
  }
  const choice = (await chat({ max_tokens: 2 })).choices[0];
  assert.deepEqual([choice.message.content, choice.finish_reason], ['one two ', 'length']);
});

check('seed', async () => {
  assert.equal((await chat({ seed: 42 })).system_fingerprint, 'fp_42');
  const chunks = await all(chat({ seed: -7, stream: true }));
  assert.deepEqual([...new Set(chunks.map((chunk) => chunk.system_fingerprint))], ['fp_-7']);
});

check('logprobs', async () => {
  const tokens = (await chat({ logprobs: true, top_logprobs: 2 })).choices[0].logprobs.content;
  assert.equal(tokens.map((token) => token.token).join(''), SAYING);
  assert.ok(tokens.every((token) => token.logprob === -0.25 && token.top_logprobs.length === 2));
  const chunks = await all(chat({ logprobs: true, stream: true }));
  const spoken = chunks.flatMap((chunk) => chunk.choices[0].logprobs?.content ?? []);
  assert.equal(spoken.map((token) => token.token).join(''), SAYING);
});

check('unknown_fields', async () => {
  const reply = await chat({ x_node: { 深: [1, 2.5, null] }, reasoning_effort: 'low' });
  assert.equal(reply.choices[0].message.content, SAYING);
});

check('completions', async () => {
  const reply = await client.completions.create({ model: 'text-davinci-003', prompt: 'Say it', max_tokens: 50, temperature: 0 });
  assert.equal(reply.object, 'text_completion');
  assert.deepEqual([reply.choices[0].text, reply.choices[0].finish_reason], [SAYING, 'stop']);
  assert.deepEqual(reply.usage, { prompt_tokens: 2, completion_tokens: 7, total_tokens: 9 });
  const order = { model: 'text-davinci-003', prompt: ['a', 'b'], n: 2, best_of: 2, echo: true, logprobs: 1, stop: 'two' };
  const several = await client.completions.create(order);
  assert.deepEqual(several.choices.map((choice) => choice.text), ['aone ', 'aone ', 'bone ', 'bone ']);
  assert.deepEqual(several.choices[3].logprobs.tokens, ['b', 'one ']);
  for (const prompt of [[1, 2, 3], [[1, 2], [3]]]) {
    const reply = await client.completions.create({ model: 'text-davinci-003', prompt });
    assert.equal(reply.usage.prompt_tokens, 3);
  }
});

check('completions_streamed', async () => {
  for (const options of [{}, { stream_options: { include_usage: true } }]) {
    const order = { model: 'text-davinci-003', prompt: 'Say it', stream: true, ...options };
    const chunks = await all(client.completions.create(order));
    assert.equal(text(chunks), SAYING);
    assert.equal(chunks.flatMap((chunk) => chunk.choices).at(-1).finish_reason, 'stop');
    assert.equal(Boolean(chunks.at(-1).usage), 'stream_options' in options);
  }
});

check('images', async () => {
  const reply = await client.images.generate({ model: 'dall-e-3', prompt: 'a cat', n: 2, size: '512x512' });
  const urls = ['https://images.example/0.png', 'https://images.example/1.png'];
  assert.deepEqual(reply.data.map((image) => image.url), urls);
  const inline = await client.images.generate({ prompt: 'a cat', response_format: 'b64_json', quality: 'hd', style: 'vivid' });
  assert.deepEqual(inline.data.map((image) => image.b64_json), ['iVBORw0KGgo=']);
});

check('embeddings', async () => {
  const embed = async (input, more) => {
    const reply = await client.embeddings.create({ model: 'text-embedding-3-small', input, ...more });
    assert.deepEqual([reply.object, reply.model], ['list', 'text-embedding-3-small']);
    assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens);
    return [reply.data.map((entry) => entry.embedding), reply.usage.prompt_tokens];
  };
  // Without an encoding_format the SDK asks for base64, and gives numbers all the same.
  assert.deepEqual(await embed('你好 world'), [[[0, -1, -2, -3]], 3]);
  assert.deepEqual(await embed(['a', 'b'], { dimensions: 2 }), [[[0, -1], [1, 0]], 2]);
  assert.deepEqual(await embed([11, 12, 13]), [[[0, -1, -2, -3]], 3]);
  assert.deepEqual(await embed([[11, 12], [13]], { dimensions: 1 }), [[[0], [1]], 3]);
  assert.deepEqual(await embed('a', { encoding_format: 'float', dimensions: 2 }), [[[0, -1]], 1]);
  const [[encoded]] = await embed('a', { encoding_format: 'base64', dimensions: 2 });
  assert.equal(Buffer.from(encoded, 'base64').readFloatLE(4), -1);
});

check('moderations', async () => {
  const judge = async (input, more) => {
    const reply = await client.moderations.create({ input, ...more });
    assert.equal(reply.model, 'omni-moderation-latest');
    assert.ok(reply.id.startsWith('modr-'));
    return reply.results.map((result) => [result.flagged, result.categories.violence]);
  };
  assert.deepEqual(await judge('peace'), [[false, false]]);
  const model = 'omni-moderation-latest';
  assert.deepEqual(await judge(['peace', 'violence'], { model }), [[false, false], [true, true]]);
  const image = { type: 'image_url', image_url: { url: 'https://images.example/cat.png' } };
  assert.deepEqual(await judge([{ type: 'text', text: 'violence' }, image]), [[true, true]]);
});

check('models', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  for (const name of ['gpt-4', 'text-davinci-003', 'dall-e-3']) assert.ok(names.includes(name), names.join());
  for (const name of ['gpt-4', 'acme/large-1.5:free']) {
    const model = await client.models.retrieve(name);
    assert.deepEqual([model.id, model.object], [name, 'model']);
    assert.ok(model.created > 0 && model.owned_by);
  }
});

check('cancelling', async () => {
  const calling = client.chat.completions.create({ model: 'silent', messages: QUESTION }, { signal: AbortSignal.timeout(300) });
  await assert.rejects(calling, OpenAI.APIUserAbortError);
});

check('raw_replies', async () => {
  const { data, response, request_id } = await chat().withResponse();
  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.equal(response.headers.get('x-request-id'), request_id);
  assert.deepEqual([data.code, data.msg, data.choices[0].message.content], [0, '', SAYING]);
});

await run();
