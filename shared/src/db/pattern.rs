//! Patterns for `LIKE ? ESCAPE '!'`.

/// The longest text that is looked for as a part of another, in bytes. All that is looked through is shorter (at most 200 characters); and an
/// engine takes no pattern of any length.
pub const LONGEST_PART: usize = 1_024;

/// The pattern of every text that has `part` in it; `None` where nothing can have it. With `lower(..)` around both sides, capitals do not
/// matter (on SQLite those of ASCII).
pub(crate) fn containing(part: &str) -> Option<String> {
    // PostgreSQL's texts cannot hold U+0000, so no text of ours has it.
    if part.len() > LONGEST_PART || part.contains('\0') {
        return None;
    }
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_stands_for_itself() {
        assert_eq!(containing("").as_deref(), Some("%%"));
        assert_eq!(containing("a_100%!小").as_deref(), Some("%a!_100!%!!小%"));
        assert_eq!(containing("a\0"), None);
        assert_eq!(containing(&"a".repeat(LONGEST_PART)).map(|pattern| pattern.len()), Some(LONGEST_PART + 2));
        assert_eq!(containing(&"a".repeat(LONGEST_PART + 1)), None);
    }
}
