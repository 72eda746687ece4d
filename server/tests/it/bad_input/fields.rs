//! Fields of the wrong type, out of range, missing, or against the original service's rules on messages.

use super::{Refused, Victim, refused_field};
use crate::support::raw::Request;

const CHAT: &str = "/chat/completions";
const COMPLETIONS: &str = "/completions";
const IMAGES: &str = "/images/generations";
const EMBEDDINGS: &str = "/embeddings";
const MODERATIONS: &str = "/moderations";

/// The code, the field at fault, and the members of a body besides what is right.
type Row = (u32, &'static str, &'static str);

const CHATS: &[Row] = &[
    (40002, "model", r#""model":4"#),
    (40002, "model", r#""model":["gpt-4"]"#),
    (40002, "model", r#""model":"""#),
    (40400, "model", r#""model":"gpt-5000""#),
    (40400, "model", r#""model":"../../etc/passwd""#),
    (40400, "model", r#""model":"gpt-4\u0000""#),
    (40002, "temperature", r#""temperature":2.1"#),
    (40002, "temperature", r#""temperature":-0.1"#),
    (40002, "temperature", r#""temperature":1e400"#),
    (40002, "temperature", r#""temperature":"1""#),
    (40002, "top_p", r#""top_p":1.0001"#),
    (40002, "top_p", r#""top_p":true"#),
    (40002, "presence_penalty", r#""presence_penalty":-2.5"#),
    (40002, "frequency_penalty", r#""frequency_penalty":[1]"#),
    (40002, "n", r#""n":0"#),
    (40002, "n", r#""n":-1"#),
    (40002, "n", r#""n":129"#),
    (40002, "n", r#""n":1.5"#),
    (40002, "n", r#""n":1e0"#),
    (40002, "n", r#""n":"1""#),
    (40002, "max_tokens", r#""max_tokens":0"#),
    (40002, "max_tokens", r#""max_tokens":-5"#),
    (40002, "max_tokens", r#""max_tokens":1e400"#),
    (40002, "max_tokens", r#""max_tokens":99999999999999999999999999"#),
    (40002, "max_tokens", r#""max_tokens":{}"#),
    (40002, "max_completion_tokens", r#""max_completion_tokens":0.5"#),
    (40002, "seed", r#""seed":"x""#),
    (40002, "stream", r#""stream":"true""#),
    (40002, "stream", r#""stream":1"#),
    (40002, "stream_options", r#""stream":true,"stream_options":true"#),
    (40002, "stream_options", r#""stream_options":{"include_usage":true}"#),
    (40002, "stream_options.include_usage", r#""stream":true,"stream_options":{"include_usage":1}"#),
    (40002, "stop", r#""stop":7"#),
    (40002, "stop", r#""stop":[]"#),
    (40002, "stop", r#""stop":["a","b","c","d","e"]"#),
    (40002, "stop[1]", r#""stop":["a",null]"#),
    (40002, "logit_bias", r#""logit_bias":[1]"#),
    (40002, "logit_bias", r#""logit_bias":{"1":1,"1":2}"#),
    (40002, "logit_bias.50256", r#""logit_bias":{"50256":101}"#),
    (40002, "user", r#""user":17"#),
    (40002, "user", r#""user":{"name":"x"}"#),
    (40002, "logprobs", r#""logprobs":5"#),
    (40002, "top_logprobs", r#""top_logprobs":21"#),
    (40002, "tools", r#""tools":{}"#),
    (40002, "tools[0]", r#""tools":["search"]"#),
    (40002, "tool_choice", r#""tool_choice":1"#),
    (40002, "response_format", r#""response_format":"json""#),
    (40001, "response_format.type", r#""response_format":{}"#),
];

/// Messages of a chat by OpenAI's rules.
const MESSAGES: &[Row] = &[
    (40002, "messages", "[]"),
    (40002, "messages", "{}"),
    (40002, "messages", "\"hi\""),
    (40002, "messages[0]", "[\"hi\"]"),
    (40002, "messages[0]", "[null]"),
    (40002, "messages[0]", r#"[{"role":"user","content":"a","content":"b"}]"#),
    (40001, "messages[0].role", r#"[{"content":"hi"}]"#),
    (40001, "messages[0].content", r#"[{"role":"user"}]"#),
    (40001, "messages[0].content", r#"[{"role":"user","content":null}]"#),
    (40002, "messages[0].content", r#"[{"role":"user","content":5}]"#),
    (40002, "messages[0].content", r#"[{"role":"user","content":[]}]"#),
    (40002, "messages[0].content[1]", r#"[{"role":"user","content":[{"type":"text","text":"a"},"b"]}]"#),
    (40001, "messages[0].content[0].type", r#"[{"role":"user","content":[{"text":"a"}]}]"#),
    (40001, "messages[0].content[0].text", r#"[{"role":"user","content":[{"type":"text"}]}]"#),
    (
        40002,
        "messages[2].role",
        r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"robot","content":"c"}]"#,
    ),
    (40002, "messages[1].role", r#"[{"role":"user","content":"a"},{"role":3,"content":"b"}]"#),
    (40002, "messages[0].tool_calls", r#"[{"role":"assistant","tool_calls":7}]"#),
    (40001, "messages[0].tool_calls[0].function", r#"[{"role":"assistant","tool_calls":[{}]}]"#),
];

/// Messages by the original rules, which hold when the key is in the body.
const ORIGINAL_MESSAGES: &[Row] = &[
    (40003, "messages", "[]"),
    (40003, "messages", r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#),
    (40003, "messages[0].role", r#"[{"role":"system","content":"a"}]"#),
    (40003, "messages[0].role", r#"[{"role":"assistant","content":"a"}]"#),
    (
        40003,
        "messages[1].role",
        r#"[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"user","content":"c"}]"#,
    ),
    (40003, "messages[0].content", r#"[{"role":"user","content":""}]"#),
    (40002, "messages", "17"),
    (40002, "messages[0]", "[[]]"),
    (40001, "messages[0].role", r#"[{"content":"a"}]"#),
    (40001, "messages[0].content", r#"[{"role":"user"}]"#),
    (40002, "messages[0].content", r#"[{"role":"user","content":[{"type":"text","text":"a"}]}]"#),
];

/// Completions, besides the model.
const COMPLETION: &[Row] = &[
    (40002, "prompt", r#""prompt":5"#),
    (40002, "prompt", r#""prompt":{}"#),
    (40002, "prompt", r#""prompt":[]"#),
    (40002, "prompt[1]", r#""prompt":["a",5]"#),
    (40002, "prompt[1]", r#""prompt":[1,"a"]"#),
    (40002, "prompt[0]", r#""prompt":[-1]"#),
    (40002, "prompt[1]", r#""prompt":[[1],[]]"#),
    (40002, "prompt[0][1]", r#""prompt":[[1,1.5]]"#),
    (40002, "suffix", r#""suffix":1"#),
    (40002, "max_tokens", r#""max_tokens":-1"#),
    (40002, "temperature", r#""temperature":3"#),
    (40002, "n", r#""n":200"#),
    (40002, "logprobs", r#""logprobs":6"#),
    (40002, "logprobs", r#""logprobs":true"#),
    (40002, "echo", r#""echo":"yes""#),
    (40002, "stop", r#""stop":5"#),
    (40002, "best_of", r#""n":3,"best_of":2"#),
    (40002, "best_of", r#""best_of":21"#),
    (40002, "best_of", r#""best_of":2,"stream":true"#),
    (40002, "logit_bias.1", r#""logit_bias":{"1":-101}"#),
    (40002, "user", r#""user":[]"#),
];

/// Images, besides what each row names.
const IMAGE: &[Row] = &[
    (40001, "prompt", r#""n":1"#),
    (40001, "prompt", r#""prompt":null"#),
    (40002, "prompt", r#""prompt":"""#),
    (40002, "prompt", r#""prompt":["a cat"]"#),
    (40002, "n", r#""prompt":"a cat","n":0"#),
    (40002, "n", r#""prompt":"a cat","n":11"#),
    (40002, "n", r#""prompt":"a cat","n":"2""#),
    (40002, "size", r#""prompt":"a cat","size":"1x1""#),
    (40002, "size", r#""prompt":"a cat","size":1024"#),
    (40002, "response_format", r#""prompt":"a cat","response_format":"png""#),
    (40002, "stream", r#""prompt":"a cat","stream":true"#),
    (40002, "user", r#""prompt":"a cat","user":1"#),
    (40400, "model", r#""prompt":"a cat","model":"dall-e-9""#),
];

/// Embeddings, besides the model.
const EMBEDDING: &[Row] = &[
    (40001, "input", r#""user":"me""#),
    (40001, "input", r#""input":null"#),
    (40002, "input", r#""input":"""#),
    (40002, "input", r#""input":5"#),
    (40002, "input", r#""input":{}"#),
    (40002, "input", r#""input":[]"#),
    (40002, "input[1]", r#""input":["a",5]"#),
    (40002, "input[1]", r#""input":["a",""]"#),
    (40002, "input[0]", r#""input":[-1]"#),
    (40002, "input[1]", r#""input":[[1],[]]"#),
    (40002, "input[0][1]", r#""input":[[1,"2"]]"#),
    (40002, "encoding_format", r#""input":"a","encoding_format":"hex""#),
    (40002, "dimensions", r#""input":"a","dimensions":0"#),
    (40002, "dimensions", r#""input":"a","dimensions":"256""#),
    (40002, "user", r#""input":"a","user":1"#),
];

/// Moderations.
const MODERATION: &[Row] = &[
    (40001, "input", r#""model":"omni-moderation-latest""#),
    (40002, "input", r#""input":"""#),
    (40002, "input", r#""input":true"#),
    (40002, "input", r#""input":[]"#),
    (40002, "input[0]", r#""input":[5]"#),
    (40002, "input[1]", r#""input":[{"type":"text","text":"a"},"b"]"#),
    (40001, "input[0].type", r#""input":[{"text":"a"}]"#),
    (40001, "input[0].text", r#""input":[{"type":"text"}]"#),
    (40400, "model", r#""input":"a","model":"moderation-9""#),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_are_wrong_are_named() {
    let mut victim = Victim::start().await;
    let chat = |members: &str| format!(r#"{{{members},"messages":[{{"role":"user","content":"你好"}}]}}"#);
    let members = |members: &str| format!("{{{members}}}");
    for (code, param, row) in CHATS {
        refuses(&mut victim, CHAT, &chat(row), refused_field(*code, param));
    }
    for (code, param, row) in MESSAGES {
        refuses(&mut victim, CHAT, &members(&format!("\"messages\":{row}")), refused_field(*code, param));
    }
    refuses(&mut victim, CHAT, "{}", refused_field(40001, "messages"));
    refuses(&mut victim, CHAT, r#"{"messages":null}"#, refused_field(40001, "messages"));
    victim.goes_on().await;
    for (code, param, row) in COMPLETION {
        let body = members(&format!("\"model\":\"text-davinci-003\",{row}"));
        refuses(&mut victim, COMPLETIONS, &body, refused_field(*code, param));
    }
    refuses(&mut victim, COMPLETIONS, r#"{"prompt":"hi"}"#, refused_field(40001, "model"));
    victim.goes_on().await;
    for (code, param, row) in IMAGE {
        refuses(&mut victim, IMAGES, &members(row), refused_field(*code, param));
    }
    let long = format!(r#"{{"prompt":"{}"}}"#, "猫".repeat(1001));
    refuses(&mut victim, IMAGES, &long, refused_field(40004, "prompt"));
    for (code, param, row) in EMBEDDING {
        let body = members(&format!("\"model\":\"text-embedding-3-small\",{row}"));
        refuses(&mut victim, EMBEDDINGS, &body, refused_field(*code, param));
    }
    refuses(&mut victim, EMBEDDINGS, r#"{"input":"hi"}"#, refused_field(40001, "model"));
    for (code, param, row) in MODERATION {
        refuses(&mut victim, MODERATIONS, &members(row), refused_field(*code, param));
    }
    let long = format!(r#"{{"model":"{}","messages":[]}}"#, "长".repeat(201));
    refuses(&mut victim, CHAT, &long, refused_field(40002, "model"));
    victim.ends_unharmed().await;
}

/// With the key in a header.
fn refuses(victim: &mut Victim, path: &str, body: &str, expected: Refused<'_>) {
    let request = Request::post(&victim.under_a_prefix(path), body).key(victim.key());
    victim.refuses(body, &request, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_rules_hold_with_the_key_in_the_body() {
    let mut victim = Victim::start().await;
    let with_key =
        |victim: &Victim, messages: &str| format!(r#"{{"api_secret_key":"{}","messages":{messages}}}"#, victim.key());
    for (code, param, messages) in ORIGINAL_MESSAGES {
        let request = Request::post(&victim.under_a_prefix(CHAT), with_key(&victim, messages));
        victim.refuses(messages, &request, refused_field(*code, param));
    }
    let messages = format!(r#"[{{"role":"user","content":"{}"}}]"#, "长".repeat(2001));
    let request = Request::post(&victim.under_a_prefix(CHAT), with_key(&victim, &messages));
    victim.refuses("2001 characters", &request, refused_field(40004, "messages[0].content"));
    let request = Request::post(&victim.under_a_prefix(CHAT), format!(r#"{{"api_secret_key":"{}"}}"#, victim.key()));
    victim.refuses("no messages", &request, refused_field(40001, "messages"));
    victim.ends_unharmed().await;
}
