//! What a reader that copies values without understanding them lets through, and a later one would not: half surrogate pairs, and nesting
//! without end. Looked for once, in the whole text, which is known to be JSON otherwise.

use super::syntax::{Place, invalid};
use crate::refusal::Refusal;

/// Objects and arrays in each other; serde_json itself, which reads parts of the body again, stops at 128.
const DEEPEST: usize = 100;

/// Checks a text that is JSON.
///
/// # Errors
/// [`crate::refusal::Reason::InvalidJson`].
pub(super) fn check(text: &str) -> Result<(), Refusal> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => {
                let end = string_end(bytes, position);
                check_surrogates(text, position, end)?;
                position = end;
                continue;
            }
            b'[' | b'{' if depth == DEEPEST => {
                let what = format!("more than {DEEPEST} objects and arrays in each other");
                return Err(invalid(what, Place::of(bytes, position)));
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        position += 1;
    }
    Ok(())
}

/// The position behind the string that starts, with its quotation mark, at `start`.
pub(super) fn string_end(text: &[u8], start: usize) -> usize {
    let mut position = start + 1;
    while let Some(byte) = text.get(position) {
        match byte {
            b'"' => return position + 1,
            b'\\' => position += 2,
            _ => position += 1,
        }
    }
    text.len()
}

fn check_surrogates(text: &str, start: usize, end: usize) -> Result<(), Refusal> {
    let string = text.get(start..end).unwrap_or_default();
    // Surrogates are written \uD800 to \uDFFF. Most texts have none, and are not decoded here.
    if !string.contains("\\ud") && !string.contains("\\uD") {
        return Ok(());
    }
    let Err(error) = serde_json::from_str::<String>(string) else { return Ok(()) };
    let place = Place::of(text.as_bytes(), start + error.column().saturating_sub(1));
    Err(invalid("a \\u escape that is half of a surrogate pair, without its other half,", place))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::pair(r#"{"a":"\ud83d\ude00"}"#, true)]
    #[case::pair_in_capitals(r#"{"a":"\uD83D\uDE00"}"#, true)]
    #[case::escaped_backslash(r#"{"a":"\\ud83d"}"#, true)]
    #[case::no_surrogate(r#"{"a":"\ud7ff \uE000 \u4f60"}"#, true)]
    #[case::first_half(r#"{"a":"\ud83d"}"#, false)]
    #[case::second_half(r#"{"a":"\udE00"}"#, false)]
    #[case::wrong_order(r#"{"a":["x",{"b":"\ude00\ud83d"}]}"#, false)]
    #[case::half_and_other(r#"{"a":"\ud83d\u0041"}"#, false)]
    #[case::two_first_halves(r#"{"a":"\ud83d\ud83d\ude00"}"#, false)]
    #[case::behind_a_backslash(r#"{"a":"\\\ud83d"}"#, false)]
    #[case::in_a_name(r#"{"a":{"\ud83d":1}}"#, false)]
    #[case::escaped_quote(r#"{"a":"\"","b":"\ud83d"}"#, false)]
    fn surrogates(#[case] text: &str, #[case] is_accepted: bool) {
        assert_eq!(check(text).is_ok(), is_accepted);
    }

    #[test]
    fn the_place_of_a_half_pair() {
        let refusal = check("{\n \"你\": \"ab\\ud83d\"}").unwrap_err();
        assert!(refusal.message.contains("line 2 column 1"), "{}", refusal.message);
    }

    #[test]
    fn nesting() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&nested(DEEPEST)).is_ok());
        let refusal = check(&nested(DEEPEST + 1)).unwrap_err();
        assert!(refusal.message.ends_with("line 1 column 101"), "{}", refusal.message);
        assert!(check(&format!("[{}]", vec!["[]"; 500].join(","))).is_ok(), "beside each other is not in each other");
        assert!(check(&format!("[\"{}\"]", "[".repeat(500))).is_ok(), "brackets in strings do not nest");
    }
}
