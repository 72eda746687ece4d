//! Many calls at once, written by SQL past the service, with every constraint and trigger of the ledger on and books that the audit finds right.

use diesel::connection::SimpleConnection;
use shared::clock::Timestamp;
use shared::id::{RequestId, TenantId};
use shared::rollups::{self, Rolled};
use shared::secret_key::KeyId;

use crate::ledger::books::{Books, top_up};

/// How many tenants call; the first makes two fifths of all calls.
pub(super) const TENANTS: i64 = 20;
/// The days over which the calls are spread.
pub(super) const DAYS: i64 = 90;
const DAY_MS: i64 = 86_400_000;
/// Calls that one statement writes, so that no engine keeps too much in memory.
const CHUNK: i64 = 100_000;
/// Payments beside the first of each tenant, and charges that are given back.
const PAYMENTS: usize = 100;
const GIVEN_BACK: usize = 40;

/// Books with so many calls in them, all but the newest in the sums.
pub(super) struct Load {
    pub(super) books: Books,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) calls: i64,
}

impl Load {
    pub(super) async fn write(calls: i64) -> Self {
        let books = Books::new().await;
        let to = books.clock.now().plus_ms(-600_000);
        let from = to.plus_ms(-DAYS * DAY_MS);
        for number in 0..TENANTS {
            let tenant = books.tenant(&format!("tenant {number}"), 1_000_000_000_000_000).await;
            assert_eq!(tenant, Self::tenant(number));
        }
        let load = Self { books, from, to, calls };
        load.write_rows();
        load.book_the_rest().await;
        while rollups::step(&load.books.database, chrono_tz::Asia::Shanghai, load.books.clock.now()).await.unwrap()
            == Rolled::Partly
        {}
        load
    }

    pub(super) fn tenant(number: i64) -> TenantId {
        TenantId(1_001 + number)
    }

    pub(super) fn key(tenant: i64, number: i64) -> KeyId {
        format!("K{tenant:05}{number:06}").parse().unwrap()
    }

    /// One of the calls, by its number.
    pub(super) fn call(&self, number: i64) -> RequestId {
        let hex = if self.books.is_sqlite() { "lower(hex(id))" } else { "encode(id, 'hex')" };
        let at = self.from.0 + number * (self.to.0 - self.from.0) / self.calls;
        let first = self.books.blob(&format!("{at:012x}70000000000000000000"));
        let query =
            format!("SELECT {hex} AS word FROM transfers WHERE id >= {first} AND kind = 'capture' ORDER BY id LIMIT 1");
        self.books.words(&query)[0].parse().unwrap()
    }

    /// A payment in the middle of them.
    pub(super) fn payment(&self) -> RequestId {
        let hex = if self.books.is_sqlite() { "lower(hex(id))" } else { "encode(id, 'hex')" };
        let behind = PAYMENTS / 2;
        let query = format!(
            "SELECT {hex} AS word FROM transfers WHERE reference IS NOT NULL ORDER BY created_at DESC LIMIT 1 OFFSET {behind}"
        );
        self.books.words(&query)[0].parse().unwrap()
    }

    fn write_rows(&self) {
        let mut connection = self.books.bare_connection();
        let mut run = |sql: &str| connection.batch_execute(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        // On PostgreSQL the triggers keep the plans that they make while the tables are small.
        run(if self.books.is_sqlite() {
            "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; PRAGMA temp_store = MEMORY"
        } else {
            "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off"
        });
        for first in (0..self.calls).step_by(CHUNK.try_into().unwrap()) {
            run("DROP TABLE IF EXISTS load");
            run(&self.numbered(first, (first + CHUNK).min(self.calls)));
            run("BEGIN");
            for statement in ROWS {
                run(statement);
            }
            run("COMMIT");
        }
        run(if self.books.is_sqlite() { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "VACUUM ANALYZE" });
    }

    /// A table of calls with all that the others follow from. What looks like chance are the middle bits of multiples of their numbers.
    fn numbered(&self, first: i64, behind: i64) -> String {
        let (id, series) = if self.books.is_sqlite() {
            (
                "unhex(printf('%012x7000%016x', ms, i))",
                format!("WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {behind})"),
            )
        } else {
            (
                "decode(lpad(to_hex(ms), 12, '0') || '7000' || lpad(to_hex(i), 16, '0'), 'hex')",
                format!("WITH n AS (SELECT CAST(i AS BIGINT) AS i FROM generate_series({first}, {behind} - 1) AS i)"),
            )
        };
        let (pad_tenant, pad_key) = if self.books.is_sqlite() {
            ("printf('%05d', t)", "printf('%06d', c / 100 % 5)")
        } else {
            ("lpad(CAST(t AS TEXT), 5, '0')", "lpad(CAST(c / 100 % 5 AS TEXT), 6, '0')")
        };
        let (from, span, calls) = (self.from.0, self.to.0 - self.from.0, self.calls);
        format!(
            "CREATE TEMP TABLE load AS {series}, \
             h AS (SELECT i, {from} + i * {span} / {calls} AS ms, (i * 2654435761 % 4294967296) / 1024 AS a, \
             (i * 2246822519 % 4294967296) / 1024 AS b, (i * 3266489917 % 4294967296) / 1024 AS c FROM n), \
             d AS (SELECT i, ms, a, b, c, CASE WHEN b % 5 < 2 THEN 0 ELSE a % {TENANTS} END AS t, \
             CASE WHEN c % 100 < 96 THEN 0 WHEN c % 100 < 97 THEN 49900 WHEN c % 100 < 99 THEN 50200 ELSE 50400 END AS status FROM h) \
             SELECT i, ms, {id} AS id, 1001 + t AS account, 'K' || {pad_tenant} || {pad_key} AS key_id, \
             CASE WHEN a % 1000 = 0 THEN 'rare' WHEN a % 10 < 6 THEN 'gpt-3.5' WHEN a % 10 < 9 THEN 'gpt-4' ELSE 'dall-e-3' END AS model, \
             CASE WHEN b % 2 = 0 THEN NULL ELSE 'user ' || CAST(c % 5000 AS TEXT) END AS end_user, status, \
             CASE WHEN status = 0 OR (status = 49900 AND b % 2 = 0) THEN 1 ELSE 0 END AS charged, \
             1000 + c % 100000 AS nanos, 20 + b % 20000 AS ended_ms, a % 50 AS queued_ms, \
             CASE WHEN status < 50000 OR a % 4 = 0 THEN 10 + a % 900 ELSE NULL END AS first_text_ms FROM d"
        )
    }

    /// What comes rarely, by the ledger itself.
    async fn book_the_rest(&self) {
        for number in 0..PAYMENTS {
            let tenant = Self::tenant(i64::try_from(number).unwrap() % TENANTS);
            self.books.ledger.top_up(top_up(tenant, 5_000, &format!("INV-2026-{number:05}"))).await.unwrap();
        }
        for number in 0..GIVEN_BACK {
            let id = self.call(self.calls / 50 * i64::try_from(number).unwrap());
            let account = self.books.numbers(&format!(
                "SELECT debit AS number FROM transfers WHERE id = {}",
                self.books.blob(&id.simple().to_string())
            ));
            let account = TenantId(account[0].try_into().unwrap());
            self.books.ledger.reverse_capture(id, account).await.unwrap();
        }
    }
}

/// Parents before children. A token costs a nano, by the first price.
const ROWS: [&str; 11] = [
    "INSERT INTO holds (request_id, account, amount, owner, expires_at, price_version) \
     SELECT id, account, nanos, id, ms + 630000, 1 FROM load ORDER BY i",
    "INSERT INTO settlements (request_id, outcome, amount, settled_at) \
     SELECT id, CASE WHEN charged = 1 THEN 'captured' ELSE 'voided' END, CASE WHEN charged = 1 THEN nanos ELSE 0 END, ms + ended_ms \
     FROM load ORDER BY i",
    "INSERT INTO transfers (id, kind, debit, credit, amount, request_id, created_at) \
     SELECT id, 'capture', account, 2, nanos, id, ms + ended_ms FROM load WHERE charged = 1 ORDER BY i",
    "INSERT INTO lines (account, seq, transfer, delta, prev_seq, prev_balance, balance) \
     SELECT l.account, a.seq + l.place, l.id, -l.nanos, a.seq + l.place - 1, a.posted - l.spent + l.nanos, a.posted - l.spent \
     FROM (SELECT account, i, id, nanos, row_number() OVER (PARTITION BY account ORDER BY i) AS place, \
     CAST(sum(nanos) OVER (PARTITION BY account ORDER BY i) AS BIGINT) AS spent FROM load WHERE charged = 1) l \
     JOIN accounts a ON a.id = l.account ORDER BY l.account, l.place",
    "INSERT INTO charges (account, request_id, key_id, endpoint, model, end_user, price_version, basis, prompt_hanzi, prompt_words, \
     prompt_tokens, completion_hanzi, completion_words, completion_tokens, images, prompt_price, completion_price, image_price, \
     prompt_cost, completion_cost, image_cost, written_off, finished_early, charged_at) \
     SELECT account, id, key_id, 'chat', model, end_user, 1, 'estimate', nanos, 0, nanos, 0, 0, 0, 0, 1000000, 1000000, 0, nanos, 0, 0, 0, \
     (status <> 0), ms + ended_ms FROM load WHERE charged = 1 ORDER BY i",
    "UPDATE accounts SET posted = (SELECT balance FROM lines WHERE account = accounts.id ORDER BY seq DESC LIMIT 1), \
     seq = (SELECT max(seq) FROM lines WHERE account = accounts.id) WHERE id > 1000",
    "INSERT INTO calls (request_id, tenant, key_id, endpoint, model, end_user, streamed, status, word, queued_ms, first_text_ms, ended_ms, \
     channel, tries) \
     SELECT id, account, key_id, 'chat', model, end_user, TRUE, status, \
     CASE status WHEN 0 THEN 'answered' WHEN 49900 THEN 'client_left' WHEN 50200 THEN 'upstream_error' ELSE 'timeout' END, queued_ms, \
     first_text_ms, ended_ms, CASE WHEN status < 50000 THEN 'main' ELSE NULL END, '[{\"c\":\"main\",\"o\":\"ok\",\"m\":12,\"f\":5}]' \
     FROM load ORDER BY i",
    "INSERT INTO call_days (day_start, tenant, key_id, model, status, calls, unnamed) \
     SELECT ms / 86400000 * 86400000, account, key_id, model, status, count(*), \
     sum(CASE WHEN end_user IS NULL THEN 1 ELSE 0 END) FROM load WHERE TRUE GROUP BY 1, 2, 3, 4, 5 \
     ON CONFLICT (day_start, tenant, key_id, model, status) DO UPDATE SET calls = call_days.calls + excluded.calls, \
     unnamed = call_days.unnamed + excluded.unnamed",
    "INSERT INTO call_slots (slot_start, model, calls, answered, failed, refused, ended_ms, first_texts, first_text_ms, \
     queued, queued_ms, longest_queued_ms, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15) \
     SELECT ms / 900000 * 900000, model, count(*), sum(CASE WHEN status = 0 THEN 1 ELSE 0 END), \
     sum(CASE WHEN status >= 50000 THEN 1 ELSE 0 END), 0, sum(ended_ms), count(first_text_ms), COALESCE(sum(first_text_ms), 0), \
     count(queued_ms), sum(queued_ms), max(queued_ms), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, sum(CASE WHEN status = 0 THEN 1 ELSE 0 END), 0, 0, 0, 0 FROM load WHERE TRUE GROUP BY 1, 2 \
     ON CONFLICT (slot_start, model) DO UPDATE SET calls = call_slots.calls + excluded.calls, \
     answered = call_slots.answered + excluded.answered, failed = call_slots.failed + excluded.failed, c11 = call_slots.c11 + excluded.c11, \
     queued = call_slots.queued + excluded.queued, queued_ms = call_slots.queued_ms + excluded.queued_ms",
    "INSERT INTO channel_minutes (minute, channel, attempts, failures, first_texts, first_text_ms) \
     SELECT ms / 60000 * 60000, 'channel ' || CAST(i % 5 AS TEXT), count(*), sum(CASE WHEN status >= 50000 THEN 1 ELSE 0 END), count(first_text_ms), \
     COALESCE(sum(first_text_ms), 0) FROM load WHERE TRUE GROUP BY 1, 2 ON CONFLICT (minute, channel) DO NOTHING",
    "INSERT INTO channel_slots (slot_start, channel, attempts, failures, first_texts, first_text_ms, last_error, last_error_at) \
     SELECT ms / 900000 * 900000, 'channel ' || CAST(i % 5 AS TEXT), count(*), sum(CASE WHEN status >= 50000 THEN 1 ELSE 0 END), count(first_text_ms), \
     COALESCE(sum(first_text_ms), 0), max(CASE WHEN status >= 50000 THEN 'timeout' END), max(CASE WHEN status >= 50000 THEN ms END) \
     FROM load WHERE TRUE GROUP BY 1, 2 ON CONFLICT (slot_start, channel) DO UPDATE SET attempts = channel_slots.attempts + excluded.attempts",
];
