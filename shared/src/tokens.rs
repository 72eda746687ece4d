//! The estimate of tokens that calls are billed by: `tokens = hanzi + words x 1.3`, rounded down once per text.
//!
//! A hanzi is a Unicode unified ideograph. A word is a maximal run of characters that are none of: hanzi, Unicode
//! white space, punctuation (general category P, and the ASCII symbols). So `你好 world, GPT-4!` is 2 hanzi and 3
//! words: floor(2 + 3.9) = 5. Integer arithmetic only.

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// What one text holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextCount {
    /// Unified ideographs.
    pub hanzi: i64,
    /// Runs of other characters between hanzi, white space and punctuation.
    pub words: i64,
}

impl TextCount {
    /// Counts a whole text.
    pub fn of(text: &str) -> Self {
        let mut counter = TextCounter::default();
        counter.push(text);
        counter.count()
    }

    /// The tokens of this text: floor(hanzi + words x 1.3).
    pub const fn tokens(self) -> i64 {
        // 13 / 10 on the words alone is exact, because the hanzi are whole.
        self.hanzi.saturating_add(self.words.saturating_mul(13) / 10)
    }
}

/// Counts a text that arrives in pieces: however it was cut, the count is that of the whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextCounter {
    count: TextCount,
    /// Whether the last character belongs to a word, which the next piece may go on with.
    in_word: bool,
}

impl TextCounter {
    /// Adds the next piece of the text.
    pub fn push(&mut self, piece: &str) {
        for character in piece.chars() {
            match Class::of(character) {
                Class::Word => {
                    self.count.words += i64::from(!self.in_word);
                    self.in_word = true;
                }
                Class::Separator => self.in_word = false,
                Class::Hanzi => {
                    self.count.hanzi += 1;
                    self.in_word = false;
                }
            }
        }
    }

    /// The count of the text so far. A word at its end is already counted.
    pub const fn count(&self) -> TextCount {
        self.count
    }
}

/// A sum over texts, the tokens of each rounded down by itself. Sums stop at `i64::MAX` instead of overflowing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many texts were added.
    pub texts: i64,
    /// Unified ideographs in all of them.
    pub hanzi: i64,
    /// Words in all of them.
    pub words: i64,
    /// Tokens: the texts' own, and those that were never text (token arrays, images in messages).
    pub tokens: i64,
}

impl Tally {
    /// Counts and adds one text.
    pub fn add_text(&mut self, text: &str) {
        self.add_count(TextCount::of(text));
    }

    /// Adds one text that is counted already.
    pub const fn add_count(&mut self, count: TextCount) {
        self.texts = self.texts.saturating_add(1);
        self.hanzi = self.hanzi.saturating_add(count.hanzi);
        self.words = self.words.saturating_add(count.words);
        self.add_tokens(count.tokens());
    }

    /// Adds tokens that are not text: the length of a token array, the setting for an image.
    pub const fn add_tokens(&mut self, tokens: i64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// Both sums together.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            texts: self.texts.saturating_add(other.texts),
            hanzi: self.hanzi.saturating_add(other.hanzi),
            words: self.words.saturating_add(other.words),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Separator,
    Hanzi,
}

impl Class {
    fn of(character: char) -> Self {
        if let Some(class) = ASCII.get(character as usize) {
            return *class;
        }
        if is_hanzi(character) {
            return Self::Hanzi;
        }
        let separates =
            character.is_whitespace() || character.general_category_group() == GeneralCategoryGroup::Punctuation;
        if separates { Self::Separator } else { Self::Word }
    }
}

/// The class of each ASCII character, since most text is decided here.
const ASCII: [Class; 128] = {
    let mut classes = [Class::Word; 128];
    let mut code = 0;
    while code < classes.len() {
        let character = code as u8;
        // Unicode's white space is wider than `is_ascii_whitespace`: it has the vertical tab too.
        if character.is_ascii_punctuation() || matches!(character, b'\t'..=b'\r' | b' ') {
            classes[code] = Class::Separator;
        }
        code += 1;
    }
    classes
};

/// Whether the character is a unified ideograph: Unicode's main block, the extensions A to I, the compatibility
/// ideographs. U+3007 (〇) is none of them and counts as a word.
const fn is_hanzi(character: char) -> bool {
    matches!(
        character,
        '\u{4E00}'..='\u{9FFF}'
            | '\u{3400}'..='\u{4DBF}' // A
            | '\u{F900}'..='\u{FAFF}' // compatibility
            | '\u{20000}'..='\u{2A6DF}' // B
            | '\u{2A700}'..='\u{2B73F}' // C
            | '\u{2B740}'..='\u{2B81F}' // D
            | '\u{2B820}'..='\u{2CEAF}' // E
            | '\u{2CEB0}'..='\u{2EBEF}' // F
            | '\u{2EBF0}'..='\u{2EE5F}' // I
            | '\u{2F800}'..='\u{2FA1F}' // compatibility, supplement
            | '\u{30000}'..='\u{3134F}' // G
            | '\u{31350}'..='\u{323AF}' // H
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        text: String,
        hanzi: i64,
        words: i64,
        tokens: i64,
    }

    /// The cases come from an independent implementation of the rule.
    #[test]
    fn vectors_of_another_implementation() {
        let vectors: Vectors = serde_json::from_str(include_str!("../tests/data/token-vectors.json")).unwrap();
        assert!(vectors.cases.len() > 100, "only {} cases", vectors.cases.len());
        for Vector { text, hanzi, words, tokens } in vectors.cases {
            let count = TextCount::of(&text);
            assert_eq!((count, count.tokens()), (TextCount { hanzi, words }, tokens), "{text:?}");
        }
    }

    #[rstest]
    #[case::main('\u{4E00}', '\u{9FFF}', true)]
    #[case::extension_a('\u{3400}', '\u{4DBF}', true)]
    #[case::compatibility('\u{F900}', '\u{FAFF}', true)]
    #[case::extension_b('\u{20000}', '\u{2A6DF}', true)]
    #[case::extensions_c_to_f_and_i('\u{2A700}', '\u{2EE5F}', true)]
    #[case::compatibility_supplement('\u{2F800}', '\u{2FA1F}', true)]
    #[case::extensions_g_and_h('\u{30000}', '\u{323AF}', true)]
    #[case::before_a('\u{33FF}', '\u{33FF}', false)]
    #[case::hexagrams('\u{4DC0}', '\u{4DFF}', false)]
    #[case::yi_and_hangul('\u{A000}', '\u{D7FF}', false)]
    #[case::private_use('\u{E000}', '\u{F8FF}', false)]
    #[case::after_compatibility('\u{FB00}', '\u{FB00}', false)]
    #[case::after_b('\u{2A6E0}', '\u{2A6FF}', false)]
    #[case::after_i('\u{2EE60}', '\u{2F7FF}', false)]
    #[case::after_the_supplement('\u{2FA20}', '\u{2FFFF}', false)]
    #[case::after_h('\u{323B0}', '\u{323B0}', false)]
    #[case::zero('〇', '〇', false)]
    fn hanzi_ranges(#[case] first: char, #[case] last: char, #[case] expected: bool) {
        for character in first..=last {
            assert_eq!(is_hanzi(character), expected, "U+{:04X}", character as u32);
        }
    }

    #[test]
    fn ascii_agrees_with_unicode() {
        for character in '\0'..='\x7f' {
            let separates = character.is_whitespace() || r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##.contains(character);
            assert_eq!(Class::of(character) == Class::Separator, separates, "{character:?}");
        }
    }

    #[rstest]
    #[case::next_line('\u{85}', Class::Separator)]
    #[case::no_break_space('\u{A0}', Class::Separator)]
    #[case::zero_width_space_is_format_not_white('\u{200B}', Class::Word)]
    #[case::ideographic_comma('、', Class::Separator)]
    #[case::quotation('“', Class::Separator)]
    #[case::section_sign('§', Class::Separator)]
    #[case::euro_is_a_symbol('€', Class::Word)]
    #[case::wide_plus_is_a_symbol('＋', Class::Word)]
    #[case::wide_comma('，', Class::Separator)]
    #[case::emoji('😀', Class::Word)]
    #[case::combining_accent('\u{301}', Class::Word)]
    fn other_characters(#[case] character: char, #[case] expected: Class) {
        assert_eq!(Class::of(character), expected);
    }

    #[test]
    fn each_text_of_a_tally_is_rounded_down_by_itself() {
        let mut tally = Tally::default();
        tally.add_text("one");
        tally.add_text("你 two");
        tally.add_count(TextCount { hanzi: 1, words: 10 });
        tally.add_tokens(100);
        assert_eq!(tally, Tally { texts: 3, hanzi: 2, words: 12, tokens: 1 + 2 + 14 + 100 });

        let doubled = tally.plus(tally);
        assert_eq!(doubled, Tally { texts: 6, hanzi: 4, words: 24, tokens: 234 });
    }

    #[test]
    fn sums_stop_at_the_end_of_the_range() {
        let mut tally = Tally { tokens: i64::MAX, ..Tally::default() };
        tally.add_text("hello");
        assert_eq!(tally.tokens, i64::MAX);
        assert_eq!(TextCount { hanzi: i64::MAX, words: i64::MAX }.tokens(), i64::MAX);
    }

    fn any_text() -> impl Strategy<Value = String> {
        let often = prop::sample::select(
            "abZ09 \t\n,.'-_你好〇、。（€éカ세😀\u{301}\u{3000}\u{2A6DF}".chars().collect::<Vec<_>>(),
        );
        prop::collection::vec(prop_oneof![4 => often, 1 => any::<char>()], 0..40)
            .prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn pieces_count_as_the_whole(text in any_text()) {
            let whole = TextCount::of(&text);

            let mut by_character = TextCounter::default();
            for (start, character) in text.char_indices() {
                let mut in_two = TextCounter::default();
                in_two.push(&text[..start]);
                in_two.push(&text[start..]);
                prop_assert_eq!(in_two.count(), whole);

                by_character.push("");
                by_character.push(character.encode_utf8(&mut [0; 4]));
            }
            prop_assert_eq!(by_character.count(), whole);
        }

        #[test]
        fn tokens_are_the_rule_in_tenths(hanzi in 0..1_000_000_i64, words in 0..1_000_000_i64) {
            let tenths = hanzi * 10 + words * 13;
            prop_assert_eq!(TextCount { hanzi, words }.tokens(), tenths.div_euclid(10));
        }
    }
}
