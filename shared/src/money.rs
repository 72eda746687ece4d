//! Money: whole billionths of the currency, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of money in units of 1e-9 of the service's one currency: `Amount::from_nanos(1_500_000_000)` is 1.50.
///
/// As text (`Display`, `FromStr`, serde) it is a plain decimal with at least 2 and at most 9 places, further trailing
/// zeros removed: `0.00`, `10.50`, `0.00018`, `-3.000000001`. JSON carries it as a string, so that no reader turns
/// it into a float.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The amount of `nanos` billionths of the currency.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The amount of so many billionths of the currency, of which there may be more than it holds: `None` then.
    pub fn from_wide(nanos: i128) -> Option<Self> {
        i64::try_from(nanos).ok().map(Self)
    }

    /// The amount in billionths of the currency, as the database keeps it.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum. `None` where it does not fit in 64 bits (about 9.2 billion of the currency).
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// The difference. `None` where it does not fit in 64 bits (about 9.2 billion of the currency).
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }
}

/// A text that is not an amount of money; the message says what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text is not digits with an optional point and more digits.
    #[error("an amount is a plain decimal such as 10, 10.50 or -3.25, with digits before and after the point")]
    NotADecimal,
    /// There are more than 9 digits after the point.
    #[error("an amount has at most 9 digits after the point")]
    TooManyPlaces,
    /// The number does not fit in 64 bits of billionths.
    #[error("an amount lies between {} and {}", Amount(i64::MIN), Amount(i64::MAX))]
    OutOfRange,
}

const NANOS_PER_UNIT: u64 = 1_000_000_000;
const MAX_PLACES: usize = 9;
const MIN_PLACES: usize = 2;

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let mut digits = format!("{}.{:09}", nanos / NANOS_PER_UNIT, nanos % NANOS_PER_UNIT);
        let removable = digits.bytes().rev().take(MAX_PLACES - MIN_PLACES).take_while(|digit| *digit == b'0').count();
        digits.truncate(digits.len() - removable);
        // Numbers keep to the right in a table, and a precision (`{:.2}`) must not cut digits off.
        formatter.pad_integral(self.0 >= 0, "", &digits)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (unsigned, None),
        };
        if !is_digits(whole) || !fraction.is_none_or(is_digits) {
            return Err(AmountError::NotADecimal);
        }
        let fraction = fraction.unwrap_or_default();
        if fraction.len() > MAX_PLACES {
            return Err(AmountError::TooManyPlaces);
        }

        let padding = std::iter::repeat_n(b'0', MAX_PLACES - fraction.len());
        let mut nanos = 0_i64;
        for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
            let digit = i64::from(digit - b'0');
            // Built on its own side of zero, since the most negative amount has no positive counterpart.
            nanos = nanos
                .checked_mul(10)
                .and_then(|tens| if negative { tens.checked_sub(digit) } else { tens.checked_add(digit) })
                .ok_or(AmountError::OutOfRange)?;
        }
        Ok(Self(nanos))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AmountVisitor)
    }
}

struct AmountVisitor;

impl de::Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an amount as a string such as \"10.50\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0.00")]
    #[case(1, "0.000000001")]
    #[case(-1, "-0.000000001")]
    #[case(180_000, "0.00018")]
    #[case(10_000_000, "0.01")]
    #[case(100_000_000, "0.10")]
    #[case(10_500_000_000, "10.50")]
    #[case(-1_500_000_000, "-1.50")]
    #[case(1_234_567_890, "1.23456789")]
    #[case(100_000_000_000, "100.00")]
    #[case(i64::MAX, "9223372036.854775807")]
    #[case(i64::MIN, "-9223372036.854775808")]
    fn text_of_an_amount(#[case] nanos: i64, #[case] text: &str) {
        assert_eq!(Amount::from_nanos(nanos).to_string(), text);
        assert_eq!(text.parse(), Ok(Amount::from_nanos(nanos)));
    }

    #[rstest]
    #[case("10", 10_000_000_000)]
    #[case("10.5", 10_500_000_000)]
    #[case("-3.000000001", -3_000_000_001)]
    #[case("007.10", 7_100_000_000)]
    #[case("-0", 0)]
    fn other_spellings_are_read(#[case] text: &str, #[case] nanos: i64) {
        assert_eq!(text.parse(), Ok(Amount::from_nanos(nanos)));
    }

    #[rstest]
    #[case::empty("")]
    #[case::only_a_sign("-")]
    #[case::plus("+1")]
    #[case::two_signs("--1")]
    #[case::space_before(" 1")]
    #[case::space_after("1 ")]
    #[case::only_a_point(".")]
    #[case::nothing_after_the_point("1.")]
    #[case::nothing_before_the_point(".5")]
    #[case::two_points("1.2.3")]
    #[case::sign_after_the_point("1.-2")]
    #[case::exponent("1e3")]
    #[case::comma("1,50")]
    #[case::other_digits("１")]
    #[case::infinity("inf")]
    fn other_text_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::NotADecimal));
    }

    #[rstest]
    #[case("1.0000000001", AmountError::TooManyPlaces)]
    #[case("1.0000000000", AmountError::TooManyPlaces)]
    #[case("9223372036.854775808", AmountError::OutOfRange)]
    #[case("-9223372036.854775809", AmountError::OutOfRange)]
    #[case("99999999999999999999999999999999999999999999999999", AmountError::OutOfRange)]
    fn what_does_not_fit_is_refused(#[case] text: &str, #[case] expected: AmountError) {
        assert_eq!(text.parse::<Amount>(), Err(expected));
    }

    #[test]
    fn the_range_is_in_the_message() {
        let message = AmountError::OutOfRange.to_string();
        assert_eq!(message, "an amount lies between -9223372036.854775808 and 9223372036.854775807");
    }

    #[test]
    fn width_pads_on_the_left_and_precision_cuts_nothing() {
        assert_eq!(
            format!("{:>8}|{:.2}", Amount::from_nanos(-1_500_000_000), Amount::from_nanos(1)),
            "   -1.50|0.000000001"
        );
    }

    #[test]
    fn sums_stop_at_the_ends_of_the_range() {
        let (largest, smallest) = (Amount::from_nanos(i64::MAX), Amount::from_nanos(i64::MIN));
        let one = Amount::from_nanos(1);
        assert_eq!(largest.checked_add(one), None);
        assert_eq!(smallest.checked_sub(one), None);
        assert_eq!(largest.checked_sub(one), Some(Amount::from_nanos(i64::MAX - 1)));
        assert_eq!(one.checked_add(one), Some(Amount::from_nanos(2)));
    }

    #[test]
    fn json_is_a_string() {
        let amount = Amount::from_nanos(180_000);
        assert_eq!(serde_json::to_string(&amount).unwrap(), "\"0.00018\"");
        assert_eq!(serde_json::from_str::<Amount>("\"0.00018\"").unwrap(), amount);
        // The escape makes serde hand over an owned string.
        assert_eq!(serde_json::from_str::<Amount>("\"\\u0031.5\"").unwrap(), Amount::from_nanos(1_500_000_000));
        assert!(serde_json::from_str::<Amount>("1.5").is_err());
        assert!(serde_json::from_str::<Amount>("\"1e5\"").is_err());
    }

    proptest! {
        #[test]
        fn text_round_trip(nanos: i64) {
            let text = Amount::from_nanos(nanos).to_string();
            prop_assert_eq!(text.parse(), Ok(Amount::from_nanos(nanos)));
            let places = text.split_once('.').unwrap().1;
            prop_assert!((2..=9).contains(&places.len()));
            prop_assert!(places.len() == 2 || !places.ends_with('0'));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+.0-9 e]{0,24}") {
            if let Ok(amount) = text.parse::<Amount>() {
                prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            }
        }
    }
}
