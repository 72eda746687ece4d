//! The query of an address: a few names, each given once.

use actix_web::HttpRequest;
use actix_web::web::Query;
use shared::refusal::{Reason, Refusal};

/// The values of these names, in the same order; `None` where a name is not given. Other names are ignored.
///
/// # Errors
/// The name that is given twice.
pub(crate) fn read<const COUNT: usize>(
    request: &HttpRequest,
    names: [&str; COUNT],
) -> Result<[Option<String>; COUNT], Refusal> {
    values(request.query_string(), names)
}

fn values<const COUNT: usize>(query: &str, names: [&str; COUNT]) -> Result<[Option<String>; COUNT], Refusal> {
    let pairs = Query::<Vec<(String, String)>>::from_query(query).map_err(|_| {
        let message = "the query of the address cannot be read: write it as name=value&name=value";
        Refusal::new(Reason::InvalidParameter, message)
    })?;
    let mut values = [const { None }; COUNT];
    for (name, value) in pairs.into_inner() {
        let Some(place) = names.iter().position(|known| *known == name) else { continue };
        if values[place].replace(value).is_some() {
            let message = format!("{name} is given more than once in the query of the address; give it once");
            return Err(Refusal::of_field(Reason::InvalidParameter, name, message));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", [None, None])]
    #[case::one("to=2026-01-31", [None, Some("2026-01-31")])]
    #[case::both_escaped("to=a%20b&from=%E4%BD%A0", [Some("你"), Some("a b")])]
    #[case::empty("from=&to", [Some(""), Some("")])]
    #[case::others_even_twice("x=1&x=2&from=3&From=4", [Some("3"), None])]
    #[case::nonsense("&&=&%00=%zz&from=%ff", [Some("\u{fffd}"), None])]
    fn what_is_given(#[case] query: &str, #[case] expected: [Option<&str>; 2]) {
        assert_eq!(values(query, ["from", "to"]).unwrap(), expected.map(|value| value.map(str::to_owned)));
    }

    #[rstest]
    #[case("from=1&from=2", "from")]
    #[case("from=1&to=2&to=2", "to")]
    #[case("x=1&x=2&to&%74o=", "to")]
    fn a_name_that_is_given_twice(#[case] query: &str, #[case] name: &str) {
        let refusal = values(query, ["from", "to"]).unwrap_err();
        assert_eq!((refusal.reason, refusal.param.as_deref()), (Reason::InvalidParameter, Some(name)));
        assert_eq!(
            refusal.message,
            format!("{name} is given more than once in the query of the address; give it once")
        );
    }
}
