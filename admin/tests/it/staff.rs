//! Inviting people, their roles, and ending their access.

use shared::staff::Role;

use crate::support::{HOSTILE, HOSTILE_AS_TEXT, PASSWORD, Reply, Scene};

#[actix_web::test]
async fn an_invitation_is_shown_once() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let page = owner.get("/staff").await.is(200).shows("owner@example.com").shows("(you)");
    let typed = [("email", "Bob@Example.com"), ("role", "billing")];
    let shown =
        owner.submit(&page, "/staff/invite", &typed).await.is(200).shows("bob@example.com").shows("data-secret");
    let link = shown.between("<code id=\"link\">", "</code>");
    // The same form again, as by a reload.
    let again = owner.submit(&page, "/staff/invite", &typed).await.is(200);
    again.shows("not shown again").hides("/invitation/").hides("data-secret");
    assert_eq!(scene.actions().await[0], "staff.invite bob@example.com");
    let list = owner.get("/staff").await.shows("never signed in").shows("invited until");
    list.hides(link.rsplit('/').next().unwrap());

    let path = link.strip_prefix(&format!("http://{}", scene.address)).unwrap();
    let mut bob = scene.accept(path.strip_prefix("/invitation/").unwrap()).await;
    bob.get("/settings").await.shows("bob@example.com").shows("billing");
    bob.get("/staff").await.is(403);
    let taken = owner.submit(&page, "/staff/invite", &typed).await;
    taken.is(422).shows("can sign in already").shows("value=\"Bob@Example.com\"");
}

#[actix_web::test]
async fn the_same_form_with_another_role_is_another_invitation() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let page = owner.get("/staff").await.is(200);
    let invite = |role| [("email", "bob@example.com"), ("role", role)];
    let first = owner.submit(&page, "/staff/invite", &invite("billing")).await.is(200).shows("data-secret");
    let second = owner.submit(&page, "/staff/invite", &invite("support")).await.is(200).shows("data-secret");
    owner.submit(&page, "/staff/invite", &invite("support")).await.is(200).shows("not shown again");
    let token = |page: &Reply| page.between("<code id=\"link\">", "</code>").rsplit('/').next().unwrap().to_owned();
    scene.browser().get(&format!("/invitation/{}", token(&first))).await.is(410);
    scene.accept(&token(&second)).await.get("/settings").await.shows("bob@example.com").shows("support");
}

#[actix_web::test]
async fn wrong_invitations_stand_beside_their_field() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    owner.languages = "zh";
    let page = owner.get("/staff").await.is(200);
    let wrong = owner.submit(&page, "/staff/invite", &[("email", "<b>"), ("role", "king")]).await.is(422);
    wrong
        .shows("id=\"email-error\">请填写邮箱地址")
        .shows("id=\"role-error\">请选择角色")
        .shows("value=\"&#60;b&#62;\"");
    assert_eq!(scene.actions().await.len(), 2, "only the owner was invited, and accepted");
}

#[actix_web::test]
async fn addresses_are_text() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let page = owner.get("/staff").await;
    let email = format!("{HOSTILE}@example.com");
    let shown = owner.submit(&page, "/staff/invite", &[("email", &email), ("role", "support")]).await.is(200);
    let shown = shown.shows(&format!("{HOSTILE_AS_TEXT}@example.com")).hides("<script>alert");
    let link = shown.between("<code id=\"link\">", "</code>");
    owner.get("/staff").await.is(200).shows(&format!("{HOSTILE_AS_TEXT}@example.com")).hides("<script>alert");
    owner.get("/audit").await.is(200).shows(&format!("{HOSTILE_AS_TEXT}@example.com")).hides("<script>alert");
    let token = link.rsplit('/').next().unwrap();
    scene.browser().get(&format!("/invitation/{token}")).await.is(200).hides("<script>alert");
    let mut person = scene.accept(token).await;
    person.get("/settings").await.is(200).shows(&format!("{HOSTILE_AS_TEXT}@example.com")).hides("<script>alert");

    let query = serde_urlencoded::to_string([("actor", HOSTILE), ("tenant", HOSTILE), ("from", HOSTILE)]).unwrap();
    owner.get(&format!("/audit?{query}")).await.is(200).shows(HOSTILE_AS_TEXT).hides("<script>alert");
    let query = serde_urlencoded::to_string([("next", HOSTILE)]).unwrap();
    scene.browser().get(&format!("/sign-in?{query}")).await.is(200).shows(HOSTILE_AS_TEXT).hides("<script>alert");
    let again = scene.browser().post("/sign-in", &[("email", HOSTILE), ("password", HOSTILE)]).await.is(422);
    again.shows(HOSTILE_AS_TEXT).hides("<script>alert");
}

#[actix_web::test]
async fn a_role_counts_at_once() {
    let scene = Scene::new().await;
    let (mut owner, mut support) = (scene.signed_in(Role::Owner).await, scene.signed_in(Role::Support).await);
    let page = owner.get("/staff").await;
    support.get("/audit").await.is(403);
    owner.submit(&page, "/staff/2/role", &[("role", "auditor")]).await.leads_to("/staff");
    support.get("/audit").await.is(200);
    assert_eq!(scene.actions().await[0], "staff.role support@example.com");
    owner.submit(&page, "/staff/2/role", &[("role", "auditor")]).await.leads_to("/staff");
    owner.submit(&page, "/staff/2/role", &[("role", "king")]).await.is(422);
    assert_eq!(scene.actions().await.iter().filter(|action| action.starts_with("staff.role")).count(), 1);
}

#[actix_web::test]
async fn the_last_owner_stays() {
    let scene = Scene::new().await;
    let (mut owner, _) = (scene.signed_in(Role::Owner).await, scene.signed_in(Role::Billing).await);
    let page = owner.get("/staff").await;
    owner.submit(&page, "/staff/1/role", &[("role", "auditor")]).await.is(422).shows("the only owner");
    let asked = owner.submit(&page, "/staff/1/disable", &[]).await.is(200).shows("This is your own account.");
    owner.submit(&asked, "/staff/1/disable", &[]).await.is(422).shows("the only owner");

    owner.submit(&page, "/staff/2/role", &[("role", "owner")]).await.leads_to("/staff");
    owner.submit(&page, "/staff/1/role", &[("role", "billing")]).await.leads_to("/dashboard");
    owner.get("/staff").await.is(403);
}

#[actix_web::test]
async fn who_is_disabled_is_out_at_once_and_can_be_invited_again() {
    let scene = Scene::new().await;
    let (mut owner, mut support) = (scene.signed_in(Role::Owner).await, scene.signed_in(Role::Support).await);
    let page = owner.get("/staff").await;
    let asked = owner.submit(&page, "/staff/2/disable", &[]).await.is(200).shows("Disable this account?");
    support.get("/channels").await.is(200);
    owner.submit(&asked, "/staff/2/disable", &[]).await.leads_to("/staff");
    owner.submit(&asked, "/staff/2/disable", &[]).await.leads_to("/staff");
    support.get("/channels").await.is(303);
    let fields = [("email", "support@example.com"), ("password", PASSWORD)];
    support.post("/sign-in", &fields).await.is(422);
    let list = owner.get("/staff").await.shows("disabled");
    assert!(!list.offers("/staff/2/disable"));
    let actions = scene.actions().await;
    assert_eq!(actions.iter().filter(|action| *action == "staff.disable support@example.com").count(), 1);
    let shown = owner.submit(&list, "/staff/invite", &[("email", "support@example.com"), ("role", "support")]).await;
    shown.is(200).shows("/invitation/");
}
