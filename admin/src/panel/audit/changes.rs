//! What a change changed, field by field.

use serde_json::{Map, Value};

/// A field that is not as it was. Where there was nothing, or is nothing now, that side is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) field: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// The fields in which two objects differ, in their order.
pub(super) fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    let (before, after) = (fields(before), fields(after));
    let new = after.keys().filter(|field| !before.contains_key(*field));
    let named = before.keys().chain(new).filter(|field| before.get(*field) != after.get(*field));
    let change = |field: &String| Change {
        field: field.clone(),
        before: before.get(field).and_then(text),
        after: after.get(field).and_then(text),
    };
    named.map(change).filter(|change| change.before != change.after).collect()
}

fn fields(value: Option<&Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(fields)) => fields.clone(),
        Some(other) => [(String::new(), other.clone())].into_iter().collect(),
        None => Map::new(),
    }
}

/// A value for people; nothing where it is null.
fn text(value: &Value) -> Option<String> {
    let inner = |value: &Value| text(value).unwrap_or_else(|| "-".to_owned());
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => Some(values.iter().map(inner).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(name, value)| format!("{name}={}", inner(value)));
            Some(pairs.collect::<Vec<_>>().join(", "))
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(before: Option<Value>, after: Option<Value>) -> Vec<String> {
        let changes = changes(before.as_ref(), after.as_ref());
        let side = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        changes
            .into_iter()
            .map(|change| format!("{}: {} > {}", change.field, side(change.before), side(change.after)))
            .collect()
    }

    #[test]
    fn only_what_differs_is_shown() {
        let before = json!({"name": "a", "enabled": true, "since": null, "old": 1});
        let after =
            json!({"name": "a", "enabled": false, "since": "now", "models": {"m": "n", "o": null}, "ips": ["a", "b"]});
        let expected =
            ["enabled: true > false", "since: - > now", "old: 1 > -", "models: - > m=n, o=-", "ips: - > a, b"];
        assert_eq!(shown(Some(before.clone()), Some(after)), expected);
        assert_eq!(shown(Some(before.clone()), Some(before)), [""; 0]);
        assert_eq!(shown(None, Some(json!({"a": "b", "c": null}))), ["a: - > b"]);
        assert_eq!(shown(None, None), [""; 0]);
    }
}
