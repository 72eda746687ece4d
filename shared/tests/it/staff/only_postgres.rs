use shared::audit_log::Origin;
use shared::clock::Clock;
use shared::staff::invitation::FirstOwner;
use shared::staff::session;
use shared::staff::{self, Language, Oneself, Role, Theme};
use testkit::Pair;

use super::desk::{ANN, Desk, MINUTE, PASSWORD, START, code, here, text};
use crate::ledger::books::Books;
use crate::ledger::only_postgres::role::ServiceRole;

/// All that is done about people's accounts needs no more rights than the service's own role has.
#[tokio::test]
async fn the_services_role_keeps_peoples_accounts() {
    let owner = Books::on(Pair::Servers, Clock::manual(START)).await;
    let role = ServiceRole::make(owner.database.url());
    let desk = Desk::of(owner.another_process(&role.url), super::desk::new_secret());
    let FirstOwner::Invited(link) = desk.reception.invite_first_owner().await.unwrap() else { panic!("no link") };
    let (ann, _) = desk.accept(&text(&link), ANN, PASSWORD).await.unwrap();
    let session = desk.entered(ANN).await;
    let (secret, codes) = desk.with_codes(&ann, &session).await;
    owner.advance(MINUTE);
    let signed_in = desk.session(&session).await.unwrap();
    session::keep_alive(&desk.books.database, &signed_in, desk.now()).await.unwrap();
    let oneself = Oneself::new(&ann, &session, Origin::COMMAND_LINE);
    desk.reception
        .change_password(oneself.clone(), PASSWORD.to_owned().into(), PASSWORD.to_owned().into())
        .await
        .unwrap();
    let half_open = desk.half_open(ANN).await;
    desk.reception.enter_code(&half_open, "12345", here()).await.unwrap_err();
    desk.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await.unwrap();
    let half_open = desk.half_open(ANN).await;
    let session = text(&desk.reception.enter_code(&half_open, codes[0].expose(), here()).await.unwrap());
    desk.resealed().await;
    desk.reception.turn_totp_off(oneself, PASSWORD.to_owned().into()).await.unwrap();
    desk.reception.sign_out(&session, here()).await.unwrap();

    let (bob, _) = desk.person("bob@example.com", Role::Support).await;
    let (id, now) = (bob.id, desk.now());
    desk.write(move |connection| {
        staff::set_language(connection, id, Language::English, &Origin::COMMAND_LINE, now)?;
        staff::set_theme(connection, id, Theme::Light, &Origin::COMMAND_LINE, now)?;
        staff::change_role(connection, id, Role::Auditor, &Origin::COMMAND_LINE, now)?;
        staff::disable(connection, id, &Origin::COMMAND_LINE, now)
    })
    .await
    .unwrap();
    assert_eq!(desk.actions().await.len(), 13);
}
