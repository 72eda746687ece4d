//! The service's own role, made by the script that operators run: it can do all that a service does.

use std::process::Command;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use secrecy::ExposeSecret;
use shared::blocked_users;
use shared::calls;
use shared::catalogue::channel::{self, ChannelKind, NewChannel};
use shared::clock::Clock;
use shared::config::{DatabaseUrl, Settings, Sources};
use shared::console_session;
use shared::db::DbError;
use shared::deployment::{Deployment, Role, Workbench};
use shared::id::RequestId;
use shared::key::{self, KeyPolicy, NewSecret};
use shared::ledger::{self, Audit, Ended, Reversal, Sweeper, TopUpReversal};
use shared::money::Amount;
use shared::seal::{MasterSecret, Sealer};
use shared::secret_key::{self, PlainSecretKey, TagKey};
use shared::sent_forms;
use shared::tenant::{self, notes};
use shared::token::Token;
use shared::vouchers::{self, NewBatch, Redeemed};
use testkit::Pair;
use url::Url;

use crate::ledger::books::{Books, capture, top_up};
use crate::place::{self, Place};

/// The script, as operators have it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/postgres/service-role.sql");

/// A role of its own for one database.
pub(crate) struct ServiceRole {
    pub(crate) url: DatabaseUrl,
}

impl ServiceRole {
    /// Makes the role and lets the owner of the database give it its rights.
    pub(crate) fn make(owner: &DatabaseUrl) -> Self {
        let DatabaseUrl::Postgres(owner_url) = owner else { panic!("not PostgreSQL") };
        let mut url = Url::parse(owner_url.expose_secret()).unwrap();
        let name = format!("service of {}", url.path().trim_start_matches('/'));
        let role = format!("CREATE ROLE \"{name}\" LOGIN PASSWORD 'service'");
        place::bare_connection(owner).batch_execute(&role).unwrap();
        // Twice, as after a migration.
        for _ in 0..2 {
            let mut psql = Command::new("psql");
            psql.args(["--no-psqlrc", "--quiet", "--set", &format!("role={name}"), "--file", SCRIPT]);
            let output = psql.args(["--dbname", owner_url.expose_secret()]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        url.set_username(&name).unwrap();
        url.set_password(Some("service")).unwrap();
        Self { url: DatabaseUrl::Postgres(String::from(url).into()) }
    }
}

#[tokio::test]
async fn it_carries_out_all_of_a_services_duties() {
    let owner = Books::on(Pair::Servers, Clock::System).await;
    let role = ServiceRole::make(owner.database.url());
    let books = owner.another_process(&role.url);
    let user = books.words("SELECT current_user::text AS word");
    assert!(user[0].starts_with("service of "), "{user:?}");

    let tenant = books.tenant("t", 1_000).await;
    books.price("3".parse().unwrap(), "4".parse().unwrap(), "5".parse().unwrap(), shared::price::Basis::Estimate).await;
    let (charged, given_back, above) =
        (books.held(tenant, 100).await, books.held(tenant, 100).await, books.held(tenant, 100).await);
    books.ledger.capture(capture(charged, tenant, 60)).await.unwrap().unwrap();
    books.ledger.capture(capture(given_back, tenant, 70)).await.unwrap().unwrap();
    assert!(matches!(books.ledger.reverse_capture(given_back, tenant).await.unwrap(), Reversal::Reversed(_)));
    books.ledger.capture(capture(above, tenant, 5_000)).await.unwrap().unwrap();
    let mistake = top_up(tenant, 50, "by mistake");
    books.ledger.top_up(mistake.clone()).await.unwrap();
    let back =
        books.ledger.reverse_top_up(RequestId::new(), tenant, mistake.id, "paid twice".to_owned()).await.unwrap();
    assert!(matches!(back, TopUpReversal::Reversed { .. }), "{back:?}");
    let free = books.held(tenant, 0).await;
    books.ledger.end(free, tenant, Ended::Voided).await.unwrap().unwrap();

    let tag_key = TagKey::generate().unwrap();
    let secret = || {
        let (id, plain) = PlainSecretKey::generate(&tag_key).unwrap();
        NewSecret { id, hash: secret_key::hash(&plain).unwrap(), last_four: "abcd".to_owned() }
    };
    let (first, second) = (secret(), secret());
    let sealer = Arc::new(Sealer::new(MasterSecret::generate().unwrap()));
    let now = books.clock.now();
    books
        .database
        .write(move |connection| {
            let issued = key::issue(connection, tenant, KeyPolicy::default(), &first, now).unwrap();
            let (rotated, _) = key::rotate(connection, issued.id.as_str(), now.plus_ms(1_000), &second, now).unwrap();
            key::revoke(connection, rotated.id.as_str(), now).unwrap();
            let new = NewBatch {
                name: "batch".to_owned(),
                value: Amount::from_nanos(5),
                expires_at: now.plus_ms(1),
                created_by: "test".to_owned(),
            };
            let codes = vouchers::generate(2).unwrap();
            let batch = vouchers::create(connection, &new, &codes, now).unwrap();
            let redeemed = vouchers::redeem(connection, &codes[0], tenant, rotated.id, now).unwrap();
            assert!(matches!(redeemed, Redeemed::Redeemed { .. }), "{redeemed:?}");
            vouchers::revoke(connection, batch.id, "test", now).unwrap();
            notes::add(connection, tenant, "test", "a note", now).unwrap();
            blocked_users::block(connection, tenant, "ann", "test", now).unwrap();
            assert!(blocked_users::unblock(connection, tenant, "ann").unwrap().is_some());
            let echo = NewChannel {
                name: "echo".to_owned(),
                kind: ChannelKind::Echo,
                base_url: "echo:".to_owned(),
                api_key: None,
                models: [("gpt-3.5".to_owned(), "echo".to_owned())].into(),
                priority: 1,
                weight: 1,
            };
            channel::add(connection, &sealer, &echo, now).unwrap();
            channel::set_enabled(connection, "echo", false).unwrap();
            channel::reseal(connection, &sealer).unwrap();
            tenant::set_suspended(connection, "t", Some(now)).unwrap();
            let session = Token::generate().unwrap().hash();
            console_session::begin(connection, rotated.id, &session, None, now).unwrap();
            console_session::touch(connection, &session, now.plus_ms(1)).unwrap();
            console_session::end(connection, &session).unwrap();
            let form = RequestId::zero();
            sent_forms::remember(connection, form, rotated.id, RequestId::new(), now).unwrap();
            calls::purge(connection, 90, now).unwrap();
            assert_eq!(sent_forms::find(connection, form, rotated.id).unwrap(), None);
            Ok::<_, DbError>(())
        })
        .await
        .unwrap();
    assert_eq!(books.numbers("SELECT value AS number FROM epoch").len(), 1);

    ledger::register_process(&books.database, books.owner, "all", now).await.unwrap();
    ledger::heartbeat(&books.database, books.owner, now).await.unwrap();
    let forgotten = books.held(tenant, 0).await;
    let dead = books.another_process(&role.url);
    let mut sweeper = Sweeper::load(&books.database, dead.owner, now).await.unwrap();
    place::bare_connection(owner.database.url()).batch_execute("UPDATE processes SET seen_at = 0").unwrap();
    assert_eq!(sweeper.expire(&books.database, &books.ledger, now, 30_000).await.unwrap(), 1);
    assert_eq!(
        books.ledger.end(forgotten, tenant, Ended::Voided).await.unwrap().unwrap_err().unwrap().outcome,
        ledger::SettlementOutcome::Expired
    );
    sweeper.save(&books.database).await.unwrap();
    Audit::from_now(&books.database, &books.clock).await.unwrap().run(&books.database, &books.clock).await.unwrap();
    books.prove().await;
}

/// The owner migrates; the program serves as the role.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_process_serves_as_it() {
    let place = Place::new(Pair::Servers);
    let folder = tempfile::tempdir().unwrap();
    let settings = |url: &DatabaseUrl| {
        let DatabaseUrl::Postgres(url) = url else { panic!("not PostgreSQL") };
        let mut environment = Pair::Embedded.settings(folder.path());
        environment.retain(|(name, _)| name != "DATABASE_URL");
        environment.push(("DATABASE_URL".to_owned(), url.expose_secret().to_owned()));
        environment.push(("XIAOYI_DATA_DIR".to_owned(), folder.path().display().to_string()));
        environment.push(("XIAOYI_SECRET_KEY".to_owned(), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()));
        Settings::load(&Sources { environment, ..Sources::default() }).unwrap()
    };
    Workbench::create(settings(&place.url)).await.unwrap();
    let role = ServiceRole::make(&place.url);
    let (workbench, migrations) = Workbench::for_serving(settings(&role.url)).await.unwrap();
    assert_eq!(migrations, 0);
    let deployment = Deployment::start(workbench, Role::All).await.unwrap();
    assert!(deployment.health.readiness().await.is_ready());
    let again = Workbench::create(settings(&role.url)).await;
    assert!(again.is_ok(), "nothing is pending, so nothing of an owner's is needed: {:?}", again.err());
}
