//! How a call went on its way: how long it waited, and which channels were tried. For operators only: no word of it reaches a developer.

use serde::{Deserialize, Serialize};

/// The way of a call through queue and channels, as far as the worker that ended it knows. It travels with the end, so its names are short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// How long it waited until a worker took it, in milliseconds. `None`: none did.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<i64>,
    /// The channels that were tried, in order.
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
}

/// One try of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// The channel's name.
    #[serde(rename = "c")]
    pub channel: String,
    /// What became of it.
    #[serde(rename = "o")]
    pub outcome: TryOutcome,
    /// How long it took, in milliseconds.
    #[serde(rename = "m")]
    pub ms: i64,
    /// From its beginning to the first text of a stream, in milliseconds.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub first_text_ms: Option<i64>,
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TryOutcome {
    /// The answer is whole.
    Ok,
    /// The provider refused this very request.
    Rejected,
    /// The channel is at its limit.
    RateLimited,
    /// No connection, an error, or nonsense.
    Failed,
    /// Nothing came in time.
    Timeout,
    /// The stream ended in the middle.
    BrokenOff,
    /// The channel cannot be used as it is set up.
    Unusable,
    /// The client left in the middle of it.
    ClientLeft,
    /// This process was about to end.
    Interrupted,
}

impl TryOutcome {
    /// The word that is kept and shown; the same as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate_limited",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::BrokenOff => "broken_off",
            Self::Unusable => "unusable",
            Self::ClientLeft => "client_left",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether it speaks against the channel. A refused request is its caller's fault, and a client may leave whenever it likes.
    pub const fn is_failure(self) -> bool {
        match self {
            Self::RateLimited | Self::Failed | Self::Timeout | Self::BrokenOff | Self::Unusable => true,
            Self::Ok | Self::Rejected | Self::ClientLeft | Self::Interrupted => false,
        }
    }
}

impl Way {
    /// The channel that answered, wholly or in part.
    pub fn channel(&self) -> Option<&str> {
        let answered = |each: &&Try| each.outcome == TryOutcome::Ok || each.first_text_ms.is_some();
        self.tries.last().filter(answered).map(|each| each.channel.as_str())
    }

    /// From when the call was admitted to the first text of its stream, in milliseconds.
    pub fn first_text_ms(&self) -> Option<i64> {
        let (last, before) = self.tries.split_last()?;
        let begun = before.iter().fold(self.queued_ms.unwrap_or(0), |sum, each| sum.saturating_add(each.ms));
        last.first_text_ms.map(|first| begun.saturating_add(first))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::TryOutcome::{BrokenOff, Failed, Ok, Timeout};
    use super::*;

    fn tried(channel: &str, outcome: TryOutcome, ms: i64, first_text_ms: Option<i64>) -> Try {
        Try { channel: channel.to_owned(), outcome, ms, first_text_ms }
    }

    #[rstest]
    #[case::nobody(vec![], None, None)]
    #[case::whole(vec![tried("a", Ok, 9, None)], Some("a"), None)]
    #[case::second(vec![tried("a", Failed, 30, None), tried("b", Ok, 9, Some(4))], Some("b"), Some(134))]
    #[case::in_part(vec![tried("a", BrokenOff, 30, Some(7))], Some("a"), Some(107))]
    #[case::none_answered(vec![tried("a", Failed, 30, None), tried("b", Timeout, 9, None)], None, None)]
    fn who_answered_and_when(
        #[case] tries: Vec<Try>,
        #[case] channel: Option<&str>,
        #[case] first_text_ms: Option<i64>,
    ) {
        let way = Way { queued_ms: Some(100), tries };
        assert_eq!((way.channel(), way.first_text_ms()), (channel, first_text_ms));
        let json = serde_json::to_string(&way).unwrap();
        assert_eq!(serde_json::from_str::<Way>(&json).unwrap(), way, "{json}");
    }

    #[test]
    fn nothing_travels_as_nothing() {
        assert_eq!(serde_json::to_string(&Way::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Way>("{}").unwrap(), Way::default());
    }

    #[test]
    fn the_word_is_the_one_in_json() {
        for outcome in [TryOutcome::Ok, TryOutcome::RateLimited, TryOutcome::BrokenOff, TryOutcome::ClientLeft] {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{}\"", outcome.word()));
        }
    }
}
