//! How many calls came, how they ended, how long they waited and how long they took, by quarters of an hour put into steps.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::steps::Step;
use crate::calls::{CLASS_BOUNDS_MS, CLASSES};
use crate::db::{Composed, Connection, DbError, Value};

/// What was counted in a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) calls: i64,
    pub(super) answered: i64,
    pub(super) failed: i64,
    pub(super) refused: i64,
    /// Calls that had their turn in the queue, and how long they waited for it in all and at most.
    pub(super) queued: i64,
    pub(super) queued_ms: i64,
    pub(super) longest_queued_ms: i64,
    /// Answered calls, by how long they took.
    classes: [i64; CLASSES],
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.failed += other.failed;
        self.refused += other.refused;
        self.queued += other.queued;
        self.queued_ms = self.queued_ms.saturating_add(other.queued_ms);
        self.longest_queued_ms = self.longest_queued_ms.max(other.longest_queued_ms);
        for (sum, count) in self.classes.iter_mut().zip(other.classes) {
            *sum += count;
        }
    }

    /// So long took at most `percent` of a hundred answered calls, as if those of a class were spread evenly over it: the first of ten lies a
    /// twentieth into the class, a single one in its middle. Beyond the last bound it is that bound.
    pub(super) fn at_most(&self, percent: i64) -> Option<i64> {
        let all: i64 = self.classes.iter().sum();
        let wanted = (all * percent + 99) / 100;
        if all == 0 {
            return None;
        }
        let mut before = 0;
        let mut lower = 0;
        for (class, count) in self.classes.into_iter().enumerate() {
            let upper = CLASS_BOUNDS_MS.get(class).copied().unwrap_or(lower);
            if before + count >= wanted {
                return Some(lower + (upper - lower) * (2 * (wanted - before) - 1) / (2 * count.max(1)));
            }
            before += count;
            lower = upper;
        }
        Some(lower)
    }
}

/// The counts of the quarters of an hour from `from` on and before `to`, step by step. See [`Step::place`].
pub(super) fn counts(
    connection: &mut Connection,
    from: i64,
    to: i64,
    step: Step,
) -> Result<BTreeMap<i64, Counts>, DbError> {
    let mut steps = BTreeMap::<i64, Counts>::new();
    for (from, to, offset_ms) in step.pieces(from, to) {
        let mut statement = Composed::new("");
        step.select(&mut statement, offset_ms);
        statement.and(
            "CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(answered) AS BIGINT) AS answered, \
             CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(refused) AS BIGINT) AS refused, \
             CAST(SUM(queued) AS BIGINT) AS queued, CAST(SUM(queued_ms) AS BIGINT) AS queued_ms, \
             MAX(longest_queued_ms) AS longest_queued_ms, CAST(SUM(c0) AS BIGINT) AS c0, CAST(SUM(c1) AS BIGINT) AS c1, CAST(SUM(c2) AS BIGINT) AS c2, \
             CAST(SUM(c3) AS BIGINT) AS c3, CAST(SUM(c4) AS BIGINT) AS c4, CAST(SUM(c5) AS BIGINT) AS c5, \
             CAST(SUM(c6) AS BIGINT) AS c6, CAST(SUM(c7) AS BIGINT) AS c7, CAST(SUM(c8) AS BIGINT) AS c8, \
             CAST(SUM(c9) AS BIGINT) AS c9, CAST(SUM(c10) AS BIGINT) AS c10, CAST(SUM(c11) AS BIGINT) AS c11, \
             CAST(SUM(c12) AS BIGINT) AS c12, CAST(SUM(c13) AS BIGINT) AS c13, CAST(SUM(c14) AS BIGINT) AS c14, \
             CAST(SUM(c15) AS BIGINT) AS c15 FROM call_slots WHERE slot_start >= ? AND slot_start < ? GROUP BY 1",
            [Value::Int(from), Value::Int(to)],
        );
        let rows: Vec<Row> = statement.load(connection)?;
        for row in rows {
            steps.entry(row.place).or_default().add(&row.counts());
        }
    }
    Ok(steps)
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = BigInt)]
    answered: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    refused: i64,
    #[diesel(sql_type = BigInt)]
    queued: i64,
    #[diesel(sql_type = BigInt)]
    queued_ms: i64,
    #[diesel(sql_type = BigInt)]
    longest_queued_ms: i64,
    #[diesel(sql_type = BigInt)]
    c0: i64,
    #[diesel(sql_type = BigInt)]
    c1: i64,
    #[diesel(sql_type = BigInt)]
    c2: i64,
    #[diesel(sql_type = BigInt)]
    c3: i64,
    #[diesel(sql_type = BigInt)]
    c4: i64,
    #[diesel(sql_type = BigInt)]
    c5: i64,
    #[diesel(sql_type = BigInt)]
    c6: i64,
    #[diesel(sql_type = BigInt)]
    c7: i64,
    #[diesel(sql_type = BigInt)]
    c8: i64,
    #[diesel(sql_type = BigInt)]
    c9: i64,
    #[diesel(sql_type = BigInt)]
    c10: i64,
    #[diesel(sql_type = BigInt)]
    c11: i64,
    #[diesel(sql_type = BigInt)]
    c12: i64,
    #[diesel(sql_type = BigInt)]
    c13: i64,
    #[diesel(sql_type = BigInt)]
    c14: i64,
    #[diesel(sql_type = BigInt)]
    c15: i64,
}

impl Row {
    fn counts(&self) -> Counts {
        let classes = [
            self.c0, self.c1, self.c2, self.c3, self.c4, self.c5, self.c6, self.c7, self.c8, self.c9, self.c10,
            self.c11, self.c12, self.c13, self.c14, self.c15,
        ];
        let Self { calls, answered, failed, refused, queued, queued_ms, longest_queued_ms, .. } = *self;
        Counts { calls, answered, failed, refused, queued, queued_ms, longest_queued_ms, classes }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(&[], None, None)]
    #[case::one(&[(3, 1)], Some(150), Some(150))]
    #[case::evenly_in_a_class(&[(3, 100)], Some(149), Some(194))]
    #[case::over_classes(&[(0, 50), (6, 45), (10, 5)], Some(24), Some(996))]
    #[case::beyond_the_last_bound(&[(15, 10)], Some(90_000), Some(90_000))]
    fn percentiles(#[case] counted: &[(usize, i64)], #[case] p50: Option<i64>, #[case] p95: Option<i64>) {
        let mut counts = Counts::default();
        counted.iter().for_each(|(class, count)| counts.classes[*class] = *count);
        assert_eq!((counts.at_most(50), counts.at_most(95)), (p50, p95));
    }

    /// Calls whose times are known one by one: what is told lies in the class of the true one, and is not always above it or below.
    #[test]
    fn a_percentile_lies_in_its_class_and_leans_to_neither_side() {
        let mut state = 7_u64;
        let mut chance = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let class = |ms: i64| CLASS_BOUNDS_MS.partition_point(|bound| *bound < ms);
        let (mut above, mut below) = (0, 0);
        for _ in 0..2_000 {
            // Up to a bound, so that calls are spread over their classes as is supposed.
            let longest = u64::try_from(CLASS_BOUNDS_MS[usize::try_from(chance(15)).unwrap()]).unwrap();
            let calls = 1 + chance(40);
            let mut times: Vec<i64> = (0..calls).map(|_| i64::try_from(1 + chance(longest)).unwrap()).collect();
            times.sort_unstable();
            let mut counts = Counts::default();
            times.iter().for_each(|ms| counts.classes[class(*ms)] += 1);
            for percent in [50, 95] {
                let place = (times.len() * percent).div_ceil(100) - 1;
                let (true_one, told) = (times[place], counts.at_most(i64::try_from(percent).unwrap()).unwrap());
                let upper = CLASS_BOUNDS_MS[class(true_one)];
                let lower = class(true_one).checked_sub(1).map_or(0, |class| CLASS_BOUNDS_MS[class]);
                assert!((lower..=upper).contains(&told), "p{percent} of {times:?} is {true_one}, not {told}");
                above += i32::from(told > true_one);
                below += i32::from(told < true_one);
            }
        }
        assert!((above - below).abs() < (above + below) / 5, "{above} too high, {below} too low");
    }
}
