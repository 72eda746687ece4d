//! The sample bodies of the original service's document, as they stand there.

use super::*;

const CHAT: &str = r#"{
  "api_secret_key":"xxxxxxxx",
  "messages": [
    {"role":"user","content":"请介绍一下你自己"},
    {"role":"assistant","content":"您好，我是小一机器人。我能够与人对话互动，回答问题，协助创作，高效便捷地帮助人们获取信息、知识和灵感。"},
    {"role":"user","content": "我在上海，周末可以去哪里玩？"},
    {"role":"assistant","content": "上海是一个充满活力和文化氛围的城市，有很多适合周末游玩的地方。以下是几个值得推荐的地方：\n\n1. 上海科技馆：上海科技馆是中国大陆最大的科技馆之一，有许多互动展览和科学实验室，可以让您了解科技的发展历史和最新成果。\n2. 上海博物馆：上海博物馆是一座集艺术、历史和文化于一体的博物馆，有许多精美的艺术品和文物，可以让您深入了解中国和世界的文化历史。\n3. 外滩：外滩是上海的标志性景点之一，有许多高楼大厦和繁华的商业街区，是欣赏黄浦江美景和城市风貌的好去处。\n4. 上海迪士尼乐园：上海迪士尼乐园是世界上最大的迪士尼主题公园之一，有许多精彩的游乐项目和演出，可以让您尽情享受娱乐和欢乐。\n5. 上海野生动物园：上海野生动物园是一个以自然保护为主题的野生动物园，有许多珍稀动物和植物，可以让您近距离接触大自然。\n\n这些地方都是上海周末游玩的好去处，可以根据自己的兴趣和需求选择合适的行程。"},
    {"role":"user","content": "周末这里的天气怎么样？"}
  ]
}"#;

const COMPLETION: &str = r#"{
  "api_secret_key":"xxxxxxxx",
  "messages": [
    {"role":"user","content":"请介绍一下你自己"}
  ]
}"#;

const IMAGE: &str = r#"{
  "api_secret_key":"xxxxxxxx",
  "prompt": "A cute baby sea otter",
}"#;

#[test]
fn the_chat() {
    let body = Body::parse(CHAT.as_bytes()).unwrap();
    assert_eq!(body.api_secret_key().unwrap().as_deref(), Some("xxxxxxxx"));
    let call = read(Endpoint::Chat, Rules::Original, CHAT).unwrap();
    // The five contents count 8, 44, 12, 344 + floor(5 x 1.3) and 10.
    assert_eq!(call.prompt, Tally { texts: 5, hanzi: 418, words: 5, tokens: 8 + 44 + 12 + 350 + 10 });
    let messages = CHAT.split_once("\"messages\": ").unwrap().1.trim_end_matches('}').trim_end();
    let expected = CallRequest {
        endpoint: Endpoint::Chat,
        model: "gpt-3.5".to_owned(),
        fields: format!("\"messages\":{messages}"),
        stream: false,
        include_usage: false,
        stream_options: String::new(),
        choices: 1,
        candidates: 1,
        max_output: None,
        prompt: call.prompt,
        echoed_prompts: Vec::new(),
        images: None,
        end_user: None,
    };
    assert_eq!(call, expected);
    assert_eq!(read(Endpoint::Chat, Rules::OpenAi, CHAT).unwrap(), expected, "a sample of both kinds of rules");
}

/// What `json.dumps` of the document's Python sample makes of it.
#[test]
fn the_python_chat() {
    let body =
        r#"{"api_secret_key": "x", "user": "\u5f20\u4e09", "messages": [{"role": "user", "content": "1+100="}]}"#;
    let call = read(Endpoint::Chat, Rules::Original, body).unwrap();
    assert_eq!(call.prompt, Tally { texts: 1, hanzi: 0, words: 2, tokens: 2 });
    assert_eq!(call.end_user.as_deref(), Some("张三"));
    assert_eq!(call.fields, r#""user":"\u5f20\u4e09","messages":[{"role": "user", "content": "1+100="}]"#);
}

/// The document's note on the second most frequent mistake: messages is an array.
#[test]
fn messages_that_are_no_array() {
    let body = CHAT.replace("[", "\"").replace("]", "\"");
    assert!(Body::parse(body.as_bytes()).is_err());
    let answer = read(Endpoint::Chat, Rules::Original, r#"{"messages":"请介绍一下你自己"}"#);
    assert_eq!(answer.unwrap_err().message, "messages must be an array, not \"请介绍一下你自己\"");
}

/// The document shows a chat where a completion should be. As a completion it lacks its model.
#[test]
fn the_completion_is_a_chat() {
    assert_eq!(read(Endpoint::Chat, Rules::Original, COMPLETION).unwrap().prompt.tokens, 8);
    assert_refused(read(Endpoint::Completions, Rules::Original, COMPLETION), Reason::MissingParameter, "model");
}

/// The image sample has a comma too many.
#[test]
fn the_image() {
    let refusal = read(Endpoint::Images, Rules::Original, IMAGE).unwrap_err();
    assert_eq!(refusal.reason, Reason::InvalidJson);
    assert_eq!(
        refusal.message,
        "the body is not valid JSON: trailing comma; remove the comma of line 3 column 36, which stands before the closing } \
         at line 4 column 1"
    );
    let call = read(Endpoint::Images, Rules::Original, &IMAGE.replace(",\n}", "\n}")).unwrap();
    assert_eq!(call.images, Some(ImageOrder { count: 1, size: "1024x1024".to_owned() }));
    assert_eq!(call.fields, r#""prompt":"A cute baby sea otter","size":"1024x1024""#);
    assert_eq!(call.prompt, Tally { texts: 1, hanzi: 0, words: 5, tokens: 6 });
}
