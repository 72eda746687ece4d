//! Which path of the panel is answered by which file. Every page but those for signing in has a right in its handler's signature.

use actix_web::web::{self, ServiceConfig};

use super::{audit, channels, dashboard, entrance, models, settings, staff};
use crate::frame::assets;
use crate::frame::failure::Handled;
use crate::frame::page::go_to;
use crate::frame::refuse::{nothing, resource as page};

/// All of them.
pub(super) fn add(config: &mut ServiceConfig) {
    config
        .service(page("/").get(home))
        .service(page("/assets/{file}").get(assets::send))
        .service(page("/invitation/{token}").get(entrance::show_invitation).post(entrance::accept))
        .service(page("/sign-in").get(entrance::sign_in_form).post(entrance::sign_in))
        .service(page("/sign-in/code").get(entrance::ask_code).post(entrance::enter_code))
        .service(page("/sign-out").post(entrance::sign_out))
        .service(page("/dashboard").get(dashboard::show))
        .service(page("/channels").get(channels::list).post(channels::add))
        .service(page("/channels/new").get(channels::form))
        .service(page("/channels/{name}").get(channels::show))
        .service(page("/channels/{name}/test").post(channels::ask))
        .service(page("/channels/{name}/enable").post(channels::enable))
        .service(page("/channels/{name}/disable").post(channels::disable))
        .service(page("/models").get(models::list))
        .service(page("/models/{name}").get(models::show))
        .service(page("/models/{name}/price").post(models::set))
        .service(page("/audit").get(audit::list))
        .service(page("/audit.csv").get(audit::export))
        .service(page("/staff").get(staff::list))
        .service(page("/staff/invite").post(staff::invite))
        .service(page("/staff/{id}/role").post(staff::change_role))
        .service(page("/staff/{id}/disable").post(staff::disable))
        .service(page("/settings").get(settings::show))
        .service(page("/settings/password").post(settings::change_password))
        .service(page("/settings/totp").post(settings::turn_totp_on))
        .service(page("/settings/totp/off").post(settings::turn_totp_off))
        .service(page("/settings/language").post(settings::set_language))
        .service(page("/settings/theme").post(settings::set_theme))
        .default_service(web::to(nothing));
}

async fn home() -> Handled {
    go_to("/dashboard")
}
