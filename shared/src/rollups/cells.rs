//! The sums as they are kept: which there are, and adding to them.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::days;
use super::query::Sums;
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
    /// A quarter of an hour, by everything.
    Quarter = 0,
    /// A quarter of an hour of all tenants, by model.
    HouseQuarter = 1,
    /// A day, by key and model.
    Day = 2,
    /// A day, by key, model and end user.
    UserDay = 3,
    /// Like [`Grain::Day`], by when the call was received.
    ReceivedDay = 4,
    /// Like [`Grain::UserDay`], by when the call was received.
    ReceivedUserDay = 5,
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
    pub(super) made_at: Timestamp,
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

    /// Adds a charge to every sum that it belongs to.
    pub(super) fn add(&mut self, charge: &Counted, zone: Tz) -> Result<(), DbError> {
        let out_of_range = || DbError::Corrupt("the time of a charge is out of range".to_owned());
        let day = days::of(charge.charged_at, zone).ok_or_else(out_of_range)?;
        let received_day = days::of(charge.made_at, zone).ok_or_else(out_of_range)?;
        let quarter = floor(charge.charged_at.0, SLOT_MS);
        for (grain, start) in [
            (Grain::Quarter, quarter),
            (Grain::HouseQuarter, quarter),
            (Grain::Day, day),
            (Grain::UserDay, day),
            (Grain::ReceivedDay, received_day),
            (Grain::ReceivedUserDay, received_day),
        ] {
            let is_house = grain == Grain::HouseQuarter;
            let by_user = matches!(grain, Grain::Quarter | Grain::UserDay | Grain::ReceivedUserDay);
            let end_user = charge.end_user.clone().filter(|_| by_user).unwrap_or_default();
            let cell = Cell {
                grain,
                start,
                tenant: if is_house { 0 } else { charge.tenant },
                key: if is_house { String::new() } else { charge.key.clone() },
                model: charge.model.clone(),
                end_user,
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
