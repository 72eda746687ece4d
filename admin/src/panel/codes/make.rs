//! `/codes/new` and `POST /codes`: a batch of codes, shown once, in the answer to the form. A batch's name is unique, so the same form twice
//! makes one batch.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::clock::Timestamp;
use shared::money::Amount;
use shared::values;
use shared::vouchers::{self, Batch, Code, LONGEST_NAME, MOST_CODES, NewBatch, VoucherError};

use super::failed;
use crate::frame::csv::Rows;
use crate::frame::failure::{Failed, Handled};
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{ManageCodes, May};

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    name: String,
    value: String,
    count: String,
    expires: String,
}

#[derive(Template)]
#[template(path = "panel/codes/new.html")]
struct Form<'a> {
    page: &'a Page,
    fields: &'a Fields,
    wrongs: Wrongs,
    /// The batch that has the name already.
    other: Option<Batch>,
}

#[derive(Template)]
#[template(path = "panel/codes/made.html")]
struct Made<'a> {
    page: &'a Page,
    batch: &'a Batch,
    /// What all of its codes are worth; nothing where that leaves the range.
    worth: Option<Amount>,
    /// One code a line.
    codes: &'a str,
    /// The same as a file, in an address that needs no second request.
    file: String,
}

/// Shows the form.
pub(in crate::panel) async fn new(request: HttpRequest, staff: May<ManageCodes>) -> Handled {
    let (page, fields) = (&staff.page, &Fields { expires: "365d".to_owned(), ..Fields::default() });
    page::show(&request, page, &Form { page, fields, wrongs: Wrongs::default(), other: None })
}

/// Makes the batch and shows its codes.
pub(in crate::panel) async fn make(
    request: HttpRequest,
    staff: May<ManageCodes>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let (page, now, mut wrongs) = (&staff.page, staff.now, Wrongs::default());
    let meant = fields.batch(page, staff.staff.email.clone(), now, &mut wrongs);
    let Some((new, count)) = meant.map_err(|error| failed(&request, error))? else {
        return page::show_again(&request, page, &Form { page, fields: &fields, wrongs, other: None });
    };
    let codes = vouchers::generate(count).map_err(|error| Failed::internal(&request, error))?;
    let origin = staff.origin();
    let made = staff.write(&request, &panel, move |connection| {
        if let Some(other) = vouchers::named(connection, &new.name)? {
            return Ok(Err(other));
        }
        let batch = vouchers::create(connection, &new, &codes, now)?;
        let entry = Entry {
            action: "codes.create",
            tenant: None,
            subject: &batch.id.to_string(),
            before: None,
            after: Some(json!({
                "name": batch.name,
                "value": batch.value,
                "count": batch.count,
                "expires_at": batch.expires_at.to_rfc3339(),
            })),
        };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok::<_, VoucherError>(Ok((batch, codes)))
    });
    match made.await?.map_err(|error| failed(&request, error))? {
        Ok((batch, codes)) => show(&request, page, &batch, &codes),
        Err(other) => {
            let words = page.say(
                "A batch of this name exists. None was made now. If this form made it, its codes were in the answer to the first time and are not shown again.",
                "已有同名批次，本次没有生成。如果该批次由此表单生成，其兑换码仅在首次提交的回复中显示，不会再次显示。",
            );
            let wrongs = Wrongs::one("name", words);
            page::show_again(&request, page, &Form { page, fields: &fields, wrongs, other: Some(other) })
        }
    }
}

impl Fields {
    /// The batch that is meant, and how many codes it has, if it can be made.
    ///
    /// # Errors
    /// What no field is to blame for.
    fn batch(
        &self,
        page: &Page,
        created_by: String,
        now: Timestamp,
        wrongs: &mut Wrongs,
    ) -> Result<Option<(NewBatch, usize)>, VoucherError> {
        let zone = page.zone();
        let no_value =
            page.say("Give an amount above zero, such as 10 or 10.50.", "请填写大于零的金额，如 10 或 10.50。");
        let value = wrongs.read("value", &self.value, no_value, values::amount);
        let (english, chinese) =
            (format!("Give a whole number from 1 to {MOST_CODES}."), format!("请填写 1 至 {MOST_CODES} 的整数。"));
        let no_count = page.say(&english, &chinese);
        let count = wrongs.read("count", &self.count, no_count, str::parse::<usize>);
        let no_expiry = page.say(
            "Give a time from now such as 90d, or a day to come such as 2027-12-31.",
            "请填写时长（如 90d）或将来的日期（如 2027-12-31）。",
        );
        let expires_at = wrongs.read("expires", &self.expires, no_expiry, |text| match values::when(text) {
            Ok(when) => Ok(when.from(now)),
            Err(_) => moment::read(text, zone).ok_or(()),
        });
        let (Some(value), Some(count), Some(expires_at)) = (value, count, expires_at) else { return Ok(None) };
        let new = NewBatch { name: self.name.trim().to_owned(), value, expires_at, created_by };
        match new.check(count, now) {
            Ok(()) => return Ok(Some((new, count))),
            Err(VoucherError::BadName) => {
                let english = format!("A batch's name has 1 to {LONGEST_NAME} characters and no control characters.");
                let chinese = format!("批次名称须为 1 至 {LONGEST_NAME} 个字符，不含控制字符。");
                wrongs.add("name", page.say(&english, &chinese));
            }
            Err(VoucherError::BadValue(_)) => wrongs.add("value", no_value),
            Err(VoucherError::BadCount(_)) => wrongs.add("count", no_count),
            Err(VoucherError::BadExpiry(_)) => wrongs.add("expires", no_expiry),
            Err(error) => return Err(error),
        }
        Ok(None)
    }
}

fn show(request: &HttpRequest, page: &Page, batch: &Batch, codes: &[Code]) -> Handled {
    let mut lines = String::new();
    for code in codes {
        lines.push_str(code.expose().expose_secret());
        lines.push('\n');
    }
    let worth = batch.value.nanos().checked_mul(batch.count).map(Amount::from_nanos);
    let file = format!("data:text/csv;charset=utf-8,{}", escaped(&table(batch, codes)));
    page::show(request, page, &Made { page, batch, worth, codes: &lines, file })
}

/// The codes in rows, each with what it is worth and until when.
fn table(batch: &Batch, codes: &[Code]) -> String {
    let (value, expires_at) = (batch.value.to_string(), batch.expires_at.to_rfc3339());
    let mut rows = Rows::default();
    rows.add(["batch", "number", "code", "value", "expires_at"]);
    for (number, code) in (1_i64..).zip(codes) {
        let number = number.to_string();
        rows.add([batch.name.as_str(), &number, code.expose().expose_secret(), &value, &expires_at]);
    }
    String::from_utf8_lossy(&rows.take()).into_owned()
}

/// A text as part of an address: every byte but letters, digits and dashes as `%..`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_only_plain_characters() {
        assert_eq!(escaped("AB-1,\"小\"\r\n"), "AB-1%2C%22%E5%B0%8F%22%0D%0A");
    }
}
