//! The count of a JSON value as the text of its compact form: no white space between, strings with the fewest escapes, numbers as the
//! caller wrote them. It is counted piece by piece and never built, since it may be most of a body.

use serde_json::Value;
use serde_json::value::RawValue;

use super::strictness::string_end;
use crate::tokens::{TextCount, TextCounter};

/// Counts a value as one text.
pub(super) fn count(value: &RawValue) -> TextCount {
    let mut counter = TextCounter::default();
    let mut rest = value.get();
    while let Some((between, from_string)) = rest.find('"').and_then(|start| rest.split_at_checked(start)) {
        push_without_space(&mut counter, between);
        let end = string_end(from_string.as_bytes(), 0);
        let (string, behind) = from_string.split_at_checked(end).unwrap_or((from_string, ""));
        push_string(&mut counter, string);
        rest = behind;
    }
    push_without_space(&mut counter, rest);
    counter.count()
}

fn push_without_space(counter: &mut TextCounter, between: &str) {
    for piece in between.split_ascii_whitespace() {
        counter.push(piece);
    }
}

fn push_string(counter: &mut TextCounter, string: &str) {
    if !string.contains('\\') {
        return counter.push(string);
    }
    match serde_json::from_str::<String>(string) {
        Ok(text) => counter.push(&Value::String(text).to_string()),
        Err(_) => counter.push(string),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn count_of(json: &str) -> TextCount {
        count(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[rstest]
    #[case::nothing("[]", 0, 0)]
    #[case::names_and_values(r#"[{"type":"function","function":{"name":"get_weather"}}]"#, 0, 6)]
    #[case::spaces_do_not_count("[ 1 ,\n 2 ]", 0, 2)]
    #[case::escaped_hanzi(r#"{"\u4f60":"\u597d"}"#, 2, 0)]
    // Compact JSON writes a newline as \n, so that an n begins the next word.
    #[case::newline(r#"["a\nb"]"#, 0, 2)]
    #[case::quotes_in_strings(r#"["a \" b", "c"]"#, 0, 3)]
    #[case::no_float_takes_it("[1e400]", 0, 1)]
    fn counts(#[case] json: &str, #[case] hanzi: i64, #[case] words: i64) {
        assert_eq!(count_of(json), TextCount { hanzi, words });
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            "[a你\"\\\\/\n\t \u{1}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..6).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// The same string with every character escaped.
    fn escaped(text: &str) -> String {
        text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in any_json()) {
            let expected = TextCount::of(&value.to_string());
            prop_assert_eq!(count_of(&value.to_string()), expected);
            prop_assert_eq!(count_of(&serde_json::to_string_pretty(&value).unwrap()), expected);
        }

        #[test]
        fn escapes_make_no_difference(text in "[a你\"\\\\/\n\t \u{1}😀]{0,12}") {
            let json = format!("[\"{}\"]", escaped(&text));
            prop_assert_eq!(count_of(&json), TextCount::of(&Value::from(vec![text]).to_string()));
        }
    }
}
