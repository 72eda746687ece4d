//! Forms that were sent, by the id that each was given when it was rendered: the same form a second time does nothing again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use shared::id::RequestId;

/// So many forms are remembered; the one that was sent first is forgotten.
const MOST: usize = 4096;

/// The forms that came last, each with the call that it made.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    forms: Mutex<VecDeque<(RequestId, RequestId)>>,
}

impl Sent {
    /// Remembers that `form` makes `call`; gives the call that it made before, if it did.
    pub(super) fn once(&self, form: RequestId, call: RequestId) -> Result<(), RequestId> {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, before)) = forms.iter().find(|(known, _)| *known == form) {
            return Err(*before);
        }
        if forms.len() == MOST {
            forms.pop_front();
        }
        forms.push_back((form, call));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_counts_once_and_not_for_ever() {
        let (sent, form, call) = (Sent::default(), RequestId::new(), RequestId::new());
        assert_eq!(sent.once(form, call), Ok(()));
        assert_eq!(sent.once(form, RequestId::new()), Err(call));
        for _ in 0..MOST {
            assert_eq!(sent.once(RequestId::new(), RequestId::new()), Ok(()));
        }
        assert_eq!(sent.once(form, call), Ok(()));
    }
}
