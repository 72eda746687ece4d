//! Small schemas that the derived ones are made of.

use serde_json::Value;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{AnyOf, Array, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType};
use utoipa::openapi::{RefOr, Type};

/// One of these strings.
pub(super) fn one_of_words(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    let mut words: Vec<&str> = words.into_iter().collect();
    words.dedup();
    Object::builder().schema_type(Type::String).enum_values(Some(words))
}

/// One of these whole numbers.
pub(super) fn one_of_numbers(numbers: impl IntoIterator<Item = u32>) -> ObjectBuilder {
    let mut numbers: Vec<u32> = numbers.into_iter().collect();
    numbers.dedup();
    Object::builder().schema_type(Type::Integer).enum_values(Some(numbers))
}

/// A type, or `null`, which counts as absent.
pub(super) fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// A whole number of 64 bits, at least this, or `null`, with words about it.
pub(super) fn whole_number(least: isize, description: &str) -> ObjectBuilder {
    Object::builder()
        .schema_type(or_null(Type::Integer))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(least))
        .maximum(Some(isize::MAX))
        .description(Some(description))
}

/// An array of these, of `least` to `most` entries.
pub(super) fn array(items: impl Into<RefOr<Schema>>, least: usize, most: Option<usize>) -> Schema {
    Schema::Array(Array::builder().items(items.into()).min_items(Some(least)).max_items(most).build())
}

/// What any of these describes, or `null`, with words about it.
pub(super) fn any_of_or_null(description: &str, schemas: impl IntoIterator<Item = RefOr<Schema>>) -> Schema {
    let null = Object::builder().schema_type(Type::Null);
    let any = schemas.into_iter().fold(AnyOf::builder(), |any, schema| any.item(schema)).item(null);
    Schema::AnyOf(any.description(Some(description)).build())
}

/// Any value whatever, with words about it.
pub(super) fn anything(description: &str) -> Schema {
    Schema::Object(Object::builder().schema_type(SchemaType::AnyValue).description(Some(description)).build())
}

/// The object, of which also one of these must be true. (The builder has no place for this keyword of JSON Schema beside properties.)
pub(super) fn where_any(object: ObjectBuilder, alternatives: Value) -> Schema {
    Schema::Object(object.extensions(Some(Extensions::from_iter([("anyOf", alternatives)]))).build())
}
