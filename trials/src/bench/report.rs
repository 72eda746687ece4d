//! What is printed at the end.

use std::fmt::Write;

use serde_json::json;

use super::format::{mebibytes, milliseconds, ratio, seconds};
use super::marks::Mark;
use super::rounds::{FEW, Figures, MANY, Series};
use super::subject::Name;

/// A Markdown table with what it was measured on above it, and the marks below.
pub(super) fn markdown(figures: &Figures, setting: &str, marks: &[Mark]) -> String {
    let mut text = format!("{setting}\n\n");
    text.push_str(
        "| connections | what | requests/s | of nginx | p50 ms | p99 ms | added p50 ms | CPU s per 1,000 requests | peak memory MiB |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for connections in [FEW, MANY] {
        for series in figures.series.iter().filter(|series| series.connections == connections) {
            text.push_str(&row(figures, series));
        }
    }
    text.push('\n');
    for mark in marks {
        let verdict = if mark.is_met { "met" } else { "MISSED" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- {verdict}: {}: {} ({})", mark.what, mark.found, mark.bound);
    }
    text
}

fn row(figures: &Figures, series: &Series) -> String {
    let optional = |shown: Option<String>| shown.unwrap_or_else(|| "-".to_owned());
    let memory = figures.peak_memory_kib.iter().find(|(name, _)| *name == series.name).map(|(_, kib)| mebibytes(*kib));
    let added = figures.added_us(series).filter(|_| series.name != Name::Provider);
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        series.connections,
        series.name.words(),
        series.median(|run| run.rate),
        optional(figures.of_nginx(series).map(ratio)),
        milliseconds(series.median(|run| run.p50_us)),
        milliseconds(series.median(|run| run.p99_us)),
        optional(added.map(milliseconds)),
        seconds(series.median(|run| run.cpu_us)),
        optional(memory.map(|mebibytes| mebibytes.to_string())),
    )
}

/// Everything, every round included, as one JSON value in a line.
///
/// # Errors
/// When it cannot be written as JSON, which is a fault of the program.
pub(super) fn json(figures: &Figures, setting: &str, marks: &[Mark]) -> anyhow::Result<String> {
    let medians = figures.series.iter().map(|series| {
        json!({
            "name": series.name,
            "connections": series.connections,
            "requests_per_s": series.median(|run| run.rate),
            "of_nginx_ten_thousandths": figures.of_nginx(series),
            "p50_us": series.median(|run| run.p50_us),
            "p99_us": series.median(|run| run.p99_us),
            "added_p50_us": figures.added_us(series),
            "cpu_us_per_1000_requests": series.median(|run| run.cpu_us),
        })
    });
    let medians: Vec<_> = medians.collect();
    let value = json!({"setting": setting, "medians": medians, "rounds": figures, "marks": marks});
    Ok(format!("{}\n", serde_json::to_string(&value)?))
}

#[cfg(test)]
mod tests {
    use super::super::marks::check;
    use super::super::rounds::tests::figures;
    use super::*;

    fn some() -> Figures {
        figures(&[
            (Name::Provider, MANY, &[(60_000, 500)]),
            (Name::Nginx, MANY, &[(20_000, 1_500)]),
            (Name::Embedded, MANY, &[(3_000, 10_500)]),
            (Name::Embedded, FEW, &[(2_000, 1_900)]),
        ])
    }

    #[test]
    fn the_table_has_a_row_for_each_and_the_marks_below() {
        let text = markdown(&some(), "2 cores", &check(&some()));
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert_eq!(rows[0], "| 4 | xiaoyi embedded | 2000 | - | 1.90 | 3.80 | - | 0.123 | 2 |");
        assert_eq!(rows[1], "| 32 | provider alone | 60000 | 3.000 | 0.50 | 1.00 | - | 0.123 | 2 |");
        assert_eq!(rows[3], "| 32 | xiaoyi embedded | 3000 | 0.150 | 10.50 | 21.00 | 10.00 | 0.123 | 2 |");
        assert!(text.starts_with("2 cores\n\n") && text.contains("- met: embedded of nginx'"), "{text}");
    }

    #[test]
    fn json_holds_every_round() {
        let text = json(&some(), "2 cores", &check(&some())).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["rounds"]["series"][0]["runs"][0]["rate"], 60_000);
        assert_eq!(value["medians"][2]["of_nginx_ten_thousandths"], 1_500);
        assert_eq!(value["marks"][0]["is_met"], true);
        assert_eq!(text.lines().count(), 1);
    }
}
