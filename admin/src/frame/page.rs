//! What every page knows of its visitor, and how a page is sent.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LANGUAGE, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use shared::clock::Timestamp;
use shared::money::Amount;

use super::assets;
use super::failure::{Failed, Handled};
use super::format::{self, Id, Money, When, segment};
use super::language::Language;
use super::looks::Looks;
use super::moment;
use super::paging::{asked, query_of};
use super::side::Side;

/// What every page knows of its visitor. Templates say `page.say(..)`, `page.money(..)`, `page.when(..)`.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// In which language it is written.
    pub(crate) language: Language,
    /// `light`, `dark`, or nothing: as the browser prefers.
    pub(crate) theme: &'static str,
    /// What its forms must send back as `csrf`; empty before signing in.
    pub(crate) csrf: String,
    /// Who is signed in, in words; empty if nobody is.
    pub(crate) who: String,
    /// The moment of the visit.
    pub(crate) now: Timestamp,
    /// The first part of the page's path, such as `/tenants`: where in the navigation it is.
    pub(crate) here: String,
    /// The query of the page.
    pub(crate) query: String,
    /// Where it is.
    pub(crate) side: Arc<Side>,
}

impl Page {
    /// A page of nobody who is signed in, or whose session has said no more than how it wants pages to look.
    pub(crate) fn anonymous(request: &HttpRequest, side: &Arc<Side>, now: Timestamp) -> Self {
        let below = request.path().strip_prefix(side.root).unwrap_or_default();
        let here = below.split('/').nth(1).map(|part| format!("{}/{part}", side.root)).unwrap_or_default();
        let (looks, side) = (Looks::of(request), Arc::clone(side));
        let (language, theme) = (looks.language, looks.colours());
        let query = asked(request);
        Self { language, theme, csrf: String::new(), who: String::new(), now, here, query, side }
    }

    /// The text in the visitor's language.
    pub(crate) const fn say<'a>(&self, english: &'a str, chinese: &'a str) -> &'a str {
        self.language.say(english, chinese)
    }

    /// An amount with its small digits dimmed, and the currency.
    pub(crate) fn money(&self, amount: &Amount) -> Money<'_> {
        Money { amount: *amount, currency: &self.side.currency }
    }

    /// A moment, short, with the full one on hover.
    pub(crate) fn when(&self, moment: &Timestamp) -> When {
        When { moment: *moment, now: self.now, zone: self.side.zone }
    }

    /// A whole number, its thousands apart.
    pub(crate) fn count(&self, number: &i64) -> String {
        format::count(*number)
    }

    /// A length of time in milliseconds.
    pub(crate) fn ms(&self, length: &i64) -> String {
        format::milliseconds(*length)
    }

    /// The same where it may not have been measured: then a dash.
    pub(crate) fn maybe_ms(&self, length: &Option<i64>) -> String {
        length.map_or_else(|| "–".to_owned(), format::milliseconds)
    }

    /// A moment that was typed, as a field of the kind `datetime-local` shows it; one that cannot be read, as it was typed.
    pub(crate) fn moment_typed(&self, text: &str) -> String {
        let zone = self.side.zone;
        moment::read(text, zone).map_or_else(|| text.to_owned(), |moment| moment::write(moment, zone))
    }

    /// An id in monospace, shortened in the middle, with a button that copies it.
    pub(crate) fn id(&self, id: impl ToString) -> Id {
        Id { id: id.to_string(), copy: self.say("Copy", "复制"), leads_to: None }
    }

    /// The same, where it is also the link to its page below `folder`, such as `/keys`.
    pub(crate) fn id_in(&self, folder: &str, id: impl ToString) -> Id {
        let id = id.to_string();
        Id { leads_to: Some(self.path(folder, &id)), ..self.id(id) }
    }

    /// The path of the page of `name` below `folder`, such as `/channels`; a name may hold anything.
    pub(crate) fn path(&self, folder: &str, name: &str) -> String {
        format!("{}{folder}/{}", self.side.root, segment(name))
    }

    /// The query of the same page in another language, `en` or `zh`.
    pub(crate) fn in_language(&self, language: &str) -> String {
        let own: Vec<(String, String)> = serde_urlencoded::from_str(&self.query).unwrap_or_default();
        query_of(&own, &[("lang", language)])
    }

    /// The path of an asset.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::path(self.side.root, name)
    }

    /// The currency's letters.
    pub(crate) fn currency(&self) -> &str {
        &self.side.currency
    }

    /// How the side is reached, without its root.
    pub(crate) fn url(&self) -> &str {
        &self.side.url
    }

    /// The zone of its times.
    pub(crate) fn zone(&self) -> chrono_tz::Tz {
        self.side.zone
    }
}

/// Sends a page.
pub(crate) fn show(request: &HttpRequest, page: &Page, template: &impl Template) -> Handled {
    show_with(request, page, StatusCode::OK, template)
}

/// Sends a form again, with what is wrong with it.
pub(crate) fn show_again(request: &HttpRequest, page: &Page, template: &impl Template) -> Handled {
    show_with(request, page, StatusCode::UNPROCESSABLE_ENTITY, template)
}

/// Sends a page with a status of its own.
pub(crate) fn show_with(request: &HttpRequest, page: &Page, status: StatusCode, template: &impl Template) -> Handled {
    let html = template.render().map_err(|error| Failed::internal(request, error))?;
    let mut response = HttpResponse::build(status);
    response.content_type("text/html; charset=utf-8").insert_header((CONTENT_LANGUAGE, page.language.tag()));
    Ok(response.body(html))
}

/// Sends the browser on after a form, so that loading the next page again sends nothing again.
pub(crate) fn go_to(path: impl AsRef<str>) -> Handled {
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, path.as_ref())).finish())
}
