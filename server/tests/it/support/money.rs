//! Money as the tests reckon it: whole billionths, by code of their own.

use serde_json::Value;

/// The billionths of an amount that JSON carries as text, at least 2 and at most 9 places, no further trailing zeros.
#[track_caller]
pub(crate) fn nanos(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap_or_else(|| panic!("an amount is text, not {amount}"));
    let (whole, fraction) = text.split_once('.').unwrap_or_else(|| panic!("{text} has no point"));
    assert!((2..=9).contains(&fraction.len()), "{text}");
    assert!(fraction.len() == 2 || !fraction.ends_with('0'), "{text} has trailing zeros");
    let magnitude: i64 = format!("{}{fraction:0<9}", whole.trim_start_matches('-')).parse().expect("digits");
    if whole.starts_with('-') { -magnitude } else { magnitude }
}

/// The same amount as text.
pub(crate) fn amount(nanos: i64) -> String {
    let digits = format!("{:010}", nanos.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 9);
    let fraction = format!("{:0<2}", fraction.trim_end_matches('0'));
    format!("{}{whole}.{fraction}", if nanos < 0 { "-" } else { "" })
}

/// An amount as a JSON number in units of `10^-places` billionths, as dashboards read it.
pub(crate) fn number(nanos: i64, places: usize) -> String {
    let digits = format!("{nanos:0width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What tokens cost at a price per million, in billionths, rounded up.
pub(crate) fn cost(tokens: i64, per_million: i64) -> i64 {
    let millionths = i128::from(tokens) * i128::from(per_million);
    i64::try_from((millionths + 999_999) / 1_000_000).expect("a cost fits")
}

/// Recomputes a charge from the fields of its ledger entry, and gives what was charged, in billionths.
#[track_caller]
pub(crate) fn recompute(entry: &Value) -> i64 {
    let charge = &entry["charge"];
    let count = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("no count: {charge}"));
    let mut sum = 0;
    for component in [&charge["prompt"], &charge["completion"]] {
        let billed = if charge["basis"] == "upstream" { &component["upstream_tokens"] } else { &component["tokens"] };
        assert_eq!(nanos(&component["cost"]), cost(count(billed), nanos(&component["price_per_million"])), "{charge}");
        sum += nanos(&component["cost"]);
    }
    let images = &charge["images"];
    assert_eq!(nanos(&images["cost"]), count(&images["count"]) * nanos(&images["price"]), "{charge}");
    sum += nanos(&images["cost"]);
    let charged = sum - nanos(&charge["written_off"]);
    assert_eq!(nanos(&entry["amount"]), -charged, "{entry}");
    assert_eq!(entry["type"], "capture");
    let arithmetic = charge["arithmetic"].as_str().expect("the arithmetic in words");
    assert!(arithmetic.contains(&format!("together {}", amount(sum))), "{arithmetic}");
    charged
}
