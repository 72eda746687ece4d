//! Every path of the console: who gets in, whose forms are taken, and the headers of every reply.

use std::collections::BTreeSet;

use rstest::rstest;
use shared::id::RequestId;
use shared::key::{Console as Sees, KeyPolicy};

use crate::support::console::{Console, Issued};
use crate::support::{Browser, Reply};

/// All of them, as `console/routes.rs` has them below the root. One that is missing here fails.
const ROUTES: [(&str, &str); 18] = [
    ("GET", ""),
    ("GET", "/"),
    ("GET", "/assets/{file}"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("GET", "/calls"),
    ("GET", "/calls.csv"),
    ("GET", "/calls/{request_id}"),
    ("GET", "/usage"),
    ("GET", "/keys"),
    ("GET", "/keys/{kid}/rotate"),
    ("POST", "/keys/{kid}/rotate"),
    ("GET", "/redeem"),
    ("POST", "/redeem"),
    ("GET", "/samples"),
    ("GET", "/playground"),
    ("POST", "/playground"),
];

/// What stands in the head of every reply.
const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ("cache-control", "no-store"),
];

/// What no reply may have.
const NEVER: [&str; 6] = ["<style", "style=\"", "<script>", " onclick", " onload", "javascript:"];

fn check(what: &str, reply: &Reply) {
    for (name, value) in HEADERS {
        assert_eq!(reply.header(name), Some(value), "{name} of {what}");
    }
    assert!(reply.header("x-request-id").is_some_and(|id| id.len() == 36), "{what}");
    assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{what}: {:?}", reply.headers);
    for name in NEVER {
        assert!(!reply.body.contains(name), "{name} in {what}");
    }
}

async fn visit(browser: &mut Browser, (method, path): (&str, &str), fields: &str) -> Reply {
    let body = (method == "POST").then(|| fields.to_owned());
    let reply = browser.send(method, path, body).await;
    check(&format!("{method} {path}"), &reply);
    reply
}

/// The token of the forms of whoever is signed in.
async fn csrf(browser: &mut Browser) -> String {
    let page = browser.get("/console/samples").await.is(200);
    page.hidden("/console/sign-out").swap_remove(0).1
}

#[test]
fn the_table_has_every_route() {
    let mut found = BTreeSet::new();
    for service in include_str!("../../../src/console/routes.rs").split("page(\"").skip(1) {
        let (path, rest) = service.split_once('"').unwrap();
        let rest = rest.split(".service(").next().unwrap();
        for (call, method) in [(".get(", "GET"), (".post(", "POST")] {
            if rest.contains(call) {
                found.insert((method, path));
            }
        }
    }
    let named: BTreeSet<_> = ROUTES.into_iter().collect();
    let missing: Vec<_> = found.difference(&named).collect();
    let gone: Vec<_> = named.difference(&found).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; no route: {gone:?}");
    assert_eq!(named.len(), ROUTES.len(), "a route is named twice");
}

/// A path of the table, with this key and this call in their places.
fn sample(path: &str, key: &Issued, call: RequestId) -> String {
    let places = [("{kid}", key.id.to_string()), ("{request_id}", call.to_string()), ("{file}", "nothing".to_owned())];
    let sample = places.iter().fold(path.to_owned(), |path, (place, text)| path.replace(place, text));
    assert!(!sample.contains('{'), "say what stands in the place of {path}");
    format!("/console{sample}")
}

#[rstest]
#[case::its_own(Sees::Key)]
#[case::all_of_the_tenant(Sees::Tenant)]
#[actix_web::test]
async fn who_gets_in_and_whose_forms_are_taken(#[case] sees: Sees) {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy { console: sees, ..KeyPolicy::default() }).await;
    let beside = console.issue(tenant, KeyPolicy::default()).await;
    let (call, call_beside) =
        (console.call(&key, "hello world", None).await, console.call(&beside, "hello world", None).await);
    let (mut signed_in, mut another) = (console.signed_in(&key).await, console.signed_in(&key).await);
    let (own, other) = (csrf(&mut signed_in).await, csrf(&mut another).await);
    for (method, path) in ROUTES {
        let sampled = sample(path, &key, call);
        let route = (method, sampled.as_str());
        let is_open = ["/", "/sign-in", "/assets/{file}"].contains(&path);

        // Nobody, and somebody whose session was never begun.
        let mut nobody = console.browser();
        for token in ["", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "<script>"] {
            if !token.is_empty() {
                nobody.set_cookie("xiaoyi_console", token);
            }
            let reply = visit(&mut nobody, route, &format!("csrf={own}")).await;
            match method {
                _ if is_open => assert!([200, 303, 404, 422].contains(&reply.status), "{route:?}: {reply:?}"),
                "GET" => {
                    let location = reply.header("location").unwrap_or_default();
                    assert!(location.starts_with("/console/sign-in?next=%2Fconsole"), "{route:?} {token}: {reply:?}");
                }
                _ => assert!([401, 403].contains(&reply.status), "{route:?} {token}: {reply:?}"),
            }
        }
        if method == "GET" {
            let reply = visit(&mut signed_in, route, "").await;
            match path {
                "/" => drop(reply.leads_to("/console")),
                "/assets/{file}" => drop(reply.is(404)),
                _ => {
                    let kind = if path.ends_with(".csv") { "text/csv" } else { "text/html" };
                    let kind = format!("{kind}; charset=utf-8");
                    assert_eq!(reply.is(200).header("content-type"), Some(kind.as_str()), "{route:?}");
                }
            }
            if path.contains("{kid}") || path.contains("{request_id}") {
                // What belongs to another key of the tenant.
                let others = sample(path, &beside, call_beside);
                let status = if sees == Sees::Tenant { 200 } else { 404 };
                visit(&mut signed_in, (method, others.as_str()), "").await.is(status);
            }
            continue;
        }
        // Another site's page; then a page of ours without the token, or with another session's.
        for origin in ["https://evil.org", "null", ""] {
            let mut foreign = signed_in.clone();
            foreign.origin = Some(origin.to_owned());
            visit(&mut foreign, route, &format!("csrf={own}")).await.is(403);
        }
        if !is_open {
            for fields in ["", "csrf=", &format!("csrf={other}"), &format!("csrf={}", own.to_uppercase())] {
                visit(&mut signed_in, route, fields).await.is(403);
            }
        }
    }
    let balance = console.scene.balance(tenant).await;
    let untouched = ("9.99984".parse().unwrap(), 0);
    assert_eq!((balance.posted, balance.held.nanos()), untouched, "only the first two calls were made");
}

#[actix_web::test]
async fn a_head_is_that_of_the_page() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let call = console.call(&key, "hello world", None).await;
    for mut browser in [console.browser(), console.signed_in(&key).await] {
        for (_, path) in ROUTES.into_iter().filter(|(method, _)| *method == "GET") {
            let path = sample(path, &key, call);
            let page = visit(&mut browser, ("GET", &path), "").await;
            let head = visit(&mut browser, ("HEAD", &path), "").await;
            assert_eq!((head.status, head.body.as_str()), (page.status, ""), "{path}");
            for name in ["location", "content-type", "content-length", "content-disposition"] {
                assert_eq!(head.header(name), page.header(name), "{name} of {path}");
            }
        }
    }
}

#[rstest]
#[case("PUT", "/console", 405)]
#[case("DELETE", "/console/keys", 405)]
#[case("POST", "/console/usage", 405)]
#[case("GET", "/console/sign-out", 405)]
#[case("GET", "/console/nothing", 404)]
#[case("GET", "/console/keys/0123456789AB/revoke", 404)]
#[case("GET", "/console/calls/7", 404)]
#[case("GET", "/console/keys/%3Cscript%3E/rotate", 404)]
#[actix_web::test]
async fn what_is_not_there_is_a_page(#[case] method: &str, #[case] path: &str, #[case] status: u16) {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    for (languages, page) in [("en", "<html lang=\"en\">"), ("zh", "<html lang=\"zh-CN\">")] {
        browser.languages = languages;
        let reply = visit(&mut browser, (method, path), "").await.is(status).shows(page);
        let id = reply.header("x-request-id").unwrap().to_owned();
        reply.shows(&id);
    }
}

#[actix_web::test]
async fn every_page_loads_only_what_is_there_and_is_light() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    console.call(&key, "hello world", Some("ann")).await;
    let mut browser = console.signed_in(&key).await;
    let pages =
        ["", "/calls", "/usage", "/usage?by=model", "/usage?by=user", "/keys", "/redeem", "/samples", "/playground"];
    for path in pages {
        let page = browser.get(&format!("/console{path}")).await.is(200);
        let mut weight = page.body.len();
        let assets: Vec<&str> = page.body.split('"').filter(|part| part.starts_with("/console/assets/")).collect();
        assert!(assets.len() >= 2, "{path}");
        for asset in assets {
            let reply = browser.get(asset).await.is(200);
            assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"));
            weight += reply.body.len();
        }
        assert!(weight < 150_000, "{path} weighs {weight}");
        page.hides("<a href=\"http").hides("src=\"http").hides("href=\"//").hides("src=\"//");
    }
}

#[actix_web::test]
async fn the_language_is_the_visitors_choice_and_stays_below_the_console() {
    let console = Console::new().await;
    let mut browser = console.browser();
    browser.languages = "zh-CN,zh;q=0.9";
    browser.get("/console/sign-in").await.is(200).says("登录").says("密钥");
    let reply = browser.get("/console/sign-in?lang=en").await.is(200).says("Sign in").says("Secret Key");
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.contains("Path=/console") && cookie.contains("HttpOnly"), "{cookie}");
    browser.get("/console/sign-in").await.is(200).says("Sign in");
}
