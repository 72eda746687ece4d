//! What the project promises on two cores that everything shares, and whether it was kept.

use serde::Serialize;

use super::format::{milliseconds, ratio};
use super::rounds::{FEW, Figures, MANY};
use super::subject::Name;

/// The least share of nginx' requests a second with many connections, in ten-thousandths.
const LEAST_OF_NGINX: [(Name, u64); 2] = [(Name::Embedded, 1_200), (Name::Separate, 700)];
/// The most that a call may take longer than at the provider alone, in the median with few connections, in microseconds.
const MOST_ADDED_US: [(Name, u64); 2] = [(Name::Embedded, 2_000), (Name::Separate, 4_000)];
/// How many times nginx' rate the provider's own must be, in ten-thousandths: else the provider, or wrk, is what is measured.
const LEAST_OF_PROVIDER: u64 = 12_500;

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Mark {
    pub(super) what: String,
    pub(super) found: String,
    pub(super) bound: String,
    pub(super) is_met: bool,
}

/// The promises about what was measured.
pub(super) fn check(figures: &Figures) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut least = |name: Name, least: u64| {
        let Some(series) = figures.find(name, MANY) else { return };
        let found = figures.of_nginx(series).unwrap_or(0);
        marks.push(Mark {
            what: format!("{} of nginx' requests/s at {MANY} connections", name.word()),
            found: ratio(found),
            bound: format!("at least {}", ratio(least)),
            is_met: found >= least,
        });
    };
    least(Name::Provider, LEAST_OF_PROVIDER);
    LEAST_OF_NGINX.into_iter().for_each(|(name, bound)| least(name, bound));
    for (name, most) in MOST_ADDED_US {
        let Some(series) = figures.find(name, FEW) else { continue };
        let found = figures.added_us(series).unwrap_or(u64::MAX);
        marks.push(Mark {
            what: format!("{}: added p50 at {FEW} connections", name.word()),
            found: format!("{} ms", milliseconds(found)),
            bound: format!("at most {} ms", milliseconds(most)),
            is_met: found <= most,
        });
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::super::rounds::tests::{Measured, figures};
    use super::*;

    fn met(provider: Measured<'_>, embedded: Measured<'_>) -> Vec<bool> {
        let nginx: Measured<'_> = &[(10_000, 300)];
        let of = [FEW, MANY].map(|connections| {
            [
                (Name::Provider, connections, provider),
                (Name::Nginx, connections, nginx),
                (Name::Embedded, connections, embedded),
            ]
        });
        check(&figures(&of.concat())).into_iter().map(|mark| mark.is_met).collect()
    }

    #[test]
    fn each_mark_can_be_missed() {
        assert_eq!(met(&[(12_500, 50)], &[(1_200, 2_050)]), [true, true, true]);
        assert_eq!(met(&[(12_499, 50)], &[(1_200, 2_050)]), [false, true, true]);
        assert_eq!(met(&[(12_500, 50)], &[(1_199, 2_050)]), [true, false, true]);
        assert_eq!(met(&[(12_500, 50)], &[(1_200, 2_051)]), [true, true, false]);
    }

    #[test]
    fn only_what_was_measured_is_judged() {
        let figures = figures(&[(Name::Nginx, MANY, &[(10_000, 300)]), (Name::Separate, MANY, &[(650, 300)])]);
        let marks = check(&figures);
        assert_eq!(marks.len(), 1);
        assert_eq!(
            (marks[0].found.as_str(), marks[0].bound.as_str(), marks[0].is_met),
            ("0.065", "at least 0.070", false)
        );
    }
}
