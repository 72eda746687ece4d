//! Amounts as JSON numbers, for dashboards that want no text. Printed from integers: no float is ever made of money.

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use shared::money::Amount;
use utoipa::ToSchema;

/// An amount in units of the currency: `111.8658`.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(value_type = f64, example = json!(111.8658))]
pub(crate) struct Units(pub(crate) Amount);

/// An amount in hundredths of the currency: `11186.58`.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(value_type = f64, example = json!(11186.58))]
pub(crate) struct Hundredths(pub(crate) Amount);

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_number(self.0, 9, serializer)
    }
}

impl Serialize for Hundredths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_number(self.0, 7, serializer)
    }
}

fn as_number<S: Serializer>(amount: Amount, places: u32, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(decimal(amount.nanos(), places)).map_err(S::Error::custom)?.serialize(serializer)
}

/// `value / 10^places` without trailing zeros.
fn decimal(value: i64, places: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (magnitude, unit) = (value.unsigned_abs(), 10_u64.pow(places));
    let (whole, fraction) = (magnitude / unit, magnitude % unit);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{fraction:0width$}", width = places as usize);
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0", "0")]
    #[case(1, "0.000000001", "0.0000001")]
    #[case(-1, "-0.000000001", "-0.0000001")]
    #[case(10_000_000_000, "10", "1000")]
    #[case(111_865_800_000, "111.8658", "11186.58")]
    #[case(5_000_000, "0.005", "0.5")]
    #[case(i64::MAX, "9223372036.854775807", "922337203685.4775807")]
    #[case(i64::MIN, "-9223372036.854775808", "-922337203685.4775808")]
    fn numbers_are_exact(#[case] nanos: i64, #[case] units: &str, #[case] hundredths: &str) {
        let amount = Amount::from_nanos(nanos);
        assert_eq!(serde_json::to_string(&Units(amount)).unwrap(), units);
        assert_eq!(serde_json::to_string(&Hundredths(amount)).unwrap(), hundredths);
    }
}
