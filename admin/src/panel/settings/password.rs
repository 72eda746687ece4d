//! Sets another password, which ends all other sessions of the person.

use actix_web::HttpRequest;
use actix_web::web::Data;
use serde::Deserialize;
use shared::staff::StaffError;

use super::super::Panel;
use super::super::access::{Anybody, May};
use super::super::entrance::words_for_password;
use super::super::staff::failed;
use super::{again, oneself};
use crate::frame::failure::Handled;
use crate::frame::page;
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    old: String,
    new: String,
    /// The new one again.
    again: String,
}

/// Sets it.
pub(in crate::panel) async fn change(
    request: HttpRequest,
    staff: May<Anybody>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let page = &staff.page;
    let wrongs = if fields.new == fields.again {
        match panel.reception.change_password(oneself(&staff), fields.old.into(), fields.new.into()).await {
            Ok(()) => return page::go_to("/settings?done=password"),
            Err(StaffError::WrongPassword) => {
                Wrongs::one("old", page.say("This is not your present password.", "当前密码不正确。"))
            }
            Err(StaffError::WeakPassword(weak)) => Wrongs::one("new", words_for_password(weak, page)),
            Err(error) => return Err(failed(&request, error)),
        }
    } else {
        Wrongs::one("again", page.say("The two passwords are not the same.", "两次输入的密码不一致。"))
    };
    again(&request, &staff, &panel, &wrongs).await
}
