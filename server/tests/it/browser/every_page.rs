//! Every page to which a link leads, of both sides and in both languages: nothing serious to axe-core, nothing too wide for a phone, nothing
//! that the browser complains of.

use super::chromium::{Chromium, PATIENCE, Person, USUAL};
use super::operator::PASSWORD;
use super::window::Window;
use crate::support::visitor::Visitor;
use crate::support::{Place, Server};

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
    until_it_has(&server, &mut visitor, "/usage", r#"href="/calls/"#).await;
    let mut pages = visitor.crawl("/dashboard").await;
    // To where only a form leads, or a mistake.
    let others =
        ["/search?q=demo", "/search?q=nothing", "/usage?key=nothing&status=x", "/audit?actor=nobody", "/nowhere"];
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
    let secret = server.ready["key"]["secret"].as_str().expect("a key").to_owned();
    let mut visitor = Visitor::new(&root);
    visitor.post("/console/sign-in", &[("secret_key", &secret)]).await;
    until_it_has(&server, &mut visitor, "/console/calls", r#"href="/console/calls/"#).await;
    let pages = visitor.crawl("/console").await;
    for person in [USUAL, CHINESE] {
        let window = chromium.window(person, &root).await;
        window.sign_in_with(&secret).await;
        inspect_all(&window, &pages).await;
    }
}

/// Waits for the demo's call: its details are written a moment after its end.
async fn until_it_has(server: &Server, visitor: &mut Visitor, page: &str, link: &str) {
    server.within(PATIENCE, link, async || visitor.get(page).await.body.contains(link)).await;
}

/// The folder of the demo's data.
const DEMO: &[&str] = &["--data-dir", "data/demo"];

async fn inspect_all(window: &Window, pages: &[(String, String)]) {
    assert!(pages.len() > 5, "nobody is signed in: {pages:?}");
    for (path, kind) in pages {
        window.open(path).await;
        window.inspect().await;
        window.expect("beyond the keyboard", window.beyond_the_keyboard().await, Vec::new()).await;
        window.expect("headings of a page", window.find_all("h1").await.len(), 1).await;
        window.shoot(&format!("{}{}", window.person.language, kind.replace(['/', '?', '&'], "_"))).await;
    }
}
