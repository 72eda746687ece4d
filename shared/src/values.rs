//! Values as people type them, on the command line and in forms: moments, durations, amounts, limits, names of models. What cannot be read
//! is refused with words that say what is allowed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use chrono::{NaiveDate, NaiveTime, TimeZone};

use crate::clock::Timestamp;
use crate::config::{Cidr, NotACidr};
use crate::money::Amount;

/// The longest duration that is accepted, in milliseconds: a hundred years.
const LONGEST_MS: i64 = 36_500 * DAY_MS;
const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The largest limit of requests or tokens a minute.
pub const MOST_A_MINUTE: u32 = 1_000_000_000;
/// The largest limit of calls at the same time.
pub const MOST_AT_ONCE: u32 = 100_000;

/// A length of time, such as `30d`, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub i64);

/// Reads `30d`, `12h`, `90m` or `45s`.
///
/// # Errors
/// What is allowed.
pub fn span(text: &str) -> Result<Span, String> {
    let refused = || "must be a number with d, h, m or s behind it, such as 30d, 12h or 90m".to_owned();
    let unit = match text.chars().last() {
        Some('d') => DAY_MS,
        Some('h') => HOUR_MS,
        Some('m') => MINUTE_MS,
        Some('s') => SECOND_MS,
        _ => return Err(refused()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    let number: Option<i64> = digits.parse().ok();
    let milliseconds = number.and_then(|number| number.checked_mul(unit)).filter(|length| *length <= LONGEST_MS);
    milliseconds.map(Span).ok_or_else(|| "must be at most 36500d".to_owned())
}

/// A moment, given as itself or from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this moment.
    At(Timestamp),
    /// After this time.
    In(Span),
}

impl When {
    /// The moment.
    pub fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::In(Span(milliseconds)) => now.plus_ms(milliseconds),
        }
    }
}

/// Reads RFC 3339, or a length of time from now on.
///
/// # Errors
/// What is allowed.
pub fn when(text: &str) -> Result<When, String> {
    match Timestamp::from_rfc3339(text) {
        Some(moment) => Ok(When::At(moment)),
        None => span(text).map(When::In).map_err(|_| {
            "must be a moment such as 2026-12-31T00:00:00+08:00, or a length of time such as 30d, 12h or 90m".to_owned()
        }),
    }
}

/// Where a period begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// At this moment.
    Moment(Timestamp),
    /// When this day begins in the service's time zone.
    Day(NaiveDate),
}

impl Boundary {
    /// The moment; `None` when the zone has no such day or it is out of range.
    pub fn moment(self, zone: &impl TimeZone) -> Option<Timestamp> {
        match self {
            Self::Moment(moment) => Some(moment),
            Self::Day(day) => {
                // Where the clock is put forward at midnight, the day begins an hour later.
                let starts = (0..4).filter_map(|hour| NaiveTime::from_hms_opt(hour, 0, 0));
                let first =
                    starts.filter_map(|time| zone.from_local_datetime(&day.and_time(time)).earliest()).next()?;
                Some(Timestamp(first.timestamp_millis()))
            }
        }
    }
}

/// Reads `2026-01-31` or RFC 3339.
///
/// # Errors
/// What is allowed.
pub fn boundary(text: &str) -> Result<Boundary, String> {
    if let Some(moment) = Timestamp::from_rfc3339(text) {
        return Ok(Boundary::Moment(moment));
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d");
    day.map(Boundary::Day)
        .map_err(|_| "must be a day such as 2026-01-31, or a moment such as 2026-01-31T08:00:00+08:00".to_owned())
}

/// Reads an amount; it may be negative, for whoever refuses that in words of its own.
///
/// # Errors
/// What is allowed.
pub fn amount(text: &str) -> Result<Amount, String> {
    text.parse().map_err(|error: crate::money::AmountError| error.to_string())
}

/// Reads a price, which is never negative.
///
/// # Errors
/// What is allowed.
pub fn price(text: &str) -> Result<Amount, String> {
    let price = amount(text)?;
    if price < Amount::ZERO {
        return Err("a price is not negative".to_owned());
    }
    Ok(price)
}

/// The price of an image: of one size, or (`None`) of every size that has none of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePrice {
    /// Width x height in pixels.
    pub size: Option<String>,
    /// Of one image.
    pub price: Amount,
}

/// Reads `1024x1024=0.20`, or `0.20` alone.
///
/// # Errors
/// What is allowed.
pub fn image_price(text: &str) -> Result<ImagePrice, String> {
    let Some((size, amount)) = text.split_once('=') else {
        return Ok(ImagePrice { size: None, price: price(text)? });
    };
    let is_length = |digits: &str| (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !size.split_once('x').is_some_and(|(width, height)| is_length(width) && is_length(height)) {
        return Err("must be SIZE=AMOUNT such as 1024x1024=0.20, or an amount for all other sizes".to_owned());
    }
    Ok(ImagePrice { size: Some(size.to_owned()), price: price(amount)? })
}

/// Reads one `1024x1024=0.20` a line: the prices of all sizes that have one of their own.
///
/// # Errors
/// What is allowed.
pub fn image_prices(text: &str) -> Result<BTreeMap<String, Amount>, String> {
    let mut images = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let ImagePrice { size, price } = image_price(line)?;
        let size = size.ok_or_else(|| "must be SIZE=AMOUNT such as 1024x1024=0.20, one a line".to_owned())?;
        if images.insert(size, price).is_some() {
            return Err("must name a size once".to_owned());
        }
    }
    Ok(images)
}

/// Reads requests or tokens a minute.
///
/// # Errors
/// What is allowed.
pub fn rate(text: &str) -> Result<NonZeroU32, String> {
    limit(text, MOST_A_MINUTE)
}

/// Reads calls at the same time.
///
/// # Errors
/// What is allowed.
pub fn concurrency(text: &str) -> Result<NonZeroU32, String> {
    limit(text, MOST_AT_ONCE)
}

fn limit(text: &str, most: u32) -> Result<NonZeroU32, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit: &NonZeroU32| is_number && limit.get() <= most);
    limit.ok_or_else(|| format!("must be a whole number from 1 to {most}; leave the option out for no limit"))
}

/// Reads an address or a network.
///
/// # Errors
/// What is allowed.
pub fn network(text: &str) -> Result<Cidr, String> {
    text.trim().parse().map_err(|error: NotACidr| error.to_string())
}

/// Reads the name of a model.
///
/// # Errors
/// What is allowed.
pub fn model(text: &str) -> Result<String, String> {
    let text = text.trim();
    // The page of a model has its name in the address, where dots alone would mean another page.
    let is_bad = matches!(text, "" | "." | "..") || text.chars().any(|c| c.is_control() || c == ',' || c == '=');
    if is_bad || text.chars().count() > 100 {
        return Err("the name of a model has 1 to 100 characters, without commas and equals signs".to_owned());
    }
    Ok(text.to_owned())
}

/// The models of a channel: the name that developers use to the name that the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMap(pub BTreeMap<String, String>);

/// Reads `gpt-4=gpt-4o,gpt-3.5`; a name alone is the same on both sides. Ends of lines part them as well as commas.
///
/// # Errors
/// What is allowed.
pub fn model_map(text: &str) -> Result<ModelMap, String> {
    let mut models = BTreeMap::new();
    for item in text.trim().split([',', '\n']).map(str::trim) {
        let (public, upstream) = item.split_once('=').unwrap_or((item, item));
        let (public, upstream) = (model(public)?, upstream.trim());
        if upstream.is_empty() || upstream.chars().count() > 200 || upstream.chars().any(char::is_control) {
            return Err(format!("the provider's name of {public} has 1 to 200 characters"));
        }
        if models.insert(public.clone(), upstream.to_owned()).is_some() {
            return Err(format!("names {public} twice"));
        }
    }
    Ok(ModelMap(models))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("30d", 2_592_000_000)]
    #[case("12h", 43_200_000)]
    #[case("90m", 5_400_000)]
    #[case("45s", 45_000)]
    #[case("0h", 0)]
    #[case("36500d", LONGEST_MS)]
    fn spans(#[case] text: &str, #[case] milliseconds: i64) {
        assert_eq!(span(text), Ok(Span(milliseconds)));
    }

    #[rstest]
    #[case("")]
    #[case("30")]
    #[case("d")]
    #[case("-1d")]
    #[case("+1d")]
    #[case("1.5h")]
    #[case("1w")]
    #[case("36501d")]
    #[case("99999999999999999999d")]
    #[case("三十天")]
    fn no_spans(#[case] text: &str) {
        assert!(span(text).is_err(), "{text}");
    }

    #[test]
    fn a_moment_or_a_span_from_now() {
        let now = Timestamp(1_000_000);
        assert_eq!(when("1970-01-01T08:00:01+08:00").unwrap().from(now), Timestamp(1_000));
        assert_eq!(when("1m").unwrap().from(now), Timestamp(1_060_000));
        assert!(when("tomorrow").is_err());
        assert!(when("2026-12-31").is_err());
    }

    #[rstest]
    #[case("2026-01-31", Some(1_769_788_800_000))]
    #[case("2026-01-31T00:00:00Z", Some(1_769_817_600_000))]
    #[case("2026-02-30", None)]
    #[case("yesterday", None)]
    fn a_day_begins_in_the_zone(#[case] text: &str, #[case] expected: Option<i64>) {
        let zone = chrono::FixedOffset::east_opt(8 * 3600).unwrap();
        let moment = boundary(text).ok().and_then(|boundary| boundary.moment(&zone));
        assert_eq!(moment, expected.map(Timestamp));
    }

    #[rstest]
    #[case("10.00", true)]
    #[case("-5", true)]
    #[case("1e3", false)]
    #[case("ten", false)]
    #[case("1.0000000001", false)]
    fn amounts(#[case] text: &str, #[case] allowed: bool) {
        assert_eq!(amount(text).is_ok(), allowed, "{text}");
    }

    #[rstest]
    #[case("1024x1024=0.20", Some("1024x1024"))]
    #[case("0.20", None)]
    fn image_prices(#[case] text: &str, #[case] size: Option<&str>) {
        let expected = ImagePrice { size: size.map(str::to_owned), price: Amount::from_nanos(200_000_000) };
        assert_eq!(image_price(text), Ok(expected));
    }

    #[rstest]
    #[case("-0.20")]
    #[case("big=0.20")]
    #[case("1024x=0.20")]
    #[case("1024x1024=")]
    fn no_image_prices(#[case] text: &str) {
        assert!(image_price(text).is_err(), "{text}");
    }

    #[test]
    fn sizes_stand_on_lines() {
        let images = super::image_prices("1024x1024=0.20\r\n\r\n 256x256=0.10 \n").unwrap();
        let pairs: Vec<_> = images.iter().map(|(size, price)| format!("{size} {price}")).collect();
        assert_eq!(pairs, ["1024x1024 0.20", "256x256 0.10"]);
        assert_eq!(super::image_prices(""), Ok(BTreeMap::new()));
        for wrong in ["0.20", "1x1=1\n1x1=1", "big=1"] {
            assert!(super::image_prices(wrong).is_err(), "{wrong}");
        }
    }

    #[rstest]
    #[case("1", 1)]
    #[case("060", 60)]
    #[case("1000000000", 1_000_000_000)]
    fn rates(#[case] text: &str, #[case] expected: u32) {
        assert_eq!(rate(text).map(NonZeroU32::get), Ok(expected));
    }

    #[rstest]
    #[case("")]
    #[case("0")]
    #[case("-1")]
    #[case("+1")]
    #[case("1.5")]
    #[case("1e3")]
    #[case("60/m")]
    #[case("1000000001")]
    #[case("99999999999999999999")]
    fn no_rates(#[case] text: &str) {
        let message = rate(text).unwrap_err();
        assert!(message.contains("from 1 to 1000000000"), "{message}");
        assert!(concurrency(text).unwrap_err().contains("from 1 to 100000"));
    }

    #[test]
    fn networks() {
        assert_eq!(network(" 10.1.2.3/8 ").map(|network| network.to_string()), Ok("10.0.0.0/8".to_owned()));
        assert!(network("example.com").unwrap_err().contains("no network"));
        assert!(network("").is_err());
    }

    #[rstest]
    #[case("gpt-4=gpt-4o, gpt-3.5")]
    #[case(" gpt-4=gpt-4o\r\ngpt-3.5\r\n")]
    fn models_of_a_channel(#[case] text: &str) {
        let ModelMap(models) = model_map(text).unwrap();
        let pairs: Vec<_> = models.iter().map(|(public, upstream)| (public.as_str(), upstream.as_str())).collect();
        assert_eq!(pairs, [("gpt-3.5", "gpt-3.5"), ("gpt-4", "gpt-4o")]);
    }

    #[rstest]
    #[case("")]
    #[case("a,")]
    #[case("..")]
    #[case("=b")]
    #[case("a=")]
    #[case("a=b,a=c")]
    fn no_models_of_a_channel(#[case] text: &str) {
        assert!(model_map(text).is_err(), "{text}");
    }
}
