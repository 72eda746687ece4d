//! Every route of the panel: who gets in, and who does not. The table names all of them; one that is missing here fails.

use std::collections::BTreeSet;

use admin::HEADERS;
use shared::staff::{Right, Role};

use crate::support::{Browser, Reply, Scene};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Also whoever is not signed in.
    Anyone,
    /// Whoever is signed in.
    Anybody,
    /// Whoever has this right.
    Has(Right),
}

use Who::{Anybody, Anyone, Has};

/// One of the panel's routes.
#[derive(Debug, Clone, Copy)]
struct Route {
    method: &'static str,
    /// As `panel/routes.rs` has it.
    path: &'static str,
    who: Who,
    /// What a form sends beside its token: nothing that would change anything.
    fields: &'static [(&'static str, &'static str)],
}

const fn get(path: &'static str, who: Who) -> Route {
    Route { method: "GET", path, who, fields: &[] }
}

const fn post(path: &'static str, who: Who) -> Route {
    Route { method: "POST", path, who, fields: &[] }
}

/// All of them. The last one ends the session.
const ROUTES: &[Route] = &[
    get("/", Anyone),
    get("/assets/{file}", Anyone),
    get("/invitation/{token}", Anyone),
    post("/invitation/{token}", Anyone),
    get("/sign-in", Anyone),
    post("/sign-in", Anyone),
    get("/sign-in/code", Anyone),
    post("/sign-in/code", Anyone),
    get("/dashboard", Has(Right::Read)),
    get("/dashboard/live", Has(Right::Read)),
    get("/search", Has(Right::Read)),
    get("/usage", Has(Right::Read)),
    get("/usage.csv", Has(Right::Read)),
    get("/calls/{request_id}", Has(Right::Read)),
    get("/ledger", Has(Right::Read)),
    get("/ledger.csv", Has(Right::Read)),
    get("/tenants", Has(Right::Read)),
    post("/tenants", Has(Right::ManageTenants)),
    get("/tenants/new", Has(Right::ManageTenants)),
    get("/tenants/{id}", Has(Right::Read)),
    get("/tenants/{id}/suspend", Has(Right::ManageTenants)),
    post("/tenants/{id}/suspend", Has(Right::ManageTenants)),
    get("/tenants/{id}/resume", Has(Right::ManageTenants)),
    post("/tenants/{id}/resume", Has(Right::ManageTenants)),
    post("/tenants/{id}/notes", Has(Right::WriteNotes)),
    post("/tenants/{id}/block-user", Has(Right::BlockUsers)),
    post("/tenants/{id}/unblock-user", Has(Right::BlockUsers)),
    get("/keys", Has(Right::Read)),
    post("/keys", Has(Right::IssueKeys)),
    get("/keys/new", Has(Right::IssueKeys)),
    get("/keys/{kid}", Has(Right::Read)),
    get("/keys/{kid}/revoke", Has(Right::RevokeKeys)),
    post("/keys/{kid}/revoke", Has(Right::RevokeKeys)),
    get("/keys/{kid}/rotate", Has(Right::IssueKeys)),
    post("/keys/{kid}/rotate", Has(Right::IssueKeys)),
    get("/top-ups", Has(Right::Read)),
    post("/top-ups", Has(Right::MoveMoney)),
    get("/top-ups.csv", Has(Right::Read)),
    get("/top-ups/new", Has(Right::MoveMoney)),
    post("/top-ups/confirm", Has(Right::MoveMoney)),
    get("/top-ups/{id}", Has(Right::Read)),
    get("/top-ups/{id}/reverse", Has(Right::MoveMoney)),
    post("/top-ups/{id}/reverse", Has(Right::MoveMoney)),
    get("/codes", Has(Right::Read)),
    post("/codes", Has(Right::ManageCodes)),
    get("/codes/new", Has(Right::ManageCodes)),
    get("/codes/{id}", Has(Right::Read)),
    get("/codes/{id}/revoke", Has(Right::ManageCodes)),
    post("/codes/{id}/revoke", Has(Right::ManageCodes)),
    get("/channels", Has(Right::Read)),
    post("/channels", Has(Right::ManageChannels)),
    get("/channels/new", Has(Right::ManageChannels)),
    get("/channels/{name}", Has(Right::Read)),
    post("/channels/{name}/test", Has(Right::ManageChannels)),
    post("/channels/{name}/enable", Has(Right::ManageChannels)),
    post("/channels/{name}/disable", Has(Right::ManageChannels)),
    get("/models", Has(Right::Read)),
    get("/models/{name}", Has(Right::Read)),
    post("/models/{name}/price", Has(Right::ManagePrices)),
    get("/audit", Has(Right::ReadAudit)),
    get("/audit.csv", Has(Right::ReadAudit)),
    get("/staff", Has(Right::ManageStaff)),
    post("/staff/invite", Has(Right::ManageStaff)),
    post("/staff/{id}/role", Has(Right::ManageStaff)),
    post("/staff/{id}/disable", Has(Right::ManageStaff)),
    get("/settings", Anybody),
    post("/settings/password", Anybody),
    post("/settings/totp", Anybody),
    post("/settings/totp/off", Anybody),
    post("/settings/language", Anybody),
    post("/settings/theme", Anybody),
    post("/sign-out", Anybody),
];

/// The path of a route, with something in every place where nothing is.
fn sample(path: &str) -> String {
    let places = [
        ("{name}", "nothing"),
        ("{file}", "nothing"),
        ("{token}", "nothing"),
        ("{id}", "999999"),
        ("{kid}", "AAAAAAAAAAAA"),
        ("{request_id}", "01890000-0000-7000-8000-000000000000"),
    ];
    let sample = places.into_iter().fold(path.to_owned(), |path, (place, text)| path.replace(place, text));
    assert!(!sample.contains('{'), "say what stands in the place of {path}");
    sample
}

/// Sends a request of a route, with the session's token in its form unless that is left out.
async fn send(browser: &mut Browser, route: &Route, with_token: bool) -> Reply {
    let Route { method, path, fields, .. } = route;
    let path = sample(path);
    let reply = if *method == "GET" {
        browser.get(&path).await
    } else {
        let token = browser.cookie("xiaoyi_panel").map(shared::csrf::token).unwrap_or_default();
        let own = [("csrf", token.as_str())];
        let fields: Vec<_> = own.iter().filter(|_| with_token).chain(fields.iter()).copied().collect();
        browser.post(&path, &fields).await
    };
    has_every_header(&reply, &format!("{method} {path}"));
    reply
}

#[track_caller]
fn has_every_header(reply: &Reply, what: &str) {
    for (name, value) in HEADERS {
        assert_eq!(reply.header(name.as_str()), Some(value), "{what}: {name}");
    }
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(reply.header("x-request-id").map(str::len), Some(36), "{what}");
    for (name, _) in &reply.headers {
        assert!(!name.starts_with("access-control-"), "{what}: {name}");
    }
}

#[test]
fn the_table_has_every_route() {
    let mut found = BTreeSet::new();
    for service in include_str!("../../src/panel/routes.rs").split("page(\"").skip(1) {
        let (path, rest) = service.split_once('"').unwrap();
        let rest = rest.split(".service(").next().unwrap();
        for (call, method) in [(".get(", "GET"), (".post(", "POST")] {
            if rest.contains(call) {
                found.insert((method, path));
            }
        }
    }
    let named: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
    let missing: Vec<_> = found.difference(&named).collect();
    let gone: Vec<_> = named.difference(&found).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; no route: {gone:?}");
    assert_eq!(named.len(), ROUTES.len(), "a route is named twice");
}

#[actix_web::test]
async fn without_a_session_nothing_but_the_way_in() {
    let scene = Scene::new().await;
    for route in ROUTES {
        let reply = send(&mut scene.browser(), route, true).await;
        match (route.who, route.method) {
            (Anyone, _) => assert_ne!(reply.status, 401, "{route:?}"),
            (_, "GET") => {
                let next = serde_urlencoded::to_string([("next", sample(route.path))]).unwrap();
                reply.leads_to(&format!("/sign-in?{next}"));
            }
            _ => drop(reply.is(401)),
        }
    }
}

#[actix_web::test]
async fn each_role_may_what_its_table_says() {
    let scene = Scene::new().await;
    for role in Role::ALL {
        let mut browser = scene.signed_in(role).await;
        for route in ROUTES.iter().filter(|route| route.who != Anyone) {
            let may = match route.who {
                Has(right) => role.may(right),
                Anyone | Anybody => true,
            };
            let status = send(&mut browser, route, true).await.status;
            if may {
                assert!(![400, 401, 403, 405, 500, 503].contains(&status), "{role}: {route:?}: {status}");
            } else {
                assert_eq!(status, 403, "{role}: {route:?}");
            }
        }
        browser.get("/dashboard").await.is(303);
    }
}

#[actix_web::test]
async fn a_form_needs_the_token_of_its_own_session() {
    let scene = Scene::new().await;
    let (mut owner, other) = (scene.signed_in(Role::Owner).await, scene.signed_in(Role::Support).await);
    let foreign = shared::csrf::token(other.cookie("xiaoyi_panel").unwrap());
    for route in ROUTES.iter().filter(|route| route.method == "POST" && route.who != Anyone) {
        send(&mut owner, route, false).await.is(403);
        let path = sample(route.path);
        owner.post(&path, &[("csrf", &foreign)]).await.is(403);
    }
    owner.get("/dashboard").await.is(200);
}

#[actix_web::test]
async fn a_form_of_another_site_is_refused() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        owner.origin = Some(origin.to_owned());
        for route in ROUTES.iter().filter(|route| route.method == "POST") {
            send(&mut owner, route, true).await.is(403);
        }
    }
    owner.origin = None;
    owner.get("/dashboard").await.is(200);
}

#[actix_web::test]
async fn a_head_is_that_of_the_page() {
    let scene = Scene::new().await;
    for mut browser in [scene.browser(), scene.signed_in(Role::Owner).await] {
        for route in ROUTES.iter().filter(|route| route.method == "GET") {
            let page = send(&mut browser, route, true).await;
            let head = browser.send("HEAD", &sample(route.path), None).await;
            has_every_header(&head, route.path);
            assert_eq!((head.status, head.body.as_str()), (page.status, ""), "{route:?}");
            for name in ["location", "content-type", "content-length", "content-disposition"] {
                assert_eq!(head.header(name), page.header(name), "{name} of {route:?}");
            }
        }
    }
}

#[actix_web::test]
async fn other_paths_and_methods_are_refused() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    for path in
        ["/nothing", "/channels/a/b/c", "/staff/1", "/settings/", "//", "/invitation", "/models/%00", "/dashboard.html"]
    {
        let reply = owner.get(path).await.is(404);
        has_every_header(&reply, path);
    }
    let paths: BTreeSet<_> = ROUTES.iter().map(|route| route.path).collect();
    for path in paths {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            let way = if method == "HEAD" { "GET" } else { method };
            let is_route = ROUTES.iter().any(|route| route.method == way && route.path == path);
            if !is_route {
                let reply = owner.send(method, &sample(path), Some(String::new())).await;
                assert_eq!(reply.status, 405, "{method} {path}");
                has_every_header(&reply, path);
            }
        }
    }
}
