//! Whole numbers as people read them.

/// Microseconds as milliseconds with two places.
pub(super) fn milliseconds(us: u64) -> String {
    format!("{}.{:02}", us / 1_000, us % 1_000 / 10)
}

/// Ten-thousandths with three places.
pub(super) fn ratio(ten_thousandths: u64) -> String {
    let thousandths = (ten_thousandths + 5) / 10;
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// Microseconds as seconds with three places.
pub(super) fn seconds(us: u64) -> String {
    let ms = (us + 500) / 1_000;
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// KiB as MiB.
pub(super) const fn mebibytes(kib: u64) -> u64 {
    (kib + 512) / 1_024
}

/// The middle one; of an even number the mean of the two in the middle.
pub(super) fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    let middle = numbers.len() / 2;
    match (numbers.get(middle), numbers.len() % 2) {
        (Some(&upper), 0) => numbers.get(middle - 1).map_or(upper, |&lower| lower.midpoint(upper)),
        (Some(&middle), _) => middle,
        (None, _) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(milliseconds(1_239), "1.23");
        assert_eq!(milliseconds(49), "0.04");
        assert_eq!(ratio(1_234), "0.123");
        assert_eq!(ratio(10_000), "1.000");
        assert_eq!(seconds(123_500), "0.124");
        assert_eq!(mebibytes(1_536), 2);
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3, 1, 2]), 2);
        assert_eq!(median(vec![4, 1, 2, 3]), 2);
        assert_eq!(median(vec![1, 5]), 3);
        assert_eq!(median(vec![]), 0);
    }
}
