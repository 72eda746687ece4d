//! A reader of `text/event-stream` that is fed in pieces (WHATWG HTML, "Server-sent events", parsing an event stream).
//!
//! Only `data` matters here: other fields and comments are skipped, an event's name and id too, so an event of the
//! type `error` comes out as its data like any other. A line that lies within one piece is not copied.
//! One thing is laxer than the specification, because many providers need it: see [`Parser::finish`].

use bytes::{Buf as _, Bytes, BytesMut};

/// How long a line, and all data of one event, may be.
pub(crate) const LINE_LIMIT: usize = 1024 * 1024;

/// A line, or the data of one event, is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line or an event of the stream is over {limit} bytes")]
pub(crate) struct TooLong {
    limit: usize,
}

/// The state between two pieces.
#[derive(Debug)]
pub(crate) struct Parser {
    /// What was fed and not looked at yet.
    unread: Bytes,
    /// The beginning of a line whose end has not come yet.
    partial: BytesMut,
    /// The last line ended with a carriage return, so a line feed that follows belongs to it.
    after_return: bool,
    /// No line was read yet; a byte order mark may stand here.
    at_start: bool,
    data: Data,
    limit: usize,
}

/// The data of the event that is being read.
#[derive(Debug, Default)]
enum Data {
    #[default]
    Nothing,
    Line(Bytes),
    Lines(BytesMut),
}

impl Parser {
    /// A reader that refuses a line, or the data of one event, of over `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            unread: Bytes::new(),
            partial: BytesMut::new(),
            after_return: false,
            at_start: true,
            data: Data::Nothing,
            limit,
        }
    }

    /// Feeds the next piece of the stream, cut anywhere.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.unread.is_empty() {
            self.unread = piece;
            return;
        }
        let mut both = BytesMut::with_capacity(self.unread.len() + piece.len());
        both.extend_from_slice(&self.unread);
        both.extend_from_slice(&piece);
        self.unread = both.freeze();
    }

    /// The data of the next event. `None`: it needs another piece.
    ///
    /// # Errors
    /// [`TooLong`]; the stream is of no use after that.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            if self.after_return && self.unread.has_remaining() {
                if self.unread[0] == b'\n' {
                    self.unread.advance(1);
                }
                self.after_return = false;
            }
            let Some(end) = self.unread.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                let rest = std::mem::take(&mut self.unread);
                self.check(self.partial.len() + rest.len())?;
                self.partial.extend_from_slice(&rest);
                return Ok(None);
            };
            self.check(self.partial.len() + end)?;
            let mut line = self.unread.split_to(end);
            self.after_return = self.unread.get_u8() == b'\r';
            if !self.partial.is_empty() {
                self.partial.extend_from_slice(&line);
                line = self.partial.split().freeze();
            }
            if let Some(event) = self.read_line(line)? {
                return Ok(Some(event));
            }
        }
    }

    /// The event that the end of the stream leaves behind, to be asked for once [`Parser::next`] has given `None`.
    ///
    /// The specification throws away an event without the empty line behind it. Here it counts when its data lines are
    /// complete: ended by a line break, or a whole JSON object, or `[DONE]`. What was cut in the middle is dropped.
    ///
    /// # Errors
    /// [`TooLong`]
    pub(crate) fn finish(&mut self) -> Result<Option<Bytes>, TooLong> {
        let last = self.without_mark(self.partial.clone().freeze());
        self.partial.clear();
        if let Some(value) = data_of(&last) {
            if !is_complete(&value) {
                self.data = Data::Nothing;
                return Ok(None);
            }
            self.add(value)?;
        }
        Ok(self.take_event())
    }

    fn read_line(&mut self, line: Bytes) -> Result<Option<Bytes>, TooLong> {
        let line = self.without_mark(line);
        if line.is_empty() {
            return Ok(self.take_event());
        }
        if let Some(value) = data_of(&line) {
            self.add(value)?;
        }
        Ok(None)
    }

    fn without_mark(&mut self, mut line: Bytes) -> Bytes {
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xEF\xBB\xBF") {
            line.advance(3);
        }
        line
    }

    fn add(&mut self, value: Bytes) -> Result<(), TooLong> {
        let mut lines = match std::mem::take(&mut self.data) {
            Data::Nothing => {
                self.data = Data::Line(value);
                return Ok(());
            }
            Data::Line(first) => BytesMut::from(first),
            Data::Lines(lines) => lines,
        };
        self.check(lines.len() + 1 + value.len())?;
        lines.extend_from_slice(b"\n");
        lines.extend_from_slice(&value);
        self.data = Data::Lines(lines);
        Ok(())
    }

    fn take_event(&mut self) -> Option<Bytes> {
        match std::mem::take(&mut self.data) {
            Data::Nothing => None,
            Data::Line(line) => Some(line),
            Data::Lines(lines) => Some(lines.freeze()),
        }
    }

    const fn check(&self, length: usize) -> Result<(), TooLong> {
        if length > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        Ok(())
    }
}

/// The value of a `data` line; `None` for every other line.
fn data_of(line: &Bytes) -> Option<Bytes> {
    let rest = line.strip_prefix(b"data")?;
    match rest {
        [] => Some(Bytes::new()),
        [b':', b' ', ..] => Some(line.slice(6..)),
        [b':', ..] => Some(line.slice(5..)),
        _ => None,
    }
}

fn is_complete(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value == b"[DONE]" || (value.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn events_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Result<Vec<Bytes>, TooLong> {
        let mut parser = Parser::new(limit);
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(Bytes::copy_from_slice(piece));
            while let Some(event) = parser.next()? {
                events.push(event);
            }
        }
        events.extend(parser.finish()?);
        Ok(events)
    }

    #[rstest]
    #[case::plain("data: one\n\ndata: two\n\n", &["one", "two"])]
    #[case::returns_and_feeds("data: one\r\n\r\ndata: two\r\n\r\n", &["one", "two"])]
    #[case::returns_alone("data: one\r\rdata: two\r\r", &["one", "two"])]
    #[case::mixed_ends("data: one\r\n\ndata: two\r\r\n", &["one", "two"])]
    #[case::byte_order_mark("\u{FEFF}data: one\n\n", &["one"])]
    #[case::byte_order_mark_later_is_no_mark("data: one\n\n\u{FEFF}data: two\n\n", &["one"])]
    #[case::no_space("data:one\n\n", &["one"])]
    #[case::one_space_goes("data:  one \n\n", &[" one "])]
    #[case::lines_join("data: one\ndata: two\ndata: three\n\n", &["one\ntwo\nthree"])]
    #[case::empty_lines_join("data\ndata\n\n", &["\n"])]
    #[case::empty_data("data:\n\n", &[""])]
    #[case::comments(": ping\n\n:\ndata: one\n: more\n\n", &["one"])]
    #[case::other_fields("event: error\nid: 7\nretry: 10\ndata: one\nfoo\n\n", &["one"])]
    #[case::longer_names("database: one\ndata : two\n\n", &[])]
    #[case::only_empty_lines("\n\n\r\n\r\r", &[])]
    #[case::colons_in_the_value("data: {\"a\": \"b: c\"}\n\n", &["{\"a\": \"b: c\"}"])]
    #[case::nothing("", &[])]
    #[case::end_without_empty_line("data: one\n", &["one"])]
    #[case::end_at_a_return("data: one\r", &["one"])]
    #[case::done_without_line_break("data: one\n\ndata: [DONE]", &["one", "[DONE]"])]
    #[case::done_without_anything_in_front("data:[DONE] ", &["[DONE] "])]
    #[case::whole_object_without_line_break("data: {\"a\":[1]}", &["{\"a\":[1]}"])]
    #[case::cut_object("data: one\n\ndata: {\"a\":[1", &["one"])]
    #[case::cut_text("data: [DON", &[])]
    #[case::cut_second_line_takes_the_first_along("data: {\ndata: \"a\"", &[])]
    #[case::comment_at_the_end("data: one\n: bye", &["one"])]
    #[case::mark_before_the_only_line("\u{FEFF}data: [DONE]", &["[DONE]"])]
    fn table(#[case] input: &str, #[case] expected: &[&str]) {
        assert_eq!(events_of([input.as_bytes()], 100).unwrap(), expected);
        let one_by_one = input.as_bytes().chunks(1);
        assert_eq!(events_of(one_by_one, 100).unwrap(), expected);
    }

    #[rstest]
    #[case::fits("data: 890\n\n", true)]
    #[case::line("data: 8901\n\n", false)]
    #[case::line_without_end("data: 89012", false)]
    #[case::comment(":234567890\n", false)]
    #[case::event_fits("data:6\ndata:6789\ndata:bc\n\n", true)]
    #[case::event("data:1234\ndata:6789\ndata\n\n", false)]
    #[case::event_of_empty_lines("data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n", false)]
    fn bounds(#[case] input: &str, #[case] fits: bool) {
        let expected = if fits { None } else { Some(TooLong { limit: 9 }) };
        assert_eq!(events_of([input.as_bytes()], 9).err(), expected);
        assert_eq!(events_of(input.as_bytes().chunks(1), 9).err(), expected);
    }

    #[test]
    fn a_line_within_one_piece_is_not_copied() {
        let piece = Bytes::from_static(b"data: one\n\n");
        let mut parser = Parser::new(100);
        parser.push(piece.clone());
        let event = parser.next().unwrap().unwrap();
        assert_eq!(event.as_ptr(), piece[6..].as_ptr());
    }

    #[test]
    fn a_piece_may_come_before_the_last_one_is_used_up() {
        let mut parser = Parser::new(100);
        parser.push(Bytes::from_static(b"data: one\n\nda"));
        parser.push(Bytes::from_static(b"ta: two\n\n"));
        assert_eq!(parser.next().unwrap().unwrap(), "one");
        assert_eq!(parser.next().unwrap().unwrap(), "two");
        assert_eq!(parser.next().unwrap(), None);
    }

    fn stream() -> impl Strategy<Value = String> {
        const PARTS: [&str; 15] = [
            "data: ",
            "data:",
            "data",
            "你好😀",
            "[DONE]",
            "{\"a\":1}",
            "\n",
            "\n\n",
            "\r\n",
            "\r\n\r\n",
            "\r",
            ": ",
            "event: error",
            " ",
            "\u{FEFF}",
        ];
        prop::collection::vec(prop::sample::select(&PARTS[..]), 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(input in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
            let bytes = input.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);

            // The limit is small enough to be met now and then.
            prop_assert_eq!(events_of(pieces, 60), events_of([bytes], 60));
        }
    }
}
