//! Which choices of a stream have ended.

use std::collections::BTreeSet;

use shared::queue::Job;

use super::Nonsense;
use super::meter::most_choices;

/// The ends that a stream's chunks brought up to now.
#[derive(Debug)]
pub(super) struct Ends {
    asked_for: i64,
    most: usize,
    all: BTreeSet<i64>,
    /// Those of the last chunk.
    last: Vec<i64>,
}

impl Ends {
    /// Before the first chunk.
    pub(super) fn new(job: &Job) -> Self {
        Self { asked_for: job.choices.max(1), most: most_choices(job), all: BTreeSet::new(), last: Vec::new() }
    }

    /// A new chunk begins.
    pub(super) fn next_chunk(&mut self) {
        self.last.clear();
    }

    /// The chunk ends this choice, perhaps once more.
    ///
    /// # Errors
    /// When too many different choices have ended.
    pub(super) fn add(&mut self, index: i64) -> Result<(), Nonsense> {
        if self.all.insert(index) {
            self.last.push(index);
        }
        if self.all.len() > self.most {
            return Err(Nonsense::TooMany { what: "choices", most: self.most });
        }
        Ok(())
    }

    /// Takes back the ends that the last chunk brought.
    pub(super) fn reopen_last(&mut self) {
        for index in self.last.drain(..) {
            self.all.remove(&index);
        }
    }

    /// Whether a choice is still to be ended.
    pub(super) fn are_missing(&self) -> bool {
        i64::try_from(self.all.len()).unwrap_or(i64::MAX) < self.asked_for
    }

    /// The choices that were asked for and have not ended.
    pub(super) fn missing(&self) -> impl Iterator<Item = i64> {
        (0..self.asked_for).filter(|index| !self.all.contains(index))
    }
}

#[cfg(test)]
mod tests {
    use shared::queue::Endpoint;

    use super::super::sample::job;
    use super::*;

    fn missing(ends: &Ends) -> Vec<i64> {
        ends.missing().collect()
    }

    #[test]
    fn only_the_ends_of_the_last_chunk_are_taken_back() {
        let mut ends = Ends::new(&job(Endpoint::Chat, 3));
        ends.next_chunk();
        ends.add(1).unwrap();
        ends.next_chunk();
        // The first of these was there before.
        for index in [1, 0, 2] {
            ends.add(index).unwrap();
        }
        assert!(!ends.are_missing());
        ends.reopen_last();
        assert_eq!((ends.are_missing(), missing(&ends)), (true, vec![0, 2]));
        ends.reopen_last();
        assert_eq!(missing(&ends), [0, 2]);
        ends.add(2).unwrap();
        ends.next_chunk();
        ends.reopen_last();
        assert_eq!(missing(&ends), [0], "a chunk without ends has none to take back");
    }
}
