//! Patterns for `LIKE ? ESCAPE '!'`.

/// The pattern of every text that has `part` in it. With `lower(..)` around both sides, capitals do not matter (on SQLite those of ASCII).
/// PostgreSQL's texts cannot hold U+0000, so nothing is looked for there.
pub(crate) fn containing(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars().filter(|character| *character != '\0') {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::containing;

    #[test]
    fn a_part_stands_for_itself() {
        assert_eq!(containing(""), "%%");
        assert_eq!(containing("a_100%!\0小"), "%a!_100!%!!小%");
    }
}
