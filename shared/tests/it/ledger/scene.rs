//! Books in which everything has happened once, with names for its requests, for tests that speak SQL to them.

use diesel::connection::SimpleConnection;
use shared::audit_log::{self, Entry, Origin};
use shared::clock::{Clock, Timestamp};
use shared::db::{Connection, DbError};
use shared::id::{RequestId, TenantId};
use shared::ledger::{Ended, Hold, HoldDecision, Reversal, TopUp, TopUpDecision, TopUpReversal, TopUpSource};
use shared::money::Amount;
use testkit::Pair;

use super::books::{Books, capture, request_at, top_up};

/// What stands for a request in the SQL of a test, as `:open`, and the number of its id. Of `:new` there is nothing yet.
const NAMES: [(&str, u64); 9] = [
    ("open", 1),
    ("captured", 2),
    ("voided", 3),
    ("reversed", 4),
    ("written_off", 5),
    ("paid", 6),
    ("given", 7),
    ("back", 8),
    ("new", 9),
];

/// Account 1001 has 997,000 (line 4: the reversal; line 3 had 993,000), of which `:open` holds 10,000. `:captured` paid 3,000 and
/// `:reversed` 4,000. Account 1002 paid all of its 1,000 for `:written_off`, which cost 1,500. Account 1003 has the 500 that it was `:given`
/// for a code; the 2,000 that it had `:paid` were taken `:back` (line 3).
pub(super) struct Scene {
    pub(super) books: Books,
    set_at: Timestamp,
}

impl Scene {
    pub(super) async fn set() -> Self {
        Self::set_on(Pair::of_this_run()).await
    }

    pub(super) async fn set_on(pair: Pair) -> Self {
        // Ids of transfers are made by the machine's clock.
        let set_at = Clock::System.now();
        let scene = Self { books: Books::on(pair, Clock::manual(set_at)).await, set_at };
        let books = &scene.books;
        assert_eq!(books.tenant("rich", 1_000_000).await.0, 1001);
        assert_eq!(books.tenant("poor", 1_000).await.0, 1002);
        for (name, account, amount) in [
            ("open", 1001, 10_000),
            ("captured", 1001, 5_000),
            ("voided", 1001, 2_000),
            ("reversed", 1001, 4_000),
            ("written_off", 1002, 1_000),
        ] {
            let hold = Hold { request_id: scene.id(name), ..books.hold(TenantId(account), amount) };
            assert_eq!(books.ledger.hold(hold).await.unwrap(), HoldDecision::Held);
        }
        for (name, account, cost) in
            [("captured", 1001, 3_000), ("reversed", 1001, 4_000), ("written_off", 1002, 1_500)]
        {
            books.ledger.capture(capture(scene.id(name), TenantId(account), cost)).await.unwrap().unwrap();
        }
        books.ledger.end(scene.id("voided"), TenantId(1001), Ended::Voided).await.unwrap().unwrap();
        let reversed = books.ledger.reverse_capture(scene.id("reversed"), TenantId(1001)).await.unwrap();
        assert!(matches!(reversed, Reversal::Reversed(_)));
        let entry = Entry { action: "tenant.create", tenant: None, subject: "rich", before: None, after: None };
        let write =
            move |connection: &mut Connection| audit_log::record(connection, &Origin::COMMAND_LINE, &entry, set_at);
        books.database.write::<_, DbError, _>(write).await.unwrap();
        assert_eq!(books.tenant("refunded", 0).await.0, 1003);
        let paid = TopUp { id: scene.id("paid"), ..top_up(TenantId(1003), 2_000, "paid") };
        let source = TopUpSource::Promotion;
        let given = TopUp { id: scene.id("given"), source, ..top_up(TenantId(1003), 500, "code:1/1") };
        for top_up in [paid, given] {
            assert!(matches!(books.ledger.top_up(top_up).await.unwrap(), TopUpDecision::Posted { .. }));
        }
        let (back, paid) = (scene.id("back"), scene.id("paid"));
        let back = books.ledger.reverse_top_up(back, TenantId(1003), paid, "by mistake".to_owned()).await.unwrap();
        assert!(matches!(back, TopUpReversal::Reversed { not_recovered: Amount::ZERO, .. }), "{back:?}");
        books.prove().await;
        scene
    }

    pub(super) fn id(&self, name: &str) -> RequestId {
        let (_, number) = NAMES.iter().find(|(known, _)| *known == name).unwrap();
        request_at(self.set_at, *number)
    }

    /// SQL with the names' ids in it.
    pub(super) fn sql(&self, text: &str) -> String {
        let named = NAMES.iter().fold(text.to_owned(), |text, (name, _)| {
            text.replace(&format!(":{name}"), &self.books.blob(&self.id(name).simple().to_string()))
        });
        named
            .replace(":lineless", "(SELECT id FROM transfers WHERE kind = 'write_off')")
            .replace(":nobody", &self.books.blob(&"0".repeat(32)))
            .replace(":charge_tail", if self.books.is_sqlite() { CHARGE_TAIL } else { POSTGRES_CHARGE_TAIL })
    }

    /// A violation's subject with the names' ids in it.
    pub(super) fn subject(&self, text: &str) -> String {
        let hex = if self.books.is_sqlite() { "lower(hex(id))" } else { "encode(id, 'hex')" };
        let reversals = self.books.words(&format!(
            "SELECT {hex} AS word FROM transfers WHERE kind = 'reversal' AND request_id IS NOT NULL ORDER BY id"
        ));
        let reversal: RequestId = reversals[0].parse().unwrap();
        let text = text.replace(":reversal", &reversal.to_string());
        NAMES.iter().fold(text, |text, (name, _)| text.replace(&format!(":{name}"), &self.id(name).to_string()))
    }

    /// A connection of somebody who sets what he likes.
    pub(super) fn stranger(&self, settings: &str) -> Connection {
        let mut connection = self.books.bare_connection();
        if !settings.is_empty() {
            connection.batch_execute(settings).unwrap();
        }
        connection
    }
}

/// Of a row of `charges` what comes after account and request: a call at the first price that costs nothing.
const CHARGE_TAIL: &str = "'0123456789AB', 'chat', 'gpt-4', NULL, 1, 'estimate', 0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, \
    1000000, 1000000, 0, 0, 0, 0, 0, 0, 0";
/// The same with a truth value where PostgreSQL wants one.
const POSTGRES_CHARGE_TAIL: &str = "'0123456789AB', 'chat', 'gpt-4', NULL, 1, 'estimate', 0, 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, \
    1000000, 1000000, 0, 0, 0, 0, 0, FALSE, 0";
