//! The panel of a real deployment, on a port of its own, and people who use it.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use admin::{Answered, ChannelAnswer};
use secrecy::ExposeSecret as _;
use shared::audit_log::{self, Filter, Origin, Record};
use shared::catalogue::channel::{self, ChannelError, ChannelKind, NewChannel};
use shared::clock::Clock;
use shared::config::{Settings, Sources};
use shared::db::{Connection, DbError};
use shared::deployment::{Deployment, Role as Part, Workbench};
use shared::page::Cursor;
use shared::staff::invitation::FirstOwner;
use shared::staff::{self, Reception, Role, StaffError, session};
use shared::token::Token;
use testkit::Pair;

use super::Browser;

/// Everybody's password here.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The panel.
pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    pub(crate) deployment: Deployment,
    pub(crate) workbench: Workbench,
    /// What channels answer when they are asked.
    pub(crate) answer: Arc<Mutex<ChannelAnswer>>,
    /// The names of channels that were asked.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    server: ServerHandle,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// One without people, on the databases of this run.
    pub(crate) async fn new() -> Self {
        Self::with(Clock::System, &[]).await
    }

    /// One at a moment that the test moves on: in this process alone, since servers have clocks of their own.
    pub(crate) async fn at(clock: Clock) -> Self {
        Self::with(clock, &[]).await
    }

    /// One with other settings.
    pub(crate) async fn with(clock: Clock, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = vec![("XIAOYI_DATA_DIR".to_owned(), folder.path().display().to_string())];
        let pair = match clock {
            Clock::System => Pair::of_this_run(),
            Clock::Manual(_) => Pair::Embedded,
        };
        environment.extend(pair.settings(folder.path()));
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
        let (workbench, _) = Workbench::create(settings).await.unwrap();
        let workbench = Workbench { clock, ..workbench };
        let deployment = Deployment::start(workbench.clone(), Part::All).await.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let well = Answered { model: "gpt-4".to_owned(), answer: "pong".to_owned(), milliseconds: 12 };
        let answer = Arc::new(Mutex::new(Ok(well)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (for_panel, names) = (Arc::clone(&answer), Arc::clone(&asked));
        let ask_channel: admin::AskChannel = Arc::new(move |name| {
            names.lock().unwrap().push(name);
            let answer = for_panel.lock().unwrap().clone();
            Box::pin(async move { answer })
        });
        let (url, console) = (format!("http://{address}"), "http://127.0.0.1:1/console".to_owned());
        let panel = admin::panel(&deployment, &workbench, url, console, "1.2.3", ask_channel);
        let server = HttpServer::new(move || App::new().configure(panel.clone()))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, deployment, workbench, answer, asked, server: handle, _folder: folder }
    }

    /// Somebody who was never here.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// The token of the first owner's invitation.
    pub(crate) async fn first_invitation(&self) -> String {
        let Workbench { database, clock, sealer, .. } = self.workbench.clone();
        match Reception::new(database, clock, sealer).invite_first_owner().await.unwrap() {
            FirstOwner::Invited(token) => token.to_text().expose_secret().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// The token of an invitation for somebody else.
    pub(crate) async fn invitation(&self, email: &'static str, role: Role) -> String {
        let token = Token::generate().unwrap();
        let (hash, now) = (token.hash(), self.workbench.clock.now());
        let invited = self.write(move |connection| {
            staff::invite(connection, &email.parse().unwrap(), role, &hash, &Origin::COMMAND_LINE, now)?;
            Ok::<_, StaffError>(())
        });
        invited.await.unwrap();
        token.to_text().expose_secret().to_owned()
    }

    /// A person of this role, signed in. Their address is `role@example.com`.
    pub(crate) async fn signed_in(&self, role: Role) -> Browser {
        let email = match role {
            Role::Owner => "owner@example.com",
            Role::Billing => "billing@example.com",
            Role::Support => "support@example.com",
            Role::Auditor => "auditor@example.com",
        };
        let token = self.invitation(email, role).await;
        self.accept(&token).await
    }

    /// Whoever accepts this invitation, signed in.
    pub(crate) async fn accept(&self, token: &str) -> Browser {
        let mut browser = self.browser();
        let fields = [("email", "first@example.com"), ("password", PASSWORD), ("again", PASSWORD)];
        browser.post(&format!("/invitation/{token}"), &fields).await.leads_to("/dashboard");
        browser
    }

    /// Adds a channel.
    pub(crate) async fn channel(&self, name: &str, kind: ChannelKind, models: &[&str]) {
        let base_url = match kind {
            ChannelKind::Echo => "echo:",
            ChannelKind::OpenAi => "http://127.0.0.1:1/v1",
        };
        let new = NewChannel {
            name: name.to_owned(),
            kind,
            base_url: base_url.to_owned(),
            api_key: (kind == ChannelKind::OpenAi).then(|| "sk-of-the-provider".into()),
            models: models.iter().map(|model| ((*model).to_owned(), format!("{model}-upstream"))).collect(),
            priority: 100,
            weight: 1,
        };
        let (sealer, now) = (Arc::clone(&self.workbench.sealer), self.workbench.clock.now());
        let added = self.write(move |connection| {
            channel::add(connection, &sealer, &new, now)?;
            Ok::<_, ChannelError>(())
        });
        added.await.unwrap();
    }

    /// The entries of the audit log, the newest first, as `action subject`.
    pub(crate) async fn actions(&self) -> Vec<String> {
        let records = self.records().await;
        records.into_iter().map(|record| format!("{} {}", record.action, record.subject)).collect()
    }

    /// The entries of the audit log, the newest first.
    pub(crate) async fn records(&self) -> Vec<Record> {
        self.read(|connection| audit_log::page(connection, &Filter::default(), Cursor::First, 1_000)).await.rows
    }

    /// Waits until it is written down that a person's session was used now.
    pub(crate) async fn until_seen(&self, email: &'static str) {
        let now = self.workbench.clock.now();
        let looking = async {
            let look = move |connection: &mut Connection| {
                let staff = staff::find_by_email(connection, &email.parse().unwrap())?.unwrap();
                Ok(session::list(connection, &staff, now)?.iter().any(|session| session.seen_at == now))
            };
            while !self.read(look).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), looking)
            .await
            .expect("the use of the session is not written down");
    }

    /// Reads from the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    ) -> T {
        self.deployment.database.read(work).await.unwrap()
    }

    /// Writes to the database.
    pub(crate) async fn write<T, E>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + From<diesel::result::Error> + Send + 'static,
    {
        self.workbench.database.write(work).await
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // What it still does is of no interest to anyone.
        drop(self.server.stop(false));
    }
}
