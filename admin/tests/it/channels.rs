//! Channels: adding, asking, enabling and disabling them.

use shared::catalogue::channel::{self, ChannelKind};
use shared::db::DbError;
use shared::staff::Role;

use crate::support::{HOSTILE, HOSTILE_AS_TEXT, Scene};

const KEY: &str = "sk-provider-0123456789";

/// What is typed into the form of a new channel.
fn typed(name: &str) -> Vec<(&str, &str)> {
    vec![
        ("name", name),
        ("kind", "openai"),
        ("base_url", "http://127.0.0.1:1/v1/"),
        ("api_key", KEY),
        ("models", "gpt-4=gpt-4o\r\ngpt-3.5"),
        ("priority", "5"),
        ("weight", "2"),
    ]
}

#[actix_web::test]
async fn a_channel_is_added_and_its_key_is_never_seen_again() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    owner.get("/channels").await.is(200).shows("Add the first channel").shows("xiaoyi channel add");
    let form = owner.get("/channels/new").await.is(200).shows("value=\"https://api.openai.com/v1\"");
    owner.submit(&form, "/channels", &typed("openai")).await.leads_to("/channels/openai");

    let page =
        owner.get("/channels/openai").await.is(200).shows("kept sealed").shows("http://127.0.0.1:1/v1").hides(KEY);
    page.shows("<bdi>gpt-4</bdi>").shows("<bdi>gpt-4o</bdi>").shows("href=\"/models/gpt-3.5\"");
    owner.get("/channels").await.is(200).shows("href=\"/channels/openai\"").shows("enabled").hides(KEY);
    let (sealer, name) = (std::sync::Arc::clone(&scene.workbench.sealer), "openai");
    let (open, _) = scene.read(move |connection| Ok(channel::open(connection, &sealer, name))).await.unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&open.api_key.unwrap()), KEY);
    assert_eq!((open.priority, open.weight), (5, 2));

    let record = scene.records().await.remove(0);
    assert_eq!((record.action.as_str(), record.subject.as_str()), ("channel.add", "openai"));
    assert_eq!(record.origin.actor.to_string(), "owner@example.com");
    let after = record.after.unwrap();
    assert_eq!((&after["has_api_key"], &after["models"]["gpt-4"]), (&true.into(), &"gpt-4o".into()));
    assert!(!after.to_string().contains(KEY));
    owner.get("/audit").await.is(200).shows("channel.add").hides(KEY);
}

#[actix_web::test]
async fn what_is_wrong_stands_beside_its_field() {
    let scene = Scene::new().await;
    scene.channel("taken", ChannelKind::Echo, &["test"]).await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get("/channels/new").await;
    let cases: [(&str, &str, &str, &str); 12] = [
        ("name", "", "A name has 1 to 100 characters.", "名称为 1 至 100 个字符"),
        ("name", "new", "taken by a page", "已被页面占用"),
        ("name", "taken", "exists already", "已有同名渠道"),
        ("base_url", "http://169.254.169.254/", "link-local", "链路本地地址"),
        ("base_url", "https://me:pw@example.com", "must not carry a user name", "不能包含用户名"),
        ("base_url", "gopher://x", "Give a URL", "请填写网址"),
        ("models", "", "At least one model, each once", "至少一个模型"),
        ("models", "a=b,a=c", "At least one model, each once", "每个只列一次"),
        ("models", "a=", "the provider&#39;s name 1 to 200", "供应商名称为 1 至 200"),
        ("priority", "first", "Give a whole number.", "请填写整数"),
        ("weight", "0", "The priority is 0 to 1000 and the weight 1 to 1000.", "权重为 1 至 1000"),
        ("api_key", "a b", "without spaces", "不能有空格"),
    ];
    for (field, value, english, chinese) in cases {
        let fields: Vec<_> =
            typed("n").into_iter().map(|(name, typed)| (name, if name == field { value } else { typed })).collect();
        for (languages, words) in [("en", english), ("zh", chinese)] {
            owner.languages = languages;
            let again = owner.submit(&form, "/channels", &fields).await.is(422).shows(words).hides(KEY);
            again.shows("aria-invalid=\"true\"").shows("value=\"openai\" selected");
        }
    }
    assert_eq!(scene.actions().await.len(), 2, "nothing was added");
}

#[actix_web::test]
async fn a_channel_is_asked_and_answers_on_its_page() {
    let scene = Scene::new().await;
    scene.channel("way", ChannelKind::OpenAi, &["gpt-4"]).await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let page = owner.get("/channels/way").await.is(200);
    let answered = owner.submit(&page, "/channels/way/test", &[]).await.is(200);
    answered
        .shows("It answers")
        .shows("gpt-4, 12 ms")
        .shows("<pre class=\"answer\" dir=\"auto\">pong</pre>")
        .shows("no tenant was charged");
    *scene.answer.lock().unwrap() = Err(format!("channel way gave no answer: {HOSTILE}"));
    owner.languages = "zh";
    let failed = owner.submit(&page, "/channels/way/test", &[]).await.is(200);
    failed.shows("没有应答").shows(HOSTILE_AS_TEXT).hides("<script>alert");
    assert_eq!(*scene.asked.lock().unwrap(), ["way", "way"]);
    assert_eq!(scene.actions().await[..2], ["channel.test way", "channel.test way"]);
    owner.submit(&page, "/channels/way/test", &[]).await.is(200);

    let token = [("csrf", shared::csrf::token(owner.cookie("xiaoyi_panel").unwrap()))];
    let token: Vec<_> = token.iter().map(|(name, value)| (*name, value.as_str())).collect();
    owner.post("/channels/none/test", &token).await.is(404);
    assert_eq!(scene.asked.lock().unwrap().len(), 3, "nobody is asked for what is not there");
}

#[actix_web::test]
async fn a_channel_shows_how_it_does() {
    let scene = Scene::new().await;
    scene.channel("way", ChannelKind::OpenAi, &["gpt-4"]).await;
    scene.channel("idle", ChannelKind::OpenAi, &["gpt-4"]).await;
    let now = scene.workbench.clock.now().0;
    let minute = |ago_min: i64| (now - ago_min * 60_000) / 60_000 * 60_000;
    let rows = format!(
        "INSERT INTO channel_minutes VALUES ({}, 'way', 1200, 300, 2, 2468, 'timeout', {now}), ({}, 'way', 3, 3, 0, 0, 'failed', {now})",
        minute(600),
        minute(1),
    );
    let written = scene.write(move |connection| {
        diesel::connection::SimpleConnection::batch_execute(connection, &rows)?;
        Ok::<_, DbError>(())
    });
    written.await.unwrap();
    let mut support = scene.signed_in(Role::Support).await;
    let page =
        support.get("/channels/way").await.is(200).shows("15 minutes").shows("24 hours").shows("<code>failed</code>");
    page.shows("fails</span>").shows("fails at times</span>").shows("1\u{202f}203").shows("1\u{202f}234 ms");
    support.languages = "zh";
    let list = support.get("/channels").await.is(200).shows("全部失败</span> <span class=\"quiet\">3 / 3</span>");
    list.shows("未使用</span>");
}

#[actix_web::test]
async fn the_last_channel_of_a_model_is_disabled_on_purpose_only() {
    let scene = Scene::new().await;
    scene.channel("one", ChannelKind::OpenAi, &["both", "alone"]).await;
    scene.channel("two", ChannelKind::OpenAi, &["both"]).await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let page = owner.get("/channels/two").await;
    owner.submit(&page, "/channels/two/disable", &[]).await.leads_to("/channels/two");
    let page = owner.get("/channels/two").await.shows("disabled");
    owner.submit(&page, "/channels/two/enable", &[]).await.leads_to("/channels/two");
    assert_eq!(scene.actions().await[..2], ["channel.enable two", "channel.disable two"]);

    let page = owner.get("/channels/one").await;
    let asked = owner.submit(&page, "/channels/one/disable", &[]).await.is(200);
    let asked = asked.shows("last channel of a model").shows("<bdi>alone</bdi>").hides("<bdi>both</bdi>");
    owner.get("/channels/one").await.shows("/channels/one/disable");
    owner.submit(&asked, "/channels/one/disable", &[]).await.leads_to("/channels/one");
    owner.submit(&asked, "/channels/one/disable", &[]).await.leads_to("/channels/one");
    let records = scene.records().await;
    assert_eq!(records[0].action, "channel.disable");
    assert_eq!(records[1].action, "channel.enable", "what is disabled is not disabled again");
    let (before, after) = (records[0].before.clone().unwrap(), records[0].after.clone().unwrap());
    assert_eq!((&before["enabled"], &after["enabled"]), (&true.into(), &false.into()));
}

#[actix_web::test]
async fn who_may_not_change_channels_is_not_offered_it() {
    let scene = Scene::new().await;
    scene.channel("way", ChannelKind::OpenAi, &["gpt-4"]).await;
    let mut support = scene.signed_in(Role::Support).await;
    support.get("/channels").await.is(200).hides("/channels/new");
    let page = support.get("/channels/way").await.is(200);
    for action in ["test", "enable", "disable"] {
        assert!(!page.offers(&format!("/channels/way/{action}")));
    }
    support.get("/channels/none").await.is(404);
}

#[actix_web::test]
async fn names_are_text() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get("/channels/new").await;
    let model = format!("a/b ?#{}", HOSTILE.replace('=', ""));
    let mut fields = typed(HOSTILE);
    fields.retain(|(name, _)| *name != "models");
    fields.push(("models", &model));
    let reply = owner.submit(&form, "/channels", &fields).await.is(303);
    let path = reply.header("location").unwrap().to_owned();
    let page =
        owner.get(&path).await.is(200).shows(&format!("<h1><bdi>{HOSTILE_AS_TEXT}</bdi></h1>")).hides("<script>alert");
    let link = page.between("<th scope=\"row\"><a href=\"", "\"");
    owner.get(&link).await.is(200).shows(HOSTILE_AS_TEXT).hides("<script>alert");
    owner.get("/channels").await.is(200).shows(HOSTILE_AS_TEXT).hides("<script>alert");
    owner.get("/models").await.is(200).shows(HOSTILE_AS_TEXT).hides("<script>alert");
    owner.get("/audit").await.is(200).shows(HOSTILE_AS_TEXT).hides("<script>alert");
    owner.submit(&page, &format!("{path}/test"), &[]).await.is(200);
    assert_eq!(*scene.asked.lock().unwrap(), [HOSTILE]);
}

#[actix_web::test]
async fn no_channel_has_a_name_that_the_database_cannot_hold() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    owner.get("/channels/a%00b").await.is(404);
    let token = shared::csrf::token(owner.cookie("xiaoyi_panel").unwrap());
    for action in ["test", "enable", "disable"] {
        owner.post(&format!("/channels/a%00b/{action}"), &[("csrf", &token)]).await.is(404);
    }
}
