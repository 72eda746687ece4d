//! Charts as inline SVG, in whole numbers: an area for a rate, stacked bars for shares, a line for a percentile. The same data stands as a
//! table beneath, for whoever cannot see the picture.

use std::fmt::{self, Display, Formatter};

use askama::filters::{Escaper, Html};

/// The picture's size, in its own units.
const WIDTH: i128 = 640;
const HEIGHT: i128 = 160;
/// Room for the axes.
const LEFT: i128 = 80;
const RIGHT: i128 = WIDTH - 8;
const BOTTOM: i128 = 22;
const TOP: i128 = 14;

/// How the values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A filled line: a rate.
    Area,
    /// Bars on top of each other: shares of a whole.
    Bars,
    /// One line: a percentile.
    Line,
}

/// One row of values, one for each label.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// What it shows, for the legend and the table.
    pub(crate) name: String,
    /// The values, never below zero; `None` where there was nothing to measure.
    pub(crate) values: Vec<Option<i64>>,
}

impl Series {
    /// One with a value at every step.
    pub(crate) fn of(name: impl Into<String>, values: impl IntoIterator<Item = i64>) -> Self {
        Self { name: name.into(), values: values.into_iter().map(Some).collect() }
    }

    fn at(&self, step: usize) -> Option<i64> {
        self.values.get(step).copied().flatten()
    }

    /// The steps that have values, in runs without a gap.
    fn runs(&self) -> Vec<Vec<(usize, i64)>> {
        let mut runs = vec![Vec::new()];
        for (step, value) in self.values.iter().enumerate() {
            match (value, runs.last_mut()) {
                (Some(value), Some(run)) => run.push((step, *value)),
                _ => runs.push(Vec::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }
}

/// A chart with its table.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// What it shows, with the unit.
    pub(crate) title: String,
    /// How.
    pub(crate) shape: Shape,
    /// The steps of the horizontal axis.
    pub(crate) labels: Vec<String>,
    /// What is drawn.
    pub(crate) series: Vec<Series>,
    /// How a value is written.
    pub(crate) write: fn(i64) -> String,
    /// The heading of the labels in the table, and the words above it.
    pub(crate) words: (&'static str, &'static str),
}

impl askama::filters::HtmlSafe for Chart {}

impl Chart {
    fn sum_at(&self, at: usize) -> i64 {
        self.series.iter().filter_map(|series| series.at(at)).fold(0, i64::saturating_add)
    }

    /// The top of the vertical axis: a round number at or above the largest value.
    fn top(&self) -> i64 {
        let largest = match self.shape {
            Shape::Bars => (0..self.labels.len()).map(|at| self.sum_at(at)).max(),
            Shape::Area | Shape::Line => {
                self.series.iter().flat_map(|series| series.values.iter().copied().flatten()).max()
            }
        };
        round_up(largest.unwrap_or(0).max(1))
    }

    fn x(&self, at: usize) -> i128 {
        let steps = i128::try_from(self.labels.len().saturating_sub(1).max(1)).unwrap_or(1);
        LEFT + i128::try_from(at).unwrap_or(0) * (RIGHT - LEFT) / steps
    }

    fn y(&self, value: i64, top: i64) -> i128 {
        TOP + (HEIGHT - TOP - BOTTOM) * (i128::from(top) - i128::from(value)) / i128::from(top.max(1))
    }

    /// A line, filled in an area. Where nothing was measured there is a gap; a value between two gaps is a dot.
    fn draw_run(&self, formatter: &mut Formatter<'_>, number: usize, run: &[(usize, i64)], top: i64) -> fmt::Result {
        if let [(at, value)] = run {
            return write!(
                formatter,
                r#"<circle class="bar s{number}" cx="{}" cy="{}" r="3"/>"#,
                self.x(*at),
                self.y(*value, top)
            );
        }
        let points = run.iter().map(|(at, value)| format!("{},{}", self.x(*at), self.y(*value, top)));
        let points = points.collect::<Vec<_>>().join(" ");
        if let (Shape::Area, [(first, _), .., (last, _)]) = (self.shape, run) {
            let (floor, first, last) = (self.y(0, top), self.x(*first), self.x(*last));
            write!(formatter, r#"<polygon class="area s{number}" points="{first},{floor} {points} {last},{floor}"/>"#)?;
        }
        write!(formatter, r#"<polyline class="line s{number}" points="{points}"/>"#)
    }

    fn drawing(&self, formatter: &mut Formatter<'_>, top: i64) -> fmt::Result {
        match self.shape {
            Shape::Area | Shape::Line => {
                for (number, series) in self.series.iter().enumerate() {
                    for run in series.runs() {
                        self.draw_run(formatter, number, &run, top)?;
                    }
                }
            }
            Shape::Bars => {
                let count = i128::try_from(self.labels.len().max(1)).unwrap_or(1);
                let step = (RIGHT - LEFT) / count;
                let width = (step * 3 / 4).max(1);
                for at in 0..self.labels.len() {
                    let mut below = 0_i64;
                    for (number, series) in self.series.iter().enumerate() {
                        let value = series.at(at).unwrap_or(0);
                        let upper = below.saturating_add(value);
                        let (y, bottom) = (self.y(upper, top), self.y(below, top));
                        let x = LEFT + i128::try_from(at).unwrap_or(0) * (RIGHT - LEFT) / count + (step - width) / 2;
                        let height = bottom - y;
                        if height > 0 {
                            write!(
                                formatter,
                                r#"<rect class="bar s{number}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#
                            )?;
                        }
                        below = upper;
                    }
                }
            }
        }
        Ok(())
    }

    fn axes(&self, formatter: &mut Formatter<'_>, top: i64) -> fmt::Result {
        let ticks = if top > 1 { vec![0, top / 2, top] } else { vec![0, top] };
        for value in ticks {
            let y = self.y(value, top);
            write!(formatter, r#"<line class="grid" x1="{LEFT}" y1="{y}" x2="{RIGHT}" y2="{y}"/>"#)?;
            write!(formatter, r#"<text class="tick end" x="{}" y="{}">"#, LEFT - 6, y + 4)?;
            Html.write_escaped_str(&mut *formatter, &(self.write)(value))?;
            formatter.write_str("</text>")?;
        }
        let last = self.labels.len().saturating_sub(1);
        let shown = if last >= 2 { vec![0, last / 2, last] } else { (0..self.labels.len()).collect() };
        for at in shown {
            let anchor = if at == 0 {
                "start"
            } else if at == last {
                "end"
            } else {
                "middle"
            };
            write!(formatter, r#"<text class="tick {anchor}" x="{}" y="{}">"#, self.x(at), HEIGHT - 6)?;
            Html.write_escaped_str(&mut *formatter, &self.labels[at])?;
            formatter.write_str("</text>")?;
        }
        Ok(())
    }

    fn legend(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.series.len() < 2 {
            return Ok(());
        }
        formatter.write_str(r#"<ul class="legend">"#)?;
        for (number, series) in self.series.iter().enumerate() {
            write!(formatter, r#"<li><span class="swatch s{number}" aria-hidden="true"></span>"#)?;
            Html.write_escaped_str(&mut *formatter, &series.name)?;
            formatter.write_str("</li>")?;
        }
        formatter.write_str("</ul>")
    }

    fn table(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (heading, summary) = self.words;
        write!(
            formatter,
            r#"<details><summary>{summary}</summary><div class="scroll" tabindex="0" role="region" aria-label=""#
        )?;
        Html.write_escaped_str(&mut *formatter, &self.title)?;
        write!(formatter, r#""><table><thead><tr><th scope="col">{heading}</th>"#)?;
        for series in &self.series {
            formatter.write_str(r#"<th scope="col" class="num">"#)?;
            Html.write_escaped_str(&mut *formatter, &series.name)?;
            formatter.write_str("</th>")?;
        }
        formatter.write_str("</tr></thead><tbody>")?;
        for (at, label) in self.labels.iter().enumerate() {
            formatter.write_str(r#"<tr><th scope="row">"#)?;
            Html.write_escaped_str(&mut *formatter, label)?;
            formatter.write_str("</th>")?;
            for series in &self.series {
                formatter.write_str(r#"<td class="num">"#)?;
                match series.at(at) {
                    Some(value) => Html.write_escaped_str(&mut *formatter, &(self.write)(value))?,
                    None => formatter.write_str("–")?,
                }
                formatter.write_str("</td>")?;
            }
            formatter.write_str("</tr>")?;
        }
        formatter.write_str("</tbody></table></div></details>")
    }
}

impl Display for Chart {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let top = self.top();
        formatter.write_str(r#"<figure class="chart"><figcaption>"#)?;
        Html.write_escaped_str(&mut *formatter, &self.title)?;
        formatter.write_str("</figcaption>")?;
        write!(formatter, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label=""#)?;
        Html.write_escaped_str(&mut *formatter, &self.title)?;
        formatter.write_str(r#"">"#)?;
        self.axes(formatter, top)?;
        self.drawing(formatter, top)?;
        formatter.write_str("</svg>")?;
        self.legend(formatter)?;
        self.table(formatter)?;
        formatter.write_str("</figure>")
    }
}

/// The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `value`.
fn round_up(value: i64) -> i64 {
    let mut unit = 1_i64;
    loop {
        for factor in [1, 2, 5] {
            match unit.checked_mul(factor) {
                Some(round) if round >= value => return round,
                Some(_) => {}
                None => return i64::MAX,
            }
        }
        match unit.checked_mul(10) {
            Some(next) => unit = next,
            None => return i64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(shape: Shape, values: &[&[i64]]) -> Chart {
        let labels = (0..values[0].len()).map(|at| format!("<{at}>")).collect();
        let series = values.iter().map(|values| Series::of("a&b", values.iter().copied())).collect();
        Chart {
            title: "\"Requests\"".to_owned(),
            shape,
            labels,
            series,
            write: |value| value.to_string(),
            words: ("Day", "As a table"),
        }
    }

    #[test]
    fn draws_within_its_frame_and_escapes() {
        for shape in [Shape::Area, Shape::Bars, Shape::Line] {
            for values in [&[&[0, 7, 3][..], &[1, 2, 3]][..], &[&[]], &[&[i64::MAX]], &[&[0; 400]]] {
                let html = chart(shape, values).to_string();
                assert!(!html.contains("<0>") && !html.contains("a&b"), "{html}");
                assert!(!html.contains("=\"-"), "nothing is drawn outside: {html}");
            }
        }
    }

    #[test]
    fn where_nothing_was_measured_there_is_a_gap() {
        let values = vec![Some(1), Some(2), None, Some(3), None, None, Some(4), Some(0)];
        let mut chart = chart(Shape::Line, &[&[0; 8]]);
        chart.series = vec![Series { name: "p50".to_owned(), values }];
        let html = chart.to_string();
        assert_eq!((html.matches("<polyline").count(), html.matches("<circle").count()), (2, 1), "{html}");
        assert_eq!(html.matches("–").count(), 3, "the table says so too: {html}");
    }

    #[test]
    fn the_top_is_a_round_number() {
        for (value, expected) in [(1, 1), (3, 5), (11, 20), (50, 50), (51, 100), (i64::MAX, i64::MAX)] {
            assert_eq!(round_up(value), expected);
        }
    }

    #[test]
    fn bars_stand_on_each_other() {
        let html = chart(Shape::Bars, &[&[5], &[5]]).to_string();
        assert!(html.contains(r#"class="bar s0""#) && html.contains(r#"class="bar s1""#), "{html}");
        assert!(html.contains(r#"y="76" width="#) && html.contains(r#"y="14" width="#), "{html}");
    }
}
