//! A new secret for a key: a key of its own with the same policy, while the old one works on for a while. A key is rotated once here, and a
//! session whose own key was rotated rotates none: whoever found an old key would else make a lasting one of it.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::key::{self, Key, KeyError, KeyState, NewSecret};
use shared::secret_key::{KeyId, PlainSecretKey};
use shared::throttle::TooMany;

use super::Console;
use super::access::{Developer, Sent};
use super::keys::{limits, models};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};

/// The old key works on for this long at least, in hours; programs need that time to change over.
const LEAST_GRACE_H: i64 = 24;
/// And for this long at most, in hours.
const MOST_GRACE_H: i64 = 720;
const HOUR_MS: i64 = 3_600_000;

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    /// The new key's id, made with the form.
    #[serde(default)]
    once: String,
    #[serde(default)]
    grace_hours: String,
}

#[derive(Template)]
#[template(path = "console/rotate.html")]
struct Rotate<'a> {
    page: &'a Page,
    developer: &'a Developer,
    key: &'a Key,
    /// The new key's id.
    once: KeyId,
    grace_hours: &'a str,
    error: &'a str,
}

#[derive(Template)]
#[template(path = "console/rotated.html")]
struct Rotated<'a> {
    page: &'a Page,
    developer: &'a Developer,
    old: &'a Key,
    new: &'a Key,
    /// When the old key ends; `None` when the form was sent before.
    old_ends_at: Option<Timestamp>,
    /// Shown this once.
    secret: Option<&'a PlainSecretKey>,
}

#[derive(Template)]
#[template(path = "console/rotate_refused.html")]
struct Refused<'a> {
    page: &'a Page,
    developer: &'a Developer,
    key: &'a Key,
    /// The key that was rotated before, which is this one or the session's.
    rotated: KeyId,
    /// When that one ends.
    ends_at: Timestamp,
}

/// Asks how long the old key is to work on.
pub(super) async fn ask(
    request: HttpRequest,
    developer: Developer,
    console: Data<Console>,
    kid: Path<String>,
) -> Handled {
    let key = rotatable(&request, &developer, &console, &kid).await?;
    if let Some((rotated, ends_at)) = rotated_before(&developer, &key) {
        return refuse(&request, &developer, &key, rotated, ends_at, StatusCode::OK);
    }
    let once = KeyId::generate().map_err(|error| Failed::internal(&request, error))?;
    let grace_hours = LEAST_GRACE_H.to_string();
    let page = &developer.page;
    let form = Rotate { page, developer: &developer, key: &key, once, grace_hours: &grace_hours, error: "" };
    page::show(&request, page, &form)
}

/// Makes the new key and shows its secret.
pub(super) async fn rotate(
    request: HttpRequest,
    console: Data<Console>,
    kid: Path<String>,
    Sent { developer, fields }: Sent<Fields>,
) -> Handled {
    let key = rotatable(&request, &developer, &console, &kid).await?;
    let page = &developer.page;
    let once: KeyId = fields.once.parse().map_err(|_| Failed::out_of_date(&request))?;
    // The same form again shows what it made, though its key is rotated now.
    let known = console.database.read(move |connection| key::find(connection, once)).await;
    if let Some(known) = known.map_err(|error| Failed::database(&request, &error))? {
        return made_before(&request, &developer, &key, &known.key);
    }
    if let Some((rotated, ends_at)) = rotated_before(&developer, &key) {
        return refuse(&request, &developer, &key, rotated, ends_at, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let again = |error: &str, status: StatusCode| {
        let grace_hours = &fields.grace_hours;
        let form = Rotate { page, developer: &developer, key: &key, once, grace_hours, error };
        page::show_with(&request, page, status, &form)
    };
    let hours = fields.grace_hours.trim().parse::<i64>().ok();
    let Some(hours) = hours.filter(|hours| (LEAST_GRACE_H..=MOST_GRACE_H).contains(hours)) else {
        let error = page.say("The old key works on for 24 to 720 hours.", "旧密钥可继续使用 24 至 720 小时。");
        return again(error, StatusCode::UNPROCESSABLE_ENTITY);
    };
    let (plain, secret) = new_secret(&request, &console, once).await?;
    let (old, by, now) = (key.id, developer.key(), developer.now);
    let (origin, tenant, grace_until) = (developer.origin(), developer.tenant(), now.plus_ms(hours * HOUR_MS));
    let database = console.database.clone();
    let done = database.write(move |connection| {
        if let Some(known) = key::find(connection, once)? {
            return Ok(Done::Before(Box::new(known.key)));
        }
        if let Err(too_many) = console.throttles.rotation(tenant) {
            return Ok(Done::TooMany(too_many));
        }
        let (new, old_ends_at) = key::rotate_once(connection, old, by, grace_until, &secret, now)?;
        let before = json!({"id": old, "ends_at": null});
        let after = json!({"id": new.id, "old_ends_at": old_ends_at.to_rfc3339()});
        let entry = Entry {
            action: "key.rotate",
            tenant: Some(tenant),
            subject: old.as_str(),
            before: Some(before),
            after: Some(after),
        };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok(Done::Now(Box::new(new), old_ends_at))
    });
    let (new, old_ends_at) = match done.await {
        Ok(Done::Now(new, old_ends_at)) => (new, old_ends_at),
        Ok(Done::Before(new)) => return made_before(&request, &developer, &key, &new),
        Ok(Done::TooMany(TooMany { retry_after_s })) => {
            let error = page.say(
                "There were too many new secrets today. Nothing was changed; try again later.",
                "今天轮换次数过多。未做任何更改，请稍后再试。",
            );
            let mut reply = again(error, StatusCode::TOO_MANY_REQUESTS)?;
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
            return Ok(reply);
        }
        Err(KeyError::Rotated { id, ends_at }) => {
            return refuse(&request, &developer, &key, id, ends_at, StatusCode::UNPROCESSABLE_ENTITY);
        }
        Err(KeyError::Database(error)) => return Err(Failed::database(&request, &error)),
        Err(KeyError::Ended(_)) => {
            let error = page.say(
                "This key is revoked or has expired, so it has no new secret. Ask for a new key.",
                "该密钥已被吊销或已过期，无法轮换，请申请新的密钥。",
            );
            return again(error, StatusCode::UNPROCESSABLE_ENTITY);
        }
        Err(error) => return Err(Failed::internal(&request, error)),
    };
    let (old_ends_at, secret) = (Some(old_ends_at), Some(&plain));
    page::show(&request, page, &Rotated { page, developer: &developer, old: &key, new: &new, old_ends_at, secret })
}

/// What became of a form.
enum Done {
    /// The new key, and when the old one ends.
    Now(Box<Key>, Timestamp),
    /// There is a key of the new one's id: it was made by the same form, if it is the tenant's.
    Before(Box<Key>),
    /// The tenant had too many new secrets.
    TooMany(TooMany),
}

/// Shows what the same form made before, without its secret.
fn made_before(request: &HttpRequest, developer: &Developer, old: &Key, new: &Key) -> Handled {
    if new.tenant != developer.tenant() {
        return Err(Failed::out_of_date(request));
    }
    let page = &developer.page;
    page::show(request, page, &Rotated { page, developer, old, new, old_ends_at: None, secret: None })
}

/// The key for whose sake this session does not rotate `key`, and when it ends: one that works and was rotated. (Which is asked again when
/// the key is rotated.)
fn rotated_before(developer: &Developer, key: &Key) -> Option<(KeyId, Timestamp)> {
    let of = |key: &Key| key.rotated_until().map(|ends_at| (key.id, ends_at));
    of(&developer.session.key).or_else(|| of(key).filter(|_| key.state(developer.now) == KeyState::Active))
}

/// Says that `rotated` was rotated before, and what to do.
fn refuse(
    request: &HttpRequest,
    developer: &Developer,
    key: &Key,
    rotated: KeyId,
    ends_at: Timestamp,
    status: StatusCode,
) -> Handled {
    let page = &developer.page;
    page::show_with(request, page, status, &Refused { page, developer, key, rotated, ends_at })
}

/// The key of this id, if the session may rotate it; any other is as good as none.
async fn rotatable(request: &HttpRequest, developer: &Developer, console: &Console, kid: &str) -> Result<Key, Failed> {
    let not_found = || Failed::new(request, Problem::NotFound);
    let id: KeyId = kid.parse().map_err(|_| not_found())?;
    if id == developer.key() {
        return Ok(developer.session.key.clone());
    }
    if !developer.session.sees_all() {
        return Err(not_found());
    }
    let read = move |connection: &mut Connection| key::find(connection, id);
    let found = console.database.read_records(read).await.map_err(|error| Failed::database(request, &error))?;
    found.map(|found| found.key).filter(|key| key.tenant == developer.tenant()).ok_or_else(not_found)
}

async fn new_secret(
    request: &HttpRequest,
    console: &Console,
    id: KeyId,
) -> Result<(PlainSecretKey, NewSecret), Failed> {
    let sealer = Arc::clone(&console.sealer);
    let make = move |connection: &mut Connection| Ok::<_, DbError>(key::new_secret(connection, &sealer, id));
    let made = console.database.read(make).await.map_err(|error| Failed::database(request, &error))?;
    made.map_err(|error| Failed::internal(request, error))
}
