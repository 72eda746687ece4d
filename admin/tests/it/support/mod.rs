//! What the tests of all pages stand on.

mod books;
mod browser;
pub(crate) mod console;
mod csv;
mod many;
mod reply;
mod scene;
mod traffic;

pub(crate) use browser::{Begun, Browser};
pub(crate) use csv::csv;
pub(crate) use reply::Reply;
pub(crate) use scene::{PASSWORD, Scene};
pub(crate) use traffic::{Call, Paid, amount, tally, tried};

/// A name with everything that a page could take for something else.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}😀";

/// Where [`HOSTILE`] stands in a page as text: none of its markup is left.
pub(crate) const HOSTILE_AS_TEXT: &str = "&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;\u{202e}😀";
