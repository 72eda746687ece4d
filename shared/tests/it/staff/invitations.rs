use shared::audit_log::Actor;
use shared::staff::invitation::{self, FirstOwner, Invitation, Invited};
use shared::staff::{Entrance, Role, StaffError, WeakPassword};
use shared::token::Token;

use super::desk::{ANN, Desk, MINUTE, PASSWORD, START, here, text};

impl Desk {
    async fn first_owner(&self) -> String {
        match self.reception.invite_first_owner().await.unwrap() {
            FirstOwner::Invited(token) => text(&token),
            other => panic!("{other:?}"),
        }
    }

    async fn invitation(&self, token: &str) -> Option<Invitation> {
        let (token, now) = (token.to_owned(), self.now());
        self.read(move |connection| invitation::find(connection, &token, now)).await
    }
}

#[tokio::test]
async fn the_first_owner_makes_an_account_with_the_one_link() {
    let desk = Desk::open().await;
    let link = desk.first_owner().await;
    let expected = Some(Invitation { whom: Invited::FirstOwner, expires_at: START.plus_ms(60 * MINUTE) });
    assert_eq!(desk.invitation(&link).await, expected);
    assert_eq!(desk.invitation(&link).await, expected, "to look at it leaves it as it is");

    assert!(matches!(desk.accept(&link, "ann", PASSWORD).await, Err(StaffError::BadEmail(_))));
    let short = desk.accept(&link, ANN, "short").await;
    assert!(matches!(short, Err(StaffError::WeakPassword(WeakPassword::Short))));
    let same = desk.accept(&link, " Ann@Example.com", "ANN@example.com").await;
    assert!(matches!(same, Err(StaffError::WeakPassword(WeakPassword::IsTheEmail))));
    assert_eq!(desk.invitation(&link).await, expected, "a mistake leaves it as it is");

    let (ann, token) = desk.accept(&link, " Ann@Example.com", PASSWORD).await.unwrap();
    assert_eq!((ann.email.as_str(), ann.role, ann.is_active()), (ANN, Role::Owner, true));
    assert_eq!(desk.session(&text(&token)).await.unwrap().staff, ann);
    assert!(matches!(desk.sign_in(ANN, PASSWORD).await, Ok(Entrance::Open(_))));

    assert_eq!(desk.invitation(&link).await, None);
    assert!(matches!(desk.accept(&link, "eve@example.com", PASSWORD).await, Err(StaffError::Over)));
    assert!(matches!(desk.reception.invite_first_owner().await, Ok(FirstOwner::IsThere)));
    let log = desk.log().await;
    let accepted = log.iter().find(|record| record.action == "staff.accept").unwrap();
    assert_eq!(accepted.origin.actor, Actor::Staff { id: ann.id, email: ANN.to_owned() });
    assert_eq!((accepted.origin.address, accepted.subject.as_str()), (here(), ANN));
}

#[tokio::test]
async fn only_one_link_for_the_first_owner_is_valid_at_a_time() {
    let desk = Desk::open().await;
    let link = desk.first_owner().await;
    desk.advance(60 * MINUTE - 1);
    let until = START.plus_ms(60 * MINUTE);
    assert!(matches!(desk.reception.invite_first_owner().await, Ok(FirstOwner::InvitedUntil(at)) if at == until));
    assert!(desk.invitation(&link).await.is_some());
    desk.advance(1);
    assert_eq!(desk.invitation(&link).await, None);
    assert!(matches!(desk.accept(&link, ANN, PASSWORD).await, Err(StaffError::Over)));
    let next = desk.first_owner().await;
    assert_eq!(desk.invitation(&link).await, None);
    desk.accept(&next, ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_first_owner_who_was_invited_by_a_command_ends_the_link() {
    let desk = Desk::open().await;
    let link = desk.first_owner().await;
    desk.invite("bob@example.com", Role::Owner).await.unwrap();
    assert_eq!(desk.invitation(&link).await, None);
    assert!(matches!(desk.accept(&link, ANN, PASSWORD).await, Err(StaffError::Over)));
    assert!(matches!(desk.reception.invite_first_owner().await, Ok(FirstOwner::IsThere)));
}

#[tokio::test]
async fn a_person_accepts_once_and_within_an_hour() {
    let desk = Desk::open().await;
    let late = desk.invite(ANN, Role::Support).await.unwrap();
    assert!(matches!(desk.sign_in(ANN, "").await, Err(StaffError::Refused)), "no password fits before there is one");
    let found = desk.invitation(&late).await.unwrap();
    let Invited::Person(person) = found.whom else { panic!("{found:?}") };
    assert_eq!((person.email.as_str(), person.is_accepted), (ANN, false));
    desk.advance(60 * MINUTE);
    assert!(matches!(desk.accept(&late, "", PASSWORD).await, Err(StaffError::Over)));

    let before = desk.invite(ANN, Role::Support).await.unwrap();
    let link = desk.invite("ANN@example.com", Role::Auditor).await.unwrap();
    assert!(matches!(desk.accept(&before, "", PASSWORD).await, Err(StaffError::Over)), "the newest link counts");
    let (ann, _) = desk.accept(&link, "eve@example.com", PASSWORD).await.unwrap();
    assert_eq!((ann.email.as_str(), ann.role), (ANN, Role::Auditor), "the address is the account's");
    assert!(matches!(desk.accept(&link, "", PASSWORD).await, Err(StaffError::Over)));
    assert!(matches!(desk.invite(ANN, Role::Owner).await, Err(StaffError::EmailTaken(_))));
}

#[tokio::test]
async fn what_is_no_invitation_is_over() {
    let desk = Desk::open().await;
    let (_, session) = desk.person(ANN, Role::Owner).await;
    let unknown = text(&Token::generate().unwrap());
    for token in ["", "x", unknown.as_str(), session.as_str()] {
        assert!(matches!(desk.accept(token, "bob@example.com", PASSWORD).await, Err(StaffError::Over)), "{token}");
        assert_eq!(desk.invitation(token).await, None);
    }
}

#[tokio::test]
async fn of_two_who_accept_at_the_same_time_one_does() {
    let desk = Desk::open().await;
    let other = desk.another_process();
    let link = desk.first_owner().await;
    let accept = async |desk: &Desk, email: &str| desk.accept(&link, email, PASSWORD).await.map(|(staff, _)| staff);
    let (one, two) = tokio::join!(accept(&desk, ANN), accept(&other, "eve@example.com"));
    let (owner, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    assert!(matches!(refused, Err(StaffError::Over)), "{refused:?}");
    assert_eq!(desk.books.words("SELECT email AS word FROM staff"), [owner.unwrap().email]);

    let link = desk.invite("bob@example.com", Role::Support).await.unwrap();
    let accept =
        async |desk: &Desk, password: &str| desk.accept(&link, "", password).await.map(|_| password.to_owned());
    let (one, two) = tokio::join!(accept(&desk, PASSWORD), accept(&other, "another long password"));
    let (password, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    assert!(matches!(refused, Err(StaffError::Over)), "{refused:?}");
    assert!(desk.sign_in("bob@example.com", &password.unwrap()).await.is_ok());
}

#[tokio::test]
async fn of_two_processes_that_start_together_one_shows_a_link() {
    let desk = Desk::open().await;
    let other = desk.another_process();
    let made = tokio::join!(desk.reception.invite_first_owner(), other.reception.invite_first_owner());
    let is_made = |outcome: &Result<FirstOwner, StaffError>| matches!(outcome, Ok(FirstOwner::Invited(_)));
    assert!(is_made(&made.0) != is_made(&made.1), "{made:?}");
}

#[tokio::test]
async fn a_disabled_person_who_is_invited_again_begins_anew() {
    let desk = Desk::open().await;
    desk.person("owner@example.com", Role::Owner).await;
    let (ann, session) = desk.person(ANN, Role::Billing).await;
    desk.with_codes(&ann, &session).await;
    desk.disable(ann.id).await.unwrap();
    assert!(matches!(desk.sign_in(ANN, PASSWORD).await, Err(StaffError::Refused)));

    let link = desk.invite(ANN, Role::Support).await.unwrap();
    assert!(matches!(desk.sign_in(ANN, PASSWORD).await, Err(StaffError::Refused)), "not before it is accepted");
    let (again, _) = desk.accept(&link, "", "another long password").await.unwrap();
    assert_eq!((again.id, again.role, again.has_totp), (ann.id, Role::Support, false));
    assert!(matches!(desk.sign_in(ANN, PASSWORD).await, Err(StaffError::Refused)));
    assert!(matches!(desk.sign_in(ANN, "another long password").await, Ok(Entrance::Open(_))));
}

/// What the database keeps of secrets, none of which can be read out of it.
#[tokio::test]
async fn no_secret_is_kept_in_plain() {
    let desk = Desk::open().await;
    let link = desk.invite(ANN, Role::Owner).await.unwrap();
    desk.invite("bob@example.com", Role::Owner).await.unwrap();
    let (ann, token) = desk.accept(&link, "", PASSWORD).await.unwrap();
    let session = text(&token);
    let (secret, codes) = desk.with_codes(&ann, &session).await;
    desk.half_open(ANN).await;
    let mut kept = Vec::new();
    for table in ["staff", "staff_sessions", "staff_invitations", "staff_recovery_codes", "audit_log"] {
        kept.extend(desk.rows_of(table));
    }
    let kept = kept.join("\n").to_lowercase();
    assert!(kept.contains(ANN) && kept.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut secrets = vec![PASSWORD.to_owned(), link.clone(), session.clone(), secret.to_lowercase()];
    secrets.extend(codes.iter().map(|code| code.expose().to_owned()));
    for plain in &secrets {
        assert!(!kept.contains(&plain.to_lowercase()), "{plain}");
        assert!(!kept.contains(&hex(plain.as_bytes())), "{plain} in hexadecimal");
    }
}
