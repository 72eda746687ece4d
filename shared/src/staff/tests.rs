//! What lies between the check of a password and the transaction that acts on it: anything may have happened to the account by then, and
//! no test from outside can be there at that moment.

use std::sync::Arc;

use super::account::{self, Account};
use super::invitation::FirstOwner;
use super::{Oneself, Reception, Role, StaffError, disable, invite, own_settings, sign_in};
use crate::audit_log::Origin;
use crate::clock::{Clock, Timestamp};
use crate::config::DatabaseUrl;
use crate::db::{Connection, Database, DbError};
use crate::seal::{MasterSecret, Sealer};
use crate::token::Token;

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const PASSWORD: &str = "correct horse battery";

struct Scene {
    database: Database,
    reception: Reception,
    account: Account,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// One owner with [`PASSWORD`], as the account was when the password was verified.
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("xiaoyi.db"));
        let (database, _) = Database::open_or_create(&url).unwrap();
        let sealer = Arc::new(Sealer::new(MasterSecret::generate().unwrap()));
        let reception = Reception::new(database.clone(), Clock::manual(NOW), sealer);
        let staff = match reception.invite_first_owner().await.unwrap() {
            FirstOwner::Invited(link) => accept(&reception, &link, "ann@example.com").await,
            other => panic!("{other:?}"),
        };
        let account = database.read(move |connection| account::with_secrets(connection, staff)).await.unwrap().unwrap();
        Self { database, reception, account, _folder: folder }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StaffError> + Send + 'static,
    ) -> Result<T, StaffError> {
        self.database.write(work).await
    }

    /// What would begin a session, and what would change the password.
    async fn outcomes(&self) -> [Result<(), StaffError>; 2] {
        let (id, verified) = (self.account.staff.id, self.account.password.clone().unwrap());
        let (again, session) = (verified.clone(), Token::generate().unwrap().hash());
        let entering = move |connection: &mut Connection| {
            sign_in::enter(connection, id, &verified, &session, None, NOW).map(|_| ())
        };
        let changing = move |connection: &mut Connection| own_settings::unchanged(connection, id, &again).map(|_| ());
        [self.write(entering).await, self.write(changing).await]
    }
}

async fn accept(reception: &Reception, link: &Token, email: &str) -> crate::id::StaffId {
    use secrecy::ExposeSecret;
    let text = link.to_text();
    let accepted = reception.accept(text.expose_secret(), email, PASSWORD.to_owned().into(), None).await;
    accepted.unwrap().0.id
}

#[tokio::test]
async fn what_is_unchanged_goes_on() {
    let scene = Scene::set().await;
    assert!(matches!(scene.outcomes().await, [Ok(()), Ok(())]));
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_opens_nothing() {
    let scene = Scene::set().await;
    let oneself = Oneself::new(&scene.account.staff, "", Origin::COMMAND_LINE);
    let new = "another long password".to_owned();
    scene.reception.change_password(oneself, PASSWORD.to_owned().into(), new.into()).await.unwrap();
    assert!(matches!(scene.outcomes().await, [Err(StaffError::Refused), Err(StaffError::WrongPassword)]));
}

#[tokio::test]
async fn an_account_that_was_disabled_meanwhile_opens_nothing() {
    let scene = Scene::set().await;
    let (link, id) = (Token::generate().unwrap(), scene.account.staff.id);
    let hash = link.hash();
    let email = "bob@example.com".parse().unwrap();
    let inviting =
        move |connection: &mut Connection| invite(connection, &email, Role::Owner, &hash, &Origin::COMMAND_LINE, NOW);
    scene.write(inviting).await.unwrap();
    accept(&scene.reception, &link, "").await;
    scene.write(move |connection| disable(connection, id, &Origin::COMMAND_LINE, NOW)).await.unwrap();
    assert!(matches!(scene.outcomes().await, [Err(StaffError::Refused), Err(StaffError::WrongPassword)]));
    let sessions = move |connection: &mut Connection| {
        use crate::db::schema::staff_sessions::dsl;
        use diesel::prelude::*;
        Ok::<i64, DbError>(dsl::staff_sessions.filter(dsl::staff.eq(id.0)).count().get_result(connection)?)
    };
    assert_eq!(scene.database.read(sessions).await.unwrap(), 0);
}
