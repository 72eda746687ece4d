//! Queries of links: a view's filters are in its URL, so that it can be sent to a colleague, and pages go by a key, never by an offset.

use actix_web::HttpRequest;
use serde::Serialize;
use serde::de::DeserializeOwned;
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

/// The links to the other pages of a list that is read from its newest row on.
#[derive(Debug)]
pub(crate) struct Pager {
    /// The list's address.
    pub(crate) path: String,
    /// The query of its first page, from where this is another one.
    pub(crate) newest: Option<String>,
    /// The query of the page behind this one, if there is one.
    pub(crate) older: Option<String>,
}

impl Pager {
    /// The links of a page that begins behind the row `before` (empty: at the newest); `last` is its last row where the list goes on.
    pub(crate) fn of(path: impl Into<String>, filters: &impl Serialize, before: &str, last: Option<String>) -> Self {
        Self {
            path: path.into(),
            newest: (!before.is_empty()).then(|| query_of(filters, &[("before", "")])),
            older: last.map(|last| query_of(filters, &[("before", &last)])),
        }
    }
}

/// Takes one row more than a page holds, and gives whether there was one: then there is another page.
pub(crate) fn cut<T>(rows: &mut Vec<T>) -> bool {
    let has_more = rows.len() > PAGE;
    rows.truncate(PAGE);
    has_more
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
    fn a_page_is_cut() {
        let mut rows: Vec<usize> = (0..=PAGE).collect();
        assert!(cut(&mut rows));
        assert_eq!(rows.len(), PAGE);
        assert!(!cut(&mut rows));
    }
}
