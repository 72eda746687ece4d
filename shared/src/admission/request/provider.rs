//! The members of a request as the provider gets them.

use serde_json::Value;

use crate::json_object::Members;

/// Where the original service's callers put their Secret Key.
pub(super) const SECRET_KEY: &str = "api_secret_key";
/// Never sent on as they came: the secret, and what a worker decides.
const KEPT_BACK: [&str; 4] = [SECRET_KEY, "model", "stream", "stream_options"];
/// The same for endpoints that know no stream: there these two are unknown fields as any others.
const KEPT_BACK_UNSTREAMED: [&str; 2] = [SECRET_KEY, "model"];

/// All members that a provider may see, with commas between and without braces. Values are as the caller wrote them, except for those in
/// `rewritten` (names and JSON), which take the caller's place or come behind.
pub(super) fn fields(members: &Members<'_>, rewritten: &[(&str, String)]) -> String {
    without(&KEPT_BACK, members, rewritten)
}

/// The same, all as the caller wrote it, of a call whose answer is never streamed.
pub(super) fn unstreamed_fields(members: &Members<'_>) -> String {
    all_but(&KEPT_BACK_UNSTREAMED, members)
}

/// All members but some, as the caller wrote them.
pub(super) fn all_but(kept_back: &[&str], members: &Members<'_>) -> String {
    without(kept_back, members, &[])
}

fn without(kept_back: &[&str], members: &Members<'_>, rewritten: &[(&str, String)]) -> String {
    let mut fields = String::new();
    for (name, value) in members.iter().filter(|(name, _)| !kept_back.contains(name)) {
        let own = rewritten.iter().find(|(each, _)| *each == name);
        append(&mut fields, name, own.map_or(value.get(), |(_, json)| json));
    }
    for (name, json) in rewritten {
        if !members.iter().any(|(each, _)| each == *name) {
            append(&mut fields, name, json);
        }
    }
    fields
}

fn append(fields: &mut String, name: &str, json: &str) {
    if !fields.is_empty() {
        fields.push(',');
    }
    // The name is written anew, since it may hold quotes.
    fields.push_str(&Value::from(name).to_string());
    fields.push(':');
    fields.push_str(json);
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::json_object::Duplicates;

    #[rstest]
    #[case::as_they_came(r#"{ "a" : 1.50 , "b":{"z": 1e400, "model":1} }"#, r#""a":1.50,"b":{"z": 1e400, "model":1}"#)]
    #[case::kept_back(
        r#"{"stream":true,"a":1,"model":"m","api_secret_key":"s","stream_options":{},"b":2}"#,
        r#""a":1,"b":2"#
    )]
    #[case::kept_back_in_escapes(r#"{"\u006dodel":"m","api\u005fsecret_key":"s","a":1}"#, r#""a":1"#)]
    #[case::names_with_quotes(r#"{"a\"b\\":null,"你":[ ]}"#, r#""a\"b\\":null,"你":[ ]"#)]
    #[case::nothing("{}", "")]
    fn fields_for_the_provider(#[case] body: &str, #[case] expected: &str) {
        assert_eq!(fields(&Members::parse(body, Duplicates::Refuse).unwrap(), &[]), expected);
    }

    #[test]
    fn without_a_stream_its_fields_are_unknown_ones() {
        let body = r#"{"stream":true,"a":1.0,"model":"m","api_secret_key":"s","stream_options":{}}"#;
        let members = Members::parse(body, Duplicates::Refuse).unwrap();
        assert_eq!(unstreamed_fields(&members), r#""stream":true,"a":1.0,"stream_options":{}"#);
    }

    #[rstest]
    #[case::in_place(r#"{"size":null,"a":1}"#, r#""size":"x","a":1"#)]
    #[case::behind(r#"{"a":1}"#, r#""a":1,"size":"x""#)]
    #[case::alone("{}", r#""size":"x""#)]
    fn rewritten_fields(#[case] body: &str, #[case] expected: &str) {
        let rewritten = [("size", "\"x\"".to_owned())];
        assert_eq!(fields(&Members::parse(body, Duplicates::Refuse).unwrap(), &rewritten), expected);
    }
}
