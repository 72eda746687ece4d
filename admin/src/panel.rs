//! The operators' panel. So far it shows the state of the service and the commands that do the rest.

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use shared::health::{Health, Readiness};

use crate::language::Language;
use crate::page::{page, stylesheet};

/// The routes of the panel's listener. `console_url` is where developers read how to call, `version` this program's.
pub fn panel(
    health: Health,
    console_url: String,
    version: &'static str,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let panel = Data::new(Panel { health, console_url, version });
    move |config| {
        config
            .app_data(panel.clone())
            .service(web::resource("/").get(show).head(show))
            .service(web::resource("/style.css").get(stylesheet));
    }
}

struct Panel {
    health: Health,
    console_url: String,
    version: &'static str,
}

#[derive(Template)]
#[template(path = "panel.html")]
struct Page<'a> {
    language: Language,
    style: &'a str,
    readiness: Readiness,
    console_url: &'a str,
    version: &'a str,
    commands: &'a [Task],
}

/// What an operator wants to do, and the command for it.
struct Task {
    english: &'static str,
    chinese: &'static str,
    command: &'static str,
}

const TASKS: [Task; 10] = [
    Task { english: "Make a customer", chinese: "新建客户", command: "xiaoyi tenant create acme" },
    Task { english: "Issue a Secret Key", chinese: "签发密钥", command: "xiaoyi key issue --tenant acme" },
    Task {
        english: "Book a payment",
        chinese: "登记充值",
        command: "xiaoyi topup --tenant acme --amount 10.00 --reference invoice-7",
    },
    Task { english: "Show a balance", chinese: "查看余额", command: "xiaoyi balance --tenant acme" },
    Task {
        english: "Show what was charged",
        chinese: "查看用量",
        command: "xiaoyi usage --tenant acme --group-by model",
    },
    Task {
        english: "Add a way to a provider",
        chinese: "添加渠道",
        command: "xiaoyi channel add --name openai --type openai --api-key-env OPENAI_API_KEY --models gpt-4=gpt-4o",
    },
    Task {
        english: "Set a price",
        chinese: "设置价格",
        command: "xiaoyi price set gpt-4 --prompt 3.50 --completion 10.50",
    },
    Task { english: "Suspend a customer", chinese: "停用客户", command: "xiaoyi tenant suspend acme" },
    Task { english: "Prove the accounts", chinese: "核对账本", command: "xiaoyi ledger audit" },
    Task { english: "Check the installation", chinese: "检查安装", command: "xiaoyi doctor" },
];

async fn show(request: HttpRequest, panel: Data<Panel>) -> HttpResponse {
    let language = Language::of(&request);
    let readiness = panel.health.readiness().await;
    let (console_url, version) = (panel.console_url.as_str(), panel.version);
    page(language, &Page { language, style: "/style.css", readiness, console_url, version, commands: &TASKS })
}

#[cfg(test)]
mod tests {
    use actix_web::{App, test};
    use shared::clock::Clock;
    use shared::db::Database;
    use shared::epoch::EpochWatch;
    use shared::ledger::{Ledger, WriterSettings};

    use super::*;
    use crate::page::assert_guarded;

    async fn health(folder: &tempfile::TempDir) -> Health {
        let (database, _) =
            Database::open_or_create(&format!("sqlite://{}/xiaoyi.db", folder.path().display()).parse().unwrap())
                .unwrap();
        let writer = WriterSettings { batch: 16, queue: 16, timeout_ms: 10_000 };
        let ledger = Ledger::start(&database, Clock::System, writer).unwrap();
        let epoch = EpochWatch::start(&database, Clock::System).await.unwrap();
        Health::new(database, ledger, epoch, None)
    }

    #[actix_web::test]
    async fn it_shows_the_state_and_the_commands_in_both_languages() {
        let folder = tempfile::tempdir().unwrap();
        let health = health(&folder).await;
        let configure = panel(health.clone(), "http://host/<console>".to_owned(), "1.2.3");
        let app = test::init_service(App::new().configure(configure)).await;
        for (uri, words) in [("/", ["State of the service", "Book a payment"]), ("/?lang=zh", ["服务状态", "登记充值"])]
        {
            let reply = test::call_service(&app, test::TestRequest::with_uri(uri).to_request()).await;
            assert_eq!(reply.status(), 200);
            assert_guarded(reply.headers());
            let html = String::from_utf8(test::read_body(reply).await.to_vec()).unwrap();
            for word in words.into_iter().chain([
                "1.2.3",
                "xiaoyi ledger audit",
                "http://host/&#60;console&#62;",
                "class=\"ok\"",
            ]) {
                assert!(html.contains(word), "{uri} lacks {word}:\n{html}");
            }
            assert!(!html.contains("style=") && !html.contains("<script"), "{html}");
        }
    }

    #[actix_web::test]
    async fn a_broken_ledger_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let health = health(&folder).await;
        health.found_violations(1);
        let app = test::init_service(App::new().configure(panel(health, String::new(), "1"))).await;
        let html = test::call_and_read_body(&app, test::TestRequest::with_uri("/").to_request()).await;
        assert!(String::from_utf8_lossy(&html).contains("class=\"violation\""));
    }

    #[actix_web::test]
    async fn the_stylesheet_is_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let app = test::init_service(App::new().configure(panel(health(&folder).await, String::new(), "1"))).await;
        let reply = test::call_service(&app, test::TestRequest::with_uri("/style.css").to_request()).await;
        assert_eq!(reply.headers().get("content-type").unwrap(), "text/css; charset=utf-8");
        let css = String::from_utf8(test::read_body(reply).await.to_vec()).unwrap();
        assert!(!css.contains("http") && !css.contains("@import"), "it must load nothing from elsewhere");
    }
}
