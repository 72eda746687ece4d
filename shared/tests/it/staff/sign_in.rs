use std::net::IpAddr;

use shared::staff::{self, Entrance, Role, StaffError};
use shared::throttle::TooMany;
use shared::token::Token;

use super::desk::{ANN, Desk, MINUTE, PASSWORD, code, here, text};

/// Half a minute before the code of `with_codes` was used up, the next one is shown.
const STEP: i64 = 30_000;

fn is_refused(outcome: &Result<Entrance, StaffError>) -> bool {
    matches!(outcome, Err(StaffError::Refused))
}

fn wait_of<T: std::fmt::Debug>(outcome: Result<T, StaffError>) -> u64 {
    match outcome {
        Err(StaffError::TooMany(TooMany { retry_after_s })) => retry_after_s,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_password_opens_a_session() {
    let desk = Desk::open().await;
    let (ann, _) = desk.person(ANN, Role::Support).await;
    for email in [ANN, "ANN@EXAMPLE.COM", "  ann@example.com "] {
        let session = desk.entered(email).await;
        let signed_in = desk.session(&session).await.unwrap();
        assert_eq!((&signed_in.staff, signed_in.address), (&ann, here()));
        assert!(signed_in.is_of(&session) && !signed_in.is_of(""));
    }
    let entry = &desk.log().await[0];
    assert_eq!((entry.action.as_str(), entry.subject.as_str()), ("staff.sign_in", ANN));
    assert_eq!(entry.after, Some(serde_json::json!({"by": "password"})));
}

#[tokio::test]
async fn there_is_one_answer_to_all_that_is_wrong() {
    let desk = Desk::open().await;
    desk.person("owner@example.com", Role::Owner).await;
    desk.person(ANN, Role::Support).await;
    let (gone, _) = desk.person("gone@example.com", Role::Support).await;
    desk.disable(gone.id).await.unwrap();
    desk.invite("new@example.com", Role::Support).await.unwrap();
    for (email, password) in [
        (ANN, "Correct horse battery"),
        (ANN, ""),
        (ANN, &"x".repeat(60_000)),
        ("gone@example.com", PASSWORD),
        ("new@example.com", PASSWORD),
        ("new@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        (&"x@".repeat(10_000), PASSWORD),
    ] {
        let outcome = desk.sign_in(email, password).await;
        assert!(is_refused(&outcome), "{email:.40}: {outcome:?}");
    }
    assert!(desk.sign_in(ANN, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn guesses_for_an_account_are_bounded_also_where_there_is_none() {
    let desk = Desk::open().await;
    desk.person(ANN, Role::Support).await;
    let address = |number: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number]));
    for email in [ANN, "nobody@example.com"] {
        for number in 0..10 {
            // From anywhere in the network.
            let outcome = desk.reception.sign_in(email, "wrong".to_owned().into(), address(number)).await;
            assert!(is_refused(&outcome), "{outcome:?}");
        }
        let outcome = desk.reception.sign_in(&email.to_uppercase(), PASSWORD.to_owned().into(), address(99)).await;
        assert_eq!(wait_of(outcome), 60, "{email}");
    }
    desk.advance(MINUTE);
    assert!(desk.sign_in(ANN, PASSWORD).await.is_ok());
    // Who has shown the password has all attempts again.
    for _ in 0..10 {
        assert!(is_refused(&desk.sign_in(ANN, "wrong").await));
    }
    assert_eq!(wait_of(desk.sign_in(ANN, PASSWORD).await), 60);
}

#[tokio::test]
async fn whoever_knows_an_address_does_not_keep_its_owner_out() {
    let desk = Desk::open().await;
    desk.person(ANN, Role::Owner).await;
    let elsewhere = Some("198.51.100.7".parse().unwrap());
    for _ in 0..11 {
        desk.reception.sign_in(ANN, "wrong".to_owned().into(), elsewhere).await.unwrap_err();
    }
    desk.entered(ANN).await;
}

#[tokio::test]
async fn guesses_from_an_address_are_bounded() {
    let desk = Desk::open().await;
    desk.person(ANN, Role::Support).await;
    let from = async |address: &str, email: String| {
        desk.reception.sign_in(&email, "wrong".to_owned().into(), Some(address.parse().unwrap())).await
    };
    for number in 0..30 {
        let address = format!("2001:db8::{number}");
        assert!(is_refused(&from(&address, format!("{number}@example.com")).await));
    }
    assert_eq!(wait_of(from("2001:db8::ffff", ANN.to_owned()).await), 20);
    assert_eq!(wait_of(desk.reception.enter_code("", "", Some("2001:db8::1".parse().unwrap())).await), 20);
    assert!(is_refused(&from("2001:db8:0:1::1", ANN.to_owned()).await), "another network");
    desk.advance(20_000);
    assert!(is_refused(&from("2001:db8::1", ANN.to_owned()).await));
}

#[tokio::test]
async fn a_code_is_asked_for_and_opens_nothing_before() {
    let desk = Desk::open().await;
    let (ann, first) = desk.person(ANN, Role::Support).await;
    let (secret, _) = desk.with_codes(&ann, &first).await;
    desk.advance(STEP);
    let half_open = desk.half_open(ANN).await;
    assert!(desk.reception.waits_for_code(&half_open).await.unwrap());
    assert!(!desk.is_open(&half_open).await);
    assert!(!desk.reception.waits_for_code(&first).await.unwrap(), "a whole session waits for nothing");

    let outcome = desk.reception.enter_code(&half_open, "000 000", here()).await;
    assert!(matches!(outcome, Err(StaffError::WrongCode)), "{outcome:?}");
    let [left, right] = [0..3, 3..6].map(|half| code(&secret, desk.now())[half].to_owned());
    let session = desk.reception.enter_code(&half_open, &format!(" {left} {right}\n"), here()).await.unwrap();
    assert!(desk.session(&text(&session)).await.unwrap().staff.has_totp);
    assert!(!desk.is_open(&half_open).await);
    let again = desk.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await;
    assert!(matches!(again, Err(StaffError::Over)), "{again:?}");
    assert_eq!(desk.log().await[0].after, Some(serde_json::json!({"by": "password and code"})));
}

#[tokio::test]
async fn a_code_is_good_once() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let (secret, _) = desk.with_codes(&ann, &session).await;
    let half_open = desk.half_open(ANN).await;
    let used = desk.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await;
    assert!(matches!(used, Err(StaffError::WrongCode)), "it turned the codes on: {used:?}");
    desk.advance(STEP);
    let (now, next) = (code(&secret, desk.now()), code(&secret, desk.now().plus_ms(STEP)));
    desk.reception.enter_code(&half_open, &next, here()).await.unwrap();
    let half_open = desk.half_open(ANN).await;
    for typed in [now, next] {
        let outcome = desk.reception.enter_code(&half_open, &typed, here()).await;
        assert!(matches!(outcome, Err(StaffError::WrongCode)), "what comes before a used one is over: {outcome:?}");
    }
}

#[tokio::test]
async fn of_two_who_use_a_code_at_the_same_time_one_gets_in() {
    let desk = Desk::open().await;
    let other = desk.another_process();
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let (secret, codes) = desk.with_codes(&ann, &session).await;
    desk.advance(STEP);
    for typed in [code(&secret, desk.now()), codes[0].expose().to_owned()] {
        let (first, second) = (desk.half_open(ANN).await, other.half_open(ANN).await);
        let both = tokio::join!(
            desk.reception.enter_code(&first, &typed, here()),
            other.reception.enter_code(&second, &typed, here())
        );
        assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
    }
}

#[tokio::test]
async fn a_recovery_code_is_good_once() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let (_, codes) = desk.with_codes(&ann, &session).await;
    let id = ann.id;
    for (left, code) in [(9, &codes[3]), (8, &codes[0])] {
        let half_open = desk.half_open(ANN).await;
        let typed = code.expose().to_uppercase().replace('-', " ");
        let session = desk.reception.enter_code(&half_open, &typed, here()).await.unwrap();
        assert!(desk.is_open(&text(&session)).await);
        assert_eq!(desk.read(move |connection| staff::recovery_codes_left(connection, id)).await, left);
        let half_open = desk.half_open(ANN).await;
        let again = desk.reception.enter_code(&half_open, code.expose(), here()).await;
        assert!(matches!(again, Err(StaffError::WrongCode)), "{again:?}");
    }
    assert!(
        desk.log()
            .await
            .iter()
            .any(|record| { record.after == Some(serde_json::json!({"by": "password and recovery code"})) })
    );
}

#[tokio::test]
async fn five_wrong_codes_end_the_first_step_and_more_are_throttled() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let (secret, _) = desk.with_codes(&ann, &session).await;
    desk.advance(STEP);
    let half_open = desk.half_open(ANN).await;
    for _ in 0..5 {
        let outcome = desk.reception.enter_code(&half_open, "12345", here()).await;
        assert!(matches!(outcome, Err(StaffError::WrongCode)), "{outcome:?}");
    }
    let outcome = desk.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await;
    assert!(matches!(outcome, Err(StaffError::Over)), "{outcome:?}");
    let half_open = desk.half_open(ANN).await;
    assert_eq!(wait_of(desk.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await), 120);
    desk.advance(2 * MINUTE);
    desk.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await.unwrap();
}

#[tokio::test]
async fn the_code_follows_within_five_minutes() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let (secret, _) = desk.with_codes(&ann, &session).await;
    desk.advance(STEP);
    let (late, in_time) = (desk.half_open(ANN).await, async || {
        desk.advance(1);
        desk.half_open(ANN).await
    });
    let in_time = in_time().await;
    desk.advance(5 * MINUTE - 1);
    assert!(!desk.reception.waits_for_code(&late).await.unwrap());
    let outcome = desk.reception.enter_code(&late, &code(&secret, desk.now()), here()).await;
    assert!(matches!(outcome, Err(StaffError::Over)), "{outcome:?}");
    desk.reception.enter_code(&in_time, &code(&secret, desk.now()), here()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_first_step_is_over() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let (secret, _) = desk.with_codes(&ann, &session).await;
    desk.advance(STEP);
    let unknown = text(&Token::generate().unwrap());
    for token in ["", "x", unknown.as_str(), session.as_str()] {
        let outcome = desk.reception.enter_code(token, &code(&secret, desk.now()), here()).await;
        assert!(matches!(outcome, Err(StaffError::Over)), "{token}: {outcome:?}");
    }
    assert!(desk.is_open(&session).await, "the whole session is untouched");
    // Disabled between the two steps.
    desk.person("owner@example.com", Role::Owner).await;
    let half_open = desk.half_open(ANN).await;
    desk.disable(ann.id).await.unwrap();
    let outcome = desk.reception.enter_code(&half_open, &code(&secret, desk.now()), here()).await;
    assert!(matches!(outcome, Err(StaffError::Over)), "{outcome:?}");
}
