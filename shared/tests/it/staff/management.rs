use rstest::rstest;
use serde_json::json;
use shared::audit_log::Origin;
use shared::id::StaffId;
use shared::staff::{self, Language, Role, Staff, StaffError, Theme};

use super::desk::{ANN, Desk, MINUTE, START};

const BOB: &str = "bob@example.com";

impl Desk {
    pub(super) async fn disable(&self, id: StaffId) -> Result<Staff, StaffError> {
        let now = self.now();
        self.write(move |connection| staff::disable(connection, id, &Origin::COMMAND_LINE, now)).await
    }

    async fn change_role(&self, id: StaffId, role: Role) -> Result<Staff, StaffError> {
        let now = self.now();
        self.write(move |connection| staff::change_role(connection, id, role, &Origin::COMMAND_LINE, now)).await
    }
}

#[tokio::test]
async fn accounts_are_listed_with_their_invitations() {
    let desk = Desk::open().await;
    desk.person(BOB, Role::Owner).await;
    desk.invite(ANN, Role::Support).await.unwrap();
    let list = async || {
        let now = desk.now();
        let listed = desk.read(move |connection| staff::list(connection, now)).await;
        let row = |listed: staff::Listed| (listed.staff.email, listed.staff.is_accepted, listed.invited_until);
        listed.into_iter().map(row).collect::<Vec<_>>()
    };
    let until = Some(START.plus_ms(60 * MINUTE));
    assert_eq!(list().await, [(ANN.to_owned(), false, until), (BOB.to_owned(), true, None)]);
    desk.advance(60 * MINUTE);
    assert_eq!(list().await, [(ANN.to_owned(), false, None), (BOB.to_owned(), true, None)]);
}

#[tokio::test]
async fn a_role_counts_from_the_next_click_on() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    let changed = desk.change_role(ann.id, Role::Auditor).await.unwrap();
    assert_eq!(changed, Staff { role: Role::Auditor, ..ann });
    assert_eq!(desk.session(&session).await.unwrap().staff, changed);
    let entry = &desk.log().await[0];
    assert_eq!((entry.action.as_str(), entry.subject.as_str()), ("staff.role", ANN));
    assert_eq!(entry.before, Some(json!({"email": ANN, "role": "support", "disabled_at": null})));
    assert_eq!(entry.after, Some(json!({"email": ANN, "role": "auditor", "disabled_at": null})));
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once() {
    let desk = Desk::open().await;
    desk.person(BOB, Role::Owner).await;
    let (ann, session) = desk.person(ANN, Role::Owner).await;
    let other = desk.entered(ANN).await;
    let disabled = desk.disable(ann.id).await.unwrap();
    assert_eq!(disabled.disabled_at, Some(START));
    assert!(!desk.is_open(&session).await && !desk.is_open(&other).await);
    desk.advance(MINUTE);
    assert_eq!(desk.disable(ann.id).await.unwrap().disabled_at, Some(START), "since the first time");

    let link = desk.invite("eve@example.com", Role::Support).await.unwrap();
    let eve: StaffId = StaffId(desk.books.numbers("SELECT max(id) AS number FROM staff")[0].try_into().unwrap());
    desk.disable(eve).await.unwrap();
    let late = desk.accept(&link, "", super::desk::PASSWORD).await;
    assert!(matches!(late, Err(StaffError::Over)), "the invitation is withdrawn: {late:?}");
    assert!(matches!(desk.disable(StaffId(99)).await, Err(StaffError::Unknown(_))));
}

#[rstest]
#[case::disabling(None)]
#[case::another_role(Some(Role::Billing))]
#[tokio::test]
async fn an_owner_who_can_sign_in_is_always_left(#[case] to: Option<Role>) {
    let desk = Desk::open().await;
    let remove = async |id| match to {
        None => desk.disable(id).await,
        Some(role) => desk.change_role(id, role).await,
    };
    let (ann, session) = desk.person(ANN, Role::Owner).await;
    desk.person("billing@example.com", Role::Billing).await;
    // Neither of these can sign in as an owner.
    desk.invite("later@example.com", Role::Owner).await.unwrap();
    let (gone, _) = desk.person("gone@example.com", Role::Owner).await;
    desk.disable(gone.id).await.unwrap();
    assert!(matches!(remove(ann.id).await, Err(StaffError::LastOwner)));
    assert!(desk.is_open(&session).await);
    assert_eq!(desk.change_role(ann.id, Role::Owner).await.unwrap().role, Role::Owner, "no change is none");

    let (bob, _) = desk.person(BOB, Role::Owner).await;
    remove(ann.id).await.unwrap();
    assert!(matches!(remove(bob.id).await, Err(StaffError::LastOwner)));
    // One who has never signed in can always be removed.
    let later = desk.books.numbers("SELECT id AS number FROM staff WHERE email = 'later@example.com'")[0];
    remove(StaffId(later.try_into().unwrap())).await.unwrap();
}

#[tokio::test]
async fn two_owners_cannot_remove_each_other() {
    let desk = Desk::open().await;
    let other = desk.another_process();
    let (ann, _) = desk.person(ANN, Role::Owner).await;
    let (bob, _) = desk.person(BOB, Role::Owner).await;
    let both = tokio::join!(desk.disable(ann.id), other.disable(bob.id));
    assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
}

#[tokio::test]
async fn two_processes_cannot_make_one_address_twice() {
    let desk = Desk::open().await;
    let other = desk.another_process();
    let both = tokio::join!(desk.invite(ANN, Role::Owner), other.invite("Ann@example.com", Role::Support));
    let (one, two) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!(desk.books.numbers("SELECT count(*) AS number FROM staff"), [1]);
    let accepted =
        [desk.accept(&one, "", super::desk::PASSWORD).await, desk.accept(&two, "", super::desk::PASSWORD).await];
    assert_eq!(accepted.iter().filter(|outcome| outcome.is_ok()).count(), 1, "the later link counts: {accepted:?}");
}

#[tokio::test]
async fn language_and_colours_are_the_persons_own() {
    let desk = Desk::open().await;
    let (ann, session) = desk.person(ANN, Role::Support).await;
    assert_eq!((ann.language, ann.theme), (Language::Auto, Theme::Auto));
    let (id, now) = (ann.id, desk.now());
    desk.write(move |connection| {
        staff::set_language(connection, id, Language::Chinese, &Origin::COMMAND_LINE, now)?;
        staff::set_theme(connection, id, Theme::Dark, &Origin::COMMAND_LINE, now)
    })
    .await
    .unwrap();
    let seen = desk.session(&session).await.unwrap().staff;
    assert_eq!((seen.language, seen.theme), (Language::Chinese, Theme::Dark));
    let log = desk.log().await;
    assert_eq!((&log[1].before, &log[1].after), (&Some(json!({"language": "auto"})), &Some(json!({"language": "zh"}))));
    assert_eq!((&log[0].before, &log[0].after), (&Some(json!({"theme": "auto"})), &Some(json!({"theme": "dark"}))));
}
