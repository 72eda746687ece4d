//! A visitor of the pages without a browser: signs in, follows every link, and takes the time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method};

/// More pages than there are; a link that leads to ever new ones would be noticed.
const MOST_PAGES: usize = 200;

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

    /// The pages to which links lead from `start`, at most one of each kind: `/keys/a` and `/keys/b` are of a kind. Each is given with its
    /// kind, such as `/keys/{}`. Files are left out.
    pub(crate) async fn crawl(&mut self, start: &str) -> Vec<(String, String)> {
        let (mut found, mut broken, mut kinds) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut open = VecDeque::from([start.to_owned()]);
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
            found.push((path, kind));
        }
        assert!(broken.is_empty(), "links lead nowhere: {broken:?}");
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

/// The values of an attribute, as they are meant.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = String> + 'a {
    let values =
        html.split(&format!(" {name}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>();
    values.into_iter().map(|value| value.replace("&amp;", "&").replace("&#38;", "&"))
}

/// `/keys/{}?tenant` of `/keys/new0abc?tenant=5`.
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
        .filter_map(|pair| pair.split('=').next())
        .filter(|name| !matches!(*name, "" | "lang"))
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
