//! A reception on a temporary database, whose clock stands still, and what the tests ask of it.

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::ExposeSecret;
use shared::audit_log::{self, Filter, Origin, Record};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::page::Cursor;
use shared::seal::{MasterSecret, Sealer};
use shared::staff::session::{self, SignedIn};
use shared::staff::{self, Entrance, Oneself, Reception, RecoveryCode, Role, Staff, StaffError};
use shared::token::Token;

use crate::ledger::books::Books;

pub(super) const START: Timestamp = Timestamp(1_767_225_600_000);
pub(super) const ANN: &str = "ann@example.com";
pub(super) const PASSWORD: &str = "correct horse battery";
pub(super) const MINUTE: i64 = 60_000;

/// Where everybody calls from who says nothing else.
pub(super) fn here() -> Option<IpAddr> {
    Some("192.0.2.1".parse().unwrap())
}

pub(super) struct Desk {
    pub(super) books: Books,
    pub(super) reception: Reception,
    /// What the reception seals under.
    secret: String,
}

impl Desk {
    pub(super) async fn open() -> Self {
        Self::of(Books::at(START).await, new_secret())
    }

    pub(super) fn of(books: Books, secret: String) -> Self {
        let sealer = Arc::new(Sealer::from_list(&secret).unwrap());
        let reception = Reception::new(books.database.clone(), books.clock.clone(), sealer);
        Self { books, reception, secret }
    }

    /// Another process on the same database.
    pub(super) fn another_process(&self) -> Self {
        Self::of(self.books.another_process(self.books.database.url()), self.secret.clone())
    }

    /// Seals everything anew, and gives a process that has the new secret alone.
    pub(super) async fn resealed(&self) -> Self {
        let new = new_secret();
        let rotating = Sealer::from_list(&format!("{new},{}", self.secret)).unwrap();
        assert_eq!(self.write(move |connection| staff::reseal(connection, &rotating)).await.unwrap(), 1);
        Self::of(self.books.another_process(self.books.database.url()), new)
    }

    /// Every value of every row of a table, as text.
    pub(super) fn rows_of(&self, table: &str) -> Vec<String> {
        if !self.books.is_sqlite() {
            return self.books.words(&format!("SELECT t::text AS word FROM {table} t"));
        }
        let columns = self.books.words(&format!("SELECT name AS word FROM pragma_table_info('{table}')"));
        let values: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        self.books.words(&format!("SELECT {} AS word FROM {table}", values.join(" || ' ' || ")))
    }

    /// A person who can sign in with [`PASSWORD`], and the session that the invitation has begun.
    pub(super) async fn person(&self, email: &str, role: Role) -> (Staff, String) {
        let invitation = self.invite(email, role).await.unwrap();
        let (staff, token) = self.accept(&invitation, "", PASSWORD).await.unwrap();
        (staff, text(&token))
    }

    pub(super) async fn invite(&self, email: &str, role: Role) -> Result<String, StaffError> {
        let (token, email, now) = (Token::generate().unwrap(), email.parse().unwrap(), self.now());
        let hash = token.hash();
        self.write(move |connection| staff::invite(connection, &email, role, &hash, &Origin::COMMAND_LINE, now))
            .await?;
        Ok(text(&token))
    }

    pub(super) async fn accept(
        &self,
        invitation: &str,
        email: &str,
        password: &str,
    ) -> Result<(Staff, Token), StaffError> {
        self.reception.accept(invitation, email, password.to_owned().into(), here()).await
    }

    pub(super) async fn sign_in(&self, email: &str, password: &str) -> Result<Entrance, StaffError> {
        self.reception.sign_in(email, password.to_owned().into(), here()).await
    }

    /// Signs in somebody who needs no code.
    pub(super) async fn entered(&self, email: &str) -> String {
        match self.sign_in(email, PASSWORD).await.unwrap() {
            Entrance::Open(token) => text(&token),
            Entrance::NeedsCode(_) => panic!("a code is asked for"),
        }
    }

    /// The first step of somebody who needs one.
    pub(super) async fn half_open(&self, email: &str) -> String {
        match self.sign_in(email, PASSWORD).await.unwrap() {
            Entrance::NeedsCode(token) => text(&token),
            Entrance::Open(_) => panic!("no code is asked for"),
        }
    }

    /// Turns codes on for a person in this session, and gives the secret and the recovery codes. The present code is used then.
    pub(super) async fn with_codes(&self, staff: &Staff, session: &str) -> (String, Vec<RecoveryCode>) {
        let setup = self.reception.set_totp_up(staff.id).await.unwrap();
        let secret = setup.secret.expose_secret().to_owned();
        let oneself = Oneself::new(staff, session, Origin::COMMAND_LINE);
        let codes =
            self.reception.turn_totp_on(oneself, PASSWORD.to_owned().into(), &code(&secret, self.now())).await.unwrap();
        (secret, codes)
    }

    /// Who presents this token.
    pub(super) async fn session(&self, token: &str) -> Option<SignedIn> {
        let (token, now) = (token.to_owned(), self.now());
        self.books.database.read(move |connection| session::find(connection, &token, now)).await.unwrap()
    }

    pub(super) async fn is_open(&self, token: &str) -> bool {
        self.session(token).await.is_some()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.books.clock.now()
    }

    pub(super) fn advance(&self, milliseconds: i64) {
        self.books.advance(milliseconds);
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StaffError> + Send + 'static,
    ) -> Result<T, StaffError> {
        self.books.database.write(work).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    ) -> T {
        self.books.database.read(work).await.unwrap()
    }

    /// The audit log, the newest first.
    pub(super) async fn log(&self) -> Vec<Record> {
        self.read(|connection| audit_log::page(connection, &Filter::default(), Cursor::First, 1_000)).await.rows
    }

    /// The actions of the audit log, the oldest first.
    pub(super) async fn actions(&self) -> Vec<String> {
        self.log().await.into_iter().rev().map(|record| record.action).collect()
    }
}

pub(super) fn new_secret() -> String {
    MasterSecret::generate().unwrap().to_base64().expose_secret().to_owned()
}

pub(super) fn text(token: &Token) -> String {
    token.to_text().expose_secret().to_owned()
}

/// What an authenticator shows at a moment.
pub(super) fn code(secret: &str, at: Timestamp) -> String {
    testkit::authenticator_code(secret, at.0)
}
