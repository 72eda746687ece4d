//! Prices as they are kept: versions that are never altered.

use std::collections::BTreeMap;

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::prices::dsl;
use crate::db::{Connection, DbError};
use crate::epoch;
use crate::money::Amount;
use crate::page::{Cursor, Page, and_one_more};
use crate::price::{Basis, Price, PriceVersion};

/// A price to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrice {
    /// The model; `None`: the default of the settings.
    pub model: Option<String>,
    /// Per million prompt tokens.
    pub prompt: Amount,
    /// Per million completion tokens.
    pub completion: Amount,
    /// Per image of a size that `images` does not list.
    pub image: Amount,
    /// Per image by size.
    pub images: BTreeMap<String, Amount>,
    /// Which count is billed.
    pub basis: Basis,
}

/// Sets a price: from now on it counts. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn set(connection: &mut Connection, new: NewPrice, now: Timestamp) -> Result<Price, DbError> {
    let newest: Option<i64> = dsl::prices.select(diesel::dsl::max(dsl::version)).first(connection)?;
    let version = newest.unwrap_or(0) + 1;
    let sizes = serde_json::to_string(&new.images).map_err(|error| DbError::Corrupt(error.to_string()))?;
    diesel::insert_into(dsl::prices)
        .values((
            dsl::version.eq(version),
            dsl::model.eq(&new.model),
            dsl::prompt.eq(new.prompt.nanos()),
            dsl::completion.eq(new.completion.nanos()),
            dsl::image.eq(new.image.nanos()),
            dsl::sizes.eq(sizes),
            dsl::basis.eq(new.basis.as_str()),
            dsl::created_at.eq(now.0),
        ))
        .execute(connection)?;
    epoch::advance(connection)?;
    Ok(Price {
        version: PriceVersion(version),
        is_default: new.model.is_none(),
        model: new.model.unwrap_or_default(),
        prompt: new.prompt,
        completion: new.completion,
        image: new.image,
        images: new.images,
        basis: new.basis,
    })
}

/// Makes `wanted` the default price, as a new version if it differs from the present one. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn ensure_default(connection: &mut Connection, wanted: NewPrice, now: Timestamp) -> Result<(), DbError> {
    let is_set = default_price(connection)?.is_some_and(|present| {
        (present.prompt, present.completion, present.image) == (wanted.prompt, wanted.completion, wanted.image)
            && present.images == wanted.images
            && present.basis == wanted.basis
    });
    if !is_set {
        set(connection, NewPrice { model: None, ..wanted }, now)?;
    }
    Ok(())
}

/// The price of models that have none of their own; `None` before the first start.
///
/// # Errors
/// [`DbError`].
pub fn default_price(connection: &mut Connection) -> Result<Option<Price>, DbError> {
    let row: Option<Row> = dsl::prices
        .filter(dsl::model.is_null())
        .order(dsl::version.desc())
        .select(Row::as_select())
        .first(connection)
        .optional()?;
    row.map(Row::into_price).transpose()
}

/// The current price of every model that has one of its own, by model.
///
/// # Errors
/// [`DbError`].
pub fn current(connection: &mut Connection) -> Result<Vec<Price>, DbError> {
    let newest: Vec<Option<i64>> = dsl::prices
        .filter(dsl::model.is_not_null())
        .group_by(dsl::model)
        .select(diesel::dsl::max(dsl::version))
        .load(connection)?;
    let versions: Vec<i64> = newest.into_iter().flatten().collect();
    let rows: Vec<Row> = dsl::prices
        .filter(dsl::version.eq_any(versions))
        .order(dsl::model)
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(Row::into_price).collect()
}

/// The price of a model now: its own, or under its name the default one; `None` before the first start.
///
/// # Errors
/// [`DbError`].
pub fn of_model(connection: &mut Connection, model: &str) -> Result<Option<Price>, DbError> {
    if let Some((_, own)) = history(connection, Some(model), Cursor::First, 1)?.rows.pop() {
        return Ok(Some(own));
    }
    Ok(default_price(connection)?.map(|price| Price { model: model.to_owned(), ..price }))
}

/// The versions of a model's own price (`None`: of the default price) with the moments from which they count: at most `limit` at the
/// `cursor`, the newest first.
///
/// # Errors
/// [`DbError`].
pub fn history(
    connection: &mut Connection,
    model: Option<&str>,
    cursor: Cursor<PriceVersion>,
    limit: usize,
) -> Result<Page<(Timestamp, Price)>, DbError> {
    let mut query = dsl::prices.select((dsl::created_at, Row::as_select())).into_boxed();
    query = match model {
        Some(model) => query.filter(dsl::model.eq(model)),
        None => query.filter(dsl::model.is_null()),
    };
    query = match cursor {
        Cursor::First => query.order(dsl::version.desc()),
        Cursor::Behind(PriceVersion(version)) => query.filter(dsl::version.lt(version)).order(dsl::version.desc()),
        Cursor::Before(PriceVersion(version)) => query.filter(dsl::version.gt(version)).order(dsl::version),
    };
    let rows: Vec<(i64, Row)> = query.limit(and_one_more(limit)).load(connection)?;
    Page::of(rows, &cursor, limit).try_map(|(at, row)| Ok((Timestamp(at), row.into_price()?)))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = crate::db::schema::prices)]
struct Row {
    version: i64,
    model: Option<String>,
    prompt: i64,
    completion: i64,
    image: i64,
    sizes: String,
    basis: String,
}

impl Row {
    fn into_price(self) -> Result<Price, DbError> {
        let corrupt = |what: &str| DbError::Corrupt(format!("the {what} of price version {}", self.version));
        Ok(Price {
            version: PriceVersion(self.version),
            is_default: self.model.is_none(),
            prompt: Amount::from_nanos(self.prompt),
            completion: Amount::from_nanos(self.completion),
            image: Amount::from_nanos(self.image),
            images: serde_json::from_str(&self.sizes).map_err(|_| corrupt("sizes"))?,
            basis: self.basis.parse().map_err(|_| corrupt("basis"))?,
            model: self.model.unwrap_or_default(),
        })
    }
}
