//! What OpenAI's clients can ask for, each in a call as they write it: all of it reaches the provider, and all that the provider makes of
//! it reaches the client, whole and streamed, byte for byte. The counts are reckoned by hand.

use super::{COMPLETION_PRICE, MODEL, PROMPT_PRICE, UPSTREAM, open};
use crate::support::provider::{Act, done, event, reply, stream_end, stream_head};
use crate::support::reseller::{Reply, Reseller, cost, read};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// One call, and one answer to it.
struct Feature {
    name: &'static str,
    path: &'static str,
    /// The members of the call besides the model, as the client writes them.
    asks: &'static str,
    /// `choices` of an answer in one piece.
    whole: &'static str,
    /// `choices` of each chunk of the same answer as a stream.
    streamed: &'static [&'static str],
    /// The tokens of prompt and completion.
    tokens: (i64, i64),
}

const FEATURES: [Feature; 9] = [
    Feature {
        name: "tools",
        path: CHAT,
        // The message has 2 hanzi and 2 words; the tools 8 words: type, function, function, name, get, weather, strict, false.
        asks: r#""messages":[{"role":"user","content":"天气 in Paris"}],"tools":[{"type":"function","function":{"name":"get_weather","strict":false}}],"tool_choice":"auto","parallel_tool_calls":true"#,
        whole: r#"[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"\u5df4\u9ece\"}"}}],"annotations":[]},"logprobs":null,"finish_reason":"tool_calls"}]"#,
        streamed: &[
            r#"[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}],"refusal":null},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"ci"}}]},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ty\":\"\u5df4\u9ece\"}"}}]},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}]"#,
        ],
        // get, weather; city and two hanzi.
        tokens: (2 + 2 + 10, 2 + 3),
    },
    Feature {
        name: "results of tools",
        path: CHAT,
        // 2 hanzi; the call's name has 2 words and its argument one; the result one.
        asks: r#""messages":[{"role":"user","content":"天气"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"a\":\"\"}"}}]},{"role":"tool","tool_call_id":"call_1","content":"sunny"}]"#,
        whole: r#"[{"index":0,"message":{"role":"assistant","content":"It is sunny.","refusal":null},"logprobs":null,"finish_reason":"stop"}]"#,
        streamed: &[
            r#"[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"content":"It is sun"},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"content":"ny."},"logprobs":null,"finish_reason":"stop"}]"#,
        ],
        tokens: (2 + 2 + 1 + 1, 3),
    },
    Feature {
        name: "JSON mode",
        path: CHAT,
        // The message has 2 words, the format 3: type, json, object.
        asks: r#""messages":[{"role":"user","content":"JSON please"}],"response_format":{ "type" : "json_object" },"seed":-7,"stop":["\n\n","END"],"temperature":0.0"#,
        whole: r#"[{"index":0,"message":{"role":"assistant","content":"{\"a\": 1.0}","refusal":null},"logprobs":null,"finish_reason":"stop"}]"#,
        streamed: &[
            r#"[{"index":0,"delta":{"role":"assistant","content":"{\"a\""},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"content":": 1.0}"},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#,
        ],
        // a, 1, 0.
        tokens: (2 + 3, 3),
    },
    Feature {
        name: "JSON schema, and a refusal",
        path: CHAT,
        // The message has a word, the format 10: type, json, schema, json, schema, name, x, schema, strict, true.
        asks: r#""messages":[{"role":"developer","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{},"strict":true}}"#,
        whole: r#"[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I can not"},"logprobs":{"content":null,"refusal":[]},"finish_reason":"stop"}]"#,
        streamed: &[
            r#"[{"index":0,"delta":{"role":"assistant","content":null,"refusal":"I"},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"refusal":" can not"},"logprobs":{"content":null,"refusal":[]},"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#,
        ],
        tokens: (1 + 13, 3),
    },
    Feature {
        name: "images in messages",
        path: CHAT,
        // A word, and an image.
        asks: r#""messages":[{"role":"user","content":[{"type":"text","text":"What"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}]}],"max_completion_tokens":50"#,
        whole: r#"[{"index":0,"message":{"role":"assistant","content":"一只猫","refusal":null},"logprobs":null,"finish_reason":"stop"}]"#,
        streamed: &[
            r#"[{"index":0,"delta":{"role":"assistant","content":"一只"},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"content":"猫"},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#,
        ],
        tokens: (1 + 300, 3),
    },
    Feature {
        name: "several answers, with their probabilities",
        path: CHAT,
        asks: r#""messages":[{"role":"user","content":"hi","name":"ann"}],"n":2,"logprobs":true,"top_logprobs":1,"logit_bias":{"50256":-100},"presence_penalty":-2.0,"user":"u""#,
        whole: r#"[{"index":0,"message":{"role":"assistant","content":"one","refusal":null},"logprobs":{"content":[{"token":"one","logprob":-0.10,"bytes":[111,110,101],"top_logprobs":[]}],"refusal":null},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"two words","refusal":null},"logprobs":null,"finish_reason":"length"}]"#,
        streamed: &[
            r#"[{"index":1,"delta":{"role":"assistant","content":"two"},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"role":"assistant","content":"one"},"logprobs":{"content":[{"token":"one","logprob":-0.10,"bytes":[111,110,101],"top_logprobs":[]}],"refusal":null},"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#,
            r#"[{"index":1,"delta":{"content":" words"},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":1,"delta":{},"logprobs":null,"finish_reason":"length"}]"#,
        ],
        tokens: (1, 1 + 2),
    },
    Feature {
        name: "a function of old",
        path: CHAT,
        // The message has a word, the functions 2: name, f.
        asks: r#""messages":[{"role":"user","content":"go"}],"functions":[{"name":"f"}],"function_call":{"name":"f"}"#,
        whole: r#"[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"function_call":{"name":"f","arguments":"{\"x\":1}"}},"logprobs":null,"finish_reason":"function_call"}]"#,
        streamed: &[
            r#"[{"index":0,"delta":{"role":"assistant","content":null,"function_call":{"name":"f","arguments":""}},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{"function_call":{"arguments":"{\"x\":1}"}},"logprobs":null,"finish_reason":null}]"#,
            r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"function_call"}]"#,
        ],
        // f; x, 1.
        tokens: (1 + 2, 1 + 2),
    },
    Feature {
        name: "completions with probabilities",
        path: COMPLETIONS,
        asks: r#""prompt":"Say","max_tokens":5,"logprobs":1,"stop":"\n","frequency_penalty":0.50"#,
        whole: r#"[{"text":" one two","index":0,"logprobs":{"tokens":[" one"," two"],"token_logprobs":[-0.10,-1.0],"top_logprobs":[{" one":-0.10},{}],"text_offset":[3,7]},"finish_reason":"length"}]"#,
        streamed: &[
            r#"[{"text":" one","index":0,"logprobs":{"tokens":[" one"],"token_logprobs":[-0.10],"top_logprobs":[{" one":-0.10}],"text_offset":[3]},"finish_reason":null}]"#,
            r#"[{"text":" two","index":0,"logprobs":null,"finish_reason":"length"}]"#,
        ],
        tokens: (1, 2),
    },
    Feature {
        name: "completions of several prompts, with these in front",
        path: COMPLETIONS,
        asks: r#""prompt":["a","b"],"max_tokens":5,"echo":true,"n":1,"suffix":"end""#,
        whole: r#"[{"text":"a one","index":0,"logprobs":null,"finish_reason":"stop"},{"text":"b two","index":1,"logprobs":null,"finish_reason":"stop"}]"#,
        streamed: &[
            r#"[{"text":"b two","index":1,"logprobs":null,"finish_reason":null}]"#,
            r#"[{"text":"a ","index":0,"logprobs":null,"finish_reason":null}]"#,
            r#"[{"text":"","index":1,"logprobs":null,"finish_reason":"stop"}]"#,
            r#"[{"text":"one","index":0,"logprobs":null,"finish_reason":"stop"}]"#,
        ],
        // The suffix too.
        tokens: (1 + 1 + 1, 1 + 1),
    },
];

/// What no client asks for by itself, and what a provider adds.
const UNKNOWN: &str = r#""x_unknown":{"b":[1.50,1e2],"a":null}"#;
const ADDED: &str = r#""service_tier":"default","system_fingerprint":"fp_1","x_added":1.0"#;
const THEIR_USAGE: &str = r#""usage":{"prompt_tokens":900,"completion_tokens":800,"total_tokens":1700,"prompt_tokens_details":{"cached_tokens":1}}"#;

impl Feature {
    fn public_model(&self) -> &'static str {
        if self.path == CHAT { MODEL } else { "text-davinci-003" }
    }

    /// The members that only the service knows, of an answer of this kind.
    fn identity(&self, reply: &Reply, stream: bool) -> String {
        let (prefix, object) = match (self.path, stream) {
            (CHAT, false) => ("chatcmpl", "chat.completion"),
            (CHAT, true) => ("chatcmpl", "chat.completion.chunk"),
            _ => ("cmpl", "text_completion"),
        };
        let (id, model) = (reply.request_id().replace('-', ""), self.public_model());
        format!(r#""id":"{prefix}-{id}","object":"{object}","created":1700000001,"model":"{model}""#)
    }

    fn usage(&self) -> String {
        let (prompt, completion) = self.tokens;
        let total = prompt + completion;
        format!(r#""usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#)
    }

    fn cost(&self) -> i64 {
        cost(self.tokens.0, PROMPT_PRICE) + cost(self.tokens.1, COMPLETION_PRICE)
    }

    async fn send(&self, reseller: &Reseller, stream: &str) -> Reply {
        let body = format!(r#"{{"model":"{}",{},{UNKNOWN}{stream}}}"#, self.public_model(), self.asks);
        let request = reseller.client.post(reseller.server.url(self.path)).bearer_auth(&reseller.key);
        let reply = read(request.header("content-type", "application/json").body(body)).await;
        assert_eq!(reply.status, 200, "{}: {reply:?}", self.name);
        reply
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_answers() {
    let (provider, reseller) = open(&[], "100.00").await;
    let mut charges = 0;
    for feature in &FEATURES {
        let Feature { name, whole, asks, path, .. } = feature;
        let theirs = format!(
            r#"{{"id":"theirs","object":"theirs","created":1700000001,"model":"{UPSTREAM}","choices":{whole},{THEIR_USAGE},{ADDED}}}"#
        );
        provider.acts(UPSTREAM, vec![reply("200 OK", &theirs)]);
        let reply = feature.send(&reseller, "").await;
        let (identity, usage) = (feature.identity(&reply, false), feature.usage());
        let expected = format!(r#"{{"code":0,"msg":"",{identity},"choices":{whole},{usage},{ADDED}}}"#);
        assert_eq!(reply.body, expected, "{name}");
        let call = provider.received(UPSTREAM).pop().unwrap();
        assert_eq!(
            (call.path.as_str(), call.body),
            (*path, format!(r#"{{{asks},{UNKNOWN},"model":"{UPSTREAM}"}}"#)),
            "{name}"
        );
        charges += feature.cost();
    }
    reseller.assert_books(charges).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streamed_answers() {
    let (provider, reseller) = open(&[], "100.00").await;
    let mut charges = 0;
    for feature in &FEATURES {
        let Feature { name, streamed, asks, .. } = feature;
        let theirs = |rest: &str| {
            format!(r#"{{"id":"theirs","object":"theirs","created":1700000001,"model":"{UPSTREAM}",{rest}}}"#)
        };
        let events =
            streamed.iter().map(|choices| event(&theirs(&format!(r#""choices":{choices},"usage":null,{ADDED}"#))));
        let usage = event(&theirs(&format!(r#""choices":[],{THEIR_USAGE}"#)));
        let acts: Vec<Act> = [stream_head()].into_iter().chain(events).chain([usage, done(), stream_end()]).collect();
        provider.acts(UPSTREAM, acts);
        for (options, sent_on, tells_usage) in [
            ("", "", false),
            (r#","stream_options":{"include_usage":true}"#, "", true),
            (
                r#","stream_options":{"include_obfuscation": false,"include_usage":false}"#,
                r#""include_obfuscation":false,"#,
                false,
            ),
        ] {
            let reply = feature.send(&reseller, &format!(r#","stream":true{options}"#)).await;
            let identity = feature.identity(&reply, true);
            let no_usage = if tells_usage { r#","usage":null"# } else { "" };
            let chunks =
                streamed.iter().map(|choices| format!(r#"{{{identity},"choices":{choices},{ADDED}{no_usage}}}"#));
            let told = tells_usage.then(|| format!(r#"{{{identity},"choices":[],{}}}"#, feature.usage()));
            assert_eq!(reply.events(), chunks.chain(told).collect::<Vec<_>>(), "{name}, {options:?}");
            let call = provider.received(UPSTREAM).pop().unwrap();
            let expected = format!(
                r#"{{{asks},{UNKNOWN},"model":"{UPSTREAM}","stream":true,"stream_options":{{{sent_on}"include_usage":true}}}}"#
            );
            assert_eq!(call.body, expected, "{name}, {options:?}");
            charges += feature.cost();
        }
    }
    reseller.assert_books(charges).await;
}
