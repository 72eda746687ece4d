//! Many of something, written by SQL past the service.

use diesel::connection::SimpleConnection as _;
use shared::db::DbError;
use shared::rollups::{self, Rolled};

use super::Scene;

impl Scene {
    /// Sums what was charged.
    pub(crate) async fn sum_up(&self) {
        let (database, zone) = (&self.workbench.database, self.workbench.settings.timezone);
        let later = self.workbench.clock.now().plus_ms(600_000);
        while rollups::step(database, zone, later).await.unwrap() == Rolled::Partly {}
    }

    /// So many end users were charged 0.000001 each, on the day of the one charge that is in the sums. Their names begin with `name` and end
    /// with ten digits.
    pub(crate) async fn has_end_users(&self, count: i64, name: &str) {
        self.run(format!(
            "INSERT INTO usage_sums (grain, start, tenant, key_id, model, end_user, requests, prompt_tokens, completion_tokens, images, amount) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             SELECT 3, start, tenant, key_id, model, '{name}' || substr(CAST(10000000000 + n.i AS TEXT), 2), 1, 2, 3, 0, 1000 \
             FROM usage_sums CROSS JOIN n WHERE grain = 3; \
             UPDATE usage_sums SET requests = requests + {count}, prompt_tokens = prompt_tokens + 2 * {count}, \
             completion_tokens = completion_tokens + 3 * {count}, amount = amount + 1000 * {count} WHERE grain <> 3"
        ))
        .await;
    }

    /// So many calls like the one that there is, of end users with long names.
    pub(crate) async fn has_calls(&self, count: i64) {
        let begin = format!("{:012x}7000", self.workbench.clock.now().0);
        let id = if self.workbench.database.file().is_some() {
            format!("unhex('{begin}' || printf('%016x', n.i))")
        } else {
            format!("decode('{begin}' || lpad(to_hex(n.i), 16, '0'), 'hex')")
        };
        let name = "u".repeat(500);
        self.run(format!(
            "INSERT INTO calls (request_id, tenant, key_id, endpoint, model, end_user, streamed, status, word, ended_ms, tries) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             SELECT {id}, tenant, key_id, endpoint, model, '{name}', streamed, status, word, ended_ms, tries FROM calls CROSS JOIN n"
        ))
        .await;
    }

    async fn run(&self, sql: String) {
        let written = self.write(move |connection| Ok::<_, DbError>(connection.batch_execute(&sql)?));
        written.await.unwrap();
    }
}
