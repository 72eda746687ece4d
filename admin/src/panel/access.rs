//! Who may do what. A handler names the right that it needs in its signature, `staff: May<RevokeKeys>`; without one, nobody gets in.

use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use shared::audit_log::Origin;
use shared::clock::{Clock, Timestamp};
use shared::csrf;
use shared::db::{Connection, Database, DbError, WriteError};
use shared::staff::session::{self, SignedIn};
use shared::staff::{self, Denied, Language as Chosen, Right, Staff};

use super::Panel;
use crate::frame::address::address;
use crate::frame::cookie;
use crate::frame::csv;
use crate::frame::failure::{Failed, Problem};
use crate::frame::language::Language;
use crate::frame::looks::Looks;
use crate::frame::page::Page;

/// A right as a type.
pub(crate) trait Needs: 'static {
    /// The right.
    const RIGHT: Option<Right>;
}

macro_rules! rights {
    ($($name:ident),+ $(,)?) => {
        $(
            #[doc = concat!("[`Right::", stringify!($name), "`] as a type.")]
            #[derive(Debug)]
            pub(crate) struct $name;
            impl Needs for $name {
                const RIGHT: Option<Right> = Some(Right::$name);
            }
        )+
    };
}
rights!(
    Read,
    ManageTenants,
    IssueKeys,
    RevokeKeys,
    MoveMoney,
    ManageCodes,
    BlockUsers,
    WriteNotes,
    ManageChannels,
    ManagePrices,
    ManageStaff,
    ReadAudit,
);

/// Whoever is signed in, whatever the role: for one's own settings.
#[derive(Debug)]
pub(crate) struct Anybody;

impl Needs for Anybody {
    const RIGHT: Option<Right> = None;
}

/// Somebody who is signed in and has the right `R`.
#[derive(Debug)]
pub(crate) struct May<R> {
    /// Who.
    pub(crate) staff: Staff,
    /// From where.
    pub(crate) address: Option<IpAddr>,
    /// The session's token, which only the browser has.
    pub(crate) token: String,
    /// The moment of the request.
    pub(crate) now: Timestamp,
    /// What the page knows of its visitor.
    pub(crate) page: Page,
    right: PhantomData<R>,
}

impl<R> May<R> {
    /// Who does something, for the audit log.
    pub(crate) fn origin(&self) -> Origin {
        Origin { actor: self.staff.actor(), address: self.address }
    }

    /// Whether the person has another right too: for what a page offers.
    pub(crate) fn may(&self, right: Right) -> bool {
        self.staff.may(right)
    }
}

impl<R: Needs> May<R> {
    /// Writes in one transaction, if the person is signed in and has the right by then too. All changes go this way.
    ///
    /// # Errors
    /// The page for somebody who may not any more; and inside what `work` gives. Nothing was written then.
    pub(crate) async fn write<T, E, F>(
        &self,
        request: &HttpRequest,
        panel: &Panel,
        work: F,
    ) -> Result<Result<T, E>, Failed>
    where
        T: Send + 'static,
        E: WriteError,
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        staff::write_as(&panel.database, &self.token, R::RIGHT, self.now, work).await.map_err(|denied| {
            let problem = match denied {
                Denied::SignedOut => Problem::SignedOut,
                Denied::Forbidden => Problem::Forbidden,
            };
            Failed::new(request, problem)
        })
    }
}

impl<R: Needs> May<R> {
    /// The session, for a file that takes its time.
    pub(crate) fn watched(&self, panel: &Panel) -> Watched {
        let (database, clock) = (panel.database.clone(), panel.clock.clone());
        Watched { database, clock, token: self.token.clone(), right: R::RIGHT }
    }
}

/// A session that has to be open, and its person to have a right, for as long as something goes on.
pub(crate) struct Watched {
    database: Database,
    clock: Clock,
    token: String,
    right: Option<Right>,
}

impl csv::Session for Watched {
    async fn is_open(&self) -> Result<bool, DbError> {
        let (token, now) = (self.token.clone(), self.clock.now());
        let found = self.database.read(move |connection| session::find(connection, &token, now)).await?;
        Ok(found.is_some_and(|signed_in| self.right.is_none_or(|right| signed_in.staff.may(right))))
    }
}

impl<R: Needs> FromRequest for May<R> {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failed>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let Some(panel) = request.app_data::<Data<Panel>>().cloned() else {
                return Err(Failed::internal(&request, "no panel"));
            };
            let signed_out = || Failed::new(&request, Problem::SignedOut);
            let token = cookie::token(&request, &panel.side).ok_or_else(signed_out)?;
            let now = panel.clock.now();
            let presented = token.clone();
            let found = panel.database.read(move |connection| session::find(connection, &presented, now)).await;
            let found = found.map_err(|error| Failed::database(&request, &error))?;
            let signed_in = found.ok_or_else(signed_out)?;
            // A page that renews itself is no sign of a person.
            if !request.headers().contains_key("hx-request") {
                keep_alive(&panel, &signed_in, now);
            }
            let SignedIn { staff, .. } = signed_in;
            looks_of(&request, &staff).remember(&request);
            if R::RIGHT.is_some_and(|right| !staff.may(right)) {
                return Err(Failed::new(&request, Problem::Forbidden));
            }
            let page = page_of(&request, &panel, &staff, &token, now);
            Ok(Self { address: address(&request, &panel.side), staff, token, now, page, right: PhantomData })
        })
    }
}

/// Writes down that the session was used, while the page is made: it can be read when nothing can be written.
fn keep_alive(panel: &Panel, signed_in: &SignedIn, now: Timestamp) {
    let (database, signed_in) = (panel.database.clone(), signed_in.clone());
    actix_web::rt::spawn(async move {
        if let Err(error) = session::keep_alive(&database, &signed_in, now).await {
            tracing::warn!(%error, "the use of a session could not be written down; it may end early");
        }
    });
}

/// How the person of a request's session wants pages to look. Nothing where there is none, or the database does not say.
pub(super) async fn wanted_looks(request: &HttpRequest, panel: &Panel) -> Option<Looks> {
    let (token, now) = (cookie::token(request, &panel.side)?, panel.clock.now());
    let found = panel.database.read(move |connection| session::find(connection, &token, now)).await;
    found.ok().flatten().map(|signed_in| looks_of(request, &signed_in.staff))
}

fn looks_of(request: &HttpRequest, staff: &Staff) -> Looks {
    let language = match staff.language {
        Chosen::Auto => Language::of(request),
        Chosen::English => Language::English,
        Chosen::Chinese => Language::Chinese,
    };
    Looks { language, theme: staff.theme }
}

fn page_of(request: &HttpRequest, panel: &Panel, staff: &Staff, token: &str, now: Timestamp) -> Page {
    let who = staff.email.to_string();
    Page { csrf: csrf::token(token), who, ..Page::anonymous(request, &panel.side, now) }
}
