//! What the caller of a call was sent, as it is kept for those who ask again.

use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::db::DbError;
use crate::id::RequestId;
use crate::refusal::Refusal;
use crate::seal::{SealContext, SealError, Sealer};

/// The largest answer that is kept, in bytes.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What was sent up to now; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    parts: Vec<Bytes>,
    bytes: usize,
}

impl Collected {
    /// Adds a part: the JSON of one event, or the one whole reply. Beyond [`MOST_BYTES`] nothing is kept any more.
    pub fn push(&mut self, part: &Bytes) {
        self.bytes = self.bytes.saturating_add(part.len());
        if self.bytes > MOST_BYTES {
            self.parts = Vec::new();
        } else {
            self.parts.push(part.clone());
        }
    }

    /// The same with what ends the answer.
    #[must_use]
    pub fn with(mut self, end: &[Bytes]) -> Self {
        end.iter().for_each(|part| self.push(part));
        self
    }

    /// Seals it for the call's row. `failure` is what the caller was told when the answer broke off. `None` when it is too large, or
    /// cannot be sealed, which is logged: the call is charged all the same.
    pub fn seal(&self, failure: Option<&Refusal>, request_id: RequestId, sealer: &Sealer) -> Option<Vec<u8>> {
        if self.bytes > MOST_BYTES {
            tracing::warn!(%request_id, bytes = self.bytes, "an answer is too large to be kept for its Idempotency-Key");
            return None;
        }
        let sealed = self.to_bytes(failure).map(|bytes| sealer.seal(&bytes, &context(&request_id.to_string())));
        match sealed {
            Ok(Ok(sealed)) => Some(sealed),
            Ok(Err(error)) => {
                tracing::error!(%request_id, %error, "an answer could not be sealed for its Idempotency-Key");
                None
            }
            Err(error) => {
                tracing::error!(%request_id, %error, "an answer could not be written for its Idempotency-Key");
                None
            }
        }
    }

    /// A head with its length before it, then the parts, one behind the other. Lengths are little-endian.
    fn to_bytes(&self, failure: Option<&Refusal>) -> serde_json::Result<Vec<u8>> {
        let lengths = self.parts.iter().map(|part| part.len() as u64).collect();
        let head = serde_json::to_vec(&Head { lengths, failure: failure.cloned() })?;
        let mut bytes = Vec::with_capacity(size_of::<u64>() + head.len() + self.bytes);
        bytes.extend_from_slice(&(head.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&head);
        self.parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Ok(bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    /// Of each part, in bytes.
    lengths: Vec<u64>,
    failure: Option<Refusal>,
}

/// What a caller was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The JSON of each event of a stream, or the one whole reply.
    pub parts: Vec<Bytes>,
    /// What the caller was told at the end, when the answer broke off; without what it cost.
    pub failure: Option<Refusal>,
}

/// A kept answer that cannot be read any more.
#[derive(Debug, thiserror::Error)]
pub enum KeptAnswerError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// It does not open, or cannot be sealed.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// It is none of ours.
    #[error("a kept answer is not in the form in which answers are kept")]
    Malformed,
}

impl From<diesel::result::Error> for KeptAnswerError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(DbError::Query(error))
    }
}

impl Answer {
    /// Opens what [`Collected::seal`] has sealed for this call.
    ///
    /// # Errors
    /// [`KeptAnswerError`].
    pub fn open(sealed: &[u8], request_id: RequestId, sealer: &Sealer) -> Result<Self, KeptAnswerError> {
        let plain = sealer.open(sealed, &context(&request_id.to_string()))?;
        Self::from_bytes(Bytes::copy_from_slice(plain.expose_secret())).ok_or(KeptAnswerError::Malformed)
    }

    fn from_bytes(mut bytes: Bytes) -> Option<Self> {
        let length = u64::from_le_bytes(take(&mut bytes, size_of::<u64>() as u64)?.as_ref().try_into().ok()?);
        let head: Head = serde_json::from_slice(&take(&mut bytes, length)?).ok()?;
        let parts = head.lengths.into_iter().map(|length| take(&mut bytes, length)).collect::<Option<_>>()?;
        bytes.is_empty().then_some(Self { parts, failure: head.failure })
    }
}

fn take(bytes: &mut Bytes, length: u64) -> Option<Bytes> {
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len())?;
    Some(bytes.split_to(length))
}

/// An answer belongs to its call: copied elsewhere, it does not open.
pub(super) const fn context(request_id: &str) -> SealContext<'_> {
    SealContext { table: "idempotency_answers", row: request_id, host: "" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::refusal::Reason;
    use crate::seal::MasterSecret;

    fn sealer() -> Sealer {
        Sealer::new(MasterSecret::generate().unwrap())
    }

    proptest! {
        #[test]
        fn what_was_sent_is_given_again(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8), failed: bool) {
            let parts: Vec<Bytes> = parts.into_iter().map(Bytes::from).collect();
            let failure = failed.then(|| Refusal::of_field(Reason::UpstreamError, "p", "broken off").retry_after(3));
            let (sealer, request_id) = (sealer(), RequestId::new());
            let sealed = Collected::default().with(&parts).seal(failure.as_ref(), request_id, &sealer).unwrap();
            prop_assert_eq!(Answer::open(&sealed, request_id, &sealer).unwrap(), Answer { parts, failure });
            prop_assert!(Answer::open(&sealed, RequestId::new(), &sealer).is_err(), "it belongs to its call");
        }

        #[test]
        fn nonsense_is_no_answer(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Answer::from_bytes(Bytes::from(bytes));
        }
    }

    #[test]
    fn an_answer_above_the_bound_is_not_kept_and_takes_no_memory() {
        let (sealer, part) = (sealer(), Bytes::from(vec![b'x'; MOST_BYTES / 2]));
        let mut collected = Collected::default().with(&[part.clone(), part.clone()]);
        assert!(collected.seal(None, RequestId::new(), &sealer).is_some(), "4 MiB are kept");
        collected.push(&Bytes::from_static(b"y"));
        assert!(collected.seal(None, RequestId::new(), &sealer).is_none() && collected.parts.is_empty());
        collected.push(&part);
        assert!(collected.seal(None, RequestId::new(), &sealer).is_none() && collected.parts.len() < 2);
    }
}
