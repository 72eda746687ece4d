//! Who may still do something when a form has arrived, and who may read while nothing can be written.

use std::sync::mpsc;

use rstest::rstest;
use shared::audit_log::Origin;
use shared::clock::{Clock, Timestamp};
use shared::db::{Connection, DbError};
use shared::staff::{self, Role, StaffError};
use tokio::sync::oneshot;

use crate::support::{Begun, Browser, PASSWORD, Reply, Scene};

const BILLING: &str = "billing@example.com";
const TWO_MINUTES_MS: i64 = 120_000;

/// Somebody of the role billing, in a session whose next use is written down.
async fn billing() -> (Scene, Browser) {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let scene = Scene::at(clock.clone()).await;
    let browser = scene.signed_in(Role::Billing).await;
    clock.advance(TWO_MINUTES_MS);
    (scene, browser)
}

/// A form that was let in and of which the last byte is still to come.
async fn let_in(scene: &Scene, browser: &Browser, page: &Reply, action: &str, typed: &[(&str, &str)]) -> Begun {
    let begun = browser.begin(action, &page.hidden(action), typed).await;
    scene.until_seen(BILLING).await;
    begun
}

/// Opens a page at a moment that is not written down as the session's last use.
async fn page(scene: &Scene, browser: &mut Browser, path: &str) -> Reply {
    let page = browser.get(path).await.is(200);
    scene.until_seen(BILLING).await;
    scene.workbench.clock.advance(TWO_MINUTES_MS);
    page
}

async fn disable(scene: &Scene) {
    let now = scene.workbench.clock.now();
    let disabling = move |connection: &mut Connection| {
        let billing = staff::find_by_email(connection, &BILLING.parse().unwrap())?.unwrap();
        staff::disable(connection, billing.id, &Origin::COMMAND_LINE, now).map(drop)
    };
    scene.write::<_, StaffError>(disabling).await.unwrap();
}

async fn demote(scene: &Scene) {
    let now = scene.workbench.clock.now();
    let demoting = move |connection: &mut Connection| {
        let billing = staff::find_by_email(connection, &BILLING.parse().unwrap())?.unwrap();
        staff::change_role(connection, billing.id, Role::Auditor, &Origin::COMMAND_LINE, now).map(drop)
    };
    scene.write::<_, StaffError>(demoting).await.unwrap();
}

#[rstest]
#[case::nothing(false, false, 303)]
#[case::disabled(true, false, 401)]
#[case::demoted(false, true, 403)]
#[actix_web::test]
async fn what_counts_is_who_one_is_when_the_form_has_arrived(
    #[case] disabled: bool,
    #[case] demoted: bool,
    #[case] status: u16,
) {
    let (scene, mut billing) = billing().await;
    let form = page(&scene, &mut billing, "/tenants/new").await;
    let begun = let_in(&scene, &billing, &form, "/tenants", &[("name", "acme")]).await;
    if disabled {
        disable(&scene).await;
    }
    if demoted {
        demote(&scene).await;
    }
    let reply = begun.finish().await.is(status);
    if status != 303 {
        reply.shows("Nothing was changed, and no money was moved.");
    }
    assert_eq!(scene.done().await.len(), usize::from(status == 303));
}

#[actix_web::test]
async fn a_session_that_was_ended_meanwhile_changes_nothing_of_its_own() {
    let (scene, mut billing) = billing().await;
    let settings = page(&scene, &mut billing, "/settings").await;
    let new = "another long password";
    let password = [("old", PASSWORD), ("new", new), ("again", new)];
    let password = let_in(&scene, &billing, &settings, "/settings/password", &password).await;
    scene.workbench.clock.advance(TWO_MINUTES_MS);
    let codes = let_in(&scene, &billing, &settings, "/settings/totp", &[]).await;
    scene.workbench.clock.advance(TWO_MINUTES_MS);
    let theme = let_in(&scene, &billing, &settings, "/settings/theme", &[("theme", "dark")]).await;
    billing.clone().submit(&settings, "/sign-out", &[]).await.leads_to("/sign-in");
    for begun in [password, codes, theme] {
        begun.finish().await.is(401).shows("Your session has ended.");
    }
    let fields = [("email", BILLING), ("password", PASSWORD)];
    scene.browser().post("/sign-in", &fields).await.leads_to("/dashboard");
}

#[actix_web::test]
async fn pages_are_read_while_nothing_can_be_written() {
    let (scene, mut billing) = billing().await;
    let (begun, has_begun) = oneshot::channel();
    let (release, released) = mpsc::channel::<()>();
    let database = scene.workbench.database.clone();
    let busy = actix_web::rt::spawn(async move {
        let working = database.write(move |_| {
            begun.send(()).unwrap();
            // Also when the test has failed, and nobody is there to say so.
            let _ = released.recv();
            Ok::<_, DbError>(())
        });
        working.await
    });
    has_begun.await.unwrap();
    billing.get("/tenants").await.is(200);
    release.send(()).unwrap();
    busy.await.unwrap().unwrap();
    scene.until_seen(BILLING).await;
}
