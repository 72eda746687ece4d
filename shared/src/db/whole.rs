//! Sums that may leave 64 bits: they are made in halves, `SUM(x >> 32)` and `SUM(x & 4294967295)`, each of which fits.

/// The sum whose halves these are.
pub(crate) fn whole(high: i64, low: i64) -> i128 {
    (i128::from(high) << 32) + i128::from(low)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::whole;

    #[rstest]
    #[case(&[0])]
    #[case(&[-1])]
    #[case(&[1 << 32, -(1 << 32), 4_294_967_295])]
    #[case(&[i64::MAX, i64::MAX, 5])]
    #[case(&[i64::MIN, i64::MIN, -5])]
    fn halves_make_the_sum(#[case] values: &[i64]) {
        let high = values.iter().map(|value| value >> 32).sum();
        let low = values.iter().map(|value| value & 4_294_967_295).sum();
        assert_eq!(whole(high, low), values.iter().map(|value| i128::from(*value)).sum::<i128>());
    }
}
