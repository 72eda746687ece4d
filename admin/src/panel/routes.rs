//! Which path of the panel is answered by which file. Every page but those for signing in has a right in its handler's signature.

use actix_web::web::{self, ServiceConfig};

use super::{
    audit, call, channels, codes, dashboard, entrance, keys, ledger, models, search, settings, staff, tenants, top_ups,
    usage,
};
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
        .service(page("/dashboard/live").get(dashboard::show_live))
        .service(page("/search").get(search::show))
        .service(page("/usage").get(usage::show))
        .service(page("/usage.csv").get(usage::export))
        .service(page("/calls/{request_id}").get(call::show))
        .service(page("/ledger").get(ledger::show))
        .service(page("/ledger.csv").get(ledger::export))
        .service(page("/tenants").get(tenants::list).post(tenants::create))
        .service(page("/tenants/new").get(tenants::new))
        .service(page("/tenants/{id}").get(tenants::show))
        .service(page("/tenants/{id}/suspend").get(tenants::ask_to_suspend).post(tenants::suspend))
        .service(page("/tenants/{id}/resume").get(tenants::ask_to_resume).post(tenants::resume))
        .service(page("/tenants/{id}/notes").post(tenants::add_note))
        .service(page("/tenants/{id}/block-user").post(tenants::block_user))
        .service(page("/tenants/{id}/unblock-user").post(tenants::unblock_user))
        .service(page("/keys").get(keys::list).post(keys::issue))
        .service(page("/keys/new").get(keys::new))
        .service(page("/keys/{kid}").get(keys::show))
        .service(page("/keys/{kid}/revoke").get(keys::ask_to_revoke).post(keys::revoke))
        .service(page("/keys/{kid}/rotate").get(keys::ask_to_rotate).post(keys::rotate))
        .service(page("/top-ups").get(top_ups::list).post(top_ups::book))
        .service(page("/top-ups.csv").get(top_ups::export))
        .service(page("/top-ups/new").get(top_ups::new))
        .service(page("/top-ups/confirm").post(top_ups::confirm))
        .service(page("/top-ups/{id}").get(top_ups::show))
        .service(page("/top-ups/{id}/reverse").get(top_ups::ask_to_reverse).post(top_ups::reverse))
        .service(page("/codes").get(codes::list).post(codes::make))
        .service(page("/codes/new").get(codes::new))
        .service(page("/codes/{id}").get(codes::show))
        .service(page("/codes/{id}/revoke").get(codes::ask_to_revoke).post(codes::revoke))
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
