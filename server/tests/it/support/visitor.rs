//! A visitor of the pages without a browser: signs in, follows every link, and takes the time. What is inspected and what is measured is
//! the same: [`every_page_of_the_panel`] and [`every_page_of_the_console`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method};
use serde_json::json;

use super::{IssuedKey, Server};

/// More pages than there are; a link that leads to ever new ones would be noticed.
const MOST_PAGES: usize = 200;

/// More than it takes until what has happened is on the pages that list it.
const PATIENCE: Duration = Duration::from_secs(30);
/// A search that finds a tenant and a payment of the demo, and one that finds nothing: no link leads there.
const SEARCHES: [&str; 2] = ["/search?q=demo", "/search?q=nothing"];

/// Every kind of page of the panel of a demo, with something on each, for an operator who is signed in. `key` is the demo's.
pub(crate) async fn every_page_of_the_panel(
    server: &Server,
    operator: &mut Visitor,
    key: &IssuedKey,
) -> Vec<(String, String)> {
    let unknown = json!({"model": "no-such-model", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(server.post("/v1/chat/completions", key, &unknown).await.status, 404);
    // The demo's call and this refusal are on their pages a moment after their end.
    for (page, sign) in
        [("/usage", r#"href="/calls/"#), ("/usage?by=model", "<tfoot>"), ("/usage?by=refusal", "<tfoot>")]
    {
        operator.until(server, page, sign).await;
    }
    let found = operator.get(SEARCHES[0]).await;
    assert!(found.status == 200 && found.body.contains("<table"), "{} finds not several: {found:?}", SEARCHES[0]);
    operator.crawl(&[&["/dashboard"], &SEARCHES[..]].concat()).await
}

/// The same of the console of a demo, for a developer who is signed in.
pub(crate) async fn every_page_of_the_console(server: &Server, developer: &mut Visitor) -> Vec<(String, String)> {
    developer.until(server, "/console/calls", r#"href="/console/calls/"#).await;
    developer.crawl(&["/console"]).await
}

/// A page that was fetched.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// From the request to the last byte.
    pub(crate) took: Duration,
}

/// Somebody with the cookies of one session.
pub(crate) struct Visitor {
    http: Client,
    root: String,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    /// A visitor of a listener, such as `http://127.0.0.1:8081`.
    pub(crate) fn new(root: &str) -> Self {
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).tls_certs_only(Vec::new());
        Self { http: http.build().expect("a client"), root: root.to_owned(), cookies: BTreeMap::new() }
    }

    /// Fetches a page, as it is: a page that leads on is not followed.
    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.fetch(Method::GET, path, None).await
    }

    /// Sends a form as its page would.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        self.fetch(Method::POST, path, Some(body.join("&"))).await
    }

    async fn fetch(&mut self, method: Method, path: &str, form: Option<String>) -> Page {
        let url = if path.starts_with('/') { format!("{}{path}", self.root) } else { path.to_owned() };
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, &url).header(COOKIE, cookies.join("; "));
        if let Some(form) = form {
            let kind = "application/x-www-form-urlencoded";
            request = request.header(ORIGIN, &self.root).header("content-type", kind).body(form);
        }
        let begun = Instant::now();
        let reply = request.send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let body = reply.text().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let took = begun.elapsed();
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("ASCII").split(';').next().unwrap_or_default();
            let (name, value) = cookie.split_once('=').expect("a name and a value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Page { status, headers, body, took }
    }

    /// Waits until a page has this in its HTML.
    async fn until(&mut self, server: &Server, page: &str, sign: &str) {
        server.within(PATIENCE, sign, async || self.get(page).await.body.contains(sign)).await;
    }

    /// The pages to which links lead from `starts`, and the choices of how to group something, at most one of each kind: `/keys/a` and
    /// `/keys/b` are of a kind. Each is given with its kind, such as `/keys/{}`. Files are left out.
    async fn crawl(&mut self, starts: &[&str]) -> Vec<(String, String)> {
        let (mut found, mut broken, mut kinds) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut open: VecDeque<String> = starts.iter().map(|start| (*start).to_owned()).collect();
        while let Some(path) = open.pop_front() {
            let kind = kind(&path);
            if !kinds.insert(kind.clone()) {
                continue;
            }
            assert!(found.len() < MOST_PAGES, "links lead to ever new pages: {found:?}");
            let page = self.get(&path).await;
            if let Some(next) = page.headers.get(LOCATION) {
                open.push_back(next.to_str().expect("ASCII").to_owned());
                continue;
            }
            if page.status != 200 {
                broken.push(format!("{path}: {}", page.status));
                continue;
            }
            open.extend(links(&page.body, &path));
            open.extend(groupings(&page.body, &path));
            found.push((path, kind));
        }
        assert!(broken.is_empty(), "links lead nowhere: {broken:?}");
        assert!(found.len() > 5, "nobody is signed in: {found:?}");
        found
    }
}

impl Page {
    /// The files that it loads.
    pub(crate) fn assets(&self) -> BTreeSet<String> {
        let mut paths: BTreeSet<String> = attributes(&self.body, "src").collect();
        paths.extend(attributes(&self.body, "href").filter(|path| path.contains("/assets/")));
        paths
    }
}

/// The pages of this side to which a page leads.
fn links(html: &str, at: &str) -> Vec<String> {
    let here = at.split('?').next().unwrap_or(at);
    let whole = attributes(html, "href").filter_map(|link| {
        let link = link.split('#').next().unwrap_or_default().to_owned();
        match link.chars().next() {
            Some('/') if !link.starts_with("//") => Some(link),
            Some('?') => Some(format!("{here}{link}")),
            _ => None,
        }
    });
    let is_page = |link: &String| {
        let path = link.split('?').next().unwrap_or(link);
        !path.contains("/assets/") && !path.ends_with(".csv")
    };
    whole.filter(is_page).collect()
}

/// Where the choices of `<select name="by">` lead: other pages, to which only a form leads.
fn groupings(html: &str, at: &str) -> Vec<String> {
    let here = at.split('?').next().unwrap_or(at);
    let choices = html.split(r#"<select name="by">"#).skip(1).filter_map(|rest| rest.split("</select>").next());
    let names = choices.flat_map(|choices| attributes(choices, "value")).filter(|name| !name.is_empty());
    names.map(|name| format!("{here}?by={name}")).collect()
}

/// The values of an attribute, as they are meant.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = String> + 'a {
    let values =
        html.split(&format!(" {name}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>();
    values.into_iter().map(|value| value.replace("&amp;", "&").replace("&#38;", "&"))
}

/// `/keys/{}?tenant` of `/keys/new0abc?tenant=5`, and `/usage?by=day&from` of `/usage?by=day&from=5`: what is searched for and how it is
/// grouped makes another page.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments = path.split('/').enumerate().map(|(at, segment)| {
        let is_word = segment.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
        let is_word = is_word && !is_name(path, at);
        if is_word { segment } else { "{}" }
    });
    let path = segments.collect::<Vec<_>>().join("/");
    let mut names: Vec<&str> = query
        .split('&')
        .filter_map(
            |pair| if pair.starts_with("by=") || pair.starts_with("q=") { Some(pair) } else { pair.split('=').next() },
        )
        .filter(|name| !matches!(*name, "" | "lang" | "by=" | "q="))
        .collect();
    names.sort_unstable();
    if names.is_empty() { path } else { format!("{path}?{}", names.join("&")) }
}

/// Whether a segment is the name of something that an operator named: of a channel or a model.
fn is_name(path: &str, at: usize) -> bool {
    let before = path.split('/').nth(at.wrapping_sub(1)).unwrap_or_default();
    let own = path.split('/').nth(at).unwrap_or_default();
    matches!(before, "channels" | "models") && own != "new"
}

fn escaped(value: &str) -> String {
    value
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
