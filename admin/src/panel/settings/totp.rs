//! Codes of an authenticator: setting one up, confirming it by a first code, and turning it off.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use secrecy::ExposeSecret;
use serde::Deserialize;
use shared::db::DbError;
use shared::staff::{RecoveryCode, StaffError, TotpSetup};

use super::super::Panel;
use super::super::access::{Anybody, May};
use super::super::staff::failed;
use super::{again, oneself};
use crate::frame::failure::Failed;
use crate::frame::failure::{Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::posted::Posted;
use crate::frame::qr::Qr;
use crate::frame::wrongs::Wrongs;

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Code {
    /// Empty: the secret is to be shown.
    code: String,
    password: String,
}

#[derive(Template)]
#[template(path = "panel/settings/totp.html")]
struct SetUp<'a> {
    page: &'a Page,
    setup: TotpSetup,
    /// The secret in groups of four, as it is typed.
    groups: String,
    qr: Option<Qr>,
    wrongs: &'a Wrongs,
}

#[derive(Template)]
#[template(path = "panel/settings/recovery.html")]
struct Recovery<'a> {
    page: &'a Page,
    codes: Vec<RecoveryCode>,
}

impl Recovery<'_> {
    /// All codes, one a line, to be copied.
    fn all(&self) -> String {
        self.codes.iter().map(RecoveryCode::expose).collect::<Vec<_>>().join("\n")
    }
}

/// Shows the secret; with a code of it and the password, asks for codes from now on and shows the recovery codes this one time.
pub(in crate::panel) async fn turn_on(
    request: HttpRequest,
    staff: May<Anybody>,
    panel: Data<Panel>,
    Posted(Code { code, password }): Posted<Code>,
) -> Handled {
    let page = &staff.page;
    if code.trim().is_empty() {
        return set_up(&request, &staff, &panel, &Wrongs::default()).await;
    }
    match panel.reception.turn_totp_on(oneself(&staff), password.into(), &code).await {
        Ok(codes) => page::show(&request, page, &Recovery { page, codes }),
        Err(StaffError::WrongCode) => {
            let english = "This code is wrong. Enter the one that the authenticator shows now.";
            let wrongs = Wrongs::one("code", page.say(english, "验证码错误。请输入验证器当前显示的数字。"));
            set_up(&request, &staff, &panel, &wrongs).await
        }
        Err(StaffError::WrongPassword) => {
            let wrongs = Wrongs::one("password", page.say("This is not your password.", "密码不正确。"));
            set_up(&request, &staff, &panel, &wrongs).await
        }
        Err(error) => Err(on_already(&request, error)),
    }
}

async fn set_up(request: &HttpRequest, staff: &May<Anybody>, panel: &Panel, wrongs: &Wrongs) -> Handled {
    let page = &staff.page;
    // The secret is for nobody whose session was ended meanwhile.
    let looked: Result<(), DbError> = staff.write(request, panel, |_| Ok(())).await?;
    looked.map_err(|error| Failed::database(request, &error))?;
    let setup = panel.reception.set_totp_up(staff.staff.id).await.map_err(|error| on_already(request, error))?;
    let secret: Vec<char> = setup.secret.expose_secret().chars().collect();
    let groups = secret.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ");
    let label = page.say("The secret as a QR code, for an authenticator", "供验证器扫描的二维码");
    let qr = Qr::of(setup.uri.expose_secret(), label);
    let template = SetUp { page, setup, groups, qr, wrongs };
    if wrongs.is_empty() { page::show(request, page, &template) } else { page::show_again(request, page, &template) }
}

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Password {
    password: String,
}

/// Asks for codes no more.
pub(in crate::panel) async fn turn_off(
    request: HttpRequest,
    staff: May<Anybody>,
    panel: Data<Panel>,
    Posted(Password { password }): Posted<Password>,
) -> Handled {
    match panel.reception.turn_totp_off(oneself(&staff), password.into()).await {
        Ok(()) => page::go_to("/settings?done=totp-off"),
        Err(StaffError::WrongPassword) => {
            let text = staff.page.say("This is not your password.", "密码不正确。");
            again(&request, &staff, &panel, &Wrongs::one("password", text)).await
        }
        Err(error) => Err(failed(&request, error)),
    }
}

/// The form was sent a second time, or from a page of before.
fn on_already(request: &HttpRequest, error: StaffError) -> Failed {
    match error {
        StaffError::TotpIsOn => Failed::new(
            request,
            Problem::Wrong(
                "Codes are on already. The recovery codes were shown when they were turned on, and are not shown again.".to_owned(),
                "验证码已开启。恢复码在开启时已显示，不再显示。".to_owned(),
            ),
        ),
        error => failed(request, error),
    }
}
