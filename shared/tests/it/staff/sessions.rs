use shared::staff::Role;
use shared::staff::session::{self, SignedIn};

use super::desk::{ANN, Desk, MINUTE, here};

const HOUR: i64 = 60 * MINUTE;

impl Desk {
    /// What a page does with the session of its visitor.
    async fn visit(&self, token: &str) -> Option<SignedIn> {
        let signed_in = self.session(token).await?;
        session::keep_alive(&self.books.database, &signed_in, self.now()).await.unwrap();
        Some(signed_in)
    }

    fn sessions(&self) -> i128 {
        self.books.numbers("SELECT count(*) AS number FROM staff_sessions")[0]
    }
}

#[tokio::test]
async fn it_ends_when_nothing_is_asked_for_a_quarter_of_an_hour() {
    let desk = Desk::open().await;
    let (_, session) = desk.person(ANN, Role::Support).await;
    desk.advance(15 * MINUTE - 1);
    assert!(desk.visit(&session).await.is_some());
    desk.advance(15 * MINUTE - 1);
    assert!(desk.visit(&session).await.is_some(), "the visit kept it alive");
    desk.advance(15 * MINUTE);
    assert!(desk.visit(&session).await.is_none());
}

#[tokio::test]
async fn it_ends_after_twelve_hours_whatever_is_asked() {
    let desk = Desk::open().await;
    let (_, session) = desk.person(ANN, Role::Support).await;
    for _ in 0..12 * 6 - 1 {
        desk.advance(10 * MINUTE);
        assert!(desk.visit(&session).await.is_some());
    }
    desk.advance(10 * MINUTE - 1);
    assert!(desk.visit(&session).await.is_some());
    desk.advance(1);
    assert!(desk.visit(&session).await.is_none());
}

#[tokio::test]
async fn its_use_is_written_once_a_minute() {
    let desk = Desk::open().await;
    let (_, session) = desk.person(ANN, Role::Support).await;
    let seen = || desk.books.numbers("SELECT seen_at AS number FROM staff_sessions")[0];
    let begun = seen();
    for (after, expected) in [(0, 0), (MINUTE - 1, 0), (1, MINUTE), (1, MINUTE), (MINUTE - 2, MINUTE), (1, 2 * MINUTE)]
    {
        desk.advance(after);
        assert!(desk.visit(&session).await.is_some());
        assert_eq!(seen() - begun, i128::from(expected));
    }
}

#[tokio::test]
async fn signing_out_ends_one() {
    let desk = Desk::open().await;
    let (_, first) = desk.person(ANN, Role::Support).await;
    let second = desk.entered(ANN).await;
    desk.reception.sign_out(&first, here()).await.unwrap();
    assert!(!desk.is_open(&first).await && desk.is_open(&second).await);
    // Again, and what is none.
    for token in [first.as_str(), "", "x"] {
        desk.reception.sign_out(token, here()).await.unwrap();
    }
    assert_eq!(desk.actions().await, ["staff.invite", "staff.accept", "staff.sign_in", "staff.sign_out"]);
}

#[tokio::test]
async fn a_persons_sessions_are_listed() {
    let desk = Desk::open().await;
    let (ann, first) = desk.person(ANN, Role::Support).await;
    desk.person("bob@example.com", Role::Support).await;
    desk.advance(MINUTE);
    let second = desk.entered(ANN).await;
    let list = async || {
        let (ann, now) = (ann.clone(), desk.now());
        desk.read(move |connection| session::list(connection, &ann, now)).await
    };
    let listed = list().await;
    assert_eq!(listed.len(), 2);
    assert!(listed[0].is_of(&second) && listed[1].is_of(&first));
    desk.advance(14 * MINUTE);
    assert_eq!(list().await.len(), 1, "the first one is over");
}

#[tokio::test]
async fn what_is_over_is_forgotten_at_the_next_sign_in() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    desk.person("bob@example.com", Role::Support).await;
    desk.with_codes(&ann, &session).await;
    desk.half_open(ANN).await;
    assert_eq!(desk.sessions(), 3);
    desk.advance(5 * MINUTE);
    desk.entered("bob@example.com").await;
    assert_eq!(desk.sessions(), 3, "the half-open one is gone");
    desk.advance(HOUR);
    desk.entered("bob@example.com").await;
    assert_eq!(desk.sessions(), 1);
}

#[tokio::test]
async fn a_token_of_another_form_is_nobodys() {
    let desk = Desk::open().await;
    let (_, session) = desk.person(ANN, Role::Support).await;
    for token in ["", "x", &session[1..], &format!("{session}="), "令牌"] {
        assert!(!desk.is_open(token).await, "{token}");
    }
}
