//! A new channel. A provider's key can be given and never be seen again.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use shared::catalogue::address::AddressError;
use shared::catalogue::changes;
use shared::catalogue::channel::{BadChannel, ChannelError, ChannelKind, NewChannel};
use shared::catalogue::typed_channel::{self, BadBaseUrl};
use shared::config::Settings;
use shared::values::{self, ModelMap};

use super::super::Panel;
use super::super::access::{ManageChannels, May};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    name: String,
    kind: String,
    base_url: String,
    api_key: String,
    models: String,
    priority: String,
    weight: String,
}

#[derive(Template)]
#[template(path = "panel/channels/add.html")]
struct Form<'a> {
    page: &'a Page,
    fields: &'a Fields,
    wrongs: &'a Wrongs,
}

/// The empty form.
pub(in crate::panel) async fn form(request: HttpRequest, staff: May<ManageChannels>, panel: Data<Panel>) -> Handled {
    let fields = Fields {
        kind: ChannelKind::OpenAi.as_str().to_owned(),
        base_url: panel.settings.openai.base_url.as_str().to_owned(),
        priority: "100".to_owned(),
        weight: "1".to_owned(),
        ..Fields::default()
    };
    let page = &staff.page;
    page::show(&request, page, &Form { page, fields: &fields, wrongs: &Wrongs::default() })
}

/// Adds it.
pub(in crate::panel) async fn add(
    request: HttpRequest,
    staff: May<ManageChannels>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let page = &staff.page;
    let again = |wrongs: Wrongs| page::show_again(&request, page, &Form { page, fields: &fields, wrongs: &wrongs });
    let new = match read(&fields, &panel.settings, page) {
        Ok(new) => new,
        Err(wrongs) => return again(wrongs),
    };
    let (sealer, now, origin) = (Arc::clone(&panel.sealer), staff.now, staff.origin());
    let add = move |connection: &mut _| changes::add_channel(connection, &sealer, &new, &origin, now);
    match staff.write(&request, &panel, add).await? {
        Ok(channel) => page::go_to(page.path("/channels", &channel.name)),
        Err(ChannelError::NameTaken(_)) => {
            again(Wrongs::one("name", page.say("A channel of this name exists already.", "已有同名渠道。")))
        }
        Err(ChannelError::Invalid(bad)) => {
            let (field, words) = words_for_channel(bad, page);
            again(Wrongs::one(field, words))
        }
        Err(ChannelError::Database(error)) => Err(Failed::database(&request, &error)),
        Err(error) => Err(Failed::internal(&request, error)),
    }
}

/// What was typed, as a channel, or what is wrong with it.
fn read(fields: &Fields, settings: &Settings, page: &Page) -> Result<NewChannel, Wrongs> {
    let mut wrongs = Wrongs::default();
    // Its page would have the address of this form. (The command line may use the name, and all else of it.)
    if fields.name.trim() == "new" {
        wrongs.add("name", page.say("This name is taken by a page; choose another.", "该名称已被页面占用，请换一个。"));
    }
    let kind = fields.kind.parse().unwrap_or(ChannelKind::OpenAi);
    let given = Some(fields.base_url.trim()).filter(|text| !text.is_empty());
    let base_url = typed_channel::base_url(kind, given, settings);
    let base_url = base_url.map_err(|bad| wrongs.add("base_url", words_for_base_url(&bad, page))).ok();
    let models = values::model_map(&fields.models).map(|ModelMap(models)| models);
    let models = models.map_err(|_| wrongs.add("models", words_for_models(page))).ok();
    let mut number = |field: &'static str, text: &str| {
        let read: Option<i64> = text.trim().parse().ok();
        if read.is_none() {
            wrongs.add(field, page.say("Give a whole number.", "请填写整数。"));
        }
        read
    };
    let (priority, weight) = (number("priority", &fields.priority), number("weight", &fields.weight));
    let api_key = match fields.api_key.trim() {
        "" => None,
        _ if kind == ChannelKind::Echo => {
            wrongs.add("api_key", page.say("An echo channel has no key.", "回显渠道没有密钥。"));
            None
        }
        text => {
            let english = "A key is text without spaces and line breaks.";
            let key = typed_channel::provider_key(text);
            key.map_err(|_| wrongs.add("api_key", page.say(english, "密钥中不能有空格或换行。"))).ok()
        }
    };
    match (base_url, models, priority, weight) {
        (Some(base_url), Some(models), Some(priority), Some(weight)) if wrongs.is_empty() => {
            let name = fields.name.trim().to_owned();
            Ok(NewChannel { name, kind, base_url, api_key, models, priority, weight })
        }
        _ => Err(wrongs),
    }
}

fn words_for_channel(bad: BadChannel, page: &Page) -> (&'static str, &'static str) {
    match bad {
        BadChannel::Name => ("name", page.say("A name has 1 to 100 characters.", "名称为 1 至 100 个字符。")),
        BadChannel::NoModels | BadChannel::ModelName => ("models", words_for_models(page)),
        BadChannel::Order => {
            let english = "The priority is 0 to 1000 and the weight 1 to 1000.";
            ("priority", page.say(english, "优先级为 0 至 1000，权重为 1 至 1000。"))
        }
    }
}

fn words_for_models(page: &Page) -> &'static str {
    page.say(
        "At least one model, each once, one a line: gpt-4=gpt-4o. A public name has 1 to 100 characters without commas and equals \
         signs, the provider's name 1 to 200.",
        "至少一个模型，每个只列一次，每行一个：gpt-4=gpt-4o。对外名称为 1 至 100 个字符，不含逗号和等号；供应商名称为 1 至 200 个字符。",
    )
}

fn words_for_base_url(bad: &BadBaseUrl, page: &Page) -> &'static str {
    let (english, chinese) = match bad {
        BadBaseUrl::Echo(_) => (
            "The base URL of an echo channel is echo: or echo://local?delay_ms=200&chunk_delay_ms=50 (0 to 600000).",
            "回显渠道的地址为 echo: 或 echo://local?delay_ms=200&chunk_delay_ms=50（0 至 600000）。",
        ),
        BadBaseUrl::Address(AddressError::Unreadable(_) | AddressError::Scheme { .. }) => {
            ("Give a URL such as https://api.openai.com/v1.", "请填写网址，例如 https://api.openai.com/v1。")
        }
        BadBaseUrl::Address(AddressError::Credentials) => (
            "The URL must not carry a user name or password; the key has a field of its own.",
            "网址中不能包含用户名或密码；密钥请填写在单独的栏中。",
        ),
        BadBaseUrl::Address(AddressError::Fragment) => {
            ("The URL must not have a part after #.", "网址中不能有 # 之后的部分。")
        }
        BadBaseUrl::Address(AddressError::LinkLocal { .. }) => (
            "This is a link-local address, which is always refused: machines hand out their credentials there.",
            "这是链路本地地址，一律拒绝：云主机会在此类地址上给出自身的凭据。",
        ),
    };
    page.say(english, chinese)
}
