//! The developers' console. So far it shows how to call.

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::language::Language;
use crate::method::only_read;
use crate::page::{page, stylesheet};

/// The routes of the console, on the developers' listener. `base_url` is how developers reach it, such as `https://api.example.com`.
pub fn console(base_url: String) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let console = Data::new(Console { base_url });
    move |config| {
        config
            .app_data(console.clone())
            .service(only_read(web::resource("/console").get(show).head(show)))
            .service(only_read(web::resource("/console/style.css").get(stylesheet).head(stylesheet)));
    }
}

struct Console {
    base_url: String,
}

#[derive(Template)]
#[template(path = "console.html")]
struct Page<'a> {
    language: Language,
    style: &'a str,
    base_url: &'a str,
}

async fn show(request: HttpRequest, console: Data<Console>) -> HttpResponse {
    let language = Language::of(&request);
    page(language, &Page { language, style: "/console/style.css", base_url: &console.base_url })
}

#[cfg(test)]
mod tests {
    use actix_web::{App, test};

    use super::*;
    use crate::page::assert_guarded;

    #[actix_web::test]
    async fn it_shows_how_to_call_in_both_languages() {
        let app = test::init_service(App::new().configure(console("http://127.0.0.1:4321".to_owned()))).await;
        for (uri, heading) in [("/console", "How to call"), ("/console?lang=zh", "如何调用")] {
            let reply = test::call_service(&app, test::TestRequest::with_uri(uri).to_request()).await;
            assert_eq!(reply.status(), 200);
            assert_guarded(reply.headers());
            let html = String::from_utf8(test::read_body(reply).await.to_vec()).unwrap();
            for word in [
                heading,
                "http://127.0.0.1:4321/index.php/api/v1/chat/completions",
                "SECRET_KEY",
                "json_decode",
                "from openai import",
            ] {
                assert!(html.contains(word), "{uri} lacks {word}:\n{html}");
            }
            assert!(!html.contains("style=") && !html.contains("<script"), "{html}");
        }
    }

    #[actix_web::test]
    async fn its_stylesheet_is_where_the_page_says() {
        let app = test::init_service(App::new().configure(console(String::new()))).await;
        let html = test::call_and_read_body(&app, test::TestRequest::with_uri("/console").to_request()).await;
        assert!(String::from_utf8_lossy(&html).contains(r#"href="/console/style.css""#));
        let reply = test::call_service(&app, test::TestRequest::with_uri("/console/style.css").to_request()).await;
        assert_eq!(reply.status(), 200);
    }

    #[actix_web::test]
    async fn other_methods_are_refused_as_by_the_api() {
        let app = test::init_service(App::new().configure(console(String::new()))).await;
        for uri in ["/console", "/console/style.css"] {
            let reply = test::call_service(&app, test::TestRequest::post().uri(uri).to_request()).await;
            assert_eq!(
                (reply.status().as_u16(), reply.headers().get("allow").unwrap().as_bytes()),
                (405, &b"GET, HEAD"[..])
            );
            assert_eq!(reply.headers().get("content-type").unwrap(), "application/json");
            let body = String::from_utf8(test::read_body(reply).await.to_vec()).unwrap();
            let expected = r#"{"code":40500,"msg":"this path is for GET, HEAD only","error":{"message":"this path is for GET, HEAD only","type":"invalid_request_error","param":null,"code":"method_not_allowed"}}"#;
            assert_eq!(body, expected, "{uri}");
            let head = test::TestRequest::with_uri(uri).method(actix_web::http::Method::HEAD).to_request();
            assert_eq!(test::call_service(&app, head).await.status(), 200, "{uri}");
        }
    }
}
