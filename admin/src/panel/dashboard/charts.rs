//! The dashboard's charts.

use shared::clock::Timestamp;
use shared::money::Amount;
use shared::rollups::{Figures, Point, Step};

use super::range::Range;
use crate::frame::chart::{Chart, Series, Shape};
use crate::frame::format::{count, local, milliseconds};
use crate::frame::page::Page;

/// Calls that were neither answered nor failed: their clients left, or a provider would not have them.
pub(super) const fn others(figures: &Figures) -> i64 {
    figures.calls.saturating_sub(figures.answered).saturating_sub(figures.failed)
}

/// One chart for each question.
pub(super) fn of(page: &Page, range: &Range, points: &[Point]) -> Vec<Chart> {
    let labels: Vec<String> = points.iter().map(|point| label(page, range, point.start)).collect();
    let each = match range.step {
        Step::Quarter => page.say("per quarter of an hour", "每 15 分钟"),
        Step::Hour => page.say("per hour", "每小时"),
        Step::Day(_) => page.say("per day", "每天"),
    };
    let words = (page.say("From", "起始时间"), page.say("As a table", "以表格显示"));
    let values = |value: fn(&Figures) -> i64| points.iter().map(move |point| value(&point.figures));
    let series =
        |english: &'static str, chinese: &'static str, value| Series::of(page.say(english, chinese), values(value));
    let measured = |name: &str, value: fn(&Figures) -> Option<i64>| Series {
        name: name.to_owned(),
        values: points.iter().map(|point| value(&point.figures)).collect(),
    };
    let chart = |title: String, shape, write: fn(i64) -> String, series| Chart {
        title,
        shape,
        labels: labels.clone(),
        series,
        write,
        words,
    };
    vec![
        chart(
            format!("{} {each}", page.say("Requests", "请求数")),
            Shape::Area,
            count,
            vec![series("Requests", "请求数", |figures| figures.calls)],
        ),
        chart(
            format!("{} {each}", page.say("Tokens", "token 数")),
            Shape::Bars,
            count,
            vec![
                series("Prompt", "输入", |figures| figures.prompt_tokens),
                series("Completion", "输出", |figures| figures.completion_tokens),
            ],
        ),
        chart(
            format!("{} {each} ({})", page.say("Revenue", "收入"), page.currency()),
            Shape::Bars,
            amount,
            vec![series("Revenue", "收入", |figures| figures.revenue.nanos().max(0))],
        ),
        chart(
            format!("{} {each}", page.say("Requests without an answer", "未完成的请求")),
            Shape::Bars,
            count,
            vec![
                series("Failed here or at a provider", "本服务或上游失败", |figures| figures.failed),
                series("Client left, or request rejected", "客户端断开或请求被拒", others),
                series("Refused at the door", "准入时拒绝", |figures| figures.refused),
            ],
        ),
        chart(
            page.say("Time to the end of an answer (ms)", "完成回答所需时间（毫秒）").to_owned(),
            Shape::Line,
            milliseconds,
            vec![measured("p50", |figures| figures.p50_ms), measured("p95", |figures| figures.p95_ms)],
        ),
        chart(
            format!("{} {each}", page.say("Active tenants", "活跃客户")),
            Shape::Area,
            count,
            vec![series("Active tenants", "活跃客户", |figures| figures.active_tenants)],
        ),
    ]
}

fn amount(nanos: i64) -> String {
    Amount::from_nanos(nanos).to_string()
}

fn label(page: &Page, range: &Range, start: Timestamp) -> String {
    let shape = match range.step {
        Step::Day(_) => "%m-%d",
        Step::Quarter | Step::Hour if range.has_days() => "%m-%d %H:%M",
        Step::Quarter | Step::Hour => "%H:%M",
    };
    local(start, page.zone()).map_or_else(String::new, |moment| moment.format(shape).to_string())
}
