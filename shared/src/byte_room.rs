//! Memory that many take parts of, so that all of them together, and each for itself, stay within bounds.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes are taken by whom; `K` names those that have a bound of their own, and all of them together.
#[derive(Debug)]
pub struct ByteRoom<K> {
    taken: Mutex<HashMap<K, usize>>,
}

impl<K> Default for ByteRoom<K> {
    fn default() -> Self {
        Self { taken: Mutex::default() }
    }
}

impl<K: Eq + Hash> ByteRoom<K> {
    /// How many bytes this one has.
    pub fn taken(&self, by: &K) -> usize {
        self.lock().get(by).copied().unwrap_or_default()
    }

    /// Whether nobody has anything.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are taken until this is dropped.
#[derive(Debug)]
pub struct ByteShare<K: Copy + Eq + Hash> {
    room: Arc<ByteRoom<K>>,
    /// For whom they count, and how many each of these may have.
    bounds: Vec<(K, usize)>,
    bytes: usize,
}

impl<K: Copy + Eq + Hash> ByteShare<K> {
    /// Nothing yet; what it takes counts for each of these, who may have so many bytes.
    pub fn new(room: Arc<ByteRoom<K>>, bounds: Vec<(K, usize)>) -> Self {
        Self { room, bounds, bytes: 0 }
    }

    /// How many it has.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what is missing to so many, if every bound allows it; else nothing. Gives whether it has as many now.
    #[must_use]
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let mut taken = self.room.lock();
        let has_room = |(of, most): &(K, usize)| taken.get(of).copied().unwrap_or_default() + more <= *most;
        if !self.bounds.iter().all(has_room) {
            return false;
        }
        for (of, _) in &self.bounds {
            *taken.entry(*of).or_default() += more;
        }
        self.bytes = bytes;
        true
    }

    /// Gives back all but so many.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less == 0 {
            return;
        }
        let mut taken = self.room.lock();
        for (of, _) in &self.bounds {
            if let Entry::Occupied(mut own) = taken.entry(*of) {
                *own.get_mut() = own.get().saturating_sub(less);
                if *own.get() == 0 {
                    own.remove();
                }
            }
        }
        self.bytes = bytes;
    }
}

impl<K: Copy + Eq + Hash> Drop for ByteShare<K> {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_takes_nothing_and_all_comes_back() {
        let room = Arc::new(ByteRoom::default());
        let share = |of| ByteShare::new(Arc::clone(&room), vec![("all", 10), (of, 6)]);
        let (mut one, mut other) = (share("one"), share("other"));
        assert!(one.grow_to(6) && !one.grow_to(7) && one.grow_to(5), "it has as many already");
        assert!(!other.grow_to(5) && room.taken(&"all") == 6 && room.taken(&"other") == 0);
        one.shrink_to(5);
        assert!(other.grow_to(5) && other.bytes() == 5 && room.taken(&"all") == 10);
        drop(one);
        assert_eq!((room.taken(&"all"), room.taken(&"one")), (5, 0));
        drop(other);
        assert!(room.is_empty());
    }
}
