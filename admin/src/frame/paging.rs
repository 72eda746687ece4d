//! Queries of links: a view's filters are in its URL, so that it can be sent to a colleague, and pages go by a key, never by an offset.

use std::str::FromStr;

use actix_web::HttpRequest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::page::{Cursor, Page as Found};
use shared::secret_key::without_keys;

use super::failure::{Failed, Problem};

/// Rows of one page.
pub(crate) const PAGE: usize = 50;

/// The query of a request, without what looks like a Secret Key: no page repeats one, whatever it was meant for.
pub(crate) fn asked(request: &HttpRequest) -> String {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(request.query_string()).unwrap_or_default();
    let plain: Vec<_> = pairs.into_iter().map(|(name, value)| (without_keys(name), without_keys(value))).collect();
    serde_urlencoded::to_string(plain).unwrap_or_default()
}

/// The filters in a page's own query. A query that cannot be read as such has none.
pub(crate) fn filters<T: DeserializeOwned + Default>(request: &HttpRequest) -> T {
    serde_urlencoded::from_str(&asked(request)).unwrap_or_default()
}

/// The same for a file, which would pass for what was asked for: what cannot be read is refused.
pub(crate) fn filters_of_file<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Failed> {
    serde_urlencoded::from_str(&asked(request)).map_err(|_| unread(request))
}

/// There is no file, since a filter could not be read.
pub(crate) fn unread(request: &HttpRequest) -> Failed {
    let (english, chinese) =
        ("A filter could not be read, so there is no file.", "有筛选条件无法识别，因此未生成文件。");
    Failed::new(request, Problem::Wrong(english.to_owned(), chinese.to_owned()))
}

/// The query of a link: those `pairs` whose value is not empty, escaped.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<&(&str, &str)> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    serde_urlencoded::to_string(pairs).unwrap_or_default()
}

/// The query of a link from a page's own filters (empty ones left out), with some of them set anew.
pub(crate) fn query_of(filters: &impl Serialize, changed: &[(&str, &str)]) -> String {
    let own = serde_urlencoded::to_string(filters).unwrap_or_default();
    let own: Vec<(String, String)> = serde_urlencoded::from_str(&own).unwrap_or_default();
    let kept = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let kept = kept.filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
    let pairs: Vec<(&str, &str)> = kept.chain(changed.iter().copied()).collect();
    query(&pairs)
}

/// Which page of a list an address asks for: the one behind a row, or the one in front of it; else the first one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Place {
    older: String,
    newer: String,
}

impl Place {
    /// The place in a page's own query.
    pub(crate) fn asked(request: &HttpRequest) -> Self {
        filters(request)
    }

    /// The same for a list whose rows are named by `K`. What names none asks for the first page.
    pub(crate) fn cursor<K: FromStr>(&self) -> Cursor<K> {
        match (self.older.parse(), self.newer.parse()) {
            (Ok(key), _) => Cursor::Behind(key),
            (_, Ok(key)) => Cursor::Before(key),
            _ => Cursor::First,
        }
    }

    /// Whether it is the first page.
    pub(crate) const fn is_first(&self) -> bool {
        self.older.is_empty() && self.newer.is_empty()
    }
}

/// The links to the other pages of a list. Templates say `{% include "pager.html" %}`.
#[derive(Debug)]
pub(crate) struct Pager {
    /// The list's address.
    path: String,
    /// Its rows go by their numbers, and not from the newest one on.
    is_numbered: bool,
    /// The query of its first page, from where this is another one.
    first: Option<String>,
    /// The query of the page in front of this one, if there is one.
    newer: Option<String>,
    /// The query of the page behind this one, if there is one.
    older: Option<String>,
}

impl Pager {
    /// The links of the page `found`, which was asked for at `place`; `key` names a row.
    pub(crate) fn of<T>(
        path: impl Into<String>,
        filters: &impl Serialize,
        place: &Place,
        found: &Found<T>,
        key: impl Fn(&T) -> String,
    ) -> Self {
        let link = |name, row: &T| query_of(filters, &[(name, &key(row))]);
        Self {
            path: path.into(),
            is_numbered: false,
            first: (!place.is_first()).then(|| query_of(filters, &[])),
            newer: found.rows.first().filter(|_| found.has_before).map(|row| link("newer", row)),
            older: found.rows.last().filter(|_| found.has_more).map(|row| link("older", row)),
        }
    }

    /// The same of a list whose rows go by their numbers.
    pub(crate) fn numbered(self) -> Self {
        Self { is_numbered: true, ..self }
    }

    /// That of a list with one page.
    pub(crate) fn of_one_page(path: impl Into<String>) -> Self {
        Self { path: path.into(), is_numbered: false, first: None, newer: None, older: None }
    }

    /// The address of the page with this query.
    pub(crate) fn address(&self, query: &str) -> String {
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// The links, in their order: what they are called in English and Chinese, how they stand to this page, and where they lead.
    pub(crate) fn links(&self) -> Vec<(&'static str, &'static str, &'static str, String)> {
        let words = if self.is_numbered {
            [("First", "首页"), ("Previous", "上一页"), ("Next", "下一页")]
        } else {
            [("Newest", "最新"), ("Newer", "较新"), ("Older", "更早")]
        };
        let queries = [(&self.first, "first"), (&self.newer, "prev"), (&self.older, "next")];
        let links = words.into_iter().zip(queries);
        let link = |((english, chinese), (query, rel)): (_, (&Option<String>, _))| {
            query.as_ref().map(|query| (english, chinese, rel, self.address(query)))
        };
        links.filter_map(link).collect()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_link_keeps_the_filters_and_escapes_them() {
        #[derive(Serialize)]
        struct Filters {
            tenant: Option<i64>,
            model: &'static str,
            before: &'static str,
        }
        let filters = Filters { tenant: None, model: "a&b=<小一>", before: "9" };
        assert_eq!(query_of(&filters, &[("before", "7")]), "model=a%26b%3D%3C%E5%B0%8F%E4%B8%80%3E&before=7");
        assert_eq!(query_of(&filters, &[("before", "")]), "model=a%26b%3D%3C%E5%B0%8F%E4%B8%80%3E");
    }

    #[test]
    fn a_key_in_an_address_is_not_repeated() {
        let request = TestRequest::with_uri("/calls?model=sk%2DxyAb9&a=b%26c&sk-xyAb9=+1");
        assert_eq!(asked(&request.to_http_request()), "model=sk-xy...&a=b%26c&sk-xy...=+1");
    }

    #[test]
    fn pages_lead_to_and_fro() {
        let links = |query: &str, found: &Found<i64>| {
            let request = TestRequest::with_uri(&format!("/list?{query}")).to_http_request();
            let filters = [("tenant", "7"), ("q", "")];
            let pager = Pager::of("/list", &filters, &Place::asked(&request), found, ToString::to_string);
            pager.links().into_iter().map(|(.., rel, address)| format!("{rel} {address}")).collect::<Vec<_>>()
        };
        let page = |rows: &[i64], has_before, has_more| Found { rows: rows.to_vec(), has_more, has_before };
        assert_eq!(links("", &page(&[9, 8], false, false)), [""; 0]);
        assert_eq!(links("", &page(&[9, 8], false, true)), ["next /list?tenant=7&older=8"]);
        let all = ["first /list?tenant=7", "prev /list?tenant=7&newer=7", "next /list?tenant=7&older=6"];
        assert_eq!(links("older=8", &page(&[7, 6], true, true)), all);
        assert_eq!(
            links("newer=7", &page(&[9, 8], false, true)),
            ["first /list?tenant=7", "next /list?tenant=7&older=8"]
        );
        assert_eq!(links("older=x", &page(&[], false, false)), ["first /list?tenant=7"]);
    }

    #[test]
    fn a_place_is_behind_a_row_or_in_front_of_it() {
        let cursor = |query: &str| {
            Place::asked(&TestRequest::with_uri(&format!("/list?{query}")).to_http_request()).cursor::<i64>()
        };
        assert_eq!(cursor("older=7"), Cursor::Behind(7));
        assert_eq!(cursor("newer=7"), Cursor::Before(7));
        assert_eq!(cursor("newer=7&older=8"), Cursor::Behind(8));
        for query in ["", "older=x", "newer=&q=7"] {
            assert_eq!(cursor(query), Cursor::First);
        }
    }
}
