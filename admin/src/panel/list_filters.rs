//! Filters that the panel's lists have in common, as they are typed. A page leaves out what cannot be understood and says so; a file is refused.

use actix_web::HttpRequest;
use chrono_tz::Tz;
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::id::TenantId;

use super::tenants::choice;
use crate::frame::failure::{Failed, Problem};
use crate::frame::language::Language;
use crate::frame::moment;
use crate::frame::wrongs::Wrongs;

/// What cannot be understood is left out on a page that says so; a file would pass for what was asked for.
pub(super) fn refuse(request: &HttpRequest, wrongs: &Wrongs) -> Result<(), Failed> {
    let wrong = wrongs.first().map(|text| Problem::Wrong(text.to_owned(), text.to_owned()));
    wrong.map_or(Ok(()), |wrong| Err(Failed::new(request, wrong)))
}

/// Reads the id, or the whole name, of a tenant.
pub(super) fn read_tenant(
    connection: &mut Connection,
    text: &str,
    language: Language,
    wrongs: &mut Wrongs,
) -> Result<Option<TenantId>, DbError> {
    let Some(text) = given(text) else { return Ok(None) };
    let found = choice::filtered(connection, text)?;
    if found.is_none() {
        wrongs.add("tenant", language.say("No tenant has this id or name.", "没有该编号或名称的客户。"));
    }
    Ok(found)
}

/// Reads where a period begins and ends; each may be left open.
pub(super) fn read_period(
    from: &str,
    to: &str,
    language: Language,
    zone: Tz,
    wrongs: &mut Wrongs,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let mut read = |field, text| {
        let text = given(text)?;
        let moment = moment::read(text, zone);
        if moment.is_none() {
            wrongs.add(field, language.say(moment::ALLOWED.0, moment::ALLOWED.1));
        }
        moment
    };
    let (from, to) = (read("from", from), read("to", to));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        wrongs.add("to", language.say("The end must lie after the beginning.", "结束时间必须晚于开始时间。"));
    }
    (from, to)
}

/// What was typed, if anything.
pub(super) fn given(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty()).then_some(text)
}
