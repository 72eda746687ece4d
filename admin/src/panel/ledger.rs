//! The ledger: its lines with the balance after each, of all tenants or one; what the house's accounts hold; and what the last audit found.

mod export;

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::db::{Connection, DbError};
use shared::id::TenantId;
use shared::ledger::{
    self, Balance, HouseBalances, LastAudits, LedgerLine, LineFilter, LineKind, LinePage, LineSide, LineSum, LineSums,
};
use shared::money::Amount;
use shared::tenant;

pub(super) use self::export::export;
use super::Panel;
use super::access::{May, Read};
use super::list_filters::{read_period, read_tenant};
use crate::frame::failure::{Failed, Handled};
use crate::frame::language::Language;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Place, query_of};
use crate::frame::wrongs::Wrongs;

/// What the address says. Empty is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
struct Typed {
    /// An id, or a whole name.
    tenant: String,
    kind: String,
    /// A part of it.
    reference: String,
    from: String,
    to: String,
}

impl Typed {
    /// Reads it; a tenant's name is looked up. What cannot be understood is left out, and said in `language`.
    fn understand(
        &self,
        connection: &mut Connection,
        language: Language,
        zone: Tz,
    ) -> Result<(LineFilter, Wrongs), DbError> {
        let mut wrongs = Wrongs::default();
        let tenant = read_tenant(connection, &self.tenant, language, &mut wrongs)?;
        let kind = match self.kind.as_str() {
            "" => None,
            word => {
                let kind = word.parse();
                kind.map_err(|_| wrongs.add("kind", language.say("There is no such kind.", "没有该类型。"))).ok()
            }
        };
        let (from, to) = read_period(&self.from, &self.to, language, zone, &mut wrongs);
        let reference = self.reference.trim();
        wrongs.check_part("reference", reference, language);
        let reference = (!reference.is_empty()).then(|| reference.to_owned());
        Ok((LineFilter { tenant, kind, reference, from, to }, wrongs))
    }

    fn is_filtered(&self) -> bool {
        *self != Self::default()
    }

    /// The query of a link to the same with one thing changed, from the newest on.
    fn query(&self, name: &str, value: &str) -> String {
        query_of(self, &[(name, value)])
    }
}

/// The page.
#[derive(Template)]
#[template(path = "panel/ledger.html")]
struct LedgerPage<'a> {
    page: &'a Page,
    typed: &'a Typed,
    wrongs: &'a Wrongs,
    /// The balance of the one tenant that is shown.
    balance: Option<Balance>,
    house: HouseBalances,
    audits: LastAudits,
    lines: LinePage,
    /// Of all pages.
    sums: LineSums,
    names: BTreeMap<TenantId, String>,
}

impl LedgerPage<'_> {
    fn name(&self, tenant: &TenantId) -> &str {
        self.names.get(tenant).map_or("", String::as_str)
    }

    fn older(&self) -> Option<String> {
        self.lines.older.map(|id| self.typed.query("older", &id.to_string()))
    }

    fn newer(&self) -> Option<String> {
        self.lines.newer.map(|id| self.typed.query("newer", &id.to_string()))
    }

    /// The house's accounts, each with its name.
    fn accounts(&self) -> [(&str, Option<Amount>); 5] {
        let say = |english, chinese| self.page.say(english, chinese);
        let HouseBalances { cash, promotion, revenue, write_off, customers } = self.house;
        [
            (say("All customers", "全体客户"), customers),
            (say("Revenue", "收入"), revenue),
            (say("Cash: paid in", "现金：客户付款"), cash),
            (say("Promotion: redeem codes", "赠送：兑换码"), promotion),
            (say("Write-off: borne by the house", "核销：平台承担"), write_off),
        ]
    }

    /// What a sum is of.
    fn summed(&self, sum: &LineSum) -> &'static str {
        let (english, chinese) = match (sum.kind, sum.side) {
            (LineKind::TopUp, _) => ("Top-ups", "充值"),
            (LineKind::Capture, _) => ("Charges", "扣费"),
            (LineKind::Reversal, LineSide::ToCustomers) => ("Charges given back", "退回扣费"),
            (LineKind::Reversal, LineSide::FromCustomers) => ("Top-ups reversed", "充值冲正"),
            (LineKind::Reversal, LineSide::House) => {
                ("Write-offs reversed, between accounts of the house", "核销冲正（平台账户之间）")
            }
            (LineKind::WriteOff, _) => ("Written off, between accounts of the house", "核销（平台账户之间）"),
        };
        self.page.say(english, chinese)
    }

    /// Where a line leads: the call, or the top-up, that it is about.
    fn path(&self, line: &LedgerLine) -> Option<String> {
        match (line.request_id, line.reverses) {
            (Some(request_id), _) => Some(format!("/calls/{request_id}")),
            (None, Some(top_up)) => Some(format!("/top-ups/{top_up}")),
            (None, None) => line.reference.is_some().then(|| format!("/top-ups/{}", line.id)),
        }
    }
}

/// Shows it.
pub(super) async fn show(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let typed: Typed = paging::filters(&request);
    let (asked, cursor) = (typed.clone(), Place::asked(&request).cursor());
    let (language, zone) = (staff.page.language, panel.side.zone);
    let read = panel.database.read_records(move |connection| {
        let (filter, wrongs) = asked.understand(connection, language, zone)?;
        let lines = ledger::lines(connection, &filter, cursor, PAGE)?;
        let sums = ledger::line_sums(connection, &filter)?;
        let names = tenant::names(connection, lines.lines.iter().filter_map(|line| line.tenant))?;
        let balance = match filter.tenant {
            Some(tenant) => ledger::balance(connection, tenant)?,
            None => None,
        };
        let (house, audits) = (ledger::house_balances(connection)?, ledger::last_audits(connection)?);
        Ok((wrongs, (lines, sums), names, balance, house, audits))
    });
    let (wrongs, (lines, sums), names, balance, house, audits) =
        read.await.map_err(|error| Failed::database(&request, &error))?;
    let (page, typed, wrongs) = (&staff.page, &typed, &wrongs);
    page::show(&request, page, &LedgerPage { page, typed, wrongs, balance, house, audits, lines, sums, names })
}
