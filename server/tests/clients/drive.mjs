// Makes calls with OpenAI's SDK for Node as it is told, and says what became of each: see drive.py, which takes the same orders.

import { createInterface } from 'node:readline';
import OpenAI from 'openai';

const say = (line) => console.log(JSON.stringify(line));

/** The names that the SDK for Python has for the same classes. */
const NAMES = { APIConnectionTimeoutError: 'APITimeoutError' };

async function carryOut(order) {
  const { max_retries: maxRetries, timeout, api_key: apiKey } = order.client ?? {};
  const options = Object.entries({ maxRetries, timeout: timeout && timeout * 1000, apiKey });
  const client = new OpenAI(Object.fromEntries(options.filter(([, value]) => value !== undefined)));
  const path = order.call.split('.');
  const name = path.pop();
  const resource = path.reduce((object, member) => object[member], client);
  const inputs = [...(order.arguments ?? [])];
  if (order.body || order.extra) inputs.push({ ...order.body, ...order.extra });
  if (order.headers) inputs.push({ headers: order.headers });
  const { data, request_id } = await resource[name](...inputs).withResponse();
  if (order.body?.stream) return { result: await read(data, order), request_id };
  return { result: data, request_id };
}

async function read(stream, order) {
  say({ event: 'begun' });
  let text = '';
  for await (const chunk of stream) {
    text += chunk.choices.map((choice) => choice.delta.content ?? '').join('');
    if (order.leave && text.includes(order.leave)) {
      say({ event: 'leaving' });
      break;
    }
  }
  return text;
}

function raised(error) {
  const classes = [];
  for (let each = error.constructor; each.name; each = Object.getPrototypeOf(each)) classes.push(NAMES[each.name] ?? each.name);
  const { status = null, code = null, type = null, param = null, requestID: request_id = null } = error;
  return { raised: classes[0], is: classes, message: error.error?.message ?? error.message, status, code, type, param, request_id };
}

for await (const line of createInterface({ input: process.stdin })) {
  const began = performance.now();
  const outcome = await carryOut(JSON.parse(line)).catch(raised);
  say({ ...outcome, took_ms: Math.round(performance.now() - began) });
}
