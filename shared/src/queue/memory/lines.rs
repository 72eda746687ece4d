//! Who comes next: one line of waiting items a tenant, and the tenants in turn.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::id::TenantId;

/// The lines of all tenants that have something waiting; a tenant whose line is empty takes no memory.
pub(super) struct Lines<T> {
    lines: HashMap<TenantId, Line<T>>,
    /// Whose turn comes when, the next one first. Each tenant with a line stands here once.
    turns: BTreeMap<u64, TenantId>,
    last_turn: u64,
    waiting: usize,
}

/// One tenant's line, never empty.
struct Line<T> {
    turn: u64,
    items: VecDeque<T>,
}

impl<T> Lines<T> {
    /// No lines.
    pub(super) fn new() -> Self {
        Self { lines: HashMap::new(), turns: BTreeMap::new(), last_turn: 0, waiting: 0 }
    }

    /// Whose turn it is: of the tenants that `may_go`, the one that has waited longest for a turn.
    /// A tenant that waits alone need not ask.
    pub(super) fn next_tenant(&self, may_go: impl Fn(TenantId) -> bool) -> Option<TenantId> {
        let alone = self.turns.len() == 1;
        self.turns.values().copied().find(|&tenant| alone || may_go(tenant))
    }

    /// Takes the head of a tenant's line; the tenant's next turn comes after everyone else's.
    pub(super) fn pop(&mut self, tenant: TenantId) -> Option<T> {
        let line = self.lines.get_mut(&tenant)?;
        let item = line.items.pop_front()?;
        self.waiting -= 1;
        self.turns.remove(&line.turn);
        if line.items.is_empty() {
            self.lines.remove(&tenant);
            return Some(item);
        }
        self.last_turn += 1;
        line.turn = self.last_turn;
        self.turns.insert(line.turn, tenant);
        Some(item)
    }

    /// Adds to the end of a tenant's line.
    pub(super) fn push_back(&mut self, tenant: TenantId, item: T) {
        self.line_of(tenant).push_back(item);
        self.waiting += 1;
    }

    /// Adds to the head of a tenant's line.
    pub(super) fn push_front(&mut self, tenant: TenantId, item: T) {
        self.line_of(tenant).push_front(item);
        self.waiting += 1;
    }

    /// Takes out the first item of a tenant's line that `is_it`; looks at no other line.
    pub(super) fn remove(&mut self, tenant: TenantId, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let line = self.lines.get_mut(&tenant)?;
        let place = line.items.iter().position(is_it)?;
        let item = line.items.remove(place)?;
        self.waiting -= 1;
        if line.items.is_empty() {
            self.turns.remove(&line.turn);
            self.lines.remove(&tenant);
        }
        Some(item)
    }

    /// How many wait, all tenants together.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// How many of one tenant wait.
    pub(super) fn len_of(&self, tenant: TenantId) -> usize {
        self.lines.get(&tenant).map_or(0, |line| line.items.len())
    }

    /// All that wait, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.lines.values().flat_map(|line| &line.items)
    }

    /// A tenant's items, in a line that is new and last in turn if there was none.
    fn line_of(&mut self, tenant: TenantId) -> &mut VecDeque<T> {
        match self.lines.entry(tenant) {
            Entry::Occupied(line) => &mut line.into_mut().items,
            Entry::Vacant(place) => {
                self.last_turn += 1;
                self.turns.insert(self.last_turn, tenant);
                &mut place.insert(Line { turn: self.last_turn, items: VecDeque::new() }).items
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TenantId = TenantId(1);
    const B: TenantId = TenantId(2);
    const C: TenantId = TenantId(3);

    fn lines_of(items: &[(TenantId, u32)]) -> Lines<u32> {
        let mut lines = Lines::new();
        items.iter().for_each(|&(tenant, item)| lines.push_back(tenant, item));
        lines
    }

    fn pop_next(lines: &mut Lines<u32>) -> Option<u32> {
        let tenant = lines.next_tenant(|_| true)?;
        lines.pop(tenant)
    }

    #[test]
    fn tenants_take_turns_and_each_line_keeps_its_order() {
        let mut lines = lines_of(&[(A, 1), (A, 2), (A, 3), (B, 4), (C, 5), (C, 6)]);
        let order: Vec<u32> = std::iter::from_fn(|| pop_next(&mut lines)).collect();
        assert_eq!(order, [1, 4, 5, 2, 6, 3]);
    }

    #[test]
    fn one_that_may_not_go_keeps_its_turn() {
        let mut lines = lines_of(&[(A, 1), (B, 2), (B, 3)]);
        assert_eq!(lines.next_tenant(|tenant| tenant != A), Some(B));
        lines.pop(B);
        assert_eq!(lines.next_tenant(|_| true), Some(A));
    }

    #[test]
    fn only_one_that_waits_alone_need_not_ask() {
        let mut lines = lines_of(&[(A, 1), (B, 2)]);
        assert_eq!(lines.next_tenant(|_| false), None);
        lines.pop(B);
        assert_eq!(lines.next_tenant(|_| false), Some(A));
    }

    #[test]
    fn what_is_put_at_the_head_comes_first() {
        let mut lines = lines_of(&[(A, 1)]);
        lines.push_front(A, 2);
        assert_eq!(lines.pop(A), Some(2));
    }

    #[test]
    fn an_empty_line_leaves_nothing_behind() {
        let mut lines = lines_of(&[(A, 1), (B, 2), (B, 3)]);
        assert_eq!(lines.remove(B, |&item| item == 3), Some(3));
        assert_eq!(lines.remove(B, |&item| item == 3), None);
        assert_eq!((lines.len(), lines.len_of(B)), (2, 1));
        assert_eq!(lines.remove(B, |&item| item == 2), Some(2));
        assert_eq!(lines.pop(A), Some(1));
        assert_eq!((lines.len(), lines.len_of(B), lines.iter().count()), (0, 0, 0));
        assert!(lines.lines.is_empty() && lines.turns.is_empty());
    }
}
