//! The keys that a session may see: its own, or with a key for the whole tenant all of the tenant's. No secret is among them.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::key::{self, Key, KeyFilter, KeyState};

use super::Console;
use super::access::Developer;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{PAGE, Pager, Place};

#[derive(Template)]
#[template(path = "console/keys.html")]
struct Keys<'a> {
    page: &'a Page,
    developer: &'a Developer,
    keys: Vec<Key>,
    pager: Pager,
}

/// Shows them, newest first.
pub(super) async fn show(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let path = "/console/keys";
    let (keys, pager) = if developer.session.sees_all() {
        let filter = KeyFilter { tenant: Some(developer.tenant()), ..KeyFilter::default() };
        let (place, now) = (Place::asked(&request), developer.now);
        let cursor = place.cursor();
        let read = move |connection: &mut _| key::search(connection, &filter, cursor, PAGE, now);
        let found = console.database.read_records(read).await.map_err(|error| Failed::database(&request, &error))?;
        let pager = Pager::of(path, &(), &place, &found, |row| row.key.id.to_string());
        (found.rows.into_iter().map(|row| row.key).collect(), pager)
    } else {
        (vec![developer.session.key.clone()], Pager::of_one_page(path))
    };
    let page = &developer.page;
    page::show(&request, page, &Keys { page, developer: &developer, keys, pager })
}

/// A key's state: the class of its mark, and the word.
pub(super) fn state<'a>(key: &Key, page: &Page) -> (&'static str, &'a str) {
    match (key.state(page.now), key.grace_until) {
        (KeyState::Revoked, _) => ("off", page.say("revoked", "已吊销")),
        (KeyState::Expired, _) => ("off", page.say("expired", "已过期")),
        (KeyState::Active, Some(_)) => ("warn", page.say("rotated", "已轮换")),
        (KeyState::Active, None) => ("good", page.say("active", "有效")),
    }
}

/// What a key may do in a time and from where, in words; empty where it may do as it likes.
pub(super) fn limits(key: &Key, page: &Page) -> String {
    let policy = &key.policy;
    let numbers = [
        (policy.limits.rpm, page.say("requests a minute", "次/分钟")),
        (policy.limits.tpm, page.say("tokens a minute", "token/分钟")),
        (policy.limits.concurrency, page.say("at the same time", "并发")),
    ];
    let numbers = numbers.into_iter().filter_map(|(limit, unit)| Some(format!("{} {unit}", limit?)));
    let networks = policy.ips().map(|ips| format!("{} {}", page.say("from", "来自"), ips.join(", ")));
    numbers.chain(networks).collect::<Vec<_>>().join(" · ")
}

/// The models that a key may use, in words.
pub(super) fn models(key: &Key, page: &Page) -> String {
    key.policy.models.as_ref().map_or_else(|| page.say("all", "全部").to_owned(), |models| models.join(", "))
}
