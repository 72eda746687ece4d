//! Every page to which a link, a way to group or a search leads, of both sides and in both languages: nothing serious to axe-core, nothing
//! too wide for a phone, nothing that the browser complains of.

use super::chromium::{Chromium, Person, USUAL};
use super::operator::PASSWORD;
use super::window::Window;
use crate::support::visitor::{Visitor, every_page_of_the_console, every_page_of_the_panel};
use crate::support::{IssuedKey, Place, Server};

/// Scripts, and Chinese.
const CHINESE: Person = Person { language: "zh-CN", ..USUAL };

#[tokio::test(flavor = "multi_thread")]
async fn of_the_panel() {
    let (server, chromium) = (Server::start_in(Place::new(), &["demo"]), Chromium::start());
    let root = server.address("admin", "");
    let window = chromium.window(USUAL, &root).await;
    window.accept(&super::operator::invitation_in(&server.place, "owner@example.com", "owner", DEMO)).await;
    let mut visitor = Visitor::new(&root);
    visitor.post("/sign-in", &[("email", "owner@example.com"), ("password", PASSWORD)]).await;
    let mut pages = every_page_of_the_panel(&server, &mut visitor, &key_of(&server)).await;
    // To where only a mistake leads.
    let others = ["/usage?key=nothing&status=x", "/audit?actor=nobody", "/nowhere"];
    pages.extend(others.map(|path| (path.to_owned(), path.to_owned())));
    for person in [USUAL, CHINESE] {
        let window = chromium.window(person, &root).await;
        window.sign_in("owner@example.com").await;
        inspect_all(&window, &pages).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_console() {
    let (server, chromium) = (Server::start_in(Place::new(), &["demo"]), Chromium::start());
    let root = server.address("api", "");
    let secret = key_of(&server).secret;
    let mut visitor = Visitor::new(&root);
    visitor.post("/console/sign-in", &[("secret_key", &secret)]).await;
    let pages = every_page_of_the_console(&server, &mut visitor).await;
    for person in [USUAL, CHINESE] {
        let window = chromium.window(person, &root).await;
        window.sign_in_with(&secret).await;
        inspect_all(&window, &pages).await;
    }
}

/// The demo's.
fn key_of(demo: &Server) -> IssuedKey {
    let field = |name: &str| demo.ready["key"][name].as_str().unwrap_or_default().to_owned();
    IssuedKey { id: field("id"), secret: field("secret") }
}

/// The folder of the demo's data.
const DEMO: &[&str] = &["--data-dir", "data/demo"];

async fn inspect_all(window: &Window, pages: &[(String, String)]) {
    for (path, kind) in pages {
        window.open(path).await;
        window.inspect().await;
        window.expect("beyond the keyboard", window.beyond_the_keyboard().await, Vec::new()).await;
        window.expect("headings of a page", window.find_all("h1").await.len(), 1).await;
        window.shoot(&format!("{}{}", window.person.language, kind.replace(['/', '?', '&'], "_"))).await;
    }
}
