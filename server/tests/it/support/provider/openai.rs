//! A provider that answers as OpenAI does: with every member that OpenAI's published description asks for, whole or streamed, and by what
//! the request says, so that a client's test can tell whether each of its fields arrived.

mod inputs;

use serde_json::{Value, json};

use super::{Act, Received, done, event, reply, stream_end, stream_head};

const CREATED: i64 = 1_700_000_000;
/// What is said when nothing else is asked for: four words, a comma, two hanzi.
pub(crate) const SAYING: &str = "one two three four, 五六";
/// What is answered where the request asks for JSON of a schema.
pub(crate) const EVENT: &str = r#"{"name":"Science Fair","day":"Friday","people":["Alice","鲍勃"]}"#;
/// What is refused, and how: in three words.
pub(crate) const HARM: &str = "do harm";
pub(crate) const REFUSAL: &str = "I will not.";
/// The arguments of the calls of tools.
const CITIES: [&str; 2] = [r#"{"city": "Paris"}"#, r#"{"city": "北京"}"#];

/// Answers any call.
pub(crate) fn answer(call: &Received) -> Vec<Act> {
    let asked = call.json();
    let is_stream = asked["stream"] == true;
    match call.path.as_str() {
        "/v1/chat/completions" if is_stream => streamed(&chat_chunks(&asked)),
        "/v1/chat/completions" => whole(&chat(&asked)),
        "/v1/completions" if is_stream => streamed(&completion_chunks(&asked)),
        "/v1/completions" => whole(&completion(&asked)),
        "/v1/images/generations" => whole(&images(&asked)),
        "/v1/embeddings" => whole(&inputs::embeddings(&asked)),
        "/v1/moderations" => whole(&inputs::moderations(&asked)),
        path => {
            let error = json!({"message": path, "type": "invalid_request_error", "param": null, "code": null});
            vec![reply("404 Not Found", &json!({"error": error}).to_string())]
        }
    }
}

fn whole(object: &Value) -> Vec<Act> {
    vec![reply("200 OK", &object.to_string())]
}

fn streamed(chunks: &[Value]) -> Vec<Act> {
    let events = chunks.iter().map(|chunk| event(&chunk.to_string()));
    [stream_head()].into_iter().chain(events).chain([done(), stream_end()]).collect()
}

/// What one choice of a chat says.
struct Said {
    /// The text in pieces, each with a token of its own; `None` when there is something else instead.
    pieces: Option<Vec<String>>,
    /// Calls of tools.
    calls: Vec<Value>,
    /// The call of a function, as it was before there were tools.
    function_call: Value,
    refusal: Option<&'static str>,
    finish_reason: &'static str,
}

impl Said {
    fn without_text(finish_reason: &'static str) -> Self {
        Self { pieces: None, calls: Vec::new(), function_call: Value::Null, refusal: None, finish_reason }
    }
}

fn said(asked: &Value) -> Said {
    let messages = asked["messages"].as_array().cloned().unwrap_or_default();
    let last = messages.last().cloned().unwrap_or_default();
    if let (Some(tools), "user") = (asked["tools"].as_array(), last["role"].as_str().unwrap_or_default()) {
        let name = &tools[0]["function"]["name"];
        let call = |number: usize, arguments: &str| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"id": format!("call_{number}"), "type": "function", "function": function})
        };
        // Who insists on one function wants an object that is made as its parameters say.
        if asked["tool_choice"]["function"]["name"].is_string() {
            return Said { calls: vec![call(1, EVENT)], ..Said::without_text("stop") };
        }
        let calls = CITIES.iter().enumerate().map(|(number, city)| call(number + 1, city)).collect();
        return Said { calls, ..Said::without_text("tool_calls") };
    }
    if asked["functions"].is_array() && last["role"] == "user" {
        let function_call = json!({"name": asked["functions"][0]["name"], "arguments": CITIES[0]});
        return Said { function_call, ..Said::without_text("function_call") };
    }
    if text_of(&last["content"]).contains(HARM) {
        return Said { refusal: Some(REFUSAL), ..Said::without_text("stop") };
    }
    let images = || last["content"].as_array().into_iter().flatten().filter(|part| part["type"] == "image_url");
    let text = if last["role"] == "tool" {
        let results = messages.iter().filter(|message| message["role"] == "tool");
        let results: Vec<String> = results
            .map(|result| format!("{}: {}", text_of(&result["tool_call_id"]), text_of(&result["content"])))
            .collect();
        results.join("; ")
    } else if asked["response_format"]["type"] == "json_object" {
        r#"{"answer": "pong"}"#.to_owned()
    } else if asked["response_format"]["type"] == "json_schema" {
        EVENT.to_owned()
    } else if images().next().is_some() {
        let seen: Vec<String> = images().map(|part| seen(&text_of(&part["image_url"]["url"]))).collect();
        format!("I see {}", seen.join(" and "))
    } else {
        SAYING.to_owned()
    };
    let (pieces, finish_reason) = shortened(&text, asked);
    Said { pieces: Some(pieces), ..Said::without_text(finish_reason) }
}

/// The text up to the first `stop`, and not more pieces than `max_tokens`.
fn shortened(text: &str, asked: &Value) -> (Vec<String>, &'static str) {
    let stops = match &asked["stop"] {
        Value::Array(stops) => stops.iter().filter_map(Value::as_str).collect(),
        stop => stop.as_str().into_iter().collect::<Vec<_>>(),
    };
    let end = stops.into_iter().filter_map(|stop| text.find(stop)).min().unwrap_or(text.len());
    let mut pieces: Vec<String> = text[..end].split_inclusive(' ').map(str::to_owned).collect();
    let most = asked["max_completion_tokens"].as_u64().or(asked["max_tokens"].as_u64());
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    if pieces.len() > most {
        pieces.truncate(most);
        return (pieces, "length");
    }
    (pieces, "stop")
}

/// What is said of an image: where it is, or how much of it came.
fn seen(url: &str) -> String {
    if url.len() > 1_000 { format!("{} characters", url.len()) } else { url.to_owned() }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A number of answers, at least one.
fn answers(asked: &Value) -> u64 {
    asked["n"].as_u64().unwrap_or(1)
}

fn usage() -> Value {
    json!({
        "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

/// What all objects of an answer have in front.
fn identity(asked: &Value, object: &str) -> Value {
    let fingerprint = format!("fp_{}", asked["seed"].as_i64().unwrap_or(0));
    json!({
        "id": "theirs-1", "object": object, "created": CREATED, "model": asked["model"], "system_fingerprint": fingerprint,
        "service_tier": "default",
    })
}

fn token(asked: &Value, piece: &str) -> Value {
    let entry = |text: &str| json!({"token": text, "logprob": -0.25, "bytes": text.as_bytes()});
    let others = (0..asked["top_logprobs"].as_u64().unwrap_or(0)).map(|number| entry(&format!("{piece}{number}")));
    let mut token = entry(piece);
    token["top_logprobs"] = others.collect();
    token
}

fn logprobs(asked: &Value, pieces: &[String]) -> Value {
    if asked["logprobs"] != true {
        return Value::Null;
    }
    let tokens: Vec<Value> = pieces.iter().map(|piece| token(asked, piece)).collect();
    json!({"content": tokens, "refusal": null})
}

fn chat(asked: &Value) -> Value {
    let Said { pieces, calls, function_call, refusal, finish_reason } = said(asked);
    let content = pieces.as_ref().map(|pieces| pieces.concat());
    let mut message = json!({"role": "assistant", "content": content, "refusal": refusal, "annotations": []});
    if function_call.is_object() {
        message["function_call"] = function_call;
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let logprobs = logprobs(asked, pieces.as_deref().unwrap_or_default());
    let choices = (0..answers(asked))
        .map(|index| json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish_reason}));
    let mut reply = identity(asked, "chat.completion");
    reply["choices"] = choices.collect();
    reply["usage"] = usage();
    reply
}

fn chat_chunks(asked: &Value) -> Vec<Value> {
    let Said { pieces, calls, function_call, refusal, finish_reason } = said(asked);
    let opening = json!({"role": "assistant", "content": pieces.as_ref().map(|_| ""), "refusal": refusal.map(|_| "")});
    let mut deltas = vec![(opening, Value::Null)];
    for word in refusal.into_iter().flat_map(|refusal| refusal.split_inclusive(' ')) {
        deltas.push((json!({"refusal": word}), Value::Null));
    }
    if let Some(arguments) = function_call["arguments"].as_str() {
        let name = &function_call["name"];
        deltas.push((json!({"function_call": {"name": name, "arguments": ""}}), Value::Null));
        deltas.push((json!({"function_call": {"arguments": arguments}}), Value::Null));
    }
    for piece in pieces.unwrap_or_default() {
        deltas.push((json!({"content": piece}), logprobs(asked, std::slice::from_ref(&piece))));
    }
    for (index, call) in calls.iter().enumerate() {
        let mut call = call.clone();
        let arguments = text_of(&call["function"]["arguments"]);
        call["index"] = json!(index);
        call["function"]["arguments"] = json!("");
        deltas.push((json!({"tool_calls": [call]}), Value::Null));
        for character in arguments.chars() {
            let fragment = json!({"index": index, "function": {"arguments": character}});
            deltas.push((json!({"tool_calls": [fragment]}), Value::Null));
        }
    }
    let mut chunks = Chunks { asked, object: "chat.completion.chunk", chunks: Vec::new() };
    for (delta, logprobs) in &deltas {
        for index in 0..answers(asked) {
            chunks.push(json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": null}));
        }
    }
    for index in 0..answers(asked) {
        chunks.push(json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": finish_reason}));
    }
    chunks.finish()
}

struct Chunks<'a> {
    asked: &'a Value,
    object: &'static str,
    chunks: Vec<Value>,
}

impl Chunks<'_> {
    fn push(&mut self, choice: Value) {
        let mut chunk = identity(self.asked, self.object);
        chunk["choices"] = json!([choice]);
        if self.asks_for_usage() {
            chunk["usage"] = Value::Null;
        }
        self.chunks.push(chunk);
    }

    fn asks_for_usage(&self) -> bool {
        self.asked["stream_options"]["include_usage"] == true
    }

    fn finish(mut self) -> Vec<Value> {
        if self.asks_for_usage() {
            let mut last = identity(self.asked, self.object);
            last["choices"] = json!([]);
            last["usage"] = usage();
            self.chunks.push(last);
        }
        self.chunks
    }
}

/// The texts of `completions`, in the order of their index.
fn completions(asked: &Value) -> Vec<(Vec<String>, &'static str)> {
    let prompts = match &asked["prompt"] {
        // Numbers are the tokens of one prompt.
        Value::Array(prompts) if !prompts.iter().all(Value::is_number) => prompts.clone(),
        prompt => vec![prompt.clone()],
    };
    let each = prompts.iter().flat_map(|prompt| (0..answers(asked)).map(move |_| prompt));
    let texts = each.map(|prompt| {
        let (mut pieces, finish_reason) = shortened(SAYING, asked);
        if asked["echo"] == true {
            pieces.insert(0, text_of(prompt));
        }
        (pieces, finish_reason)
    });
    texts.collect()
}

fn completion_logprobs(asked: &Value, pieces: &[String]) -> Value {
    let Some(most) = asked["logprobs"].as_u64() else { return Value::Null };
    let top = |piece: &String| (0..most).map(|number| (format!("{piece}{number}"), json!(-0.25))).collect::<Value>();
    let offsets = pieces.iter().scan(0, |offset, piece| {
        let at = *offset;
        *offset += piece.len();
        Some(at)
    });
    json!({
        "tokens": pieces,
        "token_logprobs": pieces.iter().map(|_| -0.25).collect::<Vec<_>>(),
        "top_logprobs": pieces.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets.collect::<Vec<_>>(),
    })
}

fn completion(asked: &Value) -> Value {
    let choices = completions(asked).into_iter().enumerate().map(|(index, (pieces, finish_reason))| {
        let logprobs = completion_logprobs(asked, &pieces);
        json!({"index": index, "text": pieces.concat(), "logprobs": logprobs, "finish_reason": finish_reason})
    });
    let mut reply = identity(asked, "text_completion");
    reply["choices"] = choices.collect();
    reply["usage"] = usage();
    reply
}

fn completion_chunks(asked: &Value) -> Vec<Value> {
    let mut chunks = Chunks { asked, object: "text_completion", chunks: Vec::new() };
    for (index, (pieces, finish_reason)) in completions(asked).into_iter().enumerate() {
        for piece in pieces {
            let logprobs = completion_logprobs(asked, std::slice::from_ref(&piece));
            chunks.push(json!({"index": index, "text": piece, "logprobs": logprobs, "finish_reason": null}));
        }
        chunks.push(json!({"index": index, "text": "", "logprobs": null, "finish_reason": finish_reason}));
    }
    chunks.finish()
}

fn images(asked: &Value) -> Value {
    let prompt = text_of(&asked["prompt"]);
    let images = (0..answers(asked)).map(|number| match asked["response_format"].as_str() {
        Some("b64_json") => json!({"b64_json": "iVBORw0KGgo=", "revised_prompt": prompt}),
        _ => json!({"url": format!("https://images.example/{number}.png"), "revised_prompt": prompt}),
    });
    json!({"created": CREATED, "data": images.collect::<Vec<_>>()})
}
