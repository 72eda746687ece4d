//! One's own settings: password, codes, language, colours, and where one is signed in.

mod looks;
mod password;
mod totp;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::staff::session::{self, SignedIn};
use shared::staff::{Language, Oneself, Theme, recovery_codes_left};

pub(super) use self::looks::{set_language, set_theme};
pub(super) use self::password::change as change_password;
pub(super) use self::totp::{turn_off as turn_totp_off, turn_on as turn_totp_on};
use super::Panel;
use super::access::{Anybody, May};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging;
use crate::frame::wrongs::Wrongs;

/// What was done a moment ago, so that the page can say so.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Asked {
    done: String,
}

#[derive(Template)]
#[template(path = "panel/settings/show.html")]
struct Show<'a> {
    page: &'a Page,
    staff: &'a shared::staff::Staff,
    codes_left: i64,
    /// Open sessions, and whether each is the one at hand.
    sessions: Vec<(SignedIn, bool)>,
    wrongs: &'a Wrongs,
    done: &'a str,
}

/// Shows them.
pub(super) async fn show(request: HttpRequest, staff: May<Anybody>, panel: Data<Panel>) -> Handled {
    let Asked { done } = paging::filters(&request);
    let wrongs = Wrongs::default();
    let template = read(&request, &staff, &panel, &wrongs, &done).await?;
    page::show(&request, &staff.page, &template)
}

/// Shows them again, with what is wrong with what was typed.
async fn again(request: &HttpRequest, staff: &May<Anybody>, panel: &Panel, wrongs: &Wrongs) -> Handled {
    let template = read(request, staff, panel, wrongs, "").await?;
    page::show_again(request, &staff.page, &template)
}

async fn read<'a>(
    request: &HttpRequest,
    staff: &'a May<Anybody>,
    panel: &Panel,
    wrongs: &'a Wrongs,
    done: &'a str,
) -> Result<Show<'a>, Failed> {
    let (person, now) = (staff.staff.clone(), staff.now);
    let read = panel.database.read_records(move |connection| {
        let sessions = session::list(connection, &person, now)?;
        Ok((sessions, recovery_codes_left(connection, person.id)?))
    });
    let (sessions, codes_left) = read.await.map_err(|error| Failed::database(request, &error))?;
    let sessions = sessions.into_iter().map(|session| {
        let is_own = session.is_of(&staff.token);
        (session, is_own)
    });
    Ok(Show { page: &staff.page, staff: &staff.staff, codes_left, sessions: sessions.collect(), wrongs, done })
}

/// Whoever changes their own account, in this session.
fn oneself(staff: &May<Anybody>) -> Oneself {
    Oneself::new(&staff.staff, &staff.token, staff.origin())
}

/// The languages to choose from, each in its own words.
fn word_for_language(language: Language, page: &Page) -> &'static str {
    match language {
        Language::Auto => page.say("as the browser asks for", "跟随浏览器"),
        Language::English => "English",
        Language::Chinese => "中文",
    }
}

fn word_for_theme(theme: Theme, page: &Page) -> &'static str {
    match theme {
        Theme::Auto => page.say("as the system asks for", "跟随系统"),
        Theme::Light => page.say("light", "浅色"),
        Theme::Dark => page.say("dark", "深色"),
    }
}
