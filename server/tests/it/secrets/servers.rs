//! What PostgreSQL and Redis keep, on servers of this test's own: what a shared one has of other tests would be searched with it.

use testkit::{Pair, Postgres, Redis};

use super::database::unhex;
use super::{Evidence, REDIS_PASSWORD};

/// Both servers, where a run of the tests is for them.
pub(super) struct Servers {
    postgres: Postgres,
    database: String,
    redis: Redis,
}

impl Servers {
    pub(super) fn of_this_run() -> Option<Self> {
        (Pair::of_this_run() == Pair::Servers).then(|| {
            let postgres = Postgres::start().unwrap();
            let database = postgres.new_database().unwrap();
            let redis = Redis::start_with(&["--requirepass", REDIS_PASSWORD]).unwrap();
            Self { postgres, database, redis }
        })
    }

    /// Where they are.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let postgres = ([127, 0, 0, 1], self.postgres.port()).into();
        vec![("DATABASE_URL", self.postgres.url_at(postgres, &self.database)), ("REDIS_URL", self.redis.url())]
    }

    /// Every column of every table, as the bytes that a value stands for.
    pub(super) fn values(&self) -> Vec<(String, Vec<u8>)> {
        let ask = |query: &str| self.postgres.query(&self.database, query).unwrap();
        let columns = ask(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'",
        );
        let values: Vec<_> = columns
            .lines()
            .map(|line| {
                let [table, column, kind] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
                let bytes = match kind {
                    "bytea" => format!("\"{column}\""),
                    _ => format!("convert_to(\"{column}\"::text, 'UTF8')"),
                };
                let rows = ask(&format!("SELECT encode({bytes}, 'hex') FROM \"{table}\""));
                let bytes = rows.lines().flat_map(|row| unhex(row).into_iter().chain([b'\n'])).collect();
                (format!("column {table}.{column}"), bytes)
            })
            .collect();
        assert!(values.len() > 50, "only {} columns", values.len());
        values
    }

    /// What the servers logged, and every command that Redis ever carried out.
    pub(super) fn files(&self, evidence: &mut Evidence) {
        evidence.add("PostgreSQL's log", std::fs::read(self.postgres.log()).unwrap());
        evidence.files(self.redis.folder());
    }
}
