//! One call: who made it, its way through queue and channels, and what it cost, with the arithmetic.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use shared::blocked_users::{self, BlockedUser};
use shared::calls::{self, CallDetail};
use shared::id::RequestId;
use shared::ledger::SettlementOutcome;
use shared::money::Amount;
use shared::staff::Right;
use shared::tenant;

use super::Panel;
use super::access::{May, Read};
use crate::frame::arithmetic::{self, Arithmetic};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::{paging, words};

#[derive(Template)]
#[template(path = "panel/call.html")]
struct Call<'a> {
    page: &'a Page,
    call: CallDetail,
    tenant_name: String,
    arithmetic: Option<Arithmetic>,
    /// Since when the end user's calls are refused.
    blocked: Option<BlockedUser>,
    may_block: bool,
}

impl Call<'_> {
    /// The end user, from what is kept of the call or from its charge.
    fn end_user(&self) -> Option<&str> {
        let noted = self.call.row.as_ref().and_then(|row| row.end_user.as_deref());
        noted.or_else(|| self.call.charge.as_ref().and_then(|charge| charge.end_user.as_deref()))
    }

    /// The query of all calls of an end user.
    fn query_of(&self, end_user: &str) -> String {
        paging::query(&[("tenant", &self.call.tenant.to_string()), ("user", end_user)])
    }

    fn nanos(&self, nanos: &i64) -> Amount {
        Amount::from_nanos(*nanos)
    }

    /// How the hold ended, and the class that shows it.
    fn outcome(&self) -> (&'static str, &str) {
        let say = |english, chinese| self.page.say(english, chinese);
        match self.call.settlement.as_ref().map(|settlement| settlement.outcome) {
            None => ("warn", say("open: the call is running, or its end is awaited", "未结算：调用仍在进行或等待结束")),
            Some(SettlementOutcome::Captured) => ("good", say("charged", "已扣费")),
            Some(SettlementOutcome::Voided) => ("off", say("released, nothing charged", "已释放，未扣费")),
            Some(SettlementOutcome::Expired) => (
                "off",
                say("expired, nothing charged: whoever ran the call never came back", "已过期，未扣费：执行方未返回"),
            ),
        }
    }
}

/// Shows it.
pub(super) async fn show(
    request: HttpRequest,
    staff: May<Read>,
    panel: Data<Panel>,
    request_id: Path<String>,
) -> Handled {
    let not_found = || Failed::new(&request, Problem::NotFound);
    let request_id: RequestId = request_id.parse().map_err(|_| not_found())?;
    let read = panel.database.read_records(move |connection| {
        let Some(call) = calls::detail(connection, request_id)? else { return Ok(None) };
        let name = tenant::names(connection, [call.tenant])?.remove(&call.tenant);
        let row_user = call.row.as_ref().and_then(|row| row.end_user.as_deref());
        let user = row_user.or_else(|| call.charge.as_ref().and_then(|charge| charge.end_user.as_deref()));
        let blocked = match user {
            Some(user) => blocked_users::find(connection, call.tenant, user)?,
            None => None,
        };
        Ok(Some((call, name.unwrap_or_default(), blocked)))
    });
    let found = read.await.map_err(|error| Failed::database(&request, &error))?;
    let (call, tenant_name, blocked) = found.ok_or_else(not_found)?;
    let mut page = staff.page.clone();
    "/usage".clone_into(&mut page.here);
    let arithmetic = call.charge.as_ref().map(|charge| arithmetic::of(charge, page.language));
    let may_block = staff.may(Right::BlockUsers);
    page::show(&request, &page, &Call { page: &page, call, tenant_name, arithmetic, blocked, may_block })
}
