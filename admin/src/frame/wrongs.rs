//! What is wrong with a form, beside the field where it is wrong.

use std::fmt::{self, Display, Formatter};

use askama::filters::{Escaper, Html};
use shared::db::LONGEST_PART;

use super::language::Language;

/// What is wrong with the fields of a form. Templates say `{{ wrongs.mark("name") }}` inside the input and `{{ wrongs.text("name") }}`
/// behind it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wrongs(Vec<(&'static str, String)>);

impl Wrongs {
    /// Something is wrong with one field.
    pub(crate) fn one(field: &'static str, text: impl Into<String>) -> Self {
        let mut wrongs = Self::default();
        wrongs.add(field, text);
        wrongs
    }

    /// Something is wrong with a field; of a field the first thing counts.
    pub(crate) fn add(&mut self, field: &'static str, text: impl Into<String>) {
        if self.of(field).is_none() {
            self.0.push((field, text.into()));
        }
    }

    /// What stands in a field, without the space around it, as `read` understands it. What it does not is wrong, in these words.
    pub(crate) fn read<T, E>(
        &mut self,
        field: &'static str,
        text: &str,
        words: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match read(text.trim()) {
            Ok(value) => Some(value),
            Err(_) => {
                self.add(field, words);
                None
            }
        }
    }

    /// The same for a field that may be empty: then nothing is meant, and nothing is wrong.
    pub(crate) fn read_any<T, E>(
        &mut self,
        field: &'static str,
        text: &str,
        words: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if text.trim().is_empty() { None } else { self.read(field, text, words, read) }
    }

    /// Says so where a text is longer than anything that could be found by it.
    pub(crate) fn check_part(&mut self, field: &'static str, text: &str, language: Language) {
        if text.len() > LONGEST_PART {
            let text = match language {
                Language::English => format!("This is too long to be found: at most {LONGEST_PART} bytes."),
                Language::Chinese => format!("内容过长，无法搜索：最多 {LONGEST_PART} 字节。"),
            };
            self.add(field, text);
        }
    }

    /// Whether all is right.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attributes of a field that is wrong; nothing for one that is right.
    pub(crate) fn mark(&self, field: &'static str) -> Mark {
        Mark(self.of(field).map(|_| field))
    }

    /// What is wrong with a field, as an element; nothing for one that is right.
    pub(crate) fn text(&self, field: &'static str) -> Text<'_> {
        Text(self.of(field).map(|text| (field, text)))
    }

    /// The first thing that is wrong: for what has no fields to say it beside.
    pub(crate) fn first(&self) -> Option<&str> {
        self.0.first().map(|(_, text)| text.as_str())
    }

    fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }
}

/// See [`Wrongs::mark`].
pub(crate) struct Mark(Option<&'static str>);

impl askama::filters::HtmlSafe for Mark {}

impl Display for Mark {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(field) => write!(formatter, r#" aria-invalid="true" aria-describedby="{field}-error""#),
            None => Ok(()),
        }
    }
}

/// See [`Wrongs::text`].
pub(crate) struct Text<'a>(Option<(&'static str, &'a str)>);

impl askama::filters::HtmlSafe for Text<'_> {}

impl Display for Text<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Some((field, text)) = self.0 else { return Ok(()) };
        write!(formatter, r#"<span class="error" id="{field}-error">"#)?;
        Html.write_escaped_str(&mut *formatter, text)?;
        formatter.write_str("</span>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_wrong() {
        let mut wrongs = Wrongs::default();
        assert_eq!(wrongs.read("one", " 7 ", "a number", str::parse::<u8>), Some(7));
        assert_eq!(wrongs.read_any("two", " ", "a number", str::parse::<u8>), None);
        assert!(wrongs.is_empty());
        assert_eq!(wrongs.read("one", "", "a number", str::parse::<u8>), None);
        assert_eq!(wrongs.read_any("two", "7x", "another", str::parse::<u8>), None);
        assert_eq!((wrongs.of("one"), wrongs.of("two")), (Some("a number"), Some("another")));
    }

    #[test]
    fn only_what_is_wrong_is_marked() {
        let mut wrongs = Wrongs::default();
        assert!(wrongs.is_empty());
        wrongs.add("name", "<b> is no name");
        wrongs.add("name", "and it is too short");
        assert_eq!(wrongs.mark("name").to_string(), r#" aria-invalid="true" aria-describedby="name-error""#);
        let text = wrongs.text("name").to_string();
        assert!(
            text.starts_with(r#"<span class="error" id="name-error">"#) && text.ends_with("b&#62; is no name</span>"),
            "{text}"
        );
        assert_eq!(wrongs.mark("other").to_string() + &wrongs.text("other").to_string(), "");
    }
}
