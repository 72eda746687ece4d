//! Who is signed in. A handler for developers has a [`Developer`] in its signature; without one, nobody gets in.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use shared::audit_log::Origin;
use shared::clock::{Clock, Timestamp};
use shared::console_session::{self, Session, Shut};
use shared::csrf;
use shared::db::{Database, DbError};
use shared::id::TenantId;
use shared::key::Barred;
use shared::secret_key::KeyId;
use shared::token::{Token, TokenHash};

use super::Console;
use crate::frame::address::address;
use crate::frame::cookie;
use crate::frame::csv;
use crate::frame::failure::{Failed, Problem};
use crate::frame::page::Page;
use crate::frame::posted::Posted;

/// A developer with a session of a Secret Key that is let in at this moment, from this address.
#[derive(Debug)]
pub(crate) struct Developer {
    /// The session.
    pub(crate) session: Session,
    /// From where the request came.
    pub(crate) address: Option<IpAddr>,
    /// The moment of the request.
    pub(crate) now: Timestamp,
    /// What the page knows of its visitor.
    pub(crate) page: Page,
}

impl Developer {
    /// Who does something, for the audit log.
    pub(crate) fn origin(&self) -> Origin {
        self.session.origin(self.address)
    }

    /// Whose balance it is.
    pub(crate) fn tenant(&self) -> TenantId {
        self.session.key.tenant
    }

    /// The key that the session belongs to.
    pub(crate) fn key(&self) -> KeyId {
        self.session.key.id
    }

    /// The key that its view of the records is limited to; `None`: it sees all of the tenant's.
    pub(crate) fn sees_only(&self) -> Option<KeyId> {
        (!self.session.sees_all()).then_some(self.key())
    }

    /// The session, for a file that takes its time.
    pub(crate) fn watched(&self, console: &Console) -> Watched {
        let (database, clock) = (console.database.clone(), console.clock.clone());
        Watched { database, clock, hash: self.session.hash, address: self.address }
    }

    /// Until when the key of a session works that was rotated: the session goes on until then.
    pub(crate) fn rotated_until(&self) -> Option<Timestamp> {
        self.session.key.rotated_until()
    }
}

/// A session that has to be open for as long as something goes on.
#[derive(Debug)]
pub(crate) struct Watched {
    database: Database,
    clock: Clock,
    hash: TokenHash,
    address: Option<IpAddr>,
}

impl csv::Session for Watched {
    async fn is_open(&self) -> Result<bool, DbError> {
        let (hash, address, now) = (self.hash, self.address, self.clock.now());
        let found =
            self.database.read(move |connection| console_session::find(connection, &hash, address, now)).await?;
        Ok(found.is_ok())
    }
}

impl FromRequest for Developer {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failed>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let Some(console) = request.app_data::<Data<Console>>().cloned() else {
                return Err(Failed::internal(&request, "no console"));
            };
            let signed_out = || Failed::new(&request, Problem::SignedOut);
            let text = cookie::token(&request, &console.side).ok_or_else(signed_out)?;
            let token = Token::parse(&text).ok_or_else(signed_out)?;
            let (hash, from, now) = (token.hash(), address(&request, &console.side), console.clock.now());
            let found = console.database.read(move |connection| console_session::find(connection, &hash, from, now));
            let found = found.await.map_err(|error| Failed::database(&request, &error))?;
            let session = found.map_err(|shut| refused(&request, shut, from))?;
            if session.is_to_be_touched(now) {
                let touched = console.database.write(move |connection| console_session::touch(connection, &hash, now));
                if let Err(error) = touched.await {
                    let error: DbError = error;
                    tracing::warn!(%error, "the use of a session could not be written down; it may end early");
                }
            }
            let who = format!("{} · {}", session.tenant_name, session.key.id);
            let page = Page { csrf: csrf::token(&text), who, ..Page::anonymous(&request, &console.side, now) };
            Ok(Self { session, address: from, now, page })
        })
    }
}

/// A form of a developer. The session is looked at again when the form has arrived, which may take its time: what counts is who is let in
/// then.
#[derive(Debug)]
pub(crate) struct Sent<T> {
    /// Who sent it.
    pub(crate) developer: Developer,
    /// What was sent.
    pub(crate) fields: T,
}

impl<T: DeserializeOwned + 'static> FromRequest for Sent<T> {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failed>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, posted) = (request.clone(), Posted::from_request(request, payload));
        Box::pin(async move {
            Developer::extract(&request).await?;
            let Posted(fields) = posted.await?;
            Ok(Self { developer: Developer::extract(&request).await?, fields })
        })
    }
}

fn refused(request: &HttpRequest, shut: Shut, address: Option<IpAddr>) -> Failed {
    let problem = match shut {
        Shut::Over => Problem::SignedOut,
        Shut::Barred(Barred::Revoked) => Problem::KeyEnded { is_revoked: true },
        Shut::Barred(Barred::Expired) => Problem::KeyEnded { is_revoked: false },
        Shut::Barred(Barred::TenantSuspended) => Problem::Suspended,
        Shut::NotFromHere => Problem::NotFromHere,
    };
    let failed = Failed::new(request, problem);
    if shut == Shut::NotFromHere {
        // For the log only: it may be the address of a proxy of ours.
        let (request_id, address) = (failed.request_id(), address.map(tracing::field::display));
        tracing::info!(request_id, address, "a session was used from an address that its key does not allow");
    }
    failed
}
