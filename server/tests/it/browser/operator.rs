//! What an operator does in the panel, step by step, as a person does it: by its forms and links, never by an address that no page shows.

use crate::support::{IssuedKey, Place, Server};

use super::window::Window;

/// What everybody here has for a password.
pub(crate) const PASSWORD: &str = "seven quiet ledgers at dawn";

/// Makes an account on the command line, and gives the link by which its owner takes it.
pub(super) fn invitation(server: &Server, email: &str, role: &str) -> String {
    invitation_in(&server.place, email, role, &[])
}

/// The same with more options, such as the folder of the demo's data. It is the path alone: the command does not know the port.
pub(crate) fn invitation_in(place: &Place, email: &str, role: &str, options: &[&str]) -> String {
    let made = place.command(&[&["staff", "create", email, "--role", role], options].concat()).ok();
    let path = made["url"].as_str().and_then(|url| url.find("/invitation/").map(|at| url[at..].to_owned()));
    path.unwrap_or_else(|| panic!("no link: {made}"))
}

impl Window {
    /// Takes an account by its link, and chooses the password.
    pub(super) async fn accept(&self, link: &str) {
        self.open(link).await;
        self.inspect().await;
        self.fill("[name=password]", PASSWORD).await;
        self.fill("[name=again]", PASSWORD).await;
        self.send("password").await;
    }

    /// Signs in to the panel.
    pub(super) async fn sign_in(&self, email: &str) {
        self.give_password(email).await;
        self.find("nav [aria-current=page]").await;
    }

    /// The first step of it, and the only one for who is not asked for a code.
    pub(super) async fn give_password(&self, email: &str) {
        self.open("/sign-in").await;
        self.fill("[name=email]", email).await;
        self.fill("[name=password]", PASSWORD).await;
        self.send("password").await;
    }

    /// Signs out of the panel.
    pub(super) async fn sign_out(&self) {
        self.press(r#"form[action="/sign-out"] button"#).await;
    }

    /// A new account on the command line, taken and signed in to.
    pub(super) async fn begin_as(&self, server: &Server, email: &str, role: &str) {
        self.accept(&invitation(server, email, role)).await;
        if !self.has("nav.side").await {
            self.sign_in(email).await;
        }
    }

    /// Goes to a page by the navigation.
    pub(super) async fn go(&self, path: &str) {
        self.press(&format!(r#"nav a[href="{path}"]"#)).await;
    }

    /// Makes a tenant; its page is shown then. Gives the page's path.
    pub(super) async fn create_tenant(&self, name: &str) -> String {
        self.go("/tenants").await;
        self.press(r#"main a[href="/tenants/new"]"#).await;
        self.fill("main [name=name]", name).await;
        self.send("name").await;
        self.see(name).await;
        self.path().await
    }

    /// From a tenant's page: issues a key, and gives it. The page with its secret is shown then.
    pub(super) async fn issue_key(&self, name: &str) -> IssuedKey {
        self.press(r#"main a[href^="/keys/new"]"#).await;
        self.fill("main [name=name]", name).await;
        self.choose("console", "tenant").await;
        self.send("name").await;
        self.shown_key().await
    }

    /// The key in the box that is shown once.
    pub(super) async fn shown_key(&self) -> IssuedKey {
        let secret = self.read("[data-secret] code").await;
        let id = secret.strip_prefix("sk-xy").and_then(|rest| rest.get(..12));
        let Some(id) = id.map(str::to_owned) else { self.fail("this is no key").await };
        IssuedKey { id, secret }
    }

    /// From a tenant's page: fills in a top-up, up to the page that asks for a confirmation.
    pub(super) async fn prepare_top_up(&self, amount: &str, reference: &str, note: &str) {
        self.press(r#"main a[href^="/top-ups/new"]"#).await;
        self.fill("main [name=amount]", amount).await;
        self.fill("main [name=reference]", reference).await;
        self.fill("main [name=note]", note).await;
        self.send("amount").await;
    }

    /// Presses the button of that page, and waits for the entry.
    pub(super) async fn confirm(&self) {
        self.press(CONFIRM).await;
    }
}

/// The button that moves the money.
pub(super) const CONFIRM: &str = r#"main form[action="/top-ups"] button"#;
