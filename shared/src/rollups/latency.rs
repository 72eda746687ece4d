//! How many calls came, how they ended and how long they took, by quarters of an hour put into steps.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::dashboard::Step;
use super::days;
use crate::calls::CLASS_BOUNDS_MS;
use crate::calls::CLASSES;
use crate::db::{Composed, Connection, DbError, Value};

/// What was counted in a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) calls: i64,
    pub(super) answered: i64,
    pub(super) failed: i64,
    pub(super) refused: i64,
    /// Answered calls, by how long they took.
    classes: [i64; CLASSES],
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.failed += other.failed;
        self.refused += other.refused;
        for (sum, count) in self.classes.iter_mut().zip(other.classes) {
            *sum += count;
        }
    }

    /// So long took at most `percent` of a hundred answered calls, as if those of a class were spread evenly over it. Beyond the last bound
    /// it is that bound.
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
                return Some(lower + (upper - lower) * (wanted - before) / count.max(1));
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
    let pieces = match step {
        Step::Day(zone) => days::pieces_of_one_offset(from, to, zone),
        Step::Quarter | Step::Hour => vec![(from, to, 0)],
    };
    for (from, to, offset_ms) in pieces {
        let mut statement = Composed::new("SELECT ");
        match step {
            Step::Quarter => statement.and("slot_start", []),
            Step::Hour => statement.and("slot_start / 3600000 * 3600000", []),
            Step::Day(_) => statement.and("(slot_start + ?) / 86400000", [Value::Int(offset_ms)]),
        };
        statement.and(
            " AS place, CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(answered) AS BIGINT) AS answered, \
             CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(refused) AS BIGINT) AS refused, \
             CAST(SUM(c0) AS BIGINT) AS c0, CAST(SUM(c1) AS BIGINT) AS c1, CAST(SUM(c2) AS BIGINT) AS c2, \
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
        let Self { calls, answered, failed, refused, .. } = *self;
        Counts { calls, answered, failed, refused, classes }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(&[], None, None)]
    #[case::one(&[(3, 1)], Some(200), Some(200))]
    #[case::evenly_in_a_class(&[(3, 100)], Some(150), Some(195))]
    #[case::over_classes(&[(0, 50), (6, 45), (10, 5)], Some(25), Some(1_000))]
    #[case::beyond_the_last_bound(&[(15, 10)], Some(90_000), Some(90_000))]
    fn percentiles(#[case] counted: &[(usize, i64)], #[case] p50: Option<i64>, #[case] p95: Option<i64>) {
        let mut counts = Counts::default();
        counted.iter().for_each(|(class, count)| counts.classes[*class] = *count);
        assert_eq!((counts.at_most(50), counts.at_most(95)), (p50, p95));
    }
}
