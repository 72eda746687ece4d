//! Values that several operations take or give. In a query an empty one is as good as none, which is what forms send.

use serde_json::json;
use utoipa::openapi::schema::{AnyOf, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use super::schema::one_of_words;

/// An amount of the service's currency as text, exact to 1e-9: at least 2 and at most 9 decimal places.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = r"^-?[0-9]+\.[0-9]{2,9}$", example = "111.8658")]
#[expect(dead_code, reason = "it describes an Amount, whose crate knows nothing of descriptions")]
pub(crate) struct Money(String);

/// A day in the service's time zone, or a moment in RFC 3339.
pub(crate) struct Moment;

impl ToSchema for Moment {}
impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let text = |format| Object::builder().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)));
        or_empty([text(KnownFormat::Date), text(KnownFormat::DateTime)])
    }
}

/// How many entries a page of the ledger has.
pub(crate) struct PageSize;

impl ToSchema for PageSize {}
impl PartialSchema for PageSize {
    fn schema() -> RefOr<Schema> {
        or_empty([Object::builder()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(1000))
            .default(Some(json!(100)))])
    }
}

/// The `next_cursor` of the page before.
pub(crate) struct Cursor;

impl ToSchema for Cursor {}
impl PartialSchema for Cursor {
    fn schema() -> RefOr<Schema> {
        let format = Some(SchemaFormat::KnownFormat(KnownFormat::Int64));
        let number = Object::builder().schema_type(Type::Integer).format(format);
        or_empty([number.minimum(Some(1)).maximum(Some(isize::MAX))])
    }
}

/// What usage is summed by.
pub(crate) struct GroupBy;

impl ToSchema for GroupBy {}
impl PartialSchema for GroupBy {
    fn schema() -> RefOr<Schema> {
        one_of_words(["day", "model", "key", "user", ""]).default(Some(json!("day"))).build().into()
    }
}

fn or_empty<const COUNT: usize>(schemas: [ObjectBuilder; COUNT]) -> RefOr<Schema> {
    let empty = Object::builder().schema_type(Type::String).max_length(Some(0));
    let any = schemas.into_iter().chain([empty]).fold(AnyOf::builder(), |any, schema| any.item(schema));
    Schema::AnyOf(any.build()).into()
}
