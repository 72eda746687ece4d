//! What people may type into a field: a line of it, or several.

use std::ops::RangeInclusive;

/// Whether `text` is one line of so many characters, without control characters.
pub(crate) fn is_line(text: &str, characters: RangeInclusive<usize>) -> bool {
    characters.contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whether `text` is so many characters in one or several lines, without other control characters than the end of a line.
pub(crate) fn is_lines(text: &str, characters: RangeInclusive<usize>) -> bool {
    let is_allowed = |character: char| character == '\n' || !character.is_control();
    characters.contains(&text.chars().count()) && text.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty("", false, false)]
    #[case::line("a", true, true)]
    #[case::hanzi("小易", true, true)]
    #[case::as_long_as_may_be("小易好", true, true)]
    #[case::too_long("小易很好", false, false)]
    #[case::lines("a\nb", false, true)]
    #[case::tab("a\tb", false, false)]
    #[case::carriage_return("a\r", false, false)]
    #[case::nul("\0", false, false)]
    #[case::right_to_left("\u{202e}a", true, true)]
    fn lines(#[case] text: &str, #[case] one: bool, #[case] several: bool) {
        assert_eq!((is_line(text, 1..=3), is_lines(text, 1..=3)), (one, several));
    }
}
