use secrecy::ExposeSecret;
use shared::audit_log::{Actor, Origin};
use shared::staff::{Oneself, RecoveryCode, Role, Staff, StaffError, WeakPassword};

use super::desk::{ANN, Desk, MINUTE, PASSWORD, code, here};

const NEW: &str = "another long password";

fn oneself(staff: &Staff, session: &str) -> Oneself {
    Oneself::new(staff, session, Origin { actor: staff.actor(), address: here() })
}

impl Desk {
    async fn turn_totp_on(
        &self,
        oneself: Oneself,
        password: &str,
        code: &str,
    ) -> Result<Vec<RecoveryCode>, StaffError> {
        self.reception.turn_totp_on(oneself, password.to_owned().into(), code).await
    }

    async fn change_password(&self, oneself: Oneself, old: &str, new: &str) -> Result<(), StaffError> {
        self.reception.change_password(oneself, old.to_owned().into(), new.to_owned().into()).await
    }
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_the_other_sessions() {
    let desk = Desk::open().await;
    let (ann, first) = desk.person(ANN, Role::Support).await;
    let (_, bobs) = desk.person("bob@example.com", Role::Support).await;
    let other = desk.entered(ANN).await;
    let wrong = desk.change_password(oneself(&ann, &first), "wrong", NEW).await;
    assert!(matches!(wrong, Err(StaffError::WrongPassword)), "{wrong:?}");
    let weak = desk.change_password(oneself(&ann, &first), PASSWORD, ANN).await;
    assert!(matches!(weak, Err(StaffError::WeakPassword(WeakPassword::IsTheEmail))), "{weak:?}");
    assert!(desk.is_open(&other).await, "nothing has changed");

    desk.change_password(oneself(&ann, &first), PASSWORD, NEW).await.unwrap();
    assert!(desk.is_open(&first).await && !desk.is_open(&other).await && desk.is_open(&bobs).await);
    assert!(matches!(desk.sign_in(ANN, PASSWORD).await, Err(StaffError::Refused)));
    assert!(desk.sign_in(ANN, NEW).await.is_ok());
    let log = desk.log().await;
    let entry = log.iter().find(|record| record.action == "staff.password").unwrap();
    assert_eq!((entry.subject.as_str(), &entry.before, &entry.after), (ANN, &None, &None));
    assert_eq!(entry.origin, Origin { actor: Actor::Staff { id: ann.id, email: ANN.to_owned() }, address: here() });
}

#[tokio::test]
async fn a_stolen_session_cannot_try_passwords_for_long() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    for _ in 0..10 {
        let outcome = desk.change_password(oneself(&ann, &session), "wrong", NEW).await;
        assert!(matches!(outcome, Err(StaffError::WrongPassword)), "{outcome:?}");
    }
    let outcome = desk.change_password(oneself(&ann, &session), PASSWORD, NEW).await;
    assert!(matches!(outcome, Err(StaffError::TooMany(_))), "{outcome:?}");
    desk.entered(ANN).await;
    let outcome = desk.turn_totp_on(oneself(&ann, &session), PASSWORD, "12345").await;
    assert!(matches!(outcome, Err(StaffError::TooMany(_))), "signing in gives it no attempts back: {outcome:?}");
}

#[tokio::test]
async fn guesses_from_outside_leave_who_is_signed_in_alone() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    for _ in 0..10 {
        assert!(matches!(desk.sign_in(ANN, "wrong").await, Err(StaffError::Refused)));
    }
    assert!(matches!(desk.sign_in(ANN, PASSWORD).await, Err(StaffError::TooMany(_))));
    desk.change_password(oneself(&ann, &session), PASSWORD, NEW).await.unwrap();
}

#[tokio::test]
async fn a_new_password_forgets_a_secret_that_was_never_confirmed() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let set_up = async || desk.reception.set_totp_up(ann.id).await.unwrap().secret.expose_secret().to_owned();
    let seen = set_up().await;
    desk.change_password(oneself(&ann, &session), PASSWORD, NEW).await.unwrap();
    let outcome = desk.turn_totp_on(oneself(&ann, &session), NEW, &code(&seen, desk.now())).await;
    assert!(matches!(outcome, Err(StaffError::WrongCode)), "{outcome:?}");
    assert_ne!(set_up().await, seen);
}

#[tokio::test]
async fn a_new_password_leaves_confirmed_codes_on() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let (secret, codes) = desk.with_codes(&ann, &session).await;
    desk.change_password(oneself(&ann, &session), PASSWORD, PASSWORD).await.unwrap();
    for typed in [codes[0].expose(), code(&secret, desk.now().plus_ms(30_000)).as_str()] {
        let half_open = desk.half_open(ANN).await;
        desk.reception.enter_code(&half_open, typed, here()).await.unwrap();
    }
}

#[tokio::test]
async fn codes_count_after_the_first_one() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let other = desk.entered(ANN).await;
    let setup = desk.reception.set_totp_up(ann.id).await.unwrap();
    let secret = setup.secret.expose_secret().to_owned();
    assert!(setup.uri.expose_secret().contains(&secret));
    let again = desk.reception.set_totp_up(ann.id).await.unwrap();
    assert_eq!(again.secret.expose_secret(), secret, "a page that is loaded again shows the same");
    let wrong = desk.turn_totp_on(oneself(&ann, &session), "wrong", &code(&secret, desk.now())).await;
    assert!(matches!(wrong, Err(StaffError::WrongPassword)), "{wrong:?}");
    let wrong = desk.turn_totp_on(oneself(&ann, &session), PASSWORD, "12345").await;
    assert!(matches!(wrong, Err(StaffError::WrongCode)), "{wrong:?}");
    desk.entered(ANN).await;

    let codes = desk.turn_totp_on(oneself(&ann, &session), PASSWORD, &code(&secret, desk.now())).await.unwrap();
    assert_eq!(codes.len(), 10);
    assert!(desk.is_open(&session).await && !desk.is_open(&other).await);
    desk.half_open(ANN).await;
    for outcome in [
        desk.reception.set_totp_up(ann.id).await.map(|_| ()),
        desk.turn_totp_on(oneself(&ann, &session), PASSWORD, &code(&secret, desk.now())).await.map(|_| ()),
    ] {
        assert!(matches!(outcome, Err(StaffError::TotpIsOn)), "{outcome:?}");
    }
}

#[tokio::test]
async fn codes_are_turned_off_by_the_password() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let (secret, _) = desk.with_codes(&ann, &session).await;
    desk.advance(MINUTE);
    let half_open = desk.half_open(ANN).await;
    let off =
        async |password: &str| desk.reception.turn_totp_off(oneself(&ann, &session), password.to_owned().into()).await;
    assert!(matches!(off("wrong").await, Err(StaffError::WrongPassword)));
    off(PASSWORD).await.unwrap();
    assert!(!desk.reception.waits_for_code(&half_open).await.unwrap());
    desk.entered(ANN).await;
    assert!(desk.is_open(&session).await);
    let kept = "SELECT count(*) AS number FROM staff_recovery_codes";
    assert_eq!(desk.books.numbers(kept), [0]);
    let (another, _) = desk.with_codes(&ann, &session).await;
    assert_ne!(another, secret);
    let log: Vec<_> = desk.log().await.into_iter().filter(|record| record.action.starts_with("staff.totp")).collect();
    assert_eq!(
        log.iter().map(|record| record.action.as_str()).collect::<Vec<_>>(),
        ["staff.totp_on", "staff.totp_off", "staff.totp_on"]
    );
}

#[tokio::test]
async fn a_new_secret_of_the_installation_leaves_the_codes_as_they_are() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    desk.person("bob@example.com", Role::Support).await;
    let (secret, _) = desk.with_codes(&ann, &session).await;
    let later = desk.resealed().await;
    desk.advance(MINUTE);
    let half_open = later.half_open(ANN).await;
    let with_the_old_one = desk.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await;
    assert!(matches!(with_the_old_one, Err(StaffError::Seal(_))), "{with_the_old_one:?}");
    later.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await.unwrap();
}
