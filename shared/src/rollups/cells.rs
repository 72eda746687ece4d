//! The sums as they are kept: which there are, and adding to them.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::days;
use super::sums::{Sums, out_of_range};
use crate::calls::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Column, Connection, DbError, Statement, Value, sql};

macro_rules! insert {
    () => {
        "INSERT INTO usage_sums (grain, start, tenant, key_id, model, end_user, requests, prompt_tokens, completion_tokens, images, amount) "
    };
}
macro_rules! add {
    () => {
        " ON CONFLICT (grain, tenant, start, key_id, model, end_user) DO UPDATE SET requests = usage_sums.requests + excluded.requests, \
         prompt_tokens = usage_sums.prompt_tokens + excluded.prompt_tokens, \
         completion_tokens = usage_sums.completion_tokens + excluded.completion_tokens, \
         images = usage_sums.images + excluded.images, amount = usage_sums.amount + excluded.amount"
    };
}

/// What is summed together: see the migration that makes the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grain {
    /// A quarter of an hour, by key and model.
    Quarter = 0,
    /// A quarter of an hour of all tenants, by model.
    HouseQuarter = 1,
    /// A day, by key and model.
    Day = 2,
    /// A day, by key, model and end user. There may be as many as charges, so only these have end users, and they are removed in time.
    UserDay = 3,
}

/// The name of a sum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    grain: Grain,
    start: i64,
    tenant: i64,
    key: String,
    model: String,
    end_user: String,
}

/// A charge that is counted, or taken out again.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) charged_at: Timestamp,
    pub(super) tenant: i64,
    pub(super) key: String,
    pub(super) model: String,
    pub(super) end_user: Option<String>,
    pub(super) sums: Sums,
}

/// What is to be added, sum by sum.
#[derive(Debug, Default)]
pub(super) struct Cells(BTreeMap<Cell, Sums>);

impl Cells {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a charge to every sum that it belongs to; sums by end user are kept from the day `users_since` on.
    pub(super) fn add(&mut self, charge: &Counted, zone: Tz, users_since: Option<i64>) -> Result<(), DbError> {
        let day = days::of(charge.charged_at, zone).ok_or_else(out_of_range)?;
        let quarter = floor(charge.charged_at.0, SLOT_MS);
        for (grain, start) in
            [(Grain::Quarter, quarter), (Grain::HouseQuarter, quarter), (Grain::Day, day), (Grain::UserDay, day)]
        {
            let (is_house, is_by_user) = (grain == Grain::HouseQuarter, grain == Grain::UserDay);
            if is_by_user && users_since.is_some_and(|since| day < since) {
                continue;
            }
            let cell = Cell {
                grain,
                start,
                tenant: if is_house { 0 } else { charge.tenant },
                key: if is_house { String::new() } else { charge.key.clone() },
                model: charge.model.clone(),
                end_user: charge.end_user.clone().filter(|_| is_by_user).unwrap_or_default(),
            };
            self.0.entry(cell).or_default().add(&charge.sums)?;
        }
        Ok(())
    }

    /// Writes them inside the caller's transaction.
    pub(super) fn write(&self, connection: &mut Connection) -> Result<(), DbError> {
        match connection {
            Connection::Postgres(_) => self.write_columns(connection),
            Connection::Sqlite(_) => self.write_rows(connection),
        }
    }

    fn write_rows(&self, connection: &mut Connection) -> Result<(), DbError> {
        for (cell, sums) in &self.0 {
            Statement::new(
                sql!(concat!(insert!(), "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", add!())),
                &[
                    Value::Int(cell.grain as i64),
                    Value::Int(cell.start),
                    Value::Int(cell.tenant),
                    Value::Text(&cell.key),
                    Value::Text(&cell.model),
                    Value::Text(&cell.end_user),
                    Value::Int(sums.requests),
                    Value::Int(sums.prompt_tokens),
                    Value::Int(sums.completion_tokens),
                    Value::Int(sums.images),
                    Value::Int(sums.amount),
                ],
            )
            .touch_one(connection)?;
        }
        Ok(())
    }

    fn write_columns(&self, connection: &mut Connection) -> Result<(), DbError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let cells = |value: fn(&Cell) -> i64| Column::Ints(self.0.keys().map(value).collect());
        let texts = |value: fn(&Cell) -> &str| Column::Texts(self.0.keys().map(value).collect());
        let sums = |value: fn(&Sums) -> i64| Column::Ints(self.0.values().map(value).collect());
        let columns = [
            cells(|cell| cell.grain as i64),
            cells(|cell| cell.start),
            cells(|cell| cell.tenant),
            texts(|cell| &cell.key),
            texts(|cell| &cell.model),
            texts(|cell| &cell.end_user),
            sums(|sums| sums.requests),
            sums(|sums| sums.prompt_tokens),
            sums(|sums| sums.completion_tokens),
            sums(|sums| sums.images),
            sums(|sums| sums.amount),
        ];
        let sql = sql!(concat!(
            insert!(),
            "SELECT unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::text[]), unnest(?::text[]), unnest(?::text[]), \
             unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[])",
            add!()
        ));
        Statement::new(sql, &columns.each_ref().map(Value::Column)).touch(self.0.len(), connection)?;
        Ok(())
    }
}
