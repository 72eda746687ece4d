//! The page about the API, `/docs`: it lists every operation, and loads nothing that its policy forbids.

use super::chromium::{Chromium, PATIENCE, USUAL};
use crate::support::{IssuedKey, Place, Server};

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_listed() {
    let (server, chromium) = (Server::start_in(Place::new(), &["demo"]), Chromium::start());
    let window = chromium.window(USUAL, &server.address("api", "")).await;
    window.open("/docs#/calls/createChatCompletion").await;
    let nobody = IssuedKey { id: String::new(), secret: String::new() };
    let description = server.get("/openapi.json", &nobody).await.json;
    let paths = description["paths"].as_object().expect("paths").values();
    let described = paths.flat_map(|path| path.as_object().expect("operations").keys());
    let operations = described.filter(|name| *name != "servers").count();
    let listed = async || window.find_all(".opblock").await.len() == operations;
    server.within(PATIENCE, "every operation is listed", listed).await;

    // The one that the address names is open, with its examples.
    window.see("A question about an image").await;
    window.see("Try it out").await;
    window.shoot("docs").await;
    window.expect("complaints of the browser", window.logged().await, Vec::new()).await;
}
