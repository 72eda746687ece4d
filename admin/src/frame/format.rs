//! How amounts, moments and ids are written into a page. All of them are safe HTML.

use std::fmt::{self, Display, Formatter};

use askama::filters::{Escaper, Html};
use chrono_tz::Tz;
use shared::clock::Timestamp;
use shared::money::Amount;

/// An amount: the digits beyond the cent are dimmed, the currency is small.
pub(crate) struct Money<'a> {
    pub(crate) amount: Amount,
    pub(crate) currency: &'a str,
}

impl askama::filters::HtmlSafe for Money<'_> {}

impl Display for Money<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let text = self.amount.to_string();
        // At least two places, so there is a point with two digits behind it.
        let cents = text.find('.').map_or(text.len(), |point| point + 3);
        let (plain, fine) = text.split_at_checked(cents).unwrap_or((&text, ""));
        write!(formatter, r#"<span class="money">{}"#, plain.replacen('-', "−", 1))?;
        if !fine.is_empty() {
            write!(formatter, r#"<span class="fine">{fine}</span>"#)?;
        }
        write!(formatter, r#"&nbsp;<span class="unit">{}</span></span>"#, self.currency)
    }
}

/// A moment in the configured zone: `10:15` of today, `11-27 10:15` of this year, else with the year.
pub(crate) struct When {
    pub(crate) moment: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) zone: Tz,
}

impl askama::filters::HtmlSafe for When {}

impl Display for When {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Some(moment) = local(self.moment, self.zone) else { return formatter.write_str("-") };
        let now = local(self.now, self.zone);
        let shape = match now {
            Some(now) if now.date_naive() == moment.date_naive() => "%H:%M:%S",
            Some(now) if now.format("%Y").to_string() == moment.format("%Y").to_string() => "%m-%d %H:%M",
            _ => "%Y-%m-%d %H:%M",
        };
        write!(
            formatter,
            r#"<time datetime="{}" title="{}">{}</time>"#,
            self.moment.to_rfc3339(),
            moment.format("%Y-%m-%d %H:%M:%S%.3f %Z"),
            moment.format(shape)
        )
    }
}

/// A moment in a zone; `None` outside what a calendar holds.
pub(crate) fn local(moment: Timestamp, zone: Tz) -> Option<chrono::DateTime<Tz>> {
    chrono::DateTime::from_timestamp_millis(moment.0).map(|utc| utc.with_timezone(&zone))
}

/// A moment in a zone in RFC 3339, to the millisecond: for files.
pub(crate) fn rfc3339(moment: Timestamp, zone: Tz) -> String {
    let local = local(moment, zone);
    local.map_or_else(|| moment.to_rfc3339(), |moment| moment.format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
}

/// An id in monospace, shortened in the middle when it is long, with a button that copies the whole.
pub(crate) struct Id {
    pub(crate) id: String,
    pub(crate) copy: &'static str,
    /// The path of the page to which it leads, if any. The button stands beside the link, not in it.
    pub(crate) leads_to: Option<String>,
}

/// Ids of more characters than this are shortened.
const LONG_ID: usize = 16;

impl askama::filters::HtmlSafe for Id {}

impl Display for Id {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut escaped = String::new();
        Html.write_escaped_str(&mut escaped, &self.id)?;
        let characters: Vec<char> = self.id.chars().collect();
        let mut shown = String::new();
        if characters.len() > LONG_ID {
            let short: String =
                characters[..8].iter().chain(&['…']).chain(&characters[characters.len() - 6..]).collect();
            Html.write_escaped_str(&mut shown, &short)?;
        } else {
            shown.clone_from(&escaped);
        }
        formatter.write_str(r#"<span class="id">"#)?;
        let code = format!(r#"<code title="{escaped}">{shown}</code>"#);
        match &self.leads_to {
            Some(path) => write!(formatter, r#"<a href="{path}">{code}</a>"#)?,
            None => formatter.write_str(&code)?,
        }
        write!(
            formatter,
            r#"<button type="button" class="copy" data-copy="{escaped}" aria-label="{} {escaped}" hidden></button></span>"#,
            self.copy
        )
    }
}

/// A name as one part of a path. All but letters, digits, `-`, `_`, `.` and `~` is written as `%` and its bytes.
pub(crate) fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// A whole number with thin spaces between thousands.
pub(crate) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if number < 0 { format!("−{text}") } else { text }
}

/// A length of time in milliseconds, in words.
pub(crate) fn milliseconds(length: i64) -> String {
    format!("{}\u{a0}ms", count(length))
}

/// A number that is given in thousandths: `0.42`, and `12` without a point.
pub(crate) fn thousandths(number: i64) -> String {
    let (whole, rest) = (number / 1_000, number % 1_000);
    let text = format!("{}.{rest:03}", count(whole));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What part of `whole` it is, rounded down to a tenth of a percent: `97.5 %`. A dash where there is no whole.
pub(crate) fn share(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "–".to_owned();
    }
    let thousandths = i128::from(part) * 1000 / i128::from(whole);
    format!("{}.{}\u{a0}%", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0")]
    #[case(5, "0.005")]
    #[case(420, "0.42")]
    #[case(12_000, "12")]
    #[case(1_200_500, "1\u{202f}200.5")]
    fn thousandths_are_short(#[case] number: i64, #[case] expected: &str) {
        assert_eq!(thousandths(number), expected);
    }

    #[rstest]
    #[case(1_234_500_000_000, r#"<span class="money">1234.50&nbsp;<span class="unit">CNY</span></span>"#)]
    #[case(
        180_000,
        r#"<span class="money">0.00<span class="fine">018</span>&nbsp;<span class="unit">CNY</span></span>"#
    )]
    #[case(-3, r#"<span class="money">−0.00<span class="fine">0000003</span>&nbsp;<span class="unit">CNY</span></span>"#)]
    fn money_dims_what_is_below_a_cent(#[case] nanos: i64, #[case] expected: &str) {
        assert_eq!(Money { amount: Amount::from_nanos(nanos), currency: "CNY" }.to_string(), expected);
    }

    #[rstest]
    #[case("2026-11-27T02:15:30.5Z", ">10:15:30<")]
    #[case("2026-01-02T02:15:30Z", ">01-02 10:15<")]
    #[case("2025-12-31T15:59:59Z", ">2025-12-31 23:59<")]
    fn moments_are_as_short_as_they_can_be(#[case] moment: &str, #[case] expected: &str) {
        let read = |text| Timestamp::from_rfc3339(text).unwrap();
        let now = read("2026-11-27T12:00:00Z");
        let when = When { moment: read(moment), now, zone: chrono_tz::Asia::Shanghai }.to_string();
        assert!(when.contains(expected), "{when}");
        assert!(when.contains("CST"), "the full moment is there too: {when}");
    }

    #[test]
    fn ids_are_shortened_and_escaped() {
        let id = Id { id: "<script>\"'&0123456789".to_owned(), copy: "Copy", leads_to: None }.to_string();
        assert!(!id.contains("<script"), "{id}");
        assert!(id.contains("…456789"), "{id}");
    }

    #[test]
    fn an_id_may_lead_somewhere_and_its_button_is_not_in_the_link() {
        let id = Id { id: "abc".to_owned(), copy: "Copy", leads_to: Some("/keys/abc".to_owned()) }.to_string();
        assert!(id.contains(r#"<a href="/keys/abc"><code title="abc">abc</code></a><button"#), "{id}");
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(segment("gpt-4.1_x~"), "gpt-4.1_x~");
        assert_eq!(segment("a/b?c#d%小 \""), "a%2Fb%3Fc%23d%25%E5%B0%8F%20%22");
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(-1_234_567), "−1\u{202f}234\u{202f}567");
        assert_eq!(count(123), "123");
        assert_eq!(milliseconds(1500), "1\u{202f}500\u{a0}ms");
    }

    #[rstest]
    #[case(0, 0, "–")]
    #[case(0, 7, "0.0\u{a0}%")]
    #[case(999, 1000, "99.9\u{a0}%")]
    #[case(1999, 2000, "99.9\u{a0}%")]
    #[case(7, 7, "100.0\u{a0}%")]
    fn a_part_of_a_whole(#[case] part: i64, #[case] whole: i64, #[case] expected: &str) {
        assert_eq!(share(part, whole), expected);
    }
}
