//! How frames travel: a short head and raw bytes, so that an answer costs no more in Redis than it is long.
//!
//! An entry of an answers' stream has a header, `<request id> <kind> <number> <token>`, and a body: pieces one after the other, each
//! a letter and what belongs to it. Lengths and counts are little-endian.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes};
use serde::{Deserialize, Serialize};

use super::super::{Chunk, End, Frame, Way};
use crate::billing::Produced;
use crate::id::RequestId;
use crate::refusal::Refusal;
use crate::tokens::Tally;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Frames, or the last part of one that was too large for an entry.
    Frames,
    /// A part of a body; the rest follows.
    Part,
    /// No worker has the job any more.
    Over,
    /// The worker handed the job back: the next one goes on.
    HandedBack,
    /// The job is not in Redis. Whoever asked for this has seen all that came before, so there will be no end.
    Mark,
}

impl Kind {
    const fn letter(self) -> char {
        match self {
            Self::Frames => 'f',
            Self::Part => 'p',
            Self::Over => 'x',
            Self::HandedBack => 'h',
            Self::Mark => 'm',
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Frames, Self::Part, Self::Over, Self::HandedBack, Self::Mark]
            .into_iter()
            .find(|kind| text.chars().eq([kind.letter()]))
    }
}

/// Whose entry it is, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) request_id: RequestId,
    pub(super) kind: Kind,
    /// Of one run, from 0.
    pub(super) number: u64,
    /// The run.
    pub(super) token: String,
}

/// Whose entry it is where no run speaks.
pub(super) const NO_TOKEN: &str = "-";

impl Header {
    pub(super) fn without_run(request_id: RequestId, kind: Kind) -> Self {
        Self { request_id, kind, number: 0, token: NO_TOKEN.to_owned() }
    }

    /// What comes behind the id in [`Header::without_run`].
    pub(super) fn tail(kind: Kind) -> String {
        format!(" {} 0 {NO_TOKEN}", kind.letter())
    }

    pub(super) fn to_text(&self) -> String {
        format!("{} {} {} {}", self.request_id, self.kind.letter(), self.number, self.token)
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let request_id = words.next()?.parse().ok()?;
        let kind = Kind::of(words.next()?)?;
        let number = words.next()?.parse().ok()?;
        let token = words.next()?.to_owned();
        Some(Self { request_id, kind, number, token })
    }
}

const CHUNK: u8 = b'c';
const END: u8 = b'e';

/// An [`End`] without its bytes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndHead<'a> {
    Answered {
        produced: Produced,
        #[serde(default)]
        way: Cow<'a, Way>,
    },
    Failed {
        refusal: Cow<'a, Refusal>,
        produced: Option<Produced>,
        #[serde(default)]
        way: Cow<'a, Way>,
    },
    Lost,
}

pub(super) fn write_chunk(body: &mut Vec<u8>, chunk: &Chunk) {
    let Tally { texts, hanzi, words, tokens } = chunk.generated;
    body.put_u8(CHUNK);
    [texts, hanzi, words, tokens].into_iter().for_each(|count| body.put_i64_le(count));
    write_bytes(body, &chunk.json);
}

pub(super) fn write_end(body: &mut Vec<u8>, end: &End) {
    const NONE: &[Bytes] = &[];
    let (head, held_back) = match end {
        End::Answered { held_back, produced, way } => {
            (EndHead::Answered { produced: *produced, way: Cow::Borrowed(way) }, held_back.as_slice())
        }
        End::Failed { refusal, produced, way } => {
            let (refusal, way) = (Cow::Borrowed(refusal), Cow::Borrowed(way));
            (EndHead::Failed { refusal, produced: *produced, way }, NONE)
        }
        End::Lost => (EndHead::Lost, NONE),
    };
    body.put_u8(END);
    // Text and numbers only: this cannot fail, and an empty head would not be read as an end.
    write_bytes(body, &serde_json::to_vec(&head).unwrap_or_default());
    body.put_u32_le(u32::try_from(held_back.len()).unwrap_or(u32::MAX));
    held_back.iter().for_each(|bytes| write_bytes(body, bytes));
}

/// The frames of a body. `None` when it is not one.
pub(super) fn read_frames(mut body: Bytes) -> Option<Vec<Frame>> {
    let mut frames = Vec::with_capacity(1);
    while body.has_remaining() {
        frames.push(match body.get_u8() {
            CHUNK => {
                let mut count = || body.try_get_i64_le().ok();
                let generated = Tally { texts: count()?, hanzi: count()?, words: count()?, tokens: count()? };
                Frame::Chunk(Chunk { json: read_bytes(&mut body)?, generated })
            }
            END => Frame::End(read_end(&mut body)?),
            _ => return None,
        });
    }
    Some(frames)
}

fn read_end(body: &mut Bytes) -> Option<End> {
    let head = serde_json::from_slice(&read_bytes(body)?).ok()?;
    let count = body.try_get_u32_le().ok()?;
    let held_back = (0..count).map(|_| read_bytes(body)).collect::<Option<Vec<Bytes>>>()?;
    Some(match head {
        EndHead::Answered { produced, way } => End::Answered { held_back, produced, way: way.into_owned() },
        EndHead::Failed { refusal, produced, way } => {
            End::Failed { refusal: refusal.into_owned(), produced, way: way.into_owned() }
        }
        EndHead::Lost => End::Lost,
    })
}

fn write_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    body.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    body.put_slice(bytes);
}

fn read_bytes(body: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
    (length <= body.remaining()).then(|| body.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::super::super::{Try, TryOutcome};
    use super::*;
    use crate::refusal::Reason;

    fn chunk(json: Vec<u8>, tokens: i64) -> Chunk {
        Chunk { json: json.into(), generated: Tally { texts: 1, hanzi: -2, words: i64::MAX, tokens } }
    }

    fn produced(tokens: i64) -> Produced {
        let completion = Tally { texts: 1, hanzi: -2, words: i64::MAX, tokens };
        Produced { completion, upstream: Some((tokens, 2)), images: 3, finished_early: true }
    }

    fn way() -> Way {
        let first = Try { channel: "渠道".to_owned(), outcome: TryOutcome::Timeout, ms: 90, first_text_ms: None };
        let second = Try { channel: "b".to_owned(), outcome: TryOutcome::Ok, ms: 7, first_text_ms: Some(3) };
        Way { queued_ms: Some(5), tries: vec![first, second] }
    }

    #[rstest]
    #[case(End::Answered { held_back: vec![Bytes::from_static(b"{}"), Bytes::new()], produced: produced(7), way: way() })]
    #[case(End::Answered { held_back: vec![], produced: Produced::default(), way: Way::default() })]
    #[case(End::Failed {
        refusal: Refusal::new(Reason::Timeout, "迟\0").retry_after(3),
        produced: Some(produced(1)),
        way: way()
    })]
    #[case(End::Failed {
        refusal: Refusal::of_field(Reason::InvalidJson, "a", "b"),
        produced: None,
        way: Way::default()
    })]
    #[case(End::Lost)]
    fn an_end_comes_back_as_it_was(#[case] end: End) {
        let mut body = Vec::new();
        write_chunk(&mut body, &chunk(vec![0, 255], 5));
        write_end(&mut body, &end);
        let frames = read_frames(body.into()).unwrap();
        assert_eq!(format!("{:?}", frames[1]), format!("{:?}", Frame::End(end)));
    }

    proptest! {
        #[test]
        fn chunks_come_back_as_they_were(chunks in proptest::collection::vec((any::<Vec<u8>>(), any::<i64>()), 0..5)) {
            let mut body = Vec::new();
            let chunks: Vec<Chunk> = chunks.into_iter().map(|(json, tokens)| chunk(json, tokens)).collect();
            chunks.iter().for_each(|chunk| write_chunk(&mut body, chunk));
            let frames = read_frames(body.into()).unwrap();
            let expected: Vec<Frame> = chunks.into_iter().map(Frame::Chunk).collect();
            prop_assert_eq!(format!("{frames:?}"), format!("{expected:?}"));
        }

        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = read_frames(body.into());
        }
    }

    #[test]
    fn a_body_that_was_cut_is_not_read() {
        let mut body = Vec::new();
        write_end(
            &mut body,
            &End::Answered {
                held_back: vec![Bytes::from_static(b"{}")],
                produced: Produced::default(),
                way: Way::default(),
            },
        );
        for length in 1..body.len() {
            assert!(read_frames(Bytes::copy_from_slice(&body[..length])).is_none(), "{length}");
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        let header = Header { request_id: RequestId::new(), kind: Kind::Part, number: 12, token: "w/3".to_owned() };
        assert_eq!(Header::parse(header.to_text().as_bytes()), Some(header));
        let over = Header::without_run(RequestId::new(), Kind::Over);
        assert_eq!(format!("{}{}", over.request_id, Header::tail(Kind::Over)), over.to_text());
        assert_eq!(Header::parse(b"nonsense f 1 t"), None);
    }
}
