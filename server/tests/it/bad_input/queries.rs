//! Queries of the records that cannot be read.

use super::{Victim, refused, refused_field};
use crate::support::raw::{Request, ask};

/// The path with its query, and the parameter at fault.
const WRONG: &[(&str, &str)] = &[
    ("/ledger?limit=0", "limit"),
    ("/ledger?limit=-1", "limit"),
    ("/ledger?limit=1001", "limit"),
    ("/ledger?limit=ten", "limit"),
    ("/ledger?limit=1e2", "limit"),
    ("/ledger?limit=1.0", "limit"),
    ("/ledger?limit=%2010", "limit"),
    ("/ledger?limit=99999999999999999999999", "limit"),
    ("/ledger?limit=%00", "limit"),
    ("/ledger?limit=%FF%FE", "limit"),
    ("/ledger?limit=%EF%BC%91", "limit"),
    ("/ledger?cursor=0", "cursor"),
    ("/ledger?cursor=-7", "cursor"),
    ("/ledger?cursor=abc", "cursor"),
    ("/ledger?cursor=9223372036854775808", "cursor"),
    ("/ledger?cursor='%20OR%201=1", "cursor"),
    ("/usage?from=yesterday", "from"),
    ("/usage?from=2026-02-30", "from"),
    ("/usage?from=2026-1-1", "from"),
    ("/usage?from=1769817600", "from"),
    ("/usage?from=2026-01-31T08:00:00", "from"),
    ("/usage?from=%00%00%00%00-%00%00-%00%00", "from"),
    ("/usage?from=2026-01-01&to=never", "to"),
    ("/usage?from=2026-01-01&to=2026-13-01", "to"),
    ("/usage?from=2026-02-01&to=2026-01-01", "from"),
    ("/usage?from=2026-02-01&to=2026-02-01", "from"),
    ("/usage?from=9999-12-31", "from"),
    ("/usage?from=2000-01-01&to=2026-01-01", "from"),
    ("/usage?group_by=hour", "group_by"),
    ("/usage?group_by=Day", "group_by"),
    ("/usage?group_by=%E4%BD%A0", "group_by"),
    ("/usage?group_by=model%00", "group_by"),
    ("/dashboard/billing/usage?start_date=x", "start_date"),
    ("/dashboard/billing/usage?start_date=2026-01-01&end_date=2025-01-01", "start_date"),
    ("/dashboard/billing/usage?end_date=2026-01-32", "end_date"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_cannot_be_read_are_refused() {
    let mut victim = Victim::start().await;
    for (path, param) in WRONG {
        let request = Request::get(&victim.under_a_prefix(path)).key(victim.key());
        victim.refuses(path, &request, refused_field(40002, param));
        let request = Request::get(&victim.under_a_prefix(path));
        victim.refuses("the key comes first", &request, refused(40100));
    }
    for (path, param) in [
        ("/ledger?limit=5&limit=6", "limit"),
        ("/usage?from=2026-01-01&from=2026-01-02", "from"),
        ("/usage?group_by=day&group_by=day", "group_by"),
    ] {
        let request = Request::get(&victim.under_a_prefix(path)).key(victim.key());
        victim.refuses(path, &request, refused_field(40002, param));
    }
    victim.goes_on().await;

    let long = format!("/ledger?unknown={}", "x".repeat(50_000));
    let allowed = [
        "/ledger?",
        "/ledger?&&&",
        "/ledger?=",
        "/ledger?limit=&cursor=",
        "/ledger?unknown=%zz",
        "/ledger?limit=5#limit=0",
        "/ledger?%00=%00",
        "/ledger?limit=1000&cursor=9223372036854775807",
        "/usage?from=2026-01-01T00:00:00+08:00",
        "/usage?from=0001-01-01&to=0001-01-02",
        "/dashboard/billing/usage?start_date=1970-01-01&end_date=1970-02-01",
        &long,
    ];
    for path in allowed {
        let request = Request::get(&victim.under_a_prefix(path)).key(victim.key());
        let reply = ask(&victim.base(), &request).unwrap_or_else(|| panic!("{path}: closed"));
        assert_eq!(reply.status, 200, "{path}: {}", reply.json());
    }
    victim.ends_unharmed().await;
}
