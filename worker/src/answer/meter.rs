//! Counts what a call has generated, text by text: `tokens = hanzi + words x 1.3`, rounded down once per text.

use std::collections::BTreeMap;

use shared::queue::Job;
use shared::tokens::{Tally, TextCounter};

use super::Nonsense;

/// Which text of a choice: each is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// `content` of a message, `text` of a completion.
    Content,
    /// `refusal`.
    Refusal,
    /// `reasoning`.
    Reasoning,
    /// `reasoning_content`.
    ReasoningContent,
    /// The name in the `function_call` of old.
    FunctionName,
    /// The arguments in the `function_call` of old.
    FunctionArguments,
    /// The name in the tool call of this index.
    ToolName(i64),
    /// The arguments in the tool call of this index.
    ToolArguments(i64),
}

/// Counts the texts of one call. They may come whole or in any pieces; the count is the same.
#[derive(Debug)]
pub(super) struct Meter<'job> {
    texts: BTreeMap<(i64, Part), TextCounter>,
    /// The sum over `texts`, kept up with every piece.
    total: Tally,
    echoes: BTreeMap<i64, Echo>,
    echoed_prompts: &'job [String],
    answers_per_prompt: i64,
    most_texts: usize,
}

/// How far a choice has come in repeating its prompt.
#[derive(Debug, Clone, Copy)]
enum Echo {
    /// All of its text so far is the start of the prompt, of this many bytes.
    Within(usize),
    /// The prompt is over, or the text is none.
    Over,
}

impl<'job> Meter<'job> {
    /// Nothing counted yet.
    pub(super) fn new(job: &'job Job) -> Self {
        let prompts = i64::try_from(job.echoed_prompts.len()).unwrap_or(i64::MAX);
        Self {
            texts: BTreeMap::new(),
            total: Tally::default(),
            echoes: BTreeMap::new(),
            echoed_prompts: &job.echoed_prompts,
            answers_per_prompt: job.choices.checked_div(prompts).unwrap_or(1).max(1),
            most_texts: most_choices(job),
        }
    }

    /// What was generated so far.
    pub(super) const fn tally(&self) -> Tally {
        self.total
    }

    /// Counts the next piece of a text. Gives whether it was generated text, that is, not empty.
    ///
    /// # Errors
    /// When the call has too many texts.
    pub(super) fn push(&mut self, choice: i64, part: Part, piece: &str) -> Result<bool, Nonsense> {
        if piece.is_empty() {
            return Ok(false);
        }
        let has_room = self.texts.len() < self.most_texts;
        if !has_room && !self.texts.contains_key(&(choice, part)) {
            return Err(Nonsense::TooMany { what: "texts", most: self.most_texts });
        }
        let counter = self.texts.entry((choice, part)).or_insert_with(|| {
            self.total.texts += 1;
            TextCounter::default()
        });
        let before = counter.count();
        counter.push(piece);
        let after = counter.count();
        self.total.hanzi += after.hanzi - before.hanzi;
        self.total.words += after.words - before.words;
        self.total.tokens += after.tokens() - before.tokens();
        Ok(true)
    }

    /// Counts the next piece of a completion's text, without the prompt that `echo` puts in front of it. Gives whether
    /// text beyond the prompt came to light: when a text leaves the prompt midway, it was generated from its start.
    ///
    /// # Errors
    /// As [`Meter::push`].
    pub(super) fn push_after_echo(&mut self, choice: i64, piece: &str) -> Result<bool, Nonsense> {
        let (prompt, matched) = match (self.prompt_of(choice), self.echoes.get(&choice)) {
            (None, _) | (_, Some(Echo::Over)) => return self.push(choice, Part::Content, piece),
            (Some(prompt), None) => (prompt, 0),
            (Some(prompt), Some(Echo::Within(matched))) => (prompt, *matched),
        };
        let (repeated, ahead) = prompt.split_at_checked(matched).unwrap_or((prompt, ""));
        if let Some(generated) = piece.strip_prefix(ahead) {
            self.echoes.insert(choice, Echo::Over);
            return self.push(choice, Part::Content, generated);
        }
        if ahead.starts_with(piece) {
            self.echoes.insert(choice, Echo::Within(matched + piece.len()));
            return Ok(false);
        }
        self.echoes.insert(choice, Echo::Over);
        self.push(choice, Part::Content, repeated)?;
        self.push(choice, Part::Content, piece)
    }

    /// Says that the text of a choice is complete: one that ended within its prompt did not repeat it, so it was
    /// generated. Gives whether that brought text to light.
    ///
    /// # Errors
    /// As [`Meter::push`].
    pub(super) fn end_of(&mut self, choice: i64) -> Result<bool, Nonsense> {
        let Some(Echo::Within(matched)) = self.echoes.get(&choice).copied() else {
            return Ok(false);
        };
        self.echoes.insert(choice, Echo::Over);
        let repeated = self.prompt_of(choice).and_then(|prompt| prompt.get(..matched)).unwrap_or_default();
        self.push(choice, Part::Content, repeated)
    }

    /// The prompt that a choice repeats: the choices of the first prompt come first.
    fn prompt_of(&self, choice: i64) -> Option<&'job str> {
        let number = usize::try_from(choice.checked_div_euclid(self.answers_per_prompt)?).ok()?;
        self.echoed_prompts.get(number).map(String::as_str)
    }
}

/// How many choices, and how many texts in all of them, one call may have.
pub(super) fn most_choices(job: &Job) -> usize {
    const BESIDES_ONE_A_CHOICE: usize = 1_000;
    usize::try_from(job.choices).unwrap_or(0).saturating_add(BESIDES_ONE_A_CHOICE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use shared::queue::Endpoint;

    use super::super::sample::{echoing_job, job};
    use super::*;

    #[test]
    fn each_text_is_rounded_down_by_itself() {
        let job = job(Endpoint::Chat, 2);
        let mut meter = Meter::new(&job);
        for (choice, part) in [(0, Part::Content), (1, Part::Content), (1, Part::Refusal), (1, Part::ToolName(0))] {
            assert_eq!(meter.push(choice, part, "one two"), Ok(true));
        }
        assert_eq!(meter.tally(), Tally { texts: 4, hanzi: 0, words: 8, tokens: 4 * 2 });
    }

    #[test]
    fn a_word_may_come_in_pieces() {
        let job = job(Endpoint::Chat, 1);
        let mut meter = Meter::new(&job);
        for piece in ["你 he", "", "llo", " ", "wor", "ld"] {
            assert_eq!(meter.push(0, Part::Content, piece), Ok(!piece.is_empty()));
        }
        assert_eq!(meter.tally(), Tally { texts: 1, hanzi: 1, words: 2, tokens: 3 });
    }

    #[test]
    fn texts_are_bounded() {
        let job = job(Endpoint::Chat, 5);
        let mut meter = Meter::new(&job);
        for tool in 0..1_005 {
            assert_eq!(meter.push(0, Part::ToolName(tool), "a"), Ok(true));
        }
        assert_eq!(meter.push(0, Part::ToolName(0), "a"), Ok(true));
        assert_eq!(meter.push(0, Part::Content, "a"), Err(Nonsense::TooMany { what: "texts", most: 1_005 }));
        assert_eq!(meter.tally().texts, 1_005);
    }

    /// The prompts are `one two` (choices 0 and 1) and `三` (choices 2 and 3). Expected: generated words and hanzi.
    #[rstest]
    #[case::whole(0, &["one two three four"], (2, 0))]
    #[case::in_pieces(1, &["on", "e two", "", " three", " four"], (2, 0))]
    #[case::across_the_end(0, &["one", " two three"], (1, 0))]
    #[case::second_prompt(3, &["三四"], (0, 1))]
    #[case::nothing_but_the_prompt(0, &["one ", "two"], (0, 0))]
    #[case::another_text(0, &["one", " twenty"], (2, 0))]
    #[case::another_text_at_once(2, &["一二"], (0, 2))]
    #[case::ends_within_the_prompt(0, &["one t"], (2, 0))]
    #[case::the_prompt_only_once(2, &["三", "三"], (0, 1))]
    #[case::no_such_prompt(4, &["三"], (0, 1))]
    #[case::no_such_choice(-1, &["one two"], (2, 0))]
    fn echoed_prompts_are_not_counted(#[case] choice: i64, #[case] pieces: &[&str], #[case] expected: (i64, i64)) {
        let job = echoing_job(&["one two", "三"], 4);
        let mut meter = Meter::new(&job);
        let mut has_text = false;
        for piece in pieces {
            has_text |= meter.push_after_echo(choice, piece).unwrap();
        }
        has_text |= meter.end_of(choice).unwrap();
        assert_eq!((meter.tally().words, meter.tally().hanzi), expected);
        assert_eq!(has_text, expected != (0, 0));
    }

    #[test]
    fn until_the_end_the_start_of_a_prompt_is_not_generated_text() {
        let job = echoing_job(&["one two"], 1);
        let mut meter = Meter::new(&job);
        assert_eq!(meter.push_after_echo(0, "one t"), Ok(false));
        assert_eq!(meter.tally(), Tally::default());
    }

    proptest! {
        #[test]
        fn an_echo_in_pieces_counts_as_the_whole(
            prompt in "[ab你 ]{0,4}",
            text in "[ab你 ]{0,8}",
            cuts in prop::collection::vec(0..9_usize, 0..4),
        ) {
            let job = echoing_job(&[&prompt], 1);
            let mut whole = Meter::new(&job);
            whole.push_after_echo(0, &text).unwrap();
            whole.end_of(0).unwrap();

            let mut in_pieces = Meter::new(&job);
            let characters: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(characters.len())).collect();
            cuts.extend([0, characters.len()]);
            cuts.sort_unstable();
            for cut in cuts.windows(2) {
                let piece: String = characters[cut[0]..cut[1]].iter().collect();
                in_pieces.push_after_echo(0, &piece).unwrap();
            }
            in_pieces.end_of(0).unwrap();
            prop_assert_eq!(in_pieces.tally(), whole.tally());

            let mut expected = Tally::default();
            let generated = text.strip_prefix(prompt.as_str()).unwrap_or(&text);
            if !generated.is_empty() {
                expected.add_text(generated);
            }
            prop_assert_eq!(whole.tally(), expected);
        }
    }
}
